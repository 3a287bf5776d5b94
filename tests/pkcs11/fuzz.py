"""Calls the built library with random, mostly wrong arguments: run as a program of its own.

``fuzz.py LIBRARY SEED CALLS PIN``: prints "done N" when N calls were made. Every pointer is NULL or
points to memory of ours that is large enough for what the lengths say; lengths, handles, numbers and
structure contents are arbitrary. Checks as it goes: no return value outside the standard's, no
success of an operation that was never begun, no write beyond a buffer.
"""

from __future__ import annotations

import ctypes
import random
import sys
from ctypes import POINTER, Structure, byref, c_char_p, c_ulong, c_void_p, cast

from hem_pkcs11.calls import CALLS, ArgumentKind
from hem_pkcs11.constants import CKA, CKK, CKM, CKO, CKR

GUARD = b"\xa5" * 64
NOTABLE = (0, 1, 2, 7, 8, 15, 16, 17, 31, 32, 63, 64, 65, 255, 2047, 2048, 2049)
HUGE = (2**31, 2**32, 2**47 + 1, 2**63 - 1, 2**63, 2**64 - 1)
#: Never called: they would end the run, or wait.
SKIPPED = {"C_Finalize", "C_WaitForSlotEvent", "C_InitToken", "C_SetPIN", "C_InitPIN"}


class Attribute(Structure):
    _fields_ = (("type", c_ulong), ("value", c_void_p), ("length", c_ulong))


class Mechanism(Structure):
    _fields_ = (("mechanism", c_ulong), ("parameter", c_void_p), ("length", c_ulong))


class Buffer:
    """``size`` usable bytes with a guard behind them."""

    def __init__(self, size: int, fill: bytes = b"") -> None:
        self.size = size
        self.memory = ctypes.create_string_buffer(size + len(GUARD))
        ctypes.memmove(self.memory, fill[:size], min(size, len(fill)))
        ctypes.memmove(self.address + size, GUARD, len(GUARD))

    @property
    def address(self) -> int:
        return ctypes.addressof(self.memory)

    def intact(self) -> bool:
        return self.memory.raw[self.size :] == GUARD


IV = bytes(16)
#: Mechanisms with a parameter and a kind of key that go together, by what begins with them.
PLAUSIBLE = {
    "Sign": (
        (CKM.ECDSA_SHA256, b"", "private"),
        (CKM.AES_CMAC, b"", "aes"),
        (CKM.SHA256_HMAC, b"", "generic"),
    ),
    "Verify": (
        (CKM.ECDSA_SHA384, b"", "public"),
        (CKM.AES_CMAC, b"", "aes"),
        (CKM.SHA512_HMAC, b"", "generic"),
    ),
    "Encrypt": ((CKM.AES_ECB, b"", "aes"), (CKM.AES_CBC_PAD, IV, "aes"), (CKM.AES_CBC, IV, "aes")),
    "Decrypt": ((CKM.AES_ECB, b"", "aes"), (CKM.AES_CBC_PAD, IV, "aes"), (CKM.AES_CBC, IV, "aes")),
    "Digest": ((CKM.SHA256, b"", "aes"), (CKM.SHA3_512, b"", "aes")),
    "MessageEncrypt": ((CKM.AES_GCM, b"", "aes"),),
    "MessageDecrypt": ((CKM.AES_GCM, b"", "aes"),),
    "MessageSign": ((CKM.ECDSA_SHA512, b"", "private"),),
    "MessageVerify": ((CKM.ECDSA_SHA512, b"", "public"),),
    "VerifySignature": ((CKM.ECDSA_SHA256, b"", "public"),),
}


class Fuzzer:
    def __init__(self, library: str, seed: int, pin: bytes) -> None:
        self.library = ctypes.CDLL(library)
        self.random = random.Random(seed)  # noqa: S311 - to be repeatable
        self.pin = pin
        self.sessions: list[int] = []
        self.objects: list[int] = [1, 2, 3]
        self.kept: list[Buffer] = []
        self.keys: dict[str, int] = {}
        self.begun = ""  # what the last init that succeeded was of

    # --- values ---------------------------------------------------------------------------

    def number(self) -> int:
        pick = self.random.random()
        if pick < 0.6:
            return self.random.choice(NOTABLE)
        return self.random.choice(HUGE) if pick < 0.8 else self.random.getrandbits(64)

    def buffer(self, size: int | None = None) -> Buffer:
        made = Buffer(self.random.choice(NOTABLE) if size is None else size, self.random.randbytes(64))
        self.kept.append(made)
        return made

    def address(self) -> int:
        return self.buffer().address if self.random.random() < 0.8 else 0

    def session(self) -> int:
        return (
            self.random.choice(self.sessions)
            if self.sessions and self.random.random() < 0.9
            else self.number()
        )

    def input(self) -> list[int]:
        """A pointer and a length that fit, or NULL with any length, or a length nobody has."""
        pick = self.random.random()
        if pick < 0.8:
            made = self.buffer()
            return [made.address, self.random.randint(0, made.size)]
        if pick < 0.9:
            return [0, self.number()]
        return [self.buffer().address, self.random.choice(HUGE[2:])]

    def mechanism(self) -> int:
        if self.random.random() < 0.05:
            return 0
        known = self.random.random() < 0.9
        kind = int(self.random.choice(list(CKM))) if known else self.number()
        size = self.random.choice((0, 0, 8, 12, 16, 24, 32, 40, 48, 3))
        # Structures hold pointers: zeroes and lengths of zero are what random memory may safely be.
        content = bytes(size) if size in (24, 40, 48) else self.random.randbytes(size)
        parameter = self.buffer(size)
        ctypes.memmove(parameter.address, content, size)
        place = parameter.address if size and self.random.random() < 0.95 else 0
        return self.record(Mechanism(kind, place, size))

    def record(self, given: Structure) -> int:
        """The address of a copy that lives as long as the call."""
        made = self.buffer(ctypes.sizeof(given))
        ctypes.memmove(made.address, byref(given), ctypes.sizeof(given))
        return made.address

    def plausible(self, name: str) -> list[int] | None:
        """The words of an init that should succeed, for most inits."""
        choices = PLAUSIBLE.get(name.removeprefix("C_").removesuffix("Init"))
        if choices is None or not name.endswith("Init") or not self.sessions or self.random.random() < 0.3:
            return None
        mechanism, content, key = self.random.choice(choices)
        parameter = self.buffer(len(content))
        ctypes.memmove(parameter.address, content, len(content))
        given = self.record(Mechanism(int(mechanism), parameter.address if content else 0, len(content)))
        words = [self.sessions[0], given]
        if name != "C_DigestInit":
            words.append(self.keys[key])
        return [*words, *self.input()] if name == "C_VerifySignatureInit" else words

    def template(self) -> list[int]:
        count = self.random.choice((0, 1, 2, 5, 8))
        rows = (Attribute * max(count, 1))()
        for row in rows:
            row.type = int(self.random.choice(list(CKA))) if self.random.random() < 0.9 else self.number()
            value = self.random.choice(
                (
                    b"\x00",
                    b"\x01",
                    b"label",
                    bytes(8),
                    *(n.to_bytes(8, sys.byteorder) for n in (3, 16, CKK.AES, CKO.DATA)),
                )
            )
            place = self.buffer(max(len(value), 64))
            ctypes.memmove(place.address, value, len(value))
            row.value = place.address if self.random.random() < 0.9 else None
            row.length = (
                len(value) if self.random.random() < 0.9 else self.random.choice((0, 1, 64, *HUGE[2:]))
            )
        made = self.buffer(ctypes.sizeof(rows))
        ctypes.memmove(made.address, byref(rows), ctypes.sizeof(rows))
        if self.random.random() < 0.03:
            return [0, self.number()]
        return [made.address, count if self.random.random() < 0.95 else self.random.choice(HUGE)]

    def query(self) -> list[int]:
        """Here the length is that of the buffer: it must not claim more than there is."""
        address, count = self.template()
        if address and count < 2**20:
            for row in (Attribute * max(count, 1)).from_address(address):
                row.length = self.random.randint(0, 64)
        return [address, count]

    def output(self) -> list[int]:
        made, length = self.buffer(), self.buffer(8)
        ctypes.memmove(length.address, made.size.to_bytes(8, sys.byteorder), 8)
        pick = self.random.random()
        return [made.address if pick < 0.8 else 0, length.address if pick < 0.95 else 0]

    def words(self, kind: ArgumentKind) -> list[int]:
        match kind:
            case ArgumentKind.SESSION:
                return [self.session()]
            case ArgumentKind.NUMBER:
                return [self.random.choice(self.objects) if self.random.random() < 0.6 else self.number()]
            case ArgumentKind.FLAG:
                return [self.random.getrandbits(8)]
            case ArgumentKind.POINTER:
                return [0 if self.random.random() < 0.9 else 1]
            case ArgumentKind.BYTES:
                return self.input()
            case ArgumentKind.SECRET:
                if self.random.random() < 0.5:
                    made = self.buffer(len(self.pin))
                    ctypes.memmove(made.address, self.pin, len(self.pin))
                    return [made.address, len(self.pin)]
                return self.input()
            case ArgumentKind.MECHANISM:
                return [self.mechanism()]
            case ArgumentKind.TEMPLATE:
                return self.template()
            case ArgumentKind.QUERY:
                return self.query()
            case ArgumentKind.OUTPUT | ArgumentKind.LAST_OUTPUT:
                return self.output()
            case ArgumentKind.NUMBERS:
                made, count = self.buffer(8 * 16), self.buffer(8)
                ctypes.memmove(count.address, self.random.choice((0, 1, 16)).to_bytes(8, sys.byteorder), 8)
                return [made.address if self.random.random() < 0.7 else 0, count.address]
            case ArgumentKind.FOUND:
                made, count = self.buffer(8 * 16), self.buffer(8)
                return [made.address, self.random.randint(0, 16), count.address]
            case ArgumentKind.FILL:
                made = self.buffer()
                return [made.address, made.size]
            case ArgumentKind.MESSAGE | ArgumentKind.NO_MESSAGE:
                return self.random.choice(([0, 0], [self.buffer(48).address, 47], [0, self.number()]))
            case ArgumentKind.RESULT:
                return [self.buffer(8).address if self.random.random() < 0.95 else 0]
            case ArgumentKind.INITIALIZE:
                return [0]
            case _:
                return [self.buffer(256).address if self.random.random() < 0.95 else 0]

    # --- the run ----------------------------------------------------------------------------

    def call(self, name: str) -> None:
        self.kept = []
        kinds = CALLS[name].kinds
        words = self.plausible(name) or [word for kind in kinds for word in self.words(kind)]
        rv = getattr(self.library, name)(*(c_ulong(word) for word in words)) & (2**64 - 1)
        if rv not in set(CKR):
            raise SystemExit(f"{name}: return value {rv:#x} is none of the standard's")
        if rv == CKR.GENERAL_ERROR:
            raise SystemExit(f"{name}: CKR_GENERAL_ERROR, which only a mistake of ours gives here")
        if not all(each.intact() for each in self.kept):
            raise SystemExit(f"{name}: wrote beyond a buffer")
        if rv == CKR.OK and name.endswith("Init"):
            self.begun = name.removeprefix("C_").removesuffix("Init").removeprefix("Message")
        if rv == CKR.OK and ArgumentKind.RESULT in kinds and words[-1]:
            made = cast(c_void_p(words[-1]), POINTER(c_ulong)).contents.value
            (self.sessions if name == "C_OpenSession" else self.objects).append(made)
            del self.sessions[:-6], self.objects[:-20]

    def template_of(self, *rows: tuple[int, bytes]) -> tuple[int, int]:
        given = (Attribute * len(rows))()
        for row, (kind, value) in zip(given, rows, strict=True):
            place = self.buffer(len(value))
            ctypes.memmove(place.address, value, len(value))
            row.type, row.value, row.length = kind, place.address, len(value)
        made = self.buffer(ctypes.sizeof(given))
        ctypes.memmove(made.address, byref(given), ctypes.sizeof(given))
        return made.address, len(rows)

    def check(self, rv: int) -> None:
        if rv:
            raise SystemExit(f"preparing failed: {rv:#x}")

    def open(self) -> None:
        """Sessions that are logged in and keys of each kind, so that calls get past the first checks."""
        library = self.library
        library.C_CloseAllSessions(c_ulong(0))
        self.sessions = []
        for flags in (6, 6, 4):
            handle = c_ulong()
            self.check(library.C_OpenSession(c_ulong(0), c_ulong(flags), None, None, byref(handle)))
            self.sessions.append(handle.value)
        session = c_ulong(self.sessions[0])
        self.check(library.C_Login(session, c_ulong(1), c_char_p(self.pin), c_ulong(len(self.pin))))

        def ulong(value: int) -> bytes:
            return value.to_bytes(8, sys.byteorder)

        made = c_ulong()
        for name, key_type in (("aes", CKK.AES), ("generic", CKK.GENERIC_SECRET)):
            address, count = self.template_of(
                (CKA.CLASS, ulong(CKO.SECRET_KEY)), (CKA.KEY_TYPE, ulong(key_type)), (CKA.VALUE, bytes(32))
            )
            self.check(library.C_CreateObject(session, c_void_p(address), c_ulong(count), byref(made)))
            self.keys[name] = made.value
        for name, object_class in (("private", CKO.PRIVATE_KEY), ("public", CKO.PUBLIC_KEY)):
            address, count = self.template_of((CKA.CLASS, ulong(object_class)), (CKA.KEY_TYPE, ulong(CKK.EC)))
            found = c_ulong()
            self.check(library.C_FindObjectsInit(session, c_void_p(address), c_ulong(count)))
            self.check(library.C_FindObjects(session, byref(made), c_ulong(1), byref(found)))
            self.check(library.C_FindObjectsFinal(session))
            self.keys[name] = made.value
        self.objects = list(self.keys.values())

    def run(self, calls: int) -> None:
        names = [name for name in CALLS if name not in SKIPPED]
        ending = {"C_CloseAllSessions", "C_Logout", "C_CloseSession", "C_DestroyObject", "C_SessionCancel"}
        self.library.C_Initialize(None)
        for index in range(calls):
            if index % 100 == 0:
                self.open()
            related = [each for each in names if self.begun and self.begun in each]
            name = self.random.choice(related if related and self.random.random() < 0.6 else names)
            if name not in ending or self.random.random() < 0.05:
                self.call(name)
        print("done", calls)


def main(library: str, seed: str, calls: str, pin: str) -> None:
    Fuzzer(library, int(seed), pin.encode()).run(int(calls))


if __name__ == "__main__":
    main(*sys.argv[1:])
