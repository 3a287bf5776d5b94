"""What can be wrong with a file of age's."""

from __future__ import annotations

from hem_provider.errors import HemError, HemKeyNotFound

__all__ = ["DamagedFile", "NotForThisKey", "TooManyTries"]


class DamagedFile(HemError):
    """The file is none of age's, or was changed, cut or added to. What was released of it before is as it
    was encrypted, and is its beginning."""


class NotForThisKey(HemKeyNotFound):
    """No key that was tried opens the file."""


class TooManyTries(HemError):
    """Finding the key by trying would take the device too long."""
