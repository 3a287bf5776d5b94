"""What the tests of tools share."""

from __future__ import annotations

from support.engine import bare_environment, certificates, engine, environment, keyed, kids, openssl

__all__ = ["bare_environment", "certificates", "engine", "environment", "keyed", "kids", "openssl"]
