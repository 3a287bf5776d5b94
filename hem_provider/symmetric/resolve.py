"""From what a caller gives as key to what operations need, with every check before any request."""

from __future__ import annotations

from typing import Protocol, TypeAlias, runtime_checkable

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.hashes import HashAlgorithm

from hem_provider.device.key import Key
from hem_provider.keytypes import DIGESTS, Family
from hem_provider.symmetric.agreement import Agreement
from hem_provider.symmetric.blocks import AesKey
from hem_provider.symmetric.errors import WrongKeyType
from hem_provider.symmetric.family import check_family, check_use
from hem_provider.symmetric.hem import DeviceAesKey, DeviceKek, DeviceMacKey

__all__ = ["AnyAesKey", "AnyMacKey", "MacKey", "aes_key", "mac_key"]


@runtime_checkable
class MacKey(Protocol):
    """One HMAC key behind a boundary; each method is one device call."""

    @property
    def name(self) -> str:
        """How messages call this key."""

    def mac(self, data: bytes) -> bytes:
        """The whole MAC of 1…``MAX_MESSAGE`` bytes."""

    def accepts(self, data: bytes, mac: bytes) -> bool:
        """Whether the device accepts a MAC; ``False`` also for a key that is gone."""

    def confirm(self) -> None:
        """``HemKeyNotFound`` unless the key is still there."""


#: A key of a HEM, one agreed on, or anything that works with AES blocks.
AnyAesKey: TypeAlias = Key | Agreement | AesKey
#: A key of a HEM, one agreed on, or anything that makes MACs.
AnyMacKey: TypeAlias = Key | Agreement | MacKey


def aes_key(key: AnyAesKey, family: str) -> AesKey:
    """``key`` for modes of one family. ``WrongKeyType``, ``WrongKeyFamily``.

    An ``AesKey`` that is no key of a HEM is taken as it is: its family is its owner's affair.
    """
    if isinstance(key, Key):
        kind = key.type
        if kind.family is not Family.AES:
            raise WrongKeyType(f"key {key.kid} is {kind.name}; accepted: AES128, AES192 or AES256")
        check_family(key, family)
        found = DeviceAesKey(key.operations, key.kid, kind.bits, f"key {key.kid} ({kind.name})")
        found.limits = key.known_limits
        return found
    if isinstance(key, Agreement):
        make = DeviceKek if family == "wrap" else DeviceAesKey
        return make(key.key.operations, key.key.kid, key.bits, key.name, key)
    if isinstance(key, AesKey):
        return key
    raise WrongKeyType(f"key: {type(key).__name__}; accepted: an AES key of a HEM, or an Agreement")


def mac_key(key: AnyMacKey, algorithm: HashAlgorithm) -> MacKey:
    """``key`` for HMAC with ``algorithm``. ``WrongKeyType``, ``UnsupportedAlgorithm``."""
    if not isinstance(algorithm, HashAlgorithm):
        raise TypeError("Expected instance of hashes.HashAlgorithm.")
    digest = DIGESTS.get(algorithm.name)
    if digest is None:
        raise UnsupportedAlgorithm(f"HMAC with {algorithm.name}: accepted: {', '.join(DIGESTS)}")
    if isinstance(key, Key):
        kind = key.type
        if kind.family is not Family.HMAC:
            raise WrongKeyType(f"key {key.kid} is {kind.name}; accepted: an HMAC key, SHA2-256 to SHA3-512")
        if kind.name != digest:
            raise UnsupportedAlgorithm(
                f"HMAC with {algorithm.name}: key {key.kid} is made for {kind.name} alone"
            )
        found = DeviceMacKey(key.operations, key.kid, digest, f"key {key.kid} ({kind.name})")
        found.limits = key.known_limits
        check_use(found, "", "hmac", "hmac-general")
        return found
    if isinstance(key, Agreement):
        return DeviceMacKey(key.key.operations, key.key.kid, digest, key.name, key)
    if isinstance(key, MacKey):
        return key
    raise WrongKeyType(f"key: {type(key).__name__}; accepted: an HMAC key of a HEM, or an Agreement")
