"""A seal: the end of a copy, signed with a key of a device.

A chain alone can be made anew by whoever writes the whole copy anew. A seal cannot, without the device: what
stands before it was there when it was signed. What is signed is one line of text,
``hem log copy NUMBER CHAIN``, with its newline.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

from hem_provider.auditlog.copy import Tip
from hem_provider.auditlog.entry import OwnEvent
from hem_provider.device.hem import Hem
from hem_provider.device.key import Key
from hem_provider.device.verification import KnownKey, accepts
from hem_provider.errors import HemConfigError
from hem_provider.keytypes import KEY_TYPES, Family
from hem_provider.publickeys import kid_of

__all__ = ["check_key", "doubt", "seal"]

#: Whose signatures can be verified everywhere.
_FAMILIES = frozenset({Family.EC, Family.EDWARDS})


def check_key(key: Key) -> None:
    """``HemConfigError`` for a key whose seals could not be verified here; ``HemKeyNotFound``."""
    if key.type.family not in _FAMILIES:
        raise HemConfigError(f"key {key.label!r} ({key.type.name}): accepted for seals: EC and Ed keys")


def seal(hem: Hem, key: Key, tip: Tip) -> OwnEvent:
    """The event that seals a copy whose end is ``tip``: one call, and a login for the use of the key. What
    signing raises."""
    algorithm = key.type.sign_algorithms[0]
    signature = hem.sign(key.kid, _text(tip.number, tip.chain), algorithm)
    data = {
        "sealed": tip.number,
        "chain": tip.chain,
        "kid": key.kid,
        "type": key.type.name,
        "public": b64encode(key.public_bytes()).decode("ascii"),
        "algorithm": algorithm,
        "signature": b64encode(signature).decode("ascii"),
    }
    return OwnEvent("sealed", f"entries 1 to {tip.number} are signed with the key {key.kid}", data)


def doubt(data: Mapping[str, Any], number: int, chain: str) -> str | None:
    """What is wrong with a seal that stands behind entry ``number``, whose chain is ``chain``; ``None``:
    nothing. ``KeyError``, ``TypeError``, ``ValueError`` for what is none."""
    if (data["sealed"], data["chain"]) != (number, chain):
        return "the seal is of another place"
    kind, public = KEY_TYPES[data["type"]], b64decode(data["public"], validate=True)
    if kind.family not in _FAMILIES or data["algorithm"] not in kind.sign_algorithms[:1]:
        return "the seal is of a key that none is made with"
    if kid_of(public) != data["kid"]:
        return "the seal is of another key than it says"
    signature = b64decode(data["signature"], validate=True)
    known = KnownKey(type=kind, public=public)
    good = accepts(known, signature, _text(number, chain), data["algorithm"], None)
    return None if good and kind.public_size == len(public) else "the seal's signature is wrong"


def _text(number: int, chain: str) -> bytes:
    return f"hem log copy {number} {chain}\n".encode("ascii")
