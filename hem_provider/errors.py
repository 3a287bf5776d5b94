"""Every exception this package raises on purpose.

::

    HemError
     ├─ HemConfigError               a setting is missing, malformed or not to be trusted
     │   └─ HemDeviceNotConfigured   no device is configured under the name that was given
     ├─ HemConnectionError           no usable answer arrived
     │   ├─ HemUnreachable           name, route or connection failed: nothing was processed
     │   ├─ HemTimeout               connected, but no answer in time
     │   │   └─ HemApprovalTimeout   nobody answered on a phone in time
     │   ├─ HemTLSError              the device's certificate or TLS is not acceptable
     │   ├─ HemProtocolError         an answer arrived that is not the device API's
     │   └─ HemOutcomeUnknown        whether a change was made could not be found out
     │       └─ HemOutcomePending    also a HemTimeout: not made so far, a slow device may yet make it
     ├─ HemAuthenticationError       the device does not accept the credential
     │   ├─ HemLoginRequired         there is no credential to offer
     │   └─ HemApprovalDenied        the person with the phone refused, or no phone is paired
     ├─ HemScopeDenied               the login does not permit the operation (HTTP 403)
     ├─ HemClockError                the device's clock is unset or wrong, and check-in did not cure it
     ├─ HemKeyNotFound               no such key (also a KeyError's cousin: LookupError)
     ├─ HemKeyAmbiguous              a search that must name one key names several
     ├─ HemRequestRefused            the device finds the request malformed (HTTP 400, 411, 413)
     ├─ HemOperationFailed           the device refuses the operation (HTTP 406)
     │   └─ HemDuplicateKey          the same public key is stored already
     ├─ HemDeviceFault               the device is not in a state to answer (HTTP 409, 5xx)
     │   ├─ HemNotInitialized        factory-fresh or wiped
     │   └─ HemAnswerFault           also a HemProtocolError: an answer that cannot be true
     ├─ HemLogDamaged                a copy of a device's log is not as it was written
     ├─ HemKeySetFailed              no member of a set of keys did it, each for a reason of its own
     ├─ MessageTooLong               also a ValueError: more bytes than the device takes
     └─ KeyNotExportable             also a TypeError: private material never leaves the device

Messages name the key, device, field or size concerned and what is accepted. They never
hold a passphrase, a token or key material.

What an error of a call that changes the device says about the change: ``HemOutcomeUnknown``, it
may have been made, and the message says how to see; any other, it was not made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

__all__ = [
    "HemAnswerFault",
    "HemApprovalDenied",
    "HemApprovalTimeout",
    "HemAuthenticationError",
    "HemClockError",
    "HemConfigError",
    "HemConnectionError",
    "HemDeviceFault",
    "HemDeviceNotConfigured",
    "HemDuplicateKey",
    "HemError",
    "HemKeyAmbiguous",
    "HemKeyNotFound",
    "HemKeySetFailed",
    "HemLogDamaged",
    "HemLoginRequired",
    "HemNotInitialized",
    "HemOperationFailed",
    "HemOutcomePending",
    "HemOutcomeUnknown",
    "HemProtocolError",
    "HemRequestRefused",
    "HemScopeDenied",
    "HemTLSError",
    "HemTimeout",
    "HemUnreachable",
    "KeyNotExportable",
    "MessageTooLong",
]


class HemError(Exception):
    """Base of all errors of this package. Every one can be pickled and copied: worker processes
    hand their exceptions on that way, and one that cannot be read back ends the whole pool.

    ``status``: the HTTP status that it tells, if one. ``code``: what ``hem help CODE`` explains, the class's
    name or that of the very kind of failure (``E-TLS-NAME``); it is stable, and not in the text.
    """

    status: int | None = None
    code: str = "HemError"

    def __init__(self, *args: object, code: str | None = None) -> None:
        super().__init__(*args)
        if code is not None:
            self.code = code

    def __init_subclass__(cls, **more: object) -> None:
        super().__init_subclass__(**more)
        # A class of somebody else, or without a name outside, is explained as what it is derived from.
        if cls.__module__.startswith("hem_provider.") and not cls.__name__.startswith("_"):
            cls.code = cls.__name__

    def like(self, other: HemError) -> Self:
        """This error, which tells more of ``other``: with its status and its code, where that is a kind."""
        self.status = other.status
        if other.code.startswith("E-"):
            self.code = other.code
        return self

    def __reduce__(self) -> tuple[Callable[..., HemError], tuple[object, ...]]:
        return _made_again, (type(self), self.args, self.__dict__)


def _made_again(kind: type[HemError], args: tuple[object, ...], state: dict[str, object]) -> HemError:
    """The error as it was, whatever arguments its constructor insists on."""
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class HemConfigError(HemError):
    """A setting is missing, malformed, or kept where others may change it."""


class HemDeviceNotConfigured(HemConfigError):
    """No device is configured under the name that was given."""


class HemConnectionError(HemError):
    """No usable answer arrived from the device or its cloud service."""


class HemUnreachable(HemConnectionError):
    """Name look-up, routing, connecting or the TLS handshake failed; the request was not processed."""


class HemTimeout(HemConnectionError):
    """The peer was reached but did not answer within the configured time."""


class HemApprovalTimeout(HemTimeout):
    """Nobody answered on a phone in time; the request was withdrawn."""


class HemTLSError(HemConnectionError):
    """The peer's certificate is not trusted, expired, or TLS could not be agreed."""


class HemProtocolError(HemConnectionError):
    """The answer is truncated or is not what the device API specifies."""


class HemOutcomeUnknown(HemConnectionError):
    """A change may have been made: its answer was lost, late or damaged, and looking at the device
    afterwards did not tell. The message says how to see. Do not repeat the call before that."""


class HemOutcomePending(HemOutcomeUnknown, HemTimeout):
    """No answer came in time, and the change was not made when we looked; a device that is merely slow
    may still make it."""


class HemAuthenticationError(HemError):
    """The device rejected the proof of the passphrase (or of the master secret)."""


class HemLoginRequired(HemAuthenticationError):
    """The operation needs a login, and neither caller nor configuration gives a credential."""


class HemApprovalDenied(HemAuthenticationError):
    """The person with the phone refused the login, or no phone is paired with the device."""


class HemScopeDenied(HemError):
    """The token's scope or role does not permit the operation (HTTP 403)."""


class HemClockError(HemError):
    """The device's clock is unset or wrong and a check-in did not put it right."""


class HemKeyNotFound(HemError, LookupError):
    """No key on the device matches."""


class HemKeyAmbiguous(HemError, LookupError):
    """Several keys match where exactly one is needed; the message names them."""


class HemRequestRefused(HemError):
    """The device finds the request malformed or too large (HTTP 400, 411, 412, 413, 418)."""


class HemOperationFailed(HemError):
    """The device refuses the operation (HTTP 406): wrong key type, mode, size, or no such key."""


class HemDuplicateKey(HemOperationFailed):
    """The same public key is stored on the device already."""


class HemDeviceFault(HemError):
    """The device cannot answer in its present state (HTTP 409 or 5xx)."""


class HemNotInitialized(HemDeviceFault):
    """The device is factory-fresh or wiped and must be initialised first."""


class HemAnswerFault(HemDeviceFault, HemProtocolError):
    """The device answered what cannot be true: a value of another type, size or range than its
    interface has, or one that contradicts the request, the key or the KID. Nothing of it is used."""


class HemLogDamaged(HemError):
    """A copy of a device's log is not as it was written; the message names file and line."""


class HemKeySetFailed(HemError):
    """No member of a set of keys did what was asked. The message names each device and says why.

    ``reasons``: the error of each device, by its name and URL; of one that was not done with a call in time
    a ``HemTimeout``.
    """

    def __init__(self, message: str, reasons: Mapping[str, HemError] | None = None) -> None:
        super().__init__(message)
        self.reasons = dict(reasons or {})


class MessageTooLong(HemError, ValueError):
    """More input than one device operation takes; nothing was sent.

    ``size`` and ``limit`` are in bytes.
    """

    def __init__(self, message: str, *, size: int, limit: int) -> None:
        super().__init__(message)
        self.size = size
        self.limit = limit


class KeyNotExportable(HemError, TypeError):
    """Private or secret key material was asked for; it never leaves the device."""
