"""What all private key classes of this package share: they refer to a key on a device.

Copies are the same reference. What would need the private half here, or would silently make a
local key, is refused at once.
"""

from __future__ import annotations

from typing import Any, Generic, NoReturn, TypeVar

from hem_provider.device.key import Key
from hem_provider.errors import KeyNotExportable
from hem_provider.keys.public import load_public

__all__ = ["RemotePrivateKey"]

PublicT = TypeVar("PublicT")
SelfT = TypeVar("SelfT")


class RemotePrivateKey(Generic[PublicT]):
    """A private key on the device. Making one does no I/O."""

    def __init__(self, key: Key) -> None:
        self._key = key
        self._public: PublicT | None = None

    @property
    def hem_key(self) -> Key:
        """The device's record of the key."""
        return self._key

    @property
    def kid(self) -> str:
        """The device's id of the key: 32 hex digits."""
        return self._key.kid

    def public_key(self) -> PublicT:
        """The public half as a native ``cryptography`` key.

        No I/O when it is known. A listing does not tell it, and fetching it ahead would cost a
        call that signing does not need: so the first time may ask the device, once.
        """
        if self._public is None:
            self._public = load_public(self._key.type, self._key.public_bytes())
        return self._public

    def private_bytes(self, *_: Any, **__: Any) -> NoReturn:
        """Refused: ``KeyNotExportable``."""
        self._refuse("private_bytes")

    def private_bytes_raw(self, *_: Any, **__: Any) -> NoReturn:
        """Refused: ``KeyNotExportable``."""
        self._refuse("private_bytes_raw")

    def private_numbers(self, *_: Any, **__: Any) -> NoReturn:
        """Refused: ``KeyNotExportable``."""
        self._refuse("private_numbers")

    @classmethod
    def generate(cls, *_: Any, **__: Any) -> NoReturn:
        """Refused: the inherited method would make a local key. Use ``hem.keys.create``.
        ``KeyNotExportable``."""
        raise KeyNotExportable(f"{cls.__name__}.generate would make a local key; use hem.keys.create(…)")

    @classmethod
    def from_private_bytes(cls, *_: Any, **__: Any) -> NoReturn:
        """Refused: the device takes no private keys. ``KeyNotExportable``."""
        raise KeyNotExportable(f"{cls.__name__}: private keys cannot be brought to the device")

    @classmethod
    def from_seed_bytes(cls, *_: Any, **__: Any) -> NoReturn:
        """Refused: the device takes no private keys. ``KeyNotExportable``."""
        raise KeyNotExportable(f"{cls.__name__}: private keys cannot be brought to the device")

    def __copy__(self: SelfT) -> SelfT:
        return self

    def __deepcopy__(self: SelfT, memo: dict[Any, Any]) -> SelfT:
        return self

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        self._refuse("pickling")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemotePrivateKey) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._key!r}>"

    def _refuse(self, what: str) -> NoReturn:
        raise KeyNotExportable(
            f"{what}: the private half of key {self.kid} never leaves the device; "
            "where a library wants to export it, look for a way to give it a key object instead"
        )
