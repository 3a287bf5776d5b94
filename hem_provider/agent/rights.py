"""What clients of the agent may do. A scope is what a token is good for, and the device holds every request
to it: so the scope that a client asks a token for says what it is about to do (device API §3)."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from hem_provider.keytypes import KID_FORM

__all__ = ["Right", "allows_label", "named_keys", "needed", "used_key"]


class Right(enum.Enum):
    """What the agent is started with: each is a word of ``hem agent start --allow``."""

    USE = "use"
    MAKE = "make"
    DELETE = "delete"
    ADMIN = "admin"

    @property
    def meaning(self) -> str:
        """For people."""
        return _MEANINGS[self]


_MEANINGS = {
    Right.USE: "list, read, sign, derive and decrypt",
    Right.MAKE: "create, import and change keys",
    Right.DELETE: "delete keys",
    Right.ADMIN: "log, configuration, phones, disks, restart",
}
#: Exact, since the device takes a longer scope for a shorter one as well.
_SCOPES = {
    "keymgmt:list": Right.USE,
    "keymgmt:search": Right.USE,
    "keymgmt:get": Right.USE,
    "keymgmt:gen": Right.MAKE,
    "keymgmt:derive": Right.MAKE,
    "keymgmt:imp": Right.MAKE,
    "keymgmt:upd": Right.MAKE,
    "keymgmt:del": Right.DELETE,
}
_KID = re.compile(KID_FORM)
_USE = re.compile(f"keymgmt:use:({KID_FORM})")
#: What takes no token and changes nothing but the clock.
_OPEN = {
    ("GET", "/api/system/status"),
    ("GET", "/api/system/version"),
    ("GET", "/api/system/checkin"),
    ("POST", "/api/system/checkin"),
    ("GET", "/api/auth/token"),
    ("POST", "/api/keymgmt/search"),
}


def used_key(scope: str) -> str | None:
    """The KID of the key that a scope is for the use of."""
    found = _USE.fullmatch(scope)
    return None if found is None else found[1]


def named_keys(path: str, body: Mapping[str, object] | None, scopes: Sequence[str]) -> frozenset[str]:
    """The KIDs that a request names, wherever: each is a key that it uses, changes or deletes. The device
    takes upper case as well (device API §2.2)."""
    return frozenset(each.lower() for each in _words(path, body, scopes) if _KID.fullmatch(each.lower()))


def _words(path: str, body: Mapping[str, object] | None, scopes: Sequence[str]) -> Iterator[str]:
    yield from path.split("/")
    yield from (each for each in (body or {}).values() if isinstance(each, str))
    yield from filter(None, map(used_key, scopes))


def needed(method: str, path: str, scope: str | None) -> Right:
    """The right that a request with a token for ``scope``, or without one, needs."""
    if scope is None:
        return Right.USE if (method, path) in _OPEN else Right.ADMIN
    return Right.USE if used_key(scope) else _SCOPES.get(scope, Right.ADMIN)


def allows_label(label: str, patterns: Sequence[str]) -> bool:
    """Whether a key of this label may be used; without patterns every key may."""
    return not patterns or any(fnmatchcase(label, each) for each in patterns)
