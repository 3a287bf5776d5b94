"""OpenSSH's certificates (``PROTOCOL.certkeys``), as far as an agent looks into them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hem_provider.records import frozen
from hem_provider.sshwire import Reader, WireError, string

__all__ = ["FIELDS", "Certificate", "is_certificate", "read_certificate"]

#: Public key types → how many strings follow the name in a blob (RFC 4253 §6.6, RFC 5656 §3.1, RFC 8709 §4,
#: ``PROTOCOL.u2f``).
FIELDS: Mapping[str, int] = MappingProxyType(
    {
        "ssh-ed25519": 1,
        "ecdsa-sha2-nistp256": 2,
        "ecdsa-sha2-nistp384": 2,
        "ecdsa-sha2-nistp521": 2,
        "ssh-rsa": 2,
        "sk-ssh-ed25519@openssh.com": 2,
        "sk-ecdsa-sha2-nistp256@openssh.com": 3,
    }
)
_ENDING = "-cert-v01@openssh.com"
_PLAIN = {name.removesuffix("@openssh.com") + _ENDING: name for name in FIELDS}
_KINDS = {1: "user", 2: "host"}


@frozen
class Certificate:
    """``public``: the blob of the key that it is of. ``kind``: ``user`` or ``host``."""

    public: bytes
    serial: int
    kind: str
    key_id: str
    principals: tuple[str, ...]


def is_certificate(blob: bytes) -> bool:
    """Whether it begins as one of a type that is known here."""
    try:
        return Reader(blob).text("type") in _PLAIN
    except WireError:
        return False


def read_certificate(blob: bytes, *, signed: bool = True) -> Certificate:
    """Read a whole certificate, or with ``signed=False`` what its authority signs. ``WireError`` when it is
    none, or of a type that is not known here. The signature is not looked at: servers do."""
    reader = Reader(blob, "certificate")
    name = reader.text("type")
    if name not in _PLAIN:
        raise WireError(f"certificate: of type {name[:64]!r}; accepted: {', '.join(_PLAIN)}")
    plain = _PLAIN[name]
    reader.string("nonce")
    public = string(plain) + b"".join(string(reader.string("key")) for _ in range(FIELDS[plain]))
    serial, kind = reader.uint64("serial"), reader.uint32("kind")
    if kind not in _KINDS:
        raise WireError(f"certificate: of kind {kind}; accepted: 1 (user), 2 (host)")
    key_id = reader.text("key id")
    listed = Reader(reader.string("principals"), "principals of the certificate")
    principals = []
    while listed.left:
        principals.append(listed.text("principal"))
    reader.take(16, "validity")
    for each in ("critical options", "extensions", "reserved", "signature key"):
        reader.string(each)
    if signed:
        reader.string("signature")
    reader.end()
    return Certificate(public, serial, _KINDS[kind], key_id, tuple(principals))
