"""Certificates and data objects: what a device has no place for, kept in files of the user.

One file for each object, in a directory for each device (named by its identity), beside the
configuration in use, else in the user's data directory. Only certificates and data are kept,
readable by the owner alone; a private data object is hidden before login but lies in its file as it
is.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hem_pkcs11.constants import CKA, CKC, CKO, CKR
from hem_pkcs11.items import Item, unknown_attribute
from hem_pkcs11.log import log
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.templates import Template
from hem_pkcs11.values import pack_bool, pack_ulong
from hem_provider.errors import HemConfigError
from hem_provider.trust import check_not_writable_by_others, privileges_raised

__all__ = ["Store", "StoredObject", "store_directory", "stored_object"]

MAX_OBJECTS = 10_000
MAX_FILE = 2**21
_DEFAULTS: Mapping[int, bytes] = {
    CKA.LABEL: b"",
    CKA.MODIFIABLE: pack_bool(True),
    CKA.COPYABLE: pack_bool(True),
    CKA.DESTROYABLE: pack_bool(True),
}
_DATA: Mapping[int, bytes] = {**_DEFAULTS, CKA.APPLICATION: b"", CKA.OBJECT_ID: b"", CKA.VALUE: b""}
_CERTIFICATE: Mapping[int, bytes] = {
    **_DEFAULTS,
    CKA.CERTIFICATE_TYPE: pack_ulong(CKC.X_509),
    CKA.TRUSTED: pack_bool(False),
    CKA.CERTIFICATE_CATEGORY: pack_ulong(0),
    CKA.JAVA_MIDP_SECURITY_DOMAIN: pack_ulong(0),
    CKA.START_DATE: b"",
    CKA.END_DATE: b"",
    CKA.URL: b"",
    CKA.HASH_OF_SUBJECT_PUBLIC_KEY: b"",
    CKA.HASH_OF_ISSUER_PUBLIC_KEY: b"",
}
#: Read from the certificate when the template does not say them.
_DERIVED = (CKA.SUBJECT, CKA.ISSUER, CKA.SERIAL_NUMBER, CKA.ID, CKA.PUBLIC_KEY_INFO, CKA.CHECK_VALUE)
_ALLOWED = {
    CKO.DATA: frozenset(_DATA),
    CKO.CERTIFICATE: frozenset(_CERTIFICATE) | {CKA.VALUE, CKA.NAME_HASH_ALGORITHM, *_DERIVED},
}


class StoredObject(Item):
    """A certificate or data object: its attributes as they are."""

    def __init__(
        self,
        object_class: CKO,
        owner: int | None,
        values: Mapping[int, bytes],
        *,
        private: bool,
        name: str = "",
    ) -> None:
        super().__init__(object_class, owner)
        self.values = dict(values)
        self._private = private
        self.name = name or os.urandom(16).hex()

    @property
    def private(self) -> bool:
        return self._private

    def describe(self) -> str:
        return f"{self.object_class.name.lower()} {self.values[CKA.LABEL].decode(errors='replace')!r}"

    def own_attribute(self, kind: int) -> bytes:
        if kind == CKA.UNIQUE_ID:
            return self.name.encode()
        value = self.values.get(kind)
        if value is None:
            raise unknown_attribute()
        return value

    def attribute_types(self) -> Sequence[int]:
        return (CKA.CLASS, CKA.TOKEN, CKA.PRIVATE, CKA.UNIQUE_ID, *self.values)

    def change(self, changes: Mapping[int, bytes]) -> None:
        self.values |= {kind: value for kind, value in changes.items() if kind in self.values}

    def copy(self, owner: int | None) -> StoredObject:
        return StoredObject(self.object_class, owner, self.values, private=self._private)


def stored_object(
    template: Template, owner: int | None, key_id: Callable[[bytes], bytes | None]
) -> StoredObject:
    """What a template for C_CreateObject describes. ``key_id``: the CKA_ID of the key in the device
    that has a given public key (SubjectPublicKeyInfo)."""
    object_class = CKO(template.number(CKA.CLASS) or 0)
    for kind in template.kinds():
        if kind not in _ALLOWED[object_class] and kind not in (CKA.CLASS, CKA.TOKEN, CKA.PRIVATE):
            raise template.error(
                CKR.ATTRIBUTE_TYPE_INVALID, kind, f"not for {object_class.name.lower()} objects"
            )
    given = {kind: template.needed(kind) for kind in template.kinds() if kind in _ALLOWED[object_class]}
    for flag in (CKA.MODIFIABLE, CKA.COPYABLE, CKA.DESTROYABLE):
        template.flag(flag)
    private = template.flag(CKA.PRIVATE)
    if object_class == CKO.DATA:
        values = {**_DATA, **given}
    else:
        values = _certificate(template, given, key_id)
        if template.flag(CKA.TRUSTED):
            raise template.error(CKR.ATTRIBUTE_READ_ONLY, CKA.TRUSTED, "only a security officer could say so")
    return StoredObject(object_class, owner, values, private=bool(private))


def _certificate(
    template: Template, given: Mapping[int, bytes], key_id: Callable[[bytes], bytes | None]
) -> dict[int, bytes]:
    if template.number(CKA.CERTIFICATE_TYPE) not in (None, CKC.X_509):
        raise template.error(CKR.ATTRIBUTE_VALUE_INVALID, CKA.CERTIFICATE_TYPE, "accepted: CKC_X_509")
    der = template.needed(CKA.VALUE)
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        read = x509.load_der_x509_certificate(der)
        public = read.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except Exception:  # whatever the parser finds wrong with it
        raise template.error(CKR.ATTRIBUTE_VALUE_INVALID, CKA.VALUE, "no X.509 certificate in DER") from None
    number = read.serial_number
    content = number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True)
    values = {
        **_CERTIFICATE,
        CKA.SUBJECT: read.subject.public_bytes(),
        CKA.ISSUER: read.issuer.public_bytes(),
        CKA.SERIAL_NUMBER: bytes((0x02, len(content))) + content,
        CKA.PUBLIC_KEY_INFO: public,
        CKA.CHECK_VALUE: hashlib.sha1(der, usedforsecurity=False).digest()[:3],
        CKA.ID: b"",
        **given,
    }
    if not values[CKA.ID]:
        values[CKA.ID] = key_id(public) or b""
    return values


def store_directory(source: str) -> Path | None:
    """Where objects are kept: beside the configuration file ``source``, else the user's data
    directory; ``None`` where a process with raised privileges must not follow the environment."""
    path = Path(source)
    if path.is_absolute():
        return path.parent / "pkcs11-objects"
    if privileges_raised():
        return None
    base = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")  # noqa: PTH111 - no home is no error
    return Path(base) / "hem" / "pkcs11-objects"


class Store:
    """The files of one device."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

    def load(self) -> list[StoredObject]:
        """All objects; a file that cannot be used is named in the log and left alone."""
        try:
            if self._directory is None or not self._directory.is_dir():
                return []
        except OSError as error:  # not ours to read, as after giving up privileges: nothing is stored
            log.error(f"{self._directory}: not used: {error.strerror}")
            return []
        found = []
        for path in sorted(self._directory.glob("*.json"))[:MAX_OBJECTS]:
            try:
                found.append(_read(path))
            except (OSError, ValueError, KeyError, HemConfigError) as error:
                log.error(f"{path}: not used: {error}")
        return found

    def save(self, item: StoredObject) -> None:
        """Write the object's file: whole, or not at all. Raises CKR_DEVICE_MEMORY."""
        directory = self._existing()
        import json

        record = {
            "class": item.object_class.name,
            "private": item.private,
            "attributes": {
                f"{kind:#x}": base64.b64encode(value).decode() for kind, value in item.values.items()
            },
        }
        path = directory / f"{item.name}.json"
        temporary = directory / f".{item.name}.new"
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(json.dumps(record))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            raise Pkcs11Error(CKR.DEVICE_MEMORY, f"{path}: cannot write: {error.strerror}") from None

    def delete(self, item: StoredObject) -> None:
        """Remove the object's file."""
        path = self._existing() / f"{item.name}.json"
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise Pkcs11Error(CKR.DEVICE_ERROR, f"{path}: cannot remove: {error.strerror}") from None

    def _existing(self) -> Path:
        if self._directory is None:
            raise Pkcs11Error(
                CKR.TOKEN_WRITE_PROTECTED, "there is no place for certificates and data objects"
            )
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Pkcs11Error(
                CKR.TOKEN_WRITE_PROTECTED, f"{self._directory}: cannot be made: {error.strerror}"
            ) from None
        return self._directory


def _read(path: Path) -> StoredObject:
    import json

    if check_not_writable_by_others(path, "the stored object").st_size > MAX_FILE:
        raise ValueError("too large")
    record = json.loads(path.read_text("ascii"))
    object_class = CKO[record["class"]]
    values = {int(kind, 16): base64.b64decode(value) for kind, value in record["attributes"].items()}
    defaults = _DATA if object_class == CKO.DATA else _CERTIFICATE
    return StoredObject(
        object_class, None, {**defaults, **values}, private=record["private"] is True, name=path.stem
    )
