"""A device looked at from outside, step by step: address, connection, certificate, and its status with the
time that it took. No login.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from hem_provider.config import DeviceConfig
from hem_provider.device.hem import Hem
from hem_provider.errors import HemError, HemProtocolError
from hem_provider.printable import printable
from hem_provider.records import frozen
from hem_provider.rest import peer, system
from hem_provider.rest.call import Call
from hem_provider.rest.encoding import parse_json
from hem_provider.rest.system import Status
from hem_provider.rest.wire import Reply

if TYPE_CHECKING:
    from cryptography import x509

__all__ = [
    "Certificate",
    "Glance",
    "MisshapenError",
    "Trust",
    "addresses",
    "certificate",
    "connect",
    "glance",
    "place",
]

addresses = peer.addresses
connect = peer.connected
place = peer.place_of


class Trust(enum.StrEnum):
    """Whether a certificate is accepted, and why not."""

    GOOD = "good"
    EXPIRED = "expired"
    NOT_YET = "not yet valid"
    WRONG_NAME = "wrong name"
    FOREIGN_CA = "foreign authority"
    OTHER_KEY = "another key"
    OLD_TLS = "old TLS"
    NONE = "none"
    OTHERWISE = "refused"


#: OpenSSL's X509_V_ERR_… → what it is about.
_CODES: Mapping[int, Trust] = {
    0: Trust.GOOD,
    9: Trust.NOT_YET,
    10: Trust.EXPIRED,
    18: Trust.FOREIGN_CA,  # self-signed
    19: Trust.FOREIGN_CA,  # self-signed in the chain
    20: Trust.FOREIGN_CA,  # no issuer at hand
    21: Trust.FOREIGN_CA,  # no issuer of the leaf
    62: Trust.WRONG_NAME,
    64: Trust.WRONG_NAME,  # an address
}


#: Characters of a text, and names, that are taken over from a certificate.
_SHOWN, _MOST_NAMES = 100, 20


@frozen
class Certificate:
    """What a device presents. Times are Unix seconds; ``names``: hosts that it is for; ``pin``: SHA-256 of
    its public key in lower-case hex. All ``None`` or empty where none is shown."""

    trust: Trust
    reason: str = ""
    subject: str = ""
    issuer: str = ""
    names: tuple[str, ...] = ()
    not_before: float | None = None
    not_after: float | None = None
    pin: str | None = None

    def days_left(self, now: float) -> float | None:
        """Until it ends, negative after that."""
        return None if self.not_after is None else (self.not_after - now) / 86_400


def certificate(config: DeviceConfig) -> Certificate:
    """The certificate of an ``https`` device: one or two connections, nothing is sent. ``HemUnreachable``,
    and ``HemConfigError`` for a CA file that cannot be used."""
    seen = peer.presented(config)
    if seen.certificate is None:
        return Certificate(Trust.OLD_TLS if seen.old_tls else Trust.NONE, seen.reason)
    reason = "not verified, as the settings say" if config.insecure else seen.reason
    trust = Trust.OTHER_KEY if seen.pinned_other else _CODES.get(seen.code, Trust.OTHERWISE)
    return _read(seen.certificate, trust, reason)


def _read(der: bytes, trust: Trust, reason: str) -> Certificate:
    """What stands in it, which anybody may have written."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    from hem_provider.rest.tls import spki_sha256

    try:
        found = x509.load_der_x509_certificate(der)
        return Certificate(
            trust,
            reason,
            _common(found.subject),
            _common(found.issuer),
            _names(found),
            found.not_valid_before_utc.timestamp(),
            found.not_valid_after_utc.timestamp(),
            spki_sha256(der),
        )
    except (ValueError, UnsupportedAlgorithm) as error:
        return Certificate(Trust.OTHERWISE, f"it cannot be read: {_shown(str(error))}")


def _common(name: x509.Name) -> str:
    """Its common name, else the first part of it."""
    from cryptography.x509.oid import NameOID

    parts = name.get_attributes_for_oid(NameOID.COMMON_NAME) or list(name)
    return _shown(str(parts[0].value)) if parts else ""


def _names(found: x509.Certificate) -> tuple[str, ...]:
    from cryptography import x509

    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    chosen = [each for each in names if isinstance(each, x509.DNSName | x509.IPAddress)]
    return tuple(_shown(str(each.value)) for each in chosen[:_MOST_NAMES])


def _shown(text: str) -> str:
    """On one line, without control characters, not at any length."""
    plain = printable(text, "?")
    return plain if len(plain) <= _SHOWN else f"{plain[:_SHOWN]}…"


#: HTTP status of an answer to what each device tells everybody → the name of what is found.
_REFUSED = {409: "device-busy"}


class MisshapenError(HemProtocolError):
    """The status came in an answer that cannot be one, or was refused; ``name`` says what kind."""

    name = "answer-untrue"


@frozen
class Glance:
    """A status, the ``seconds`` that it took, and how many seconds the device's clock is ahead of this
    machine's; ``None`` while it is unset."""

    status: Status
    seconds: float
    drift: float | None


def glance(hem: Hem) -> Glance:
    """Ask for the status: one call. Raises what the call raises, ``MisshapenError`` for an answer that is
    none."""
    asked = system.status()
    began, host = time.monotonic(), time.time()
    call: Call[Reply] = Call(asked.method, asked.path, _never_read, repeatable=True, is_relayed=True)
    reply = hem.session.run(call)
    seconds = time.monotonic() - began
    try:
        status = hem.rest.channel.read(asked, reply)
    except HemError as error:
        name, told = _misshapen(reply)
        misshapen = MisshapenError(f"{hem.rest.channel.name}: {told}" if told else str(error))
        misshapen.name = name
        raise misshapen from None
    # Whole seconds come from the device: half of one is the likeliest rest.
    drift = None if status.time is None else status.time + 0.5 - (host + seconds / 2)
    return Glance(status, seconds, drift)


def _never_read(_: object) -> Reply:
    raise AssertionError("a relayed reply is not read")


def _misshapen(reply: Reply) -> tuple[str, str]:
    """A name for what is wrong with an answer, and words where the error has not the right ones."""
    if not 200 <= reply.status < 300:
        name = "device-error" if reply.status >= 500 else _REFUSED.get(reply.status, "status-refused")
        return name, f"it answers HTTP {reply.status} to what needs no login (GET /api/system/status)"
    if not reply.body.strip():
        return "answer-empty", "the answer is empty"
    try:
        found = parse_json(reply.body)
    except ValueError:
        return "answer-not-json", ""
    if found == {}:
        return "answer-without-fields", "the answer has no fields"
    return "answer-of-wrong-types", ""
