"""One bare HTTPS request, for measuring: the least Python code that gets an answer from a device.

No library but ``http.client`` and one TLS context that the caller built once, which may resume sessions. The
connection lasts as long as the device keeps it. What any layer takes beyond this is that layer's own share.
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
        self._connection = http.client.HTTPSConnection(
            parts.hostname or "", parts.port or 443, context=context, timeout=timeout
        )
        self.calls = 0  #: requests sent so far

    def request(self, method: str, path: str, body: bytes | None = None, token: str | None = None) -> bytes:
        """One request; raises ``OSError`` unless the answer is a 200."""
        self.calls += 1
        headers = {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        kept = self._connection.sock is not None
        try:
            status, content = self._ask(method, path, body, headers)
        except ConnectionError:  # a kept connection may have ended meanwhile
            if not kept:
                raise
            status, content = self._ask(method, path, body, headers)
        if status != 200:
            raise OSError(f"{method} {path}: HTTP {status}")
        return content

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        try:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except BaseException:
            self._connection.close()
            raise


def bare_client(config: DeviceConfig) -> BareClient:
    """Requests that trust what the configuration trusts. ``HemTLSError`` for a bad CA file."""
    context = client_context(ca_file=config.ca_file, pin_sha256=config.pin_sha256, insecure=config.insecure)
    return BareClient(config.url, context)
