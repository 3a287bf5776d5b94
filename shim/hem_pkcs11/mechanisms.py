"""The mechanisms: one table of what each does, with which keys, and under which device algorithm.

Listed is exactly what works. Hashed ECDSA comes first and carries CKF_HW, because hosts that are
not told a mechanism take the first such one; raw CKM_ECDSA is absent on purpose, since hosts that
see it hash by themselves, and the device cannot sign a digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hem_pkcs11.constants import CKF, CKK, CKM, CKR, name_of
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.values import EddsaParameters, Mechanism, MechanismInfo
from hem_provider.keytypes import MAX_CONTEXT, KeyAttributes

__all__ = ["MECHANISMS", "Row", "allowed_mechanisms", "device_algorithm", "row_of"]


@dataclass(frozen=True, slots=True)
class Row:
    """``key_types``: what keys it takes or makes. Sizes are in the unit the standard gives for the
    mechanism (bits for curves). ``algorithm``: the device's literal, ``hash``: hashlib's name."""

    type: CKM
    flags: CKF
    key_types: frozenset[CKK] = frozenset()
    min_size: int = 0
    max_size: int = 0
    algorithm: str = ""
    hash: str = ""

    @property
    def info(self) -> MechanismInfo:
        return MechanismInfo(self.min_size, self.max_size, int(self.flags))


_SIGNS = CKF.HW | CKF.SIGN | CKF.VERIFY
_CURVES = CKF.EC_F_P | CKF.EC_OID | CKF.EC_CURVENAME | CKF.EC_UNCOMPRESS
_PAIR = CKF.HW | CKF.GENERATE_KEY_PAIR
_EC = frozenset({CKK.EC})
_EDWARDS = frozenset({CKK.EC_EDWARDS})

_ROWS = (
    Row(CKM.ECDSA_SHA256, _SIGNS | _CURVES, _EC, 256, 521, "SHA256WithECDSA", "sha256"),
    Row(CKM.ECDSA_SHA384, _SIGNS | _CURVES, _EC, 256, 521, "SHA384WithECDSA", "sha384"),
    Row(CKM.ECDSA_SHA512, _SIGNS | _CURVES, _EC, 256, 521, "SHA512WithECDSA", "sha512"),
    Row(CKM.EDDSA, _SIGNS | CKF.EC_OID | CKF.EC_CURVENAME, _EDWARDS, 255, 448),
    Row(CKM.EC_KEY_PAIR_GEN, _PAIR | _CURVES, _EC, 256, 521),
    Row(CKM.EC_EDWARDS_KEY_PAIR_GEN, _PAIR | CKF.EC_OID | CKF.EC_CURVENAME, _EDWARDS, 255, 448),
    *(
        Row(mechanism, CKF.DIGEST, hash=name)
        for mechanism, name in (
            (CKM.SHA256, "sha256"),
            (CKM.SHA384, "sha384"),
            (CKM.SHA512, "sha512"),
            (CKM.SHA224, "sha224"),
            (CKM.SHA_1, "sha1"),
            (CKM.SHA3_256, "sha3_256"),
            (CKM.SHA3_384, "sha3_384"),
            (CKM.SHA3_512, "sha3_512"),
            (CKM.SHA3_224, "sha3_224"),
        )
    ),
)

#: By mechanism, in the order of C_GetMechanismList.
MECHANISMS: Mapping[int, Row] = MappingProxyType({int(row.type): row for row in _ROWS})


def row_of(mechanism: int, use: int = 0) -> Row:
    """The row of ``mechanism``, which must permit ``use``. Raises CKR_MECHANISM_INVALID."""
    row = MECHANISMS.get(mechanism)
    if row is None or row.flags & use != use:
        hint = ""
        if mechanism == CKM.ECDSA:
            hint = ": the device signs messages, not digests; use CKM_ECDSA_SHA256 and its sisters"
        raise Pkcs11Error(CKR.MECHANISM_INVALID, f"{name_of(CKM, mechanism)} is not offered here{hint}")
    return row


def allowed_mechanisms(key_type: CKK, attributes: KeyAttributes) -> tuple[CKM, ...]:
    """CKA_ALLOWED_MECHANISMS: what the device does with this very key."""
    return tuple(
        row.type
        for row in _ROWS
        if key_type in row.key_types
        and ((attributes.exdsa and row.flags & CKF.SIGN) or (attributes.ecdh and row.flags & CKF.DERIVE))
    )


def device_algorithm(row: Row, mechanism: Mechanism, type_name: str) -> tuple[str, bytes | None]:
    """The device's ``alg`` and ``ctx`` for a signature with a key of type ``type_name``.

    Raises CKR_MECHANISM_PARAM_INVALID for a parameter the device cannot honour.
    """
    if row.type != CKM.EDDSA:
        if mechanism.parameter is not None:
            raise Pkcs11Error(CKR.MECHANISM_PARAM_INVALID, f"CKM_{row.type.name} takes no parameter")
        return row.algorithm, None
    return _eddsa(mechanism, {"ED25519": "Ed25519", "ED448": "Ed448"}[type_name])


def _eddsa(mechanism: Mechanism, name: str) -> tuple[str, bytes | None]:
    """RFC 8032's five variants by phFlag and context (PKCS#11 6.3.15)."""
    parameter = mechanism.parameter
    if parameter is None:
        return name, None
    if not isinstance(parameter, EddsaParameters) or len(parameter.context) > MAX_CONTEXT:
        raise Pkcs11Error(
            CKR.MECHANISM_PARAM_INVALID,
            f"CKM_EDDSA: the parameter is CK_EDDSA_PARAMS with a context of at most {MAX_CONTEXT} bytes",
        )
    if parameter.prehash:
        return f"{name}ph", parameter.context or None
    if name == "Ed25519" and parameter.context:
        return "Ed25519ctx", parameter.context
    return name, parameter.context or None
