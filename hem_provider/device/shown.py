"""The certificate that a device shows whoever connects, and whether it is accepted. Nothing is sent to it."""

from __future__ import annotations

import ssl
from urllib.parse import urlsplit

from hem_provider.config import DeviceConfig
from hem_provider.errors import HemConfigError, HemTLSError, HemUnreachable
from hem_provider.records import frozen, replace

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
    from hem_provider.rest.tls import PinMismatchError

    if urlsplit(config.url).scheme != "https":
        raise HemConfigError(f"{config.name}: {config.url} shows no certificate; one at https://HOST does")
    try:
        return ShownCertificate(_handshake(config), None, not config.insecure)
    except PinMismatchError as error:
        problem = str(error.args[0])
    except ssl.SSLCertVerificationError as error:
        problem = error.verify_message
    relaxed = replace(config, insecure=True, ca_file=None, pin_sha256=None)
    return ShownCertificate(_handshake(relaxed), problem, verified=True)


def _handshake(config: DeviceConfig) -> bytes:
    from hem_provider.rest.deadline import Deadline
    from hem_provider.rest.sockets import open_socket
    from hem_provider.rest.tls import PinMismatchError, client_context
    from hem_provider.rest.wire import Limit

    context = client_context(ca_file=config.ca_file, pin_sha256=config.pin_sha256, insecure=config.insecure)
    parts = urlsplit(config.url)
    host = parts.hostname or ""
    deadline = Deadline(Limit(config.timeout), Limit(config.connect_timeout, "connect_timeout"))
    try:
        with (
            open_socket(host, parts.port or 443, deadline, None) as connection,
            context.wrap_socket(connection, server_hostname=host) as tls,
        ):
            shown = tls.getpeercert(binary_form=True)
    except (PinMismatchError, ssl.SSLCertVerificationError):
        raise
    except ssl.SSLError as error:
        raise HemTLSError(f"{config.name} ({config.url}): TLS failed: {error.reason or error}") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise HemUnreachable(f"{config.url}: cannot reach the device: {reason}") from None
    if not shown:
        raise HemTLSError(f"{config.name} ({config.url}): no certificate was shown")
    return shown
