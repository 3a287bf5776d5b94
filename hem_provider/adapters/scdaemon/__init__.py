"""A smart card daemon for GnuPG whose cards are devices' keys: ``scdaemon-program`` of gpg-agent.

It is GnuPG's protocol alone; what certificates are, and where cards come from, whoever calls ``serve`` knows.
"""

from __future__ import annotations

from hem_provider.adapters.scdaemon.cards import DECRYPT, SIGN, Card, CardKey, Shelf, serial_number
from hem_provider.adapters.scdaemon.server import serve

__all__ = ["DECRYPT", "SIGN", "Card", "CardKey", "Shelf", "serial_number", "serve"]
