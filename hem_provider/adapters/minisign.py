"""minisign's signatures (https://jedisct1.github.io/minisign/): Ed25519 over BLAKE2b-512 of a file.

A second signature is over the first and the trusted comment. The old form, of whole files, is not read.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

from cryptography.exceptions import InvalidSignature

from hem_provider.device.key import Key
from hem_provider.errors import HemOperationFailed
from hem_provider.keys.signing import verify
from hem_provider.keytypes import KEY_TYPES
from hem_provider.printable import printable
from hem_provider.publickeys import load_public
from hem_provider.records import frozen

__all__ = [
    "ALGORITHM",
    "DIGEST",
    "TYPES",
    "Draft",
    "Minisignature",
    "is_message",
    "is_minisign",
    "key_number",
    "public_file",
    "public_line",
    "read_public_file",
]

#: ``hashlib``'s name of the digest, the device's types and its algorithm.
DIGEST, TYPES, ALGORITHM = "blake2b", ("ED25519",), "Ed25519"
_UNTRUSTED, _TRUSTED = "untrusted comment: ", "trusted comment: "
_HASHED, _LEGACY = b"ED", b"Ed"
_SIGNATURE, _DIGEST = 64, 64
#: Bytes of a key's number.
_NUMBER = 8


@frozen
class Draft:
    """What is to be signed. ``number``: the key's, of 8 bytes. ``digest``: BLAKE2b-512 of the file.
    ``comment``: the trusted one, a line. ``ValueError`` for one that minisign does not take."""

    number: bytes
    digest: bytes
    comment: str
    untrusted: str = "signature from a HEM"

    def __post_init__(self) -> None:
        for name, text in (("comment", self.comment), ("untrusted comment", self.untrusted)):
            if not all(each.isprintable() or each == "\t" for each in text):
                raise ValueError(f"{name}: characters that cannot be printed; accepted: a line of text")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Bytes that go to the device in each call."""
        return len(self.digest), _SIGNATURE + len(self.comment.encode())

    def document(self, sign: Callable[[bytes], bytes]) -> bytes:
        """The file of the signature; ``sign`` is called twice."""
        first = sign(self.digest)
        second = sign(first + self.comment.encode())
        lines = (
            _UNTRUSTED + self.untrusted,
            base64.b64encode(_HASHED + self.number + first).decode(),
            _TRUSTED + self.comment,
            base64.b64encode(second).decode(),
        )
        return "".join(f"{line}\n" for line in lines).encode()


@frozen
class Minisignature:
    """A signature as it was read; nothing of it is proven before ``check``."""

    number: bytes
    signature: bytes
    comment: str
    second: bytes

    @classmethod
    def read(cls, data: bytes) -> Minisignature:
        """The four lines of a file. ``ValueError`` says what is wrong."""
        try:
            lines = data.decode("utf-8").removesuffix("\n").split("\n")
        except UnicodeDecodeError:
            raise ValueError("a signature of minisign that is no text") from None
        lines = [line.removesuffix("\r") for line in lines]
        if len(lines) != 4 or not lines[0].startswith(_UNTRUSTED) or not lines[2].startswith(_TRUSTED):
            raise ValueError(
                "a signature of minisign has four lines: comment, signature, trusted comment, signature"
            )
        body, second = (_decoded(line) for line in lines[1::2])
        if body.startswith(_LEGACY):
            raise ValueError("a signature of minisign's old form; make it anew, or verify it with minisign")
        if len(body) != 2 + _NUMBER + _SIGNATURE or not body.startswith(_HASHED) or len(second) != _SIGNATURE:
            raise ValueError(f"no signature of minisign: {len(body)} and {len(second)} bytes in base64")
        comment = lines[2].removeprefix(_TRUSTED)
        return cls(body[2 : 2 + _NUMBER], body[2 + _NUMBER :], comment, second)

    @property
    def told(self) -> str:
        """The trusted comment, for people."""
        return f"trusted comment {self.comment!r}"

    def check(self, public: Any, digest: bytes) -> None:
        """``InvalidSignature`` unless both signatures are those of an Ed25519 key."""
        verify(public, self.signature, digest, ALGORITHM)
        try:
            verify(public, self.second, self.signature + self.comment.encode(), ALGORITHM)
        except InvalidSignature:
            raise InvalidSignature("the trusted comment was changed") from None


def key_number(kid: str) -> bytes:
    """The number of a key, for minisign a random one: the first bytes of the KID."""
    return bytes.fromhex(kid)[:_NUMBER]


def public_line(public: bytes, number: bytes) -> str:
    """An Ed25519 key of 32 bytes as ``minisign -P`` takes it."""
    return base64.b64encode(_LEGACY + number + public).decode()


def public_file(key: Key) -> bytes:
    """A key of the device as ``minisign -p`` takes it. ``HemOperationFailed`` for one of another type."""
    if key.type.name not in TYPES:
        raise HemOperationFailed(
            f"key {key.kid} ({key.label!r}): minisign has no form for {key.type.name}; it has one for "
            f"{TYPES[0]}"
        )
    number = key_number(key.kid)
    shown = f"{int.from_bytes(number, 'little'):016X}"
    line = public_line(key.public_bytes(), number)
    return f"{_UNTRUSTED}minisign public key {shown}, {printable(key.label)}\n{line}\n".encode()


def read_public_file(data: bytes) -> tuple[Any, bytes] | None:
    """A native key and its number, from a file for ``minisign -p`` or the text for ``-P``; ``None`` where it
    is another file. ``ValueError``."""
    if not data.startswith((_UNTRUSTED.rstrip().encode(), b"RW")):
        return None
    *comment, line = data.decode("ascii", "replace").strip().split("\n")
    if len(comment) != data.startswith(_UNTRUSTED.rstrip().encode()):
        raise ValueError("no key of minisign: it is a line, or a comment and a line")
    found = base64.b64decode(line, validate=True)
    if len(found) != 2 + _NUMBER + 32 or not found.startswith(_LEGACY):
        raise ValueError(f"{len(found)} bytes that are no key of minisign")
    return load_public(KEY_TYPES["ED25519"], found[2 + _NUMBER :]), found[2 : 2 + _NUMBER]


def is_message(message: bytes) -> bool:
    """Whether these bytes may be a file's digest, which is the first of the two that are signed."""
    return len(message) == _DIGEST


def is_minisign(data: bytes) -> bool:
    """Whether a file looks like a signature of minisign."""
    return data.startswith(_UNTRUSTED.rstrip().encode())


def _decoded(line: str) -> bytes:
    try:
        data = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("a signature of minisign whose second and fourth line are not base64") from None
    if base64.b64encode(data).decode() != line:
        raise ValueError("a signature of minisign with bits that base64 does not have")
    return data
