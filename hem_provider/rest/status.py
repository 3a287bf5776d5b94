"""HTTP status codes of the device, translated to this package's errors in one place
(device API §1.7).

An endpoint may narrow a code's meaning (403 of a challenge is an unset clock); nothing else
looks at numbers.
"""

from __future__ import annotations

from collections.abc import Mapping

from hem_provider.errors import (
    HemAuthenticationError,
    HemDeviceFault,
    HemError,
    HemOperationFailed,
    HemProtocolError,
    HemRequestRefused,
    HemScopeDenied,
)

__all__ = ["Meanings", "error_for"]

#: What codes mean at one endpoint: status → (error class, explanation), and perhaps ``HemError.code``.
Meanings = Mapping[int, tuple[type[HemError], str] | tuple[type[HemError], str, str]]

_MEANINGS: Meanings = {
    400: (HemRequestRefused, "a field is missing, malformed or not known to this device"),
    401: (HemAuthenticationError, "the login is not accepted, has expired, or the device has restarted"),
    403: (HemScopeDenied, "the login's scope or role does not permit it"),
    404: (HemRequestRefused, "this device has no such endpoint or record"),
    406: (HemOperationFailed, "no such key, wrong key type or usage, or the operation itself failed"),
    409: (HemDeviceFault, "the device is not in a state to do it"),
    410: (HemOperationFailed, "the key repository could not be searched"),
    411: (HemRequestRefused, "the request had no length"),
    412: (HemRequestRefused, "the origin is not allowed"),
    413: (HemRequestRefused, "the request is too large"),
    418: (HemRequestRefused, "the device takes this over TLS only"),
}


def error_for(status: int, where: str, meanings: Meanings | None = None) -> HemError:
    """The error for an unsuccessful answer; ``where`` names device and endpoint."""
    known = (meanings or {}).get(status) or _MEANINGS.get(status)
    if known is None:
        known = (
            (HemDeviceFault, "the device failed internally")
            if 500 <= status < 600
            else (HemProtocolError, "an unknown status code")
        )
    kind, text, *codes = known
    error = kind(f"{where}: {text} (HTTP {status})", code=codes[0] if codes else None)
    error.status = status
    return error
