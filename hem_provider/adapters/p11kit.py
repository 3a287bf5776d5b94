"""What p11-kit is told of modules: the files of pkcs11.conf(5), which name a library each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from hem_provider.errors import HemConfigError
from hem_provider.files import config_home, read_file
from hem_provider.records import frozen

__all__ = ["Registration", "directories", "registrations"]

#: For all users: the machine's own, and those of its packages.
_SYSTEM = (Path("/etc/pkcs11/modules"), Path("/usr/share/p11-kit/modules"))
_SUFFIX = ".module"
_MAX_FILE = 64 * 1024


@frozen
class Registration:
    """A ``file`` that names the library ``module``."""

    file: Path
    module: Path


def directories() -> tuple[Path, ...]:
    """Where p11-kit looks, the user's own directory first."""
    place = config_home()
    own = () if place is None else (place / "pkcs11" / "modules",)
    return (*own, *_SYSTEM)


def registrations(name: str, places: Iterable[Path] | None = None) -> list[Registration]:
    """Who names a library whose file is called ``name``; files that cannot be read name none."""
    found = []
    for place in directories() if places is None else places:
        try:
            files = sorted(each for each in place.iterdir() if each.suffix == _SUFFIX)
        except OSError:
            continue
        for file in files:
            found += [Registration(file, module) for module in _named(file) if module.name == name]
    return found


def _named(file: Path) -> Iterator[Path]:
    try:
        text = read_file(file, "the file", limit=_MAX_FILE, trusted=False).decode("utf-8", "surrogateescape")
    except (OSError, HemConfigError):
        return
    for line in text.split("\n"):
        word, colon, value = line.partition(":")
        if colon and word.strip() == "module" and value.strip():
            yield Path(value.strip())
