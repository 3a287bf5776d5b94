"""Endpoint groups ``/api/crypto/cipher`` and ``/api/crypto/hmac``: operations with a stored symmetric key, or
with one that the device derives from an ECDH secret (device API §13.2, §13.4, §13.5, §13.7).

``peer``: the public half to derive a key with, a KID or a public key in device form; ``context``: up to 64
bytes that tell derived keys apart. ``limits``: the firmware's. HTTP 406 means a failed integrity check as
well as an unsuitable or missing key: where integrity is checked it is ``None`` or ``False``, else
``HemOperationFailed``. Arguments are checked here: ``MessageTooLong``, ``ValueError``.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from hem_provider.config.limits import FIRMWARE_1_2_2, FirmwareLimits
from hem_provider.errors import MessageTooLong
from hem_provider.rest.agreements import BLOCK, HALF_BLOCK, MOST_DATA, encrypted, longer_by, mac, plain
from hem_provider.rest.answer import Answer
from hem_provider.rest.call import Call, accepted, the_data
from hem_provider.rest.crypto import operation
from hem_provider.rest.encoding import b64
from hem_provider.rest.fields import Field, Shape, data
from hem_provider.rest.keyfields import peer_field
from hem_provider.rest.needs import Need

__all__ = ["Encrypted", "decrypt", "encrypt", "hmac", "hmac_verify", "unwrap", "wrap"]


class Encrypted(NamedTuple):
    """What ``encrypt`` brings: ``iv`` (16 bytes, made by the device) not for ECB, ``tag`` (16
    bytes) for GCM alone."""

    ciphertext: bytes
    iv: bytes | None
    tag: bytes | None


_REJECTED: Final = {406: None}
_INVALID: Final = {406: False}

_ENCRYPT = Need("encrypt with {}")
_ENCRYPTED = Shape(
    (
        Field("ciphertext", data(most=MOST_DATA)),
        Field("iv", data(BLOCK, never_zero=True), needed=False),
        Field("tag", data(BLOCK), needed=False),
    ),
    encrypted,
)


def _encrypted(answer: Answer) -> Encrypted:
    return Encrypted(answer.data("ciphertext"), answer.optional_data("iv"), answer.optional_data("tag"))


def encrypt(
    kid: str,
    data: bytes,
    algorithm: str,
    *,
    aad: bytes | None = None,
    peer: bytes | str | None = None,
    context: bytes | None = None,
    limits: FirmwareLimits = FIRMWARE_1_2_2,
) -> Call[Encrypted]:
    """``cipher/encrypt`` of 1…``limits.message`` bytes with ``AES{128,192,256}-{ECB,CBC,GCM}``.

    The device makes the IV of CBC and GCM, and pads CBC by PKCS#7.
    """
    fields = _fields(data, limits.message, alg=algorithm, aad=_optional(aad))
    fields |= _derived(peer, context, limits)
    return operation(
        "cipher/encrypt",
        kid,
        fields,
        _encrypted,
        needs=_ENCRYPT,
        answer=_ENCRYPTED,
        algorithm=algorithm,
        size=len(data),
    )


_DECRYPT = Need("decrypt with {}")
_DECRYPTED = Shape((Field("plaintext", data(most=MOST_DATA)),), plain)
_plaintext = the_data("plaintext")


def decrypt(
    kid: str,
    data: bytes,
    algorithm: str,
    *,
    iv: bytes | None = None,
    tag: bytes | None = None,
    aad: bytes | None = None,
    peer: bytes | str | None = None,
    context: bytes | None = None,
    limits: FirmwareLimits = FIRMWARE_1_2_2,
) -> Call[bytes | None]:
    """``cipher/decrypt`` of 1…``limits.message`` + ``limits.padding`` bytes (16 on 1.2.2); ``iv`` and
    ``tag`` are 16 bytes where the mode has them. ``None`` when tag, padding or key are rejected."""
    given = {"iv": _optional(iv), "tag": _optional(tag), "aad": _optional(aad)}
    fields = _fields(data, limits.message + limits.padding, alg=algorithm, **given)
    fields |= _derived(peer, context, limits)
    return operation(
        "cipher/decrypt",
        kid,
        fields,
        _plaintext,
        needs=_DECRYPT,
        answer=_DECRYPTED,
        algorithm=algorithm,
        size=len(data),
        verdicts=_REJECTED,
    )


_WRAP = Need("wrap with {}")
_WRAPPED = longer_by("wrapped", HALF_BLOCK)
_wrapped = the_data("wrapped")


def wrap(
    kid: str,
    data: bytes,
    algorithm: str,
    *,
    icv: bytes | None = None,
    peer: bytes | str | None = None,
    context: bytes | None = None,
    limits: FirmwareLimits = FIRMWARE_1_2_2,
) -> Call[bytes]:
    """``cipher/wrap`` (RFC 3394) of 16…``limits.message`` bytes; ``AES{128,192,256}``; ``icv``: 8 bytes."""
    fields = _fields(data, limits.message, alg=algorithm, iv=_optional(icv))
    fields |= _derived(peer, context, limits)
    return operation(
        "cipher/wrap",
        kid,
        fields,
        _wrapped,
        needs=_WRAP,
        answer=_WRAPPED,
        algorithm=algorithm,
        size=len(data),
    )


_UNWRAP = Need("unwrap with {}")
_UNWRAPPED = longer_by("unwrapped", -HALF_BLOCK)
_unwrapped = the_data("unwrapped")


def unwrap(
    kid: str,
    data: bytes,
    algorithm: str,
    *,
    icv: bytes | None = None,
    peer: bytes | str | None = None,
    context: bytes | None = None,
    limits: FirmwareLimits = FIRMWARE_1_2_2,
) -> Call[bytes | None]:
    """``cipher/unwrap`` (RFC 3394) of 24…``limits.message`` + ``limits.integrity`` bytes (8 on 1.2.2).
    ``None``: integrity value or key are rejected."""
    fields = _fields(data, limits.message + limits.integrity, alg=algorithm, iv=_optional(icv))
    fields |= _derived(peer, context, limits)
    return operation(
        "cipher/unwrap",
        kid,
        fields,
        _unwrapped,
        needs=_UNWRAP,
        answer=_UNWRAPPED,
        algorithm=algorithm,
        size=len(data),
        verdicts=_REJECTED,
    )


_HMAC = Need("make an HMAC")
_HASHED = Shape((Field("mac", mac),))
_mac = the_data("mac")


def hmac(
    kid: str,
    data: bytes,
    *,
    algorithm: str | None = None,
    peer: bytes | str | None = None,
    limits: FirmwareLimits = FIRMWARE_1_2_2,
) -> Call[bytes]:
    """``hmac/hash`` of 1…``limits.message`` bytes. ``algorithm`` counts with a ``peer`` alone: a stored key
    has its digest in its type."""
    fields = _fields(data, limits.message, alg=algorithm) | _derived(peer, None, limits)
    return operation(
        "hmac/hash",
        kid,
        fields,
        _mac,
        needs=_HMAC,
        answer=_HASHED,
        algorithm=None if peer is None else algorithm,
    )


_HMAC_VERIFY = Need("verify an HMAC")


def hmac_verify(
    kid: str,
    data: bytes,
    mac: bytes,
    *,
    algorithm: str | None = None,
    peer: bytes | str | None = None,
    limits: FirmwareLimits = FIRMWARE_1_2_2,
) -> Call[bool]:
    """``hmac/verify``; ``False`` when ``mac`` (at most 64 bytes) or key are rejected."""
    fields = _fields(data, limits.message, alg=algorithm, mac=b64(mac)) | _derived(peer, None, limits)
    return operation("hmac/verify", kid, fields, accepted, needs=_HMAC_VERIFY, verdicts=_INVALID)


def _fields(data: bytes, most: int, **texts: str | None) -> dict[str, str]:
    if not data:
        raise ValueError(f"data: 0 bytes; accepted: 1 to {most} bytes")
    if len(data) > most:
        raise MessageTooLong(
            f"data: {len(data)} bytes; the device takes at most {most} in one operation",
            size=len(data),
            limit=most,
        )
    return {"msg": b64(data), **{name: text for name, text in texts.items() if text is not None}}


def _derived(peer: bytes | str | None, context: bytes | None, limits: FirmwareLimits) -> dict[str, str]:
    """What chooses a key derived from an agreement."""
    if peer is None:
        if context:
            raise ValueError("context: it belongs to a derived key; give a peer as well")
        return {}
    fields = peer_field(peer)
    if context:
        if len(context) > limits.derivation_context:
            raise ValueError(
                f"context: {len(context)} bytes; accepted: at most {limits.derivation_context} bytes"
            )
        fields["ctx"] = b64(context)
    return fields


def _optional(data: bytes | None) -> str | None:
    return b64(data) if data else None  # an empty string is refused (device API §2.1)
