"""The TLS context for one host: built once, by us, from the configuration alone.

Neither the environment (``SSL_CERT_FILE``, ``SSLKEYLOGFILE``, ``REQUESTS_CA_BUNDLE``) nor the
HTTP library has a say in whom to trust.
"""

from __future__ import annotations

import hashlib
import hmac
import select
import ssl
from pathlib import Path
from typing import Any

from hem_provider.config.ahead import out_of_sight
from hem_provider.errors import HemConfigError
from hem_provider.rest.sockets import Timed
from hem_provider.trust import check_not_writable_by_others

__all__ = ["PinMismatchError", "client_context", "proxy_context", "spki_sha256"]


#: Taking a session from a connection leaks some 6 KB before Python 3.12.8 and 3.13.1 (CPython issue
#: 116810). Servers whose tickets are good once would have us do it for each request.
_MOST_TAKEN = 100


class PinMismatchError(ssl.SSLError):
    """The peer's public key is not the pinned one."""


def spki_sha256(certificate: bytes) -> str:
    """SHA-256 of a DER certificate's SubjectPublicKeyInfo, in lower-case hex.

    A renewed certificate over the same key keeps it (RFC 7469 §2.4).
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = x509.load_der_x509_certificate(certificate).public_key()
    return hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


class _Socket(Timed, ssl.SSLSocket):
    """Keeps a deadline, and hands the TLS session to its context as soon as the first data has come.

    TLS 1.3 tickets arrive after the handshake, and the session is gone once the socket closes.
    """

    not_yet = (ssl.SSLWantReadError, ssl.SSLWantWriteError)
    _kept = False

    def _is_buffered(self) -> bool:
        return self.pending() > 0

    def _awaited(self, event: int, error: OSError) -> int:  # noqa: ARG002 - TLS writes to read, and reads to write
        return select.POLLIN if isinstance(error, ssl.SSLWantReadError) else select.POLLOUT

    def _came(self, count: int) -> None:
        super()._came(count)
        if count and not self._kept and isinstance(self.context, _Context):
            self._kept = True
            self.context.learn(self)


class _Context(ssl.SSLContext):
    """A client context that checks a public-key pin and resumes its last session."""

    sslsocket_class = _Socket
    pin: str | None = None
    session: ssl.SSLSession | None = None
    handshakes = 0  #: begun so far
    _taken = 0

    def wrap_socket(self, sock: Any, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        self.handshakes += 1
        deadline = getattr(sock, "deadline", None)
        if deadline is not None:
            deadline.greets()
            sock.settimeout(deadline.left())  # which OpenSSL's handshake keeps as a whole
        if kwargs.get("session") is None:
            kwargs["session"] = self.session
        try:
            wrapped = super().wrap_socket(sock, *args, **kwargs)
        except OSError:
            self.session = None  # never let a stale session make a second failure
            raise
        if self.pin is not None:
            certificate = wrapped.getpeercert(binary_form=True)
            found = spki_sha256(certificate) if certificate else "none"
            if not hmac.compare_digest(found, self.pin):
                self.session = None
                wrapped.close()
                raise PinMismatchError(f"the peer's public key has SHA-256 {found}, but {self.pin} is pinned")
        if deadline is not None and isinstance(wrapped, Timed):
            wrapped.deadline = deadline
        return wrapped

    def learn(self, connection: ssl.SSLSocket) -> None:
        """Take the session of a connection that was not resumed; one that works serves on."""
        if not connection.session_reused:
            self.session = connection.session if self._taken < _MOST_TAKEN else None
            self._taken += 1


def client_context(
    *, ca_file: Path | None = None, pin_sha256: str | None = None, insecure: bool = False
) -> ssl.SSLContext:
    """TLS 1.3 or newer. ``ca_file`` replaces the system's authorities.

    A pin alone replaces chain, name and date; a pin with ``ca_file`` adds to them. ``insecure``
    verifies nothing. Raises ``HemConfigError`` for a ``ca_file`` that cannot be read or that others may
    write: who writes it decides who gets the login.
    """
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.pin = pin_sha256
    if insecure or (pin_sha256 is not None and ca_file is None):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca_file is not None:
        try:
            check_not_writable_by_others(ca_file, "the CA file")
            context.load_verify_locations(cafile=ca_file)
        except OSError as error:  # ssl.SSLError is one
            if (seen := out_of_sight(ca_file, error)) is not None:
                context.load_verify_locations(cadata=seen.decode("ascii", "replace"))
                return context
            reason = error.strerror if type(error) is not ssl.SSLError else "no PEM certificate in it"
            raise HemConfigError(f"CA file {ca_file}: {reason}", code="E-CA-FILE") from None
    else:
        _load_system_authorities(context)
    return context


def proxy_context() -> ssl.SSLContext:
    """For the outer TLS of a proxy: the system's authorities, and TLS 1.2 is enough for what it carries."""
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load_system_authorities(context)
    return context


def _load_system_authorities(context: ssl.SSLContext) -> None:
    # The compiled-in places, not ssl.get_default_verify_paths().cafile, which the environment moves.
    places = ssl.get_default_verify_paths()
    directory = Path(places.openssl_capath)
    if Path(places.openssl_cafile).is_file():
        context.load_verify_locations(cafile=places.openssl_cafile)
    elif directory.is_dir() and any(directory.iterdir()):
        context.load_verify_locations(capath=places.openssl_capath)
    else:  # a system without authorities of its own
        import certifi

        context.load_verify_locations(cafile=certifi.where())
