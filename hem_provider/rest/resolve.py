"""Addresses of a host's name, within a deadline.

The C library's look-up cannot be told how long it may take; it is asked in a thread, which is left
behind when the time is up (it ends when the library gives up). An address needs no thread; where none
may be made, or is to be had, a look-up takes what it takes.
"""

from __future__ import annotations

import socket

from hem_provider.rest.deadline import Deadline
from hem_provider.threads import begin_thread

__all__ = ["Address", "look_up"]

#: As ``socket.getaddrinfo`` gives it: family, type, protocol, canonical name, address.
Address = tuple[int, int, int, str, tuple[object, ...]]


def look_up(host: str, port: int, deadline: Deadline) -> list[Address]:
    """All addresses in the system's order of preference.

    Raises ``OSError`` (``socket.gaierror``) for a name that has none, ``TimeoutError`` at the deadline.
    """
    try:
        return _ask(host, port, socket.AI_NUMERICHOST)
    except OSError:
        pass  # a name
    deadline.stage = "address for its name"
    answer: list[list[Address] | OSError] = []

    def ask() -> None:
        try:
            answer.append(_ask(host, port, 0))
        except OSError as error:
            answer.append(error)
        except UnicodeError as error:  # a label that is empty or too long
            answer.append(OSError(f"{host!r} is no host name: {error}"))

    thread = begin_thread(ask, "hem look-up")
    if thread is None:
        ask()
    else:
        thread.join(deadline.left())
    if not answer:
        deadline.left()  # raises: the time is up, or
        raise TimeoutError(f"no address for {host}")
    if isinstance(answer[0], OSError):
        raise answer[0]
    return answer[0]


def _ask(host: str, port: int, flags: int) -> list[Address]:
    return socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, flags)  # type: ignore[return-value]
