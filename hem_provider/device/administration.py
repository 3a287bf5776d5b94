"""Looking after a device: bringing it into use, its settings and passphrase, power, wipe-out.

Reached as ``hem.admin``. Nothing here is repeated blindly: where the device's answer does not tell
what it has done, the device is looked at (device API §20.4). ``HemOutcomeUnknown`` says that even
that did not tell, and how to see; any other error, that nothing was changed.
"""

from __future__ import annotations

from typing import Literal, TypeVar

from hem_provider.arguments import as_member, as_text
from hem_provider.device.cache import DiskCache
from hem_provider.device.checkin import check_in
from hem_provider.device.login import LoginSession
from hem_provider.device.upgrading import Upgrading
from hem_provider.device.watching import Looked, Watch
from hem_provider.errors import (
    HemAuthenticationError,
    HemClockError,
    HemConnectionError,
    HemError,
    HemNotInitialized,
    HemOperationFailed,
    HemOutcomeUnknown,
    HemRequestRefused,
    HemTimeout,
)
from hem_provider.logs import Logger
from hem_provider.rest import bip39, configuration, initialisation, storage, system
from hem_provider.rest.auth import bearer_from
from hem_provider.rest.call import Call
from hem_provider.rest.configuration import Attestation, Configuration, ConfigurationChange
from hem_provider.rest.credential import Credential, Role, rotation_fields
from hem_provider.rest.initialisation import Initialised, NewDevice
from hem_provider.rest.kdf import Kdf, initial_master_kdf, seed_from
from hem_provider.rest.settle import NOT_MADE, Change, NotMade
from hem_provider.rest.system import SelfTest, Status
from hem_provider.rest.upgrade import Image, Progress
from hem_provider.waiting import CLOCK

__all__ = ["SETTINGS", "Administration", "Image", "NewDevice", "check_master", "new_master_words"]

_log = Logger("hem_provider.device")

T = TypeVar("T")

_CONFIG = ("system:config",)

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


def new_master_words() -> str:
    """A new master secret: 24 words, of 256 random bits (BIP39, English)."""
    return bip39.new_phrase()


def check_master(secret: str) -> bool:
    """Whether a new master secret is 24 words, otherwise it is a passphrase. ``ValueError`` for 24 words that
    are no BIP39 mnemonic, naming wrong ones by their place only; and for four or more such words that are
    not 24, as those of a file that was cut short."""
    if bip39.looks_torn(secret):
        raise ValueError(
            f"mnemonic: {len(secret.split())} words of the BIP39 word list; accepted: {bip39.WORDS}, or a "
            "passphrase of other words"
        )
    if not bip39.looks_like_words(secret):
        return False
    bip39.entropy_of(secret)
    return True


class Administration:
    """``hem.admin``. Methods that change the device take a login with ``system:config``."""

    def __init__(self, session: LoginSession) -> None:
        self._session = session
        self._config = session.rest.channel.config
        self._name = self._config.name
        self._clock = CLOCK

    def fresh_identity(self) -> str:
        """The ``eid`` of a factory-fresh device, which stays when it is brought into use. One call, no login.

        ``HemClockError``: check in first. ``HemOperationFailed``: initialised already.
        """
        return self._session.run(initialisation.challenge()).eid

    def initialize(
        self, new: NewDevice, *, passphrase: str, master: str, master_kdf: Kdf | None = None
    ) -> Initialised:
        """Bring a factory-fresh device into use, setting its clock first when that is needed.

        ``passphrase`` becomes the user's; ``master`` the administrator's passphrase or 24 words, which cannot
        be changed later. ``master_kdf``: how the device is to take it; by itself, words as the vendor's
        newest software does (``Kdf.BIP39_ENTROPY``). ``ValueError`` for words that are no BIP39 mnemonic,
        before anything is sent. Afterwards this object is logged in as user. ``HemOperationFailed`` when the
        device is initialised already. ``HemAuthenticationError`` when it turns out to be initialised with
        another passphrase.
        """
        as_text("passphrase", passphrase)
        as_text("master", master)
        if master_kdf is not None:
            as_member("master_kdf", master_kdf, Kdf)
        how = master_kdf or initial_master_kdf(master, self._config.master_kdf)
        if how in (Kdf.BIP39, Kdf.BIP39_ENTROPY):
            seed_from(master, "", how)
        try:
            challenge = self._session.run(initialisation.challenge())
        except HemClockError:
            check_in(self._session)
            challenge = self._session.run(initialisation.challenge())
        user = self._session.derive(passphrase, challenge.eid, Role.USER)
        owner = self._session.derive(master, challenge.eid, Role.MASTER, how)
        if challenge.age > 50:  # deriving was slow: the challenge would be stale
            challenge = self._session.run(initialisation.challenge())
        fields = new.fields(master=owner.public, user=user.public)
        change = Change(
            made="the device was initialised",
            undone="the device is not initialised",
            see="ask for its status; if it is initialised, log in with the passphrase",
            look=lambda: self._initialised(user),
        )
        try:
            done = self._session.run(initialisation.initialise(challenge, owner, fields), change)
        except BaseException:
            user.wipe()
            raise
        finally:
            owner.wipe()
        self._session.adopt(user)
        self._session.keep(bearer_from(done.token), challenge.device_time())
        return done

    def _initialised(self, user: Credential) -> Initialised | Literal[NotMade.NOT_MADE]:
        """Whether the device is initialised with this user: what its answer would have said."""
        try:
            proven = self._session.proves(user, "system:config")
        except HemNotInitialized:
            return NOT_MADE
        if proven is None:
            raise HemAuthenticationError(
                f"{self._name}: it is initialised, and refuses the passphrase", code="E-PASSPHRASE"
            )
        bearer, _ = proven
        present = self._session.carry(configuration.read(), bearer)
        return Initialised(
            present.instance_id or "", bearer.text, genuine=None, csr=None, reboot_required=True
        )

    def configuration(self) -> Configuration:
        """The device's settings (device API §8.1). Takes a login for ``system:config``, ``logger:get`` or
        ``auth:ext:pair``."""
        return self._session.run(configuration.read())

    def configure(self, **settings: object) -> ConfigurationChange:
        """Change ``SETTINGS``, by these names (device API §8.2); the others stay.

        ``TypeError`` for one that does not exist; ``HemRequestRefused`` for a value that the device does not
        take. ``storage_mode`` and ``disk0_sectors`` (of 512 bytes) are for USB devices only; the latter
        formats disk 0.
        """
        unknown = sorted(set(settings) - set(SETTINGS))
        if unknown:
            raise TypeError(f"unknown setting {unknown[0]!r}; known: {', '.join(SETTINGS)}")

        def look() -> ConfigurationChange | Literal[NotMade.NOT_MADE]:
            if not all(_holds(self.configuration(), name, value) for name, value in settings.items()):
                return NOT_MADE
            return ConfigurationChange(updated=True, reboot_required=False, csr=None, genuine=None)

        change = Change("the settings were changed", "nothing was changed", "read its configuration", look)
        fields = {SETTINGS[name]: value for name, value in settings.items()}
        return self._session.run(configuration.write(fields), change)

    def change_passphrase(self, new: str, *, kdf: Kdf = Kdf.PBKDF2) -> None:
        """Rotate the user key (device API §8.3). The login present proves the old one; this object
        then uses the new. Keys are not touched; the device's identity stays.

        Where the answer does not tell, by a login with the new one. After ``HemOutcomeUnknown``
        this object is logged out: try the new passphrase, then the old one.
        """
        as_text("new", new)
        as_member("kdf", kdf, Kdf)

        try:
            self._rotate(new, kdf)
        except HemOutcomeUnknown:
            self._session.forget()  # neither passphrase is known to be good
            self._session.let_agent_forget()
            raise
        self._session.let_agent_forget()

    def _rotate(self, new: str, kdf: Kdf, *, again: bool = True) -> None:
        present = self._session.run(configuration.read().by(*_CONFIG))
        login = self._session.challenge
        seed = seed_from(new, present.eid, kdf)
        wanted = Credential(seed, eid=present.eid, role=Role.USER)
        fields = rotation_fields(seed, spk=present.spk, nonce=present.nonce)
        change: Change[object] = Change(
            made="the passphrase was changed",
            undone="the passphrase is still the old one",
            see="log in with the new one; if that is refused, with the old one",
            look=lambda: self._accepts(wanted),
        )
        try:
            self._session.run(configuration.rotate(fields), change)
        except BaseException as error:
            wanted.wipe()
            restarted = isinstance(error, HemRequestRefused) and self._session.challenge is not login
            if not (restarted and again):
                raise
            self._rotate(new, kdf, again=False)  # the nonce was of the boot before
        else:
            self._session.adopt(wanted)

    def _accepts(self, wanted: Credential) -> Literal[NotMade.NOT_MADE] | None:
        """Whether the user's secret is ``wanted`` now; two logins at most."""
        if self._session.proves(wanted, "system:config"):
            return None
        former = self._session.credential
        if former is not None and former.role is Role.USER and not self._session.proves(former, _CONFIG[0]):
            raise HemAuthenticationError(f"{self._name}: neither the new passphrase nor the old is accepted")
        return NOT_MADE

    def wipe(self, *, confirm: str, wait: float = 0.0, looked: Looked | None = None) -> bool:
        """Destroy every key and all settings; the device restarts factory-fresh.

        ``confirm`` must be the device's ``eid``, so that no other device is meant: ``ValueError``. With
        ``wait`` (s), until it answers: whether it was seen to be fresh. It may not answer by then, since its
        TLS certificate may be gone with the rest; ``HemOperationFailed`` when it goes on as before.
        ``looked(seconds)`` is called meanwhile.
        """

        present = self._session.run(configuration.read().by(*_CONFIG))
        if confirm != present.eid:
            raise ValueError(f"confirm: {confirm!r} is not the eid of {self._name}, {present.eid!r}")
        watch = Watch(self._session, self._clock, looked)
        change: Change[bool | None] = Change(
            made="the device was wiped",
            undone="the device was not wiped",
            see="ask for its status when it is back: a wiped device is not initialised",
            look=watch.wiped,
        )
        self._goes_away()
        try:
            self._session.run(configuration.wipe(), change)
        except HemOutcomeUnknown:
            self._forget_all()
            raise
        self._forget_all()
        try:
            fresh = bool(wait) and watch.wiped(wait)
        except HemTimeout:
            return False
        if fresh is NOT_MADE:
            raise HemOperationFailed(f"{self._name}: the device said yes, but was not wiped")
        return fresh

    def _forget_all(self) -> None:
        """Login, and the keys that were listed: nobody is to encrypt for one that is destroyed."""
        self._session.forget()
        DiskCache(self._config.url).forget_listing()

    def _goes_away(self) -> None:
        """That it was there just now tells nobody any more that it is."""
        DiskCache(self._config.url).forget_seen()

    def selftest(self) -> SelfTest:
        """Run all self-tests (device API §17.3); some 5 s. Takes a login, and none on a factory-fresh
        device."""
        return self._either(system.selftest())

    def attestation(self) -> Attestation:
        """The secure element's identity (device API §8.6). USB devices only. Takes a login, and none on a
        factory-fresh one."""
        return self._either(configuration.attestation())

    def reboot(self, *, wait: float = 0.0, looked: Looked | None = None) -> Status | None:
        """Restart (device API §17.4); all logins end and the clock is lost. With ``wait`` (s), until it has
        restarted and answers again: its status; ``HemTimeout`` when it does not, ``HemOperationFailed``
        when it goes on without a restart. A device takes 8 to 90 s. ``looked(seconds)`` is called
        meanwhile."""
        watch = Watch(self._session, self._clock, looked)
        change: Change[bool | None] = Change(
            made="the device has restarted",
            undone="the device has not restarted",
            see="its status tells how long it is up",
            look=watch.restarted,
        )
        self._goes_away()
        self._either(system.reboot(), change)
        return watch.back(wait) if wait else None

    def await_device(self, seconds: float) -> Status:
        """Ask until the device answers, at most for ``seconds``; ``HemTimeout`` otherwise."""
        away: HemConnectionError | None = None
        for _ in self._clock.looks(seconds, 1.0):
            try:
                return self._session.run(system.status())
            except HemConnectionError as error:
                away = error
        raise HemTimeout(f"{self._name}: not back after {seconds:g} s: {away}") from away

    def shutdown(self) -> None:
        """Off until unplugged and plugged in again (device API §17.4)."""
        watch = Watch(self._session, self._clock)
        change: Change[bool | None] = Change(
            made="the device was shut down",
            undone="the device was not shut down: it still answers",
            see="look at the device",
            look=watch.stopped,
        )
        self._goes_away()
        self._session.run(system.shutdown(), change)

    def unlock_disk(self, disk: int, *, writable: bool = False) -> None:
        """Show disk 0 (plain) or 1 (encrypted) on USB (device API §15); ``ValueError`` for another. USB
        devices only."""
        self._disk(storage.unlock(disk, writable=writable), disk, "rw" if writable else "ro")

    def lock_disk(self, disk: int) -> None:
        """Take disk 0 or 1 away from USB; ``ValueError`` for another."""
        self._disk(storage.lock(disk), disk, "-")

    def _disk(self, call: Call[None], disk: int, mode: str) -> None:
        watch = Watch(self._session, self._clock)
        change: Change[bool | None] = Change(
            made=f"disk {disk} is shown as {mode!r}",
            undone=f"disk {disk} is as it was",
            see="its status lists the disks",
            look=lambda: watch.shows(disk, mode),
            repeat=True,
        )
        self._session.run(call, change)

    def upgrade(
        self, image: Image, data: bytes, *, progress: Progress | None = None, timeout: float = 300.0
    ) -> None:
        """Upload, have verified and install a signed image (device API §16). Firmware restarts the device.

        ``progress(sent, all)`` is called while uploading, in bytes. ``MessageTooLong`` for more than
        ``image.limit`` bytes, ``HemDeviceFault`` when the image is not accepted, ``HemTimeout`` when
        verifying takes longer than ``timeout`` seconds.
        """
        self.stage(image, data, progress=progress, timeout=timeout)
        self.install(image)

    def stage(
        self,
        image: Image,
        data: bytes,
        *,
        progress: Progress | None = None,
        timeout: float = 300.0,
        looked: Looked | None = None,
    ) -> None:
        """The first half of ``upgrade``: upload an image and have its signature verified; nothing is
        installed yet. ``looked(seconds)`` is called while the device verifies."""
        self._upgrading.stage(image, data, progress=progress, timeout=timeout, looked=looked)

    def install(self, image: Image, *, wait: float = 0.0, looked: Looked | None = None) -> Status | None:
        """The other half: install what ``stage`` had verified. With ``wait`` (s) until the device has
        restarted with new firmware: its status; ``HemTimeout`` when it is not back by then,
        ``HemOperationFailed`` when it goes on without a restart. ``looked(seconds)`` is called meanwhile.
        """
        self._goes_away()
        return self._upgrading.install(image, wait=wait, looked=looked)

    @property
    def _upgrading(self) -> Upgrading:
        return Upgrading(self._session, self._clock, self._either)

    def _either(self, call: Call[T], change: Change[T] | None = None) -> T:
        """With a login on an initialised device, without one on a factory-fresh one."""
        if not self._session.has_any_login:
            try:
                fresh = not self._session.run(system.status()).initialized
            except HemError:
                fresh = False
            if fresh:
                call = call.by()
        return self._session.run(call, change)

    def __repr__(self) -> str:
        return f"<Administration of {self._name}>"


def _holds(present: Configuration, name: str, value: object) -> bool:
    """Whether a setting is as it was to be. Devices tell one sector less of disk 0 than they were
    given (device API §7.2)."""
    found = getattr(present, name)
    if name == "disk0_sectors" and isinstance(value, int):
        return found in (value, value - 1)
    return bool(found == value)
