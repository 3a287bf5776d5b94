"""Just enough Cryptoki through ctypes to time a module's C functions without another library."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, Structure, byref, c_ubyte, c_ulong, c_void_p, create_string_buffer
from pathlib import Path

from hem_pkcs11.constants import CKA, CKF, CKK, CKM, CKO, CKR, CKU

__all__ = ["Cryptoki", "Parameter"]

_RW_SERIAL = int(CKF.RW_SESSION | CKF.SERIAL_SESSION)


class _Attribute(Structure):
    _fields_ = (("type", c_ulong), ("value", c_void_p), ("length", c_ulong))


class _Mechanism(Structure):
    _fields_ = (("mechanism", c_ulong), ("parameter", c_void_p), ("length", c_ulong))


class _Ctr(Structure):
    _fields_ = (("bits", c_ulong), ("counter", c_ubyte * 16))


class _Gcm(Structure):
    _fields_ = (
        ("iv", c_void_p), ("iv_length", c_ulong), ("iv_bits", c_ulong),
        ("aad", c_void_p), ("aad_length", c_ulong), ("tag_bits", c_ulong),
    )  # fmt: skip


class _Eddsa(Structure):
    _fields_ = (("prehash", c_ubyte), ("context_length", c_ulong), ("context", c_void_p))


class _Ecdh(Structure):
    _fields_ = (
        ("kdf", c_ulong), ("shared_length", c_ulong), ("shared", c_void_p),
        ("public_length", c_ulong), ("public", c_void_p),
    )  # fmt: skip


class Parameter:
    """A mechanism's parameter and the memory it points to."""

    def __init__(self, value: object, *kept: object) -> None:
        self.value = value
        self._kept = kept

    @classmethod
    def iv(cls, iv: bytes) -> Parameter:
        """Of CBC: the bytes themselves."""
        return cls(create_string_buffer(iv, len(iv)))

    @classmethod
    def ctr(cls, counter: bytes) -> Parameter:
        """A 128-bit counter."""
        return cls(_Ctr(128, (c_ubyte * 16)(*counter)))

    @classmethod
    def gcm(cls, nonce: bytes) -> Parameter:
        """No additional data, a 16-byte tag."""
        buffer = create_string_buffer(nonce, len(nonce))
        address = ctypes.cast(buffer, c_void_p)
        return cls(_Gcm(address, len(nonce), 8 * len(nonce), None, 0, 128), buffer)

    @classmethod
    def eddsa(cls) -> Parameter:
        """Plain Ed448, which is said by an empty context; Ed25519 takes none."""
        return cls(_Eddsa(0, 0, None))

    @classmethod
    def ecdh(cls, public: bytes) -> Parameter:
        """The raw secret with ``public`` (CKD_NULL)."""
        buffer = create_string_buffer(public, len(public))
        return cls(_Ecdh(1, 0, None, len(public), ctypes.cast(buffer, c_void_p)), buffer)


class Cryptoki:
    """One loaded module with one session on the slot whose place among those with a token is ``place``."""

    def __init__(self, library: Path, place: int = 0) -> None:
        self._library = ctypes.CDLL(str(library))
        self._call("C_Initialize", None, accept=CKR.CRYPTOKI_ALREADY_INITIALIZED)
        slots, count = (c_ulong * 16)(), c_ulong(16)
        self._call("C_GetSlotList", c_ubyte(1), slots, byref(count))
        if count.value <= place:
            raise OSError(f"the module has {count.value} slots with a token, not {place + 1}")
        self._session = c_ulong()
        self._call(
            "C_OpenSession", c_ulong(slots[place]), c_ulong(_RW_SERIAL), None, None, byref(self._session)
        )

    def _call(self, name: str, *arguments: object, accept: int = 0) -> None:
        answer = getattr(self._library, name)(*arguments)
        if answer not in (0, accept):
            raise OSError(f"{name}: CKR 0x{answer:x}")

    def login(self, pin: str) -> None:
        """C_Login as the user."""
        text = pin.encode()
        self._call("C_Login", self._session, c_ulong(CKU.USER), text, c_ulong(len(text)))

    def logout(self) -> None:
        """C_Logout."""
        self._call("C_Logout", self._session)

    def find(
        self, kind: int | None = None, *, label: str | None = None, identifier: bytes | None = None
    ) -> list[int]:
        """Handles of the objects (at most 256) of class ``kind`` that match all that is given."""
        rows: list[tuple[int, object, int]] = []
        if kind is not None:
            rows.append((CKA.CLASS, c_ulong(kind), ctypes.sizeof(c_ulong)))
        for attribute, text in ((CKA.LABEL, label and label.encode()), (CKA.ID, identifier)):
            if text:
                rows.append((attribute, create_string_buffer(text, len(text)), len(text)))
        found, count = (c_ulong * 256)(), c_ulong()
        self._call("C_FindObjectsInit", self._session, _template(rows), c_ulong(len(rows)))
        self._call("C_FindObjects", self._session, found, c_ulong(256), byref(count))
        self._call("C_FindObjectsFinal", self._session)
        return list(found[: count.value])

    def sign(self, key: int, mechanism: int, message: bytes, parameter: Parameter | None = None) -> bytes:
        """C_SignInit and C_Sign."""
        return self._once("Sign", key, mechanism, parameter, message, 8192)

    def verify(
        self, key: int, mechanism: int, message: bytes, signature: bytes, parameter: Parameter | None = None
    ) -> None:
        """C_VerifyInit and C_Verify."""
        which = _mechanism(mechanism, parameter)
        self._call("C_VerifyInit", self._session, byref(which), c_ulong(key))
        self._call(
            "C_Verify", self._session, message, c_ulong(len(message)), signature, c_ulong(len(signature))
        )

    def encrypt(self, key: int, mechanism: int, parameter: Parameter | None, data: bytes) -> bytes:
        """C_EncryptInit and C_Encrypt."""
        return self._once("Encrypt", key, mechanism, parameter, data, len(data) + 64)

    def decrypt(self, key: int, mechanism: int, parameter: Parameter | None, data: bytes) -> bytes:
        """C_DecryptInit and C_Decrypt."""
        return self._once("Decrypt", key, mechanism, parameter, data, len(data) + 64)

    def _once(
        self, what: str, key: int, mechanism: int, parameter: Parameter | None, data: bytes, room: int
    ) -> bytes:
        which = _mechanism(mechanism, parameter)
        out, length = create_string_buffer(room), c_ulong(room)
        self._call(f"C_{what}Init", self._session, byref(which), c_ulong(key))
        self._call(f"C_{what}", self._session, data, c_ulong(len(data)), out, byref(length))
        return out.raw[: length.value]

    def derive(self, key: int, public: bytes) -> int:
        """C_DeriveKey by ECDH to a session secret of 32 bytes; its handle."""
        rows: list[tuple[int, object, int]] = [
            (CKA.CLASS, c_ulong(CKO.SECRET_KEY), 8), (CKA.KEY_TYPE, c_ulong(CKK.GENERIC_SECRET), 8),
            (CKA.VALUE_LEN, c_ulong(32), 8), (CKA.TOKEN, c_ubyte(0), 1), (CKA.PRIVATE, c_ubyte(1), 1),
            (CKA.SENSITIVE, c_ubyte(0), 1), (CKA.EXTRACTABLE, c_ubyte(1), 1),
        ]  # fmt: skip
        which, made = _mechanism(CKM.ECDH1_DERIVE, Parameter.ecdh(public)), c_ulong()
        self._call(
            "C_DeriveKey", self._session, byref(which), c_ulong(key),
            _template(rows), c_ulong(len(rows)), byref(made),
        )  # fmt: skip
        return made.value

    def destroy(self, handle: int) -> None:
        """C_DestroyObject; a session's private object may have gone with a logout."""
        gone = CKR.OBJECT_HANDLE_INVALID
        self._call("C_DestroyObject", self._session, c_ulong(handle), accept=gone)

    def random(self, size: int) -> bytes:
        """C_GenerateRandom."""
        out = create_string_buffer(size)
        self._call("C_GenerateRandom", self._session, out, c_ulong(size))
        return out.raw

    def close(self) -> None:
        """C_Finalize."""
        self._call("C_Finalize", None)


def _mechanism(mechanism: int, parameter: Parameter | None) -> _Mechanism:
    if parameter is None:
        return _Mechanism(mechanism, None, 0)
    value = parameter.value
    address = ctypes.cast(byref(value), POINTER(c_ubyte))  # type: ignore[arg-type]
    made = _Mechanism(mechanism, ctypes.cast(address, c_void_p), ctypes.sizeof(value))  # type: ignore[arg-type]
    made.parameter_object = parameter  # keeps it alive
    return made


def _template(rows: list[tuple[int, object, int]]) -> object:
    made = (_Attribute * max(len(rows), 1))(
        *(_Attribute(kind, ctypes.cast(byref(value), c_void_p), size) for kind, value, size in rows)  # type: ignore[arg-type]
    )
    setattr(made, "rows", rows)  # noqa: B010 - keeps the values alive
    return made
