"""Sockets that keep a deadline: before each step the time that is left becomes the socket's own limit.

A socket's limit alone is for one step; a peer that sends a byte now and then would never meet it.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Any

from hem_provider.rest.deadline import Deadline
from hem_provider.rest.resolve import look_up

__all__ = ["Timed", "TimedSocket", "open_socket"]


class Timed:
    """Beside a socket class: every step of it is within ``deadline``, once one is set."""

    deadline: Deadline | None = None

    def _arm(self) -> None:
        if self.deadline is not None:
            self.settimeout(self.deadline.left())  # type: ignore[attr-defined]

    def _came(self, count: int) -> None:
        if self.deadline is not None:
            self.deadline.received(count)

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        """Receive into a buffer: the bytes that came. ``TimeoutError``, ``AnswerTooLargeError``."""
        self._arm()
        count: int = super().recv_into(*args, **kwargs)  # type: ignore[misc]
        self._came(count)
        return count

    def recv(self, *args: Any, **kwargs: Any) -> bytes:
        """Receive at most so many bytes. ``TimeoutError``, ``AnswerTooLargeError``."""
        self._arm()
        data: bytes = super().recv(*args, **kwargs)  # type: ignore[misc]
        self._came(len(data))
        return data

    def send(self, *args: Any, **kwargs: Any) -> int:
        """Send some of the bytes: how many. ``TimeoutError``."""
        self._arm()
        count: int = super().send(*args, **kwargs)  # type: ignore[misc]
        return count

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        """Send all bytes. ``TimeoutError``."""
        self._arm()
        super().sendall(*args, **kwargs)  # type: ignore[misc]


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
