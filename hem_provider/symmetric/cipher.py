"""``Cipher`` as in ``cryptography.hazmat.primitives.ciphers``, with a HEM key for its algorithm.

>>> from cryptography.hazmat.primitives.ciphers import modes           # doctest: +SKIP
>>> encryptor = Cipher(key, modes.CTR(nonce)).encryptor()              # doctest: +SKIP
>>> ciphertext = encryptor.update(b"data") + encryptor.finalize()      # doctest: +SKIP

Modes are ``cryptography``'s own objects: ``CBC``, ``CTR``, ``ECB`` (keys of family ``cipher``) and
``GCM`` (family ``aead``). For PKCS#7 use its ``padding.PKCS7(128)``, as with any ``Cipher``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers import (
    AEADDecryptionContext,
    AEADEncryptionContext,
    CipherContext,
    algorithms,
    modes,
)

from hem_provider.arguments import as_bytes
from hem_provider.records import frozen
from hem_provider.symmetric.blocks import AesKey
from hem_provider.symmetric.contexts import (
    CbcDecryption,
    CbcEncryption,
    CtrContext,
    EcbDecryption,
    EcbEncryption,
)
from hem_provider.symmetric.family import check_use
from hem_provider.symmetric.gcm import TAG
from hem_provider.symmetric.gcm_contexts import GcmDecryption, GcmEncryption
from hem_provider.symmetric.resolve import AnyAesKey, aes_key

__all__ = ["Cipher"]

ModeT = TypeVar("ModeT", bound=modes.Mode, covariant=True)


@frozen
class _Row:
    """How one mode runs: the family its key must be of, and what makes each direction."""

    family: str
    mechanisms: tuple[str, ...]
    encrypt: Callable[[AesKey, Any], CipherContext]
    decrypt: Callable[[AesKey, Any], CipherContext]


def _iv(mode: modes.CBC | modes.GCM) -> bytes:
    return as_bytes("initialization_vector", mode.initialization_vector)


def _gcm_decryption(key: AesKey, mode: modes.GCM) -> CipherContext:
    # The mode does not show its shortest tag; should it move, only whole tags are taken.
    shortest = getattr(mode, "_min_tag_length", TAG)
    return GcmDecryption(key, _iv(mode), mode.tag, shortest)


_MODES: dict[type[modes.Mode], _Row] = {
    modes.CBC: _Row(
        "cipher",
        ("cbc", "cbc-pad"),
        lambda key, m: CbcEncryption(key, _iv(m)),
        lambda key, m: CbcDecryption(key, _iv(m)),
    ),
    modes.CTR: _Row(
        "cipher",
        ("ctr",),
        lambda key, mode: CtrContext(key, as_bytes("nonce", mode.nonce)),
        lambda key, mode: CtrContext(key, as_bytes("nonce", mode.nonce)),
    ),
    modes.ECB: _Row("cipher", ("ecb",), lambda key, _: EcbEncryption(key), lambda key, _: EcbDecryption(key)),
    modes.GCM: _Row("aead", ("gcm",), lambda key, mode: GcmEncryption(key, _iv(mode)), _gcm_decryption),
}


class Cipher(Generic[ModeT]):
    """A key and a mode; ``encryptor()`` and ``decryptor()`` start operations. No I/O.

    Device calls: CTR and GCM as few as one for 2 KiB; CBC decryption and ECB one for each 2 KiB of
    an update; CBC encryption one for each 16 bytes (slow: it cannot be otherwise).
    """

    def __init__(self, key: AnyAesKey, mode: ModeT) -> None:
        """``UnsupportedAlgorithm`` for other modes, ``ValueError`` for a wrong nonce or IV size,
        ``WrongKeyType``, ``WrongKeyFamily``. ``TypeError`` for what is no mode."""
        if not isinstance(mode, modes.Mode):
            raise TypeError(f"mode: {type(mode).__name__}; accepted: an object of cryptography's modes")
        row = _MODES.get(type(mode))
        if row is None:
            names = ", ".join(kind.__name__ for kind in _MODES)
            raise UnsupportedAlgorithm(f"mode {mode.name}: not offered with a HEM key; accepted: {names}")
        self._row = row
        self._key = aes_key(key, row.family)
        # cryptography checks sizes against an algorithm object; the key in it plays no part.
        mode.validate_for_algorithm(algorithms.AES(bytes(self._key.key_size // 8)))
        self.mode = mode

    def __repr__(self) -> str:
        return f"<Cipher {self.mode.name} {self._key!r}>"

    @overload
    def encryptor(self: Cipher[modes.ModeWithAuthenticationTag]) -> AEADEncryptionContext: ...
    @overload
    def encryptor(self) -> CipherContext: ...
    def encryptor(self) -> CipherContext:
        """Start encrypting. ``ValueError`` when a GCM mode already holds a tag."""
        if isinstance(self.mode, modes.ModeWithAuthenticationTag) and self.mode.tag is not None:
            raise ValueError("Authentication tag must be None when encrypting.")
        check_use(self._key, "encrypt", *self._row.mechanisms)
        return self._row.encrypt(self._key, self.mode)

    @overload
    def decryptor(self: Cipher[modes.ModeWithAuthenticationTag]) -> AEADDecryptionContext: ...
    @overload
    def decryptor(self) -> CipherContext: ...
    def decryptor(self) -> CipherContext:
        """Start decrypting."""
        check_use(self._key, "decrypt", *self._row.mechanisms)
        return self._row.decrypt(self._key, self.mode)
