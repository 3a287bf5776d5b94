"""What the tests of tools share."""

from __future__ import annotations

from support.engine import device, engine, environment, kids, openssl

__all__ = ["device", "engine", "environment", "kids", "openssl"]
