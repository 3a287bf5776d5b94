"""Reading a file that a person names: a small regular one, without waiting for a FIFO or filling memory."""

from __future__ import annotations

import os
import stat
from typing import Final

__all__ = ["read_small_file"]

_MAX_BYTES: Final = 1024 * 1024


def read_small_file(path: str | os.PathLike[str]) -> bytes:
    """The content of a regular file of at most 1 MiB; ``ValueError`` for anything else, ``OSError`` as of
    ``open``."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError(f"{os.fspath(path)}: not a regular file")
        data = os.read(descriptor, _MAX_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(data) > _MAX_BYTES:
        raise ValueError(f"{os.fspath(path)}: over {_MAX_BYTES} bytes")
    return data
