"""AES encryption and key wrap, by a stored key or one derived from an ECDH secret (device API §13.4, §13.5,
§13.7)."""

from __future__ import annotations

import re
import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, ECB, GCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.padding import PKCS7

from hem_provider.emulator import keywrap
from hem_provider.emulator.call import Call
from hem_provider.emulator.encodings import to_b64
from hem_provider.emulator.handlers.peers import lookup, peer_secret
from hem_provider.emulator.http import Refusal, Response, answer
from hem_provider.emulator.keytypes import Family
from hem_provider.emulator.quirks import Q, Switches

__all__ = ["CIPHER_ALGORITHM", "decrypt", "encrypt", "unwrap", "wrap", "wrap_length"]

CIPHER_ALGORITHM: Final = re.compile(r"AES(128|192|256)-(ECB|CBC|GCM)")
_BLOCK: Final = 16
_SHORT_AAD: Final = 16


def _key(call: Call, bits: int | None, purpose: bytes) -> bytes:
    """The AES key of ``bits`` (``None``: the stored key's own): its first bytes, or HKDF of an ECDH
    secret."""
    own = lookup(call.device, call.get("kid", bytes))
    secret = peer_secret(call, own)
    if secret is not None:
        info = purpose + (call.find("ctx", bytes) or b"")
        return HKDF(hashes.SHA256(), (bits or 256) // 8, salt=None, info=info).derive(secret)
    if own.kind is None or own.kind.family is not Family.AES:
        raise Refusal(406)
    size = len(own.secret) if bits is None else bits // 8
    if size > len(own.secret):
        raise Refusal(406)
    return own.secret[:size]


def _parse(call: Call) -> tuple[int, str]:
    match = CIPHER_ALGORITHM.fullmatch(call.get("alg", str))
    if match is None:
        raise Refusal(400)
    return int(match[1]), match[2]


def _aad(call: Call) -> bytes:
    aad = call.find("aad", bytes) or b""
    return aad if call.device.switches.on(Q.AAD_AUTHENTICATED) else aad[:_SHORT_AAD]


def encrypt(call: Call) -> Response:
    """POST crypto/cipher/encrypt: the device makes the IV; a given one is ignored."""
    bits, mode = _parse(call)
    key, message = _key(call, bits, b"encedo-aes"), call.get("msg", bytes)
    if mode == "ECB":
        if len(message) % _BLOCK:
            raise Refusal(400)
        ciphertext = Cipher(AES(key), ECB()).encryptor().update(message)  # noqa: S305 - the device has it
        return answer({"ciphertext": to_b64(ciphertext)})
    iv = secrets.token_bytes(_BLOCK)
    if mode == "CBC":
        padder = PKCS7(128).padder()
        padded = padder.update(message) + padder.finalize()
        ciphertext = Cipher(AES(key), CBC(iv)).encryptor().update(padded)
        return answer({"ciphertext": to_b64(ciphertext), "iv": to_b64(iv)})
    encryptor = Cipher(AES(key), GCM(iv)).encryptor()
    encryptor.authenticate_additional_data(_aad(call))
    ciphertext = encryptor.update(message) + encryptor.finalize()
    return answer({"ciphertext": to_b64(ciphertext), "iv": to_b64(iv), "tag": to_b64(encryptor.tag)})


def _exactly(call: Call, name: str) -> bytes:
    data = call.find(name, bytes)
    if data is None or len(data) != _BLOCK:
        raise Refusal(400)
    return data


def decrypt(call: Call) -> Response:
    """POST crypto/cipher/decrypt: 400 for wrong lengths of IV and tag, 406 for wrong padding or tag."""
    bits, mode = _parse(call)
    message = call.get("msg", bytes)
    iv = b"" if mode == "ECB" else _exactly(call, "iv")
    tag = _exactly(call, "tag") if mode == "GCM" else b""
    key = _key(call, bits, b"encedo-aes")
    if mode == "ECB" and len(message) % _BLOCK:
        raise Refusal(400)
    try:
        if mode == "ECB":
            plaintext = Cipher(AES(key), ECB()).decryptor().update(message)  # noqa: S305
        elif mode == "CBC":
            decryptor = Cipher(AES(key), CBC(iv)).decryptor()
            unpadder = PKCS7(128).unpadder()
            padded = decryptor.update(message) + decryptor.finalize()
            plaintext = unpadder.update(padded) + unpadder.finalize()
        else:
            gcm = Cipher(AES(key), GCM(iv, tag)).decryptor()
            gcm.authenticate_additional_data(_aad(call))
            plaintext = gcm.update(message) + gcm.finalize()
    except (InvalidTag, ValueError):
        raise Refusal(406) from None
    return answer({"plaintext": to_b64(plaintext)})


def _kek(call: Call) -> bytes:
    algorithm = call.find("alg", str)
    if algorithm is None and not call.device.switches.on(Q.WRAP_DEFAULT_AES256):
        return _key(call, None, b"encedo-kek")
    return _key(call, int((algorithm or "AES256")[3:]), b"encedo-kek")


def _icv(call: Call) -> bytes:
    icv = call.find("iv", bytes)
    if icv is not None and len(icv) != 8:
        raise Refusal(406)
    return keywrap.DEFAULT_ICV if icv is None else icv


def wrap_length(switches: Switches) -> int:
    """The status for data that cannot be wrapped."""
    return 406 if switches.on(Q.LENGTH_STATUSES) else 400


def wrap(call: Call) -> Response:
    """POST crypto/cipher/wrap: RFC 3394 over the caller's data."""
    key, message, icv = _kek(call), call.get("msg", bytes), _icv(call)
    try:
        return answer({"wrapped": to_b64(keywrap.wrap(key, message, icv))})
    except ValueError:
        raise Refusal(wrap_length(call.device.switches)) from None


def unwrap(call: Call) -> Response:
    """POST crypto/cipher/unwrap: 400 for a length that is no multiple of 8, 406 for failed integrity."""
    key, message, icv = _kek(call), call.get("msg", bytes), _icv(call)
    if len(message) % 8:
        raise Refusal(400)
    try:
        return answer({"unwrapped": to_b64(keywrap.unwrap(key, message, icv))})
    except ValueError:
        raise Refusal(406) from None
