"""A device looked at from outside: what its certificate says, whoever wrote it."""

from __future__ import annotations

import datetime
import ipaddress
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from device.test_tls import self_signed, server
from support.emulator import ServedEmulator, client_of

from hem_provider.config import device_from_url
from hem_provider.device import contact
from hem_provider.device.contact import Trust, glance
from hem_provider.errors import HemConfigError, HemUnreachable
from hem_provider.rest.tls import spki_sha256

BEGIN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def made(subject, names=()):
    """The DER of a certificate for this name, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(subject)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(BEGIN)
        .not_valid_after(BEGIN + datetime.timedelta(days=90))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def named(text):
    return [x509.NameAttribute(NameOID.COMMON_NAME, text)]


def test_a_certificate_is_read():
    der = made(
        named("my.ence.do"), [x509.DNSName("my.ence.do"), x509.IPAddress(ipaddress.ip_address("192.168.7.1"))]
    )
    seen = contact._read(der, Trust.GOOD, "")
    assert (seen.subject, seen.issuer) == ("my.ence.do", "my.ence.do")
    assert seen.names == ("my.ence.do", "192.168.7.1")
    assert seen.pin == spki_sha256(der)
    assert seen.days_left(BEGIN.timestamp()) == 90
    assert seen.days_left(BEGIN.timestamp() + 91 * 86_400) == -1


def test_what_stands_in_a_strangers_certificate_does_nothing_to_a_terminal():
    seen = contact._read(made(named("a\x1b[2J\nb")), Trust.FOREIGN_CA, "no issuer")
    assert (seen.subject, seen.names) == ("a?[2J?b", ())
    many = [x509.DNSName(f"host{number}.example") for number in range(1000)]
    assert len(contact._read(made(named("x"), many), Trust.FOREIGN_CA, "").names) == 20
    organisation = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "o" * 64)]
    assert contact._read(made(organisation), Trust.GOOD, "").subject == "o" * 64
    assert contact._read(made([]), Trust.GOOD, "").subject == ""


@pytest.mark.parametrize("der", [b"", b"0", b"0\x03\x02\x01\x05", made(named("x"))[:-40]])
def test_what_is_no_certificate_is_refused(der):
    seen = contact._read(der, Trust.GOOD, "")
    assert (seen.trust, seen.days_left(0)) == (Trust.OTHERWISE, None)
    assert seen.reason


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    with ServedEmulator(tmp_path_factory.mktemp("served")) as emulator:
        yield emulator


def test_a_glance_tells_time_and_drift(device):
    with client_of(device) as hem:
        seen = glance(hem)
        assert hem.statistics.calls == 1
    assert seen.status.initialized
    assert 0 < seen.seconds < 30
    assert abs(seen.drift) < 2


def test_a_ca_file_that_is_none_is_a_fault_of_the_settings(device, tmp_path):
    with client_of(device) as hem:
        assert contact.certificate(hem.config).trust is Trust.GOOD
    (tmp_path / "ca.pem").write_text("nothing")
    config = device_from_url(device.https, ca_file=tmp_path / "ca.pem")
    with pytest.raises(HemConfigError, match="no PEM certificate"):
        contact.certificate(config)


def test_an_address_of_an_ipv6_host_is_one():
    config = device_from_url("https://[::1]:1")
    assert contact.place(config) == ("::1", 1)
    assert contact.addresses(config) == ("::1",)
    with pytest.raises(HemUnreachable, match="port 1"):
        contact.connect(config)


def idle(connection):
    connection.recv(1)


@pytest.mark.parametrize(
    ("days", "settings", "trust"),
    [
        (90, {"ca_file": True}, Trust.GOOD),
        (90, {}, Trust.FOREIGN_CA),
        (-1, {"ca_file": True}, Trust.EXPIRED),
        (90, {"pin_sha256": True}, Trust.GOOD),
        (90, {"pin_sha256": "0" * 64}, Trust.OTHER_KEY),
        (90, {"insecure": True}, Trust.GOOD),
    ],
)
def test_a_certificate_is_judged_as_the_settings_say(tmp_path, days, settings, trust):
    context, pin, file = self_signed(tmp_path, days=days)
    given = {
        name: {"ca_file": file, "pin_sha256": pin}.get(name, True) if value is True else value
        for name, value in settings.items()
    }
    with server(idle, tls=context) as address:
        seen = contact.certificate(device_from_url(f"https://{address}", **given))
    assert (seen.trust, seen.pin) == (trust, pin), seen


def test_a_peer_that_speaks_no_newer_tls_is_told_as_such(tmp_path):
    context, pin, _ = self_signed(tmp_path, days=1)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with server(idle, tls=context) as address:
        assert (
            contact.certificate(device_from_url(f"https://{address}", pin_sha256=pin)).trust is Trust.OLD_TLS
        )


def test_a_peer_that_speaks_no_tls_shows_no_certificate():
    with server(lambda connection: connection.sendall(b"HTTP/1.1 400 \r\n\r\n")) as address:
        assert contact.certificate(device_from_url(f"https://{address}")).trust is Trust.NONE
