"""One bare HTTPS request, for measuring: the least Python code that gets an answer from a device.

No library but ``http.client``, one TLS context that the caller built once, a connection per request
as the device wants it. What any layer takes beyond this is that layer's own share.
"""

from __future__ import annotations

import http.client
import ssl
from urllib.parse import urlsplit

from hem_provider.config import DeviceConfig
from hem_provider.rest.tls import client_context

__all__ = ["BareClient", "bare_client"]


class BareClient:
    """Requests to the device at ``url`` (``https://…``), with ``timeout`` seconds for each."""

    def __init__(self, url: str, context: ssl.SSLContext, timeout: float = 60.0) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 443
        self._context = context
        self._timeout = timeout
        self.calls = 0  #: requests sent so far

    def request(self, method: str, path: str, body: bytes | None = None, token: str | None = None) -> bytes:
        """One request on a connection of its own; raises ``OSError`` unless the answer is a 200."""
        self.calls += 1
        headers = {"Connection": "close"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        connection = http.client.HTTPSConnection(
            self._host, self._port, context=self._context, timeout=self._timeout
        )
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise OSError(f"{method} {path}: HTTP {answer.status}")
        return content


def bare_client(config: DeviceConfig) -> BareClient:
    """Requests that trust what the configuration trusts. ``HemTLSError`` for a bad CA file."""
    context = client_context(ca_file=config.ca_file, pin_sha256=config.pin_sha256, insecure=config.insecure)
    return BareClient(config.url, context)
