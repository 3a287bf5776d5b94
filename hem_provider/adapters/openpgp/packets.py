"""OpenPGP's encodings (RFC 4880 §3, §4, §5.2.3, §6): packets, numbers, subpackets, armor."""

from __future__ import annotations

import base64
import textwrap

__all__ = ["armored", "mpi", "packet", "subpacket"]

#: Generator and first value of the armor's checksum (RFC 4880 §6.1).
_CRC_POLYNOMIAL, _CRC_START = 0x1864CFB, 0xB704CE
#: The largest body whose length takes one, and two bytes; bytes of it in the rest, five.
_ONE, _TWO = 191, 8383
_LINE = 64


def packet(tag: int, body: bytes) -> bytes:
    """A packet with a header of the new format (RFC 4880 §4.2.2)."""
    return bytes([0xC0 | tag]) + _length(len(body)) + body


def subpacket(kind: int, body: bytes) -> bytes:
    """A subpacket of a signature (RFC 4880 §5.2.3.1)."""
    return _length(1 + len(body)) + bytes([kind]) + body


def _length(size: int) -> bytes:
    if size <= _ONE:
        return bytes([size])
    if size <= _TWO:
        return bytes([(size - 192 >> 8) + 192, size - 192 & 0xFF])
    return b"\xff" + size.to_bytes(4, "big")


def mpi(value: bytes) -> bytes:
    """A number, or a string of bytes that is one (RFC 4880 §3.2): leading zeros are not kept."""
    number = int.from_bytes(value, "big")
    bits = number.bit_length()
    return bits.to_bytes(2, "big") + number.to_bytes((bits + 7) // 8, "big")


def armored(data: bytes, kind: str = "PUBLIC KEY BLOCK") -> bytes:
    """``data`` as text (RFC 4880 §6.2)."""
    crc = _CRC_START
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= _CRC_POLYNOMIAL
    lines = textwrap.wrap(base64.b64encode(data).decode(), _LINE)
    checksum = base64.b64encode(crc.to_bytes(3, "big")).decode()
    return "\n".join(
        [f"-----BEGIN PGP {kind}-----", "", *lines, f"={checksum}", f"-----END PGP {kind}-----", ""]
    ).encode()
