"""Which operations a call ends when it fails.

A size query and CKR_BUFFER_TOO_SMALL leave everything running; any other error of a call that works
on an operation ends that operation (PKCS#11 3.2: 5.8 to 5.17), arguments that cannot be read
included. A message-based operation goes on until its final call; an error in a message's later
parts ends that message.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hem_pkcs11.constants import CKR
from hem_pkcs11.operations import Place
from hem_pkcs11.returns import BufferTooSmall, Pkcs11Error

if TYPE_CHECKING:
    from hem_pkcs11.sessions import Session

__all__ = ["end_failed"]

_P = Place
_OPERATIONS: Mapping[str, tuple[Place, ...]] = {
    **dict.fromkeys(("C_Digest", "C_DigestUpdate", "C_DigestKey", "C_DigestFinal"), (_P.DIGEST,)),
    **dict.fromkeys(("C_Sign", "C_SignUpdate", "C_SignFinal"), (_P.SIGN,)),
    **dict.fromkeys(("C_Verify", "C_VerifyUpdate", "C_VerifyFinal"), (_P.VERIFY,)),
    **dict.fromkeys(("C_VerifySignature", "C_VerifySignatureUpdate", "C_VerifySignatureFinal"), (_P.VERIFY,)),
    **dict.fromkeys(("C_Encrypt", "C_EncryptUpdate", "C_EncryptFinal"), (_P.ENCRYPT,)),
    **dict.fromkeys(("C_Decrypt", "C_DecryptUpdate", "C_DecryptFinal"), (_P.DECRYPT,)),
    "C_DigestEncryptUpdate": (_P.DIGEST, _P.ENCRYPT),
    "C_DecryptDigestUpdate": (_P.DECRYPT, _P.DIGEST),
    "C_SignEncryptUpdate": (_P.SIGN, _P.ENCRYPT),
    "C_DecryptVerifyUpdate": (_P.DECRYPT, _P.VERIFY),
}
_MESSAGES: Mapping[str, Place] = {
    "C_EncryptMessageNext": _P.MESSAGE_ENCRYPT,
    "C_DecryptMessageNext": _P.MESSAGE_DECRYPT,
    "C_SignMessageNext": _P.MESSAGE_SIGN,
    "C_VerifyMessageNext": _P.MESSAGE_VERIFY,
}


def end_failed(session: Session, name: str, error: BaseException) -> None:
    """``error`` came out of the function called ``name``: end what it was working on."""
    if isinstance(error, BufferTooSmall):
        return
    if isinstance(error, Pkcs11Error) and error.rv == CKR.OPERATION_NOT_INITIALIZED:
        return  # what runs, if anything, is not what this call was for
    for place in _OPERATIONS.get(name, ()):
        session.end(place)
    if name in _MESSAGES:
        session.end_message(_MESSAGES[name])
