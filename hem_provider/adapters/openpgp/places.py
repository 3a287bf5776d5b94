"""Which place in which certificate a key has: kept in its ``descr``, so that any machine makes the same
fingerprint again.

Of keys made or chosen here it is the application's own id (``device.description``)::

    "PGP"  role: s, e or a   creation time   of s: the name, UTF-8   of e, a: KID of their s
    3      1                 4 bytes         0–32 bytes              16 bytes

The vendor's mail application writes ``ETSPGP:self,ADDRESS,sign|ecdh,TIME[,EXPIRY]``, decimal Unix seconds,
for pairs of keys that share address and time; its name is ``<ADDRESS>``.
"""

from __future__ import annotations

import enum
import re

from hem_provider.device.description import MAX_APPLICATION_ID, parse_description
from hem_provider.keytypes import KID_DIGITS
from hem_provider.records import frozen

__all__ = [
    "KINDS",
    "LATEST",
    "LONGEST_KEPT",
    "MOST_NAME",
    "Place",
    "Role",
    "check_user_id",
    "kept_name",
    "place_of",
]

#: The last moment that OpenPGP knows, in Unix seconds.
LATEST = 2**32 - 1
_OWN = b"PGP"
_HEAD = len(_OWN) + 1 + 4
#: Bytes of a name that ``descr`` has room for.
LONGEST_KEPT = MAX_APPLICATION_ID - _HEAD
#: Longest name of a certificate, in bytes: what fits on lines that people read; GnuPG takes four times that.
MOST_NAME = 512
_MAIL = re.compile(r"ETSPGP:self,([^,]+),(sign|ecdh),([0-9]{1,10})(?:,([0-9]{1,10}))?")


class Role(enum.Enum):
    """What a key of a certificate is for; the value is its letter in ``descr``."""

    SIGN = "s"
    DECRYPT = "e"
    AUTHENTICATE = "a"


#: Role → the device's types that can have it, the first if nothing else is wished.
KINDS = {
    Role.SIGN: ("ED25519",),
    Role.DECRYPT: ("CURVE25519", "SECP256R1"),
    Role.AUTHENTICATE: ("ED25519",),
}
_MAIL_ROLES = {"sign": Role.SIGN, "ecdh": Role.DECRYPT}


@frozen
class Place:
    """``created``: Unix seconds. ``group``: what the keys of a certificate have in common: the KID of the
    primary, ``None`` of the primary itself, or the mail application's address and time. ``name``: of the
    certificate, as far as it is kept. ``maker``: of ``certificate.FORMS``. ``expires``: Unix seconds."""

    role: Role
    created: int
    group: str | None = None
    name: str = ""
    maker: str = "hem-provider"
    expires: int | None = None

    def application_id(self) -> bytes:
        """As ``descr`` keeps it, of a place whose maker is this software."""
        rest = bytes.fromhex(self.group) if self.group is not None else kept_name(self.name).encode()
        return _OWN + self.role.value.encode() + self.created.to_bytes(4, "big") + rest


def place_of(descr: bytes) -> Place | None:
    """What a ``descr`` says; ``None`` where it says nothing of OpenPGP."""
    own = parse_description(descr)
    if own is not None:
        return _own(own.application_id)
    try:
        found = _MAIL.fullmatch(descr.decode("utf-8"))
    except UnicodeDecodeError:
        return None
    if found is None or not _is_shown(found[1]):
        return None
    created, expires = int(found[3]), int(found[4] or 0)
    if not 0 < created <= LATEST or expires > LATEST:
        return None
    return Place(
        _MAIL_ROLES[found[2]], created, f"{found[1]},{created}", f"<{found[1]}>", "mail", expires or None
    )


def _own(data: bytes) -> Place | None:
    if not data.startswith(_OWN) or len(data) < _HEAD:
        return None
    role = next((each for each in Role if each.value.encode() == data[len(_OWN) : len(_OWN) + 1]), None)
    created, rest = int.from_bytes(data[_HEAD - 4 : _HEAD], "big"), data[_HEAD:]
    if role is None or not created:
        return None
    if role is not Role.SIGN:
        return Place(role, created, rest.hex()) if len(rest) == KID_DIGITS // 2 else None
    try:
        name = rest.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return Place(role, created, None, name) if _is_shown(name) else None


def kept_name(name: str) -> str:
    """What ``descr`` keeps of a name: all of it, else its address, else nothing."""
    address = re.search(r"<[^<>]+>$", name)
    for each in (name, address[0] if address else ""):
        if len(each.encode()) <= LONGEST_KEPT:
            return each
    return ""


def check_user_id(name: str) -> str:
    """The name, if a certificate can have it. ``ValueError``."""
    size = len(name.encode("utf-8", "surrogatepass"))
    if not name.strip() or name != name.strip() or not _is_shown(name) or size > MOST_NAME:
        raise ValueError(
            f"name: {size} bytes; accepted: a line of 1 to {MOST_NAME} bytes of UTF-8 without blanks around "
            "it, usually 'Ada <ada@example.org>'"
        )
    return name


def _is_shown(text: str) -> bool:
    return all(each.isprintable() for each in text)
