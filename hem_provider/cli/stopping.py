"""Waiting for a signal, of which none is lost."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["ENDING", "signalled"]

#: What says that it is enough.
ENDING = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def signalled(*numbers: signal.Signals) -> Iterator[Callable[[], signal.Signals]]:
    """Takes these signals (:data:`ENDING` where none are named) from its beginning to its end; what it gives
    waits for one and says which. Main thread only, while others work.

    No signal is lost, whenever it comes: Python notes it as a byte in a socket at once, while a handler runs
    when the interpreter gets to it, which may be after it has begun to wait.
    """
    wanted = numbers or ENDING
    woken, wakes = socket.socketpair()
    with woken, wakes:
        wakes.setblocking(False)
        before = signal.set_wakeup_fd(wakes.fileno())
        handlers = {each: signal.signal(each, lambda *_: None) for each in wanted}

        def wait() -> signal.Signals:
            while (number := woken.recv(1)[0]) not in handlers:
                pass
            return signal.Signals(number)

        try:
            yield wait
        finally:
            signal.set_wakeup_fd(before)
            for each, handler in handlers.items():
                signal.signal(each, handler)
