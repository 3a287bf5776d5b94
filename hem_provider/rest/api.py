"""All endpoint groups of one device over one channel."""

from __future__ import annotations

from hem_provider.config import DeviceConfig
from hem_provider.rest.auth import AuthApi
from hem_provider.rest.channel import Channel
from hem_provider.rest.crypto import CryptoApi
from hem_provider.rest.keymgmt import KeymgmtApi
from hem_provider.rest.symmetric import SymmetricApi
from hem_provider.rest.system import SystemApi

__all__ = ["RestApi"]


class RestApi:
    """``auth``, ``system``, ``keymgmt``, ``crypto``, ``symmetric``. Constructing does no I/O."""

    def __init__(self, config: DeviceConfig) -> None:
        self.channel = Channel(config)
        self.auth = AuthApi(self.channel)
        self.system = SystemApi(self.channel)
        self.keymgmt = KeymgmtApi(self.channel)
        self.crypto = CryptoApi(self.channel)
        self.symmetric = SymmetricApi(self.channel)
