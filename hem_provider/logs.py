"""Loggers that load ``logging`` when there is something to say that somebody can hear.

It takes 4 ms to load, half of what a bare Python does, and a short program that goes well says nothing. As
long as nobody has loaded it nobody has configured it, and what is below a warning is not shown.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

__all__ = ["DEBUG", "INFO", "WARNING", "Logger", "send_to"]

#: As ``logging`` has them.
DEBUG, INFO, WARNING = 10, 20, 30

#: Whoever takes all messages in the place of ``logging``, and the least level that is wanted.
_Taker = Callable[[int, str], None]
_taker: _Taker | None = None
_least = DEBUG


def send_to(taker: _Taker | None, least: int = DEBUG) -> None:
    """From now on ``taker`` gets what is said, as level and text, from level ``least`` on, and ``logging``
    nothing; with ``None`` it is as before."""
    global _taker, _least
    _taker, _least = taker, least


class Logger:
    """The part of ``logging.getLogger(name)`` that is used here."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def log(self, level: int, text: str, *values: object) -> None:
        """As there."""
        if _taker is not None:
            if level >= _least:
                _taker(level, text % values if values else text)
        elif level >= WARNING or "logging" in sys.modules:
            import logging

            logging.getLogger(self.name).log(level, text, *values, stacklevel=2)
