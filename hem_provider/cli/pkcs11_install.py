"""``hem pkcs11 install``: a file that names the module to p11-kit (pkcs11.conf(5))."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from hem_provider.errors import HemConfigError

__all__ = ["FILE_NAME", "SYSTEM_DIRECTORY", "default_directory", "install"]

FILE_NAME = "hem.module"
#: For all users. /usr/share/p11-kit/modules is read as well and belongs to the distribution's packages.
SYSTEM_DIRECTORY = Path("/etc/pkcs11/modules")
_MARK = "# Written by 'hem pkcs11 install', which may write it again."


def default_directory() -> Path:
    """Where p11-kit looks: as root for all users, else for this one."""
    if os.geteuid() == 0:
        return SYSTEM_DIRECTORY
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "pkcs11" / "modules"


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
        _write(file, f"{_MARK}\nmodule: {module}\n")
    except OSError as error:
        raise HemConfigError(f"{file}: cannot be written: {error.strerror}") from error
    return file


def _ours(file: Path) -> bool:
    """Whether nothing is lost when ``file`` is replaced."""
    if file.is_symlink():
        return False
    try:
        return file.read_bytes().startswith(_MARK.encode())
    except FileNotFoundError:
        return True


def _write(file: Path, text: str) -> None:
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as opened:
            opened.write(text)
        temporary.replace(file)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise
