"""The built library from outside: exports, hardening, function lists, interfaces, guards.

Nothing here initialises the module, so that it can be loaded into the test's own process.
"""

from __future__ import annotations

import ctypes
import re
import subprocess
from ctypes import POINTER, Structure, byref, c_char_p, c_ubyte, c_ulong, c_void_p, cast
from pathlib import Path

import pytest
from hem_pkcs11.calls import CALLS
from hem_pkcs11.constants import CKR

HEADER = (Path(__file__).parents[2] / "shim" / "src" / "functions.h").read_text()
NAMES = re.findall(r"^    (?:FORWARD|LOCAL)\((C_\w+)", HEADER, re.MULTILINE)


class Version(Structure):
    _fields_ = (("major", c_ubyte), ("minor", c_ubyte))


class Interface(Structure):
    _fields_ = (("name", c_char_p), ("functions", c_void_p), ("flags", c_ulong))


def function_list(address: int, count: int) -> tuple[tuple[int, int], list[int | None]]:
    """Version and pointers of a CK_FUNCTION_LIST at ``address``."""
    version = cast(address, POINTER(Version)).contents
    pointers = (c_void_p * count).from_address(address + ctypes.sizeof(c_void_p))
    return (version.major, version.minor), list(pointers)


@pytest.fixture(scope="module")
def p11(library: Path) -> ctypes.CDLL:
    return ctypes.CDLL(str(library))


def address_of(p11: ctypes.CDLL, name: str) -> int | None:
    return cast(getattr(p11, name), c_void_p).value


def test_only_the_standards_names_are_exported(library: Path) -> None:
    listed = subprocess.run(
        ["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True
    )
    assert sorted(line.split()[-1] for line in listed.stdout.splitlines()) == sorted(NAMES)


def test_the_library_is_hardened_and_stays_loaded(library: Path) -> None:
    said = subprocess.run(
        ["readelf", "-dW", "-l", library], capture_output=True, text=True, check=True
    ).stdout
    assert "NODELETE" in said
    assert "BIND_NOW" in said
    assert "GNU_RELRO" in said
    assert re.search(r"GNU_STACK.* RW ", said)
    symbols = subprocess.run(["nm", "-D", library], capture_output=True, text=True, check=True).stdout
    assert "__stack_chk_fail" in symbols


def test_there_are_68_92_and_104_functions(p11: ctypes.CDLL) -> None:
    assert len(NAMES) == len(set(NAMES)) == 104
    assert (NAMES[0], NAMES[3], NAMES[67], NAMES[68], NAMES[91], NAMES[92], NAMES[103]) == (
        "C_Initialize",
        "C_GetFunctionList",
        "C_WaitForSlotEvent",
        "C_GetInterfaceList",
        "C_MessageVerifyFinal",
        "C_EncapsulateKey",
        "C_UnwrapKeyAuthenticated",
    )


def test_the_function_list_is_2_40_and_in_order(p11: ctypes.CDLL) -> None:
    address = c_void_p()
    assert p11.C_GetFunctionList(byref(address)) == 0
    version, pointers = function_list(address.value or 0, 68)
    assert version == (2, 40)
    assert pointers == [address_of(p11, name) for name in NAMES[:68]]
    assert p11.C_GetFunctionList(None) == CKR.ARGUMENTS_BAD


def test_three_interfaces_newest_first(p11: ctypes.CDLL) -> None:
    count = c_ulong()
    assert p11.C_GetInterfaceList(None, byref(count)) == 0
    assert count.value == 3
    small, room = (Interface * 1)(), c_ulong(1)
    assert p11.C_GetInterfaceList(small, byref(room)) == CKR.BUFFER_TOO_SMALL
    offered = (Interface * 3)()
    assert p11.C_GetInterfaceList(offered, byref(count)) == 0
    for interface, (size, expected) in zip(
        offered, ((104, (3, 2)), (92, (3, 0)), (68, (2, 40))), strict=True
    ):
        version, pointers = function_list(interface.functions, size)
        assert interface.name == b"PKCS 11"
        assert version == expected
        assert pointers == [address_of(p11, name) for name in NAMES[:size]]


@pytest.mark.parametrize(
    ("name", "version", "flags", "got"),
    [
        (None, None, 0, (3, 2)),
        (b"PKCS 11", None, 0, (3, 2)),
        (b"PKCS 11", (3, 2), 0, (3, 2)),
        (b"PKCS 11", (3, 1), 0, (3, 0)),
        (b"PKCS 11", (3, 0), 0, (3, 0)),
        (b"PKCS 11", (2, 40), 0, (2, 40)),
        (None, (2, 40), 0, (2, 40)),
        (b"PKCS 11", (2, 20), 0, None),
        (b"PKCS 11", (3, 3), 0, None),
        (b"Vendor", None, 0, None),
        (None, None, 0x1, None),
    ],
)
def test_an_interface_is_found_by_name_version_and_flags(
    p11: ctypes.CDLL,
    name: bytes | None,
    version: tuple[int, int] | None,
    flags: int,
    got: tuple[int, int] | None,
) -> None:
    found = POINTER(Interface)()
    wanted = byref(Version(*version)) if version else None
    rv = p11.C_GetInterface(name, wanted, byref(found), c_ulong(flags))
    if got is None:
        assert rv == CKR.FUNCTION_FAILED
        assert not found
    else:
        assert rv == 0
        assert function_list(found.contents.functions, 1)[0] == got


@pytest.mark.parametrize(
    "name", [each for each in NAMES if each not in ("C_Initialize", "C_GetFunctionList")]
)
def test_no_function_crashes_on_nulls_before_initialising(p11: ctypes.CDLL, name: str) -> None:
    rv = getattr(p11, name)(*[None] * 12)
    local = {
        "C_GetFunctionStatus": CKR.FUNCTION_NOT_PARALLEL,
        "C_CancelFunction": CKR.FUNCTION_NOT_PARALLEL,
        "C_GetInterfaceList": CKR.ARGUMENTS_BAD,
        "C_GetInterface": CKR.ARGUMENTS_BAD,
    }
    assert rv == local.get(name, CKR.CRYPTOKI_NOT_INITIALIZED)


def test_every_function_served_is_one_of_the_lists() -> None:
    assert set(CALLS) <= set(NAMES)
