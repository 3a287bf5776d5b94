"""Where the result of a command goes: a file, whole or not at all, or standard output."""

from __future__ import annotations

import errno
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hem_provider.cli.statuses import UsageFault
from hem_provider.errors import HemConfigError
from hem_provider.files import replace_file, sweep

__all__ = ["check_target", "is_taken", "print_json", "timestamp", "write"]


def check_target(output: Path | None, *, force: bool, binary: bool = False, what: str = "the result") -> None:
    """Refuse, before anything is done, what ``write`` could not do: ``HemConfigError`` for a file that is
    there already without ``force``, ``OSError`` for a folder that is not there or takes no files,
    ``UsageFault`` for what is ``binary`` on a terminal."""
    if output is None:
        if binary and sys.stdout.isatty():
            raise UsageFault(f"{what} is not text: give --output FILE, or send it elsewhere")
        return
    if output.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(output))
    if _is_special(output):
        raise HemConfigError(
            f"{output}: it is no regular file, and is not replaced; give another one, or none"
        )
    if output.exists() and not force:
        raise is_taken(output)
    folder = output.parent
    for missing, code in (
        (not folder.is_dir(), errno.ENOENT),
        (not os.access(folder, os.W_OK), errno.EACCES),
    ):
        if missing:
            raise OSError(code, os.strerror(code), str(folder))


def is_taken(output: Path) -> HemConfigError:
    """The refusal of a file that is there already, before it is written and while it is."""
    return HemConfigError(f"{output}: there is such a file already; --force replaces it", code="E-FILE-THERE")


def _is_special(output: Path) -> bool:
    """Whether it is more than a file, and would be gone when a file took its place: a FIFO, ``/dev/stdout``
    (which leads to whatever standard output is, a regular file, too)."""
    place = output.absolute().parts[:3]
    among_devices = place[:2] in (("/", "dev"), ("/", "proc")) and place != ("/", "dev", "shm")
    return among_devices or (output.exists() and not output.is_file())


def write(data: bytes, output: Path | None, *, force: bool, mode: int = 0o644) -> None:
    """Put ``data`` in the place of ``output``, or print it as it is. ``HemConfigError`` for a file that has
    come there since ``check_target`` looked, without ``force``; ``OSError``."""
    if output is not None:
        sweep(output.parent, output.name)
        try:
            replace_file(output, data, mode=mode, replace=force)
        except FileExistsError:
            raise is_taken(output) from None
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def timestamp(seconds: float) -> str:
    """A moment as documents have it (RFC 3339, UTC), from Unix seconds."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def print_json(document: dict[str, Any]) -> None:
    """Print the one document of ``--json``."""
    print(json.dumps(document, indent=2, ensure_ascii=False))
