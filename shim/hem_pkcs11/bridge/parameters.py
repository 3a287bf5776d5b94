"""Mechanism parameters: which structure each mechanism takes, and how it is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hem_pkcs11.constants import CKM, CKR, name_of
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.values import (
    CtrParameters,
    EcdhParameters,
    EddsaParameters,
    GcmMessageParameters,
    GcmParameters,
    Parameters,
    SignContext,
)

__all__ = ["read_message", "read_no_message", "read_parameter", "write_message"]

View = Callable[[int, int], memoryview]
#: Most bytes that a parameter, or one field of it, may have.
MAX_PARAMETER = 2**16
MAX_TAG = 16


def read_parameter(ffi: Any, view: View, mechanism: Any) -> Parameters:
    """The parameter of a CK_MECHANISM. Raises CKR_MECHANISM_PARAM_INVALID."""
    size, address = int(mechanism.ulParameterLen), int(ffi.cast("uintptr_t", mechanism.pParameter))
    if size == 0:
        return None
    if address == 0 or size > MAX_PARAMETER:
        raise _invalid(mechanism.mechanism, size)
    readers = _READERS.get(mechanism.mechanism)
    if readers is None:
        return bytes(view(address, size))
    for structure, reader in readers.items():
        if size == ffi.sizeof(structure):

            def read(pointer: Any, length: int) -> bytes:
                if length > MAX_PARAMETER or (length and pointer == ffi.NULL):
                    raise _invalid(mechanism.mechanism, size)
                return bytes(view(int(ffi.cast("uintptr_t", pointer)), length))

            return reader(ffi.cast(f"{structure} *", address), read)
    raise _invalid(mechanism.mechanism, size)


def read_message(ffi: Any, view: View, address: int, size: int) -> GcmMessageParameters | None:
    """CK_GCM_MESSAGE_PARAMS; ``None`` for no parameter. Raises CKR_MECHANISM_PARAM_INVALID."""
    if size == 0:
        return None
    if address == 0 or size != ffi.sizeof("CK_GCM_MESSAGE_PARAMS"):
        raise _invalid(CKM.AES_GCM, size)
    given = ffi.cast("CK_GCM_MESSAGE_PARAMS *", address)
    if given.pIv == ffi.NULL or given.pTag == ffi.NULL:
        raise _invalid(CKM.AES_GCM, size)
    if given.ulIvLen > MAX_PARAMETER or given.ulTagBits > 8 * MAX_TAG:
        raise _invalid(CKM.AES_GCM, size)
    return GcmMessageParameters(
        iv=bytes(view(int(ffi.cast("uintptr_t", given.pIv)), given.ulIvLen)),
        fixed_bits=int(given.ulIvFixedBits),
        generator=int(given.ivGenerator),
        tag=bytes(view(int(ffi.cast("uintptr_t", given.pTag)), given.ulTagBits // 8)),
        tag_bits=int(given.ulTagBits),
    )


def read_no_message(size: int) -> None:
    """Messages that are signed or verified have no parameters. Raises CKR_MECHANISM_PARAM_INVALID."""
    if size:
        raise Pkcs11Error(
            CKR.MECHANISM_PARAM_INVALID, f"a signed message has no parameter; {size} bytes were given"
        )


def write_message(ffi: Any, address: int, value: GcmMessageParameters | None) -> None:
    """Write IV and tag back into the caller's buffers, which have these sizes (``read_message``). What is
    there already is not written: an IV that the caller brings may lie where nobody may write."""
    if value is None:
        return
    given = ffi.cast("CK_GCM_MESSAGE_PARAMS *", address)
    for place, made in ((given.pIv, value.iv), (given.pTag, value.tag)):
        if bytes(ffi.buffer(place, len(made))) != made:
            ffi.memmove(place, made, len(made))


def _invalid(mechanism: int, size: int) -> Pkcs11Error:
    return Pkcs11Error(
        CKR.MECHANISM_PARAM_INVALID,
        f"{name_of(CKM, mechanism)}: a parameter of {size} bytes, or a field of it, cannot be read",
    )


Read = Callable[[Any, int], bytes]


def _eddsa(given: Any, read: Read) -> Parameters:
    return EddsaParameters(bool(given.phFlag), read(given.pContextData, given.ulContextDataLen))


def _ecdh(given: Any, read: Read) -> Parameters:
    return EcdhParameters(
        int(given.kdf),
        read(given.pSharedData, given.ulSharedDataLen),
        read(given.pPublicData, given.ulPublicDataLen),
    )


def _ctr(given: Any, _: Read) -> Parameters:
    return CtrParameters(int(given.ulCounterBits), bytes(given.cb))


def _gcm(given: Any, read: Read) -> Parameters:
    return GcmParameters(
        read(given.pIv, given.ulIvLen), read(given.pAAD, given.ulAADLen), int(given.ulTagBits)
    )


def _context(given: Any, read: Read) -> Parameters:
    return SignContext(int(given.hedgeVariant), read(given.pContext, given.ulContextLen))


#: Mechanism → its structures (by size, where headers differ) and their readers.
_READERS: Mapping[int, Mapping[str, Callable[[Any, Read], Parameters]]] = {
    CKM.EDDSA: {"CK_EDDSA_PARAMS": _eddsa},
    CKM.ECDH1_DERIVE: {"CK_ECDH1_DERIVE_PARAMS": _ecdh},
    CKM.AES_CTR: {"CK_AES_CTR_PARAMS": _ctr},
    CKM.AES_GCM: {"CK_GCM_PARAMS": _gcm, "HEM_GCM_PARAMS_SHORT": _gcm},
    CKM.ML_DSA: {"CK_SIGN_ADDITIONAL_CONTEXT": _context},
}
