"""The served emulator, and clients of it."""

from __future__ import annotations

from typing import Any

from hem_provider.device import Hem, connect
from hem_provider.emulator.process import ServedEmulator

__all__ = ["ServedEmulator", "client_of"]


def client_of(served: ServedEmulator, **settings: Any) -> Hem:
    """A client of a served emulator and its cloud, over TLS that is verified."""
    return connect(
        served.https,
        passphrase=served.passphrase,
        ca_file=served.ca_file,
        cloud_url=served.cloud,
        cloud_ca_file=served.ca_file,
        **settings,
    )
