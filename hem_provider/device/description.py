"""What we keep in a key's 64-byte ``descr``, the only free field a device has.

::

    "PKCS11:h:"  format and mode families   creation mark   limits     id length   application's own id
     9 bytes     1 byte: 0x1? | families    8 random bytes  none       1 byte      0–40 bytes
     9 bytes     1 byte: 0x2? | families    8 random bytes  2 + 2 bytes  1 byte    0–40 bytes

The prefix lets anonymous search find our keys (it wants at least 6 bytes, device API §11.7); the
mark tells a key made by a lost request from any other. Limits are two big-endian numbers, of what is
denied and of the mechanisms that are left; a key without any has the first format. The form is
canonical: one value, one encoding.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import lru_cache

from hem_provider.arguments import as_words
from hem_provider.records import field, frozen

__all__ = [
    "DENIABLE",
    "MAKERS",
    "MAX_APPLICATION_ID",
    "MECHANISMS",
    "MODE_FAMILIES",
    "NO_LIMITS",
    "PREFIX",
    "Description",
    "Limits",
    "maker_of",
    "new_mark",
    "parse_description",
]

PREFIX = b"PKCS11:h:"
#: Who makes keys, this software and the vendor's applications → how the ``descr`` of theirs begins.
MAKERS: Mapping[str, bytes] = {
    "hem-provider": PREFIX,
    "mail": b"ETSPGP:",
    "chat": b"ETSEIC:",
    "OIDC": b"ETSOIDC",
    "authenticator": b"EXTAID",
}
#: Longest id an application can choose, in bytes.
MAX_APPLICATION_ID = 40
#: Families of symmetric modes a key may be kept to; bit values of the format byte.
MODE_FAMILIES = {"aead": 1, "cipher": 2, "wrap": 4, "mac": 8}
#: What the maker of a key may deny it, within what its type and mode families can do; bit values.
DENIABLE = {
    "sign": 0x001, "verify": 0x002, "encrypt": 0x004, "decrypt": 0x008, "wrap": 0x010, "unwrap": 0x020,
    "encapsulate": 0x040, "decapsulate": 0x080, "modify": 0x100, "copy": 0x200, "destroy": 0x400,
}  # fmt: skip
#: Mechanisms a key may be kept to, where its type has more than one; bit values.
MECHANISMS = {
    "ecdsa-sha256": 0x0001, "ecdsa-sha384": 0x0002, "ecdsa-sha512": 0x0004, "ecdh": 0x0008,
    "device-derive": 0x0010, "hmac": 0x0020, "hmac-general": 0x0040, "cmac": 0x0080, "ecb": 0x0100,
    "cbc": 0x0200, "cbc-pad": 0x0400, "ctr": 0x0800, "gcm": 0x1000, "key-wrap": 0x2000,
    "key-wrap-pad": 0x4000,
}  # fmt: skip

_PLAIN, _LIMITED = 0x10, 0x20
_MARK = 8
_LIMITS = 2


def maker_of(descr: bytes) -> str | None:
    """Who made a key with this ``descr``: this software, one of the vendor's applications, or ``None``."""
    return next((maker for maker, prefix in MAKERS.items() if descr.startswith(prefix)), None)


def new_mark() -> bytes:
    """Eight random bytes."""
    return os.urandom(_MARK)


@frozen
class Limits:
    """What a key may not do although its type could. ``denied``: of ``DENIABLE``. ``mechanisms``: the
    only ones of ``MECHANISMS`` that are left; empty for all.

    ``ValueError`` for an unknown word, ``TypeError`` for what is no collection of words.
    """

    denied: frozenset[str] = frozenset()
    mechanisms: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for name, known in (("denied", DENIABLE), ("mechanisms", MECHANISMS)):
            words = as_words(name, getattr(self, name))
            object.__setattr__(self, name, words)  # frozen, and any collection of words will do
            unknown = words - set(known)
            if unknown:
                raise ValueError(f"{name}: {', '.join(sorted(unknown))}; accepted: {', '.join(known)}")

    def __bool__(self) -> bool:
        return bool(self.denied or self.mechanisms)

    def against(self, use: str, *mechanisms: str) -> str | None:
        """Why a key with these limits is not for ``use`` by one of ``mechanisms`` (none named: by
        any), in words; ``None`` where it is."""
        if use in self.denied:
            return f"its maker denied it {use!r}"
        if mechanisms and self.mechanisms and self.mechanisms.isdisjoint(mechanisms):
            return f"its maker kept it to {', '.join(sorted(self.mechanisms))}"
        return None


#: Of a key that may do all its type and mode families can.
NO_LIMITS = Limits()


@frozen
class Description:
    """The parts. ``families`` is empty for keys without a kept-to mode family.

    Raises ``ValueError`` for an id over 40 bytes, a mark that is not 8, an unknown family.
    """

    mark: bytes = field(default_factory=new_mark)
    application_id: bytes = b""
    families: frozenset[str] = frozenset()
    limits: Limits = NO_LIMITS

    def __post_init__(self) -> None:
        if len(self.application_id) > MAX_APPLICATION_ID:
            raise ValueError(
                f"application id: {len(self.application_id)} bytes; accepted: at most {MAX_APPLICATION_ID}"
            )
        if len(self.mark) != _MARK:
            raise ValueError(f"creation mark: {len(self.mark)} bytes; accepted: {_MARK}")
        unknown = self.families - set(MODE_FAMILIES)
        if unknown:
            raise ValueError(
                f"mode family {', '.join(sorted(unknown))}; accepted: {', '.join(MODE_FAMILIES)}"
            )

    def pack(self) -> bytes:
        """At most 63 bytes."""
        limits = b""
        if self.limits:
            limits = _packed(self.limits.denied, DENIABLE) + _packed(self.limits.mechanisms, MECHANISMS)
        return self.search_prefix() + limits + bytes([len(self.application_id)]) + self.application_id

    def search_prefix(self) -> bytes:
        """What only this creation's ``descr`` starts with."""
        form = _LIMITED if self.limits else _PLAIN
        return PREFIX + bytes([form | _bits(self.families, MODE_FAMILIES)]) + self.mark


@lru_cache(maxsize=1024)  # asked for in every operation with a key
def parse_description(descr: bytes) -> Description | None:
    """Read a ``descr``; ``None`` when it is not ours or of a later format."""
    head = len(PREFIX) + 1 + _MARK
    if not descr.startswith(PREFIX) or len(descr) <= head:
        return None
    kind, mark, rest = descr[len(PREFIX)], descr[len(PREFIX) + 1 : head], descr[head:]
    limits: Limits | None = NO_LIMITS
    if kind & 0xF0 == _LIMITED:
        limits, rest = _limits(rest[: 2 * _LIMITS]), rest[2 * _LIMITS :]
    elif kind & 0xF0 != _PLAIN:
        return None
    own = rest[1:]
    if limits is None or not rest or rest[0] != len(own) or len(own) > MAX_APPLICATION_ID:
        return None
    return Description(mark, own, _words(kind & 0x0F, MODE_FAMILIES), limits)


def _limits(packed: bytes) -> Limits | None:
    """``None`` for what no ``Limits`` packs to: bits of a later format, or none at all."""
    denied, mechanisms = (
        int.from_bytes(packed[:_LIMITS], "big"), int.from_bytes(packed[_LIMITS:], "big"),
    )  # fmt: skip
    known = sum(DENIABLE.values()), sum(MECHANISMS.values())
    if not (denied or mechanisms) or denied & ~known[0] or mechanisms & ~known[1]:
        return None
    return Limits(_words(denied, DENIABLE), _words(mechanisms, MECHANISMS))


def _packed(words: Iterable[str], table: Mapping[str, int]) -> bytes:
    return _bits(words, table).to_bytes(_LIMITS, "big")


def _bits(words: Iterable[str], table: Mapping[str, int]) -> int:
    return sum(table[word] for word in words)


def _words(bits: int, table: Mapping[str, int]) -> frozenset[str]:
    return frozenset(word for word, bit in table.items() if bits & bit)
