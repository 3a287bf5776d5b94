"""Flags for opening files (open(2)); 0, and so without effect, on a system that has not the one."""

from __future__ import annotations

import os

__all__ = ["CLOEXEC", "DIRECTORY", "NOCTTY", "NOFOLLOW", "NONBLOCK", "TMPFILE"]


def _flag(name: str) -> int:
    value: int = getattr(os, name, 0)
    return value


CLOEXEC = _flag("O_CLOEXEC")
DIRECTORY = _flag("O_DIRECTORY")
NOCTTY = _flag("O_NOCTTY")
NOFOLLOW = _flag("O_NOFOLLOW")
NONBLOCK = _flag("O_NONBLOCK")
TMPFILE = _flag("O_TMPFILE")
