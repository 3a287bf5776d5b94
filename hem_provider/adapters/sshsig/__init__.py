"""SSH signatures of files (OpenSSH's ``PROTOCOL.sshsig``), as ``ssh-keygen -Y sign`` makes them.

``allowed``: who may sign, as ``ssh-keygen -Y verify`` is told.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from hem_provider.keys.signing import algorithm_of, verify
from hem_provider.keytypes import KEY_TYPES, Family, KeyType
from hem_provider.publickeys import SSH_NAMES, ssh_blob
from hem_provider.records import frozen
from hem_provider.sshwire import Reader, WireError, ssh_from_der, ssh_to_der, string, uint32

__all__ = ["DEFAULT_NAMESPACE", "DIGESTS", "TYPES", "Draft", "SshSignature", "is_message", "is_sshsig"]

#: Digests, by ``hashlib``'s names which are the protocol's, the one that OpenSSH takes first; device types.
DIGESTS, TYPES = ("sha512", "sha256"), tuple(SSH_NAMES)
#: That of files.
DEFAULT_NAMESPACE = "file"
_MAGIC, _VERSION = b"SSHSIG", 1
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_ARMOUR = re.compile(rf"[\r\n]*{_BEGIN}\r?\n(.*?){_END}[\r\n]*", re.DOTALL)
_LINE = 70
_KINDS = {name: KEY_TYPES[kind] for kind, name in SSH_NAMES.items()}


def _message(namespace: str, digest_name: str, digest: bytes) -> bytes:
    return _MAGIC + string(namespace) + string(b"") + string(digest_name) + string(digest)


@frozen
class Draft:
    """What is to be signed by a key of this type. ``public``: the native key. ``digest``: of the file.
    ``ValueError`` for a namespace that is empty or has characters that cannot be printed."""

    kind: KeyType
    public: Any
    namespace: str
    digest_name: str
    digest: bytes

    def __post_init__(self) -> None:
        if not self.namespace or not self.namespace.isprintable():
            raise ValueError(
                f"namespace: {self.namespace!r:.80}; accepted: printable characters, one at least"
            )

    @property
    def sizes(self) -> tuple[int, ...]:
        """Bytes that go to the device in each call."""
        return (len(_message(self.namespace, self.digest_name, self.digest)),)

    def document(self, sign: Callable[[bytes], bytes]) -> bytes:
        """The file of the signature."""
        made = sign(_message(self.namespace, self.digest_name, self.digest))
        inner = ssh_from_der(made) if self.kind.family is Family.EC else made
        blob = (
            _MAGIC
            + uint32(_VERSION)
            + string(ssh_blob(self.public))
            + string(self.namespace)
            + string(b"")
            + string(self.digest_name)
            + string(string(SSH_NAMES[self.kind.name]) + string(inner))
        )
        text = base64.b64encode(blob).decode()
        lines = (text[at : at + _LINE] for at in range(0, len(text), _LINE))
        return "".join(f"{line}\n" for line in (_BEGIN, *lines, _END)).encode()


@frozen
class SshSignature:
    """A signature as it was read; nothing of it is proven before ``check``. ``blob``: the public key that it
    says made it."""

    kind: KeyType
    blob: bytes
    namespace: str
    digest_name: str
    signature: bytes

    @classmethod
    def read(cls, data: bytes) -> SshSignature:
        """The file of a signature. ``ValueError`` says what is wrong."""
        try:
            return cls._parsed(_unarmoured(data))
        except WireError as error:
            raise ValueError(str(error)) from None

    @classmethod
    def _parsed(cls, blob: bytes) -> SshSignature:
        reader = Reader(blob, "SSH signature")
        if reader.take(len(_MAGIC), "magic") != _MAGIC or reader.uint32("version") != _VERSION:
            raise ValueError(f"no SSH signature of version {_VERSION}")
        public, namespace = reader.string("public key"), reader.text("namespace")
        reserved = reader.string("reserved")  # to be ignored, says the protocol; it is part of what is signed
        digest_name, value = reader.text("hash"), reader.string("signature")
        reader.end()
        if reserved or not namespace or digest_name not in DIGESTS:
            raise ValueError(
                f"an SSH signature with hash {digest_name!r:.40}; accepted: {', '.join(DIGESTS)}, "
                "a namespace, and nothing that is reserved"
            )
        inner = Reader(value, "SSH signature: value")
        name, signature = inner.text("type"), inner.string("signature")
        inner.end()
        if name not in _KINDS or Reader(public, "SSH signature: key").text("type") != name:
            raise ValueError(f"an SSH signature of type {name!r:.60}; accepted: {', '.join(_KINDS)}")
        kind = _KINDS[name]
        made = ssh_to_der(signature) if kind.family is Family.EC else signature
        return cls(kind, public, namespace, digest_name, made)

    @property
    def public(self) -> Any:
        """The key that it says made it, native. ``ValueError`` where that is none."""
        from cryptography.hazmat.primitives.serialization import load_ssh_public_key

        line = f"{SSH_NAMES[self.kind.name]} {base64.b64encode(self.blob).decode()}"
        try:
            return load_ssh_public_key(line.encode())
        except (ValueError, UnsupportedAlgorithm, NotImplementedError) as error:
            raise ValueError(f"an SSH signature with a key that is none: {error}") from None

    @property
    def told(self) -> str:
        """For people."""
        return f"namespace {self.namespace!r}, {self.digest_name}"

    def check(self, public: Any, namespace: str, digest: bytes) -> None:
        """``InvalidSignature`` unless it is of a file with this digest, for this namespace, by this key."""
        if self.namespace != namespace:
            raise InvalidSignature(f"it is for namespace {self.namespace!r:.80}, not {namespace!r}")
        if ssh_blob(public) != self.blob:
            raise InvalidSignature("it says that another key made it")
        verify(public, self.signature, _message(namespace, self.digest_name, digest), algorithm_of(self.kind))


def is_message(message: bytes) -> bool:
    """Whether the signature of these bytes may pass as one of a file."""
    return message.startswith(_MAGIC)


def is_sshsig(data: bytes) -> bool:
    """Whether a file looks like an SSH signature."""
    return data.lstrip().startswith(_BEGIN.encode())


def _unarmoured(data: bytes) -> bytes:
    try:
        found = _ARMOUR.fullmatch(data.decode("ascii"))
        text = re.sub(r"\r?\n", "", found[1]) if found else ""
        blob = base64.b64decode(text, validate=True)
    except (UnicodeDecodeError, binascii.Error):
        raise ValueError("no SSH signature: it is not base64 between its lines") from None
    if not found or base64.b64encode(blob).decode() != text:
        raise ValueError(
            f"no SSH signature: lines {_BEGIN!r} and {_END!r} with base64 between them are missing"
        )
    return blob
