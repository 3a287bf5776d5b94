"""Endpoint group ``/api/crypto``: operations with a stored key (device API §13).

Every call needs a token whose scope is exactly ``keymgmt:use:<kid>``. An HTTP 406 here means any of: no such
key, wrong type or usage, failed verification; it is ``HemOperationFailed`` (or ``False`` from a verify),
never "not found". ``peer``: the other half of an agreement, a KID or a public key in device form. ``limits``:
the firmware's. Arguments are checked here: ``MessageTooLong``, ``ValueError``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from hem_provider.config.limits import FIRMWARE_1_2_2, FirmwareLimits
from hem_provider.errors import MessageTooLong
from hem_provider.keytypes import Family
from hem_provider.rest.agreements import encapsulation, lattice_signature, secret, signature
from hem_provider.rest.answer import Answer
from hem_provider.rest.call import Call, accepted, the_data
from hem_provider.rest.encoding import b64
from hem_provider.rest.fields import EMPTY, Asked, Field, Shape, data
from hem_provider.rest.keyfields import check_kid, peer_field, use_of
from hem_provider.rest.needs import Need

__all__ = [
    "ecdh",
    "mldsa_sign",
    "mldsa_verify",
    "mlkem_decapsulate",
    "mlkem_encapsulate",
    "operation",
    "sign",
    "verify",
]

T = TypeVar("T")

_PATH = "/api/crypto/"
_INVALID = {406: False}

_SIGNATURES = frozenset({Family.EC, Family.EDWARDS})
_AGREEMENT = frozenset({Family.EC, Family.MONTGOMERY})
_LATTICE = frozenset({Family.MLDSA})
_ENCAPSULATION = frozenset({Family.MLKEM})
_SHARED = Field("ss", data(32, never_zero=True))

#: Statuses of ``mldsa/verify`` that say nothing about the signature; neither do those from 500 to 599
#: (device API §13.9).
_NO_VERDICT = frozenset({200, 400, 401, 403, 409, 411, 413, 418})


class _InvalidByAnyOther(dict[int, bool]):
    def __contains__(self, status: object) -> bool:
        return isinstance(status, int) and status not in _NO_VERDICT and status // 100 != 5

    def __missing__(self, status: int) -> bool:
        return False


def operation(
    name: str,
    kid: str,
    fields: Mapping[str, Any],
    read: Callable[[Answer], T],
    *,
    needs: Need,
    answer: Shape = EMPTY,
    algorithm: str | None = None,
    size: int = 0,
    verdicts: Mapping[int, T] | None = None,
    lost: T | None = None,
) -> Call[T]:
    """What all operations have in common: over TLS, with the key's own scope, harmless to repeat.

    ``needs``: what the key must be. ``algorithm`` and ``size``: what the answer must agree with.
    ``kid`` is checked here.
    """
    kid = check_kid(kid)
    return Call(
        "POST",
        _PATH + name,
        read,
        {"kid": kid, **fields},
        answer=answer,
        scopes=(use_of(kid),),
        asked=Asked(algorithm=algorithm, size=size),
        kid=kid,
        needs=needs,
        tls_only=True,
        repeatable=True,
        verdicts=verdicts,
        lost=lost,
    )


_signature = the_data("sign")
_SIGN = Need("sign with {}", _SIGNATURES, "sign")
_SIGNED = Shape((Field("sign", signature),))


def sign(
    kid: str,
    message: bytes,
    algorithm: str,
    *,
    context: bytes | None = None,
    limits: FirmwareLimits = FIRMWARE_1_2_2,
) -> Call[bytes]:
    """``exdsa/sign``: 1…``limits.message`` bytes; the signature in device form (ECDSA: DER)."""
    fields = _signing(message, context, limits, alg=algorithm)
    return operation("exdsa/sign", kid, fields, _signature, needs=_SIGN, answer=_SIGNED, algorithm=algorithm)


_VERIFY = Need("verify with {}", _SIGNATURES, "sign", private=False)


def verify(
    kid: str,
    message: bytes,
    signature: bytes,
    algorithm: str,
    *,
    context: bytes | None = None,
    limits: FirmwareLimits = FIRMWARE_1_2_2,
) -> Call[bool]:
    """``exdsa/verify``. ``False`` also when the key is missing or of the wrong type."""
    fields = _signing(message, context, limits, alg=algorithm, sign=b64(signature))
    return operation(
        "exdsa/verify", kid, fields, accepted, needs=_VERIFY, algorithm=algorithm, verdicts=_INVALID
    )


_digest_or_secret = the_data("ecdh")
_AGREE = Need("agree on a secret", _AGREEMENT, "derive")
_AGREED = Shape((Field("ecdh", secret),))


def ecdh(kid: str, peer: bytes | str, *, algorithm: str | None = None) -> Call[bytes]:
    """``ecdh`` (device API §13.6): the digest ``algorithm`` of the whole secret, or, without one, the
    secret's first 32 bytes."""
    fields = peer_field(peer)
    if algorithm is not None:
        fields["alg"] = algorithm
    return operation(
        "ecdh", kid, fields, _digest_or_secret, needs=_AGREE, answer=_AGREED, algorithm=algorithm
    )


_ENCAPSULATE = Need("encapsulate", _ENCAPSULATION)
_ENCAPSULATED = Shape((Field("ct", encapsulation), _SHARED))


def _encapsulated(answer: Answer) -> tuple[bytes, bytes]:
    return answer.data("ct"), answer.data("ss")


def mlkem_encapsulate(kid: str) -> Call[tuple[bytes, bytes]]:
    """``pqc/mlkem/encaps``: a fresh ciphertext and its 32-byte shared secret, in this order.

    Needs the private object: an imported public key is refused.
    """
    return operation("pqc/mlkem/encaps", kid, {}, _encapsulated, needs=_ENCAPSULATE, answer=_ENCAPSULATED)


_shared_secret = the_data("ss")
_DECAPSULATE = Need("decapsulate", _ENCAPSULATION)
#: The answer's ``alg`` is not meaningful (device API, Q5).
_DECAPSULATED = Shape((_SHARED,))


def mlkem_decapsulate(kid: str, ciphertext: bytes) -> Call[bytes]:
    """``pqc/mlkem/decaps``: the 32-byte shared secret."""
    fields = {"ct": b64(ciphertext)}
    return operation(
        "pqc/mlkem/decaps", kid, fields, _shared_secret, needs=_DECAPSULATE, answer=_DECAPSULATED
    )


_MLDSA_SIGN = Need("sign with ML-DSA", _LATTICE)
_MLDSA_SIGNED = Shape((Field("sign", lattice_signature),))


def mldsa_sign(
    kid: str, message: bytes, *, context: bytes | None = None, limits: FirmwareLimits = FIRMWARE_1_2_2
) -> Call[bytes]:
    """``pqc/mldsa/sign``: 1…``limits.message`` bytes under a context of up to ``limits.context`` bytes, or
    none; the raw signature."""
    fields = _signing(message, context, limits)
    return operation("pqc/mldsa/sign", kid, fields, _signature, needs=_MLDSA_SIGN, answer=_MLDSA_SIGNED)


_MLDSA_VERIFY = Need("verify with ML-DSA", _LATTICE)


def mldsa_verify(
    kid: str,
    message: bytes,
    signature: bytes,
    *,
    context: bytes | None = None,
    limits: FirmwareLimits = FIRMWARE_1_2_2,
) -> Call[bool]:
    """``pqc/mldsa/verify``. ``False`` also when the key is missing or of the wrong type.

    Firmware 1.2.2 tells failure by an internal number as status code, even one that is no
    HTTP (device API §13.9): an answer that cannot be read, from a device that then answers
    its status, is such a failure. Verify with the native public key where you can.
    """
    fields = _signing(message, context, limits, sign=b64(signature))
    return operation(
        "pqc/mldsa/verify",
        kid,
        fields,
        accepted,
        needs=_MLDSA_VERIFY,
        verdicts=_InvalidByAnyOther(),
        lost=False,
    )


def _signing(message: bytes, context: bytes | None, limits: FirmwareLimits, **fields: str) -> dict[str, str]:
    if not message:
        raise ValueError(f"message: 0 bytes; accepted: 1 to {limits.message} bytes")
    if len(message) > limits.message:
        raise MessageTooLong(
            f"message: {len(message)} bytes; the device takes at most {limits.message} in one operation and "
            "does not take a digest instead. Sign something that contains a digest of the data (CMS signed "
            "attributes, a manifest), or split it",
            size=len(message),
            limit=limits.message,
        )
    if context is not None and len(context) > limits.context:
        raise ValueError(f"context: {len(context)} bytes; accepted: at most {limits.context} bytes")
    fields["msg"] = b64(message)
    if context:  # an empty string is refused; an absent one is the empty context
        fields["ctx"] = b64(context)
    return fields
