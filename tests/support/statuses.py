"""What a server of a test answers to ``GET /api/system/status``, as bytes on the wire."""

from __future__ import annotations

__all__ = ["STATUS", "status_answer"]

#: The least that a device says.
STATUS = b'{"fls_state":0,"uptime":1,"ctx":0}'


def status_answer(*headers: bytes, body: bytes = STATUS) -> bytes:
    """A whole 200 with ``headers`` (each without its line end)."""
    lines = (b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *headers)
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
