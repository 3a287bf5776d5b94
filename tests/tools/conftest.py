"""What the tests of tools share."""

from __future__ import annotations

from support.engine import certificates, device, engine, environment, kids, openssl

__all__ = ["certificates", "device", "engine", "environment", "kids", "openssl"]
