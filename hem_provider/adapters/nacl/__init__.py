"""PyNaCl's keys and boxes, with the secret half on a device.

Same names and methods as ``nacl.signing`` and ``nacl.public``, of which these are subclasses; the
constructors take a key of a HEM where PyNaCl takes secret bytes::

    SigningKey(hem.keys.create("ED25519", label="release")).sign(b"message")
    private = PrivateKey(hem.keys.create("CURVE25519", label="inbox"))
    Box(private, peer_public_key).decrypt(ciphertext)
    SealedBox(private).decrypt(ciphertext)

``Box`` and ``SealedBox`` take ordinary PyNaCl keys as well, so that they can be imported in place of
PyNaCl's. What is sent to and got from PyNaCl or libsodium elsewhere is the same. Data errors are
``nacl.exceptions``'; device errors are ``HemError``'s children, except that what the device cannot
decrypt because the data are wrong is a ``CryptoError``, as it is there.

A box's shared key lives in this process, as it does with PyNaCl: who has it reads and writes this
one conversation without the device.
"""

from __future__ import annotations

from typing import Any, NoReturn

import nacl.bindings
from cryptography.hazmat.primitives.asymmetric import ed25519
from nacl import exceptions as exc
from nacl import public, signing
from nacl.encoding import Encoder, RawEncoder
from nacl.hash import blake2b
from nacl.public import PublicKey
from nacl.signing import SignedMessage, VerifyKey

from hem_provider.adapters.nacl.salsa import hsalsa20
from hem_provider.arguments import as_bytes
from hem_provider.device.hem import Key
from hem_provider.errors import HemAnswerFault, HemOperationFailed, KeyNotExportable
from hem_provider.publickeys import check_agreeable

__all__ = ["Box", "PrivateKey", "SealedBox", "SigningKey"]

_EPHEMERAL = PublicKey.SIZE


class _Remote:
    """What a secret key here cannot do: give itself away."""

    _key: Key

    @property
    def hem_key(self) -> Key:
        """The device's record of the key."""
        return self._key

    def __bytes__(self) -> bytes:
        self._refuse("its bytes")

    def encode(self, encoder: Encoder = RawEncoder) -> bytes:  # noqa: ARG002 - in PyNaCl's signature
        """Refused: ``KeyNotExportable``."""
        self._refuse("its bytes")

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        self._refuse("a pickle of it")

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: dict[Any, Any]) -> Any:
        return self

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._key == self._key

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self._key)

    def __str__(self) -> str:
        return repr(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._key!r}>"

    def _refuse(self, what: str) -> NoReturn:
        raise KeyNotExportable(
            f"{what}: the secret half of key {self._key.kid} never leaves the device; where PyNaCl wants it "
            f"for a Box or SealedBox, use those of {__name__}"
        )


class SigningKey(_Remote, signing.SigningKey):
    """An Ed25519 key of a device. Constructing does no I/O for a key whose type is known.

    ``TypeError`` for a key of another type.
    """

    def __init__(self, key: Key) -> None:
        _check_type(key, "ED25519", "SigningKey")
        self._key = key
        self._verify_key: VerifyKey | None = None

    @property
    def verify_key(self) -> VerifyKey:  # type: ignore[override]  # PyNaCl's is an attribute
        """PyNaCl's own key: verifying is local. Asks the device once if it is not known yet."""
        if self._verify_key is None:
            self._verify_key = VerifyKey(self._key.public_bytes())
        return self._verify_key

    def sign(self, message: bytes, encoder: Encoder = RawEncoder) -> SignedMessage:
        """Sign 1…``MAX_MESSAGE`` bytes (``MessageTooLong``, ``ValueError``). One device call."""
        message = as_bytes("message", message)
        signature = self._key.private_key(ed25519.Ed25519PrivateKey).sign(message)
        return SignedMessage._from_parts(
            encoder.encode(signature), encoder.encode(message), encoder.encode(signature + message)
        )

    def to_curve25519_private_key(self) -> NoReturn:
        """Refused: ``KeyNotExportable``."""
        raise KeyNotExportable(
            f"to_curve25519_private_key: the secret half of key {self._key.kid} never leaves the device, "
            "and the device agrees on no secrets with an Ed25519 key; create another: "
            'hem.keys.create("CURVE25519", …)'
        )

    @classmethod
    def generate(cls) -> NoReturn:
        """Refused: PyNaCl's would make a local key. Use ``hem.keys.create("ED25519", …)``.
        ``KeyNotExportable``."""
        raise KeyNotExportable(
            'generate would make a local key; use SigningKey(hem.keys.create("ED25519", …))'
        )


class PrivateKey(_Remote, public.PrivateKey):
    """An X25519 key of a device. Constructing does no I/O for a key whose type is known.

    ``TypeError`` for a key of another type.
    """

    def __init__(self, key: Key) -> None:
        _check_type(key, "CURVE25519", "PrivateKey")
        self._key = key
        self._public: PublicKey | None = None

    @property
    def public_key(self) -> PublicKey:  # type: ignore[override]  # PyNaCl's is an attribute
        """PyNaCl's own key. Asks the device once if it is not known yet."""
        if self._public is None:
            self._public = PublicKey(self._key.public_bytes())
        return self._public

    def box_key(self, peer: bytes) -> bytes:
        """The key that ``crypto_box`` uses with a peer (32 bytes). One device call.

        ``CryptoError`` for a peer of small order, with which no secret is agreed (RFC 7748 §6.1).
        """
        try:
            return hsalsa20(self._key.operations.ecdh(self._key.kid, as_bytes("peer", peer)))
        except HemOperationFailed as refused:  # the key is there and agrees: it is the peer
            raise exc.CryptoError(f"no secret is agreed with this public key: {refused}") from refused
        except HemAnswerFault:  # a secret of zeros, perhaps
            try:
                check_agreeable(self._key.type, peer)
            except ValueError as error:
                raise exc.CryptoError(f"no secret is agreed with this public key: {error}") from None
            raise

    @classmethod
    def generate(cls) -> NoReturn:
        """Refused: PyNaCl's would make a local key. Use ``hem.keys.create("CURVE25519", …)``.
        ``KeyNotExportable``."""
        raise KeyNotExportable(
            'generate would make a local key; use PrivateKey(hem.keys.create("CURVE25519", …))'
        )

    @classmethod
    def from_seed(cls, seed: bytes, encoder: Encoder = RawEncoder) -> NoReturn:  # noqa: ARG003
        """Refused: the device takes no secret keys. ``KeyNotExportable``."""
        raise KeyNotExportable("from_seed: secret keys cannot be brought to the device")


class Box(public.Box):
    """``nacl.public.Box``. With a key of a device, constructing is one device call; encrypting and
    decrypting, of any number of messages, are local. Errors of constructing as of ``PrivateKey.box_key``."""

    def __init__(self, private_key: public.PrivateKey, public_key: PublicKey) -> None:
        if isinstance(private_key, PrivateKey) and isinstance(public_key, PublicKey):
            self._shared_key = private_key.box_key(bytes(public_key))
        else:
            super().__init__(private_key, public_key)

    def __repr__(self) -> str:
        return "<Box: a shared key in memory>"


class SealedBox(public.SealedBox[Any]):
    """``nacl.public.SealedBox``. Encrypting is local; decrypting with a key of a device is one
    device call for each message, which may be of any size."""

    def __init__(self, recipient_key: PublicKey | public.PrivateKey) -> None:
        self._recipient = recipient_key if isinstance(recipient_key, PrivateKey) else None
        super().__init__(self._recipient.public_key if self._recipient else recipient_key)

    def decrypt(self, ciphertext: bytes, encoder: Encoder = RawEncoder) -> bytes:
        """``CryptoError`` when it was altered, or is for another key."""
        if self._recipient is None:
            return super().decrypt(ciphertext, encoder)
        sealed = as_bytes("ciphertext", encoder.decode(ciphertext))
        if len(sealed) < nacl.bindings.crypto_box_SEALBYTES:
            raise exc.TypeError(
                f"input ciphertext must be at least {nacl.bindings.crypto_box_SEALBYTES} long; "
                f"it has {len(sealed)}"
            )
        ephemeral, boxed = sealed[:_EPHEMERAL], sealed[_EPHEMERAL:]
        shared = self._recipient.box_key(ephemeral)
        nonce = blake2b(ephemeral + self._public_key, nacl.bindings.crypto_box_NONCEBYTES, encoder=RawEncoder)
        return nacl.bindings.crypto_box_open_easy_afternm(boxed, nonce, shared)

    def __repr__(self) -> str:
        return f"<SealedBox {self._recipient or 'for a public key'}>"


def _check_type(key: Key, wanted: str, what: str) -> None:
    if not isinstance(key, Key):
        raise exc.TypeError(f"{what}: made from a key of a HEM, not from {type(key).__name__}")
    if key.type.name != wanted:
        raise exc.TypeError(f"{what}: key {key.kid} is {key.type.name}; accepted: {wanted}")
