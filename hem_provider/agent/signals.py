"""Signals that end the agent: none of them may be lost while it becomes itself anew."""

from __future__ import annotations

import signal

__all__ = ["ENDING", "hold_back", "let_through"]

#: What ends it, as far as the system has it.
ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name))


def hold_back() -> None:
    """They wait from here on: in a thread, for the main one; in the main one, for the agent that it becomes,
    since what is held back outlasts ``execve``."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)


def let_through() -> None:
    """Whoever takes them is there."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
