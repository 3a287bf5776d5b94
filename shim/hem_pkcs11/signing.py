"""The device's algorithm for a signature mechanism with its parameter."""

from __future__ import annotations

from hem_pkcs11.constants import CKH, CKR
from hem_pkcs11.mechanisms import MechanismRow, Scheme, no_parameter
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.values import EddsaParameters, Mechanism, SignContext
from hem_provider.keytypes import KEY_TYPES

__all__ = ["device_algorithm"]


def device_algorithm(
    row: MechanismRow, mechanism: Mechanism, type_name: str, longest: int
) -> tuple[str, bytes | None]:
    """The device's ``alg`` (empty for ML-DSA) and ``ctx``, of at most ``longest`` bytes, for a key of type
    ``type_name``.

    Raises CKR_MECHANISM_PARAM_INVALID for a parameter the device cannot honour.
    """
    if row.scheme is Scheme.EDDSA:
        return _eddsa(mechanism, KEY_TYPES[type_name].sign_algorithms[0], longest)
    if row.scheme is Scheme.MLDSA:
        return "", _mldsa(mechanism, longest)
    no_parameter(row, mechanism)
    return row.algorithm, None


def _eddsa(mechanism: Mechanism, name: str, longest: int) -> tuple[str, bytes | None]:
    """RFC 8032's five variants by phFlag and context (PKCS#11 6.3.15).

    Pure Ed25519 is the variant without a parameter, and Ed448 always has one. A parameter without
    context would be Ed25519ctx with an empty one, which is another signature than Ed25519 and which
    the device is not known to make.
    """
    parameter = mechanism.parameter
    if parameter is None:
        if name == "Ed448":
            raise Pkcs11Error(CKR.MECHANISM_PARAM_INVALID, "CKM_EDDSA with Ed448 takes CK_EDDSA_PARAMS")
        return name, None
    if not isinstance(parameter, EddsaParameters) or len(parameter.context) > longest:
        raise Pkcs11Error(
            CKR.MECHANISM_PARAM_INVALID,
            f"CKM_EDDSA: the parameter is CK_EDDSA_PARAMS with a context of at most {longest} bytes",
        )
    if parameter.prehash:
        return f"{name}ph", parameter.context or None
    if name == "Ed25519":
        if not parameter.context:
            raise Pkcs11Error(
                CKR.MECHANISM_PARAM_INVALID,
                f"CKM_EDDSA: Ed25519ctx takes a context of 1 to {longest} bytes; plain Ed25519 no parameter "
                "at all",
            )
        return "Ed25519ctx", parameter.context
    return name, parameter.context or None


def _mldsa(mechanism: Mechanism, longest: int) -> bytes | None:
    parameter = mechanism.parameter
    if parameter is None:
        return None
    if not isinstance(parameter, SignContext) or len(parameter.context) > longest:
        raise Pkcs11Error(
            CKR.MECHANISM_PARAM_INVALID,
            f"CKM_ML_DSA: the parameter is CK_SIGN_ADDITIONAL_CONTEXT, context at most {longest} bytes",
        )
    if parameter.hedge != CKH.HEDGE_PREFERRED:
        raise Pkcs11Error(
            CKR.MECHANISM_PARAM_INVALID, "CKM_ML_DSA: the device chooses by itself whether it hedges"
        )
    return parameter.context or None
