"""Keys of a HEM for ``paramiko``: as client and as server.

One object stands wherever paramiko takes a private key::

    key = HemPKey(hem.keys.find(label="ada"))
    paramiko.SSHClient().connect(host, username="ada", pkey=key)     a login
    paramiko.Transport(socket).add_server_key(key)                   a host key

P-256, P-384, P-521 and Ed25519. A signature is one call. ``key.load_certificate`` takes a certificate for it,
as with paramiko's own keys; paramiko issues none.
"""

from __future__ import annotations

from typing import Any, NoReturn

from hem_provider.device.key import Key
from hem_provider.errors import KeyNotExportable
from hem_provider.installation import lacking
from hem_provider.keys.sshform import check_ssh, ssh_inner, ssh_public
from hem_provider.sshwire import string

try:
    import paramiko
except ImportError as error:
    raise lacking(__name__, error) from None

__all__ = ["HemPKey"]


class HemPKey(paramiko.PKey):  # type: ignore[misc]  # paramiko has no types
    """A key of a device. Asks the device once for the public half, where it is not known yet.

    ``HemOperationFailed`` for a type that SSH does not have and for a key that is known not to sign.
    """

    def __init__(self, key: Key) -> None:
        self._key = key
        self._name = check_ssh(key)
        self._blob = ssh_public(key)
        self._native = paramiko.PKey.from_type_string(self._name, self._blob)
        self.public_blob = None  # of a certificate, which ``load_certificate`` sets

    @property
    def hem_key(self) -> Key:
        """The device's record of the key."""
        return self._key

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._key!r}>"

    @property
    def _fields(self) -> Any:
        return self._native._fields

    def asbytes(self) -> bytes:
        """The public half in SSH's form."""
        return self._blob

    def get_name(self) -> str:
        """SSH's name of the type."""
        return self._name

    def get_bits(self) -> int:
        """Bits of the field."""
        return int(self._native.get_bits())

    def can_sign(self) -> bool:
        """It can."""
        return True

    def sign_ssh_data(self, data: bytes, algorithm: str | None = None) -> Any:  # noqa: ARG002 - a key has one
        """The signature of 1…``MAX_MESSAGE`` bytes, as a ``paramiko.Message``; one call. ``MessageTooLong``,
        and what ``hem_provider.keys.signing.sign`` raises."""
        return paramiko.Message(string(self._name) + ssh_inner(self._key, bytes(data)))

    def verify_ssh_sig(self, data: bytes, msg: Any) -> bool:
        """Whether a signature is this key's; no call."""
        return bool(self._native.verify_ssh_sig(data, msg))

    def write_private_key(self, file_obj: Any, password: str | None = None) -> NoReturn:  # noqa: ARG002
        """Refused: ``KeyNotExportable``."""
        self._refuse()

    def write_private_key_file(self, filename: Any, password: str | None = None) -> NoReturn:  # noqa: ARG002
        """Refused: ``KeyNotExportable``."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise KeyNotExportable(f"the private half of key {self._key.kid} never leaves the device")
