"""Looking after a device: bringing it into use, its settings and passphrase, power, wipe-out.

Reached as ``hem.admin``. Nothing here is repeated blindly: after a lost answer look at the device
first (device API §20.4).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from hem_provider.arguments import as_member, as_text
from hem_provider.errors import (
    HemClockError,
    HemConnectionError,
    HemDeviceFault,
    HemError,
    HemTimeout,
)
from hem_provider.rest.api import RestApi
from hem_provider.rest.auth import bearer_from
from hem_provider.rest.configuration import Attestation, Configuration, ConfigurationChange
from hem_provider.rest.credential import Credential, Role, rotation_fields
from hem_provider.rest.initialisation import Initialised, NewDevice
from hem_provider.rest.kdf import Kdf, seed_from
from hem_provider.rest.session import LoginSession
from hem_provider.rest.storage import storage_scope
from hem_provider.rest.system import SelfTest, Status
from hem_provider.rest.upgrade import Image, Progress, UpgradeState

__all__ = ["SETTINGS", "Administration", "NewDevice"]

_log = logging.getLogger("hem_provider.device")

T = TypeVar("T")

_CONFIG = ("system:config",)
_UPGRADE = ("system:upgrade",)
_ANY = ("system:config", "keymgmt:list", "logger:get")

#: Setting → the device's field (device API §8.2). Host name, address and master secret are fixed
#: at initialisation.
SETTINGS = {
    "user": "user",
    "email": "email",
    "origin": "origin",
    "trusted_time": "trusted_ts",
    "trusted_backend": "trusted_backend",
    "anonymous_search": "allow_keysearch",
    "context": "ctx",
    "hsts": "http_option_hsts",
    "request_deadline": "http_option_dosprot_mode",
    "dns_server": "dnsd",
    "storage_mode": "storage_mode",
    "disk0_sectors": "storage_disk0size",
}


class Administration:
    """``hem.admin``. Methods that change the device take a login with ``system:config``."""

    def __init__(self, rest: RestApi, session: LoginSession) -> None:
        self._rest = rest
        self._session = session
        self._name = rest.channel.config.name
        self._sleep: Callable[[float], None] = time.sleep

    def initialize(
        self, new: NewDevice, *, passphrase: str, master: str, master_kdf: Kdf = Kdf.PBKDF2
    ) -> Initialised:
        """Bring a factory-fresh device into use, setting its clock first when that is needed.

        ``passphrase`` becomes the user's; ``master`` the administrator's passphrase, or a 24-word
        mnemonic with ``master_kdf=Kdf.BIP39``: it cannot be changed later. Afterwards this object
        is logged in as user. ``HemOperationFailed`` when the device is initialised already.
        """
        as_text("passphrase", passphrase)
        as_text("master", master)
        as_member("master_kdf", master_kdf, Kdf)
        try:
            challenge, _ = self._rest.initialisation.challenge()
        except HemClockError:
            self._rest.system.check_in()
            challenge, _ = self._rest.initialisation.challenge()
        user = self._session.derive(passphrase, challenge.eid, Role.USER)
        owner = self._session.derive(master, challenge.eid, Role.MASTER, master_kdf)
        if challenge.age > 50:  # deriving was slow: the challenge would be stale
            challenge, _ = self._rest.initialisation.challenge()
        try:
            fields = new.fields(master=owner.public, user=user.public)
            done = self._rest.initialisation.initialise(challenge, owner, fields)
        finally:
            owner.wipe()
        self._session.adopt(user)
        self._session.keep(bearer_from(done.token), challenge.device_time())
        return done

    def configuration(self) -> Configuration:
        """The device's settings."""
        return self._session.authorised(
            ("system:config", "logger:get", "auth:ext:pair"),
            lambda token: self._rest.configuration.read(token=token),
        )

    def configure(self, **settings: object) -> ConfigurationChange:
        """Change ``SETTINGS``; the others stay. ``TypeError`` for one that does not exist."""
        unknown = sorted(set(settings) - set(SETTINGS))
        if unknown:
            raise TypeError(f"unknown setting {unknown[0]!r}; known: {', '.join(SETTINGS)}")
        return self._write({SETTINGS[name]: value for name, value in settings.items()})

    def change_passphrase(self, new: str, *, kdf: Kdf = Kdf.PBKDF2) -> None:
        """Rotate the user key (device API §8.3). The login present proves the old one; this object
        then uses the new. Keys are not touched; the device's identity stays."""
        as_text("new", new)
        as_member("kdf", kdf, Kdf)

        def rotate(token: str) -> Credential:
            present = self._rest.configuration.read(token=token)
            seed = seed_from(new, present.eid, kdf)
            fields = rotation_fields(seed, spk=present.spk, nonce=present.nonce)
            self._rest.configuration.write(fields, token=token)
            return Credential(seed, eid=present.eid, role=Role.USER)

        self._session.adopt(self._session.authorised(_CONFIG, rotate))

    def wipe(self, *, confirm: str) -> None:
        """Destroy every key and all settings; the device restarts factory-fresh.

        ``confirm`` must be the device's ``eid``, so that no other device is meant: ``ValueError``.
        """

        def act(token: str) -> None:
            present = self._rest.configuration.read(token=token)
            if confirm != present.eid:
                raise ValueError(f"confirm: {confirm!r} is not the eid of {self._name}, {present.eid!r}")
            self._rest.configuration.wipe(token=token)

        self._session.authorised(_CONFIG, act)
        self._session.forget()

    def selftest(self) -> SelfTest:
        """Run all self-tests; some 5 s."""
        return self._either(_ANY, lambda token: self._rest.system.selftest(token=token))

    def attestation(self) -> Attestation:
        """The secure element's identity. USB devices only."""
        return self._either(_ANY, lambda token: self._rest.configuration.attestation(token=token))

    def reboot(self, *, wait: float = 0.0) -> Status | None:
        """Restart; all logins end and the clock is lost. With ``wait`` (s), until it answers again:
        its status; ``HemTimeout`` when it does not. A device takes 8 to 90 s."""
        scopes = ("system:config", "system:upgrade", "system:shutdown")
        self._either(scopes, lambda token: self._rest.system.reboot(token=token))
        return self.await_device(wait) if wait else None

    def await_device(self, seconds: float) -> Status:
        """Ask until the device answers, at most for ``seconds``; ``HemTimeout`` otherwise."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self._rest.system.status()
            except HemConnectionError as error:
                if time.monotonic() >= deadline:
                    raise HemTimeout(f"{self._name}: not back after {seconds:g} s: {error}") from error
            self._sleep(1.0)

    def shutdown(self) -> None:
        """Off until unplugged and plugged in again."""
        scopes = ("system:config", "system:shutdown")
        self._session.authorised(scopes, lambda token: self._rest.system.shutdown(token=token))

    def unlock_disk(self, disk: int, *, writable: bool = False) -> None:
        """Show disk 0 (plain) or 1 (encrypted) on USB. USB devices only."""
        scope = (storage_scope(disk, writable=writable),)
        self._session.authorised(scope, lambda token: self._rest.storage.unlock(token=token))

    def lock_disk(self, disk: int) -> None:
        """Take a disk away from USB."""
        scopes = (storage_scope(disk), storage_scope(disk, writable=True))
        self._session.authorised(scopes, lambda token: self._rest.storage.lock(token=token))

    def upgrade(
        self, image: Image, data: bytes, *, progress: Progress | None = None, timeout: float = 300.0
    ) -> None:
        """Upload, have verified and install a signed image. Firmware restarts the device.

        ``progress(sent, all)`` is called while uploading. ``HemDeviceFault`` when the image is not
        accepted, ``HemTimeout`` when verifying takes longer than ``timeout`` seconds.
        """
        api = self._rest.upgrade
        self._either(_UPGRADE, lambda token: api.upload(image, data, progress=progress, token=token))
        deadline = time.monotonic() + timeout
        while True:
            state = self._either(_UPGRADE, lambda token: api.check(image, token=token))
            if state is UpgradeState.VERIFIED:
                break
            if state in (UpgradeState.BAD, UpgradeState.NOTHING):
                raise HemDeviceFault(f"{self._name}: the device does not accept the image ({state.name})")
            if time.monotonic() >= deadline:
                raise HemTimeout(f"{self._name}: the image was not verified within {timeout:g} s")
            self._sleep(4.0)
        self._either(_UPGRADE, lambda token: api.install(image, token=token))

    def _write(self, changes: dict[str, object]) -> ConfigurationChange:
        return self._session.authorised(
            _CONFIG, lambda token: self._rest.configuration.write(changes, token=token)
        )

    def _either(self, scopes: tuple[str, ...], action: Callable[[str | None], T]) -> T:
        """With a login on an initialised device, without one on a factory-fresh one."""
        if not self._session.has_any_login:
            try:
                fresh = not self._rest.system.status().initialized
            except HemError:
                fresh = False
            if fresh:
                return action(None)
        return self._session.authorised(scopes, action)
