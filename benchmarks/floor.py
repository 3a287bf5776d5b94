"""The floors: one HTTPS request in C, with OpenSSL and nothing else; see ``floor.c``.

A layer is compared with the floor of its own kind: one that resumes TLS sessions with a resumed
connection, one that keeps the connection with a kept one, one that does neither with a full handshake.
What a layer takes beyond it is that layer's own share.
"""

from __future__ import annotations

import ctypes
import enum
import os
import tempfile
from ctypes import c_char_p, c_int, c_long, c_void_p
from functools import cache
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from benchmarks.compiling import compiled
from hem_provider.measuring.measure import FLOOR

__all__ = ["FULL_FLOOR", "KEPT", "KEPT_FLOOR", "Floor", "Kind"]

#: The end of the name of layers on a device that keeps the connection.
KEPT = ", connection kept"
#: The floors' layers; that of a resumed connection is ``FLOOR``.
KEPT_FLOOR, FULL_FLOOR = f"{FLOOR}{KEPT}", f"{FLOOR}, full handshake"
_ROOM = 1 << 20


class Kind(enum.IntEnum):
    """As ``enum kind`` in ``floor.c``."""

    FULL = 0
    RESUMED = 1
    KEPT = 2


class Floor:
    """Requests to the device at ``url`` by connections of one kind; takes the place of ``BareClient``."""

    def __init__(self, url: str, ca_file: Path, kind: Kind) -> None:
        parts = urlsplit(url)
        self._host, port = parts.hostname or "", parts.port or 443
        self._library = _library()
        self._floor = self._library.floor_open(self._host.encode(), port, os.fsencode(ca_file), kind)
        if not self._floor:
            raise OSError(f"floor: {url}: no such host, or {ca_file} is no CA file")
        self._answer, self._length = ctypes.create_string_buffer(_ROOM), c_long()
        self.calls = 0  #: requests sent so far

    def request(self, method: str, path: str, body: bytes | None = None, token: str | None = None) -> bytes:
        """One request; raises ``OSError`` unless the answer is a 200."""
        self.calls += 1
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\n"
        if token is not None:
            head += f"Authorization: Bearer {token}\r\n"
        if body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        data = head.encode("ascii") + b"\r\n" + (body or b"")
        place = self._library.floor_request(
            self._floor, data, len(data), self._answer, _ROOM, ctypes.byref(self._length)
        )
        if place < 0:
            raise OSError(f"{method} {path}: {self._library.floor_error(self._floor).decode()}")
        answer = ctypes.string_at(self._answer, place + self._length.value)
        if answer[9:12] != b"200":
            raise OSError(f"{method} {path}: HTTP {answer[9:12].decode('latin-1')}")
        return answer[place:]

    @property
    def handshakes(self) -> tuple[int, int]:
        """How many there were, and how many of them resumed a session."""
        library = self._library
        return library.floor_handshakes(self._floor), library.floor_resumptions(self._floor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._library.floor_close(self._floor)
        self._floor = None


@cache
def _library() -> ctypes.CDLL:
    with tempfile.TemporaryDirectory(prefix="hem-floor-") as folder:
        path = compiled("floor.c", Path(folder) / "floor.so", "-fPIC", "-shared", "-lssl", "-lcrypto")
        library = ctypes.CDLL(str(path))
    library.floor_open.restype = c_void_p
    library.floor_open.argtypes = (c_char_p, c_int, c_char_p, c_int)
    library.floor_request.restype = c_long
    library.floor_request.argtypes = (c_void_p, c_char_p, c_long, c_char_p, c_long, ctypes.POINTER(c_long))
    for name, answer in (
        ("floor_error", c_char_p), ("floor_close", None),
        ("floor_handshakes", c_long), ("floor_resumptions", c_long),
    ):  # fmt: skip
        function = getattr(library, name)
        function.argtypes, function.restype = (c_void_p,), answer
    return library
