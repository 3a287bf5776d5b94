"""How the device's key types look in Cryptoki: key type, domain parameters, generation mechanism."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hem_pkcs11.constants import CKK, CKM
from hem_provider.keytypes import DIGESTS, KEY_TYPES, Family, KeyType
from hem_provider.records import frozen

__all__ = ["CURVES", "KINDS", "KeyKind", "curve_of", "kind_of"]


@frozen
class KeyKind:
    """``ec_params``: CKA_EC_PARAMS as presented, the DER of the curve's OID. ``curve_name``: the
    PrintableString form that hosts may send instead. ``parameter_set``: CKA_PARAMETER_SET."""

    type: KeyType
    key_type: CKK
    generation: CKM
    ec_params: bytes | None = None
    curve_name: str | None = None
    parameter_set: int | None = None


def _oid(*content: int) -> bytes:
    return bytes((0x06, len(content), *content))


#: Type → OID content octets (SEC 2, RFC 8410) and name (RFC 8032, RFC 7748, SEC 2).
_CURVES: Mapping[str, tuple[bytes, str]] = {
    "SECP256R1": (_oid(0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07), "secp256r1"),
    "SECP384R1": (_oid(0x2B, 0x81, 0x04, 0x00, 0x22), "secp384r1"),
    "SECP521R1": (_oid(0x2B, 0x81, 0x04, 0x00, 0x23), "secp521r1"),
    "SECP256K1": (_oid(0x2B, 0x81, 0x04, 0x00, 0x0A), "secp256k1"),
    "CURVE25519": (_oid(0x2B, 0x65, 0x6E), "curve25519"),
    "CURVE448": (_oid(0x2B, 0x65, 0x6F), "curve448"),
    "ED25519": (_oid(0x2B, 0x65, 0x70), "edwards25519"),
    "ED448": (_oid(0x2B, 0x65, 0x71), "edwards448"),
}
_FAMILIES: Mapping[Family, tuple[CKK, CKM]] = {
    Family.EC: (CKK.EC, CKM.EC_KEY_PAIR_GEN),
    Family.EDWARDS: (CKK.EC_EDWARDS, CKM.EC_EDWARDS_KEY_PAIR_GEN),
    Family.MONTGOMERY: (CKK.EC_MONTGOMERY, CKM.EC_MONTGOMERY_KEY_PAIR_GEN),
    Family.AES: (CKK.AES, CKM.AES_KEY_GEN),
    Family.MLKEM: (CKK.ML_KEM, CKM.ML_KEM_KEY_PAIR_GEN),
    Family.MLDSA: (CKK.ML_DSA, CKM.ML_DSA_KEY_PAIR_GEN),
}
_HMACS: Mapping[str, tuple[CKK, CKM]] = {
    literal: (CKK[f"{stem}_HMAC"], CKM[f"{stem}_KEY_GEN"])
    for literal, stem in ((literal, name.replace("-", "_").upper()) for name, literal in DIGESTS.items())
}
#: CKP_ML_KEM_* and CKP_ML_DSA_*.
_PARAMETER_SETS: Mapping[str, int] = {
    "MLKEM512": 1, "MLKEM768": 2, "MLKEM1024": 3, "MLDSA44": 1, "MLDSA65": 2, "MLDSA87": 3,
}  # fmt: skip


def _kind(key_type: KeyType) -> KeyKind:
    ckk, generation = _HMACS.get(key_type.name) or _FAMILIES[key_type.family]
    params, name = _CURVES.get(key_type.name, (None, None))
    return KeyKind(key_type, ckk, generation, params, name, _PARAMETER_SETS.get(key_type.name))


#: By the device's type name, in the order objects are listed (EC first: some hosts give up at the
#: first key of a type they do not know).
KINDS: Mapping[str, KeyKind] = MappingProxyType({name: _kind(each) for name, each in KEY_TYPES.items()})

#: Every accepted CKA_EC_PARAMS → kind: the OID, and the name as a PrintableString.
CURVES: Mapping[bytes, KeyKind] = MappingProxyType(
    {kind.ec_params: kind for kind in KINDS.values() if kind.ec_params is not None}
    | {
        bytes((0x13, len(kind.curve_name))) + kind.curve_name.encode(): kind
        for kind in KINDS.values()
        if kind.curve_name is not None
    }
    # Names in use besides those of the standards.
    | {
        bytes((0x13, len(alias))) + alias: KINDS[name]
        for alias, name in ((b"prime256v1", "SECP256R1"), (b"Ed25519", "ED25519"), (b"Ed448", "ED448"))
    }
)


def kind_of(key_type: KeyType) -> KeyKind:
    """The row of a device type."""
    return KINDS[key_type.name]


def curve_of(ec_params: bytes) -> KeyKind | None:
    """The kind whose curve ``ec_params`` names; ``None`` for a curve the device does not have."""
    return CURVES.get(ec_params)
