"""A host of the PKCS#11 module: the compiled library by its C functions, as any program calls it.

Function and return value names are those of PKCS#11 3.2 (chapter 5); only what the self-test calls.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hem_pkcs11.constants import CKR, name_of

__all__ = ["CryptokiError", "Library"]

_Ulong = ctypes.c_ulong
_LABEL = slice(0, 32)
#: sizeof(CK_TOKEN_INFO) with room to spare.
_TOKEN_INFO_SIZE = 512


class _Attribute(ctypes.Structure):
    _fields_ = (("type", _Ulong), ("value", ctypes.c_void_p), ("length", _Ulong))


class _Mechanism(ctypes.Structure):
    _fields_ = (("type", _Ulong), ("parameter", ctypes.c_void_p), ("length", _Ulong))


class CryptokiError(Exception):
    """A function answered other than CKR_OK: ``rv``."""

    def __init__(self, function: str, rv: int) -> None:
        super().__init__(function, rv)
        self.function, self.rv = function, rv

    def __str__(self) -> str:
        return f"{self.function} answers {name_of(CKR, self.rv)}"


class Library:
    """The loaded library. Methods raise ``CryptokiError``; arguments are plain Python values."""

    def __init__(self, path: Path) -> None:
        self._library = ctypes.CDLL(str(path))

    def call(self, name: str, *arguments: Any) -> None:
        """Call the function ``name``; whole numbers are passed as CK_ULONG."""
        function = getattr(self._library, name)
        function.restype = _Ulong
        rv = function(*(_Ulong(each) if isinstance(each, int) else each for each in arguments))
        if rv != CKR.OK:
            raise CryptokiError(name, rv)

    def slots(self) -> list[int]:
        """Every slot, without asking the devices."""
        count = _Ulong()
        self.call("C_GetSlotList", 0, None, ctypes.byref(count))
        numbers = (_Ulong * max(count.value, 1))()
        self.call("C_GetSlotList", 0, numbers, ctypes.byref(count))
        return list(numbers[: count.value])

    def token_label(self, slot: int) -> str:
        """The label of the token in ``slot``."""
        info = ctypes.create_string_buffer(_TOKEN_INFO_SIZE)
        self.call("C_GetTokenInfo", slot, info)
        return info.raw[_LABEL].decode("utf-8", "replace").rstrip()

    def open_session(self, slot: int, flags: int) -> int:
        """The handle of a new session."""
        session = _Ulong()
        self.call("C_OpenSession", slot, flags, None, None, ctypes.byref(session))
        return session.value

    def login(self, session: int, user: int, pin: str | None) -> None:
        """Log in; without a PIN the module finds it by its configuration."""
        encoded = None if pin is None else pin.encode()
        self.call("C_Login", session, user, encoded, 0 if encoded is None else len(encoded))

    def generate_pair(
        self, session: int, mechanism: int, public: Mapping[int, bytes], private: Mapping[int, bytes]
    ) -> tuple[int, int]:
        """Handles of the public and the private key."""
        handles = _Ulong(), _Ulong()
        by_mechanism = _Mechanism(mechanism, None, 0)
        templates = [part for each in (public, private) for part in (_template(each.items()), len(each))]
        self.call(
            "C_GenerateKeyPair", session, ctypes.byref(by_mechanism), *templates, *map(ctypes.byref, handles)
        )
        return handles[0].value, handles[1].value

    def sign(self, session: int, mechanism: int, key: int, message: bytes, room: int = 512) -> bytes:
        """The signature of ``message``, of at most ``room`` bytes."""
        self.call("C_SignInit", session, ctypes.byref(_Mechanism(mechanism, None, 0)), key)
        size, signature = _Ulong(room), ctypes.create_string_buffer(room)
        self.call("C_Sign", session, message, len(message), signature, ctypes.byref(size))
        return signature.raw[: size.value]

    def verify(self, session: int, mechanism: int, key: int, message: bytes, signature: bytes) -> None:
        """Raises ``CryptokiError`` with CKR_SIGNATURE_INVALID for a wrong one."""
        self.call("C_VerifyInit", session, ctypes.byref(_Mechanism(mechanism, None, 0)), key)
        self.call("C_Verify", session, message, len(message), signature, len(signature))

    def find(self, session: int, template: Mapping[int, bytes], most: int = 16) -> Sequence[int]:
        """Handles of what matches, ``most`` of them."""
        self.call("C_FindObjectsInit", session, _template(template.items()), len(template))
        handles, count = (_Ulong * most)(), _Ulong()
        self.call("C_FindObjects", session, handles, most, ctypes.byref(count))
        self.call("C_FindObjectsFinal", session)
        return list(handles[: count.value])


def _template(attributes: Iterable[tuple[int, bytes]]) -> ctypes.Array[_Attribute]:
    rows = [(kind, ctypes.create_string_buffer(value, len(value)), len(value)) for kind, value in attributes]
    array = (_Attribute * len(rows))()
    for place, (kind, value, length) in zip(array, rows, strict=True):
        place.type, place.length = kind, length
        place.value = ctypes.cast(value, ctypes.c_void_p)
    array._kept = [value for _, value, _ in rows]  # type: ignore[attr-defined]  # as long as the array
    return array
