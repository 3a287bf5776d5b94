"""The mechanisms: one table of what each does, with which keys, and how the device calls it.

Listed is exactly what works. Hashed ECDSA comes first and carries CKF_HW, because hosts that are
not told a mechanism take the first such one; raw CKM_ECDSA is absent on purpose, since hosts that
see it hash by themselves, and the device cannot sign a digest.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Protocol

from hem_pkcs11.constants import CKF, CKK, CKM, CKR, name_of
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.values import Mechanism, MechanismInfo
from hem_provider.device.description import Limits
from hem_provider.keytypes import DIGESTS, ECDSA, KEY_TYPES, RAW_SECRET, Family, KeyAttributes, KeyType
from hem_provider.records import frozen

__all__ = [
    "MECHANISMS",
    "KeyLike",
    "MechanismRow",
    "Scheme",
    "allowed_mechanisms",
    "invalid_parameter",
    "limit_word",
    "mechanism_limits",
    "mechanism_row",
    "no_parameter",
    "possible_mechanisms",
    "working_mechanisms",
]


class Scheme(enum.Enum):
    """What computes a mechanism; each operation module serves some of them."""

    ECDSA = "ecdsa"
    EDDSA = "eddsa"
    MLDSA = "mldsa"
    HMAC = "hmac"
    CMAC = "cmac"
    ECB = "ecb"
    CBC = "cbc"
    CBC_PAD = "cbc-pad"
    CTR = "ctr"
    GCM = "gcm"
    KEY_WRAP = "key-wrap"
    KEY_WRAP_PAD = "key-wrap-pad"
    ECDH = "ecdh"
    DEVICE_DERIVE = "device-derive"
    MLKEM = "mlkem"
    DIGEST = "digest"
    PAIR = "pair"
    SECRET = "secret"  # noqa: S105 - makes secret keys


@frozen
class MechanismRow:
    """``key_types``: what keys it takes or makes. Sizes are in the unit the standard gives for the
    mechanism (bits for curves, bytes for AES). ``algorithm``: the device's literal, ``hash``:
    hashlib's name, ``family``: the mode family an AES key needs. ``general``: the parameter is the
    length of the MAC."""

    type: CKM
    flags: CKF
    scheme: Scheme
    key_types: frozenset[CKK] = frozenset()
    min_size: int = 0
    max_size: int = 0
    algorithm: str = ""
    hash: str = ""
    family: str = ""
    general: bool = False

    @property
    def info(self) -> MechanismInfo:
        """What C_GetMechanismInfo says."""
        return MechanismInfo(self.min_size, self.max_size, int(self.flags))


class KeyLike(Protocol):
    """What decides a key's usage, of a key in the device or a planned one."""

    @property
    def type(self) -> KeyType:
        """The device's type."""

    @property
    def attributes(self) -> KeyAttributes:
        """What the device's listing says of it."""

    @property
    def family_mark(self) -> frozenset[str] | None:
        """The mode families that an AES key is kept to; ``None`` for a key that others made."""

    @property
    def limits(self) -> Limits:
        """What its maker denied it."""


_SIGN = CKF.SIGN | CKF.VERIFY
_SIGN_MESSAGES = _SIGN | CKF.MESSAGE_SIGN | CKF.MESSAGE_VERIFY
_CRYPT = CKF.ENCRYPT | CKF.DECRYPT
_CURVES = CKF.EC_F_P | CKF.EC_OID | CKF.EC_CURVENAME | CKF.EC_UNCOMPRESS
_NAMED = CKF.EC_OID | CKF.EC_CURVENAME
_PAIR = CKF.HW | CKF.GENERATE_KEY_PAIR
_GENERATE = CKF.HW | CKF.GENERATE
_S = Scheme
_EC = frozenset({CKK.EC})
_EDWARDS = frozenset({CKK.EC_EDWARDS})
_MONTGOMERY = frozenset({CKK.EC_MONTGOMERY})
_AES = frozenset({CKK.AES})
_MLDSA = frozenset({CKK.ML_DSA})
_MLKEM = frozenset({CKK.ML_KEM})


def _span(size: str, *families: Family, most: int | None = None) -> tuple[int, int]:
    """Least and largest ``size`` (a field of ``KeyType``) of the device's types of ``families``, of those
    whose secrets have at most ``most`` bytes."""
    kinds = [kind for kind in KEY_TYPES.values() if kind.family in families]
    sizes = [getattr(kind, size) for kind in kinds if most is None or (kind.secret_size or 0) <= most]
    return min(sizes), max(sizes)


_EC_BITS = _span("bits", Family.EC)
_EDWARDS_BITS = _span("bits", Family.EDWARDS)
_MONTGOMERY_BITS = _span("bits", Family.MONTGOMERY)
_AES_BYTES = _span("secret_size", Family.AES)
_MLDSA_BYTES = _span("public_size", Family.MLDSA)
_MLKEM_BYTES = _span("public_size", Family.MLKEM)
_AGREED_BITS = _span("bits", Family.EC, Family.MONTGOMERY)
#: The device gives the first bytes of a raw secret only: whole for these sizes.
_RAW_BITS = _span("bits", Family.EC, Family.MONTGOMERY, most=RAW_SECRET)


@frozen
class _Hash:
    """A digest of the device: hashlib's name, bytes, and what the names of its constants begin with."""

    name: str
    size: int
    stem: str


_HASHES = tuple(
    _Hash(name.replace("-", "_"), KEY_TYPES[literal].bits // 8, name.replace("-", "_").upper())
    for name, literal in DIGESTS.items()
)


def _macs() -> tuple[MechanismRow, ...]:
    rows = []
    for each in _HASHES:
        keys = frozenset({CKK[f"{each.stem}_HMAC"], CKK.GENERIC_SECRET})
        for name, general in ((f"{each.stem}_HMAC", False), (f"{each.stem}_HMAC_GENERAL", True)):
            flags = CKF.HW | _SIGN_MESSAGES
            rows.append(
                MechanismRow(CKM[name], flags, _S.HMAC, keys, 1, 2**20, hash=each.name, general=general)
            )
    return tuple(rows)


_HASHED_ECDSA = CKF.HW | _SIGN_MESSAGES | _CURVES

_ROWS = (
    *(
        MechanismRow(CKM[f"ECDSA_{name.upper()}"], _HASHED_ECDSA, _S.ECDSA, _EC, *_EC_BITS, literal, name)
        for name, literal in ECDSA.items()
    ),
    MechanismRow(CKM.EDDSA, CKF.HW | _SIGN_MESSAGES | _NAMED, _S.EDDSA, _EDWARDS, *_EDWARDS_BITS),
    MechanismRow(CKM.ML_DSA, CKF.HW | _SIGN_MESSAGES, _S.MLDSA, _MLDSA, *_MLDSA_BYTES),
    *_macs(),
    MechanismRow(CKM.AES_CMAC, _SIGN_MESSAGES, _S.CMAC, _AES, *_AES_BYTES, family="mac"),
    MechanismRow(CKM.ECDH1_DERIVE, CKF.HW | CKF.DERIVE | _CURVES, _S.ECDH, _EC | _MONTGOMERY, *_RAW_BITS),
    MechanismRow(
        CKM.HEM_DERIVE, CKF.HW | CKF.DERIVE | _CURVES, _S.DEVICE_DERIVE, _EC | _MONTGOMERY, *_AGREED_BITS,
    ),
    MechanismRow(CKM.AES_ECB, _CRYPT, _S.ECB, _AES, *_AES_BYTES, family="cipher"),
    MechanismRow(CKM.AES_CBC, _CRYPT, _S.CBC, _AES, *_AES_BYTES, family="cipher"),
    MechanismRow(CKM.AES_CBC_PAD, _CRYPT, _S.CBC_PAD, _AES, *_AES_BYTES, family="cipher"),
    MechanismRow(CKM.AES_CTR, _CRYPT, _S.CTR, _AES, *_AES_BYTES, family="cipher"),
    MechanismRow(
        CKM.AES_GCM, _CRYPT | CKF.MESSAGE_ENCRYPT | CKF.MESSAGE_DECRYPT | CKF.MULTI_MESSAGE,
        _S.GCM, _AES, *_AES_BYTES, family="aead",
    ),
    MechanismRow(CKM.AES_KEY_WRAP, CKF.WRAP | CKF.UNWRAP, _S.KEY_WRAP, _AES, *_AES_BYTES, family="wrap"),
    MechanismRow(
        CKM.AES_KEY_WRAP_KWP, CKF.WRAP | CKF.UNWRAP, _S.KEY_WRAP_PAD, _AES, *_AES_BYTES, family="wrap"
    ),
    MechanismRow(CKM.ML_KEM, CKF.HW | CKF.ENCAPSULATE | CKF.DECAPSULATE, _S.MLKEM, _MLKEM, *_MLKEM_BYTES),
    MechanismRow(CKM.EC_KEY_PAIR_GEN, _PAIR | _CURVES, _S.PAIR, _EC, *_EC_BITS),
    MechanismRow(CKM.EC_EDWARDS_KEY_PAIR_GEN, _PAIR | _NAMED, _S.PAIR, _EDWARDS, *_EDWARDS_BITS),
    MechanismRow(CKM.EC_MONTGOMERY_KEY_PAIR_GEN, _PAIR | _NAMED, _S.PAIR, _MONTGOMERY, *_MONTGOMERY_BITS),
    MechanismRow(CKM.ML_DSA_KEY_PAIR_GEN, _PAIR, _S.PAIR, _MLDSA, *_MLDSA_BYTES),
    MechanismRow(CKM.ML_KEM_KEY_PAIR_GEN, _PAIR, _S.PAIR, _MLKEM, *_MLKEM_BYTES),
    MechanismRow(CKM.AES_KEY_GEN, _GENERATE, _S.SECRET, _AES, *_AES_BYTES),
    *(
        MechanismRow(
            CKM[f"{each.stem}_KEY_GEN"], _GENERATE, _S.SECRET, frozenset({CKK[f"{each.stem}_HMAC"]}),
            each.size, each.size,
        )
        for each in _HASHES
    ),
    MechanismRow(
        CKM.GENERIC_SECRET_KEY_GEN, CKF.GENERATE, _S.SECRET, frozenset({CKK.GENERIC_SECRET}), 8, 8 * 2**16,
    ),
    *(
        MechanismRow(mechanism, CKF.DIGEST, _S.DIGEST, hash=name)
        for name, mechanism in (
            *((each.name, CKM[each.stem]) for each in _HASHES),
            ("sha224", CKM.SHA224),
            ("sha1", CKM.SHA_1),
            ("sha3_224", CKM.SHA3_224),
        )
    ),
)  # fmt: skip

#: By mechanism, in the order of C_GetMechanismList.
MECHANISMS: Mapping[int, MechanismRow] = MappingProxyType({int(row.type): row for row in _ROWS})


def mechanism_row(mechanism: int, use: int = 0) -> MechanismRow:
    """The row of ``mechanism``, which must permit ``use``. Raises CKR_MECHANISM_INVALID."""
    row = MECHANISMS.get(mechanism)
    if row is None or row.flags & use != use:
        hint = ""
        if mechanism == CKM.ECDSA:
            hint = ": the device signs messages, not digests; use CKM_ECDSA_SHA256, _SHA384 or _SHA512"
        raise Pkcs11Error(CKR.MECHANISM_INVALID, f"{name_of(CKM, mechanism)} is not offered here{hint}")
    return row


def no_parameter(row: MechanismRow, mechanism: Mechanism) -> None:
    """Raise CKR_MECHANISM_PARAM_INVALID when there is a parameter."""
    if mechanism.parameter is not None:
        raise Pkcs11Error(CKR.MECHANISM_PARAM_INVALID, f"CKM_{row.type.name} takes no parameter")


def invalid_parameter(row: MechanismRow, what: str) -> Pkcs11Error:
    """CKR_MECHANISM_PARAM_INVALID, saying ``what`` the parameter is."""
    return Pkcs11Error(CKR.MECHANISM_PARAM_INVALID, f"CKM_{row.type.name}: the parameter is {what}")


def working_mechanisms(key_type: CKK) -> tuple[CKM, ...]:
    """What works with keys of the type, wherever they are."""
    return tuple(
        row.type
        for row in _ROWS
        if key_type in row.key_types and not row.flags & (CKF.GENERATE | CKF.GENERATE_KEY_PAIR)
    )


def possible_mechanisms(key_type: CKK, key: KeyLike) -> tuple[CKM, ...]:
    """What works with a key in the device whose maker kept it to no mechanisms."""
    return tuple(each for each in working_mechanisms(key_type) if _fits(MECHANISMS[each], key))


def allowed_mechanisms(key_type: CKK, key: KeyLike) -> tuple[CKM, ...]:
    """CKA_ALLOWED_MECHANISMS: what works with this very key."""
    possible, kept = possible_mechanisms(key_type, key), key.limits.mechanisms
    return tuple(each for each in possible if limit_word(each) in kept) if kept else possible


def mechanism_limits(possible: Collection[CKM], wanted: Collection[int]) -> frozenset[str]:
    """How ``Limits`` say that of ``possible`` only ``wanted`` is left; empty where that is all."""
    if set(possible) <= set(wanted):
        return frozenset()
    return frozenset(limit_word(each) for each in possible if each in wanted)


def limit_word(mechanism: CKM) -> str:
    """What ``hem_provider.device.description.MECHANISMS`` calls it.

    >>> limit_word(CKM.SHA384_HMAC_GENERAL)
    'hmac-general'
    """
    row = MECHANISMS[mechanism]
    if row.scheme is Scheme.ECDSA:
        return f"ecdsa-{row.hash}"
    return f"{row.scheme.value}-general" if row.general else row.scheme.value


def _fits(row: MechanismRow, key: KeyLike) -> bool:
    match row.scheme:
        case Scheme.ECDSA | Scheme.EDDSA:
            return key.attributes.exdsa
        case Scheme.ECDH:
            return key.attributes.ecdh and key.type.bits <= row.max_size
        case Scheme.DEVICE_DERIVE:
            return key.attributes.ecdh
    kept = key.family_mark
    return key.type.family is not Family.AES or not kept or row.family in kept
