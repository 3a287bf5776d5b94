"""What the emulated devices of the tests are initialised with, unless a test says otherwise."""

from __future__ import annotations

__all__ = ["ADMIN", "PASSPHRASE"]

#: Of the user, and of the owner. Published vectors are made of the former too.
PASSPHRASE = "correct horse battery staple"
ADMIN = "admin passphrase"
