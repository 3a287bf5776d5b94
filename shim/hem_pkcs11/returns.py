"""From Python exceptions to return values.

Code of the module raises ``Pkcs11Error`` with the value it means; errors of the device layer are
translated here, in one table, and explained in the log, since the host only shows the number.
"""

from __future__ import annotations

from hem_pkcs11.constants import CKR
from hem_provider import errors

__all__ = ["BufferTooSmall", "Pkcs11Error", "SessionClosed", "return_value"]


class Pkcs11Error(Exception):
    """A function of Cryptoki ends with ``rv``. ``text`` says why, for the log."""

    def __init__(self, rv: CKR, text: str = "") -> None:
        super().__init__(text or rv.name)
        self.rv = rv
        self.text = text


class BufferTooSmall(Pkcs11Error):
    """The caller's buffer is smaller than the ``size`` bytes (or records) of the result."""

    def __init__(self, size: int) -> None:
        super().__init__(CKR.BUFFER_TOO_SMALL)
        self.size = size


class SessionClosed(Pkcs11Error):
    """The session was closed by another thread while this one waited for its turn."""

    def __init__(self) -> None:
        super().__init__(CKR.SESSION_HANDLE_INVALID, "the session was closed meanwhile")


#: Device layer's errors, the particular before the general.
_TABLE: tuple[tuple[type[BaseException], CKR], ...] = (
    # C_Login itself says CKR_PIN_INCORRECT; anywhere else a refusal ends the login.
    (errors.HemAuthenticationError, CKR.USER_NOT_LOGGED_IN),
    # Some change may have been made (``HemOutcomeUnknown``, a connection error too): the log says which.
    # Not CKR_DEVICE_REMOVED: an outage does not end sessions, and hosts would drop them.
    (errors.HemConnectionError, CKR.DEVICE_ERROR),
    (errors.HemScopeDenied, CKR.ACTION_PROHIBITED),
    (errors.HemClockError, CKR.DEVICE_ERROR),
    (errors.HemKeyNotFound, CKR.KEY_HANDLE_INVALID),
    (errors.HemKeyAmbiguous, CKR.KEY_HANDLE_INVALID),
    (errors.HemNotInitialized, CKR.TOKEN_NOT_INITIALIZED),
    (errors.HemDeviceFault, CKR.DEVICE_ERROR),
    (errors.MessageTooLong, CKR.DATA_LEN_RANGE),
    (errors.KeyNotExportable, CKR.ATTRIBUTE_SENSITIVE),
    (errors.HemConfigError, CKR.GENERAL_ERROR),
    (errors.HemOperationFailed, CKR.FUNCTION_FAILED),
    (errors.HemRequestRefused, CKR.FUNCTION_FAILED),
    (errors.HemError, CKR.DEVICE_ERROR),
    (MemoryError, CKR.HOST_MEMORY),
)


def return_value(error: BaseException) -> CKR:
    """The return value that tells ``error``; ``CKR_GENERAL_ERROR`` for what nobody foresaw."""
    if isinstance(error, Pkcs11Error):
        return error.rv
    return next((rv for kind, rv in _TABLE if isinstance(error, kind)), CKR.GENERAL_ERROR)
