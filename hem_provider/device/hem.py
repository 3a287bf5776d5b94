"""``Hem``: one device, with login, recoveries and its keys.

>>> import hem_provider                                                   # doctest: +SKIP
>>> with hem_provider.connect("https://my.ence.do", passphrase="…") as hem:    # doctest: +SKIP
...     key = hem.keys.find(label="web")
...     signature = hem.sign(key.kid, b"data", "SHA256WithECDSA")
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from hem_provider.arguments import as_bytes, as_member, as_text, optional_bytes
from hem_provider.config import DeviceConfig, device_from_url, load_config
from hem_provider.config.limits import FirmwareLimits
from hem_provider.config.login_source import LoginSource, login_source
from hem_provider.device.cache import DiskCache, Glimpse
from hem_provider.device.inventory import KeyInventory
from hem_provider.device.key import Key
from hem_provider.device.login import LoginSession
from hem_provider.device.operations import Operations
from hem_provider.errors import HemError, HemOperationFailed
from hem_provider.rest import ciphers, system
from hem_provider.rest.api import RestApi
from hem_provider.rest.auth import Identity
from hem_provider.rest.call import Call
from hem_provider.rest.channel import Statistics
from hem_provider.rest.ciphers import Encrypted
from hem_provider.rest.credential import Role
from hem_provider.rest.kdf import Kdf
from hem_provider.rest.system import CheckInResult, Status, Version

if TYPE_CHECKING:
    from hem_provider.device.administration import Administration
    from hem_provider.device.auditlog import AuditLog
    from hem_provider.device.certificate import DeviceCertificate
    from hem_provider.device.phones import Phones

__all__ = [
    "CheckInResult",
    "Encrypted",
    "Hem",
    "Identity",
    "Kdf",
    "Key",
    "KeyInventory",
    "Role",
    "Statistics",
    "Status",
    "Version",
    "connect",
]

_EMULATOR = "hem-provider-emulator/"


class Hem:
    """One device. Constructing does no I/O; every method logs in by itself when it needs to.

    Safe for threads. After ``fork`` it works in the child: connections and locks are made anew,
    the login is kept. Calls raise the errors of ``hem_provider.errors``.
    """

    def __init__(self, config: DeviceConfig, *, passphrase: str | None = None, kdf: Kdf = Kdf.PBKDF2) -> None:
        self.config = config
        if passphrase is not None:
            as_text("passphrase", passphrase)
        as_member("kdf", kdf, Kdf)
        self.rest = RestApi(config)
        self.session = LoginSession(self.rest, passphrase=passphrase, kdf=kdf)
        self.operations = Operations(self.session)
        self.keys = KeyInventory(self.session, self.operations)

    # What most programs never use is loaded at its first use: loading it takes longer than a signature.

    @cached_property
    def admin(self) -> Administration:
        """Looking after the device: settings, passphrases, power, firmware. No I/O."""
        from hem_provider.device.administration import Administration

        return Administration(self.session)

    @cached_property
    def audit(self) -> AuditLog:
        """The device's log. No I/O."""
        from hem_provider.device.auditlog import AuditLog

        return AuditLog(self.session)

    @cached_property
    def certificate(self) -> DeviceCertificate:
        """The device's TLS certificate. No I/O."""
        from hem_provider.device.certificate import DeviceCertificate

        return DeviceCertificate(self.session)

    @cached_property
    def phones(self) -> Phones:
        """The phones that may log in. No I/O."""
        from hem_provider.device.phones import Phones

        return Phones(self.session)

    @property
    def statistics(self) -> Statistics:
        """Requests and logins since construction."""
        return self.rest.channel.statistics

    @property
    def limits(self) -> FirmwareLimits:
        """What the device's firmware takes at most: 1.2.2, or what ``firmware_limits`` says. No I/O."""
        return self.rest.channel.limits

    @property
    def is_emulator(self) -> bool:
        """Whether this is known to be the emulator, from the URL or the last answer. No I/O."""
        return self.config.url.startswith("emulator:") or self.rest.channel.server.startswith(_EMULATOR)

    @property
    def identity(self) -> Identity | None:
        """Known after the first contact. No I/O."""
        return self.session.identity

    @property
    def logged_in(self) -> bool:
        """Whether a login is at hand: a credential, or the user's agent since it was relied on. No I/O."""
        return self.session.is_logged_in

    @property
    def agent_ready(self) -> bool:
        """Whether the user's agent is a login here: it runs and is unlocked for this device. Asks it, at most
        every other second, and never the device."""
        return self.session.agent_ready

    @property
    def next_login(self) -> LoginSource | None:
        """What the next login comes from, as things are now; ``None`` where only a person can log in. An
        agent that was relied on and is locked by now is none, unless the configuration wants no other. Asks
        the agent, at most every other second, and never the device."""
        given = self.session.has_credential
        agent = not given and (self.config.agent == "always" or self.agent_ready)
        return login_source(self.config, given=given, agent=agent)

    def probe(self) -> Identity:
        """Ask the device who it is: one call, whose challenge the next login uses if it is soon; none
        where the user's agent remembers.

        ``HemUnreachable``, ``HemTLSError``, ``HemTimeout``; ``HemNotInitialized``;
        ``HemClockError`` when it needs a check-in first.
        """
        cache = DiskCache(self.config.url)
        try:
            identity = self.session.probe()
        except HemError:
            cache.forget_seen()
            raise
        challenge = self.session.challenge
        # What an agent answers may be its memory.
        if challenge is not None and challenge.eid == identity.eid and challenge.age < 1:
            cache.note_seen(Glimpse(identity.eid, self.is_emulator))
        return identity

    def recall(self) -> Glimpse | None:
        """The device, if it answered ``probe()`` of a process of this user within the last 30 s: for who only
        wants to know whether it is there. Not to be relied on for what it is: ``identity`` stays as it is. No
        I/O but the disk's."""
        return DiskCache(self.config.url).seen()

    def login(
        self,
        passphrase: str | None = None,
        *,
        role: Role = Role.USER,
        scope: str = "keymgmt:list",
        kdf: Kdf | None = None,
        by_device: bool = False,
    ) -> None:
        """Prove a passphrase to the device now (two calls; one after ``probe``), and keep it as a key, with
        the token for ``scope``. ``None`` takes the configured one.

        No call is made where the user's agent is unlocked, by this very passphrase if one is given, unless
        the login is to be proven ``by_device``. An agent is not asked about ``role=Role.MASTER`` or with
        ``kdf``.

        ``role``: whose secret it is. ``kdf``: how the device was given it; ``None``: as this object was told,
        and the master's as ``master_kdf`` of the configuration says.

        ``HemAuthenticationError`` when the device does not accept it, or takes it for another role; an
        earlier login stays then.
        """
        if passphrase is not None:
            as_text("passphrase", passphrase)
        if kdf is not None:
            as_member("kdf", kdf, Kdf)
        self.session.login(
            passphrase,
            role=as_member("role", role, Role),
            scope=as_text("scope", scope),
            kdf=kdf,
            by_device=by_device,
        )

    def logout(self) -> None:
        """Forget the credential (overwritten) and all tokens. Local: the device has no logout."""
        self.session.forget()

    def abandon(self) -> None:
        """In a forked child: overwrite its copy of the credential and drop it with the tokens. The
        connection is the parent's and stays as it is. Local, and takes no lock."""
        self.session.abandon()

    def status(self) -> Status:
        """The device's state (device API §17.1); no login."""
        return self.session.run(system.status())

    def version(self) -> Version:
        """Hardware and firmware (device API §17.2); no login."""
        return self.session.run(system.version())

    def check_in(self) -> CheckInResult:
        """Set the device's clock by way of its cloud service (device API §9): three calls; needs the
        internet, no login.

        ``HemUnreachable`` names the cloud when that is what fails; ``HemClockError`` when cloud or device
        reject the exchange.
        """
        from hem_provider.device.checkin import check_in

        return check_in(self.session)

    def sign(self, kid: str, message: bytes, algorithm: str, *, context: bytes | None = None) -> bytes:
        """Sign 1…``limits.message`` bytes. The signature in device form: DER for ECDSA, raw for EdDSA.

        ``algorithm``: the device's literal, ``SHA256WithECDSA``, ``Ed25519``, … (device API §13.3).
        ``MessageTooLong`` and ``ValueError`` before any request; ``HemKeyNotFound`` and
        ``HemOperationFailed`` say which of the two it was.
        """
        return self.operations.sign(
            kid, as_bytes("message", message), algorithm, context=optional_bytes("context", context)
        )

    def verify(
        self, kid: str, message: bytes, signature: bytes, algorithm: str, *, context: bytes | None = None
    ) -> bool:
        """Verify a signature over 1…``limits.message`` bytes on the device; form and ``algorithm`` as for
        ``sign``.

        ``HemKeyNotFound`` when there is no such key, ``HemOperationFailed`` when it is no key for this.
        """
        return self.operations.verify(
            kid,
            as_bytes("message", message),
            as_bytes("signature", signature),
            algorithm,
            context=optional_bytes("context", context),
        )

    def ecdh(self, kid: str, peer: bytes | str, *, algorithm: str | None = None) -> bytes:
        """Agree with ``peer``: a public key in device form, or the KID of a stored key.

        With ``algorithm`` (``SHA2-256`` … ``SHA3-512``) the digest of the secret; without, its first 32
        bytes, which is the whole of it for 256-bit curves only (device API §13.6). ``HemKeyNotFound``;
        ``HemOperationFailed`` where these two keys do not agree.
        """
        return self.operations.ecdh(kid, peer, algorithm=algorithm)

    def encrypt(
        self,
        kid: str,
        data: bytes,
        algorithm: str,
        *,
        aad: bytes | None = None,
        peer: bytes | str | None = None,
        context: bytes | None = None,
    ) -> Encrypted:
        """Encrypt 1…``limits.message`` bytes with ``AES{128,192,256}-{ECB,CBC,GCM}``: ciphertext, IV, tag.

        The IV (CBC, GCM) is 16 bytes that the device makes. ``aad`` beyond 16 bytes may not be
        authenticated (device API §13.4); ``hem_provider.symmetric`` has the standard forms. With
        ``peer`` (as for ``ecdh``) the key is derived from the secret agreed with it, apart for
        each ``context`` of up to 64 bytes (§13.7).
        """
        return self.operations.run(
            ciphers.encrypt(
                kid,
                as_bytes("data", data),
                algorithm,
                aad=optional_bytes("aad", aad),
                peer=peer,
                context=optional_bytes("context", context),
                limits=self.limits,
            )
        )

    def decrypt(
        self,
        kid: str,
        data: bytes,
        algorithm: str,
        *,
        iv: bytes | None = None,
        tag: bytes | None = None,
        aad: bytes | None = None,
        peer: bytes | str | None = None,
        context: bytes | None = None,
    ) -> bytes:
        """Decrypt up to ``limits.message`` + 16 bytes, other values as for ``encrypt``. ``iv`` (CBC, GCM)
        and ``tag`` (GCM) are 16 bytes each. ``HemOperationFailed``: tag or padding are wrong."""
        call = ciphers.decrypt(
            kid,
            as_bytes("data", data),
            algorithm,
            iv=optional_bytes("iv", iv),
            tag=optional_bytes("tag", tag),
            aad=optional_bytes("aad", aad),
            peer=peer,
            context=optional_bytes("context", context),
            limits=self.limits,
        )
        return self._accepted(call, f"decrypt with {algorithm}: tag, padding or key type is wrong")

    def wrap(
        self,
        kid: str,
        data: bytes,
        algorithm: str,
        *,
        icv: bytes | None = None,
        peer: bytes | str | None = None,
        context: bytes | None = None,
    ) -> bytes:
        """Wrap 16…``limits.message`` bytes (a multiple of 8) by RFC 3394 with ``AES{128,192,256}``: 8 bytes
        more.

        ``icv``: 8 bytes in place of the standard integrity value. Stored keys cannot be wrapped.
        """
        return self.operations.run(
            ciphers.wrap(
                kid,
                as_bytes("data", data),
                algorithm,
                icv=optional_bytes("icv", icv),
                peer=peer,
                context=optional_bytes("context", context),
                limits=self.limits,
            )
        )

    def unwrap(
        self,
        kid: str,
        data: bytes,
        algorithm: str,
        *,
        icv: bytes | None = None,
        peer: bytes | str | None = None,
        context: bytes | None = None,
    ) -> bytes:
        """Unwrap 24…``limits.message`` + 8 bytes: 8 bytes less. ``icv`` as for ``wrap``.
        ``HemOperationFailed``: the integrity value is wrong."""
        call = ciphers.unwrap(
            kid,
            as_bytes("data", data),
            algorithm,
            icv=optional_bytes("icv", icv),
            peer=peer,
            context=optional_bytes("context", context),
            limits=self.limits,
        )
        return self._accepted(call, f"unwrap with {algorithm}: integrity value or key type is wrong")

    def hmac(
        self, kid: str, data: bytes, *, algorithm: str | None = None, peer: bytes | str | None = None
    ) -> bytes:
        """HMAC (RFC 2104) of 1…``limits.message`` bytes: 32, 48 or 64 bytes.

        A stored key has its digest in its type; with ``peer`` the raw secret agreed is the key, and
        ``algorithm`` (``SHA2-256`` … ``SHA3-512``) the digest.
        """
        return self.operations.run(
            ciphers.hmac(kid, as_bytes("data", data), algorithm=algorithm, peer=peer, limits=self.limits)
        )

    def hmac_verify(
        self,
        kid: str,
        data: bytes,
        mac: bytes,
        *,
        algorithm: str | None = None,
        peer: bytes | str | None = None,
    ) -> bool:
        """Verify a whole HMAC on the device; other values as for ``hmac``. ``HemKeyNotFound`` when there
        is no such key."""
        call = ciphers.hmac_verify(
            kid,
            as_bytes("data", data),
            as_bytes("mac", mac),
            algorithm=algorithm,
            peer=peer,
            limits=self.limits,
        )
        valid = self.operations.run(call)
        if not valid:
            self.operations.fetch(call.kid)
        return valid

    def close(self) -> None:
        """Drop connections; the object may be used again."""
        self.rest.channel.close()

    def __enter__(self) -> Hem:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accepted(self, call: Call[bytes | None], what: str) -> bytes:
        result = self.operations.run(call)
        if result is None:
            self.operations.fetch(call.kid)
            raise HemOperationFailed(f"{self.config.name}: key {call.kid} is there but does not {what}")
        return result

    def __repr__(self) -> str:
        return f"<Hem {self.config.name} {self.config.url}>"


def connect(
    url: str | None = None,
    *,
    passphrase: str | None = None,
    kdf: Kdf = Kdf.PBKDF2,
    name: str | None = None,
    config_file: str | Path | None = None,
    **settings: object,
) -> Hem:
    """A device by ``url`` with ``settings`` (fields of ``DeviceConfig``), or by configuration.

    Without ``url`` the configuration file or environment tells: the device called ``name``, or the only one.
    No network I/O. ``HemConfigError`` says what is missing and how to set it; ``TypeError`` names an argument
    that does not go with the others.
    """
    if url is None:
        if settings:
            raise TypeError(f"settings ({', '.join(settings)}) need a url; a configured device has its own")
        config = load_config(Path(config_file) if config_file is not None else None).device(name)
    else:
        if config_file is not None:
            raise TypeError("give a url or a config_file, not both")
        config = device_from_url(url, name=name, **settings)
    return Hem(config, passphrase=passphrase, kdf=kdf)
