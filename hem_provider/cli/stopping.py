"""Serving until a signal says that it is enough."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["stopping"]


@contextmanager
def stopping(stop: Callable[[], None]) -> Iterator[None]:
    """Takes SIGTERM and SIGINT from its beginning on; at its end it waits for one, and calls ``stop``. Main
    thread only, while others serve.

    No signal is lost, whenever it comes: Python notes it as a byte in a socket at once, while a handler runs
    when the interpreter gets to it, which may be after it has begun to wait.
    """
    woken, wakes = socket.socketpair()
    with woken, wakes:
        wakes.setblocking(False)
        before = signal.set_wakeup_fd(wakes.fileno())
        ends = (signal.SIGTERM, signal.SIGINT)
        handlers = {each: signal.signal(each, lambda *_: None) for each in ends}
        try:
            yield
            while woken.recv(1)[0] not in handlers:
                pass
            stop()
        finally:
            signal.set_wakeup_fd(before)
            for each, handler in handlers.items():
                signal.signal(each, handler)
