"""Keys of a device as identities of age's: ``AGE-PLUGIN-HEM-1…``, which name a device and a key, and hold
nothing secret.

The bytes: a version (1), the kind's number, for a hybrid the KID of its ML-KEM key (16), the public half of
the curve's key in device form, and the configured name of the device in UTF-8. Without any bytes an identity
is every key of every configured device, which ``age -j hem`` means.
"""

from __future__ import annotations

from hem_provider.adapters.age import bech32
from hem_provider.adapters.age.kinds import KINDS, ML_KEM, Kind
from hem_provider.adapters.age.recipients import Recipient
from hem_provider.device.key import Key
from hem_provider.keytypes import KEY_TYPES, KID_DIGITS
from hem_provider.publickeys import check_agreeable, kid_of
from hem_provider.records import frozen

__all__ = ["PREFIX", "Identity", "identity_of", "parse_identity"]

#: What identities begin with, before their "1"; age finds the plugin by it.
PREFIX = "AGE-PLUGIN-HEM-"
_VERSION = 1
_KID = KID_DIGITS // 2
_BY_NUMBER = {each.number: each for each in KINDS}


@frozen
class Identity:
    """``device``: its configured name. ``public``: of the curve's key, in device form. ``post_quantum``: the
    KID of a hybrid's ML-KEM key, else empty."""

    device: str
    kind: Kind
    public: bytes
    post_quantum: str = ""

    def __str__(self) -> str:
        head = bytes([_VERSION, self.kind.number]) + bytes.fromhex(self.post_quantum)
        return bech32.encode(PREFIX, head + self.public + self.device.encode("utf-8"))

    @property
    def kids(self) -> tuple[str, ...]:
        """The KIDs of its keys; of a hybrid the ML-KEM key comes first."""
        return (self.post_quantum, kid_of(self.public)) if self.post_quantum else (kid_of(self.public),)


def parse_identity(text: str) -> Identity | None:
    """The identity, or ``None`` for the one without bytes. ``ValueError`` says what is wrong with it."""
    prefix, data = bech32.decode(text)
    if prefix != PREFIX:
        raise ValueError(f"identities here begin with {PREFIX}1")
    if not data:
        return None
    kind = _BY_NUMBER.get(data[1]) if len(data) > 1 else None
    if data[0] != _VERSION or kind is None:
        numbers = data[:2].hex(" ")
        raise ValueError(f"version and kind are {numbers}; known are 01 and {', '.join(_numbers())}")
    place = 2 + _KID * kind.hybrid
    size = KEY_TYPES[kind.curve].public_size or 0
    post_quantum, public, name = data[2:place], data[place : place + size], data[place + size :]
    if not name:
        raise ValueError(f"{len(data)} bytes; with a device's name it has more than {place + size}")
    try:
        check_agreeable(KEY_TYPES[kind.curve], public)
        return Identity(name.decode("utf-8"), kind, public, post_quantum.hex())
    except ValueError:
        raise ValueError("its bytes are no public key and the name of a device") from None


def _numbers() -> list[str]:
    return [f"{each:02x}" for each in sorted(_BY_NUMBER)]


def identity_of(device: str, recipient: Recipient, post_quantum: Key | None = None) -> Identity:
    """Of the key of a device that ``recipient`` is, or of two; ``post_quantum`` is the ML-KEM key."""
    kind = recipient.kind
    point = recipient.public[(ML_KEM.public_size or 0) * kind.hybrid :]
    public = kind.device_form(point)
    return Identity(device, kind, public, "" if post_quantum is None else post_quantum.kid)
