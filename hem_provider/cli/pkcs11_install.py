"""``hem pkcs11 install``: a file that names the module to p11-kit (pkcs11.conf(5))."""

from __future__ import annotations

import os
from pathlib import Path

from hem_provider.errors import HemConfigError
from hem_provider.files import config_home, read_file, replace_file, sweep

__all__ = ["FILE_NAME", "SYSTEM_DIRECTORY", "default_directory", "install"]

FILE_NAME = "hem.module"
#: For all users. /usr/share/p11-kit/modules is read as well and belongs to the distribution's packages.
SYSTEM_DIRECTORY = Path("/etc/pkcs11/modules")
_MAX_FILE = 64 * 1024
_MARK = "# Written by 'hem pkcs11 install', which may write it again."


def default_directory() -> Path:
    """Where p11-kit looks: as root for all users, else for this one.

    Raises ``HemConfigError`` where this user has no home.
    """
    if os.geteuid() == 0:
        return SYSTEM_DIRECTORY
    place = config_home()
    if place is None:
        raise HemConfigError("this user has no home where p11-kit would look; name a --directory")
    return place / "pkcs11" / "modules"


def install(module: Path, directory: Path, *, force: bool = False) -> Path:
    """Write the file that names ``module`` into ``directory``, whole or not at all; returns its path.

    Raises ``HemConfigError`` when the place cannot be written, or when a file that is not ours is there and
    ``force`` is not given.
    """
    file = directory / FILE_NAME
    try:
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        if not force and not _ours(file):
            raise HemConfigError(f"{file} is there and was not written by this command; --force replaces it")
        sweep(directory, file.name)
        replace_file(file, f"{_MARK}\nmodule: {module}\n".encode("utf-8", "surrogateescape"), mode=0o644)
    except OSError as error:
        raise HemConfigError(f"{file}: cannot be written: {error.strerror}") from error
    return file


def _ours(file: Path) -> bool:
    """Whether nothing is lost when ``file`` is replaced."""
    if file.is_symlink():
        return False
    try:
        return read_file(file, "the file", limit=_MAX_FILE, trusted=False).startswith(_MARK.encode())
    except FileNotFoundError:
        return True
