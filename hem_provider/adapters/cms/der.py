"""The little of ASN.1 that CMS needs: DER written (X.690 §10), BER read."""

from __future__ import annotations

from collections.abc import Iterator

from hem_provider.records import frozen

__all__ = ["Element", "element", "integer", "octets", "oid", "oid_text", "read", "sequence", "set_of"]

INTEGER, OCTETS, OID, SEQUENCE, SET = 0x02, 0x04, 0x06, 0x30, 0x31
#: Most elements within elements; signatures have fewer.
_DEEPEST = 32
#: Bytes of an object identifier; those of CMS are shorter.
_LONGEST_NAME = 64
_CONSTRUCTED = 0x20


def element(tag: int, *contents: bytes) -> bytes:
    """An element of these contents.

    >>> element(0x30, b"\\x02\\x01\\x05").hex()
    '3003020105'
    """
    size = sum(map(len, contents))
    if size < 0x80:
        head = bytes([tag, size])
    else:
        length = size.to_bytes((size.bit_length() + 7) // 8, "big")
        head = bytes([tag, 0x80 | len(length)]) + length
    return b"".join((head, *contents))


def sequence(*contents: bytes) -> bytes:
    """A SEQUENCE."""
    return element(SEQUENCE, *contents)


def set_of(*elements: bytes, tag: int = SET) -> bytes:
    """A SET OF, in DER's order (X.690 §11.6)."""
    return element(tag, *sorted(elements))


def octets(data: bytes) -> bytes:
    """An OCTET STRING."""
    return element(OCTETS, data)


def integer(number: int) -> bytes:
    """An INTEGER that is not negative."""
    return element(INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def oid(text: str) -> bytes:
    """An OBJECT IDENTIFIER.

    >>> oid("1.2.840.113549.1.7.2").hex()
    '06092a864886f70d010702'
    """
    first, second, *rest = (int(each) for each in text.split("."))
    return element(OID, *map(_base128, (40 * first + second, *rest)))


def oid_text(content: bytes) -> str:
    """The content of an OBJECT IDENTIFIER, with dots. ``ValueError``."""
    if len(content) > _LONGEST_NAME:
        raise ValueError(f"an object identifier of {len(content)} bytes")
    numbers: list[int] = []
    value = 0
    for byte in content:
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(value)
            value = 0
    if not numbers or content[-1] & 0x80:
        raise ValueError("an object identifier that is cut off")
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))


def _base128(number: int) -> bytes:
    parts = [number & 0x7F]
    while number := number >> 7:
        parts.append(number & 0x7F | 0x80)
    return bytes(reversed(parts))


@frozen
class Element:
    """One that was read. ``raw``: all of its bytes. ``content``: those after the length."""

    tag: int
    content: bytes
    raw: bytes
    depth: int = 0

    def __iter__(self) -> Iterator[Element]:
        """What is in a constructed one. ``ValueError``."""
        at = 0
        while at < len(self.content):
            found = _read(self.content, at, self.depth + 1)
            at += len(found.raw)
            yield found

    def parts(self, *tags: int | None) -> list[Element]:
        """What is in it, as many as are named, of these tags (``None``: any). ``ValueError``."""
        found = list(self)
        if len(found) != len(tags) or any(
            tag not in (None, each.tag) for tag, each in zip(tags, found, strict=True)
        ):
            shown = " ".join(f"{each.tag:02x}" for each in found[:9])
            raise ValueError(f"elements {shown or 'none'} where others are due")
        return found

    def bytes_of(self) -> bytes:
        """Those of an OCTET STRING, which BER may have in parts. ``ValueError``."""
        if not self.tag & _CONSTRUCTED:
            return self.content
        return b"".join(each.expect(OCTETS, OCTETS | _CONSTRUCTED).bytes_of() for each in self)

    def expect(self, *tags: int) -> Element:
        """Itself, which must have one of these tags. ``ValueError``."""
        if self.tag not in tags:
            raise ValueError(f"an element {self.tag:02x} where {tags[0]:02x} is due")
        return self


def read(data: bytes) -> Element:
    """The one element that ``data`` is. ``ValueError``."""
    found = _read(data, 0, 0)
    if len(found.raw) != len(data):
        raise ValueError(f"{len(data) - len(found.raw)} bytes after the end")
    return found


def _read(data: bytes, start: int, depth: int) -> Element:
    if depth > _DEEPEST:
        raise ValueError(f"more than {_DEEPEST} elements within elements")
    if len(data) - start < 2:
        raise ValueError("cut off")
    tag, size, at = data[start], data[start + 1], start + 2
    if tag & 0x1F == 0x1F:
        raise ValueError("a tag of several bytes")
    if size == 0x80:
        return _indefinite(data, start, depth)
    if size > 0x80:
        count = size & 0x7F
        size = int.from_bytes(data[at : at + count], "big")
        at += count
        if count > 4:
            raise ValueError("a length of more than 4 bytes")
    end = at + size
    if end > len(data):
        raise ValueError("cut off")
    return Element(tag, data[at:end], data[start:end], depth)


def _indefinite(data: bytes, start: int, depth: int) -> Element:
    """An element whose end is two zero bytes."""
    if not data[start] & _CONSTRUCTED:
        raise ValueError("an indefinite length where there is none")
    at = start + 2
    while data[at : at + 2] != b"\0\0":
        at += len(_read(data, at, depth + 1).raw)
    return Element(data[start], data[start + 2 : at], data[start : at + 2], depth)
