"""Receivers of datagrams: UDP, and the journal's socket.

UDP confirms nothing. What is sent may be lost; only a machine that says that nobody listens is noticed. The
journal takes each datagram, or the memory file in its place, from the kernel, which tells when it has.
"""

from __future__ import annotations

import array
import errno
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from hem_provider.auditlog.delivery.forms import Away, Message, let_pass
from hem_provider.auditlog.delivery.places import Place
from hem_provider.errors import HemConfigError
from hem_provider.files import sealed_memory, unconfirmed
from hem_provider.waiting import CLOCK

__all__ = ["MOST", "JournalSocket", "Udp"]

#: Bytes of a message over UDP at most: a datagram of IPv4 without its headers.
MOST = 65507
#: Datagrams that are sent at once, which the usual buffer of a receiver takes (200 KB), and seconds between
#: them, in which a machine can say that nobody listens.
_AT_ONCE, _REFUSING = 32, 0.02
#: Seconds in which the journal is to take what it was given.
_TAKING = 30.0
#: Messages, and seconds: somewhat less than the 10 000 in 30 s that journald takes of a service.
_BURST, _INTERVAL = 8000, 31.0
_AWAY = frozenset(
    {
        errno.ECONNREFUSED,
        errno.ENETUNREACH,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENOBUFS,
        errno.ENOENT,
        errno.ECONNRESET,
        errno.ENOTCONN,
        errno.EAGAIN,
        errno.EPIPE,
    }
)


class Udp:
    """A receiver at ``place``."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._socket: socket.socket | None = None

    def open(self, number: int) -> int:
        """Look the name up; nothing is sent."""
        if self._socket is None:
            try:
                found = socket.getaddrinfo(self._place.host, self._place.port, type=socket.SOCK_DGRAM)
                family, kind, protocol, _, address = found[0]
                self._socket = socket.socket(family, kind, protocol)
                self._socket.connect(address)
            except OSError as error:
                self.close()
                raise Away(error.strerror or str(error)) from None
        return number

    def send(self, messages: Sequence[Message]) -> None:
        """Send each as a datagram. ``HemConfigError`` for one that fits into none."""
        assert self._socket is not None  # noqa: S101 - opened before
        for each in messages:
            if len(each.data) > MOST:
                raise HemConfigError(
                    f"{self._place.text}: entry {each.number} takes {len(each.data)} bytes; a datagram takes "
                    f"{MOST}; tcp:// and tls:// take any size"
                )
        try:
            for first in range(0, len(messages), _AT_ONCE):
                for each in messages[first : first + _AT_ONCE]:
                    self._socket.send(each.data)
                let_pass(_REFUSING)
            refused = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        except OSError as error:
            self.close()
            if error.errno in _AWAY:
                raise Away(error.strerror or str(error)) from None
            raise
        if refused:
            self.close()
            raise Away(os.strerror(refused))

    def idle(self, seconds: float) -> None:
        """Wait."""
        let_pass(seconds)

    def finish(self) -> None:
        """Nothing is to be waited for."""
        self.close()

    def close(self) -> None:
        """Let go of the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class JournalSocket:
    """journald at its socket ``path``. Messages that are no datagram go as sealed memory files.

    It drops what exceeds its own limit (``RateLimitBurst`` of journald.conf(5)), so not more than the usual
    one allows is handed over.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket: socket.socket | None = None
        self._began, self._count = CLOCK.now(), 0

    def open(self, number: int) -> int:
        """Connect to the socket."""
        if self._socket is None:
            made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                made.connect(str(self._path))
            except OSError as error:
                made.close()
                raise Away(f"{self._path}: {error.strerror}") from None
            made.settimeout(_TAKING)
            self._socket = made
        return number

    def send(self, messages: Sequence[Message]) -> None:
        """Hand over, and wait until journald has read all."""
        assert self._socket is not None  # noqa: S101 - opened before
        self._pace(len(messages))
        try:
            for each in messages:
                self._hand_over(self._socket, each.data)
            for _ in CLOCK.looks(_TAKING, 0.0005, 0.02):
                if not unconfirmed(self._socket.fileno()):
                    return
        except OSError as error:
            self.close()
            if error.errno in _AWAY or isinstance(error, TimeoutError):
                raise Away(f"{self._path}: {error.strerror or error}") from None
            raise
        self.close()
        raise Away(f"{self._path}: nothing was read for {_TAKING:g} s")

    def _pace(self, count: int) -> None:
        passed = CLOCK.now() - self._began
        if passed < _INTERVAL and self._count + count > _BURST:
            let_pass(_INTERVAL - passed)
            passed = _INTERVAL
        if passed >= _INTERVAL:
            self._began, self._count = CLOCK.now(), 0
        self._count += count

    @staticmethod
    def _hand_over(to: socket.socket, data: bytes) -> None:
        try:
            to.send(data)
        except OSError as error:
            if error.errno not in (errno.EMSGSIZE, errno.ENOBUFS):
                raise
            handle = sealed_memory("hem-log-entry", data)
            try:
                given = array.array("i", [handle])
                to.sendmsg([], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, given)])
            finally:
                os.close(handle)

    def idle(self, seconds: float) -> None:
        """Wait."""
        let_pass(seconds)

    def finish(self) -> None:
        """All has been read already."""
        self.close()

    def close(self) -> None:
        """Let go of the socket."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.close()
            self._socket = None
