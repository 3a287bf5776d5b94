"""Sockets that keep a deadline: before each step the time that is left becomes the socket's own limit.

A socket's limit alone is for one step; a peer that sends a byte now and then would never meet it.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from hem_provider.rest.deadline import Deadline
from hem_provider.rest.resolve import look_up

__all__ = ["Timed", "TimedSocket", "open_socket"]

T = TypeVar("T")


class Timed:
    """Beside a socket class: every step of it is within ``deadline``, once one is set."""

    deadline: Deadline | None = None
    #: What a step raises that cannot be done yet, where the socket does not block.
    not_yet: tuple[type[OSError], ...] = (BlockingIOError,)
    _poll: select.poll | None = None

    def unblock(self) -> None:
        """From now on steps wait for the deadline by themselves. A socket with a limit of its own would be
        given it anew for each step, asked whether it can write, and read before there is anything."""
        self.setblocking(False)  # type: ignore[attr-defined]
        self._poll = select.poll()
        self._poll.register(self, select.POLLIN)  # type: ignore[arg-type]

    def has_come(self) -> bool:
        """Whether there is something to read, or an end, of a socket that does not block."""
        assert self._poll is not None  # noqa: S101 - the caller has seen to it
        self._poll.modify(self, select.POLLIN)  # type: ignore[arg-type]
        return bool(self._poll.poll(0))

    def _arm(self) -> None:
        if self.deadline is not None:
            self.settimeout(self.deadline.left())  # type: ignore[attr-defined]

    def _came(self, count: int) -> None:
        if self.deadline is not None:
            self.deadline.received(count)

    def _is_buffered(self) -> bool:
        """Whether there is something to read that the system does not know of."""
        return False

    def _awaited(self, event: int, error: OSError) -> int:  # noqa: ARG002 - not of a plain one
        """What is waited for before a step that raised ``error`` is done again."""
        return event

    def _wait(self, event: int) -> None:
        assert self._poll is not None and self.deadline is not None  # noqa: S101, PT018 - see ``_done``
        self._poll.modify(self, event)  # type: ignore[arg-type]
        while not self._poll.poll(self.deadline.left() * 1000):
            pass

    def _done(self, step: Callable[..., T], event: int, *values: Any) -> T:
        """What ``step`` gives."""
        if self._poll is None or self.deadline is None:
            self._arm()
            return step(*values)
        self.deadline.left()
        if event == select.POLLIN and not self._is_buffered():
            self._wait(event)
        while True:
            try:
                return step(*values)
            except self.not_yet as error:
                self._wait(self._awaited(event, error))

    def recv_into(self, *args: Any) -> int:
        """Receive into a buffer: the bytes that came. ``TimeoutError``, ``AnswerTooLargeError``."""
        count: int = self._done(super().recv_into, select.POLLIN, *args)  # type: ignore[misc]
        self._came(count)
        return count

    def recv(self, *args: Any) -> bytes:
        """Receive at most so many bytes. ``TimeoutError``, ``AnswerTooLargeError``."""
        data: bytes = self._done(super().recv, select.POLLIN, *args)  # type: ignore[misc]
        self._came(len(data))
        return data

    def send(self, *args: Any) -> int:
        """Send some of the bytes: how many. ``TimeoutError``."""
        count: int = self._done(super().send, select.POLLOUT, *args)  # type: ignore[misc]
        return count

    def sendall(self, *args: Any) -> None:
        """Send all bytes. ``TimeoutError``."""
        if self._poll is None:
            self._done(super().sendall, select.POLLOUT, *args)  # type: ignore[misc]
            return
        data, *flags = args
        sent = self.send(data, *flags)
        while sent < len(data):
            sent += self.send(memoryview(data)[sent:], *flags)


class TimedSocket(Timed, socket.socket):
    """A plain one."""


def open_socket(host: str, port: int, deadline: Deadline, options: Iterable[Any] | None) -> TimedSocket:
    """A connection to ``host``, or why there is none (``OSError``).

    Each address but the last gets half of the time that is left, so that one which swallows
    everything does not hide the others.
    """
    addresses = look_up(host.strip("[]"), port, deadline)
    deadline.stage = "connection"
    problem: OSError = OSError(f"{host} has no address")
    for number, (family, kind, protocol, _, address) in enumerate(addresses, 1):
        connection = TimedSocket(family, kind, protocol)
        try:
            for option in options or ():
                connection.setsockopt(*option)
            left = deadline.left()
            connection.settimeout(left if number == len(addresses) else left / 2)
            connection.connect(address)
        except OSError as error:
            connection.close()
            problem = error
        else:
            connection.deadline = deadline
            return connection
    raise problem
