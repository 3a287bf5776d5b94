"""What we keep in a key's 64-byte ``descr``, the only free field a device has.

::

    "PKCS11:h:"  format and mode families   creation mark   id length   application's own id
     9 bytes     1 byte: 0x1? | families    8 random bytes  1 byte      0–40 bytes

The prefix lets anonymous search find our keys (it wants at least 6 bytes, device API §11.7); the
mark tells a key made by a lost request from any other. The form is canonical: one value, one
encoding.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

__all__ = ["MAX_APPLICATION_ID", "MODE_FAMILIES", "PREFIX", "Description", "new_mark", "parse_description"]

PREFIX = b"PKCS11:h:"
#: Longest id an application can choose, in bytes.
MAX_APPLICATION_ID = 40
#: Families of symmetric modes a key may be kept to; bit values of the format byte.
MODE_FAMILIES = {"aead": 1, "cipher": 2, "wrap": 4, "mac": 8}

_FORMAT = 0x10
_MARK = 8
_FIXED = len(PREFIX) + 1 + _MARK + 1


def new_mark() -> bytes:
    """Eight random bytes."""
    return os.urandom(_MARK)


@dataclass(frozen=True, slots=True)
class Description:
    """The parts. ``families`` is empty for keys without a kept-to mode family.

    Raises ``ValueError`` for an id over 40 bytes, a mark that is not 8, an unknown family.
    """

    mark: bytes = field(default_factory=new_mark)
    application_id: bytes = b""
    families: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if len(self.application_id) > MAX_APPLICATION_ID:
            raise ValueError(
                f"application id: {len(self.application_id)} bytes; accepted: at most {MAX_APPLICATION_ID}"
            )
        if len(self.mark) != _MARK:
            raise ValueError(f"creation mark: {len(self.mark)} bytes; accepted: {_MARK}")
        unknown = self.families - set(MODE_FAMILIES)
        if unknown:
            raise ValueError(f"mode family {sorted(unknown)}; accepted: {', '.join(MODE_FAMILIES)}")

    def pack(self) -> bytes:
        """At most 59 bytes."""
        return self.search_prefix() + bytes([len(self.application_id)]) + self.application_id

    def search_prefix(self) -> bytes:
        """What only this creation's ``descr`` starts with."""
        return PREFIX + bytes([_FORMAT | _bits(self.families)]) + self.mark


def parse_description(descr: bytes) -> Description | None:
    """Read a ``descr``; ``None`` when it is not ours or of a later format."""
    if not descr.startswith(PREFIX) or len(descr) < _FIXED:
        return None
    kind, mark = descr[len(PREFIX)], descr[len(PREFIX) + 1 : _FIXED - 1]
    own = descr[_FIXED:]
    if kind & 0xF0 != _FORMAT or descr[_FIXED - 1] != len(own) or len(own) > MAX_APPLICATION_ID:
        return None
    return Description(mark, own, frozenset(name for name, bit in MODE_FAMILIES.items() if kind & bit))


def _bits(families: Iterable[str]) -> int:
    return sum(MODE_FAMILIES[name] for name in families)
