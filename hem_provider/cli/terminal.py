"""What may be sent to the stream that a person reads: colours, moving the cursor, any character.

Asked here by everything that prints. https://no-color.org tells of ``NO_COLOR``.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TextIO

__all__ = ["coloured", "let_go", "moving", "prepare"]


def coloured(stream: TextIO) -> bool:
    """Whether colours are welcome: on a terminal that has them, unless ``NO_COLOR`` is set."""
    return moving(stream) and not os.environ.get("NO_COLOR")


def moving(stream: TextIO) -> bool:
    """Whether a line can be written again in place."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def prepare() -> None:
    """Let no character that a terminal does not have end a command: it is written as its escape. A
    stream that is closed takes everything and shows nothing."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - to the end
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def let_go(stream: TextIO) -> None:
    """A stream takes nothing more (the reader left, the disk is full): let the interpreter's last
    flush go nowhere, or it would complain a second time."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
