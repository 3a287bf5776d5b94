"""Raw key bytes of an emulated device, for comparing with other implementations.

This reads and writes the state of an emulator open in the test's process. No URL leads here and no
package code imports it: the emulator's own endpoints give out secret material to nobody.
"""

from __future__ import annotations

import secrets

from hem_provider.emulator import EmulatedDevice, keys
from hem_provider.emulator.keytypes import KEY_TYPES, Family
from hem_provider.emulator.repository import Record

__all__ = ["plant", "raw_key"]


def raw_key(device: EmulatedDevice, kid: str) -> bytes:
    """The secret bytes of a stored key. ``LookupError`` when there is none."""
    with device.model.transaction():
        record = device.model.repository.find(bytes.fromhex(kid))
    if record is None or not record.secret:
        raise LookupError(f"the emulated device has no secret of key {kid}")
    return record.secret


def plant(
    device: EmulatedDevice, type: str, raw: bytes, *, label: str = "planted", descr: bytes = b""
) -> str:
    """Store a key with these secret bytes; its KID. ECDH keys are made for ``derive``."""
    kind = KEY_TYPES[type]
    material = keys.from_secret(kind, raw)
    kid = keys.kid_of(material.public) if material.public else secrets.token_bytes(16)
    asymmetric = bool(material.public)
    modes = ("ECDH",) if kind.family in (Family.MONTGOMERY, Family.WEIERSTRASS) else ()
    record = Record(kid, type, label, descr, 1, 1, modes, True, asymmetric, material.secret, material.public)
    with device.model.transaction():
        device.model.repository.add(record, capacity=10_000)
    return kid.hex()
