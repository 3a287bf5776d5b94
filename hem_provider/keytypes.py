"""The device's key types: one table of sizes and algorithms, and the type strings of listings.

Everything that depends on a key's type reads it from here. Sizes are in bytes and come from
the device API §12; the strings from §11.1.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType

from hem_provider.records import frozen

__all__ = [
    "AES_WIDTHS",
    "DIGESTS",
    "ECDSA",
    "KEY_TYPES",
    "KID_DIGITS",
    "KID_FORM",
    "MAX_CONTEXT",
    "MAX_DERIVATION_CONTEXT",
    "MAX_DESCR",
    "MAX_LABEL",
    "MAX_MESSAGE",
    "RAW_SECRET",
    "USAGE_TOKENS",
    "Family",
    "KeyAttributes",
    "KeyType",
    "parse_attributes",
]

#: Largest message of one cryptographic operation, in bytes (device API §13.1). The smallest is 1.
MAX_MESSAGE = 2048
#: Largest RFC 8032 or FIPS 204 context, in bytes.
MAX_CONTEXT = 255
#: Largest context of a key that is derived from an agreement, in bytes (device API §13.7).
MAX_DERIVATION_CONTEXT = 64
#: Bytes of a raw ECDH secret that firmware 1.2.2 gives at most, whatever the curve (device API §13.6).
RAW_SECRET = 32
#: Longest key label, in printable ASCII characters. The shortest is 1.
MAX_LABEL = 32
#: Largest ``descr`` that firmware 1.2.2 gives back whole, in bytes.
MAX_DESCR = 64
#: Hex digits of a KID, which is 16 bytes (device API §11.2), and their form as the device writes them.
KID_DIGITS = 32
KID_FORM = f"[0-9a-f]{{{KID_DIGITS}}}"

#: The digests of ECDSA, by their names in ``cryptography`` → the device's ``alg`` (device API §13.3).
ECDSA: Mapping[str, str] = MappingProxyType({f"sha{b}": f"SHA{b}WithECDSA" for b in (256, 384, 512)})
#: The digests of HMAC and hashed ECDH, by their names in ``cryptography`` → the device's literal.
DIGESTS: Mapping[str, str] = MappingProxyType(
    {f"sha{b}": f"SHA2-{b}" for b in (256, 384, 512)} | {f"sha3-{b}": f"SHA3-{b}" for b in (256, 384, 512)}
)
#: Widths of AES keys, in bits.
AES_WIDTHS = (128, 192, 256)


class Family(enum.Enum):
    """Kinds of keys that share algorithms and encodings."""

    EC = "ec"
    EDWARDS = "edwards"
    MONTGOMERY = "montgomery"
    HMAC = "hmac"
    AES = "aes"
    MLKEM = "mlkem"
    MLDSA = "mldsa"


#: Families of key pairs → what their keys can be made for, and the token by which a type string says so
#: (device API §11.1); of EC keys, which alone have a choice, also the ``mode`` to ask for (§11.3).
USAGE_TOKENS: Mapping[Family, Mapping[str, str]] = MappingProxyType(
    {
        Family.EC: {"derive": "ECDH", "sign": "ExDSA"},
        Family.EDWARDS: {"sign": "ExDSA"},
        Family.MONTGOMERY: {"derive": "ECDH"},
        Family.MLKEM: {"derive": "PQC"},
        Family.MLDSA: {"sign": "PQC"},
    }
)


@frozen
class KeyType:
    """One of the 23 types a device can create.

    ``name``: the device's literal. ``bits``: field, key or digest size; for ML-KEM and ML-DSA
    the parameter set's number. ``public_size``: bytes of ``pubkey`` on the wire (compressed
    point for EC), ``None`` for symmetric keys. ``signature_size``: bytes of a raw signature
    (r‖s for EC, which the device sends as DER), or of a MAC. ``secret_size``: bytes of the
    whole ECDH secret, KEM secret or AES key. ``sign_algorithms``: the device's ``alg``
    literals, the natural one first.
    """

    name: str
    family: Family
    bits: int
    public_size: int | None = None
    signature_size: int | None = None
    secret_size: int | None = None
    ciphertext_size: int | None = None
    sign_algorithms: tuple[str, ...] = ()

    @property
    def symmetric(self) -> bool:
        """Whether the key has no public half."""
        return self.public_size is None


def _ec(name: str, bits: int, natural: str) -> KeyType:
    size = (bits + 7) // 8
    algorithms = (ECDSA[natural], *(each for digest, each in ECDSA.items() if digest != natural))
    return KeyType(name, Family.EC, bits, size + 1, 2 * size, size, None, algorithms)


def _hmac(name: str) -> KeyType:
    bits = int(name.partition("-")[2])
    return KeyType(name, Family.HMAC, bits, None, bits // 8)


_ALL = (
    _ec("SECP256R1", 256, "sha256"),
    _ec("SECP384R1", 384, "sha384"),
    _ec("SECP521R1", 521, "sha512"),
    _ec("SECP256K1", 256, "sha256"),
    KeyType("CURVE25519", Family.MONTGOMERY, 255, 32, None, 32),
    KeyType("CURVE448", Family.MONTGOMERY, 448, 56, None, 56),
    KeyType("ED25519", Family.EDWARDS, 255, 32, 64, None, None, ("Ed25519", "Ed25519ph", "Ed25519ctx")),
    KeyType("ED448", Family.EDWARDS, 448, 57, 114, None, None, ("Ed448", "Ed448ph")),
    *map(_hmac, DIGESTS.values()),
    *(KeyType(f"AES{b}", Family.AES, b, None, None, b // 8) for b in AES_WIDTHS),
    KeyType("MLKEM512", Family.MLKEM, 512, 800, None, 32, 768),
    KeyType("MLKEM768", Family.MLKEM, 768, 1184, None, 32, 1088),
    KeyType("MLKEM1024", Family.MLKEM, 1024, 1568, None, 32, 1568),
    KeyType("MLDSA44", Family.MLDSA, 44, 1312, 2420),
    KeyType("MLDSA65", Family.MLDSA, 65, 1952, 3309),
    KeyType("MLDSA87", Family.MLDSA, 87, 2592, 4627),
)

#: Key types by the device's literal, in the order a listing shows best (EC first).
KEY_TYPES: Mapping[str, KeyType] = MappingProxyType({each.name: each for each in _ALL})


@frozen
class KeyAttributes:
    """What a device's comma-joined type string says (device API §11.1).

    ``key_type`` is ``None`` for records that are not keys of the table (certificates, DER
    material, types of a later firmware); ``tokens`` holds the whole string's parts.
    """

    key_type: KeyType | None
    tokens: tuple[str, ...]
    attested: bool
    private: bool
    ecdh: bool
    exdsa: bool

    @property
    def usable(self) -> bool:
        """Whether the secret or private half is on the device."""
        return self.key_type is not None and (self.private or self.key_type.symmetric)


def parse_attributes(text: str) -> KeyAttributes:
    """Read a type string as list, search and get give it; unknown tokens are kept, not refused.

    >>> parse_attributes("ATT,PKEY,ExDSA,SECP256R1").key_type.name
    'SECP256R1'
    """
    tokens = tuple(part.strip() for part in text.split(",") if part.strip())
    known = [KEY_TYPES[token] for token in tokens if token in KEY_TYPES]
    return KeyAttributes(
        key_type=known[-1] if known else None,
        tokens=tokens,
        attested="ATT" in tokens,
        private="PKEY" in tokens,
        ecdh="ECDH" in tokens,
        exdsa="ExDSA" in tokens,
    )
