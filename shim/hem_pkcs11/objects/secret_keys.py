"""Session secret keys: agreed, unwrapped, created or generated ones that live in memory.

They belong to the session that made them and never touch the device. The object has a lease of its
key, and so has each operation that works with it: the bytes are overwritten when the object is gone
and the last of its operations has ended.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from hem_pkcs11.constants import CKA, CKK, CKO, CKR, UNAVAILABLE
from hem_pkcs11.mechanisms import working_mechanisms
from hem_pkcs11.objects.object import unknown_attribute
from hem_pkcs11.objects.session_keys import SessionKey
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.values import pack_bool, pack_ulong, pack_ulongs
from hem_provider.keytypes import AES_WIDTHS
from hem_provider.secret import SecretGone, hold

__all__ = ["AES_SIZES", "KEPT_DEFAULTS", "SECRET_FLAGS", "SessionSecretKey"]

AES_SIZES = tuple(bits // 8 for bits in AES_WIDTHS)
#: Usage flags a session key may carry.
SECRET_FLAGS = (CKA.ENCRYPT, CKA.DECRYPT, CKA.SIGN, CKA.VERIFY, CKA.WRAP, CKA.UNWRAP, CKA.DERIVE)

#: Attributes that are kept as they were given, and what they are otherwise.
KEPT_DEFAULTS: Mapping[int, bytes] = MappingProxyType(
    {
        CKA.MODIFIABLE: pack_bool(True),
        CKA.COPYABLE: pack_bool(True),
        CKA.DESTROYABLE: pack_bool(True),
        CKA.START_DATE: b"",
        CKA.END_DATE: b"",
        CKA.WRAP_WITH_TRUSTED: pack_bool(False),
    }
)


class SessionSecretKey(SessionKey):
    """``flags``: usage flags that are set. ``kept``: attributes that are no more than read back, or
    that bind who works with the key."""

    def __init__(
        self,
        owner: int,
        value: bytes,
        key_type: CKK,
        *,
        flags: frozenset[int],
        label: bytes = b"",
        identifier: bytes = b"",
        sensitive: bool = False,
        extractable: bool = True,
        private: bool = True,
        local: bool = False,
        generation: int = UNAVAILABLE,
        kept: Mapping[int, bytes] = MappingProxyType({}),
    ) -> None:
        super().__init__(CKO.SECRET_KEY, owner, label, identifier, kept)
        self._secret = hold(value)
        self._key_type = key_type
        self._flags = flags
        self.sensitive = sensitive
        self.extractable = extractable
        self._private = private
        self._local = local
        self._generation = generation
        self._always = (sensitive and local, not extractable and local)

    @property
    def private(self) -> bool:
        return self._private

    @property
    def key_type(self) -> CKK:
        return self._key_type

    def describe(self) -> str:
        return f"session key {self.label.decode(errors='replace')!r}"

    def own_attribute(self, kind: int) -> bytes:
        if kind in SECRET_FLAGS:
            return pack_bool(kind in self._flags)
        row = _ROWS.get(kind)
        if row is None:
            raise unknown_attribute()
        return row(self)

    def attribute_types(self) -> Sequence[int]:
        return (CKA.CLASS, CKA.TOKEN, CKA.PRIVATE, *SECRET_FLAGS, *_ROWS)

    @property
    def value(self) -> bytes:
        """A copy of the key's bytes. Raises CKR_KEY_HANDLE_INVALID once the object is gone."""
        return self.reveal()

    @property
    def size(self) -> int:
        """The key's bytes."""
        return self._secret.size

    def reveal(self, bad: CKR = CKR.KEY_HANDLE_INVALID) -> bytes:
        """The same, raising ``bad``."""
        try:
            return self._secret.read()
        except SecretGone:
            raise Pkcs11Error(bad, f"{self.describe()} was destroyed") from None

    def held(self) -> SessionSecretKey:
        try:
            lease = self._secret.share()
        except SecretGone:
            raise Pkcs11Error(CKR.KEY_HANDLE_INVALID, f"{self.describe()} was destroyed") from None
        twin = object.__new__(type(self))  # as copy.copy, without its detours
        twin.__dict__.update(self.__dict__)
        twin._secret = lease
        return twin

    def exported(self) -> bytes:
        """The value for whoever may have it. Raises CKR_ATTRIBUTE_SENSITIVE."""
        if self.sensitive or not self.extractable:
            raise Pkcs11Error(CKR.ATTRIBUTE_SENSITIVE)
        return self.reveal(CKR.OBJECT_HANDLE_INVALID)

    def keep(self, changes: Mapping[int, bytes]) -> None:
        super().keep(changes)
        self.sensitive = self.sensitive or changes.get(CKA.SENSITIVE) == pack_bool(True)
        self.extractable = self.extractable and changes.get(CKA.EXTRACTABLE) != pack_bool(False)
        self._private = self._private or changes.get(CKA.PRIVATE) == pack_bool(True)
        self.kept |= {kind: value for kind, value in changes.items() if kind in KEPT_DEFAULTS}

    def copy(self, owner: int) -> SessionSecretKey:
        """The same key, with bytes of its own, for session ``owner``. Raises CKR_OBJECT_HANDLE_INVALID once
        the object is gone."""
        value = self.reveal(CKR.OBJECT_HANDLE_INVALID)
        twin = SessionSecretKey(
            owner, value, self._key_type, flags=self._flags, label=self.label,
            identifier=self.identifier, sensitive=self.sensitive, extractable=self.extractable,
            private=self._private, local=self._local, generation=self._generation, kept=self.kept,
        )  # fmt: skip
        twin._always = self._always
        return twin

    def close(self) -> None:
        self._secret.end()

    def overwrite(self) -> None:
        self._secret.overwrite()


def _check_value(item: SessionSecretKey) -> bytes:
    """First three bytes: of an encrypted zero block for AES, of the SHA-1 for other secrets (4.10.2)."""
    value = item.reveal(CKR.OBJECT_HANDLE_INVALID)
    if item.key_type != CKK.AES:
        return hashlib.sha1(value, usedforsecurity=False).digest()[:3]
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    encryptor = Cipher(algorithms.AES(value), modes.ECB()).encryptor()  # noqa: S305 - a check value
    return encryptor.update(bytes(16))[:3]


def _read_kept(kind: int) -> Callable[[SessionSecretKey], bytes]:
    return lambda item: item.kept.get(kind, KEPT_DEFAULTS[kind])


_ROWS: Mapping[int, Callable[[SessionSecretKey], bytes]] = {
    **{kind: _read_kept(kind) for kind in KEPT_DEFAULTS},
    CKA.LABEL: lambda item: item.label,
    CKA.ID: lambda item: item.identifier,
    CKA.UNIQUE_ID: lambda item: f"session-{item.handle}".encode(),
    CKA.KEY_TYPE: lambda item: pack_ulong(item.key_type),
    CKA.LOCAL: lambda item: pack_bool(item._local),
    CKA.KEY_GEN_MECHANISM: lambda item: pack_ulong(item._generation),
    CKA.SENSITIVE: lambda item: pack_bool(item.sensitive),
    CKA.EXTRACTABLE: lambda item: pack_bool(item.extractable),
    CKA.ALWAYS_SENSITIVE: lambda item: pack_bool(item._always[0]),
    CKA.NEVER_EXTRACTABLE: lambda item: pack_bool(item._always[1]),
    CKA.ALLOWED_MECHANISMS: lambda item: item.kept.get(
        CKA.ALLOWED_MECHANISMS, pack_ulongs(working_mechanisms(item.key_type))
    ),
    CKA.TRUSTED: lambda _: pack_bool(False),
    CKA.CHECK_VALUE: _check_value,
    CKA.VALUE_LEN: lambda item: pack_ulong(item.size),
    CKA.VALUE: SessionSecretKey.exported,
}
