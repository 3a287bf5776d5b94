"""The text of a vault file. Pure: bytes to values and back, one value ↔ one text.

::

    hem-keyring 1
    vault 32 hex digits, random
    device name of the device, as configured
    key KID of the AES key that wraps new entries
    names clear | names hidden KID of the HMAC key
    SERVICE USER KID WRAPPED SEALED        one line per entry, ascending by the first two
    sha256 64 hex digits of all that stands before this line

Lines end with LF, fields are apart by one space. Each entry names the key that wraps it, so that
a vault is whole at every moment of a move to another key. ``WRAPPED`` and ``SEALED`` are base64url
without padding; ``hem_provider.adapters.keyring.vault.names`` makes the other two. The checksum tells
damage from everything else at once; who alters a file on purpose can renew it, and is caught when
an entry is opened.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from hem_provider.adapters.keyring.vault.errors import VaultDamaged, VaultVersion
from hem_provider.keytypes import MAX_LABEL
from hem_provider.records import field, frozen, replace

__all__ = ["FORMAT", "MAX_FILE", "Contents", "Header", "Record", "b64url", "unb64url"]

#: The first line, and what every MAC and seal of this format is bound to.
FORMAT = b"hem-keyring 1"
#: Largest vault file, in bytes; far more than people have, and a bound on memory.
MAX_FILE = 256 * 1024 * 1024

_FAMILY = b"hem-keyring "
_HEX32 = re.compile(r"[0-9a-f]{32}")
_END = re.compile(rb"sha256 ([0-9a-f]{64})\n")
_END_SIZE = len("sha256 ") + 64 + 1
_HEADER = re.compile(
    rb"hem-keyring 1\n"
    rb"vault (?P<vault>[0-9a-f]{32})\n"
    rb"device (?P<device>[ -~]{1,%d})\n"
    rb"key (?P<key>[0-9a-f]{32})\n"
    rb"names (?:clear|hidden (?P<names_key>[0-9a-f]{32}))\n" % MAX_LABEL
)


def b64url(data: bytes) -> bytes:
    """Base64 with the URL-safe alphabet and without padding (RFC 4648 §5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def unb64url(text: bytes, what: str) -> bytes:
    """The inverse; ``VaultDamaged`` for any text that ``b64url`` does not make."""
    try:
        data = base64.b64decode(text + b"=" * (-len(text) % 4), b"-_", validate=True)
    except binascii.Error:
        data = b""
    if b64url(data) != text:
        raise VaultDamaged(f"{what}: {len(text)} characters that are not base64url as this package writes it")
    return data


@frozen
class Header:
    """What holds for the whole vault. ``names_key`` is ``None`` when names are readable.

    Raises ``ValueError`` for ids that are not 32 lower-case hex digits, and for a device name that
    is not 1–32 printable ASCII characters.
    """

    vault: str
    device: str
    key: str
    names_key: str | None = None

    def __post_init__(self) -> None:
        ids = {"vault": self.vault, "key": self.key, "names_key": self.names_key or self.key}
        for name, value in ids.items():
            if not _HEX32.fullmatch(value):
                raise ValueError(f"{name}: {value!r}; accepted: 32 lower-case hex digits")
        if not 1 <= len(self.device) <= MAX_LABEL or not (
            self.device.isascii() and self.device.isprintable()
        ):
            raise ValueError(f"device: {self.device!r}; accepted: 1–{MAX_LABEL} printable ASCII characters")

    def encode(self) -> bytes:
        """Five lines."""
        names = f"hidden {self.names_key}" if self.names_key else "clear"
        lines = (FORMAT.decode(), f"vault {self.vault}", f"device {self.device}", f"key {self.key}")
        return "".join(f"{line}\n" for line in (*lines, f"names {names}")).encode("ascii")


@frozen
class Record:
    """One entry as the file has it. ``service`` and ``user`` are the file's words for them."""

    service: bytes
    user: bytes
    kid: str
    wrapped: bytes
    sealed: bytes

    @property
    def name(self) -> bytes:
        """What is unique in a vault."""
        return self.service + b" " + self.user

    def encode_rest(self) -> bytes:
        """The line after the name."""
        return b" ".join((self.kid.encode("ascii"), b64url(self.wrapped), b64url(self.sealed)))

    @classmethod
    def decode(cls, name: bytes, rest: bytes) -> Record:
        """Read one entry. ``VaultDamaged`` unless it is canonical."""
        service, _, user = name.partition(b" ")
        fields = rest.split(b" ")
        if len(fields) != 3 or not _HEX32.fullmatch(kid := fields[0].decode("ascii", "replace")):
            raise VaultDamaged(f"an entry is not KID WRAPPED SEALED but {len(fields)} fields")
        wrapped, sealed = (unb64url(each, "an entry") for each in fields[1:])
        return cls(service, user, kid, wrapped, sealed)


@frozen
class Contents:
    """A whole vault. ``lines``: an entry's name → the rest of its line, for ``Record.decode``."""

    header: Header
    lines: Mapping[bytes, bytes] = field(default_factory=lambda: MappingProxyType({}))

    def __len__(self) -> int:
        return len(self.lines)

    def of_service(self, service: bytes) -> list[bytes]:
        """The names of one service's entries, ascending."""
        start = service + b" "
        return sorted(name for name in self.lines if name.startswith(start))

    def with_records(self, records: Iterable[Record]) -> Contents:
        """With these added, or in place of those of the same name."""
        return replace(self, lines={**self.lines, **{each.name: each.encode_rest() for each in records}})

    def without(self, name: bytes) -> Contents:
        """Without the entry of this name; ``KeyError`` when there is none."""
        lines = dict(self.lines)
        del lines[name]
        return replace(self, lines=lines)

    def encode(self) -> bytes:
        """The file."""
        lines = sorted(name + b" " + rest + b"\n" for name, rest in self.lines.items())
        body = b"".join((self.header.encode(), *lines))
        return body + b"sha256 " + hashlib.sha256(body).hexdigest().encode("ascii") + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> Contents:
        """Read a file. ``VaultVersion``; ``VaultDamaged`` for anything that ``encode`` does not make.

        Entries are split off here and read by ``Record.decode``.
        """
        body = _checked_body(data)
        match = _HEADER.match(body)
        if match is None:
            raise VaultDamaged("its header is not as this package writes it")
        vault, device, key = (match[name].decode("ascii") for name in ("vault", "device", "key"))
        names_key = match["names_key"]
        header = Header(vault, device, key, names_key.decode("ascii") if names_key else None)
        text = body[match.end() :].split(b"\n")[:-1]
        lines: dict[bytes, bytes] = {}
        for line in text:  # the loop that 10 000 entries pass at each use: find is faster than split
            end = line.find(b" ", line.find(b" ") + 1)
            if end < 0:
                raise VaultDamaged(f"entry {len(lines) + 1} has fewer than three fields")
            lines[line[:end]] = line[end + 1 :]
        if text != sorted(text) or len(lines) != len(text):
            raise VaultDamaged("its entries are out of order, or one is there twice")
        return cls(header, lines)


def _checked_body(data: bytes) -> bytes:
    if not data.startswith(FORMAT + b"\n"):
        first = data[: data.find(b"\n")][:40] if data.startswith(_FAMILY) and b"\n" in data[:80] else b""
        if first and _END.fullmatch(data[-_END_SIZE:]):
            raise VaultVersion(
                f"it is of format {first.decode('ascii', 'replace')!r}; this release knows "
                f"{FORMAT.decode()!r}"
            )
        raise VaultDamaged(f"it does not begin with the line {FORMAT.decode()!r} ({len(data)} bytes)")
    body, end = data[:-_END_SIZE], _END.fullmatch(data[-_END_SIZE:])
    if end is None:
        raise VaultDamaged(f"it is cut short or something was added: no checksum ends it ({len(data)} bytes)")
    if hashlib.sha256(body).hexdigest().encode("ascii") != end.group(1) or not body.endswith(b"\n"):
        raise VaultDamaged(f"its checksum does not match: it was altered after writing ({len(data)} bytes)")
    return body
