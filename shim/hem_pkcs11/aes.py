"""AES with either kind of key: in the device through ``hem_provider.symmetric``, or a session key in
memory through ``cryptography``. Both give contexts of one shape."""

from __future__ import annotations

import warnings
from typing import Any

from hem_pkcs11.host import hosted
from hem_pkcs11.objects.device_keys import DeviceKey
from hem_pkcs11.objects.object import Pkcs11Object
from hem_pkcs11.objects.secret_keys import SessionSecretKey

__all__ = ["aes_cipher", "aes_cmac", "aes_unwrap", "aes_wrap"]


def aes_cipher(item: Pkcs11Object, mode: Any) -> Any:
    """An object with ``encryptor()`` and ``decryptor()`` for one of ``cryptography``'s modes.

    Calls with a key in the device raise the device layer's errors; a session key that is gone is
    CKR_KEY_HANDLE_INVALID.
    """
    if isinstance(item, SessionSecretKey):
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

        return Cipher(algorithms.AES(item.value), mode)
    from hem_provider import symmetric

    return symmetric.Cipher(_key_argument(item), mode)


def aes_cmac(item: Pkcs11Object, message: bytes) -> bytes:
    """The 16-byte CMAC (RFC 4493) of ``message``. Raises as ``aes_cipher`` tells."""
    context: Any
    if isinstance(item, SessionSecretKey):
        from cryptography.hazmat.primitives.ciphers import algorithms
        from cryptography.hazmat.primitives.cmac import CMAC

        context = CMAC(algorithms.AES(item.value))
    else:
        from hem_provider import symmetric

        context = symmetric.CMAC(_key_argument(item))
    context.update(message)
    return bytes(context.finalize())


def aes_wrap(item: Pkcs11Object, data: bytes, *, padded: bool) -> bytes:
    """``data`` wrapped by RFC 3394, or by RFC 5649 when ``padded``: 8 bytes more than it has in whole 8
    bytes. ``ValueError`` for a length that is not taken; else as ``aes_cipher`` tells."""
    return _key_wrap("aes_key_wrap", item, data, padded=padded)


def aes_unwrap(item: Pkcs11Object, wrapped: bytes, *, padded: bool) -> bytes:
    """The inverse. Raises ``InvalidUnwrap`` of ``cryptography.hazmat.primitives.keywrap``; else as
    ``aes_cipher`` tells."""
    return _key_wrap("aes_key_unwrap", item, wrapped, padded=padded)


def _key_wrap(name: str, item: Pkcs11Object, data: bytes, *, padded: bool) -> bytes:
    name = f"{name}_with_padding" if padded else name
    if isinstance(item, SessionSecretKey):
        from cryptography.hazmat.primitives import keywrap

        return bytes(getattr(keywrap, name)(item.value, data))
    from hem_provider import symmetric

    return bytes(getattr(symmetric, name)(_key_argument(item), data))


def _key_argument(item: Pkcs11Object) -> Any:
    """What ``hem_provider.symmetric`` takes as key."""
    assert isinstance(item, DeviceKey)  # noqa: S101 - callers handle session keys before
    from hem_provider.symmetric import UnmarkedKeyWarning

    # Said once in the documentation; a host's standard error is not the place. A host that is Python
    # itself decides about its warnings.
    if not hosted():
        warnings.simplefilter("ignore", UnmarkedKeyWarning)
    return item.key
