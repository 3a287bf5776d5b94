"""Run a job step by step before a person's eyes: a tick, the time, and a table at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from hem_provider.cli.terminal import coloured
from hem_provider.measuring.table import table
from hem_provider.records import frozen

__all__ = ["StepFailedError", "Steps"]


class StepFailedError(Exception):
    """A step did not do what it promises; the text is what the person should see."""


@frozen
class _Done:
    title: str
    seconds: float
    calls: int
    logins: int


class Steps:
    """Prints each step as it is done and remembers what it took.

    ``count`` returns the running totals of device calls and logins.
    """

    def __init__(self, count: Callable[[], tuple[int, int]], stream: TextIO | None = None) -> None:
        self._count = count
        self._stream = stream or sys.stdout
        encoding = (self._stream.encoding or "ascii").lower().replace("-", "")
        self._tick, self._cross = ("✔", "✘") if encoding.startswith("utf") else ("ok", "FAILED")
        self._colour = coloured(self._stream)
        self._done: list[_Done] = []

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """One step; an exception marks it as failed and goes on to the caller."""
        calls, logins = self._count()
        start = time.perf_counter()
        try:
            yield
        except BaseException:
            self.say(f"{self._paint(self._cross, '31')} {title}")
            raise
        seconds = time.perf_counter() - start
        calls, logins = (now - then for now, then in zip(self._count(), (calls, logins), strict=True))
        self._done.append(_Done(title, seconds, calls, logins))
        self.say(f"{self._paint(self._tick, '32')} {title}  {self._paint(f'{seconds:.2f} s', '2')}")

    def say(self, line: str) -> None:
        """Print one line at once."""
        print(line, file=self._stream, flush=True)

    def detail(self, line: str) -> None:
        """Print something that belongs to the step before or after it, less loudly."""
        self.say(self._paint(f"    {line}", "2"))

    def summary(self) -> str:
        """The table of all steps with their time, device calls and logins, and the totals."""
        total = _Done(
            "together",
            sum(each.seconds for each in self._done),
            sum(each.calls for each in self._done),
            sum(each.logins for each in self._done),
        )
        rows = [(d.title, f"{d.seconds:.2f} s", str(d.calls), str(d.logins)) for d in (*self._done, total)]
        return table(("step", "time", "device calls", "logins"), rows, right=(1, 2, 3), rule_before_last=True)

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text
