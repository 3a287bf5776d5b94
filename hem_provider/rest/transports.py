"""Which transport a device URL needs. Each is imported when it is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hem_provider.config import DeviceConfig
from hem_provider.errors import HemConfigError
from hem_provider.rest.wire import Transport

if TYPE_CHECKING:
    from hem_provider.rest.wsgi import InProcessDevice

__all__ = ["Carriers"]


class Carriers:
    """The transports of one device in one process; each is made at its first use."""

    def __init__(self, config: DeviceConfig) -> None:
        self._config = config
        self._scheme = urlsplit(config.url).scheme
        self._device: Transport | None = None
        self._cloud: Transport | None = None
        self._opened: InProcessDevice | None = None

    def device(self) -> Transport:
        """The way to the device itself."""
        if self._device is None:
            self._device = self._open_device()
        return self._device

    def cloud(self) -> Transport:
        """The way to the device's cloud service; always verified."""
        if self._cloud is None:
            config = self._config
            if self._is_network:
                from hem_provider.rest.http import HttpTransport
                from hem_provider.rest.tls import client_context

                self._cloud = HttpTransport(
                    config.cloud_url,
                    client_context(ca_file=config.cloud_ca_file),
                    connect_timeout=config.connect_timeout,
                    proxy=config.cloud_proxy,
                )
            else:
                from hem_provider.rest.wsgi import WsgiTransport

                self._cloud = WsgiTransport(self._in_process().cloud, config.url)
        return self._cloud

    def close(self) -> None:
        """Drop all connections."""
        for transport in (self._device, self._cloud):
            if transport is not None:
                transport.close()
        if self._opened is not None:
            self._opened.close()
        self._device = self._cloud = self._opened = None

    @property
    def _is_network(self) -> bool:
        return self._scheme in ("https", "http")

    def _open_device(self) -> Transport:
        config = self._config
        if self._scheme == "unix":
            raise HemConfigError(
                f"{config.url}: this version has no agent to speak to; accepted: https://HOST"
            )
        if not self._is_network:
            from hem_provider.rest.wsgi import WsgiTransport

            return WsgiTransport(self._in_process().device, config.url)
        from hem_provider.rest.http import HttpTransport
        from hem_provider.rest.tls import client_context

        context = None
        if self._scheme == "https":
            context = client_context(
                ca_file=config.ca_file, pin_sha256=config.pin_sha256, insecure=config.insecure
            )
        return HttpTransport(
            config.url,
            context,
            connect_timeout=config.connect_timeout,
            loudly_unverified=config.insecure,
        )

    def _in_process(self) -> InProcessDevice:
        if self._opened is None:
            from hem_provider.rest.wsgi import open_in_process

            self._opened = open_in_process(self._config.url)
        return self._opened
