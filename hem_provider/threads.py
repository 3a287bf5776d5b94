"""Whether this package may make threads: a host program may forbid it (PKCS#11's
``CKF_LIBRARY_CANT_CREATE_OS_THREADS``)."""

from __future__ import annotations

__all__ = ["allow_threads", "threads_allowed"]

_allowed = True


def allow_threads(allowed: bool) -> None:
    """Settle it for the whole process."""
    global _allowed
    _allowed = allowed


def threads_allowed() -> bool:
    """What was settled; at first they are allowed."""
    return _allowed
