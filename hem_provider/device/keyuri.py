"""PKCS#11 URIs of keys (RFC 7512), as the engine reads them (``shim/openssl/uri.c``), for commands.

>>> uri = parse_uri("pkcs11:token=office;object=web%20server;type=private")
>>> uri.token, uri.object
('office', 'web server')

What names a slot or a library is refused here, where neither is in between; so is a PIN, since others can
read a command line. What a URI says of the token is held against the device by ``misfit``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

from hem_provider.device.token import MANUFACTURER, label_of, model_of, serial_of
from hem_provider.records import frozen

if TYPE_CHECKING:
    from hem_provider.device.hem import Hem
    from hem_provider.device.key import Key

__all__ = ["KeyUri", "is_uri", "parse_uri", "uri_of"]

_SCHEME = "pkcs11:"
#: Longest URI, in bytes.
_MOST = 4096

_ATTRIBUTES = ("token", "manufacturer", "model", "serial", "object", "id", "type")
#: Older spelling → attribute (libp11's).
_ALIASES: Mapping[str, str] = {"object-type": "type"}
_TYPES = ("public", "private", "cert", "secret-key", "data")
#: Of the path, what only a program with the module loaded can know.
_OF_MODULE = (
    "slot-id", "slot-description", "slot-manufacturer",
    "library-description", "library-manufacturer", "library-version",
)  # fmt: skip
_PINS = ("pin-value", "pin-source")
_MODULES = ("module-name", "module-path")
_BROKEN = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")


@frozen
class KeyUri:
    """What a URI says of a key and of its token; ``None`` for what it does not say."""

    token: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    serial: str | None = None
    object: str | None = None
    id: bytes | None = None
    type: str | None = None

    def may_mean(self, name: str) -> bool:
        """Whether the token may be the device that is configured by this name. No I/O."""
        return self.token is None or self.token in (name, label_of(name, emulator=True))

    def misfit(self, hem: Hem) -> str | None:
        """What of the token is another than ``hem``, in words; ``None`` where nothing is. One call at most,
        for what only the device itself can tell."""
        if self.token not in (None, hem.config.name) or self.model or self.serial:
            from hem_provider.device.checkin import identified

            identity = hem.identity or identified(hem)
            emulator = hem.is_emulator
            there = {
                "token": label_of(hem.config.name, emulator=emulator),
                "model": model_of(emulator=emulator),
                "serial": serial_of(identity.eid),
            }
        else:
            there = {"token": hem.config.name}
        if self.token == hem.config.name:
            there["token"] = hem.config.name
        for name, own in {**there, "manufacturer": MANUFACTURER}.items():
            given = getattr(self, name)
            if given not in (None, own):
                return f"{name} {given!r}, and that of {hem.config.name} is {own!r}"
        return None

    def fits(self, key: Key) -> bool:
        """Whether it may mean ``key``: by its label, id (the application's own, else the KID) and kind."""
        own = key.application_id
        identifier = bytes.fromhex(key.kid) if own is None else own
        kinds = _kinds(key)
        return (
            (self.object is None or self.object == key.label)
            and (self.id is None or self.id in (identifier, bytes.fromhex(key.kid)))
            and (self.type is None or self.type in kinds)
        )


def is_uri(text: str) -> bool:
    """Whether ``text`` is meant as a PKCS#11 URI; the scheme may be in any case."""
    return text[: len(_SCHEME)].lower() == _SCHEME


def uri_of(**attributes: str | bytes) -> str:
    """A URI of these attributes, in their order. All but unreserved characters (RFC 3986 §2.3) are escaped,
    so that it is one word to shells and configuration files; of bytes (``id``) every one.

    >>> uri_of(token="office (EMULATOR)", id=b"a1", type="private")
    'pkcs11:token=office%20%28EMULATOR%29;id=%61%31;type=private'
    """
    return _SCHEME + ";".join(f"{name}={_escaped(value)}" for name, value in attributes.items())


def _escaped(value: str | bytes) -> str:
    return quote(value, safe="") if isinstance(value, str) else "".join(f"%{each:02X}" for each in value)


def parse_uri(text: str) -> KeyUri:
    """Read a URI. ``ValueError`` says what is wrong with which attribute, and never shows a PIN."""
    data = text.encode("utf-8", "surrogateescape")
    if not is_uri(text) or len(data) > _MOST:
        raise ValueError(f"a PKCS#11 URI begins with {_SCHEME} and has at most {_MOST} bytes")
    path, mark, query = data[len(_SCHEME) :].partition(b"?")
    found: dict[str, bytes] = {}
    for name, value in (*_pairs(path, b";"), *(_pairs(query, b"[&;]") if mark else ())):
        if name in found:
            raise ValueError(f"the URI gives {name!r} twice")
        found[name] = value
    for name in found:
        if name in _PINS:
            raise ValueError(f"the URI has {name!r}; a command takes no PIN from its command line")
        if name in _OF_MODULE:
            raise ValueError(
                f"the URI has {name!r}, which only the PKCS#11 module knows; token=NAME names a device"
            )
    values = {name: value for name, value in found.items() if name in _ATTRIBUTES and name != "id"}
    texts = {name: _text(name, value) for name, value in values.items()}
    kind = texts.get("type")
    if kind is not None and kind not in _TYPES:
        raise ValueError(f"the URI has type {kind!r}; accepted: {', '.join(_TYPES)}")
    return KeyUri(**texts, id=found.get("id"))


def _pairs(part: bytes, separators: bytes) -> Iterator[tuple[str, bytes]]:
    """The attributes of a path or of a query, in which what is not known is left out (RFC 7512 §2.3)."""
    query = separators != b";"
    for each in re.split(separators, part.removesuffix(b";")) if part else ():
        name, equals, value = each.partition(b"=")
        shown = _shown(name)
        attribute = _ALIASES.get(shown, shown)
        if not (name and equals):
            raise ValueError(f"the URI has {shown!r}, where name=value is wanted")
        if attribute not in (*_ATTRIBUTES, *_OF_MODULE, *_PINS, *_MODULES):
            if query:
                continue
            raise ValueError(
                f"the URI has {shown!r}, which is no attribute; accepted: {', '.join(_ATTRIBUTES)}"
            )
        if _BROKEN.search(value):
            raise ValueError(f"the URI's {shown!r} has a broken %XX; a % itself is %25")
        yield attribute, _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), value)


def _shown(name: bytes) -> str:
    return name[:40].decode("ascii", "backslashreplace")


def _text(name: str, value: bytes) -> str:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"the URI's {name!r} is not UTF-8") from None
    if "\0" in text:
        raise ValueError(f"the URI's {name!r} has a NUL")
    return text


def _kinds(key: Key) -> tuple[str, ...]:
    """What PKCS#11 has the key as."""
    known = key.attributes
    if known.key_type is None:
        return ("cert", "data")
    if known.key_type.symmetric:
        return ("secret-key",)
    return ("public", "private") if known.private else ("public",)
