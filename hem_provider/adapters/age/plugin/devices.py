"""The configured devices, as a plugin has them: a person is asked for a passphrase by way of the program that
started it, and only when a key is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

from hem_provider.adapters.age.devicekeys import DeviceHalf
from hem_provider.adapters.age.identities import Identity
from hem_provider.adapters.age.kinds import ML_KEM
from hem_provider.adapters.age.plugin.protocol import Client
from hem_provider.adapters.age.recipients import Recipient
from hem_provider.config import Config, DeviceConfig, load_config
from hem_provider.config.login_source import CONFIGURABLE, LoginSource
from hem_provider.device.hem import Hem
from hem_provider.device.key import Key
from hem_provider.errors import HemApprovalTimeout, HemLoginRequired, HemTimeout, HemUnreachable

__all__ = ["Devices"]

T = TypeVar("T")
#: How often a device that is away is tried, if the person wants it.
_TRIES = 3


class Devices:
    """Opened when a key of theirs is used, until the block is left. Methods raise ``HemConfigError``, what a
    login raises, and what using a key does."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._stack = ExitStack()
        self._config: Config | None = None
        self._opened: dict[str, Hem] = {}
        self._told: set[str] = set()

    def __enter__(self) -> Devices:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def configured(self) -> tuple[DeviceConfig, ...]:
        """All of them."""
        return tuple(self._loaded().devices)

    def halves(self, identity: Identity) -> list[DeviceHalf]:
        """The keys that an identity names. No I/O but the disk's."""
        hem = self._open(identity.device)
        return [_Lent(self, hem, key) for key in _keys_of(hem, identity)]

    def recipient(self, identity: Identity) -> Recipient:
        """The recipient that an identity is: local, but for a call where the ML-KEM half of a hybrid is not
        remembered."""
        if not identity.post_quantum:
            return Recipient(identity.kind, identity.public)
        hem = self._open(identity.device)
        post_quantum, key = _keys_of(hem, identity)
        if post_quantum.known_public is None:
            self.use(hem, f"keymgmt:use:{post_quantum.kid}", post_quantum.public_bytes)
        public = post_quantum.public_bytes() + identity.kind.point(key.public_key())
        return Recipient(identity.kind, public)

    @contextmanager
    def logged_in(self, config: DeviceConfig) -> Iterator[Hem]:
        """For ``searching.find_device``: a device of which all keys are looked through."""
        hem = self._open(config.name)
        self.ready(hem, "keymgmt:list")
        yield hem

    def use(self, hem: Hem, scope: str, what: Callable[[], T]) -> T:
        """What a use of a key gives, for which ``scope`` is needed. While the device is away a person may
        want it to be tried again."""
        tries = 1
        while True:
            try:
                self.ready(hem, scope)
                return what()
            except HemApprovalTimeout:
                raise
            except (HemUnreachable, HemTimeout) as error:
                question = f"HEM {hem.config.name} is not reached: {error}"
                if tries == _TRIES or not self._client.confirm(question, yes="try again", no="give up"):
                    raise
                tries += 1

    def ready(self, hem: Hem, scope: str) -> None:
        """See to it that the next call finds a login, in the order of ``config.login_source``; a person is
        asked last."""
        source, name = hem.next_login, hem.config.name
        if source is LoginSource.PHONE and name not in self._told:
            self._told.add(name)
            self._client.show(f"approve the use of HEM {name} on your phone")
        if source is not None:
            return
        secret = self._client.ask_secret(f"passphrase of HEM {name} ({hem.config.url})")
        if secret is None:
            raise HemLoginRequired(
                f"{name}: a login is needed, and no passphrase was given; run 'hem agent unlock', or "
                f"configure a source (HEM_PASSPHRASE_FILE; {CONFIGURABLE})"
            )
        hem.login(secret, scope=scope)

    def _loaded(self) -> Config:
        if self._config is None:
            self._config = load_config()
        return self._config

    def _open(self, name: str) -> Hem:
        if name not in self._opened:
            self._opened[name] = self._stack.enter_context(Hem(self._loaded().device(name)))
        return self._opened[name]


class _Lent(DeviceHalf):
    """A key of an identity, for whose use a person may be asked."""

    def __init__(self, devices: Devices, hem: Hem, key: Key) -> None:
        super().__init__(key)
        self._devices = devices
        self._hem = hem
        self._scope = f"keymgmt:use:{key.kid}"

    def agree(self, share: Any) -> bytes:
        return self._devices.use(self._hem, self._scope, lambda: DeviceHalf.agree(self, share))

    def decapsulate(self, ciphertext: bytes) -> bytes:
        return self._devices.use(self._hem, self._scope, lambda: DeviceHalf.decapsulate(self, ciphertext))


def _keys_of(hem: Hem, identity: Identity) -> list[Key]:
    """As ``identity.kids``."""
    *others, kid = identity.kids
    found = [hem.keys.told_of(each, ML_KEM.name) for each in others]
    return [*found, hem.keys.told_of(kid, identity.kind.curve, identity.public)]
