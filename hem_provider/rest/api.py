"""The ways to one device: the channel to itself, and the services of its cloud."""

from __future__ import annotations

from hem_provider.config import DeviceConfig
from hem_provider.rest.broker import BrokerApi
from hem_provider.rest.channel import Channel
from hem_provider.rest.domain import DomainApi

__all__ = ["RestApi"]


class RestApi:
    """What calls to the device go through (``channel``), and the cloud's endpoint groups (``broker``,
    ``domain``). Constructing does no I/O."""

    def __init__(self, config: DeviceConfig) -> None:
        self.channel = Channel(config)
        self.broker = BrokerApi(self.channel)
        self.domain = DomainApi(self.channel)

    def __repr__(self) -> str:
        return f"<RestApi of {self.channel.config.name}>"
