"""Conditions under which keys are added (RFC 9987, OpenSSH's ``PROTOCOL.agent``)."""

from __future__ import annotations

from hem_provider.records import frozen
from hem_provider.sshwire import Reader, WireError, string, uint32

__all__ = ["Constraints", "read_constraints"]

_LIFETIME, _CONFIRM, _EXTENSION = 1, 2, 0xFF
_CERTIFICATES = "associated-certs-v00@openssh.com"
#: What is asked for and could not be kept.
_UNKEPT = {
    "restrict-destination-v00@openssh.com": "this agent does not limit keys to destinations (ssh-add -h)",
    "sk-provider@openssh.com": "the keys of a HEM need no provider of security keys (ssh-add -S)",
}


@frozen
class Constraints:
    """``lifetime``: seconds, or ``None``. ``confirm``: a person is asked before each signature.
    ``certificates``: blobs, to be shown beside the keys that they are of; with ``certificates_only`` the
    keys themselves stay as they were."""

    lifetime: int | None = None
    confirm: bool = False
    certificates: tuple[bytes, ...] = ()
    certificates_only: bool = False

    def encode(self) -> bytes:
        """As they stand in a message."""
        parts = []
        if self.lifetime is not None:
            parts.append(bytes([_LIFETIME]) + uint32(self.lifetime))
        if self.confirm:
            parts.append(bytes([_CONFIRM]))
        if self.certificates:
            blobs = string(b"".join(map(string, self.certificates)))
            parts.append(
                bytes([_EXTENSION]) + string(_CERTIFICATES) + bytes([self.certificates_only]) + blobs
            )
        return b"".join(parts)


def read_constraints(reader: Reader) -> Constraints:
    """The rest of a message. ``WireError`` for what is malformed, given twice, or could not be kept: a
    condition is kept, or the key is not added."""
    lifetime: int | None = None
    confirm = certificates_only = False
    certificates: tuple[bytes, ...] = ()
    seen: set[int | str] = set()
    while reader.left:
        kind: int | str = reader.byte("constraint")
        if kind == _EXTENSION:
            kind = reader.text("name of the constraint")
        if kind in seen:
            raise WireError(f"constraint {kind} is given twice")
        seen.add(kind)
        if kind == _LIFETIME:
            lifetime = reader.uint32("lifetime")
            if not lifetime:
                raise WireError("lifetime: 0 s; accepted: 1 and more")
        elif kind == _CONFIRM:
            confirm = True
        elif kind == _CERTIFICATES:
            certificates_only = reader.boolean("certs_only")
            blobs = Reader(reader.string("certificates"), "certificates")
            certificates = tuple(blobs.strings("certificate"))
        else:
            why = _UNKEPT.get(kind, "it is not known") if isinstance(kind, str) else "it is not known"
            raise WireError(f"constraint {str(kind)[:64]!r} is not kept, so nothing is added: {why}")
    return Constraints(lifetime, confirm, certificates, certificates_only)
