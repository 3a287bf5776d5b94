"""ECDSA signatures as DER (X.690 §8.3, RFC 3279 §2.2.3), of which this is the one strict reader, and as two
numbers of one size (IEEE P1363, RFC 7518 §3.4); the curves' orders."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["ORDERS", "der", "fixed", "from_fixed", "numbers"]

#: Device type → number of points on the curve (SEC 2): ``r`` and ``s`` are from 1 to one less.
ORDERS: Mapping[str, int] = {
    "SECP256R1": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "SECP384R1": int(
        "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973",
        16,
    ),
    "SECP521R1": int(
        "01FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFA"
        "51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409",
        16,
    ),
    "SECP256K1": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141,
}


def numbers(signature: bytes) -> tuple[int, int]:
    """``r`` and ``s`` of a DER SEQUENCE of two INTEGERs. ``ValueError`` for any other encoding.

    >>> numbers(bytes.fromhex("3006020101020102"))
    (1, 2)
    """
    body, rest = _element(signature, 0x30)
    r, after = _element(body, 0x02)
    s, end = _element(after, 0x02)
    if rest or end:
        raise ValueError("bytes after the end")
    return _positive(r), _positive(s)


def der(r: int, s: int) -> bytes:
    """Two positive numbers as DER; sizes are those of a signature.

    >>> der(1, 128).hex()
    '300702010102020080'
    """
    body = b"".join(_encoded(0x02, n.to_bytes(n.bit_length() // 8 + 1, "big")) for n in (r, s))
    return _encoded(0x30, body)


def fixed(signature: bytes, size: int) -> bytes:
    """A signature in DER as ``r`` and ``s`` of ``size`` bytes each. ``ValueError`` for what is no DER, and
    for numbers that are larger."""
    try:
        return b"".join(number.to_bytes(size, "big") for number in numbers(signature))
    except OverflowError:
        raise ValueError(f"a number of more than {size} bytes") from None


def from_fixed(signature: bytes, size: int) -> bytes:
    """``fixed`` the other way. ``ValueError`` for another size, and for the number 0."""
    if len(signature) != 2 * size:
        raise ValueError(f"{len(signature)} bytes; accepted: {2 * size}")
    r, s = (int.from_bytes(half, "big") for half in (signature[:size], signature[size:]))
    if not r or not s:
        raise ValueError("the number 0")
    return der(r, s)


def _encoded(tag: int, content: bytes) -> bytes:
    size = len(content)
    return bytes([tag, size] if size < 0x80 else [tag, 0x81, size]) + content


def _element(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """The content of the first element, which must have ``tag``, and what follows it. Lengths are up to
    255, in their shortest form: no signature of the device is longer."""
    if len(data) < 2 or data[0] != tag:
        raise ValueError(f"no element with tag {tag:#x}")
    size, start = data[1], 2
    if size == 0x81 and len(data) > 2 and data[2] >= 0x80:
        size, start = data[2], 3
    elif size >= 0x80:
        raise ValueError("a length form that is not DER here")
    if len(data) < start + size:
        raise ValueError("truncated")
    return data[start : start + size], data[start + size :]


def _positive(content: bytes) -> int:
    if not content or content[0] & 0x80:
        raise ValueError("an empty or negative number")
    if len(content) > 1 and content[0] == 0 and not content[1] & 0x80:
        raise ValueError("a number with more leading zeros than DER has")
    value = int.from_bytes(content, "big")
    if value == 0:
        raise ValueError("the number 0")
    return value
