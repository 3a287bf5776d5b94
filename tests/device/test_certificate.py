"""The device's own TLS certificate."""

from __future__ import annotations

import base64
import datetime
import ssl
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from support.altering import altered
from support.clocks import quick_clock
from support.traffic import LostRequest

from hem_provider.device import checkin, connect
from hem_provider.device.certificate import _der_length
from hem_provider.errors import (
    HemAnswerFault,
    HemConnectionError,
    HemOperationFailed,
    HemProtocolError,
    HemTLSError,
)
from hem_provider.rest.tls import spki_sha256


def test_without_an_offer_nothing_is_done(hem, rig):
    assert hem.certificate.renew() is None
    assert rig.count("POST /api/system/config") == 0


def test_an_offered_chain_is_installed_and_the_device_restarted(hem, rig):
    rig.backend(checkin_newcrt=True)
    new = hem.certificate.renew()
    assert new.not_after > datetime.datetime.now(datetime.UTC)
    assert rig.count("GET /api/system/reboot") == 1


def test_the_default_name_is_obtained_from_the_service(hem, rig):
    new = hem.certificate.obtain_default(reboot=False)
    assert new.not_after > datetime.datetime.now(datetime.UTC)
    assert rig.count("GET /api/system/reboot") == 0


def test_a_name_of_ones_own_is_obtained(hem, rig, monkeypatch):
    monkeypatch.setattr(hem.certificate, "_clock", quick_clock())
    assert hem.rest.domain.is_free("office-hem")
    hem.certificate.obtain("office-hem", address="192.168.7.1")
    assert rig.count("GET /api/system/reboot") == 1


def test_a_certificate_that_was_ordered_is_waited_for_again(hem, rig, monkeypatch):
    monkeypatch.setattr(hem.certificate, "_clock", quick_clock())
    orders = []

    def broken_off(order):
        orders.append(order)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hem.certificate.obtain("office-hem", address="192.168.7.1", ordered=broken_off)
    assert not hem.certificate.is_free("office-hem")
    rig.requests.clear()
    new = hem.certificate.obtain("office-hem", address="192.168.7.1", reboot=False, order=orders[0])
    assert new.pin == orders[0].pin
    assert rig.count("CLOUD POST") == 0
    assert rig.count("POST /api/system/config") == 1


def another_certificate():
    """Self-signed, base64 DER."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "other")])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=9))
    return base64.b64encode(made.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)).decode()


def test_a_certificate_for_another_key_than_requested_is_not_installed(hem, rig, monkeypatch):
    monkeypatch.setattr(hem.certificate, "_clock", quick_clock())
    other = another_certificate()
    rig.alter = lambda _, body: altered(body, ("crt",), other)
    with pytest.raises(HemAnswerFault, match="for another key than requested"):
        hem.certificate.obtain("office-hem", address="192.168.7.1")
    assert rig.count("POST /api/system/config") == 1  # the request; nothing was installed
    rig.alter = lambda _, body: altered(body, ("crt",), "AAAA")
    with pytest.raises(HemAnswerFault, match="not DER"):
        hem.certificate.obtain_default()
    assert rig.count("POST /api/system/config") == 1


def test_an_offer_for_another_key_than_the_pinned_one_changes_nothing(rig):
    rig.backend(checkin_newcrt=True)
    with rig.connect(pin_sha256="00" * 32) as hem, pytest.raises(HemTLSError, match="another key"):
        hem.certificate.renew()
    assert rig.count("POST /api/system/config") == 0


def test_a_service_that_does_not_say_whether_a_name_is_free_is_not_believed(hem, rig):
    rig.fault("CLOUD GET /domain/check/office", 503)
    with pytest.raises(HemOperationFailed, match="does not say"):
        hem.rest.domain.is_free("office")


@pytest.mark.parametrize("prefix", ["", "a/b", "ü", "a b", "a.b"])
def test_a_name_that_is_no_label_is_refused(hem, prefix):
    with pytest.raises(ValueError, match="accepted: letters, digits and hyphens"):
        hem.rest.domain.is_free(prefix)


def test_a_service_that_refuses_says_so(hem, rig):
    rig.fault("CLOUD POST /domain/register/my", 401)
    with pytest.raises(HemOperationFailed, match="refuses the device"):
        hem.certificate.obtain_default()
    rig.fault("CLOUD POST /domain/register/my", LostRequest)
    with pytest.raises(HemConnectionError):
        hem.certificate.obtain_default()


def test_the_first_certificate_of_a_chain_is_found():
    assert _der_length(bytes([0x30, 0x03, 1, 2, 3, 0x30])) == 5
    assert _der_length(bytes([0x30, 0x82, 0x01, 0x00]) + bytes(300)) == 260
    from hem_provider.device.certificate import _read

    for chain in (b"", b"\x30", b"\x30\x05abcde"):
        with pytest.raises(HemProtocolError, match="not DER"):
            _read(chain)


@pytest.fixture
def own_served(tmp_path):
    """An emulator whose certificate is changed."""
    from support.emulator import ServedEmulator

    emulator = ServedEmulator(tmp_path).start()
    yield emulator
    emulator.stop()


def certificate_of(url):
    host, port = url.removeprefix("https://").split(":")
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((host, int(port))))


def change(emulator, action):
    """Do something to the served device from outside, through its state file."""
    from hem_provider.emulator.inprocess import EmulatedDevice

    with EmulatedDevice(emulator.state) as device, device.model.transaction():
        action(device.model)


def test_a_certificate_that_no_longer_verifies_is_renewed_over_tls(own_served):
    from dataclasses import replace

    def offer(model):
        model.state = replace(model.state, knobs=replace(model.state.knobs, checkin_newcrt=True))

    change(own_served, offer)
    old = certificate_of(own_served.https)
    # This client does not trust the served certificate: as with an expired one, it cannot log in.
    hem = connect(
        own_served.https,
        passphrase=own_served.passphrase,
        cloud_url=own_served.cloud,
        cloud_ca_file=own_served.ca_file,
    )
    with pytest.raises(HemTLSError):
        hem.login()
    new = hem.certificate.renew()
    deadline = time.monotonic() + 10
    while certificate_of(own_served.https) == old and time.monotonic() < deadline:
        time.sleep(0.05)
    served = certificate_of(own_served.https)
    assert served != old
    assert new.pin == spki_sha256(served) == spki_sha256(old)


def test_the_login_goes_only_to_the_key_that_the_new_certificate_is_for(own_served, monkeypatch):
    from dataclasses import replace

    from hem_provider.device import certificate

    def offer(model):
        model.state = replace(model.state, knobs=replace(model.state.knobs, checkin_newcrt=True))

    change(own_served, offer)
    hem = connect(
        own_served.https,
        passphrase=own_served.passphrase,
        cloud_url=own_served.cloud,
        cloud_ca_file=own_served.ca_file,
    )
    monkeypatch.setattr(certificate, "pin_of", lambda _: "00" * 32)  # somebody else's
    before = len(own_served.calls())
    with pytest.raises(HemTLSError, match="is pinned"):
        hem.certificate.renew()
    assert {call["path"] for call in own_served.calls(before)} <= {"/api/system/checkin", "/checkin"}


def authority():
    """A key, its certificate, and what it issues for a request."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ours")])
    now = datetime.datetime.now(datetime.UTC)
    ends = now + datetime.timedelta(days=700)
    root = x509.CertificateBuilder(name, name, key.public_key(), 1, now, ends).sign(key, hashes.SHA256())

    def issued(request):
        asked = x509.load_pem_x509_csr(request)
        made = x509.CertificateBuilder(name, asked.subject, asked.public_key(), 2, now, ends)
        leaf = made.sign(key, hashes.SHA256())
        return leaf.public_bytes(Encoding.DER) + root.public_bytes(Encoding.DER)

    return issued


def served_chain(rig):
    with rig.device.model.transaction():
        return x509.load_pem_x509_certificates(rig.device.model.state.tls.chain.encode())


def test_a_chain_of_an_authority_of_ones_own_is_installed_without_the_cloud(hem, rig):
    rig.order(name="cloud-down")
    chain = authority()(hem.certificate.request())
    rig.requests.clear()
    new = hem.certificate.install(chain)
    assert rig.count("CLOUD") == 0
    assert rig.count("GET /api/system/reboot") == 1
    assert b"".join(each.public_bytes(Encoding.DER) for each in served_chain(rig)) == chain
    assert new.pin == spki_sha256(served_chain(rig)[0].public_bytes(Encoding.DER))


def test_a_chain_that_a_check_in_brought_is_installed_from_its_answer(hem, rig):
    rig.backend(checkin_newcrt=True)
    before = served_chain(rig)[0]
    answer = checkin.carry(hem.rest, checkin.begin(hem.session))
    rig.order(name="cloud-down")
    new = hem.certificate.install(checkin.offered_in(answer), reboot=False)
    assert served_chain(rig)[0] != before
    assert served_chain(rig)[0].not_valid_after_utc == new.not_after
    assert rig.count("GET /api/system/reboot") == 0


def test_an_answer_without_a_chain_offers_none(hem):
    assert checkin.offered_in(checkin.carry(hem.rest, checkin.begin(hem.session))) is None


def test_a_chain_for_a_key_that_the_device_does_not_have_is_refused(hem, rig):
    hem.certificate.request()
    before = served_chain(rig)
    with pytest.raises(HemOperationFailed, match="as where it has no key that the certificate is for"):
        hem.certificate.install(base64.b64decode(another_certificate()))
    assert served_chain(rig) == before
    assert rig.count("GET /api/system/reboot") == 0
    for chain in (b"", b"\x30\x03abc", b"x" * 99):
        with pytest.raises(HemAnswerFault):
            hem.certificate.install(chain)
