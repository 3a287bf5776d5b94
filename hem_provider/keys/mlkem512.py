"""ML-KEM-512 keys on a device (FIPS 203). ``cryptography`` has no such key, so both halves are
classes of ours with the same method names; encapsulating asks the device."""

from __future__ import annotations

from hem_provider.arguments import as_bytes
from hem_provider.device.key import Key
from hem_provider.keys.capabilities import check_limits
from hem_provider.keys.remote import RemotePrivateKey

__all__ = ["HemMLKEM512PrivateKey", "HemMLKEM512PublicKey", "decapsulate"]


class HemMLKEM512PublicKey:
    """The public half of a key on the device."""

    def __init__(self, key: Key) -> None:
        self._key = key

    def encapsulate(self) -> tuple[bytes, bytes]:
        """A 32-byte shared secret and its 768-byte ciphertext, made on the device."""
        check_limits(self._key, "encapsulate")
        ciphertext, secret = self._key.operations.mlkem_encapsulate(self._key.kid)
        return secret, ciphertext

    def public_bytes_raw(self) -> bytes:
        """The 800-byte encapsulation key; asks the device once."""
        return self._key.public_bytes()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HemMLKEM512PublicKey) and self.public_bytes_raw() == other.public_bytes_raw()

    def __hash__(self) -> int:
        return hash(self._key.kid)

    def __copy__(self) -> HemMLKEM512PublicKey:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> HemMLKEM512PublicKey:
        return self

    def __repr__(self) -> str:
        return f"<HemMLKEM512PublicKey {self._key!r}>"


class HemMLKEM512PrivateKey(RemotePrivateKey[HemMLKEM512PublicKey]):
    """An ML-KEM-512 key whose ``decapsulate`` runs on the device."""

    def public_key(self) -> HemMLKEM512PublicKey:
        """The public half; no I/O."""
        return HemMLKEM512PublicKey(self._key)

    def decapsulate(self, ciphertext: bytes) -> bytes:
        """The 32-byte shared secret. ``ValueError`` for a ciphertext of the wrong size."""
        return decapsulate(self._key, ciphertext)


def decapsulate(key: Key, ciphertext: object) -> bytes:
    """The shared secret, 32 bytes, by the device. ``ValueError`` for a ciphertext of another size than the
    key type's; nothing is sent then."""
    given = as_bytes("ciphertext", ciphertext)
    check_limits(key, "decapsulate")
    if len(given) != key.type.ciphertext_size:
        raise ValueError(f"ciphertext: {len(given)} bytes; {key.type.name} has {key.type.ciphertext_size}")
    return key.operations.mlkem_decapsulate(key.kid, given)
