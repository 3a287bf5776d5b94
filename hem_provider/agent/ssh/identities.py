"""Keys of a device as SSH has them: names, public key blobs, signatures (RFC 5656 §3.1, RFC 8709 §4, §6)."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache

from hem_provider.device.hem import Key
from hem_provider.device.verification import KnownKey, accepts
from hem_provider.errors import HemAnswerFault
from hem_provider.keys.publicforms import ssh_line
from hem_provider.keytypes import KEY_TYPES, Family, KeyType
from hem_provider.printable import printable
from hem_provider.publickeys import SSH_NAMES, load_public, ssh_blob
from hem_provider.records import frozen
from hem_provider.sshwire import ssh_from_der, string

__all__ = ["SshKey", "fingerprint", "is_for_ssh", "public_blob", "ssh_key"]


@frozen
class SshKey:
    """A key that signs. ``type``: the device's name of its type, one of ``SSH_NAMES``. ``public``: in device
    form. ``device``: the name of its device, which is for the source of the key alone.

    ``ValueError`` for a type that SSH does not have, and a public half that is none of the type.
    """

    kid: str
    label: str
    type: str
    public: bytes
    device: str = ""

    def __post_init__(self) -> None:
        if self.type not in SSH_NAMES:
            raise ValueError(f"type: {self.type!r}; SSH has {', '.join(SSH_NAMES)}")
        public_blob(self.type, self.public)

    @property
    def key_type(self) -> KeyType:
        """Of the table."""
        return KEY_TYPES[self.type]

    @property
    def name(self) -> str:
        """SSH's name of the type, which is that of its signatures too."""
        return SSH_NAMES[self.type]

    @property
    def algorithm(self) -> str:
        """The device's literal for its signatures."""
        return self.key_type.sign_algorithms[0]

    @property
    def blob(self) -> bytes:
        """The public key in SSH's form."""
        return public_blob(self.type, self.public)

    @property
    def comment(self) -> str:
        """The label, without what could act on a terminal or end a line."""
        return printable(self.label)

    @property
    def line(self) -> str:
        """As in ``authorized_keys`` and ``.pub`` files."""
        return ssh_line(self.name, self.blob, self.label)

    @property
    def fingerprint(self) -> str:
        """As OpenSSH shows it."""
        return fingerprint(self.blob)

    def signature(self, made: bytes, data: bytes) -> bytes:
        """A signature of the device over ``data``, in SSH's form. ``HemAnswerFault`` unless it verifies."""
        known = KnownKey(self.key_type, None, self.public)
        try:
            inner = ssh_from_der(made) if self.key_type.family is Family.EC else made
        except ValueError as error:
            raise HemAnswerFault(f"key {self.kid}: a signature of {len(made)} bytes: {error}") from None
        if not accepts(known, made, data, self.algorithm, None):
            raise HemAnswerFault(
                f"key {self.kid}: the device's signature of {len(made)} bytes ({self.algorithm}) does not "
                "verify under the key's public half; it is not handed out"
            )
        return string(self.name) + string(inner)


def ssh_key(key: Key, device: str = "") -> SshKey | None:
    """``key`` as SSH has it; ``None`` for one that does not sign or that SSH has no type for. One call where
    the public half is not known yet. Raises as ``Key.public_bytes`` does."""
    if not is_for_ssh(key):
        return None
    return SshKey(key.kid, key.label, key.type.name, key.public_bytes(), device)


def is_for_ssh(key: Key) -> bool:
    """Whether it signs, and SSH has its type. No I/O for a key that was listed."""
    attributes = key.attributes
    kind = attributes.key_type
    is_signing = attributes.private and attributes.exdsa
    return kind is not None and kind.name in SSH_NAMES and is_signing and not key.hidden


@lru_cache(maxsize=4096)
def public_blob(kind: str, public: bytes) -> bytes:
    """A public key in device form as SSH has it. ``ValueError`` when it is none of that type."""
    return ssh_blob(load_public(KEY_TYPES[kind], public))


def fingerprint(blob: bytes) -> str:
    """SHA-256 in base64 without padding.

    >>> fingerprint(b"")
    'SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU'
    """
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
