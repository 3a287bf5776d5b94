"""A line that tells how far one long step is, for what is told of it from inside: a transfer, or a wait."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TextIO

from hem_provider.cli.terminal import columns, moving

__all__ = ["Meter"]

_WIDTH = 20
#: What is over sooner is not worth a line. Seconds.
_NOT_BEFORE = 1.0
_EVERY_ON_TERMINAL, _EVERY_ELSEWHERE = 0.1, 30.0


class Meter:
    """Shows ``what`` on standard error as long as the block lasts: on a terminal a line that is gone at the
    end, elsewhere a line every 30 s."""

    def __init__(self, what: str, stream: TextIO | None = None) -> None:
        self._what = what
        self._out = stream or sys.stderr
        self._moving = moving(self._out)
        self._every = _EVERY_ON_TERMINAL if self._moving else _EVERY_ELSEWHERE
        self._began = self._shown = time.monotonic()
        self._drawn = False

    def __enter__(self) -> Meter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._drawn and self._moving:
            print("\r\x1b[K", end="", file=self._out, flush=True)

    def moved(self, done: int, total: int) -> None:
        """So many bytes of all are through."""
        share = done / max(total, 1)
        full = round(_WIDTH * min(share, 1.0))
        bar = f"[{'#' * full}{'.' * (_WIDTH - full)}] " if self._moving and self._room > 60 else ""
        self._show(f"{bar}{self._what}: {share:.0%} of {total / 1024:.0f} KiB")

    def waited(self, seconds: float) -> None:
        """So many seconds are over."""
        self._show(f"{self._what}: {seconds:.0f} s")

    @property
    def _room(self) -> int:
        return columns(self._out)

    def _show(self, line: str) -> None:
        now = time.monotonic()
        if now - self._began < _NOT_BEFORE or now - self._shown < self._every:
            return
        self._shown, self._drawn = now, True
        if self._moving:
            print(f"\r{line[: self._room - 1]}\x1b[K", end="", file=self._out, flush=True)
        else:
            print(line, file=self._out, flush=True)
