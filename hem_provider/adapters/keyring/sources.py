"""Entries of other ``keyring`` backends, to be brought into a vault.

``keyring`` has no call that lists a backend's entries. Those that keep them in one INI file
(``keyrings.alt``, ``keyrings.cryptfile``) name them in clear there, which is read here; for any
other backend the caller has to name them.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Callable
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.core import load_keyring

from hem_provider.errors import HemConfigError, HemError
from hem_provider.files import read_file

__all__ = ["SourceError", "listed_names", "load_backend", "read_password"]

#: The section in which the file backends keep their own settings.
_SETTINGS = "keyring-setting"
_ESCAPE = re.compile(rb"_([0-9A-Fa-f]{2})")

#: Largest file of entries that is read, in bytes.
_MAX_FILE = 64 * 1024 * 1024


class SourceError(HemError):
    """The other backend does not give an entry."""


def load_backend(name: str) -> KeyringBackend:
    """A backend by the name ``keyring --list-backends`` shows, ``package.module.Class``, with the
    properties that ``KEYRING_PROPERTY_…`` variables give it.

    ``HemConfigError`` when there is none, or it cannot be used here.
    """
    try:
        backend = load_keyring(name.split(" (priority:", 1)[0].strip())
        backend.set_properties_from_env()  # some backends forget to
    except Exception as error:
        raise HemConfigError(f"no keyring backend {name!r} can be loaded: {_said(error)}") from error
    return backend


def listed_names(backend: KeyringBackend) -> list[tuple[str, str]] | None:
    """Service and user name of each entry; ``None`` when the backend does not tell them.

    The file backends write user names in lower case, whatever they were. ``SourceError`` when its file cannot
    be read.
    """
    path = getattr(backend, "file_path", None)
    if not isinstance(path, (str, Path)):
        return None
    config = configparser.RawConfigParser()
    try:
        config.read_string(_text(Path(path)), source=str(path))
        names = [
            (_unescaped(section), _unescaped(option))
            for section in config.sections()
            for option in config[section]
        ]
    except (configparser.Error, UnicodeError) as error:
        raise SourceError(f"{path}: not a file of entries: {_said(error)}") from error
    return [name for name in names if name[0] != _SETTINGS]


def _text(path: Path) -> str:
    """Of a file that is not there yet: nothing."""
    try:
        data = read_file(path, "the file of entries", limit=_MAX_FILE, trusted=False)
    except FileNotFoundError:
        return ""
    except (OSError, HemConfigError) as error:
        raise SourceError(f"{path}: cannot be read: {_said(error)}") from error
    if len(data) > _MAX_FILE:
        raise SourceError(f"{path}: over {_MAX_FILE} bytes")
    return data.decode("utf-8")


def read_password(backend: KeyringBackend, service: str, user: str) -> str:
    """One password. ``SourceError`` when it is not there or the backend fails, whatever it raises."""
    password = _attempt(lambda: backend.get_password(service, user), service, user)
    if password is None:
        raise SourceError(f"{service!r}, {user!r}: the other backend has no such entry")
    if not isinstance(password, str):
        raise SourceError(
            f"{service!r}, {user!r}: the other backend gives {type(password).__name__}, not str"
        )
    return password


def _attempt(action: Callable[[], str | None], service: str, user: str) -> str | None:
    try:
        return action()
    except Exception as error:
        raise SourceError(f"{service!r}, {user!r}: the other backend fails: {_said(error)}") from error


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _unescaped(word: str) -> str:
    """``_2D`` and the like for bytes of UTF-8 (the escaping of ``keyrings.alt``)."""
    return _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), word.encode("utf-8")).decode("utf-8")
