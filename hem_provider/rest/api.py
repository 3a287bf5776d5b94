"""All endpoint groups of one device over one channel."""

from __future__ import annotations

from hem_provider.config import DeviceConfig
from hem_provider.rest.auth import AuthApi
from hem_provider.rest.broker import BrokerApi
from hem_provider.rest.channel import Channel
from hem_provider.rest.configuration import ConfigurationApi
from hem_provider.rest.crypto import CryptoApi
from hem_provider.rest.domain import DomainApi
from hem_provider.rest.external import ExternalAuthApi
from hem_provider.rest.initialisation import InitialisationApi
from hem_provider.rest.keymgmt import KeymgmtApi
from hem_provider.rest.logger import LoggerApi
from hem_provider.rest.storage import StorageApi
from hem_provider.rest.symmetric import SymmetricApi
from hem_provider.rest.system import SystemApi
from hem_provider.rest.upgrade import UpgradeApi

__all__ = ["RestApi"]


class RestApi:
    """The device's groups, and the cloud's (``broker``, ``domain``). Constructing does no I/O."""

    def __init__(self, config: DeviceConfig) -> None:
        self.channel = Channel(config)
        self.auth = AuthApi(self.channel)
        self.initialisation = InitialisationApi(self.channel)
        self.external = ExternalAuthApi(self.channel)
        self.system = SystemApi(self.channel)
        self.configuration = ConfigurationApi(self.channel)
        self.keymgmt = KeymgmtApi(self.channel)
        self.crypto = CryptoApi(self.channel)
        self.symmetric = SymmetricApi(self.channel)
        self.logger = LoggerApi(self.channel)
        self.storage = StorageApi(self.channel)
        self.upgrade = UpgradeApi(self.channel)
        self.broker = BrokerApi(self.channel)
        self.domain = DomainApi(self.channel)

    def __repr__(self) -> str:
        return f"<RestApi of {self.channel.config.name}>"
