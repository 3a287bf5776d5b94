"""Which transport a device URL needs: its scheme leads to a ``Way``. Transports are imported when they are
first used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Protocol
from urllib.parse import urlsplit

from hem_provider.config import DeviceConfig
from hem_provider.errors import HemConfigError
from hem_provider.rest.wire import Transport

if TYPE_CHECKING:
    from hem_provider.rest.wsgi import InProcessDevice

__all__ = ["WAYS", "Carriers", "Way", "way_of"]


class Way(Protocol):
    """How devices whose URLs have one scheme are reached.

    ``plain``: whoever listens reads along, so that keys are not used. ``network``: other processes reach
    the same device, which then serves one after the other.
    """

    plain: ClassVar[bool]
    network: ClassVar[bool]

    def __init__(self, config: DeviceConfig) -> None: ...

    def device(self) -> Transport:
        """A transport to the device itself."""

    def cloud(self) -> Transport:
        """A transport to the device's cloud service; always verified."""

    def close(self) -> None:
        """Release what both share; each transport is closed before."""


class _Https:
    plain: ClassVar[bool] = False
    network: ClassVar[bool] = True

    def __init__(self, config: DeviceConfig) -> None:
        self._config = config

    def device(self) -> Transport:
        from hem_provider.rest.http import HttpTransport
        from hem_provider.rest.tls import client_context

        config = self._config
        context = None
        if not self.plain:
            context = client_context(
                ca_file=config.ca_file, pin_sha256=config.pin_sha256, insecure=config.insecure
            )
        return HttpTransport(
            config.url,
            context,
            connect_timeout=config.connect_timeout,
            loudly_unverified=config.insecure,
        )

    def cloud(self) -> Transport:
        from hem_provider.rest.http import HttpTransport
        from hem_provider.rest.tls import client_context

        config = self._config
        return HttpTransport(
            config.cloud_url,
            client_context(ca_file=config.cloud_ca_file),
            connect_timeout=config.connect_timeout,
            proxy=config.cloud_proxy,
            peer="the cloud service",
            away="E-CLOUD",
        )

    def close(self) -> None:
        pass


class _Http(_Https):
    plain = True


class _InProcess:
    plain: ClassVar[bool] = False
    network: ClassVar[bool] = False

    def __init__(self, config: DeviceConfig) -> None:
        self._config = config
        self._opened: InProcessDevice | None = None

    def device(self) -> Transport:
        from hem_provider.rest.wsgi import WsgiTransport

        return WsgiTransport(self._open().device, self._config.url)

    def cloud(self) -> Transport:
        from hem_provider.rest.wsgi import WsgiTransport

        return WsgiTransport(self._open().cloud, self._config.url)

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()

    def _open(self) -> InProcessDevice:
        if self._opened is None:
            from hem_provider.rest.wsgi import open_in_process

            self._opened = open_in_process(self._config.url)
        return self._opened


class _Agent:
    """Of a device that is reached through an agent alone (``rest/agentlink.py``): no way of its own."""

    plain: ClassVar[bool] = False
    network: ClassVar[bool] = False

    def __init__(self, config: DeviceConfig) -> None:
        self._url = config.url

    def device(self) -> Transport:
        raise HemConfigError(
            f"{self._url}: an agent carries no logins, check-ins, uploads and initialisations; "
            "accepted for these: the device's own https://HOST"
        )

    cloud = device

    def close(self) -> None:
        pass


#: Scheme → way; any other scheme is that of a plug-in, which opens a device in this process.
WAYS: Mapping[str, type[Way]] = {"https": _Https, "http": _Http, "unix": _Agent}


def way_of(url: str) -> type[Way]:
    """The way to a device.

    >>> way_of("http://192.168.7.1").plain
    True
    """
    return WAYS.get(urlsplit(url).scheme, _InProcess)


class Carriers:
    """The transports of one device in one process; each is made at its first use."""

    def __init__(self, config: DeviceConfig) -> None:
        self._config = config
        self._way: Way | None = None
        self._device: Transport | None = None
        self._cloud: Transport | None = None

    def device(self) -> Transport:
        """The way to the device itself."""
        if self._device is None:
            self._device = self._opened().device()
        return self._device

    def cloud(self) -> Transport:
        """The way to the device's cloud service; always verified."""
        if self._cloud is None:
            self._cloud = self._opened().cloud()
        return self._cloud

    def close(self) -> None:
        """Drop all connections."""
        for each in (self._device, self._cloud, self._way):
            if each is not None:
                each.close()
        self._device = self._cloud = self._way = None

    def _opened(self) -> Way:
        if self._way is None:
            self._way = way_of(self._config.url)(self._config)
        return self._way
