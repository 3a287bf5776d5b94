"""Files read while they can be, for a process that loses sight of them later.

A server reads its configuration as root and then changes its root directory or gives up its rights
for good; the CA file and the passphrase file that the configuration names are needed after that.
What was read ahead is used only then: as long as a file can be read, it decides.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from hem_provider.errors import HemConfigError
from hem_provider.records import frozen

__all__ = ["forget", "keep", "out_of_sight"]


@frozen
class _Seen:
    """What was in a file, and who read it from where."""

    content: bytearray
    user: int
    root: tuple[int, int]


_seen: dict[Path, _Seen] = {}


def keep(path: Path, read: Callable[[Path], bytes]) -> None:
    """Keep what ``read`` gives for ``path``. A file that cannot be read shows where it is used."""
    try:
        _seen[path] = _Seen(bytearray(read(path)), os.geteuid(), _root())
    except (OSError, HemConfigError):
        return  # a worker without the rights that its parent had goes on with what that has read


def out_of_sight(path: Path, error: OSError) -> bytes | None:
    """The content of a file that cannot be read any more (``error``), because this process has another
    root directory or another user than when it was read ahead; ``None`` for any other reason."""
    seen = _seen.get(path)
    if seen is None:
        return None
    gave_up_rights = isinstance(error, PermissionError) and seen.user != os.geteuid()
    return bytes(seen.content) if gave_up_rights or seen.root != _root() else None


def forget() -> None:
    """Overwrite and drop all of it."""
    for each in _seen.values():
        each.content[:] = bytes(len(each.content))
    _seen.clear()


def _root() -> tuple[int, int]:
    status = Path("/").stat()
    return status.st_dev, status.st_ino
