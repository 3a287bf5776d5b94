"""What the tests of tools share."""

from __future__ import annotations

from support.engine import (
    bare_environment,
    certificates,
    device_environment,
    engine,
    environment,
    keyed,
    kids,
    module,
    openssl,
    way,
)

__all__ = [
    "bare_environment",
    "certificates",
    "device_environment",
    "engine",
    "environment",
    "keyed",
    "kids",
    "module",
    "openssl",
    "way",
]
