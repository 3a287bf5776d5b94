"""How each setting's value is written: one small parser per kind, and what makes a field a setting.

The settings themselves are the rows of ``config/model.py``. The environment has texts only: ``from_text``
of a kind makes of one what TOML would have, so that a number is a number everywhere else.
"""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from hem_provider.config.limits import FirmwareLimits, limits_from
from hem_provider.errors import HemConfigError
from hem_provider.files import named_path
from hem_provider.records import MISSING, field, fields, frozen

__all__ = [
    "AGENT",
    "AUTH",
    "CALLS",
    "CLOUD",
    "COMMAND",
    "FIRMWARE_LIMITS",
    "FLAG",
    "MASTER_KDF",
    "NAME",
    "PATH",
    "PIN",
    "PROXY",
    "SLOT",
    "TEXTS",
    "URL",
    "Kind",
    "RejectedValueError",
    "check_name",
    "kinds_of",
    "same_url",
    "seconds",
    "setting",
    "variables_of",
]


@frozen
class Kind:
    """How the values of a kind of settings are written.

    ``parse`` takes what TOML or a caller gave and returns the value to keep, or raises
    ``RejectedValueError``. ``from_text`` makes of an environment variable what TOML would have; the text
    itself where it cannot be read, for ``parse`` to refuse.
    """

    parse: Callable[[object], Any]
    from_text: Callable[[str], object] = str


class RejectedValueError(ValueError):
    """A value's own complaint: what is accepted instead."""


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or "\n" in value or "\0" in value:
        raise RejectedValueError("a non-empty line of text")
    return value


def _name(value: object) -> str:
    text = _text(value)
    if not _is_name(text):
        raise RejectedValueError("1 to 32 printable ASCII characters")
    return text


def _is_name(text: str) -> bool:
    return text.isascii() and text.isprintable() and len(text) <= 32


def check_name(text: str) -> None:
    """``ValueError``, which says what is accepted, for what no device can be called."""
    if not text or not _is_name(text):
        raise ValueError(f"{len(text)} characters; accepted: 1 to 32 printable ASCII characters")


def _url(value: object) -> str:
    text = _text(value)
    parts = _split(text)
    if parts is not None and parts.scheme in ("https", "http"):
        extras = parts.path.strip("/") or parts.query or parts.fragment or parts.username or parts.password
        if not extras:
            return text.rstrip("/")
    elif parts is not None and parts.scheme in ("emulator", "unix") and parts.path:
        scheme, _, path = text.partition(":")
        named = _named(path) if path.startswith("~") else Path(path)
        if scheme == "emulator" or (
            named.is_absolute() and _is_name(unquote(text.partition("#")[2]) or "hem")
        ):
            return f"{scheme}:{named}" if path.startswith("~") else text
    raise RejectedValueError(
        "https://HOST[:PORT], http://HOST[:PORT], emulator:PATH or unix:SOCKET#NAME of an agent's device"
    )


def _split(text: str) -> SplitResult | None:
    """The parts of a URL; ``None`` unless host and port, where the scheme has them, are whole."""
    try:
        parts = urlsplit(text)
        hosted = parts.scheme not in ("https", "http") or (
            bool(parts.hostname) and (parts.port is None or parts.port > 0)
        )
    except ValueError:  # an IPv6 address without its end, a port that is none
        return None
    return parts if hosted else None


def same_url(one: str, other: str) -> bool:
    """Whether two accepted device URLs name one place: case of the host, a port that goes without
    saying and a slash at the end do not matter.

    >>> same_url("https://My.ence.do/", "https://my.ence.do:443")
    True
    """
    return _place_of(one) == _place_of(other)


def _place_of(url: str) -> object:
    parts = _split(url)
    if parts is None or parts.scheme not in ("https", "http"):
        return url
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}[parts.scheme]


def _cloud(value: object) -> str:
    text = _url(value)
    if not text.startswith("https://"):
        raise RejectedValueError("https://HOST[:PORT]: the cloud service is always verified")
    return text


def _proxy(value: object) -> str:
    text = _text(value)
    parts = _split(text)
    if parts is None or parts.scheme not in ("http", "https"):
        raise RejectedValueError("http://HOST:PORT")
    return text


def _named(text: str) -> Path:
    try:
        return named_path(text)
    except HemConfigError:
        raise RejectedValueError("an absolute path; no home is known that '~' could stand for") from None


def _path(value: object) -> Path:
    path = _named(_text(value))
    if not path.is_absolute():
        raise RejectedValueError("an absolute path")
    return path


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise RejectedValueError("true or false")
    return value


def _bounded(least: float, most: float) -> Callable[[object], float]:
    def parse(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise RejectedValueError(f"seconds from {least:g} to {most:g}, a number without quotes")
        return float(value)

    return parse


def _calls(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**31:
        raise RejectedValueError("a whole number from 1 to 2147483647, without quotes")
    return value


def _firmware_limits(value: object) -> FirmwareLimits:
    if isinstance(value, FirmwareLimits):
        return value
    try:
        if isinstance(value, Mapping):
            return limits_from(value)
        accepted = ""
    except ValueError as error:
        accepted = f"; {error}, without quotes"
    raise RejectedValueError(f"a table of sizes in bytes, {{ message = 65536, descr = 128 }}{accepted}")


def _sizes(text: str) -> object:
    """``message=65536,descr=128`` as TOML would have it."""
    pairs = [each.partition("=") for each in text.split(",")]
    if all(number.strip().isdecimal() and len(number) <= 10 for _, _, number in pairs):
        return {name.strip(): int(number) for name, _, number in pairs}
    return text


def _slot(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise RejectedValueError("a whole number from 0 to 2147483647, without quotes")
    return value


def _pin(value: object) -> str:
    text = _text(value)
    if re.fullmatch(r"[0-9A-Fa-f]{64}", text):
        return text.lower()
    try:
        digest = base64.b64decode(text.removeprefix("sha256//"), validate=True)
    except ValueError:  # not base64, or not ASCII
        digest = b""
    if len(digest) != 32:
        raise RejectedValueError("the SHA-256 of the public key: 64 hex digits or 44 base64 characters")
    return digest.hex()


def _one_of(*accepted: str) -> Callable[[object], str]:
    def parse(value: object) -> str:
        if value not in accepted:
            raise RejectedValueError(" or ".join(f'"{each}"' for each in accepted))
        return str(value)

    return parse


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


#: How the environment writes flags.
_FLAGS = {"1": True, "true": True, "0": False, "false": False}


def _number(text: str) -> object:
    try:
        return float(text)
    except ValueError:
        return text


def _whole(text: str) -> object:
    return int(text) if text.isdecimal() and len(text) <= 10 else text


def seconds(least: float, most: float) -> Kind:
    """A time in seconds, both bounds included."""
    return Kind(_bounded(least, most), _number)


AGENT = Kind(_one_of("auto", "never", "always"))
AUTH = Kind(_one_of("passphrase", "mobile"))
CALLS = Kind(_calls, _whole)
CLOUD = Kind(_cloud)
COMMAND = Kind(_command)
FIRMWARE_LIMITS = Kind(_firmware_limits, _sizes)
FLAG = Kind(_flag, lambda text: _FLAGS.get(text.lower(), text))
MASTER_KDF = Kind(_one_of("auto", "pbkdf2", "argon2d", "bip39", "bip39-entropy"))
NAME = Kind(_name)
PATH = Kind(_path)
PIN = Kind(_pin)
PROXY = Kind(_proxy)
SLOT = Kind(_slot)
TEXTS = Kind(_texts)
URL = Kind(_url)


def setting(
    kind: Kind,
    default: Any = MISSING,
    *,
    variable: str = "",
    overrides: bool = False,
    secret: bool = False,
) -> Any:
    """A row: the field of a configuration's dataclass that is a setting of the same name.

    ``variable``: of the environment, which may say it, too; it ``overrides`` what a file says of any
    device. ``secret``: not in a ``repr``.
    """
    metadata = {"kind": kind, "variable": variable, "overrides": overrides}
    return field(default=default, repr=not secret, metadata=metadata)


def kinds_of(shape: type) -> dict[str, Kind]:
    """The settings of a configuration's dataclass, and how each is written."""
    return {each.name: each.metadata["kind"] for each in fields(shape)}


def variables_of(shape: type, *, overriding: bool = False) -> dict[str, str]:
    """Environment variable → setting; all of them, or those that override files alone."""
    return {
        each.metadata["variable"]: each.name
        for each in fields(shape)
        if each.metadata["variable"] and (each.metadata["overrides"] or not overriding)
    }
