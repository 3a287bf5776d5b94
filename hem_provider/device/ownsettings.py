"""The device's own settings as its owner sees them: what each means, how its value is written, and what a
change of it ends (device API §7.2, §8.1, §8.2).

The names are those of ``Hem.admin.configure``; the rows say which of them can be changed at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches

from hem_provider.errors import HemConfigError
from hem_provider.records import frozen
from hem_provider.rest.configuration import Configuration

__all__ = ["ROWS", "SECTOR", "Row", "named_row", "parse", "unmet", "value_of", "words"]

#: Bytes of a sector.
SECTOR = 512


class _RejectedError(ValueError):
    """The text says what is accepted."""


@frozen
class _Kind:
    """How a kind of values is written (``parse``) and read (``words``)."""

    parse: Callable[[str], object]
    words: Callable[[object], str] = str


@frozen
class Row:
    """One setting. ``change``: what a change of it does, in words; for what cannot be changed, why.
    ``kind`` is ``None`` for those. ``formats``: a change destroys what is on disk 0. ``usb``: on USB devices
    only."""

    name: str
    meaning: str
    change: str
    kind: _Kind | None = None
    usb: bool = False
    formats: bool = False


def _line(least: int, most: int) -> _Kind:
    def parse(text: str) -> str:
        if not (text.isprintable() and least <= len(text) <= most):
            raise _RejectedError(f"{least} to {most} printable characters")
        return text

    return _Kind(parse, lambda value: str(value) or "none")


def _origin(text: str) -> str:
    exact = re.fullmatch(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?", text)
    if exact and exact[1] and not 0 < int(exact[1][1:]) < 1 << 16:
        raise _RejectedError("a port from 1 to 65535")
    if text != "*" and not exact and not re.fullmatch(r"\*(\.[A-Za-z0-9-]+)+", text):
        raise _RejectedError("* for all, https://HOST[:PORT] for one, or *.DOMAIN")
    return text


_FLAGS = {
    **dict.fromkeys(("on", "yes", "true", "1"), True),
    **dict.fromkeys(("off", "no", "false", "0"), False),
}


def _flag(text: str) -> bool:
    try:
        return _FLAGS[text.lower()]
    except KeyError:
        raise _RejectedError("on or off") from None


def _number(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text) if text.isascii() and text.isdigit() and len(text) < 11 else -1
        if not least <= value <= most:
            raise _RejectedError(f"a whole number from {least} to {most}")
        return value

    return parse


def _deadline_words(value: object) -> str:
    return f"{int(str(value)) / 2:g} s" if value else "no limit"


_HALF_SECONDS = {"off": 0, "0": 0, **{f"{half / 2:g}": half for half in range(1, 5)}}


def _deadline(text: str) -> int:
    try:
        return _HALF_SECONDS[text.lower().removesuffix("s").strip()]
    except KeyError:
        raise _RejectedError("off, 0.5, 1, 1.5 or 2 seconds") from None


#: Low nibble of the storage mode: how disk 0 is shown at start.
_SHOWN = {0: "hidden", 1: "read-only", 3: "writable"}
#: High nibble: how disk 1 is encrypted; the modes have no other names.
_MODES = {f"{high:X}-{shown}": high << 4 | low for high in (0x5, 0xA) for low, shown in _SHOWN.items()}


def _storage(text: str) -> int:
    try:
        return _MODES[text[:1].upper() + text[1:].lower()]
    except KeyError:
        raise _RejectedError(", ".join(_MODES)) from None


def _storage_words(value: object) -> str:
    return next((name for name, mode in _MODES.items() if mode == value), f"unknown mode {value}")


_UNITS = {"": 1, "MiB": 1024**2 // SECTOR, "GiB": 1024**3 // SECTOR}


def _sectors(text: str) -> int:
    found = re.fullmatch(r"(\d{1,10}) ?(|MiB|GiB)", text)
    value = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 2 <= value < 2**31:
        raise _RejectedError("a size such as 512MiB or 4GiB, or a number of sectors of 512 bytes from 2")
    return value


def _size_words(value: object) -> str:
    return f"{int(str(value)) * SECTOR / 1024**3:.2f} GiB"


def _flag_words(value: object) -> str:
    return "on" if value else "off"


_ON_OFF = _Kind(_flag, _flag_words)
_FIXED = "fixed when the device is brought into use; only wiping it makes room for another"
_AT_ONCE = "holds at once"

#: In the order in which they are shown.
ROWS: Mapping[str, Row] = {
    row.name: row
    for row in (
        Row("user", "the owner's name, shown at each login", _AT_ONCE, _line(1, 64)),
        Row("email", "the owner's address, shown to phones that are paired", _AT_ONCE, _line(0, 128)),
        Row("hostname", "the name that the device is reached by, and its certificate is for", _FIXED),
        Row("address", "the device's own network address", _FIXED, usb=True),
        Row(
            "origin",
            "which web pages may speak to the device: all (*), one, or those of a domain",
            "pages from elsewhere are refused at once; programs are not concerned",
            _Kind(_origin),
        ),
        Row(
            "dns_server",
            "whether the device answers name look-ups of its own name on the USB network",
            "while it is off its name must be known another way",
            _ON_OFF,
            usb=True,
        ),
        Row(
            "trusted_time",
            "whether logins need a clock that a check-in has set",
            "off: logins work after a restart without a check-in, and times in the log may be wrong",
            _ON_OFF,
        ),
        Row(
            "trusted_backend",
            "remote management: whether the vendor's service may lock, wipe or stop the device at check-in",
            "off: a check-in sets the clock and nothing else; a lost device cannot be locked from afar",
            _ON_OFF,
        ),
        Row("instance_id", "what remote management calls the device", _FIXED),
        Row(
            "anonymous_search",
            "whether keys can be searched by their description without a login",
            "off: programs that look for keys before they log in find none",
            _ON_OFF,
        ),
        Row(
            "context",
            "a number of your own, which the status shows to everybody",
            _AT_ONCE,
            _Kind(_number(0, 2**31 - 1)),
        ),
        Row(
            "hsts",
            "whether browsers are told to come by HTTPS alone",
            "browsers that were told remember it for long",
            _ON_OFF,
        ),
        Row(
            "request_deadline",
            "within which time a request must have arrived whole",
            "slow lines are cut off when it is short",
            _Kind(_deadline, _deadline_words),
        ),
        Row(
            "storage_mode",
            "how disk 1 is encrypted (5 or A), and how disk 0 is shown after a start",
            "FORMATS disk 0: what is on it is lost",
            _Kind(_storage, _storage_words),
            usb=True,
            formats=True,
        ),
        Row(
            "disk0_sectors",
            "the size of disk 0; disk 1 has the rest",
            "FORMATS disk 0: what is on it is lost",
            _Kind(_sectors, _size_words),
            usb=True,
            formats=True,
        ),
        Row("capacity_sectors", "the size of the storage in all", "the device's own", usb=True),
        Row("device_id", "the serial number", "the device's own"),
        Row("genuine_id", "the number of the secure element", "the device's own", usb=True),
        Row("eid", "the device's identity, which passphrases are bound to", "new after a wipe"),
    )
}
#: What people may call them.
_OTHER_NAMES = {
    "owner": "user",
    "name": "user",
    "host": "hostname",
    "ip": "address",
    "dns": "dns_server",
    "time": "trusted_time",
    "backend": "trusted_backend",
    "remote_management": "trusted_backend",
    "search": "anonymous_search",
    "cors": "origin",
    "allowed_origin": "origin",
}


def named_row(name: str) -> Row:
    """The row of a setting; hyphens do for underscores. ``HemConfigError`` says what is meant, and for a
    setting that cannot be changed nothing: see ``parse``."""
    word = name.replace("-", "_").lower()
    row = ROWS.get(word)
    if row is None:
        close = [word] if word in _OTHER_NAMES else get_close_matches(word, [*ROWS, *_OTHER_NAMES])
        close = close or [each for each in ROWS if word and (word in each or each in word)]
        meant = dict.fromkeys(_OTHER_NAMES.get(each, each) for each in close)
        guess = f"; did you mean {' or '.join(meant)}?" if meant else f"; there are: {', '.join(ROWS)}"
        raise HemConfigError(f"the device has no setting {name!r}{guess}")
    return row


def value_of(name: str, text: str) -> object:
    """The value of a setting that can be changed, from ``text``. ``ValueError`` says what is accepted."""
    kind = ROWS[name].kind
    if kind is None:
        raise ValueError(f"{name} cannot be changed")
    try:
        return kind.parse(text)
    except _RejectedError as rejected:
        raise ValueError(f"{len(text)} characters; accepted: {rejected}") from None


def parse(row: Row, text: str) -> object:
    """The value that ``text`` stands for, as ``configure`` takes it. ``HemConfigError`` for another, and
    where the setting cannot be changed."""
    if row.kind is None:
        raise HemConfigError(f"{row.name} cannot be changed: {row.change}")
    try:
        return row.kind.parse(text)
    except _RejectedError as rejected:
        raise HemConfigError(f"{row.name}: {text!r}; accepted: {rejected}") from None


def words(row: Row, value: object) -> str:
    """A value for people. ``None``: this device does not tell it."""
    if value is None:
        return "not told"
    kinds: Mapping[str, Callable[[object], str]] = {"capacity_sectors": _size_words}
    reader = kinds.get(row.name) or (row.kind.words if row.kind else str)
    return reader(value)


def unmet(present: Configuration, wanted: Mapping[str, object]) -> list[str]:
    """The names of the settings that are not as they were to be. Devices tell one sector less of disk 0
    than they were given (device API §7.2)."""
    return [
        name
        for name, value in wanted.items()
        if getattr(present, name) != value
        and not (name == "disk0_sectors" and getattr(present, name) == int(str(value)) - 1)
    ]
