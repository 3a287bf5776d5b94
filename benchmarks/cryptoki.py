"""Just enough Cryptoki through ctypes to time the module's C functions without another library."""

from __future__ import annotations

import ctypes
from ctypes import Structure, byref, c_char_p, c_ubyte, c_ulong, c_void_p, create_string_buffer
from pathlib import Path

__all__ = ["Cryptoki"]

_CKF_RW_SERIAL = 6
_CKU_USER = 1
_CKR_CRYPTOKI_ALREADY_INITIALIZED = 0x191
_CKA_CLASS, _CKA_LABEL = 0, 3
_CKO_PRIVATE_KEY = 3
CKM_ECDSA_SHA256 = 0x1044
CKM_EDDSA = 0x1057


class _Attribute(Structure):
    _fields_ = (("type", c_ulong), ("value", c_void_p), ("length", c_ulong))


class _Mechanism(Structure):
    _fields_ = (("mechanism", c_ulong), ("parameter", c_void_p), ("length", c_ulong))


class Cryptoki:
    """One loaded module with one session on its first slot."""

    def __init__(self, library: Path) -> None:
        self._library = ctypes.CDLL(str(library))
        self._call("C_Initialize", None, accept=_CKR_CRYPTOKI_ALREADY_INITIALIZED)
        slots, count = (c_ulong * 16)(), c_ulong(16)
        self._call("C_GetSlotList", c_ubyte(1), slots, byref(count))
        if not count.value:
            raise OSError("the module has no slot with a token")
        self._session = c_ulong()
        self._call(
            "C_OpenSession", c_ulong(slots[0]), c_ulong(_CKF_RW_SERIAL), None, None, byref(self._session)
        )

    def _call(self, name: str, *arguments: object, accept: int = 0) -> None:
        answer = getattr(self._library, name)(*arguments)
        if answer not in (0, accept):
            raise OSError(f"{name}: CKR 0x{answer:x}")

    def login(self, pin: str) -> None:
        """C_Login as the user."""
        text = pin.encode()
        self._call("C_Login", self._session, c_ulong(_CKU_USER), c_char_p(text), c_ulong(len(text)))

    def logout(self) -> None:
        """C_Logout."""
        self._call("C_Logout", self._session)

    def find_private(self, label: str) -> list[int]:
        """Handles of the private keys with this label (at most 16)."""
        value, kind = create_string_buffer(label.encode(), len(label)), c_ulong(_CKO_PRIVATE_KEY)
        template = (_Attribute * 2)(
            _Attribute(_CKA_CLASS, ctypes.cast(byref(kind), c_void_p), ctypes.sizeof(kind)),
            _Attribute(_CKA_LABEL, ctypes.cast(value, c_void_p), len(label)),
        )
        return self._find(template, 2)

    def objects(self) -> list[int]:
        """Handles of all objects (at most 256)."""
        return self._find(None, 0)

    def _find(self, template: object, length: int) -> list[int]:
        found, count = (c_ulong * 256)(), c_ulong()
        self._call("C_FindObjectsInit", self._session, template, c_ulong(length))
        self._call("C_FindObjects", self._session, found, c_ulong(256), byref(count))
        self._call("C_FindObjectsFinal", self._session)
        return list(found[: count.value])

    def sign(self, key: int, mechanism: int, message: bytes) -> bytes:
        """C_SignInit and C_Sign."""
        which = _Mechanism(mechanism, None, 0)
        out, length = create_string_buffer(256), c_ulong(256)
        self._call("C_SignInit", self._session, byref(which), c_ulong(key))
        self._call("C_Sign", self._session, message, c_ulong(len(message)), out, byref(length))
        return out.raw[: length.value]

    def close(self) -> None:
        """C_Finalize."""
        self._call("C_Finalize", None)
