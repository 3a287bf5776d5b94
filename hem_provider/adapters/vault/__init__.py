"""A file of secrets that open only with a key of a HEM.

========== ==========================================================================
errors      what can be wrong with a vault
format      the file's text, canonical in every byte; no I/O, no cryptography but a checksum
names       service and user name as the file shows them: readable, or hidden
sealing     one entry: its data key wrapped by the device, its content sealed here
store       reading, locking and replacing the file so that nothing is lost
keys        the vault's keys on a device
vault       ``Vault``: look up, set, delete, list
bulk        what works through many entries: put, check, rewrap
========== ==========================================================================
"""

from __future__ import annotations

from hem_provider.adapters.vault.errors import (
    EntryRejected,
    VaultBusy,
    VaultDamaged,
    VaultError,
    VaultExists,
    VaultMissing,
    VaultUnwritable,
    VaultVersion,
)
from hem_provider.adapters.vault.format import Header
from hem_provider.adapters.vault.sealing import Content
from hem_provider.adapters.vault.store import default_path
from hem_provider.adapters.vault.vault import Vault

__all__ = [
    "Content",
    "EntryRejected",
    "Header",
    "Vault",
    "VaultBusy",
    "VaultDamaged",
    "VaultError",
    "VaultExists",
    "VaultMissing",
    "VaultUnwritable",
    "VaultVersion",
    "default_path",
]
