"""How requests name a key, its label and a peer: checked where a call is built."""

from __future__ import annotations

import re

from hem_provider.arguments import as_bytes, as_text
from hem_provider.config.limits import FIRMWARE_1_2_2, FirmwareLimits
from hem_provider.keytypes import KID_DIGITS, KID_FORM
from hem_provider.rest.encoding import b64

__all__ = ["check_kid", "check_label", "peer_field", "use_of"]

_KID = re.compile(KID_FORM)


def check_kid(kid: str) -> str:
    """A KID in the device's spelling. ``ValueError`` unless 32 hex digits, ``TypeError`` unless text."""
    lower = as_text("kid", kid).lower()
    if not _KID.fullmatch(lower):
        raise ValueError(f"kid: {kid!r} has {len(kid)} characters; accepted: {KID_DIGITS} hex digits")
    return lower


def use_of(kid: str) -> str:
    """The scope that a key is used by, and that names it alone (device API §4.2)."""
    return f"keymgmt:use:{kid}"


def check_label(label: str, limits: FirmwareLimits = FIRMWARE_1_2_2) -> str:
    """``ValueError`` unless ``label`` is 1–32 printable ASCII characters; ``TypeError`` unless text."""
    as_text("label", label)
    if not (1 <= len(label) <= limits.label and label.isascii() and label.isprintable()):
        raise ValueError(
            f"label: {len(label)} characters ({label!r}); "
            f"accepted: 1 to {limits.label} printable ASCII characters"
        )
    return label


def peer_field(peer: bytes | str) -> dict[str, str]:
    """A peer in a request: a stored key by KID, or a public key in device form. ``ValueError`` for a text
    that is no KID, ``TypeError`` for what is neither."""
    if isinstance(peer, str):
        return {"ext_kid": check_kid(peer)}
    return {"pubkey": b64(as_bytes("peer", peer))}
