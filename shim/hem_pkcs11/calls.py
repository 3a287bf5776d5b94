"""The functions of Cryptoki by name: what runs and what its arguments are.

The kinds of arguments tell the bridge how to read and write C memory; ``Module.call`` takes their
Python values in the same order. A function that is in the C layer's list and not here answers
CKR_FUNCTION_NOT_SUPPORTED.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from hem_pkcs11.functions import late
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


class Call:
    """One function: what runs, and its arguments as C has them. ``load`` gives the function."""

    __slots__ = ("_function", "_load", "kinds")

    def __init__(self, load: Callable[[], Callable[..., Any]], kinds: tuple[ArgumentKind, ...]) -> None:
        self._load = load
        self._function: Callable[..., Any] | None = None
        self.kinds = kinds

    @property
    def function(self) -> Callable[..., Any]:
        """What runs."""
        if self._function is None:
            self._function = self._load()
        return self._function

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
        name: Call(load, kinds)
        for name, load, *kinds_ in (
            ("C_Initialize", lambda: late.general().initialize, _K.INITIALIZE),
            ("C_Finalize", lambda: late.general().finalize, _K.POINTER),
            ("C_GetInfo", lambda: late.general().get_info, _K.INFO),
            ("C_GetSlotList", lambda: late.tokens().get_slot_list, _K.FLAG, _K.NUMBERS),
            ("C_GetSlotInfo", lambda: late.tokens().get_slot_info, _K.NUMBER, _K.SLOT_INFO),
            ("C_GetTokenInfo", lambda: late.tokens().get_token_info, _K.NUMBER, _K.TOKEN_INFO),
            ("C_GetMechanismList", lambda: late.tokens().get_mechanism_list, _K.NUMBER, _K.NUMBERS),
            (
                "C_GetMechanismInfo", lambda: late.tokens().get_mechanism_info,
                _K.NUMBER, _K.NUMBER, _K.MECHANISM_INFO,
            ),
            (
                "C_OpenSession", lambda: late.sessions().open_session,
                _K.NUMBER, _K.NUMBER, _K.POINTER, _K.POINTER, _K.RESULT,
            ),
            ("C_CloseSession", lambda: late.sessions().close_session, _K.SESSION),
            ("C_CloseAllSessions", lambda: late.sessions().close_all_sessions, _K.NUMBER),
            ("C_GetSessionInfo", lambda: late.sessions().get_session_info, _K.SESSION, _K.SESSION_INFO),
            ("C_Login", lambda: late.sessions().login, _K.SESSION, _K.NUMBER, _K.SECRET),
            ("C_Logout", lambda: late.sessions().logout, _K.SESSION),
            ("C_SessionCancel", lambda: late.sessions().session_cancel, _K.SESSION, _K.NUMBER),
            ("C_DestroyObject", lambda: late.objects().destroy_object, _K.SESSION, _K.NUMBER),
            ("C_GetObjectSize", lambda: late.objects().get_object_size, _K.SESSION, _K.NUMBER, _K.RESULT),
            (
                "C_GetAttributeValue", lambda: late.objects().get_attribute_value,
                _K.SESSION, _K.NUMBER, _K.QUERY,
            ),
            ("C_FindObjectsInit", lambda: late.objects().find_objects_init, _K.SESSION, _K.TEMPLATE),
            ("C_FindObjects", lambda: late.objects().find_objects, _K.SESSION, _K.FOUND),
            ("C_FindObjectsFinal", lambda: late.objects().find_objects_final, _K.SESSION),
            ("C_DigestInit", lambda: begins(_P.DIGEST, late.digests().digest_init), _K.SESSION, _K.MECHANISM),
            ("C_Digest", lambda: at_once(_P.DIGEST, late.digests().digest), *_CRYPT),
            (
                "C_DigestUpdate", lambda: in_parts(late.digests().digest_update, _P.DIGEST),
                _K.SESSION, _K.BYTES,
            ),
            (
                "C_DigestFinal", lambda: in_parts(late.digests().digest_final, _P.DIGEST),
                _K.SESSION, _K.OUTPUT,
            ),
            ("C_SignInit", lambda: begins(_P.SIGN, late.signatures().sign_init), *_INIT),
            ("C_Sign", lambda: at_once(_P.SIGN, late.signatures().sign), *_CRYPT),
            ("C_SignUpdate", lambda: in_parts(late.signatures().sign_update, _P.SIGN), _K.SESSION, _K.BYTES),
            ("C_SignFinal", lambda: in_parts(late.signatures().sign_final, _P.SIGN), _K.SESSION, _K.OUTPUT),
            ("C_VerifyInit", lambda: begins(_P.VERIFY, late.signatures().verify_init), *_INIT),
            ("C_Verify", lambda: late.signatures().verify, _K.SESSION, _K.BYTES, _K.BYTES),
            ("C_VerifyUpdate", lambda: late.signatures().verify_update, _K.SESSION, _K.BYTES),
            ("C_VerifyFinal", lambda: late.signatures().verify_final, _K.SESSION, _K.BYTES),
            (
                "C_GenerateKeyPair", lambda: late.keys().generate_key_pair,
                _K.SESSION, _K.MECHANISM, _K.TEMPLATE, _K.TEMPLATE, _K.RESULT, _K.RESULT,
            ),
            ("C_GetOperationState", lambda: late.states().get_operation_state, _K.SESSION, _K.OUTPUT),
            (
                "C_SetOperationState", lambda: late.states().set_operation_state,
                _K.SESSION, _K.BYTES, _K.NUMBER, _K.NUMBER,
            ),
            ("C_EncryptInit", lambda: begins(_P.ENCRYPT, late.ciphers().encrypt_init), *_INIT),
            ("C_Encrypt", lambda: at_once(_P.ENCRYPT, late.ciphers().encrypt), *_CRYPT),
            ("C_EncryptUpdate", lambda: in_parts(late.ciphers().encrypt_update, _P.ENCRYPT), *_CRYPT),
            (
                "C_EncryptFinal", lambda: in_parts(late.ciphers().encrypt_final, _P.ENCRYPT),
                _K.SESSION, _K.OUTPUT,
            ),
            ("C_DecryptInit", lambda: begins(_P.DECRYPT, late.ciphers().decrypt_init), *_INIT),
            ("C_Decrypt", lambda: at_once(_P.DECRYPT, late.ciphers().decrypt), *_CRYPT),
            ("C_DecryptUpdate", lambda: in_parts(late.ciphers().decrypt_update, _P.DECRYPT), *_CRYPT),
            (
                "C_DecryptFinal", lambda: in_parts(late.ciphers().decrypt_final, _P.DECRYPT),
                _K.SESSION, _K.OUTPUT,
            ),
            ("C_DigestKey", lambda: in_parts(late.digests().digest_key, _P.DIGEST), _K.SESSION, _K.NUMBER),
            (
                "C_DigestEncryptUpdate",
                lambda: in_parts(late.dual().digest_encrypt_update, _P.DIGEST, _P.ENCRYPT),
                *_CRYPT,
            ),
            (
                "C_DecryptDigestUpdate",
                lambda: in_parts(late.dual().decrypt_digest_update, _P.DECRYPT, _P.DIGEST),
                *_CRYPT,
            ),
            (
                "C_SignEncryptUpdate", lambda: in_parts(late.dual().sign_encrypt_update, _P.SIGN, _P.ENCRYPT),
                *_CRYPT,
            ),
            (
                "C_DecryptVerifyUpdate", lambda: in_parts(late.dual().decrypt_verify_update, _P.DECRYPT),
                *_CRYPT,
            ),
            (
                "C_VerifySignatureInit", lambda: begins(_P.VERIFY, late.signatures().verify_signature_init),
                _K.SESSION, _K.MECHANISM, _K.NUMBER, _K.BYTES,
            ),
            ("C_VerifySignature", lambda: late.signatures().verify_signature, _K.SESSION, _K.BYTES),
            (
                "C_VerifySignatureUpdate", lambda: late.signatures().verify_signature_update,
                _K.SESSION, _K.BYTES,
            ),
            ("C_VerifySignatureFinal", lambda: late.signatures().verify_signature_final, _K.SESSION),
            (
                "C_GenerateKey", lambda: late.keys().generate_key,
                _K.SESSION, _K.MECHANISM, _K.TEMPLATE, _K.RESULT,
            ),
            (
                "C_WrapKey", lambda: late.keys().wrap_key,
                _K.SESSION, _K.MECHANISM, _K.NUMBER, _K.NUMBER, _K.OUTPUT,
            ),
            (
                "C_UnwrapKey", lambda: late.keys().unwrap_key,
                _K.SESSION, _K.MECHANISM, _K.NUMBER, _K.BYTES, _K.TEMPLATE, _K.RESULT,
            ),
            (
                "C_DeriveKey", lambda: late.keys().derive_key,
                _K.SESSION, _K.MECHANISM, _K.NUMBER, _K.TEMPLATE, _K.RESULT,
            ),
            ("C_CreateObject", lambda: late.create().create_object, _K.SESSION, _K.TEMPLATE, _K.RESULT),
            (
                "C_CopyObject", lambda: late.create().copy_object,
                _K.SESSION, _K.NUMBER, _K.TEMPLATE, _K.RESULT,
            ),
            (
                "C_SetAttributeValue", lambda: late.create().set_attribute_value,
                _K.SESSION, _K.NUMBER, _K.TEMPLATE,
            ),
            (
                "C_EncapsulateKey", lambda: late.kem().encapsulate_key,
                _K.SESSION, _K.MECHANISM, _K.NUMBER, _K.TEMPLATE, _K.OUTPUT, _K.RESULT,
            ),
            (
                "C_DecapsulateKey", lambda: late.kem().decapsulate_key,
                _K.SESSION, _K.MECHANISM, _K.NUMBER, _K.TEMPLATE, _K.BYTES, _K.RESULT,
            ),
            (
                "C_MessageEncryptInit", lambda: begins(_P.MESSAGE_ENCRYPT, late.messages().encrypt_init),
                *_INIT,
            ),
            ("C_EncryptMessage", lambda: late.messages().encrypt_message, *_CRYPT_MESSAGE),
            ("C_EncryptMessageBegin", lambda: late.messages().encrypt_begin, *_BEGIN),
            ("C_EncryptMessageNext", lambda: late.messages().encrypt_next, *_NEXT),
            ("C_MessageEncryptFinal", lambda: late.messages().encrypt_final, _K.SESSION),
            (
                "C_MessageDecryptInit", lambda: begins(_P.MESSAGE_DECRYPT, late.messages().decrypt_init),
                *_INIT,
            ),
            ("C_DecryptMessage", lambda: late.messages().decrypt_message, *_CRYPT_MESSAGE),
            ("C_DecryptMessageBegin", lambda: late.messages().decrypt_begin, *_BEGIN),
            ("C_DecryptMessageNext", lambda: late.messages().decrypt_next, *_NEXT),
            ("C_MessageDecryptFinal", lambda: late.messages().decrypt_final, _K.SESSION),
            ("C_MessageSignInit", lambda: begins(_P.MESSAGE_SIGN, late.messages().sign_init), *_INIT),
            (
                "C_SignMessage", lambda: late.messages().sign_message,
                _K.SESSION, _K.NO_MESSAGE, _K.BYTES, _K.OUTPUT,
            ),
            ("C_SignMessageBegin", lambda: late.messages().sign_begin, _K.SESSION, _K.NO_MESSAGE),
            (
                "C_SignMessageNext", lambda: late.messages().sign_next,
                _K.SESSION, _K.NO_MESSAGE, _K.BYTES, _K.LAST_OUTPUT,
            ),
            ("C_MessageSignFinal", lambda: late.messages().sign_final, _K.SESSION),
            ("C_MessageVerifyInit", lambda: begins(_P.MESSAGE_VERIFY, late.messages().verify_init), *_INIT),
            (
                "C_VerifyMessage", lambda: late.messages().verify_message,
                _K.SESSION, _K.NO_MESSAGE, _K.BYTES, _K.BYTES,
            ),
            ("C_VerifyMessageBegin", lambda: late.messages().verify_begin, _K.SESSION, _K.NO_MESSAGE),
            (
                "C_VerifyMessageNext", lambda: late.messages().verify_next,
                _K.SESSION, _K.NO_MESSAGE, _K.BYTES, _K.BYTES,
            ),
            ("C_MessageVerifyFinal", lambda: late.messages().verify_final, _K.SESSION),
            ("C_LoginUser", lambda: late.sessions().login_user, _K.SESSION, _K.NUMBER, _K.SECRET, _K.BYTES),
            ("C_SetPIN", lambda: late.pins().set_pin, _K.SESSION, _K.SECRET, _K.SECRET),
            ("C_InitPIN", lambda: late.pins().init_pin, _K.SESSION, _K.SECRET),
            ("C_InitToken", lambda: late.pins().init_token, _K.NUMBER, _K.SECRET, _K.TEXT32),
            (
                "C_WaitForSlotEvent", lambda: late.tokens().wait_for_slot_event,
                _K.NUMBER, _K.RESULT, _K.POINTER,
            ),
            (
                "C_GetSessionValidationFlags", lambda: late.sessions().get_session_validation_flags,
                _K.SESSION, _K.NUMBER, _K.RESULT,
            ),
            ("C_SeedRandom", lambda: late.random().seed_random, _K.SESSION, _K.BYTES),
            ("C_GenerateRandom", lambda: late.random().generate_random, _K.SESSION, _K.FILL),
        )
        for kinds in (tuple(kinds_),)
    }
)  # fmt: skip
