"""The ways to one device: the channel to itself, and the services of its cloud."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from hem_provider.config import DeviceConfig
from hem_provider.rest.channel import Channel

if TYPE_CHECKING:
    from hem_provider.rest.broker import BrokerApi
    from hem_provider.rest.domain import DomainApi

__all__ = ["RestApi"]


class RestApi:
    """What calls to the device go through (``channel``), and the cloud's endpoint groups (``broker``,
    ``domain``), which are loaded at their first use. Constructing does no I/O."""

    def __init__(self, config: DeviceConfig) -> None:
        self.channel = Channel(config)

    @cached_property
    def broker(self) -> BrokerApi:
        """The way to phones."""
        from hem_provider.rest.broker import BrokerApi

        return BrokerApi(self.channel)

    @cached_property
    def domain(self) -> DomainApi:
        """The register of device names."""
        from hem_provider.rest.domain import DomainApi

        return DomainApi(self.channel)

    def __repr__(self) -> str:
        return f"<RestApi of {self.channel.config.name}>"
