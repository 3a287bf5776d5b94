"""The device's own TLS certificate: getting one and renewing it (device API §7.3, §20.3).

Firmware 1.2.2 says it renews its certificate by itself, and does not: the chain that the cloud offers
at check-in has to be installed by the client.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from hem_provider.config import DeviceConfig
from hem_provider.device.checkin import check_in
from hem_provider.device.login import LoginSession
from hem_provider.device.watching import Watch
from hem_provider.errors import HemAnswerFault, HemOperationFailed, HemRequestRefused, HemTimeout, HemTLSError
from hem_provider.logs import INFO, Logger
from hem_provider.records import frozen, replace
from hem_provider.rest import configuration, keymgmt, system
from hem_provider.rest.api import RestApi
from hem_provider.rest.configuration import ConfigurationChange
from hem_provider.rest.encoding import b64, unb64
from hem_provider.rest.settle import NOT_MADE, Change, NotMade
from hem_provider.waiting import CLOCK

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, CertificateSigningRequest

__all__ = ["ADDRESS", "DeviceCertificate", "NewCertificate", "Order", "der_chain", "pin_of", "prefix_of"]

_log = Logger("hem_provider.device")

_CONFIG = ("system:config",)


#: Where USB devices are, unless they were initialised otherwise (device API §1.1).
ADDRESS: Final = "192.168.7.1"
#: The vendor's zone.
_ZONE: Final = ".ence.do"
#: Between two looks whether the certificate is issued, in seconds.
_LOOK_EVERY = 2.0


@frozen
class NewCertificate:
    """What was installed; in force after the device's next restart. ``not_after`` is in UTC; ``pin`` is
    the SHA-256 of the public key in lower-case hex, as for ``pin_sha256``."""

    not_after: datetime
    pin: str


@frozen
class Order:
    """A certificate that the service makes: the order's ``number``, and the ``pin`` that it will have."""

    number: str
    pin: str


class DeviceCertificate:
    """``hem.certificate``. All methods take a login as user or master and end in a restart unless
    told otherwise."""

    def __init__(self, session: LoginSession) -> None:
        self._session = session
        self._clock = CLOCK

    def renew(self, *, reboot: bool = True) -> NewCertificate | None:
        """Install the chain the cloud offers; ``None`` when it offers none, as long before expiry.

        Works with an expired certificate too. Only the check-in is made without verifying the
        device; the login goes to whoever holds the key that the (verified) cloud's new
        certificate is for, and ``HemTLSError`` is raised for anybody else.
        """
        config = self._session.rest.channel.config
        relaxed = RestApi(replace(config, insecure=True, ca_file=None, pin_sha256=None))
        try:
            offered = check_in(LoginSession(relaxed)).new_certificate
        finally:
            relaxed.channel.close()
        if offered is None:
            return None
        new = _read(offered)
        if config.pin_sha256 not in (None, new.pin):
            raise HemTLSError(
                f"{config.name}: the cloud offers a certificate for another key ({new.pin}) than the "
                f"configured pin_sha256; nothing was changed"
            )
        pinned = RestApi(_pinned_to(config, new.pin))
        session = self._session.over(pinned)
        try:
            self._bring_in(session, {"crt": b64(offered)}, offered, reboot=reboot)
        finally:
            session.forget()
            pinned.channel.close()
        _log.log(INFO, "%s: a certificate until %s is installed", config.name, new.not_after.isoformat())
        return new

    def obtain_default(self, *, reboot: bool = True) -> NewCertificate:
        """Key and certificate for ``my.ence.do`` from the vendor's service. USB devices only.
        ``HemOperationFailed`` when the device cannot prove itself, or the service refuses."""
        genuine = self._session.run(configuration.attestation().by(*_CONFIG)).genuine
        if genuine is None:
            raise HemOperationFailed(f"{self._name}: the device cannot prove itself to the service")
        return self._install(self._session.rest.domain.default_bundle(genuine), reboot)

    def is_free(self, prefix: str) -> bool:
        """Whether nobody has the name ``prefix`` in the vendor's zone. ``ValueError`` as ``obtain``."""
        return self._session.rest.domain.is_free(prefix)

    def obtain(
        self,
        prefix: str,
        *,
        address: str | None = None,
        cname: str | None = None,
        reboot: bool = True,
        timeout: float = 300.0,
        order: Order | None = None,
        ordered: Callable[[Order], None] | None = None,
    ) -> NewCertificate:
        """A certificate for ``prefix`` in the vendor's zone, over a key the device makes now.

        ``address`` or ``cname``: what the name is to lead to. A service that takes its time is told of by
        ``ordered``; a later call with that ``order`` waits for the same, since a name is given once.
        ``HemOperationFailed`` when the service
        refuses, ``HemTimeout`` when it takes longer than ``timeout`` seconds. ``ValueError`` unless
        ``prefix`` is one label of letters, digits and hyphens.
        """
        if order is not None:
            return self._install(self._issued(prefix, order, timeout), reboot, order.pin)
        csr, genuine = self._asked()
        requested = _requested(csr)
        wanted = {"csr": csr, "genuine": genuine, "ip": address, "cname": cname}
        answer = self._session.rest.domain.request(
            prefix, {name: value for name, value in wanted.items() if value is not None}
        )
        if not isinstance(answer, str):
            return self._install(answer, reboot, requested)
        order = Order(answer, requested)
        if ordered is not None:
            ordered(order)
        return self._install(self._issued(prefix, order, timeout), reboot, requested)

    def request(self) -> bytes:
        """A certificate request in PEM, for the device's host name, over a key the device makes now: for an
        authority of one's own, whose chain ``install`` takes. Only the last request counts."""
        from cryptography.hazmat.primitives.serialization import Encoding

        return _request_of(self._asked()[0]).public_bytes(Encoding.PEM)

    def install(self, chain: bytes, *, reboot: bool = True) -> NewCertificate:
        """Bring in a chain (concatenated DER, leaf first) that did not come from the cloud: of a check-in
        that was carried, or of an authority of one's own.

        It has to be for the key that the device uses, or for that of its last ``request``; the device refuses
        any other (``HemOperationFailed``). The login goes to the device as it is configured: that a chain is
        the cloud's cannot be seen. ``HemAnswerFault`` for what is no chain.
        """
        new = _read(chain)
        after = RestApi(_pinned_to(self._session.rest.channel.config, new.pin))
        try:
            self._bring_in(
                self._session, {"crt": b64(chain)}, chain, reboot=reboot, after=LoginSession(after)
            )
        except HemRequestRefused as refused:
            raise HemOperationFailed(
                f"{self._name}: the device does not take this chain, as where it has no key that the "
                f"certificate is for"
            ) from refused
        finally:
            after.channel.close()
        return new

    def _asked(self) -> tuple[str, str | None]:
        """The device's request, and what proves that the device is genuine."""
        asked: Change[ConfigurationChange] = Change(
            made="the device made a TLS key for the request",
            undone="it made none",
            see="only the last request counts: ask for a certificate again",
            look=None,
            repeat=True,
        )
        made = self._session.run(configuration.write({"gen_csr": True}), asked)
        if made.csr is None:
            raise HemOperationFailed(f"{self._name}: the device gave no certificate request")
        return made.csr, made.genuine

    def _issued(self, prefix: str, order: Order, timeout: float) -> Mapping[str, Any]:
        for left in self._clock.looks(timeout, _LOOK_EVERY):
            bundle = self._session.rest.domain.result(order.number, within=left)
            if bundle is not None:
                return bundle
        raise HemTimeout(f"no certificate for {prefix!r} within {timeout:g} s")

    @property
    def _name(self) -> str:
        return self._session.rest.channel.config.name

    def _install(
        self, bundle: Mapping[str, Any], reboot: bool, requested: str | None = None
    ) -> NewCertificate:
        """``requested``: SHA-256 of the public key that the certificate must be for."""
        chain = unb64(str(bundle["crt"]))
        new = _read(chain)
        if requested not in (None, new.pin):
            raise HemAnswerFault("the certificate service's certificate is for another key than requested")
        self._bring_in(self._session, dict(bundle), chain, reboot=reboot)
        return new

    def _bring_in(
        self,
        session: LoginSession,
        bundle: Mapping[str, Any],
        chain: bytes,
        *,
        reboot: bool,
        after: LoginSession | None = None,
    ) -> None:
        """``after``: the way to the device once it shows its new certificate, if that is another one."""
        stored: Change[ConfigurationChange] = Change(
            made="the certificate was stored",
            undone="the certificate was not stored",
            see="installing it again does no harm",
            look=lambda: _stored(session, chain[: _der_length(chain)]),
            repeat=True,
        )
        session.run(configuration.write({"tls": bundle}), stored)
        if not reboot:
            return
        watch = Watch(after or session, self._clock)
        restarted: Change[bool | None] = Change(
            made="the device has restarted",
            undone="the new certificate is stored, but the device has not restarted",
            see="the new certificate is stored; it is in force after a restart",
            look=watch.restarted,
        )
        session.run(system.reboot().by(*_CONFIG), restarted)

    def __repr__(self) -> str:
        return f"<DeviceCertificate of {self._name}>"


def prefix_of(hostname: str) -> str | None:
    """The one label before the vendor's zone, by which a certificate is obtained; ``None`` for other names.

    >>> prefix_of("ada.ence.do"), prefix_of("my.example.org")
    ('ada', None)
    """
    prefix = hostname.removesuffix(_ZONE)
    return prefix if hostname.endswith(_ZONE) and prefix and "." not in prefix else None


def _stored(session: LoginSession, leaf: bytes) -> ConfigurationChange | Literal[NotMade.NOT_MADE]:
    """Whether the device's records hold this certificate. The master may not see them."""
    hostname = session.run(configuration.read().by(*_CONFIG)).hostname
    page = session.run(keymgmt.search(f"DNS:{hostname}".encode()))
    for record in page.records:
        if "CERT" in record.type.split(",") and _der_of(session, record.kid).startswith(leaf):
            return ConfigurationChange(updated=True, reboot_required=True, csr=None, genuine=None)
    return NOT_MADE


def _der_of(session: LoginSession, kid: str) -> bytes:
    return session.run(keymgmt.get(kid).by("keymgmt:get")).der or b""


def _pinned_to(config: DeviceConfig, pin: str) -> DeviceConfig:
    return replace(config, pin_sha256=pin, ca_file=None, insecure=False)


def der_chain(data: bytes) -> list[Certificate]:
    """Certificates that stand one after the other in DER. ``ValueError`` or ``IndexError`` for what are
    none."""
    from cryptography import x509

    found: list[Certificate] = []
    while data or not found:
        length = _der_length(data)
        found.append(x509.load_der_x509_certificate(data[:length]))
        data = data[length:]
    return found


def _read(chain: bytes) -> NewCertificate:
    """The leaf of a chain of concatenated DER certificates."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        leaf = chain[: _der_length(chain)]
        certificate = x509.load_der_x509_certificate(leaf)
    except (ValueError, IndexError):
        raise HemAnswerFault(f"the offered certificate chain ({len(chain)} bytes) is not DER") from None
    try:
        return NewCertificate(certificate.not_valid_after_utc, pin_of(leaf))
    except (ValueError, UnsupportedAlgorithm):
        raise HemAnswerFault(f"the offered certificate ({len(leaf)} bytes) is for no usable key") from None


def pin_of(certificate: bytes) -> str:
    """SHA-256 of a DER certificate's public key in lower-case hex, as for ``pin_sha256``."""
    from hem_provider.rest.tls import spki_sha256  # loads TLS, which a program with an agent does without

    return spki_sha256(certificate)


def _requested(csr: str) -> str:
    """SHA-256 of the public key in a request."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = _request_of(csr).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(public).hexdigest()


def _request_of(csr: str) -> CertificateSigningRequest:
    """The device's request: PEM, or base64 DER."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        pem = csr.startswith("-----")
        found = x509.load_pem_x509_csr(csr.encode()) if pem else x509.load_der_x509_csr(unb64(csr))
        found.public_key()  # which may be of a kind that nobody knows
    except (ValueError, UnsupportedAlgorithm):
        raise HemAnswerFault(f"the device's certificate request ({len(csr)} characters) is none") from None
    return found


def _der_length(data: bytes) -> int:
    """Bytes of the first element, header included (X.690 §8.1.3)."""
    first = data[1]
    if first < 0x80:
        return 2 + first
    count = first & 0x7F
    return 2 + count + int.from_bytes(data[2 : 2 + count], "big")
