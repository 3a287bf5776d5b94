"""The certificate that a device shows whoever connects, and whether it is accepted. Nothing is sent to it."""

from __future__ import annotations

from urllib.parse import urlsplit

from hem_provider.config import DeviceConfig
from hem_provider.errors import HemConfigError, HemTLSError
from hem_provider.records import frozen
from hem_provider.rest.peer import presented

__all__ = ["ShownCertificate", "shown_certificate"]


@frozen
class ShownCertificate:
    """``der``: the device's certificate, without those above it. ``problem``: why it is not accepted, in
    words; ``None`` where it is. ``verified``: whether the configuration has it verified at all."""

    der: bytes
    problem: str | None
    verified: bool


def shown_certificate(config: DeviceConfig) -> ShownCertificate:
    """What the device's TLS shows, verified as the configuration says: one handshake, a second one where the
    first is not accepted. ``HemConfigError`` for a device that is not at ``https``, ``HemUnreachable``,
    ``HemTLSError`` where no certificate is shown at all."""
    if urlsplit(config.url).scheme != "https":
        raise HemConfigError(f"{config.name}: {config.url} shows no certificate; one at https://HOST does")
    found = presented(config)
    if not found.certificate:
        raise HemTLSError(f"{config.name} ({config.url}): no certificate was shown: {found.reason}")
    return ShownCertificate(found.certificate, found.reason or None, verified=not config.insecure)
