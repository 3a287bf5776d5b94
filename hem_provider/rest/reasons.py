"""Why no connection came about, as a code of the catalogue (``HemError.code``)."""

from __future__ import annotations

import errno
import socket

__all__ = ["unreachable", "untrusted"]

_CODES = {
    errno.ECONNREFUSED: "E-REFUSED",
    errno.ENETUNREACH: "E-NO-ROUTE",
    errno.EHOSTUNREACH: "E-NO-ROUTE",
    errno.ENETDOWN: "E-NO-ROUTE",
    errno.EHOSTDOWN: "E-NO-ROUTE",
}
#: OpenSSL's X509_V_ERR_… that are no matter of trust.
_VERIFYING = {9: "E-TLS-NOT-YET", 10: "E-TLS-EXPIRED", 62: "E-TLS-NAME", 64: "E-TLS-NAME"}


def unreachable(error: BaseException) -> str | None:
    """Of what a look-up or a connection ended with; ``None`` where it is of no kind.

    >>> unreachable(TimeoutError())
    'E-CONNECT'
    """
    if isinstance(error, socket.gaierror):
        return "E-NAME"
    if isinstance(error, TimeoutError):
        return "E-CONNECT"
    return _CODES.get(error.errno or 0) if isinstance(error, OSError) else None


def untrusted(verify_code: int) -> str:
    """Of what OpenSSL finds wrong with a certificate.

    >>> untrusted(62)
    'E-TLS-NAME'
    """
    return _VERIFYING.get(verify_code, "E-TLS-UNTRUSTED")
