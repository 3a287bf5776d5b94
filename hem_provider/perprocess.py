"""State that belongs to one process: after ``fork`` the child starts with its own.

The parent's value is left alone in the child, not closed: its sockets and locks are the parent's.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["PerProcess"]

T = TypeVar("T")


class PerProcess(Generic[T]):
    """``get()`` gives this process's value, made on first use."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._values: dict[int, T] = {}

    def get(self) -> T:
        """This process's value."""
        pid = os.getpid()
        value = self._values.get(pid)
        # setdefault is atomic: two threads get the same value. Cheap to make, by contract.
        return self._values.setdefault(pid, self._make()) if value is None else value

    def discard(self) -> T | None:
        """Forget this process's value; the next ``get`` makes a new one."""
        return self._values.pop(os.getpid(), None)
