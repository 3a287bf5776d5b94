"""The functions of Cryptoki by name: what runs and what its arguments are.

The kinds of arguments tell the bridge how to read and write C memory; ``Module.call`` takes their
Python values in the same order. A function that is in the C layer's list and not here answers
CKR_FUNCTION_NOT_SUPPORTED.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from hem_pkcs11.functions import (
    ciphers,
    create,
    digests,
    dual,
    general,
    kem,
    keys,
    messages,
    objects,
    pins,
    random,
    sessions,
    signatures,
    states,
    tokens,
)
from hem_pkcs11.functions.order import at_once, begins, in_parts
from hem_pkcs11.operations import Place

__all__ = ["CALLS", "ArgumentKind", "Call"]


class ArgumentKind(enum.Enum):
    """How an argument looks in C and as a Python value. ``words``: so many of C's arguments it takes."""

    SESSION = "session handle", 1  # int, a Session for the function
    NUMBER = "number", 1  # int
    FLAG = "CK_BBOOL", 1  # bool
    POINTER = "pointer that is not used", 1  # bool, whether it is not NULL
    BYTES = "input", 2  # memoryview
    SECRET = "PIN", 2  # bytes, None for NULL
    TEXT32 = "text of 32 characters", 1  # bytes
    MECHANISM = "mechanism", 1  # Mechanism, None for NULL
    TEMPLATE = "template", 2  # list of attributes
    QUERY = "template to be filled", 2  # list of (type, room); result: Query
    OUTPUT = "output", 2  # room in bytes or None; result: bytes, or the size
    LAST_OUTPUT = "output of the last part", 2  # as OUTPUT, False where none is wanted yet, or None given
    MESSAGE = "parameters of a message", 2  # GcmMessageParameters or None; result: the same, filled in
    NO_MESSAGE = "parameters of a message, not used", 2  # None
    NUMBERS = "numbers to be filled", 2  # room or None; result: list, or the count
    FOUND = "handles to be filled", 3  # room; result: list
    FILL = "bytes to be filled", 2  # their number; result: bytes
    RESULT = "number to be filled", 1  # nothing; result: int
    INITIALIZE = "CK_C_INITIALIZE_ARGS", 1  # InitializeArguments or None
    INFO = "CK_INFO", 1  # nothing; result: its values
    SLOT_INFO = "CK_SLOT_INFO", 1
    TOKEN_INFO = "CK_TOKEN_INFO", 1
    SESSION_INFO = "CK_SESSION_INFO", 1
    MECHANISM_INFO = "CK_MECHANISM_INFO", 1

    def __init__(self, text: str, words: int) -> None:
        self.text = text
        self.words = words


@dataclass(frozen=True, slots=True)
class Call:
    """One function: what runs, and its arguments as C has them."""

    function: Callable[..., Any]
    kinds: tuple[ArgumentKind, ...]

    @property
    def session(self) -> bool:
        """Whether the first argument is a session's handle."""
        return bool(self.kinds) and self.kinds[0] is ArgumentKind.SESSION


_K = ArgumentKind
_P = Place
_INIT = (_K.SESSION, _K.MECHANISM, _K.NUMBER)
_CRYPT = (_K.SESSION, _K.BYTES, _K.OUTPUT)
_BEGIN = (_K.SESSION, _K.MESSAGE, _K.BYTES)
_CRYPT_MESSAGE = (*_BEGIN, _K.BYTES, _K.OUTPUT)
_NEXT = (*_BEGIN, _K.OUTPUT, _K.NUMBER)

CALLS: Mapping[str, Call] = MappingProxyType(
    {
        name: Call(function, kinds)
        for name, function, *kinds_ in (
            ("C_Initialize", general.initialize, _K.INITIALIZE),
            ("C_Finalize", general.finalize, _K.POINTER),
            ("C_GetInfo", general.get_info, _K.INFO),
            ("C_GetSlotList", tokens.get_slot_list, _K.FLAG, _K.NUMBERS),
            ("C_GetSlotInfo", tokens.get_slot_info, _K.NUMBER, _K.SLOT_INFO),
            ("C_GetTokenInfo", tokens.get_token_info, _K.NUMBER, _K.TOKEN_INFO),
            ("C_GetMechanismList", tokens.get_mechanism_list, _K.NUMBER, _K.NUMBERS),
            ("C_GetMechanismInfo", tokens.get_mechanism_info, _K.NUMBER, _K.NUMBER, _K.MECHANISM_INFO),
            ("C_OpenSession", sessions.open_session, _K.NUMBER, _K.NUMBER, _K.POINTER, _K.POINTER, _K.RESULT),
            ("C_CloseSession", sessions.close_session, _K.SESSION),
            ("C_CloseAllSessions", sessions.close_all_sessions, _K.NUMBER),
            ("C_GetSessionInfo", sessions.get_session_info, _K.SESSION, _K.SESSION_INFO),
            ("C_Login", sessions.login, _K.SESSION, _K.NUMBER, _K.SECRET),
            ("C_Logout", sessions.logout, _K.SESSION),
            ("C_SessionCancel", sessions.session_cancel, _K.SESSION, _K.NUMBER),
            ("C_DestroyObject", objects.destroy_object, _K.SESSION, _K.NUMBER),
            ("C_GetObjectSize", objects.get_object_size, _K.SESSION, _K.NUMBER, _K.RESULT),
            ("C_GetAttributeValue", objects.get_attribute_value, _K.SESSION, _K.NUMBER, _K.QUERY),
            ("C_FindObjectsInit", objects.find_objects_init, _K.SESSION, _K.TEMPLATE),
            ("C_FindObjects", objects.find_objects, _K.SESSION, _K.FOUND),
            ("C_FindObjectsFinal", objects.find_objects_final, _K.SESSION),
            ("C_DigestInit", begins(_P.DIGEST, digests.digest_init), _K.SESSION, _K.MECHANISM),
            ("C_Digest", at_once(_P.DIGEST, digests.digest), *_CRYPT),
            ("C_DigestUpdate", in_parts(digests.digest_update, _P.DIGEST), _K.SESSION, _K.BYTES),
            ("C_DigestFinal", in_parts(digests.digest_final, _P.DIGEST), _K.SESSION, _K.OUTPUT),
            ("C_SignInit", begins(_P.SIGN, signatures.sign_init), *_INIT),
            ("C_Sign", at_once(_P.SIGN, signatures.sign), *_CRYPT),
            ("C_SignUpdate", in_parts(signatures.sign_update, _P.SIGN), _K.SESSION, _K.BYTES),
            ("C_SignFinal", in_parts(signatures.sign_final, _P.SIGN), _K.SESSION, _K.OUTPUT),
            ("C_VerifyInit", begins(_P.VERIFY, signatures.verify_init), *_INIT),
            ("C_Verify", signatures.verify, _K.SESSION, _K.BYTES, _K.BYTES),
            ("C_VerifyUpdate", signatures.verify_update, _K.SESSION, _K.BYTES),
            ("C_VerifyFinal", signatures.verify_final, _K.SESSION, _K.BYTES),
            (
                "C_GenerateKeyPair", keys.generate_key_pair,
                _K.SESSION, _K.MECHANISM, _K.TEMPLATE, _K.TEMPLATE, _K.RESULT, _K.RESULT,
            ),
            ("C_GetOperationState", states.get_operation_state, _K.SESSION, _K.OUTPUT),
            (
                "C_SetOperationState", states.set_operation_state,
                _K.SESSION, _K.BYTES, _K.NUMBER, _K.NUMBER,
            ),
            ("C_EncryptInit", begins(_P.ENCRYPT, ciphers.encrypt_init), *_INIT),
            ("C_Encrypt", at_once(_P.ENCRYPT, ciphers.encrypt), *_CRYPT),
            ("C_EncryptUpdate", in_parts(ciphers.encrypt_update, _P.ENCRYPT), *_CRYPT),
            ("C_EncryptFinal", in_parts(ciphers.encrypt_final, _P.ENCRYPT), _K.SESSION, _K.OUTPUT),
            ("C_DecryptInit", begins(_P.DECRYPT, ciphers.decrypt_init), *_INIT),
            ("C_Decrypt", at_once(_P.DECRYPT, ciphers.decrypt), *_CRYPT),
            ("C_DecryptUpdate", in_parts(ciphers.decrypt_update, _P.DECRYPT), *_CRYPT),
            ("C_DecryptFinal", in_parts(ciphers.decrypt_final, _P.DECRYPT), _K.SESSION, _K.OUTPUT),
            ("C_DigestKey", in_parts(digests.digest_key, _P.DIGEST), _K.SESSION, _K.NUMBER),
            ("C_DigestEncryptUpdate", in_parts(dual.digest_encrypt_update, _P.DIGEST, _P.ENCRYPT), *_CRYPT),
            ("C_DecryptDigestUpdate", in_parts(dual.decrypt_digest_update, _P.DECRYPT, _P.DIGEST), *_CRYPT),
            ("C_SignEncryptUpdate", in_parts(dual.sign_encrypt_update, _P.SIGN, _P.ENCRYPT), *_CRYPT),
            ("C_DecryptVerifyUpdate", in_parts(dual.decrypt_verify_update, _P.DECRYPT), *_CRYPT),
            (
                "C_VerifySignatureInit", begins(_P.VERIFY, signatures.verify_signature_init),
                _K.SESSION, _K.MECHANISM, _K.NUMBER, _K.BYTES,
            ),
            ("C_VerifySignature", signatures.verify_signature, _K.SESSION, _K.BYTES),
            ("C_VerifySignatureUpdate", signatures.verify_signature_update, _K.SESSION, _K.BYTES),
            ("C_VerifySignatureFinal", signatures.verify_signature_final, _K.SESSION),
            (
                "C_GenerateKey", keys.generate_key,
                _K.SESSION, _K.MECHANISM, _K.TEMPLATE, _K.RESULT,
            ),
            (
                "C_WrapKey", keys.wrap_key,
                _K.SESSION, _K.MECHANISM, _K.NUMBER, _K.NUMBER, _K.OUTPUT,
            ),
            (
                "C_UnwrapKey", keys.unwrap_key,
                _K.SESSION, _K.MECHANISM, _K.NUMBER, _K.BYTES, _K.TEMPLATE, _K.RESULT,
            ),
            (
                "C_DeriveKey", keys.derive_key,
                _K.SESSION, _K.MECHANISM, _K.NUMBER, _K.TEMPLATE, _K.RESULT,
            ),
            ("C_CreateObject", create.create_object, _K.SESSION, _K.TEMPLATE, _K.RESULT),
            ("C_CopyObject", create.copy_object, _K.SESSION, _K.NUMBER, _K.TEMPLATE, _K.RESULT),
            ("C_SetAttributeValue", create.set_attribute_value, _K.SESSION, _K.NUMBER, _K.TEMPLATE),
            (
                "C_EncapsulateKey", kem.encapsulate_key,
                _K.SESSION, _K.MECHANISM, _K.NUMBER, _K.TEMPLATE, _K.OUTPUT, _K.RESULT,
            ),
            (
                "C_DecapsulateKey", kem.decapsulate_key,
                _K.SESSION, _K.MECHANISM, _K.NUMBER, _K.TEMPLATE, _K.BYTES, _K.RESULT,
            ),
            ("C_MessageEncryptInit", begins(_P.MESSAGE_ENCRYPT, messages.encrypt_init), *_INIT),
            ("C_EncryptMessage", messages.encrypt_message, *_CRYPT_MESSAGE),
            ("C_EncryptMessageBegin", messages.encrypt_begin, *_BEGIN),
            ("C_EncryptMessageNext", messages.encrypt_next, *_NEXT),
            ("C_MessageEncryptFinal", messages.encrypt_final, _K.SESSION),
            ("C_MessageDecryptInit", begins(_P.MESSAGE_DECRYPT, messages.decrypt_init), *_INIT),
            ("C_DecryptMessage", messages.decrypt_message, *_CRYPT_MESSAGE),
            ("C_DecryptMessageBegin", messages.decrypt_begin, *_BEGIN),
            ("C_DecryptMessageNext", messages.decrypt_next, *_NEXT),
            ("C_MessageDecryptFinal", messages.decrypt_final, _K.SESSION),
            ("C_MessageSignInit", begins(_P.MESSAGE_SIGN, messages.sign_init), *_INIT),
            ("C_SignMessage", messages.sign_message, _K.SESSION, _K.NO_MESSAGE, _K.BYTES, _K.OUTPUT),
            ("C_SignMessageBegin", messages.sign_begin, _K.SESSION, _K.NO_MESSAGE),
            ("C_SignMessageNext", messages.sign_next, _K.SESSION, _K.NO_MESSAGE, _K.BYTES, _K.LAST_OUTPUT),
            ("C_MessageSignFinal", messages.sign_final, _K.SESSION),
            ("C_MessageVerifyInit", begins(_P.MESSAGE_VERIFY, messages.verify_init), *_INIT),
            ("C_VerifyMessage", messages.verify_message, _K.SESSION, _K.NO_MESSAGE, _K.BYTES, _K.BYTES),
            ("C_VerifyMessageBegin", messages.verify_begin, _K.SESSION, _K.NO_MESSAGE),
            ("C_VerifyMessageNext", messages.verify_next, _K.SESSION, _K.NO_MESSAGE, _K.BYTES, _K.BYTES),
            ("C_MessageVerifyFinal", messages.verify_final, _K.SESSION),
            ("C_LoginUser", sessions.login_user, _K.SESSION, _K.NUMBER, _K.SECRET, _K.BYTES),
            ("C_SetPIN", pins.set_pin, _K.SESSION, _K.SECRET, _K.SECRET),
            ("C_InitPIN", pins.init_pin, _K.SESSION, _K.SECRET),
            ("C_InitToken", pins.init_token, _K.NUMBER, _K.SECRET, _K.TEXT32),
            ("C_WaitForSlotEvent", tokens.wait_for_slot_event, _K.NUMBER, _K.RESULT, _K.POINTER),
            (
                "C_GetSessionValidationFlags", sessions.get_session_validation_flags,
                _K.SESSION, _K.NUMBER, _K.RESULT,
            ),
            ("C_SeedRandom", random.seed_random, _K.SESSION, _K.BYTES),
            ("C_GenerateRandom", random.generate_random, _K.SESSION, _K.FILL),
        )
        for kinds in (tuple(kinds_),)
    }
)  # fmt: skip
