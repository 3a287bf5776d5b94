"""How long a passphrase is good for that a person has typed for gpg-agent: as long as gpg-agent remembers
those of keys (``default-cache-ttl`` and ``max-cache-ttl`` of its configuration)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hem_provider.cli.gpg.programs import gpgconf
from hem_provider.records import frozen

__all__ = ["Limits", "Term", "limits_of"]

#: Seconds that a login has at least to serve what it was made for.
_FIRST = 10.0
#: Places of default and value in a line of ``gpgconf --list-options``.
_DEFAULT, _VALUE = 7, 9


@frozen
class Limits:
    """Seconds: ``idle`` since the last use, ``longest`` since it was typed. The values are GnuPG's own."""

    idle: float = 600.0
    longest: float = 7200.0


def limits_of(home: Path | None) -> Limits:
    """As gpg-agent has them with its files in ``home``, or where it has them by itself."""
    where = [] if home is None else ["--homedir", str(home)]
    said = gpgconf(*where, "--list-options", "gpg-agent")
    told = {words[0]: words for words in (line.split(":") for line in said.splitlines())}
    usual = Limits()
    return Limits(
        _seconds(told.get("default-cache-ttl", []), usual.idle),
        _seconds(told.get("max-cache-ttl", []), usual.longest),
    )


def _seconds(words: list[str], usual: float) -> float:
    given = [each for each in (words[_VALUE:][:1] + words[_DEFAULT:][:1]) if each.isdigit()]
    return float(given[0]) if given else usual


class Term:
    """Ends one login by ``forget`` when its time is over, and never while it is used. Safe for threads."""

    def __init__(self, forget: Callable[[], None], now: Callable[[], float] = time.monotonic) -> None:
        self._forget = forget
        self._now = now
        self._limits: Limits | None = None  #: of the login that there is
        self._typed = self._last = 0.0
        self._users = 0
        self._served = False
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()

    def begin(self, limits: Limits) -> None:
        """A passphrase was typed just now."""
        with self._lock:
            self._limits, self._typed = limits, self._now()
            self._last, self._served = self._typed, False
            self._wait()

    def end(self) -> None:
        """It was forgotten otherwise."""
        with self._lock:
            self._limits = None
            self._wait()

    @contextmanager
    def used(self) -> Iterator[None]:
        """The login is used within the block."""
        with self._lock:
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                self._last, self._served = self._now(), True
            self.look()

    def look(self) -> None:
        """Forget the login if its time is over."""
        with self._lock:
            if self._limits is None or self._users:
                return
            if self._left(self._limits) <= 0:
                self._limits = None
                self._forget()
            self._wait()

    def _left(self, limits: Limits) -> float:
        ends = min(self._last + limits.idle, self._typed + limits.longest)
        return (ends if self._served else max(ends, self._typed + _FIRST)) - self._now()

    def _wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._limits is not None:
            self._timer = threading.Timer(max(self._left(self._limits), 0.0), self.look)
            self._timer.daemon = True
            self._timer.start()
