"""Operations on session keys as scripts: each yields between its calls, so that anything may come in
between, and compares every result with what the true key gives.

A script is a generator over ``call(name, *arguments) -> (rv, result)``. It raises ``Refused`` with the
return value of a call that fails, and ``AssertionError`` for a result that is wrong.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap
from hem_pkcs11.constants import CKA, CKG, CKK, CKM, CKO, CKR
from hem_pkcs11.operations import Place
from hem_pkcs11.values import (
    CtrParameters,
    GcmMessageParameters,
    GcmParameters,
    Mechanism,
    pack_bool,
    pack_ulong,
)

__all__ = [
    "DATA",
    "OPERATIONS",
    "VALUES",
    "Call",
    "Key",
    "KeyOperation",
    "Refused",
    "buffer_of",
    "mac_mechanism",
    "make",
    "template",
    "true_mac",
]

Call = Callable[..., tuple[CKR, Any]]
Script = Iterator[None]
ROOM = 4096
DATA = b"the data that is signed, sealed and wrapped " * 2
IV = bytes(range(16))
#: Of keys that are made several times.
VALUES = [bytes([number]) * 32 for number in range(1, 5)]


class Refused(Exception):
    """A call failed."""

    def __init__(self, name: str, rv: CKR) -> None:
        super().__init__(f"{name}: {rv!r}")
        self.rv = rv


@dataclass(eq=False)
class Key:
    """What the model knows of a session key. ``ivs``: those made for it, shared by equal values."""

    handle: int
    value: bytes
    aes: bool
    private: bool
    ivs: dict[bytes, object]
    owner: Any = None
    alive: bool = True


@dataclass(frozen=True)
class KeyOperation:
    """``place``: where it runs between its calls, ``None`` when it is a single call."""

    script: Callable[[Call, int, Key], Script]
    aes: bool
    place: Place | None


def template(key_type: int, value: bytes, *, private: bool) -> list[tuple[int, bytes]]:
    flags = [CKA.SIGN, CKA.VERIFY]
    if key_type == CKK.AES:
        flags += [CKA.ENCRYPT, CKA.DECRYPT, CKA.WRAP, CKA.UNWRAP]
    return [
        (CKA.CLASS, pack_ulong(CKO.SECRET_KEY)),
        (CKA.KEY_TYPE, pack_ulong(key_type)),
        (CKA.VALUE, value),
        (CKA.PRIVATE, pack_bool(private)),
        (CKA.EXTRACTABLE, pack_bool(True)),
        *((each, pack_bool(True)) for each in flags),
    ]


def make(core: Any, session: int, value: bytes, *, aes: bool, private: bool) -> Key:
    kind = CKK.AES if aes else CKK.GENERIC_SECRET
    handle = core.ok("C_CreateObject", session, template(kind, value, private=private))
    return Key(handle, value, aes, private, {}, owner=session)


def buffer_of(core: Any, key: Key) -> bytearray:
    return core.module.slot(0).objects.get(key.handle, private=True)._secret._secret.buffer


def did(call: Call, name: str, *arguments: Any) -> Any:
    rv, result = call(name, *arguments)
    if rv != CKR.OK:
        raise Refused(name, rv)
    return result


def cmac(value: bytes, data: bytes) -> bytes:
    made = CMAC(algorithms.AES(value))
    made.update(data)
    return made.finalize()


def true_mac(key: Key, data: bytes) -> bytes:
    return cmac(key.value, data) if key.aes else hmac.digest(key.value, data, "sha256")


def mac_mechanism(key: Key) -> Mechanism:
    return Mechanism(CKM.AES_CMAC if key.aes else CKM.SHA256_HMAC)


def cipher(key: Key, mode: Any) -> Any:
    return Cipher(algorithms.AES(key.value), mode)


# --- the scripts ---------------------------------------------------------------------------------


def sign(call: Call, session: int, key: Key) -> Script:
    did(call, "C_SignInit", session, mac_mechanism(key), key.handle)
    yield
    assert did(call, "C_Sign", session, DATA, ROOM) == true_mac(key, DATA)


def sign_in_parts(call: Call, session: int, key: Key) -> Script:
    did(call, "C_SignInit", session, mac_mechanism(key), key.handle)
    yield
    did(call, "C_SignUpdate", session, DATA)
    yield
    assert did(call, "C_SignFinal", session, ROOM) == true_mac(key, DATA)


def sign_after_saving(call: Call, session: int, key: Key) -> Script:
    did(call, "C_SignInit", session, mac_mechanism(key), key.handle)
    did(call, "C_SignUpdate", session, DATA)
    state = did(call, "C_GetOperationState", session, ROOM)
    try:
        yield
        did(call, "C_SetOperationState", session, state, 0, 0)
        assert did(call, "C_SignFinal", session, ROOM) == true_mac(key, DATA)
    finally:  # a state that is refused leaves what runs
        call("C_SignInit", session, None, 0)


def verify(call: Call, session: int, key: Key) -> Script:
    did(call, "C_VerifyInit", session, mac_mechanism(key), key.handle)
    yield
    rv, _ = call("C_Verify", session, DATA, true_mac(key, DATA))
    assert rv != CKR.SIGNATURE_INVALID, "a true MAC was called a forgery"
    if rv != CKR.OK:
        raise Refused("C_Verify", rv)


def verify_forgery(call: Call, session: int, key: Key) -> Script:
    did(call, "C_VerifyInit", session, mac_mechanism(key), key.handle)
    yield
    zero = bytes(len(key.value))
    forged = cmac(zero, DATA) if key.aes else hmac.digest(zero, DATA, "sha256")
    rv, _ = call("C_Verify", session, DATA, forged)
    assert rv != CKR.OK, "a MAC under the zero key was accepted"
    if rv != CKR.SIGNATURE_INVALID:
        raise Refused("C_Verify", rv)


def encrypt(mechanism: Mechanism, mode: Callable[[], Any], data: bytes) -> Callable[..., Script]:
    def script(call: Call, session: int, key: Key) -> Script:
        did(call, "C_EncryptInit", session, mechanism, key.handle)
        yield
        made = did(call, "C_Encrypt", session, data, ROOM)
        expected = cipher(key, mode()).encryptor()
        assert made == expected.update(data) + expected.finalize() + getattr(expected, "tag", b"")

    return script


def decrypt(mechanism: Mechanism, mode: Callable[[], Any], data: bytes) -> Callable[..., Script]:
    def script(call: Call, session: int, key: Key) -> Script:
        made = cipher(key, mode()).encryptor()
        sealed = made.update(data) + made.finalize() + getattr(made, "tag", b"")
        did(call, "C_DecryptInit", session, mechanism, key.handle)
        yield
        assert did(call, "C_Decrypt", session, sealed, ROOM) == data

    return script


def encrypt_in_parts(call: Call, session: int, key: Key) -> Script:
    did(call, "C_EncryptInit", session, GCM, key.handle)
    yield
    made = did(call, "C_EncryptUpdate", session, DATA[:20], ROOM)
    yield
    made += did(call, "C_EncryptUpdate", session, DATA[20:], ROOM)
    made += did(call, "C_EncryptFinal", session, ROOM)
    assert made == AESGCM(key.value).encrypt(IV, DATA, b"")


def message_parameters(iv: bytes, generator: int, tag: bytes = bytes(16)) -> GcmMessageParameters:
    return GcmMessageParameters(iv=iv, fixed_bits=32, generator=generator, tag=tag, tag_bits=128)


def encrypt_messages(call: Call, session: int, key: Key) -> Script:
    did(call, "C_MessageEncryptInit", session, Mechanism(CKM.AES_GCM), key.handle)
    try:
        for generator in (CKG.GENERATE, CKG.GENERATE_COUNTER, CKG.GENERATE_RANDOM):
            yield
            given = message_parameters(b"same" + bytes(4), generator)
            used, sealed = did(call, "C_EncryptMessage", session, given, b"aad", DATA, ROOM)
            assert AESGCM(key.value).decrypt(used.iv, sealed + used.tag, b"aad") == DATA
            assert key.ivs.setdefault(used.iv, sealed) is sealed, "an IV came twice"
    finally:
        call("C_MessageEncryptFinal", session)


def encrypt_message_in_parts(call: Call, session: int, key: Key) -> Script:
    did(call, "C_MessageEncryptInit", session, Mechanism(CKM.AES_GCM), key.handle)
    try:
        yield
        own = message_parameters(os.urandom(12), CKG.NO_GENERATE)
        used = did(call, "C_EncryptMessageBegin", session, own, b"")
        yield
        _, sealed = did(call, "C_EncryptMessageNext", session, used, DATA[:9], ROOM, 0)
        yield
        used, rest = did(call, "C_EncryptMessageNext", session, used, DATA[9:], ROOM, 1)
        assert AESGCM(key.value).decrypt(used.iv, sealed + rest + used.tag, b"") == DATA
    finally:
        call("C_MessageEncryptFinal", session)


def decrypt_messages(call: Call, session: int, key: Key) -> Script:
    did(call, "C_MessageDecryptInit", session, Mechanism(CKM.AES_GCM), key.handle)
    try:
        for _ in range(2):
            yield
            iv = os.urandom(12)
            sealed = AESGCM(key.value).encrypt(iv, DATA, b"aad")
            given = message_parameters(iv, CKG.NO_GENERATE, sealed[-16:])
            assert did(call, "C_DecryptMessage", session, given, b"aad", sealed[:-16], ROOM)[1] == DATA
    finally:
        call("C_MessageDecryptFinal", session)


def sign_messages(call: Call, session: int, key: Key) -> Script:
    did(call, "C_MessageSignInit", session, mac_mechanism(key), key.handle)
    try:
        yield
        assert did(call, "C_SignMessage", session, None, DATA, ROOM) == true_mac(key, DATA)
        did(call, "C_SignMessageBegin", session, None)
        yield
        assert did(call, "C_SignMessageNext", session, None, DATA, False) is None
        assert did(call, "C_SignMessageNext", session, None, DATA, ROOM) == true_mac(key, DATA + DATA)
    finally:
        call("C_MessageSignFinal", session)


def verify_messages(call: Call, session: int, key: Key) -> Script:
    did(call, "C_MessageVerifyInit", session, mac_mechanism(key), key.handle)
    try:
        for _ in range(2):
            yield
            did(call, "C_VerifyMessage", session, None, DATA, true_mac(key, DATA))
    finally:
        call("C_MessageVerifyFinal", session)


def digest_key(call: Call, session: int, key: Key) -> Script:
    did(call, "C_DigestInit", session, Mechanism(CKM.SHA256))
    try:
        did(call, "C_DigestKey", session, key.handle)
        yield
        assert did(call, "C_DigestFinal", session, ROOM) == hashlib.sha256(key.value).digest()
    finally:
        call("C_DigestInit", session, None)


def sign_and_encrypt(call: Call, session: int, key: Key) -> Script:
    did(call, "C_SignInit", session, mac_mechanism(key), key.handle)
    try:
        did(call, "C_EncryptInit", session, CTR, key.handle)
        yield
        made = did(call, "C_SignEncryptUpdate", session, DATA, ROOM)
        yield
        assert made == cipher(key, modes.CTR(IV)).encryptor().update(DATA)
        assert did(call, "C_SignFinal", session, ROOM) == true_mac(key, DATA)
    finally:
        call("C_SignInit", session, None, 0)
        call("C_EncryptInit", session, None, 0)


def wrap(call: Call, session: int, key: Key) -> Script:
    made = did(call, "C_WrapKey", session, Mechanism(CKM.AES_KEY_WRAP), key.handle, key.handle, ROOM)
    assert made == aes_key_wrap(key.value, key.value)
    assert aes_key_unwrap(key.value, made) == key.value
    yield


def unwrap(call: Call, session: int, key: Key) -> Script:
    inner = os.urandom(32)
    wanted = [each for each in template(CKK.GENERIC_SECRET, b"", private=False) if each[0] != CKA.VALUE]
    wrapped = aes_key_wrap(key.value, inner)
    made = did(call, "C_UnwrapKey", session, Mechanism(CKM.AES_KEY_WRAP), key.handle, wrapped, wanted)
    try:
        assert read(call, session, made, CKA.VALUE) == inner
    finally:
        call("C_DestroyObject", session, made)
    yield


def read(call: Call, session: int, handle: int, kind: int) -> bytes:
    query = did(call, "C_GetAttributeValue", session, handle, [(kind, ROOM)])
    if query.rv != CKR.OK:
        raise Refused("C_GetAttributeValue", query.rv)
    assert isinstance(query.values[0], bytes)
    return query.values[0]


def read_value(call: Call, session: int, key: Key) -> Script:
    assert read(call, session, key.handle, CKA.VALUE) == key.value
    yield


def read_check_value(call: Call, session: int, key: Key) -> Script:
    expected = (
        cipher(key, modes.ECB()).encryptor().update(bytes(16))  # noqa: S305 - a check value
        if key.aes
        else hashlib.sha1(key.value, usedforsecurity=False).digest()
    )
    assert read(call, session, key.handle, CKA.CHECK_VALUE) == expected[:3]
    yield


def copy(call: Call, session: int, key: Key) -> Script:
    made = did(call, "C_CopyObject", session, key.handle, [])
    try:
        assert read(call, session, made, CKA.VALUE) == key.value
    finally:
        call("C_DestroyObject", session, made)
    yield


GCM = Mechanism(CKM.AES_GCM, GcmParameters(IV, b"", 128))
CTR = Mechanism(CKM.AES_CTR, CtrParameters(128, IV))
_CBC = (Mechanism(CKM.AES_CBC, IV), lambda: modes.CBC(IV), DATA[:80])
_GCM = (GCM, lambda: modes.GCM(IV), DATA)
_CTR = (CTR, lambda: modes.CTR(IV), DATA)
_ECB = (Mechanism(CKM.AES_ECB), modes.ECB, DATA[:80])

#: Name → operation; those that are not ``aes`` work with any key.
OPERATIONS = {
    "sign": KeyOperation(sign, False, Place.SIGN),
    "sign in parts": KeyOperation(sign_in_parts, False, Place.SIGN),
    "sign after saving": KeyOperation(sign_after_saving, False, Place.SIGN),
    "verify": KeyOperation(verify, False, Place.VERIFY),
    "verify forgery": KeyOperation(verify_forgery, False, Place.VERIFY),
    "encrypt CBC": KeyOperation(encrypt(*_CBC), True, Place.ENCRYPT),
    "encrypt GCM": KeyOperation(encrypt(*_GCM), True, Place.ENCRYPT),
    "encrypt CTR": KeyOperation(encrypt(*_CTR), True, Place.ENCRYPT),
    "encrypt ECB": KeyOperation(encrypt(*_ECB), True, Place.ENCRYPT),
    "encrypt in parts": KeyOperation(encrypt_in_parts, True, Place.ENCRYPT),
    "decrypt CBC": KeyOperation(decrypt(*_CBC), True, Place.DECRYPT),
    "decrypt GCM": KeyOperation(decrypt(*_GCM), True, Place.DECRYPT),
    "decrypt CTR": KeyOperation(decrypt(*_CTR), True, Place.DECRYPT),
    "encrypt messages": KeyOperation(encrypt_messages, True, Place.MESSAGE_ENCRYPT),
    "encrypt message in parts": KeyOperation(encrypt_message_in_parts, True, Place.MESSAGE_ENCRYPT),
    "decrypt messages": KeyOperation(decrypt_messages, True, Place.MESSAGE_DECRYPT),
    "sign messages": KeyOperation(sign_messages, False, Place.MESSAGE_SIGN),
    "verify messages": KeyOperation(verify_messages, False, Place.MESSAGE_VERIFY),
    "digest key": KeyOperation(digest_key, False, Place.DIGEST),
    "sign and encrypt": KeyOperation(sign_and_encrypt, True, Place.SIGN),
    "wrap": KeyOperation(wrap, True, None),
    "unwrap": KeyOperation(unwrap, True, None),
    "read value": KeyOperation(read_value, False, None),
    "read check value": KeyOperation(read_check_value, False, None),
    "copy": KeyOperation(copy, False, None),
}
