"""Which Python the PKCS#11 module runs in programs that have none: what its C layer says of its places.

``shim/src/places.c`` decides; here it is asked, by the structure of ``places.h``. In a process that is Python
itself, as this one is, the module needs no other, so that loading it here would not show what is missing.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

from hem_provider.records import frozen

__all__ = ["OwnPython", "own_python"]

_HALF = "libhem_python.so"
_PATH = ctypes.c_char * 4096
_PROBLEM = ctypes.c_char * 1024


class _Places(ctypes.Structure):
    _fields_ = (
        ("packages", _PATH * 8),
        ("package_count", ctypes.c_size_t),
        ("prefix", _PATH),
        ("stdlib", _PATH),
        ("dynload", _PATH),
        ("libpython", _PATH),
        ("packages_problem", _PROBLEM),
        ("python_problem", _PROBLEM),
    )


class _Table(ctypes.Structure):
    _fields_ = (
        ("others", ctypes.c_void_p * 4),
        ("places", ctypes.CFUNCTYPE(ctypes.POINTER(_Places))),
    )


@frozen
class OwnPython:
    """``library``: the libpython that it loads; empty where there is none, and ``problem`` says why, in one
    line with what to do."""

    library: str
    problem: str


def own_python(module: Path) -> OwnPython:
    """What the module at this path finds; nothing is started. One that does not load at all, since it is not
    whole or built for another Python, finds nothing, and the problem is the loader's."""
    try:
        half = ctypes.CDLL(str(module.with_name(_HALF)))
    except OSError as error:
        return OwnPython(
            "", f"{error}: it is not whole, or built for another Python; install hem-provider anew"
        )
    half.hem_python_table.restype = ctypes.POINTER(_Table)
    places = half.hem_python_table().contents.places().contents
    problem = places.python_problem.decode("utf-8", "replace")
    return OwnPython("" if problem else places.libpython.decode("utf-8", "surrogateescape"), problem)
