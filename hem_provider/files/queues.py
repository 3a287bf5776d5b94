"""What is handed to another program by a socket: how much of it has not been taken yet, and memory that is
handed over in the place of data."""

from __future__ import annotations

import os
import struct

__all__ = ["sealed_memory", "unconfirmed"]

_COUNT = struct.Struct("i")


def unconfirmed(handle: int) -> int:
    """Bytes that were sent and that the peer's kernel has not confirmed (TCP), or that its program has not
    read (Unix sockets): ``SIOCOUTQ`` of tcp(7), unix(7). Raises ``OSError``."""
    import fcntl  # both are of POSIX alone
    import termios

    told = fcntl.ioctl(handle, termios.TIOCOUTQ, bytes(_COUNT.size))  # the same request by its older name
    return int(_COUNT.unpack(told)[0])


def sealed_memory(name: str, data: bytes) -> int:
    """A descriptor of a memory file with ``data`` that nobody can change any more (memfd_create(2)): what
    journald takes in the place of a datagram. ``name`` is for people who debug. Raises ``OSError``."""
    import fcntl

    seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
    handle = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        fcntl.fcntl(handle, fcntl.F_ADD_SEALS, seals)
    except BaseException:
        os.close(handle)
        raise
    return handle
