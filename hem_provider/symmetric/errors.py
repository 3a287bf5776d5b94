"""What can be wrong with a key before any request; data errors are ``cryptography``'s own.

::

    HemError
     └─ UnsuitableKey          the key cannot be used for this
         ├─ WrongKeyType       also a TypeError: another kind of key, or without its secret half
         ├─ WrongKeyFamily     also a ValueError: the key is kept to another mode family
         └─ KeyUseDenied       also a ValueError: the key's maker ruled out this use or mode
    UserWarning
     └─ UnmarkedKeyWarning     the key is kept to no mode family
"""

from __future__ import annotations

from hem_provider.errors import HemError

__all__ = ["KeyUseDenied", "UnmarkedKeyWarning", "UnsuitableKey", "WrongKeyFamily", "WrongKeyType"]


class UnsuitableKey(HemError):
    """The key cannot be used for this operation; nothing was sent."""


class WrongKeyType(UnsuitableKey, TypeError):
    """The operation needs a key of another type."""


class WrongKeyFamily(UnsuitableKey, ValueError):
    """The key was created for another family of modes, which this one would undo."""


class KeyUseDenied(UnsuitableKey, ValueError):
    """The key's maker ruled out this direction or this mode (``Limits``)."""


class UnmarkedKeyWarning(UserWarning):
    """An AES key that carries no mode family is used: nothing keeps its modes apart."""
