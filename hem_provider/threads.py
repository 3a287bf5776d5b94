"""Threads of this package. A host program may forbid them (PKCS#11's ``CKF_LIBRARY_CANT_CREATE_OS_THREADS``),
and those that there are take no signals, since these are the program's."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

__all__ = ["allow_threads", "begin_thread", "threads_allowed"]

_allowed = True


def allow_threads(allowed: bool) -> None:
    """Settle it for the whole process."""
    global _allowed
    _allowed = allowed


def threads_allowed() -> bool:
    """What was settled; at first they are allowed."""
    return _allowed


def begin_thread(run: Callable[[], object], name: str, *, daemon: bool = True) -> threading.Thread | None:
    """A thread that has begun; ``None`` where none may be, or none can (``RLIMIT_NPROC``, a control group,
    seccomp, the end of the interpreter). ``daemon``: the end of the program does not wait for it."""
    if not _allowed:
        return None
    thread = threading.Thread(target=run, name=name, daemon=daemon)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        thread.start()
    except RuntimeError:
        return None
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return thread
