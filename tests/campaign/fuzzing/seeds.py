"""Inputs for the C harnesses to begin with, written by the form that calls.c and the harnesses read."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from hem_pkcs11.constants import CKM

__all__ = ["SEEDS"]

ROOT = Path(__file__).parents[3]
_MECHANISMS = list(CKM)
_NO_PARAMETER, _NULL = 224, 208
#: A buffer whose bytes are made, not taken from the input; an input of 16 bytes; an output of 64.
_MADE, _INPUT, _OUTPUT = b"\x01", b"\x00\x10\x01", b"\x00\x40\x01"
_AES, _GENERIC = b"\x00", b"\x01"


@lru_cache
def _functions() -> list[str]:
    text = (ROOT / "shim" / "src" / "functions.h").read_text(encoding="utf-8")
    return re.findall(r"FORWARD\((C_\w+)", text)


def _call(name: str, *arguments: bytes) -> bytes:
    """A call in the first session, as the whole module's harness reads it."""
    return bytes([_functions().index(name)]) + b"".join(arguments)


def _mechanism(mechanism: CKM, parameter: bytes = bytes([_NO_PARAMETER])) -> bytes:
    return bytes([_MECHANISMS.index(mechanism)]) + parameter


_S = b"\x00"  # the first session
_RAW16 = b"\x00" + _MADE
_GCM = b"\x00" + b"\x00\x01" + b"\x00\x01" * 2


def _sequences() -> list[bytes]:
    out, data = _OUTPUT, _INPUT
    hmac, cbc, gcm = (
        _mechanism(CKM.SHA256_HMAC),
        _mechanism(CKM.AES_CBC, _RAW16),
        _mechanism(CKM.AES_GCM, _GCM),
    )
    message = b"\x00" + b"\x00\x01" + _MADE + b"\x00" * 4
    rows = b"\x02" + b"\x00\x50\x04" + b"\x00\x50\x1f"
    parts = [
        [_call("C_SignInit", _S, hmac, _GENERIC), _call("C_Sign", _S, data, out)],
        [
            _call("C_SignInit", _S, hmac, _GENERIC),
            _call("C_SignUpdate", _S, data),
            _call("C_SignFinal", _S, out),
        ],
        [_call("C_EncryptInit", _S, cbc, _AES), _call("C_Encrypt", _S, data, out)],
        [
            _call("C_EncryptInit", _S, gcm, _AES),
            _call("C_EncryptUpdate", _S, data, out),
            _call("C_EncryptFinal", _S, out),
        ],
        [_call("C_DecryptInit", _S, gcm, _AES), _call("C_Decrypt", _S, data, out)],
        [
            _call("C_DigestInit", _S, _mechanism(CKM.SHA256)),
            _call("C_DigestUpdate", _S, data),
            _call("C_DigestFinal", _S, out),
        ],
        [
            _call("C_MessageEncryptInit", _S, gcm, _AES),
            _call("C_EncryptMessage", _S, message, data, data, out),
        ],
        [
            _call("C_SignInit", _S, _mechanism(CKM.ECDSA_SHA256), bytes([place]))
            + _call("C_Sign", _S, data, out)
            for place in range(2, 7)
        ],
        [
            _call("C_SignInit", _S, _mechanism(CKM.EDDSA, b"\x00" + b"\x00\x01\x00"), bytes([place]))
            + _call("C_Sign", _S, data, out)
            for place in range(2, 7)
        ],
        [
            _call(
                "C_DeriveKey",
                _S,
                _mechanism(CKM.ECDH1_DERIVE, b"\x00\x01" + b"\x00\x01" * 2),
                b"\x03",
                rows,
                b"\x00",
            )
        ],
        [
            _call("C_FindObjectsInit", _S, b"\x00"),
            _call("C_FindObjects", _S, b"\x0f"),
            _call("C_FindObjectsFinal", _S),
        ],
        [_call("C_GetAttributeValue", _S, b"\x02", b"\x07" + b"\x01\x40\x01" * 7)],
        [
            _call("C_CreateObject", _S, rows, b"\x00"),
            _call("C_GetSlotList", b"\x00\x0f\x00"),
            _call("C_GetTokenInfo", b"\xa0\x00"),
        ],
        [_call("C_VerifyInit", _S, hmac, _GENERIC), _call("C_Verify", _S, data, data)],
        [_call("C_GetInfo", b"\x00"), _call("C_Login", _S, b"\xa1", b"\x00"), _call("C_Logout", _S)],
        [_call("C_OpenSession", b"\xa0", b"\xa5", b"\x00\x00", b"\x00"), _call("C_CloseSession", _S)],
        [
            _call("C_GenerateRandom", _S, data),
            _call("C_SeedRandom", _S, data),
            _call("C_WaitForSlotEvent", b"\xa1\x00\x00"),
        ],
    ]
    return [b"".join(each) for each in parts]


def _module() -> list[bytes]:
    sequences = _sequences()
    return [b"\x00" + each for each in sequences] + [
        b"\xf0" + each[:60].ljust(60, b"\x00") * 3 for each in sequences[:3]
    ]


def _entry() -> list[bytes]:
    """The entry layer's harness has two bytes that choose the machine, and ``how`` after each function."""
    rows = []
    for place in range(len(_functions())):
        rows.append(b"\x01\x00" + bytes([place, 1]) + b"\x00" * 12 + b"\x00\x07")
        rows.append(b"\x01\x00" + bytes([place, 0xFC]) + b"\xff" * 12)
    rows += [b"\x01\x07" + bytes([241, 0, 1, place, 242, 0, 250, 1, 242, 0, 1, 1]) for place in range(10)]
    rows += [
        b"\x01\x00" + bytes([240, 0, count, pick, major, minor]) + b"\x00" * 3
        for pick in (0x7F, 0xF7, 0x76, 0x57)
        for count in (1, 3)
        for major, minor in ((2, 40), (3, 1), (3, 2))
    ]
    rows += [
        bytes([0xC1 | bit, kind]) + b"\x02\xfc\x00" * 3 for bit in (0, 2, 4, 8, 16, 32) for kind in range(8)
    ]
    return rows


def _uri() -> list[bytes]:
    return [
        b"pkcs11:token=HEM;object=a%20b;id=%01%02;type=private?pin-value=12345678",
        b"pkcs11:",
        b"label_x",
        b"id_0a",
        b"slot_1-id_0a",
        b"slot_0-label_key",
        b"1:0a0b",
        b"00112233445566778899aabbccddeeff",
        b"pkcs11:slot-id=1&type=cert",
        b"pkcs11:manufacturer=a;model=b;serial=c;library-version=1.0?module-path=/x&pin-source=file:/y&vendor=z",
    ]


def _places() -> list[bytes]:
    config, path = b"home = /usr/bin\nversion = 3\n", b"home = /opt/bin\n/a\n/b/c\n"
    rows = []
    for library in range(6):
        for files in (0xFF & ~0x80, 0x66, 0x36, 0x15):
            for process in (0xFF, 0x6E, 0x4F, 0x2F):
                rows.append(
                    bytes([library, 0, 0, files, process, 0, 0, len(config) // 4 + 1])
                    + config.ljust(28)
                    + bytes([0, 0, 1, 0])
                )
    for file in (path, b"x\n", b"/a\n" * 9, b"a = b\n home\t=\t/x \n"):
        text = file + b"\n" * (-len(file) % 4)
        rows.append(bytes([0, 0, 0, 0x7F, 0xFF, 0, len(text) // 4]) + text + bytes([0, 0, 1, 0, 0]))
    return [
        *rows,
        bytes([0, 0, 0, 0x7F, 0xFF, 31]),
        bytes([0, 0, 0, 0x7F, 0xFF, 224]),
        bytes([0, 3, 0, 0x7F, 0xFF, 0]),
    ]


def _engine() -> list[bytes]:
    names = [
        b"first",
        b"pkcs11:token=HEM;id=%01?pin-value=12345678",
        b"pkcs11:slot-id=0;type=private",
        b"",
        b"pkcs11:library-version=1.0;manufacturer=a?pin-source=file:/dev/null",
    ]
    rows = []
    for what in range(6):
        for name in names:
            padded = (
                name + b" " * (len(name) % 2)
                if what in (3, 4)
                else name.ljust(len(name) + len(name) % 2, b"x")
            )
            rows += [bytes([what, len(padded) // 2]) + padded + bytes([fill]) * 220 for fill in (3, 5, 67)]
    text = b"MC4CAQAwBQYDK2VwBCIEIAcAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    key = b"-----BEGIN PRIVATE KEY-----\n" + text + b"\n-----END PRIVATE KEY-----\n"
    padded = key + b"\n" * (len(key) % 2)
    return [*rows, bytes([4, len(padded) // 2]) + padded + b"\x03" * 100]


SEEDS = {"entry": _entry, "places": _places, "uri": _uri, "engine": _engine, "module": _module}
