"""AES key wrap as in ``cryptography.hazmat.primitives.keywrap``, with a HEM key as wrapping key.

The device wraps by RFC 3394 with any 8-byte integrity value, and RFC 5649 (padding) is just that
with the value ``A65959A6`` ‖ length, except for up to 8 bytes, which are one AES block.
"""

from __future__ import annotations

import hmac

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap

from hem_provider.arguments import Buffer, as_bytes
from hem_provider.errors import MessageTooLong
from hem_provider.symmetric.blocks import BLOCK, AesKey
from hem_provider.symmetric.family import check_use
from hem_provider.symmetric.limits import message_limit
from hem_provider.symmetric.resolve import AnyAesKey, aes_key

__all__ = [
    "InvalidUnwrap",
    "aes_key_unwrap",
    "aes_key_unwrap_with_padding",
    "aes_key_wrap",
    "aes_key_wrap_with_padding",
]

_HALF = 8
_PADDED = bytes.fromhex("a65959a6")


def aes_key_wrap(
    wrapping_key: AnyAesKey,
    key_to_wrap: Buffer,
    backend: object = None,  # noqa: ARG001 - in cryptography's signature
) -> bytes:
    """RFC 3394: 16…``MAX_MESSAGE`` bytes, a multiple of 8; 8 bytes more come back. One device call.

    ``ValueError`` for another size (``MessageTooLong`` over ``MAX_MESSAGE``), ``WrongKeyType``,
    ``WrongKeyFamily``: ``wrapping_key`` is an AES key of family ``wrap``.
    """
    key, data = aes_key(wrapping_key, "wrap"), as_bytes("key_to_wrap", key_to_wrap)
    check_use(key, "wrap", "key-wrap")
    if len(data) < 2 * _HALF:
        raise ValueError(f"The key to wrap must be at least 16 bytes; it has {len(data)}")
    if len(data) % _HALF:
        raise ValueError(f"The key to wrap must be a multiple of 8 bytes; it has {len(data)}")
    _check_maximum("key_to_wrap", len(data), message_limit(key))
    return key.wrap(data)


def aes_key_unwrap(
    wrapping_key: AnyAesKey,
    wrapped_key: Buffer,
    backend: object = None,  # noqa: ARG001
) -> bytes:
    """RFC 3394: 24…``MAX_MESSAGE`` + 8 bytes. One device call; where it is rejected one more, to make sure of
    the key.

    ``InvalidUnwrap`` when it is not a wrapped key, is too short or no multiple of 8;
    ``MessageTooLong`` over ``MAX_MESSAGE`` + 8.
    """
    key, wrapped = aes_key(wrapping_key, "wrap"), as_bytes("wrapped_key", wrapped_key)
    check_use(key, "unwrap", "key-wrap")
    if len(wrapped) < 3 * _HALF:
        raise InvalidUnwrap(f"Must be at least 24 bytes; it has {len(wrapped)}")
    _check_multiple(key, wrapped)
    clear = key.unwrap(wrapped)
    if clear is None:
        key.confirm()
        raise InvalidUnwrap(f"{key.name} does not unwrap this")
    return clear


def aes_key_wrap_with_padding(
    wrapping_key: AnyAesKey,
    key_to_wrap: Buffer,
    backend: object = None,  # noqa: ARG001
) -> bytes:
    """RFC 5649: 1…``MAX_MESSAGE`` bytes of any size. One device call.

    ``ValueError`` for 0 bytes, ``MessageTooLong`` over ``MAX_MESSAGE``.
    """
    key, data = aes_key(wrapping_key, "wrap"), as_bytes("key_to_wrap", key_to_wrap)
    check_use(key, "wrap", "key-wrap-pad")
    if not data:
        raise ValueError(f"key_to_wrap must be between 1 and {message_limit(key)} bytes; it has 0")
    _check_maximum("key_to_wrap", len(data), message_limit(key))
    icv = _PADDED + len(data).to_bytes(4)
    padded = data + bytes(-len(data) % _HALF)
    return key.ecb_encrypt(icv + padded) if len(padded) == _HALF else key.wrap(padded, icv)


def aes_key_unwrap_with_padding(
    wrapping_key: AnyAesKey,
    wrapped_key: Buffer,
    backend: object = None,  # noqa: ARG001
) -> bytes:
    """RFC 5649: 16…``MAX_MESSAGE`` + 8 bytes.

    Device calls: one when the clear size is a multiple of 8 or at most 8; otherwise one more for
    each byte of padding, since the device checks the integrity value and does not tell it; nine
    when rejected. ``InvalidUnwrap`` and ``MessageTooLong`` as ``aes_key_unwrap``.
    """
    key, wrapped = aes_key(wrapping_key, "wrap"), as_bytes("wrapped_key", wrapped_key)
    check_use(key, "unwrap", "key-wrap-pad")
    if len(wrapped) < BLOCK:
        raise InvalidUnwrap(f"Must be at least 16 bytes; it has {len(wrapped)}")
    _check_multiple(key, wrapped)
    clear = _single_block(key, wrapped) if len(wrapped) == BLOCK else _longer(key, wrapped)
    if clear is None:
        raise InvalidUnwrap(f"{key.name} does not unwrap this")
    return clear


def _single_block(key: AesKey, wrapped: bytes) -> bytes | None:
    block = key.ecb_decrypt(wrapped)
    size = int.from_bytes(block[4:_HALF])
    if not hmac.compare_digest(block[:4], _PADDED) or not 1 <= size <= _HALF:
        return None
    return _without_padding(block[_HALF:], size)


def _longer(key: AesKey, wrapped: bytes) -> bytes | None:
    full = len(wrapped) - _HALF
    for size in range(full, full - _HALF, -1):
        padded = key.unwrap(wrapped, _PADDED + size.to_bytes(4))
        if padded is not None:
            return _without_padding(padded, size)
    key.confirm()
    return None


def _without_padding(padded: bytes, size: int) -> bytes | None:
    return None if any(padded[size:]) else padded[:size]


def _check_multiple(key: AesKey, wrapped: bytes) -> None:
    if len(wrapped) % _HALF:
        raise InvalidUnwrap(f"The wrapped key must be a multiple of 8 bytes; it has {len(wrapped)}")
    _check_maximum("wrapped_key", len(wrapped), message_limit(key) + _HALF)


def _check_maximum(name: str, size: int, limit: int) -> None:
    if size > limit:
        raise MessageTooLong(
            f"{name}: {size} bytes; the device takes at most {limit}. Wrap a data key and encrypt with that",
            size=size,
            limit=limit,
        )
