"""X.509 with keys of a device: requests (RFC 2986), certificates (RFC 5280), and what a certificate says.

``names`` reads what people type, ``profiles`` says what a certificate is good for, ``making`` makes it, with
one signature of the device, and ``telling`` reads it back.
"""

from __future__ import annotations

__all__: list[str] = []
