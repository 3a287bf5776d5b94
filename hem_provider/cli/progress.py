"""A line that tells a waiting person how far it is, on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TextIO, TypeVar

from hem_provider.cli.terminal import moving
from hem_provider.printable import printable

__all__ = ["progress"]

T = TypeVar("T")

_WIDTH = 30
_EVERY_ON_TERMINAL, _EVERY_ELSEWHERE = 0.1, 30.0


def progress(
    items: Iterable[T], total: int, what: str, stream: TextIO | None = None, *, first: float = 0.0
) -> Iterator[T]:
    """Pass ``items`` on and show how many of ``total`` have come.

    On a terminal a bar with the time left, gone at the end; elsewhere a line every 30 s. Nothing in the
    ``first`` seconds.
    """
    out = stream or sys.stderr
    terminal = moving(out)
    every = _EVERY_ON_TERMINAL if terminal else _EVERY_ELSEWHERE
    start = time.monotonic()
    shown = start + max(0.0, first - every)
    drawn = False
    try:
        for done, item in enumerate(items, 1):
            now = time.monotonic()
            if now - shown >= every:
                shown, drawn = now, True
                line = _line(done, total, what, now - start, bar=terminal)
                print(
                    f"\r{line}\x1b[K" if terminal else line,
                    end="" if terminal else "\n",
                    file=out,
                    flush=True,
                )
            yield item
    finally:
        if terminal and drawn:
            print("\r\x1b[K", end="", file=out, flush=True)


def _line(done: int, total: int, what: str, seconds: float, *, bar: bool) -> str:
    left = seconds / done * (total - done)
    text = f"{printable(what)}: {done} of {total}, {_duration(left)} left"
    if not bar:
        return text
    full = min(_WIDTH, _WIDTH * done // max(total, 1))
    return f"[{'#' * full}{'.' * (_WIDTH - full)}] {text}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
