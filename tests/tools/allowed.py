"""CKA_ALLOWED_MECHANISMS of the first key that has a label, by raw calls: ``allowed.py LIBRARY LABEL [PIN]``.

Two lines: what the question for its length is answered with, and what it is when a buffer is brought.
"""

from __future__ import annotations

import ctypes
import sys
from ctypes import CFUNCTYPE, Structure, addressof, byref, c_ulong, c_void_p, create_string_buffer

from hem_pkcs11.constants import CKA, CKF, CKR, CKU

#: Function → its place in CK_FUNCTION_LIST, which is all that p11-kit's client exports.
PLACES = {
    "C_Initialize": 0, "C_GetSlotList": 4, "C_OpenSession": 12, "C_Login": 18, "C_GetAttributeValue": 24,
    "C_FindObjectsInit": 26, "C_FindObjects": 27, "C_FindObjectsFinal": 28,
}  # fmt: skip


class FunctionList(Structure):
    _fields_ = (("version", c_ulong), ("functions", c_void_p * 29))


class Attribute(Structure):
    _fields_ = (("type", c_ulong), ("value", c_void_p), ("length", c_ulong))


class Arguments(Structure):
    _fields_ = (("functions", c_void_p * 4), ("flags", c_ulong), ("reserved", c_void_p))


def main(path: str, label: bytes, pin: bytes = b"") -> None:
    listed = ctypes.POINTER(FunctionList)()
    assert ctypes.CDLL(path).C_GetFunctionList(byref(listed)) == CKR.OK

    def call(name: str, *arguments: object) -> int:
        words = [c_ulong(each) if isinstance(each, int) else each for each in arguments]
        function = CFUNCTYPE(c_ulong)(listed.contents.functions[PLACES[name]])
        return int(function(*words))

    def ok(name: str, *arguments: object) -> None:
        rv = call(name, *arguments)
        assert rv == CKR.OK, f"{name}: {rv:#x}"

    ok("C_Initialize", byref(Arguments(flags=CKF.OS_LOCKING_OK)))
    slots, count, session, key, found = (c_ulong * 8)(), c_ulong(8), c_ulong(), c_ulong(), c_ulong()
    ok("C_GetSlotList", 1, slots, byref(count))
    ok("C_OpenSession", slots[0], int(CKF.SERIAL_SESSION), None, None, byref(session))
    ok("C_Login", session.value, int(CKU.USER), pin or None, len(pin))
    name = create_string_buffer(label, len(label))
    wanted = Attribute(CKA.LABEL, addressof(name), len(name))
    ok("C_FindObjectsInit", session.value, byref(wanted), 1)
    ok("C_FindObjects", session.value, byref(key), 1, byref(found))
    assert found.value == 1, label
    ok("C_FindObjectsFinal", session.value)

    asked = Attribute(CKA.ALLOWED_MECHANISMS, None, 0)
    rv = call("C_GetAttributeValue", session.value, key.value, byref(asked), 1)
    print(CKR(rv).name, asked.length)
    room = (c_ulong * 64)()
    asked = Attribute(CKA.ALLOWED_MECHANISMS, addressof(room), ctypes.sizeof(room))
    rv = call("C_GetAttributeValue", session.value, key.value, byref(asked), 1)
    print(CKR(rv).name, asked.length, *room[: asked.length // ctypes.sizeof(c_ulong)])


if __name__ == "__main__":
    main(sys.argv[1], *(each.encode() for each in sys.argv[2:]))
