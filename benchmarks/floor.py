"""The floor: the least Python code that gets one answer from a device over HTTPS.

No library but ``http.client``, one TLS context built once, a connection per request as the device
wants it. What any layer of ours takes beyond this is our share.
"""

from __future__ import annotations

import http.client
import ssl
from urllib.parse import urlsplit

__all__ = ["BareClient"]


class BareClient:
    """Requests to one device, hand-written."""

    def __init__(self, url: str, ca_file: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 443
        self._context = ssl.create_default_context(cafile=ca_file)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_3

    def request(self, method: str, path: str, body: bytes | None = None, token: str | None = None) -> bytes:
        """One request on a connection of its own; raises ``OSError`` unless the answer is a 200."""
        headers = {"Connection": "close"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        connection = http.client.HTTPSConnection(self._host, self._port, context=self._context, timeout=30)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise OSError(f"{method} {path}: HTTP {answer.status}")
        return content
