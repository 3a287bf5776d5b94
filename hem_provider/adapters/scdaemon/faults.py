"""How errors are told to GnuPG: by libgpg-error's codes (https://gnupg.org/software/libgpg-error)."""

from __future__ import annotations

from hem_provider.errors import (
    HemApprovalDenied,
    HemAuthenticationError,
    HemConfigError,
    HemConnectionError,
    HemError,
    HemKeyNotFound,
    HemLoginRequired,
    HemOperationFailed,
    HemScopeDenied,
    MessageTooLong,
)

__all__ = ["CODES", "CardFault", "fault_of"]

#: libgpg-error's names, without ``GPG_ERR_`` → its numbers.
CODES = {
    "GENERAL": 1, "NO_SECKEY": 17, "NOT_FOUND": 27, "INV_VALUE": 55, "NO_DATA": 58, "NOT_SUPPORTED": 60,
    "TOO_LARGE": 67, "INV_RESPONSE": 76, "BAD_PIN": 87, "INV_NAME": 88,
    "CANCELED": 99, "CARD": 108, "CARD_NOT_PRESENT": 112, "WRONG_KEY_USAGE": 125,
    "LOCKED": 173, "NOT_LOCKED": 167, "NO_PIN": 178, "FORBIDDEN": 251, "FALSE": 256, "LINE_TOO_LONG": 263,
    "TOO_MUCH_DATA": 273, "UNKNOWN_CMD": 275, "PARAMETER": 280,
}  # fmt: skip
#: The part of a number that says that it is a smart card daemon's.
_SOURCE = 6 << 24


class CardFault(Exception):
    """A command that fails: ``name`` is of ``CODES``, ``text`` says why."""

    def __init__(self, name: str, text: str = "") -> None:
        super().__init__(name, text)
        self.name = name
        self.text = text

    def __str__(self) -> str:
        return self.text

    @property
    def number(self) -> int:
        """As ``ERR`` has it."""
        return _SOURCE | CODES[self.name]


#: Error → name of its code; the first row that fits counts, and any other is ``GENERAL``.
_FAULTS: tuple[tuple[type[BaseException], str], ...] = (
    (HemLoginRequired, "NO_PIN"),
    (HemApprovalDenied, "CANCELED"),
    (HemAuthenticationError, "BAD_PIN"),
    (HemScopeDenied, "FORBIDDEN"),
    (HemConnectionError, "CARD_NOT_PRESENT"),
    (HemConfigError, "CARD_NOT_PRESENT"),
    (HemKeyNotFound, "NO_SECKEY"),
    (MessageTooLong, "TOO_LARGE"),
    (HemOperationFailed, "CARD"),
    (HemError, "CARD"),
    (ValueError, "INV_VALUE"),
)


def fault_of(error: BaseException) -> CardFault:
    """How GnuPG is told of an error."""
    if isinstance(error, CardFault):
        return error
    name = next((name for kind, name in _FAULTS if isinstance(error, kind)), "GENERAL")
    return CardFault(name, str(error) or type(error).__name__)
