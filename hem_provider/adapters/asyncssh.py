"""Keys of a HEM for ``asyncssh``: as client, as server, and as an authority of certificates.

One object stands wherever asyncssh takes a private key::

    key = HemSSHKey(hem.keys.find(label="ada"))
    asyncssh.connect(host, client_keys=[key])                  a login
    asyncssh.listen(port=8022, server_host_keys=[key])         a host key
    key.generate_user_certificate(public, "ada@example.org")   a certificate

P-256, P-384, P-521 and Ed25519. A signature is one call. asyncssh makes that of a login in a thread, and the
proof of a host key in its event loop: a server does nothing else meanwhile.
"""

from __future__ import annotations

from typing import NoReturn

from hem_provider.device.key import Key
from hem_provider.errors import KeyNotExportable
from hem_provider.installation import lacking
from hem_provider.keys.sshform import ssh_inner, ssh_public

try:
    import asyncssh
except ImportError as error:
    raise lacking(__name__, error) from None

__all__ = ["HemSSHKey"]


class HemSSHKey(asyncssh.SSHKey):
    """A key of a device. Asks the device once for the public half, where it is not known yet.

    ``HemOperationFailed`` for a type that SSH does not have and for a key that is known not to sign.
    """

    #: asyncssh asks in a thread, not in its event loop, where it has the choice.
    use_executor = True

    def __init__(self, key: Key) -> None:
        super().__init__()
        self._hem_key = key
        blob = ssh_public(key)
        public = asyncssh.public_key.decode_ssh_public_key(blob)
        self._public = public
        self.algorithm = public.algorithm
        self.sig_algorithms = public.sig_algorithms
        self.all_sig_algorithms = public.all_sig_algorithms
        self.cert_algorithms = public.cert_algorithms
        self.pem_name, self.pkcs8_oid = public.pem_name, public.pkcs8_oid

    @property
    def hem_key(self) -> Key:
        """The device's record of the key."""
        return self._hem_key

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._hem_key == self._hem_key

    def __hash__(self) -> int:
        return hash(self._hem_key)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._hem_key!r}>"

    def encode_ssh_public(self) -> bytes:
        """The public half in SSH's form."""
        return self._public.encode_ssh_public()

    def encode_pkcs8_public(self) -> tuple[object, object]:
        """The public half for SubjectPublicKeyInfo."""
        return self._public.encode_pkcs8_public()

    def sign_ssh(self, data: bytes, sig_algorithm: bytes) -> bytes:  # noqa: ARG002 - a key has one
        """The signature of 1…``MAX_MESSAGE`` bytes; one call. ``MessageTooLong``, and what
        ``hem_provider.keys.signing.sign`` raises."""
        return ssh_inner(self._hem_key, data)

    def verify_ssh(self, data: bytes, sig_algorithm: bytes, packet: asyncssh.packet.SSHPacket) -> bool:
        """Whether a signature is this key's; no call."""
        return self._public.verify_ssh(data, sig_algorithm, packet)

    def sign_raw(self, data: bytes, hash_name: str) -> bytes:  # noqa: ARG002
        """Refused, as are certificates of X.509: asyncssh wants the private half for them.
        ``KeyNotExportable``."""
        self._refuse("a raw signature by asyncssh")

    def encode_ssh_private(self) -> bytes:
        """Refused: ``KeyNotExportable``."""
        self._refuse("its private half")

    def encode_pkcs8_private(self) -> tuple[object, object]:
        """Refused: ``KeyNotExportable``."""
        self._refuse("its private half")

    def encode_pkcs1_private(self) -> object:
        """Refused: ``KeyNotExportable``."""
        self._refuse("its private half")

    def encode_agent_cert_private(self) -> bytes:
        """Refused: ``KeyNotExportable``. ``hem agent`` is the agent for such keys."""
        self._refuse("its private half")

    def _refuse(self, what: str) -> NoReturn:
        raise KeyNotExportable(f"{what}: the private half of key {self._hem_key.kid} never leaves the device")
