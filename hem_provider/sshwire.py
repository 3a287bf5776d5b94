"""SSH's encodings (RFC 4251 §5), read strictly, and ECDSA signatures in them (RFC 5656 §3.1.2)."""

from __future__ import annotations

from collections.abc import Iterator

from hem_provider.ecdsa import der, numbers

__all__ = ["Reader", "WireError", "mpint", "ssh_from_der", "ssh_to_der", "string", "uint32"]


class WireError(Exception):
    """Bytes that are not what the protocol has there; the text says what and where."""


class Reader:
    """Reads one message from its beginning to its end. Everything raises ``WireError``."""

    def __init__(self, data: bytes, what: str = "message") -> None:
        self._data = data
        self._at = 0
        self._what = what

    @property
    def left(self) -> int:
        """Bytes that are not read yet."""
        return len(self._data) - self._at

    @property
    def at(self) -> int:
        """Bytes that are read."""
        return self._at

    def take(self, size: int, name: str) -> bytes:
        """The next ``size`` bytes."""
        if size > self.left:
            raise WireError(
                f"{self._what}: {name} of {size} bytes at byte {self._at}, where {self.left} are left"
            )
        start, self._at = self._at, self._at + size
        return self._data[start : self._at]

    def byte(self, name: str) -> int:
        """One byte."""
        return self.take(1, name)[0]

    def boolean(self, name: str) -> bool:
        """One byte; any but zero is true (RFC 4251 §5)."""
        return self.byte(name) != 0

    def uint32(self, name: str) -> int:
        """Four bytes, the highest first."""
        return int.from_bytes(self.take(4, name), "big")

    def uint64(self, name: str) -> int:
        """Eight bytes, the highest first."""
        return int.from_bytes(self.take(8, name), "big")

    def string(self, name: str) -> bytes:
        """Bytes after their length."""
        return self.take(self.uint32(f"length of {name}"), name)

    def text(self, name: str) -> str:
        """A string that is UTF-8 without NUL."""
        value = self.string(name)
        try:
            found = value.decode("utf-8")
        except UnicodeDecodeError:
            found = "\0"
        if "\0" in found:
            raise WireError(f"{self._what}: {name} is no text: {len(value)} bytes")
        return found

    def number(self, name: str) -> int:
        """A positive mpint, in its shortest form."""
        value = self.string(name)
        if not value or value[0] & 0x80 or (value[0] == 0 and not (len(value) > 1 and value[1] & 0x80)):
            raise WireError(f"{self._what}: {name} is no positive number in its shortest form")
        return int.from_bytes(value, "big")

    def strings(self, name: str) -> Iterator[bytes]:
        """Strings to the end."""
        while self.left:
            yield self.string(name)

    def end(self) -> None:
        """Nothing may be left."""
        if self.left:
            raise WireError(f"{self._what}: {self.left} bytes after the end")


def uint32(number: int) -> bytes:
    """Four bytes, the highest first."""
    return number.to_bytes(4, "big")


def string(value: bytes | str) -> bytes:
    """Bytes, or text as UTF-8, after their length."""
    content = value.encode("utf-8") if isinstance(value, str) else value
    return uint32(len(content)) + content


def mpint(number: int) -> bytes:
    """A number that is not negative.

    >>> mpint(128).hex()
    '000000020080'
    """
    return string(number.to_bytes(number.bit_length() // 8 + 1, "big") if number else b"")


def ssh_from_der(signature: bytes) -> bytes:
    """An ECDSA signature in DER as SSH has it. ``ValueError`` for what is no such signature."""
    return b"".join(map(mpint, numbers(signature)))


def ssh_to_der(signature: bytes) -> bytes:
    """``ssh_from_der`` the other way. ``WireError``."""
    reader = Reader(signature, "ECDSA signature")
    r, s = reader.number("r"), reader.number("s")
    reader.end()
    return der(r, s)
