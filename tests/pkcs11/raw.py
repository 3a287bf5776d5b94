"""The built library by raw calls: run as a program of its own, ``raw.py LIBRARY PIN CASE``.

Each case prints what it saw, a word or number for each call; the tests know what is right.
"""

from __future__ import annotations

import ctypes
import gc
import hmac
import mmap
import os
import signal
import sys
import time
from ctypes import Structure, addressof, byref, c_ulong, c_void_p, create_string_buffer, sizeof
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.cmac import CMAC
from hem_pkcs11.constants import CKA, CKK, CKM, CKO, CKR, CKU

KEY = bytes(range(32))
ZERO = bytes(32)
DATA = b"hello"
RW = 6


class Attribute(Structure):
    _fields_ = (("type", c_ulong), ("value", c_void_p), ("length", c_ulong))


class Mechanism(Structure):
    _fields_ = (("mechanism", c_ulong), ("parameter", c_void_p), ("length", c_ulong))


class MessageParameters(Structure):
    _fields_ = (
        ("iv", c_void_p), ("iv_length", c_ulong), ("fixed", c_ulong), ("generator", c_ulong),
        ("tag", c_void_p), ("tag_bits", c_ulong),
    )  # fmt: skip


class GcmParameters(Structure):
    _fields_ = (
        ("iv", c_void_p), ("iv_length", c_ulong), ("iv_bits", c_ulong), ("aad", c_void_p),
        ("aad_length", c_ulong), ("tag_bits", c_ulong),
    )  # fmt: skip


class Library:
    def __init__(self, path: str, pin: bytes) -> None:
        self.functions = ctypes.CDLL(path)
        self.pin = pin
        self.out = create_string_buffer(4096)
        self.length = c_ulong()
        self.kept: list[object] = []

    def call(self, name: str, *arguments: object) -> int:
        words = [c_ulong(each) if isinstance(each, int) else each for each in arguments]
        return int(getattr(self.functions, name)(*words))

    def ok(self, name: str, *arguments: object) -> None:
        rv = self.call(name, *arguments)
        assert rv == CKR.OK, f"{name}: {rv:#x}"

    def start(self, arguments: object = None) -> None:
        self.ok("C_Initialize", arguments)
        self.session = self.open()
        self.login()

    def login(self) -> None:
        self.ok("C_Login", self.session, int(CKU.USER), self.pin, len(self.pin))

    def open(self) -> int:
        session = c_ulong()
        self.ok("C_OpenSession", 0, RW, None, None, byref(session))
        return session.value

    def key(self, key_type: int, session: int = 0) -> int:
        yes = (CKA.SIGN, CKA.VERIFY, CKA.ENCRYPT, CKA.DECRYPT, CKA.PRIVATE)
        rows = [
            (CKA.CLASS, int(CKO.SECRET_KEY).to_bytes(8, "little")),
            (CKA.KEY_TYPE, key_type.to_bytes(8, "little")),
            (CKA.VALUE, KEY),
            *((each, b"\1") for each in yes if key_type == CKK.AES or each not in yes[2:4]),
        ]
        buffers = [create_string_buffer(value, len(value)) for _, value in rows]
        table = (Attribute * len(rows))(
            *(Attribute(kind, addressof(at), len(at)) for (kind, _), at in zip(rows, buffers, strict=True))
        )
        made = c_ulong()
        self.ok("C_CreateObject", session or self.session, table, len(rows), byref(made))
        return made.value

    def begin(self, name: str, mechanism: int, key: int) -> None:
        self.ok(name, self.session, byref(Mechanism(mechanism, None, 0)), key)

    def begin_gcm(self, key: int) -> None:
        iv = create_string_buffer(bytes(12), 12)
        given = GcmParameters(addressof(iv), 12, 96, None, 0, 128)
        mechanism = Mechanism(CKM.AES_GCM, addressof(given), sizeof(given))
        self.ok("C_EncryptInit", self.session, byref(mechanism), key)

    def output(
        self, name: str, *arguments: object, room: int = 4096, flags: int | None = None
    ) -> tuple[int, bytes]:
        self.length.value = room
        rest = () if flags is None else (flags,)
        rv = self.call(name, *arguments, self.out, byref(self.length), *rest)
        return rv, self.out.raw[: self.length.value] if rv == CKR.OK else b""

    def sign(self) -> tuple[int, bytes]:
        return self.output("C_Sign", self.session, DATA, len(DATA))


def told(rv: int, made: bytes, true: bytes) -> str:
    if rv != CKR.OK:
        return CKR(rv).name
    return "true" if made == true else "WRONG"


def true_hmac(key: bytes = KEY) -> bytes:
    return hmac.digest(key, DATA, "sha256")


def cmac() -> bytes:
    made = CMAC(algorithms.AES(KEY))
    made.update(DATA)
    return made.finalize()


# --- keys that end -------------------------------------------------------------------------------


def ends(p11: Library) -> None:
    """An operation over each end of its key."""
    p11.start()
    key = p11.key(CKK.GENERIC_SECRET)
    p11.begin("C_SignInit", CKM.SHA256_HMAC, key)
    p11.ok("C_DestroyObject", p11.session, key)
    print("hmac", told(*p11.sign(), true_hmac()))

    key = p11.key(CKK.GENERIC_SECRET)
    p11.begin("C_VerifyInit", CKM.SHA256_HMAC, key)
    p11.ok("C_DestroyObject", p11.session, key)
    print("forged", CKR(p11.call("C_Verify", p11.session, DATA, len(DATA), true_hmac(ZERO), 32)).name)

    key = p11.key(CKK.AES)
    p11.begin("C_MessageEncryptInit", CKM.AES_GCM, key)
    p11.ok("C_DestroyObject", p11.session, key)
    iv, tag = create_string_buffer(b"\1" * 12, 12), create_string_buffer(16)
    given = MessageParameters(addressof(iv), 12, 0, 0, addressof(tag), 128)
    rv, made = p11.output(
        "C_EncryptMessage", p11.session, byref(given), sizeof(given), None, 0, DATA, len(DATA)
    )
    print("message", told(rv, made + tag.raw, AESGCM(KEY).encrypt(iv.raw, DATA, b"")))

    owner = p11.open()
    key = p11.key(CKK.GENERIC_SECRET, owner)
    p11.begin("C_SignInit", CKM.SHA256_HMAC, key)
    p11.ok("C_CloseSession", owner)
    print("owner", told(*p11.sign(), true_hmac()))

    key = p11.key(CKK.GENERIC_SECRET)
    p11.begin("C_VerifyInit", CKM.SHA256_HMAC, key)
    p11.ok("C_Logout", p11.session)
    print("logout", CKR(p11.call("C_Verify", p11.session, DATA, len(DATA), true_hmac(ZERO), 32)).name)

    p11.login()
    key = p11.key(CKK.AES)
    p11.begin("C_SignInit", CKM.AES_CMAC, key)
    p11.ok("C_DestroyObject", p11.session, key)
    print("cmac", told(*p11.sign(), cmac()))


# --- messages ------------------------------------------------------------------------------------


def _fixed(data: bytes) -> mmap.mmap:
    """Memory that nobody may write."""
    page = mmap.mmap(-1, mmap.PAGESIZE)
    page[: len(data)] = data
    at = addressof(ctypes.c_char.from_buffer(page))
    assert ctypes.CDLL(None).mprotect(c_void_p(at), c_ulong(mmap.PAGESIZE), mmap.PROT_READ) == 0
    return page


def messages(p11: Library) -> None:
    """Parameters of a message: another one at its end, none at its end, and what may not be written."""
    p11.start()
    key = p11.key(CKK.AES)
    for what in ("Encrypt", "Decrypt"):
        for name, iv_size, tag_bits, none in (("iv", 8, 128, 0), ("tag", 12, 32, 0), ("none", 12, 128, 1)):
            p11.begin(f"C_Message{what}Init", CKM.AES_GCM, key)
            room = create_string_buffer(b"\1" * 16, 16), create_string_buffer(b"\2" * 16, 16)
            given = MessageParameters(addressof(room[0]), 12, 0, 0, addressof(room[1]), 128)
            p11.ok(f"C_{what}MessageBegin", p11.session, byref(given), sizeof(given), None, 0)
            last = [create_string_buffer(b"\7" * 64, 64) for _ in range(2)]
            other = MessageParameters(addressof(last[0]), iv_size, 0, 0, addressof(last[1]), tag_bits)
            rv, _ = p11.output(
                f"C_{what}MessageNext", p11.session, byref(other), 0 if none else sizeof(other),
                DATA, len(DATA), room=64, flags=1,
            )  # fmt: skip
            whole = all(each.raw == b"\7" * 64 for each in last)
            print(what, name, CKR(rv).name, "whole" if whole else "WRITTEN")
            p11.ok(f"C_Message{what}Final", p11.session)

    encrypted = AESGCM(KEY).encrypt(b"\1" * 12, DATA, b"")
    pages = _fixed(b"\1" * 12), _fixed(encrypted[-16:])
    iv, tag = (addressof(ctypes.c_char.from_buffer(each)) for each in pages)
    p11.begin("C_MessageDecryptInit", CKM.AES_GCM, key)
    given = MessageParameters(iv, 12, 0, 0, tag, 128)
    rv, made = p11.output(
        "C_DecryptMessage", p11.session, byref(given), sizeof(given), None, 0, encrypted, len(DATA)
    )
    print("constant", told(rv, made, DATA))
    free = create_string_buffer(16)
    p11.begin("C_MessageEncryptInit", CKM.AES_GCM, key)
    given = MessageParameters(iv, 12, 0, 0, addressof(free), 128)
    rv, made = p11.output(
        "C_EncryptMessage", p11.session, byref(given), sizeof(given), None, 0, DATA, len(DATA)
    )
    print("constant", told(rv, made + free.raw, encrypted))


# --- arguments -----------------------------------------------------------------------------------


def nulls(p11: Library) -> None:
    """A missing pointer: what it answers, and what the operation's next call answers."""
    p11.start()
    aes, generic = p11.key(CKK.AES), p11.key(CKK.GENERIC_SECRET)
    session = p11.session
    for name, begin in {
        "C_Sign": lambda: p11.begin("C_SignInit", CKM.SHA256_HMAC, generic),
        "C_SignUpdate": lambda: p11.begin("C_SignInit", CKM.SHA256_HMAC, generic),
        "C_Verify": lambda: p11.begin("C_VerifyInit", CKM.SHA256_HMAC, generic),
        "C_VerifyUpdate": lambda: p11.begin("C_VerifyInit", CKM.SHA256_HMAC, generic),
        "C_Encrypt": lambda: p11.begin_gcm(aes),
        "C_EncryptUpdate": lambda: p11.begin_gcm(aes),
        "C_Digest": lambda: p11.ok("C_DigestInit", session, byref(Mechanism(CKM.SHA256, None, 0))),
        "C_DigestUpdate": lambda: p11.ok("C_DigestInit", session, byref(Mechanism(CKM.SHA256, None, 0))),
    }.items():
        begin()
        first = p11.call(name, session, None, 5, None, None)
        p11.length.value = 4096
        last = 32 if name == "C_Verify" else byref(p11.length)
        print(name, CKR(first).name, CKR(p11.call(name, session, DATA, len(DATA), p11.out, last)).name)
    print("no-session", CKR(p11.call("C_Sign", session + 99, None, 5, None, None)).name)
    p11.ok("C_Finalize", None)
    print("finalized", CKR(p11.call("C_Sign", session, None, 5, None, None)).name)
    print("no-info", CKR(p11.call("C_GetInfo", None)).name)


def lengths(p11: Library) -> None:
    """Lengths that no buffer here has: refused without reading."""
    p11.start()
    aes = p11.key(CKK.AES)
    for size in (2**31, 2**36, 2**46, 2**48, 2**63):
        p11.begin_gcm(aes)
        rv, _ = p11.output("C_Encrypt", p11.session, create_string_buffer(64), size, room=128)
        p11.call("C_EncryptInit", p11.session, None, 0)
        print(f"{size:#x}", CKR(rv).name)


# --- the cached login ----------------------------------------------------------------------------


def module() -> object:
    from hem_pkcs11.module import Module

    return next(each for each in gc.get_objects() if isinstance(each, Module))


def secrets() -> list[bytearray]:
    """The buffers of everything secret that is held."""
    from hem_provider.secret import Lease

    return [
        each._secret.buffer
        for each in gc.get_objects()
        if isinstance(each, Lease) and each._secret.buffer is not None
    ]


def blank(buffers: list[bytearray]) -> str:
    return "overwritten" if all(bytes(each) == bytes(len(each)) for each in buffers) else "READABLE"


def idle(p11: Library) -> None:
    """No call comes after C_Logout."""
    p11.start()
    held = secrets()
    print(len(held), blank(held))
    p11.ok("C_Logout", p11.session)
    print("kept", blank(held))
    signal.alarm(60)
    while blank(held) == "READABLE":
        time.sleep(0.1)
    print("later", blank(held))


def threadless(p11: Library) -> None:
    """The host forbids threads."""
    arguments = (c_ulong * 6)(0, 0, 0, 0, 1, 0)  # CKF_LIBRARY_CANT_CREATE_OS_THREADS
    p11.start(arguments)
    held = secrets()
    print(len(held), blank(held))
    p11.ok("C_Logout", p11.session)
    print("threads", sum(1 for _ in Path("/proc/self/task").iterdir()))
    time.sleep(1.5)
    p11.call("C_GetInfo", None)
    print("later", blank(held))


def fork(p11: Library) -> None:
    """A child has no secret of its parent, which goes on."""
    p11.start()
    key = p11.key(CKK.GENERIC_SECRET)
    p11.begin("C_SignInit", CKM.SHA256_HMAC, key)
    held = secrets()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        print("child", len(held), blank(held), CKR(p11.sign()[0]).name, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    print("parent", blank(held), told(*p11.sign(), true_hmac()))


CASES = {each.__name__: each for each in (ends, messages, nulls, lengths, idle, threadless, fork)}

if __name__ == "__main__":
    CASES[sys.argv[3]](Library(sys.argv[1], sys.argv[2].encode()))
