"""What is found at a device's address before anything is asked of it: its name's addresses, a connection, the
certificate that is presented there. Nothing is sent to the device.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

from hem_provider.config import DeviceConfig
from hem_provider.errors import HemUnreachable
from hem_provider.records import frozen, replace
from hem_provider.rest.deadline import Deadline
from hem_provider.rest.reasons import unreachable
from hem_provider.rest.resolve import look_up
from hem_provider.rest.sockets import TimedSocket, open_socket
from hem_provider.rest.tls import PinMismatchError, client_context
from hem_provider.rest.wire import Limit

__all__ = ["Presented", "addresses", "connected", "place_of", "presented"]

_PORTS = {"https": 443, "http": 80}


@frozen
class Presented:
    """``certificate``: DER, ``None`` where TLS ended before one came. ``code``: OpenSSL's reason why it is
    not accepted (its X509_V_ERR_…), 0 where it is; ``reason``: what does not please, in words, empty where
    all does. ``pinned_other``: the key is another than the pinned one. ``old_tls``: the peer wants a TLS that
    is older than 1.3."""

    certificate: bytes | None
    code: int = 0
    reason: str = ""
    pinned_other: bool = False
    old_tls: bool = False


def place_of(config: DeviceConfig) -> tuple[str, int]:
    """Host and port of a device's URL, for ``https`` and ``http``."""
    parts = urlsplit(config.url)
    return parts.hostname or "", parts.port or _PORTS[parts.scheme]


def addresses(config: DeviceConfig) -> tuple[str, ...]:
    """Of the device's name, in the system's order. ``HemUnreachable`` where it has none."""
    host, port = place_of(config)
    try:
        found = look_up(host, port, _deadline(config))
    except OSError as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise HemUnreachable(f"{host}: the name has no address: {reason}", code=unreachable(error)) from None
    return tuple(dict.fromkeys(str(each[4][0]) for each in found))


def connected(config: DeviceConfig, *, port: int | None = None) -> tuple[str, int]:
    """Address and port that take a connection, which is closed again; ``port``: in the place of the URL's.
    ``HemUnreachable`` says why none does."""
    with _connection(config, port) as connection:
        peer = connection.getpeername()
    return str(peer[0]), int(peer[1])


def presented(config: DeviceConfig) -> Presented:
    """What TLS shows, verified as the device's settings say; a second connection is made where the first is
    not accepted. ``HemUnreachable`` where nobody takes a connection."""
    try:
        with _handshake(config) as tls:
            return Presented(tls.getpeercert(binary_form=True))
    except PinMismatchError as error:
        return replace(_unverified(config), reason=str(error.args[0]), pinned_other=True)
    except ssl.SSLCertVerificationError as error:
        return replace(_unverified(config), code=error.verify_code, reason=error.verify_message)
    except OSError as error:
        return _none(error)


def _unverified(config: DeviceConfig) -> Presented:
    try:
        with _handshake(replace(config, insecure=True, ca_file=None, pin_sha256=None)) as tls:
            return Presented(tls.getpeercert(binary_form=True))
    except OSError as error:
        return _none(error)


def _none(error: OSError) -> Presented:
    old = isinstance(error, ssl.SSLError) and "PROTOCOL" in (error.reason or "")
    text = error.strerror if not isinstance(error, ssl.SSLError) else error.reason
    return Presented(None, reason=text or str(error) or "the connection was closed", old_tls=old)


@contextmanager
def _handshake(config: DeviceConfig) -> Iterator[ssl.SSLSocket]:
    context = client_context(ca_file=config.ca_file, pin_sha256=config.pin_sha256, insecure=config.insecure)
    host, _ = place_of(config)
    with _connection(config) as connection, context.wrap_socket(connection, server_hostname=host) as tls:
        yield tls


@contextmanager
def _connection(config: DeviceConfig, port: int | None = None) -> Iterator[TimedSocket]:
    host, usual = place_of(config)
    port = port or usual
    try:
        connection = open_socket(host, port, _deadline(config), None)
    except OSError as error:
        reason = getattr(error, "strerror", None) or str(error)
        if isinstance(error, TimeoutError):
            reason = f"no answer within {config.connect_timeout:g} s (connect_timeout)"
        raise HemUnreachable(
            f"{host}, port {port}: no connection: {reason}", code=unreachable(error)
        ) from None
    with closing(connection):
        yield connection


def _deadline(config: DeviceConfig) -> Deadline:
    return Deadline(Limit(config.timeout), Limit(config.connect_timeout, "connect_timeout"))
