"""Keeping the agent's secrets in memory alone: locked pages, no core files, nobody who looks in.

Linux's ``prctl(2)`` and ``mlock(2)``, by way of the C library. What Python copies on its way is not in these
pages; that is why an agent that is locked starts itself anew (``daemon``).
"""

from __future__ import annotations

import ctypes
import functools
import logging
import mmap
import os
from contextlib import suppress

__all__ = ["SecretPage", "hide_process", "raise_open_files"]

_log = logging.getLogger("hem_provider.agent")

_PR_SET_DUMPABLE, _PR_GET_DUMPABLE = 4, 3


@functools.cache
def _libc() -> ctypes.CDLL:
    """The C library of this process."""
    return ctypes.CDLL(None, use_errno=True)


def hide_process() -> bool:
    """No core files, and no other process of this user may look into the memory or attach to it.
    Whether the system agreed."""
    import resource  # which POSIX alone has

    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _libc().prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    hidden: bool = _libc().prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) == 0
    if not hidden:
        _log.warning("this system lets other processes look into the agent's memory")
    return hidden


def raise_open_files() -> None:
    """As many open files as the system lets this process have: each connection is one."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class SecretPage:
    """One page of memory for a secret of at most a page: locked where ``RLIMIT_MEMLOCK`` allows, left out of
    core files and not copied into children. ``locked`` says whether it cannot be swapped out."""

    def __init__(self, size: int) -> None:
        if not 0 < size <= mmap.PAGESIZE:
            raise ValueError(f"size: {size} bytes; accepted: 1 to {mmap.PAGESIZE}")
        self._page = mmap.mmap(-1, mmap.PAGESIZE)
        for advice in ("MADV_DONTDUMP", "MADV_DONTFORK"):
            with suppress(OSError):
                self._page.madvise(getattr(mmap, advice))
        place = ctypes.addressof(ctypes.c_char.from_buffer(self._page))
        self.locked = _libc().mlock(ctypes.c_void_p(place), ctypes.c_size_t(mmap.PAGESIZE)) == 0
        if not self.locked:
            _log.warning("a secret's page cannot be locked: %s", os.strerror(ctypes.get_errno()))
        #: The secret's bytes, zero at first.
        self.view = memoryview(self._page)[:size]

    def take(self, handle: int) -> None:
        """Move the content of an open memory file here: it is overwritten there. No copy is made on the way.

        ``ValueError`` when it has another size than this secret.
        """
        size = os.fstat(handle).st_size
        if size != len(self.view):
            raise ValueError(f"the memory file has {size} bytes; accepted: {len(self.view)}")
        # Not mapped: whoever has the file as well could cut it meanwhile, which would end this process.
        if os.preadv(handle, [self.view], 0) != size or os.pwrite(handle, bytes(size), 0) != size:
            self.view[:] = bytes(size)
            raise ValueError("the memory file was changed meanwhile")
