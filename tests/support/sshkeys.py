"""Keys of this process in the place of a device's, and what SSH makes of them."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificateBuilder,
    SSHCertificateType,
)

from hem_provider.agent.ssh.identities import SshKey
from hem_provider.publickeys import device_form, kid_of
from hem_provider.sshwire import string

__all__ = ["PRIVATE", "Source", "blob_of", "certificate", "key_of", "login", "signed", "yes"]

NATIVE = {
    "SECP256R1": lambda: ec.generate_private_key(ec.SECP256R1()),
    "SECP384R1": lambda: ec.generate_private_key(ec.SECP384R1()),
    "SECP521R1": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ED25519": ed25519.Ed25519PrivateKey.generate,
}
PRIVATE = {kind: make() for kind, make in NATIVE.items()}


def blob_of(public) -> bytes:
    return base64.b64decode(public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).split()[1])


def key_of(kind: str, label: str = "key") -> SshKey:
    public = device_form(PRIVATE[kind].public_key())
    return SshKey(kid_of(public), label, kind, public)


def signed(kind: str, data: bytes) -> bytes:
    """As the device signs."""
    private = PRIVATE[kind]
    if kind == "ED25519":
        return private.sign(data)
    digest = {"SECP256R1": hashes.SHA256(), "SECP384R1": hashes.SHA384(), "SECP521R1": hashes.SHA512()}[kind]
    return private.sign(data, ec.ECDSA(digest))


class Source:
    """Keys of this process, labelled by their types; ``failure`` is raised instead of a signature."""

    def __init__(self, keys: Sequence[SshKey] | None = None) -> None:
        self.there = [key_of(kind, kind.lower()) for kind in PRIVATE] if keys is None else list(keys)
        self.failure: Exception | None = None
        self.listed = 0
        self.signed: list[tuple[str, bytes, str]] = []

    async def keys(self, *, fresh: bool = False) -> Sequence[SshKey]:  # noqa: ARG002
        self.listed += 1
        if self.failure is not None:
            raise self.failure
        return self.there

    async def sign(self, key: SshKey, data: bytes, algorithm: str) -> bytes:
        self.signed.append((key.label, data, algorithm))
        if self.failure is not None:
            raise self.failure
        return signed(key.type, data)


async def yes(_question: str) -> bool:
    return True


def certificate(public, kind=SSHCertificateType.USER, principals: tuple[bytes, ...] = (b"ada",)) -> bytes:
    builder = SSHCertificateBuilder().public_key(public).serial(7).type(kind).key_id(b"the id")
    builder = builder.valid_principals(list(principals)).valid_after(0).valid_before(2**63)
    return base64.b64decode(builder.sign(PRIVATE["ED25519"]).public_bytes().split()[1])


def login(blob: bytes, *, host: bytes | None = None, user: str = "ada") -> bytes:
    method = "publickey" if host is None else "publickey-hostbound-v00@openssh.com"
    data = string(b"session") + bytes([50]) + string(user) + string("ssh-connection") + string(method)
    return data + b"\1" + string("alg") + string(blob) + (b"" if host is None else string(host))
