"""How each setting's value is written: one small parser per kind, and the tables that use them.

A parser takes what TOML, the environment or a caller gave and returns the value to keep, or raises
``RejectedValueError`` whose text says what is accepted instead.
"""

from __future__ import annotations

import base64
import binascii
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from hem_provider.trust import privileges_raised

__all__ = ["DEVICE_SETTINGS", "PKCS11_SETTINGS", "Parser", "RejectedValueError"]

Parser = Callable[[object], object]


class RejectedValueError(ValueError):
    """A value's own complaint: what is accepted instead."""


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or "\n" in value:
        raise RejectedValueError("a non-empty line of text")
    return value


def _name(value: object) -> str:
    text = _text(value)
    if not (text.isascii() and text.isprintable() and len(text) <= 32):
        raise RejectedValueError("1 to 32 printable ASCII characters")
    return text


def _url(value: object) -> str:
    text = _text(value)
    parts = urlsplit(text)
    if parts.scheme in ("https", "http"):
        try:
            whole = bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:
            whole = False
        if whole and not (parts.query or parts.fragment or parts.username or parts.password):
            return text.rstrip("/")
    elif parts.scheme in ("emulator", "unix") and parts.path:
        return text
    raise RejectedValueError("https://HOST[:PORT], http://HOST[:PORT], emulator:PATH or unix:PATH")


def _cloud(value: object) -> str:
    text = _url(value)
    if not text.startswith("https://"):
        raise RejectedValueError("https://HOST[:PORT]: the cloud service is always verified")
    return text


def _proxy(value: object) -> str:
    text = _text(value)
    if urlsplit(text).scheme not in ("http", "https") or not urlsplit(text).hostname:
        raise RejectedValueError("http://HOST:PORT")
    return text


def _path(value: object) -> Path:
    path = Path(_text(value))
    if str(path).startswith("~") and not privileges_raised():
        path = path.expanduser()
    if not path.is_absolute():
        raise RejectedValueError("an absolute path")
    return path


def _flag(value: object) -> bool:
    if isinstance(value, str) and value in ("0", "1"):
        return value == "1"
    if not isinstance(value, bool):
        raise RejectedValueError("true or false")
    return value


def _seconds(least: float, most: float) -> Callable[[object], float]:
    def parse(value: object) -> float:
        try:
            number = float(value) if isinstance(value, int | float | str) else least - 1
        except ValueError:
            number = least - 1
        if isinstance(value, bool) or not least <= number <= most:
            raise RejectedValueError(f"seconds from {least:g} to {most:g}")
        return number

    return parse


def _slot(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise RejectedValueError("a whole number from 0 to 2147483647")
    return value


def _pin(value: object) -> str:
    text = _text(value)
    if re.fullmatch(r"[0-9A-Fa-f]{64}", text):
        return text.lower()
    try:
        digest = base64.b64decode(text.removeprefix("sha256//"), validate=True)
    except binascii.Error:
        digest = b""
    if len(digest) != 32:
        raise RejectedValueError("the SHA-256 of the public key: 64 hex digits or 44 base64 characters")
    return digest.hex()


def _auth(value: object) -> str:
    if value not in ("passphrase", "mobile"):
        raise RejectedValueError('"passphrase" or "mobile"')
    return str(value)


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise RejectedValueError('a list of texts, for example ["web*", "mail"]')
    return tuple(_text(each) for each in value)


def _command(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        try:
            value = shlex.split(value)
        except ValueError:
            value = []
    if not isinstance(value, list) or not value:
        raise RejectedValueError('a program and its arguments, for example ["pass", "show", "hem"]')
    return tuple(_text(each) for each in value)


#: Settings of a ``[[device]]`` table.
DEVICE_SETTINGS: Mapping[str, Parser] = {
    "url": _url,
    "name": _name,
    "slot": _slot,
    "ca_file": _path,
    "pin_sha256": _pin,
    "insecure": _flag,
    "auth": _auth,
    "passphrase_file": _path,
    "passphrase_command": _command,
    "connect_timeout": _seconds(0.1, 120),
    "timeout": _seconds(1, 3600),
    "keygen_timeout": _seconds(10, 3600),
    "spacing": _seconds(0, 10),
    "key_filter": _texts,
    "allow_wipe": _flag,
    "show_hidden": _flag,
    "cloud_url": _cloud,
    "cloud_ca_file": _path,
    "cloud_proxy": _proxy,
}
#: Settings of the ``[pkcs11]`` table.
PKCS11_SETTINGS: Mapping[str, Parser] = {
    "login_cache": _seconds(0, 300),
    "device_random": _flag,
}
