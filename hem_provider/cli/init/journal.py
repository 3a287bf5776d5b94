"""What ``hem init`` has to remember when it is broken off: no secret, and only what no device tells.

A file for each device that is being set up, for its owner alone, gone at the end.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Self

from hem_provider.errors import HemConfigError
from hem_provider.files import data_home, make_private, read_own, replace_file, sweep
from hem_provider.records import asdict, field, mutable

__all__ = ["Journal", "unfinished"]

#: Largest, in bytes.
_LARGEST = 64 * 1024


@mutable
class Journal:
    """``eid``: the device's identity; ``address``: where it was found; ``url``: where it will be used;
    ``answers``: what its owner chose; ``restart``: it is to restart still; ``order``: number and pin
    of a certificate that is being made; ``phone``, ``key``: whether the
    question is settled."""

    eid: str
    address: str
    url: str
    answers: dict[str, Any] = field(default_factory=dict)
    firmware: str = ""
    restart: bool = False
    order: tuple[str, str] | None = None
    phone: bool = False
    key: bool = False

    def save(self) -> None:
        """Keep it: whole, or the one before. ``OSError``."""
        path = _path(self.eid)
        make_private(path.parent)
        sweep(path.parent)
        replace_file(path, json.dumps(asdict(self), indent=2).encode("utf-8"))

    def remove(self) -> None:
        """All is done."""
        _path(self.eid).unlink(missing_ok=True)

    @classmethod
    def of(cls, eid: str) -> Self | None:
        """The one of this device, if it is being set up from here."""
        path = _path(eid)
        return cls._read(path) if path.exists() else None

    @classmethod
    def _read(cls, path: Path) -> Self:
        try:
            return cls(**json.loads(read_own(path, _LARGEST)))
        except OSError as error:
            raise HemConfigError(f"{path}: cannot be read: {error.strerror}") from None
        except (ValueError, TypeError):
            raise HemConfigError(f"{path}: is not what hem init has written; remove it") from None


def unfinished() -> list[Journal]:
    """Of all devices that are being set up from here."""
    folder = _folder()
    return [Journal._read(each) for each in sorted(folder.glob("*.json"))] if folder.is_dir() else []


def _folder() -> Path:
    place = data_home()
    if place is None:
        raise HemConfigError("no home is known in which hem init could remember how far it is: set HOME")
    return place / "hem" / "setup"


def _path(eid: str) -> Path:
    return _folder() / f"{hashlib.sha256(eid.encode()).hexdigest()[:32]}.json"
