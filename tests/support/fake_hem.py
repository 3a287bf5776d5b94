"""A device in memory with the shape of ``hem_provider.device.Hem``: for tests of the layer above it.

Keys are real local keys, so that signatures verify. What the real one does over the network this
one counts (``statistics``) and can be told to fail at (``failing``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hem_provider.config import DeviceConfig, FirmwareLimits
from hem_provider.device import Identity, Role
from hem_provider.device.description import NO_LIMITS, Limits
from hem_provider.errors import HemAuthenticationError, HemKeyNotFound, HemLoginRequired
from hem_provider.keytypes import KEY_TYPES, Family, KeyAttributes, KeyType, parse_attributes

__all__ = ["PIN", "FakeHem", "FakeKey"]

PIN = "correct horse"

_CURVES: dict[str, Callable[[], ec.EllipticCurve]] = {
    "SECP256R1": ec.SECP256R1,
    "SECP384R1": ec.SECP384R1,
    "SECP521R1": ec.SECP521R1,
    "SECP256K1": ec.SECP256K1,
}
_HASHES = {
    "SHA256WithECDSA": hashes.SHA256(),
    "SHA384WithECDSA": hashes.SHA384(),
    "SHA512WithECDSA": hashes.SHA512(),
}


@dataclass
class Statistics:
    calls: int = 0
    logins: int = 0


@dataclass(eq=False)
class FakeKey:
    hem: FakeHem
    label: str
    attributes: KeyAttributes
    native: Any
    application_id: bytes | None = None
    hidden: bool = False
    descr: bytes = b""
    kid: str = ""
    known: bool = False
    family_mark: frozenset[str] | None = frozenset()
    limits: Limits = NO_LIMITS

    def __post_init__(self) -> None:
        self.kid = hashlib.sha1(self._raw()).hexdigest()[:32]

    @property
    def type(self) -> KeyType:
        assert self.attributes.key_type is not None
        return self.attributes.key_type

    def _raw(self) -> bytes:
        public = self.native.public_key()
        if self.type.family is Family.EC:
            return public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        return public.public_bytes_raw()

    def _fetch(self) -> None:
        if not self.known:
            self.hem.authorise()
            self.hem.call()
            self.known = True

    def public_bytes(self) -> bytes:
        self._fetch()
        return self._raw()

    def public_key(self, kind: Any = None) -> Any:  # noqa: ARG002
        self._fetch()
        return self.native.public_key()


class FakeKeys:
    """``hem.keys``."""

    def __init__(self, hem: FakeHem) -> None:
        self._hem = hem
        self.stored: dict[str, FakeKey] = {}
        self.anonymous = True
        self.aged = False
        self.listed = 0
        self.recalled: list[FakeKey] = []
        self.scope = "keymgmt:list"

    def create(
        self,
        type: str,
        *,
        label: str,
        usage: Iterable[str] | None = None,
        application_id: bytes = b"",
        limits: Limits = NO_LIMITS,
    ) -> FakeKey:
        self._hem.authorise()
        self._hem.call()
        family = KEY_TYPES[type].family
        if family is Family.EC:
            wanted = {"sign", "derive"} if usage is None else set(usage)
            mode = [each for word, each in (("derive", "ECDH"), ("sign", "ExDSA")) if word in wanted]
            native: Any = ec.generate_private_key(_CURVES[type]())
        else:
            mode, native = ["ExDSA"], ed25519.Ed25519PrivateKey.generate()
        attributes = parse_attributes(",".join(("ATT", "PKEY", *mode, type)))
        return self.add(FakeKey(self._hem, label, attributes, native, application_id or None, limits=limits))

    def add(self, key: FakeKey) -> FakeKey:
        self.stored[key.kid] = key
        return key

    def delete(self, key: FakeKey | str) -> None:
        self._hem.authorise()
        self._hem.call()
        kid = key if isinstance(key, str) else key.kid
        if self.stored.pop(kid, None) is None:
            raise HemKeyNotFound(kid)

    def search_anonymous(self) -> list[FakeKey]:
        self._hem.call()
        if not self.anonymous:
            raise HemLoginRequired("not allowed")
        return [each for each in self.stored.values() if each.family_mark is not None]

    def refresh(self) -> None:
        """Nothing is kept."""

    def remembered(
        self, *, label: str | None = None, kid: str | None = None, application_id: bytes | None = None
    ) -> list[FakeKey]:
        return [
            each
            for each in self.recalled
            if each.kid == kid
            or each.label == label
            or (application_id is not None and each.application_id == application_id)
        ]

    def knows(self, key: FakeKey) -> bool:
        return key.kid in self.stored or key in self.recalled

    def confirm(self, key: FakeKey) -> bool:
        self._hem.call()
        return self.stored.get(key.kid) is key

    def likely_scope(self) -> str:
        return self.scope

    def __iter__(self) -> Iterator[FakeKey]:
        self._hem.authorise()
        self._hem.call()
        self.listed += 1
        return iter(list(self.stored.values()))


@dataclass
class FakeHem:
    """``passphrase`` is what the device accepts."""

    config: DeviceConfig
    passphrase: str = PIN
    master: str = "master"
    is_emulator: bool = True
    agent_ready: bool = False
    failing: Exception | None = None
    statistics: Statistics = field(default_factory=Statistics)
    configured: str | None = None

    def __post_init__(self) -> None:
        self.keys = FakeKeys(self)
        self.identity: Identity | None = None
        self.logged_in = False
        self.closed = False
        self.scopes: list[str] = []
        self.roles: list[tuple[Role, Any]] = []
        self.verified: list[tuple[str, bytes | None]] = []
        self.signed: list[tuple[str, bytes, str, bytes | None]] = []

    @property
    def limits(self) -> FirmwareLimits:
        return self.config.firmware_limits

    def call(self) -> None:
        self.statistics.calls += 1
        if self.failing is not None:
            raise self.failing

    def authorise(self) -> None:
        if not self.logged_in:
            raise HemLoginRequired("log in first")

    def recall(self) -> None:
        """Nobody has seen it before."""

    def probe(self) -> Identity:
        self.call()
        self.identity = Identity("ZWlk", "user")
        return self.identity

    def login(
        self,
        passphrase: str | None = None,
        *,
        scope: str = "keymgmt:list",
        role: Role = Role.USER,
        kdf: Any = None,
        by_device: bool = False,  # noqa: ARG002
    ) -> None:
        self.call()
        self.statistics.logins += 1
        self.scopes.append(scope)
        given = passphrase if passphrase is not None else self.configured
        if given is None:
            raise HemLoginRequired("no passphrase is configured")
        self.roles.append((role, kdf))
        if given != (self.passphrase if role is Role.USER else self.master):
            raise HemAuthenticationError("wrong")
        self.logged_in = True

    def abandon(self) -> None:
        self.logout()

    def logout(self) -> None:
        self.logged_in = False

    def sign(self, kid: str, message: bytes, algorithm: str, *, context: bytes | None = None) -> bytes:
        self.authorise()
        self.call()
        self.signed.append((kid, message, algorithm, context))
        key = self.keys.stored.get(kid)
        if key is None:
            raise HemKeyNotFound(f"no key {kid}")
        if algorithm in _HASHES:
            return bytes(key.native.sign(message, ec.ECDSA(_HASHES[algorithm])))
        return bytes(key.native.sign(message))

    def verify(
        self, kid: str, message: bytes, signature: bytes, algorithm: str, *, context: bytes | None = None
    ) -> bool:
        self.authorise()
        self.call()
        self.verified.append((algorithm, context))
        try:
            self.keys.stored[kid].native.public_key().verify(signature, message)
        except InvalidSignature:
            return False
        return True

    def close(self) -> None:
        self.closed = True
