"""What can be wrong with a vault; device errors are ``hem_provider.errors``'.

::

    HemError
     └─ VaultError
         ├─ VaultMissing       there is no vault at that path
         ├─ VaultExists        there is one where a new one should be made
         ├─ VaultDamaged       the file is not as it was written: cut, altered, another file
         │   └─ EntryRejected  one entry does not open: altered, moved, or of another vault
         ├─ VaultVersion       written by a later version of this package
         ├─ VaultBusy          another process holds the lock for too long
         └─ VaultUnwritable    the new content could not be written; the old one is in place
"""

from __future__ import annotations

from hem_provider.errors import HemError

__all__ = [
    "EntryRejected",
    "VaultBusy",
    "VaultDamaged",
    "VaultError",
    "VaultExists",
    "VaultMissing",
    "VaultUnwritable",
    "VaultVersion",
]


class VaultError(HemError):
    """Base of the errors of vaults."""


class VaultMissing(VaultError):
    """There is no vault at this path."""


class VaultExists(VaultError):
    """A vault is there already; it is never overwritten by a new one."""


class VaultDamaged(VaultError):
    """The file, or a part of it, is not as this package wrote it."""


class EntryRejected(VaultDamaged):
    """The device or the seal refuses one entry."""


class VaultVersion(VaultError):
    """The file is of a format version that this release does not know."""


class VaultBusy(VaultError):
    """The lock was not free within the time allowed."""


class VaultUnwritable(VaultError):
    """Writing failed (no space, no permission); the file is as it was before."""
