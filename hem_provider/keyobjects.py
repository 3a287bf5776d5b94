"""Who makes ``cryptography``'s key objects of a device's keys.

That is a layer above the device's (``hem_provider.keys``). The package itself hands it down when it is
imported, as a function, so that ``cryptography`` is loaded with the first key object and not before.
"""

from __future__ import annotations

from collections.abc import Callable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol
else:
    Protocol = object

__all__ = ["KeyObjects", "hand_down", "key_objects"]


class KeyObjects(Protocol):
    """What makes both halves of a ``Key``; see ``Key.private_key`` and ``Key.public_key``."""

    def private_key(self, key: Any, /) -> Any:
        """The private key object. No I/O."""

    def public_key(self, key: Any, /) -> Any:
        """The native public key; asks the device once when it is not known."""


def _nobody() -> KeyObjects:
    raise RuntimeError("hem_provider was not imported as a package: nothing makes key objects")


_maker: Callable[[], KeyObjects] = _nobody


def hand_down(maker: Callable[[], KeyObjects]) -> None:
    """Have key objects made by what ``maker`` returns."""
    global _maker
    _maker = maker


def key_objects() -> KeyObjects:
    """The maker of key objects, loaded when it is first needed."""
    return _maker()
