"""Keys of a device as recipients, and as the private halves that open files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from hem_provider.adapters.age.kinds import KINDS, ML_KEM
from hem_provider.adapters.age.recipients import Recipient
from hem_provider.device.key import Key
from hem_provider.errors import HemOperationFailed
from hem_provider.keys.mlkem512 import decapsulate

__all__ = ["DeviceHalf", "halves_of", "recipient_of"]

_CURVES = frozenset(each.curve for each in KINDS)
_ACCEPTED = (
    "a file can be encrypted for CURVE25519 and SECP256R1 keys made for 'derive', and for an MLKEM768 key "
    "together with one of these"
)


class DeviceHalf:
    """A key whose private half is on the device: ``opening.PrivateHalf``."""

    def __init__(self, key: Key) -> None:
        self.key = key

    @property
    def type_name(self) -> str:
        """The device's type of it."""
        return self.key.type.name

    def public_key(self) -> Any:
        """The native public key. One call where it is not remembered."""
        return self.key.public_key()

    def agree(self, share: Any) -> bytes:
        """One call. ``ValueError`` for a share that gives no secret."""
        private: Any = self.key.private_key()
        if isinstance(private, ec.EllipticCurvePrivateKey):
            return private.exchange(ec.ECDH(), share)
        return bytes(private.exchange(share))

    def decapsulate(self, ciphertext: bytes) -> bytes:
        """One call."""
        return decapsulate(self.key, ciphertext)


def halves_of(keys: Iterable[Key]) -> Iterator[DeviceHalf]:
    """Those of ``keys`` that can open files. No I/O for keys that were listed."""
    for each in keys:
        attributes = each.attributes
        if attributes.key_type is None or not attributes.usable:
            continue
        agrees = each.type.name in _CURVES and attributes.ecdh and not _against(each, "derive", "ecdh")
        if agrees or (each.type is ML_KEM and not _against(each, "decapsulate")):
            yield DeviceHalf(each)


def recipient_of(key: Key, post_quantum: Key | None = None) -> Recipient:
    """The recipient that a key is, or a hybrid of two keys of a device. A call for each public half that is
    not remembered.

    ``HemOperationFailed`` for keys that open no files.
    """
    wrong = [each for each in (key, post_quantum) if each is not None and not any(halves_of([each]))]
    if (
        wrong
        or key.type.name not in _CURVES
        or (post_quantum is not None and post_quantum.type is not ML_KEM)
    ):
        at_fault = (wrong or [key])[0]
        raise HemOperationFailed(f"key {at_fault.label!r} is {_told(at_fault)}: {_ACCEPTED}")
    (kind,) = (
        each for each in KINDS if each.curve == key.type.name and each.hybrid == (post_quantum is not None)
    )
    if post_quantum is None:
        return Recipient(kind, key.public_bytes())
    return Recipient(kind, post_quantum.public_bytes() + kind.point(key.public_key()))


def _told(key: Key) -> str:
    kind = key.attributes.key_type
    return "no key" if kind is None else kind.name


def _against(key: Key, use: str, *mechanisms: str) -> str | None:
    return key.known_limits.against(use, *mechanisms)
