"""A device's turn: one request at a time, in order, with a pause between two (device API §1.4).

Among threads by a lock; among the processes of one user by an advisory file lock. The latter waits
for a bounded time and then goes on: a process that hangs must not stop the others for good.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hem_provider.errors import HemTimeout
from hem_provider.rest.perprocess import PerProcess
from hem_provider.trust import privileges_raised

__all__ = ["lock_directory", "turn"]

_log = logging.getLogger("hem_provider.rest")

#: Longest wait for another thread, in time-outs of a request.
_PATIENCE = 8
#: Waiting for another process: first and longest pause between two tries, in seconds.
_SHORTEST, _LONGEST = 0.001, 0.05


class _Line:
    """One device's line in this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.last = 0.0


#: One line per device URL and process, whatever number of objects speak to it.
_lines: PerProcess[dict[str, _Line]] = PerProcess(dict)


@contextmanager
def turn(url: str, *, where: str, timeout: float, spacing: float, among_processes: bool) -> Iterator[None]:
    """Hold the device's turn. ``HemTimeout`` when other threads keep it for too long.

    ``timeout``: of the request about to be made; ``spacing``: least pause since the last, seconds.
    """
    line = _lines.get().setdefault(url, _Line())
    if not line.lock.acquire(timeout=_PATIENCE * max(timeout, 1.0)):
        raise HemTimeout(f"{where}: the device is busy with others")
    try:
        pause = line.last + spacing - time.monotonic()
        if pause > 0:
            time.sleep(pause)
        try:
            if among_processes:
                with _file_lock(url, timeout):
                    yield
            else:
                yield
        finally:
            line.last = time.monotonic()
    finally:
        line.lock.release()


def lock_directory() -> Path | None:
    """Where lock files are: this user's runtime directory, else one of our own below ``/tmp``.

    ``None`` where there is no safe place, or in a process with raised privileges.
    """
    if privileges_raised():
        return None
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    path = Path(runtime) / "hem" if runtime else Path(f"/tmp/hem-{os.getuid()}")  # noqa: S108 - checked below
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        seen = path.lstat()
    except OSError:
        return None
    safe = stat.S_ISDIR(seen.st_mode) and seen.st_uid == os.getuid() and not seen.st_mode & 0o022
    return path if safe else None


@contextmanager
def _file_lock(url: str, patience: float) -> Iterator[None]:
    directory = lock_directory()
    if directory is None:
        yield
        return
    name = hashlib.sha256(url.encode("utf-8")).hexdigest()[:32]
    try:
        handle = os.open(
            directory / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
    except OSError:
        yield
        return
    try:
        held = _acquire(handle, patience)
        if not held:
            _log.warning("%s: another process has kept the device for %g s; going on", url, patience)
        try:
            yield
        finally:
            if held:
                # Not by closing alone: a child forked meanwhile has a copy of the handle.
                fcntl.flock(handle, fcntl.LOCK_UN)
    finally:
        os.close(handle)


def _acquire(handle: int, patience: float) -> bool:
    deadline = time.monotonic() + patience
    pause = _SHORTEST
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST)
        except OSError:  # a file system without locks
            return False
        else:
            return True
