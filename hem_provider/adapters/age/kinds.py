"""The kinds of recipients that age has for keys (https://age-encryption.org/v1, "Native recipient types"),
as a table, and how each wraps a file's key once the secrets are agreed."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hem_provider.adapters.age import hpke
from hem_provider.adapters.age.header import FILE_KEY, hkdf
from hem_provider.keytypes import KEY_TYPES
from hem_provider.publickeys import device_form
from hem_provider.records import frozen

__all__ = ["KINDS", "ML_KEM", "WRAPPED", "Kind", "Secrets", "ephemeral", "open_key", "seal_key", "tag_of"]

#: The device's type of the post-quantum half of hybrids.
ML_KEM = KEY_TYPES["MLKEM768"]
#: Bytes of a wrapped file key.
WRAPPED = FILE_KEY + 16
_INFO = "age-encryption.org/"


@frozen
class Kind:
    """``number``: in identities of ours, for good. ``prefix``: of its recipients as text. ``stanza``: its
    name in headers. ``curve``: the device's type of its key, or of its classical half. ``hybrid``: whether
    there is an ML-KEM-768 half, too. ``tagged``: whether stanzas tell whom they are for. ``kem``: of HPKE;
    age's own way without one."""

    number: int
    prefix: str
    stanza: str
    curve: str
    hybrid: bool = False
    tagged: bool = False
    kem: hpke.Kem | None = None

    @property
    def info(self) -> bytes:
        """What keeps its secrets apart from others'."""
        return f"{_INFO}{self.stanza if self.kem else 'v1/' + self.stanza}".encode("ascii")

    @property
    def share_size(self) -> int:
        """Bytes of the sender's share of the agreement: a raw or uncompressed point."""
        return 32 if self.curve == "CURVE25519" else 65

    @property
    def encapsulated_size(self) -> int:
        """Bytes of a stanza's last argument."""
        return self.share_size + (ML_KEM.ciphertext_size or 0) * self.hybrid

    @property
    def public_size(self) -> int:
        """Bytes of a recipient; that of a P-256 key alone is a compressed point."""
        if self.hybrid:
            return (ML_KEM.public_size or 0) + self.share_size
        return KEY_TYPES[self.curve].public_size or 0

    def load(self, point: bytes) -> Any:
        """The native public key of a point. ``ValueError``."""
        if self.curve == "CURVE25519":
            return x25519.X25519PublicKey.from_public_bytes(point)
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)

    def device_form(self, point: bytes) -> bytes:
        """A point as the device has public keys of the curve. ``ValueError``."""
        return device_form(self.load(point))

    def point(self, public: Any) -> bytes:
        """A native public key as shares and hybrids have it."""
        if self.curve == "CURVE25519":
            return bytes(public.public_bytes_raw())
        return bytes(public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))


_LABEL_X25519, _LABEL_P256 = rb"\.//^" + b"\\", b"MLKEM768-P256"
#: Those whose stanzas tell the key come first, and then those that take one call a try.
KINDS: tuple[Kind, ...] = (
    Kind(2, "age1tag", "p256tag", "SECP256R1", tagged=True, kem=hpke.Kem(0x0010)),
    Kind(
        4, "age1tagpq", "mlkem768p256tag", "SECP256R1", hybrid=True, tagged=True,
        kem=hpke.Kem(0x0050, _LABEL_P256),
    ),
    Kind(1, "age", "X25519", "CURVE25519"),
    Kind(3, "age1pq", "mlkem768x25519", "CURVE25519", hybrid=True, kem=hpke.Kem(0x647A, _LABEL_X25519)),
)  # fmt: skip
#: Text of a recipient before its last "1" → the kind.
BY_PREFIX: Mapping[str, Kind] = {each.prefix: each for each in KINDS}


@frozen
class Secrets:
    """What both sides of an agreement have: the agreed secret, the sender's share, the recipient's point
    (both as ``Kind.point`` gives them), and of a hybrid ML-KEM's secret."""

    agreed: bytes
    share: bytes
    point: bytes
    post_quantum: bytes = b""

    def __repr__(self) -> str:
        return "<Secrets>"


def ephemeral(kind: Kind, public: Any) -> tuple[bytes, bytes]:
    """A fresh share, and the secret agreed by it. ``ValueError`` for a key with which there is none."""
    if kind.curve == "CURVE25519":
        own = x25519.X25519PrivateKey.generate()
        return kind.point(own.public_key()), own.exchange(public)
    other = ec.generate_private_key(ec.SECP256R1())
    return kind.point(other.public_key()), other.exchange(ec.ECDH(), public)


def seal_key(kind: Kind, secrets: Secrets, file_key: bytes) -> bytes:
    """The body of a stanza: ``WRAPPED`` bytes."""
    if kind.kem is None:
        return ChaCha20Poly1305(_own_key(kind, secrets)).encrypt(bytes(12), file_key, None)
    return hpke.seal(kind.kem, _shared(kind, kind.kem, secrets), kind.info, file_key)


def open_key(kind: Kind, secrets: Secrets, body: bytes) -> bytes | None:
    """The file's key, or ``None`` where the body was made with other secrets."""
    try:
        if kind.kem is None:
            return ChaCha20Poly1305(_own_key(kind, secrets)).decrypt(bytes(12), body, None)
        return hpke.open_sealed(kind.kem, _shared(kind, kind.kem, secrets), kind.info, body)
    except InvalidTag:
        return None


def tag_of(kind: Kind, encapsulated: bytes, public: Any) -> bytes:
    """The 4 bytes by which the holder of ``public``, a native P-256 key, knows that a stanza is his."""
    form = PublicFormat.UncompressedPoint if kind.hybrid else PublicFormat.CompressedPoint
    digest = hashlib.sha256(public.public_bytes(Encoding.X962, form)).digest()
    return hmac.digest(kind.info, encapsulated + digest[:4], hashlib.sha256)[:4]


def _own_key(kind: Kind, secrets: Secrets) -> bytes:
    return hkdf(secrets.agreed, secrets.share + secrets.point, kind.info)


def _shared(kind: Kind, kem: hpke.Kem, secrets: Secrets) -> bytes:
    values = (secrets.agreed, secrets.share, secrets.point)
    if kind.hybrid:
        return hpke.hybrid_secret(kem, secrets.post_quantum, *values)
    return hpke.p256_secret(kem, *values)
