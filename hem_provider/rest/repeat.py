"""Which requests may be sent again when the connection was lost before the answer
(device API §20.4).

Repeating must not be able to do a thing twice. What needs more thought than a table (create,
delete, import, derive) is decided by the caller, who can look at the device first.
"""

from __future__ import annotations

__all__ = ["repeatable"]

#: GETs that act; a lost connection may be their success.
_ACTING = ("/api/system/reboot", "/api/system/shutdown", "/api/system/upgrade/")
#: POSTs that only read or compute, or write the same again.
_HARMLESS = (
    "/api/crypto/",
    "/api/keymgmt/search",
    "/api/keymgmt/update",
)


def repeatable(method: str, path: str) -> bool:
    """Whether sending the same request twice does no more than sending it once."""
    if method == "GET":
        return not path.startswith(_ACTING)
    return method == "POST" and path.startswith(_HARMLESS)
