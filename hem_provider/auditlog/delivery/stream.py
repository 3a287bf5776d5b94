"""Receivers that are reached over TCP, or TLS above it.

That bytes were written says nothing: they may lie in this machine's memory. They count as delivered when the
peer's kernel has confirmed all of them and the connection is still open. A peer that ends with data unread
resets the connection; what may have been among that is sent again.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from hem_provider.auditlog.delivery.forms import Away, Message
from hem_provider.auditlog.delivery.places import Place
from hem_provider.errors import HemTLSError
from hem_provider.files import unconfirmed
from hem_provider.waiting import CLOCK

__all__ = ["Stream"]

#: Seconds for connecting, and for TLS to begin.
_CONNECT = 15.0
#: Seconds without progress after which a peer that takes nothing is given up.
_STALLED = 60.0
#: Seconds in which a peer is to end after us.
_ENDING = 10.0
#: Seconds in which a peer of TLS 1.3 refuses our certificate, which it does after its handshake.
_REFUSING = 0.3
#: Pauses between two looks at what is confirmed, in seconds: the first and the longest.
_PAUSES = 0.0002, 0.01
#: Bytes that a peer may have confirmed without its program having read them: the most that Linux keeps of a
#: connection (``tcp_rmem``), and more than others do.
_UNREAD = 8 * 1024 * 1024
#: Errors by which the network says that nothing can be reached just now.
_GONE = "the connection was reset"


class Stream:
    """One receiver at ``place``, over TLS where a ``context`` is given, which then verifies its name.

    ``stalled``: seconds without progress after which it is given up.
    """

    def __init__(
        self,
        place: Place,
        context: Callable[[], ssl.SSLContext] | None = None,
        *,
        stalled: float = _STALLED,
    ) -> None:
        self._place, self._context, self._stalled = place, context, stalled
        self._socket: socket.socket | None = None
        #: Number and size of what this connection has taken last.
        self._taken: deque[tuple[int, int]] = deque()
        self._kept = 0

    def open(self, number: int) -> int:
        """Connect, unless the connection stands. ``HemTLSError`` where certificates do not fit."""
        if self._socket is None:
            self._taken.clear()
            self._kept = 0
            try:
                self._socket = self._connected()
            except ssl.SSLCertVerificationError as error:
                raise HemTLSError(f"{self._place.text}: {error.verify_message or error.reason}") from None
            except ssl.SSLError as error:
                self._refused(error)
                raise Away(f"TLS: {error.reason or error}") from None
            except OSError as error:
                raise Away(_told(error)) from None
        return number

    def send(self, messages: Sequence[Message]) -> None:
        """Send, and wait for the confirmation of the peer's kernel."""
        for each in messages:
            self._taken.append((each.number, len(each.data)))
            self._kept += len(each.data)
        while self._kept - self._taken[0][1] > _UNREAD:
            self._kept -= self._taken.popleft()[1]
        self._guarded(lambda: self._send(b"".join(each.data for each in messages)))

    def idle(self, seconds: float) -> None:
        """Wait, and see at once when the peer ends."""
        self._guarded(lambda: self._idle(seconds))

    def finish(self) -> None:
        """Say that nothing follows, and wait for the peer's end: it comes when all was read."""
        if self._socket is not None:
            self._guarded(self._finish)
            self.close()

    def close(self) -> None:
        """End the connection, whatever became of it."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.close()
            self._socket = None

    def _connected(self) -> socket.socket:
        plain = socket.create_connection((self._place.host, self._place.port), _CONNECT)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in (
                (socket.TCP_KEEPIDLE, 60),
                (socket.TCP_KEEPINTVL, 15),
                (socket.TCP_KEEPCNT, 4),
            ):
                plain.setsockopt(socket.IPPROTO_TCP, option, value)
            if self._context is None:
                plain.settimeout(self._stalled)
                return plain
            secured = self._context().wrap_socket(plain, server_hostname=self._place.host)
        except BaseException:
            plain.close()
            raise
        try:
            secured.settimeout(_REFUSING)
            with suppress(TimeoutError):
                if not secured.recv(1):  # a ticket may come, or a refusal, but no data
                    raise ConnectionResetError(errno.ECONNRESET, "closed after the handshake")
            secured.settimeout(self._stalled)
        except BaseException:
            secured.close()
            raise
        return secured

    def _guarded(self, action: Callable[[], None]) -> None:
        """Run it; whatever ends the connection becomes ``Away``, with what the peer may not have read."""
        try:
            action()
        except Away:
            self.close()
            raise
        except ssl.SSLError as error:
            self.close()
            self._refused(error)
            raise Away(f"TLS: {error.reason or error}", self._first()) from None
        except OSError as error:
            self.close()
            raise Away(_told(error), self._first()) from None
        except BaseException:
            self.close()
            raise

    def _refused(self, error: ssl.SSLError) -> None:
        """``HemTLSError`` for what the peer says of our certificate, which waiting does not mend."""
        reason = error.reason or ""
        if "CERTIFICATE" in reason or reason in ("TLSV1_ALERT_UNKNOWN_CA", "TLSV1_ALERT_ACCESS_DENIED"):
            told = reason.lower().replace("_", " ")
            raise HemTLSError(f"{self._place.text}: the receiver refuses our certificate: {told}") from None

    def _first(self) -> int | None:
        return self._taken[0][0] if self._taken else None

    @property
    def _open(self) -> socket.socket:
        if self._socket is None:
            raise ConnectionResetError(errno.ECONNRESET, _GONE)
        return self._socket

    def _send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._open.send(view) :]
        self._settle()
        if self._ended():
            # It may have ended before these came; those before were confirmed by a connection that stood.
            raise Away("the receiver has closed the connection")

    def _settle(self) -> None:
        """Wait until the peer's kernel has all."""
        handle = self._open.fileno()
        left = unconfirmed(handle)
        while left:
            for _ in CLOCK.looks(self._stalled, *_PAUSES):
                now = unconfirmed(handle)
                if now < left or self._broken():
                    break
            else:
                raise Away(f"the receiver has taken nothing for {self._stalled:g} s")
            left = now

    def _broken(self) -> bool:
        error = self._open.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))
        return False

    def _ended(self) -> bool:
        """Whether the peer has ended. What it says is read and passed over."""
        connection = self._open
        connection.settimeout(0)
        try:
            while True:
                if not connection.recv(4096):
                    return True
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        finally:
            connection.settimeout(self._stalled)

    def _idle(self, seconds: float) -> None:
        ends = CLOCK.now() + seconds
        while (left := ends - CLOCK.now()) > 0:
            ready, _, _ = select.select([self._open], [], [], left)
            if ready and self._ended():
                raise Away("the receiver has closed the connection")

    def _finish(self) -> None:
        connection = self._open
        ends = CLOCK.now() + _ENDING
        if isinstance(connection, ssl.SSLSocket):
            connection.settimeout(_ENDING)
            try:
                self._socket = connection = connection.unwrap()  # our end, and the peer's
            except TimeoutError:
                return
            except (ssl.SSLError, OSError) as error:
                if isinstance(error, ConnectionResetError) or (
                    isinstance(error, ssl.SSLError) and not _is_end(error)
                ):
                    raise
                return  # it closed the connection without a word, having read everything
        connection.shutdown(socket.SHUT_WR)
        with suppress(TimeoutError):
            while (left := ends - CLOCK.now()) > 0:
                connection.settimeout(left)
                if not connection.recv(4096):
                    return


def _is_end(error: ssl.SSLError) -> bool:
    return isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)) or (
        error.reason in ("UNEXPECTED_EOF_WHILE_READING", "APPLICATION_DATA_AFTER_CLOSE_NOTIFY")
    )


def _told(error: OSError) -> str:
    if isinstance(error, TimeoutError) and error.errno is None:
        return "no answer in time"
    return error.strerror or str(error)
