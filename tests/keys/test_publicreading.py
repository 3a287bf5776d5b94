"""Public keys of other programs, read into the device's form."""

from __future__ import annotations

import base64
import datetime
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x448, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from hem_provider.keys.publicforms import FORMS
from hem_provider.keys.publicreading import read_public
from hem_provider.keytypes import KEY_TYPES
from hem_provider.publickeys import device_form, type_of
from hem_provider.sshwire import string

PRIVATE = {
    "SECP256R1": lambda: ec.generate_private_key(ec.SECP256R1()),
    "SECP384R1": lambda: ec.generate_private_key(ec.SECP384R1()),
    "SECP521R1": lambda: ec.generate_private_key(ec.SECP521R1()),
    "SECP256K1": lambda: ec.generate_private_key(ec.SECP256K1()),
    "ED25519": ed25519.Ed25519PrivateKey.generate,
    "ED448": ed448.Ed448PrivateKey.generate,
    "CURVE25519": x25519.X25519PrivateKey.generate,
    "CURVE448": x448.X448PrivateKey.generate,
}


@pytest.mark.parametrize("kind", PRIVATE)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_that_is_handed_out_is_read_again(hem, kind, form):
    key = hem.keys.create(kind, label="k")
    if form == "ssh" and kind not in ("SECP256R1", "SECP384R1", "SECP521R1", "ED25519"):
        return
    data = FORMS[form].make(key)
    assert read_public(data, key.type if form == "raw" else None) == (key.type, key.public_bytes())


@pytest.mark.parametrize("kind", [each for each in KEY_TYPES if each.startswith(("MLDSA", "MLKEM"))])
def test_keys_after_quantum_computers_are_read_in_pem_der_and_raw(hem, kind):
    key = hem.keys.create(kind, label="k")
    assert read_public(key.public_bytes(), key.type) == (key.type, key.public_bytes())
    if kind != "MLKEM512":  # which cryptography does not have
        for form in ("pem", "der"):
            assert read_public(FORMS[form].make(key)) == (key.type, key.public_bytes())


@pytest.mark.parametrize("kind", PRIVATE)
def test_raw_points_are_taken_compressed_or_not(kind):
    public = PRIVATE[kind]().public_key()
    assert read_public(device_form(public), KEY_TYPES[kind]) == (KEY_TYPES[kind], device_form(public))
    if isinstance(public, ec.EllipticCurvePublicKey):
        whole = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        assert read_public(whole, KEY_TYPES[kind])[1] == device_form(public)
        with pytest.raises(ValueError, match="no point of"):
            read_public(whole[:-1] + b"\0" + b"\1", KEY_TYPES[kind])


def test_the_key_of_a_certificate_in_pem_is_read():
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a")])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder(name, name, private.public_key(), 1, now, now + datetime.timedelta(days=9))
    pem = made.sign(private, hashes.SHA256()).public_bytes(Encoding.PEM)
    assert read_public(pem)[1] == device_form(private.public_key())


def pem_of(public):
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def private_pem():
    return ed25519.Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"hello", "no public key in a form that is known"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "no public key in PEM"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no certificate in PEM"),
        (b"\x30\x03\x02\x01\x00", "no public key in DER"),
        (b"ssh-ed25519 AAAA", "no public key of SSH"),
        (b"ssh-ed25519 AAAA\nssh-ed25519 AAAA", "it has 2 lines"),
        (b"{", "it is no JSON"),
        (b"{}", "its kty and crv are None and None; accepted: EC P-256"),
        (b'{"kty":"OKP","crv":"Ed25519","x":"AA","d":"AA"}', "it is a private JWK"),
        (b'{"kty":"OKP","crv":"Ed25519","x":"AA"}', "1 bytes that are no ED25519 public key"),
        (b'{"kty":"OKP","crv":"Ed25519","x":7}', "its 'x' is no base64url text"),
        (b'{"kty":"OKP","crv":"Ed25519","x":"="}', "its 'x' is no base64url text"),
        (b'{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}', "its x and y have 1 and 1 bytes; P-256 has 32"),
        (
            json.dumps({"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43}).encode(),
            "no point of P-256",
        ),
        (pem_of(rsa.generate_private_key(65537, 2048).public_key()), "no keys of the kind"),
        (pem_of(dsa.generate_private_key(2048).public_key()), "no keys of the kind"),
        (pem_of(ec.generate_private_key(ec.BrainpoolP256R1()).public_key()), "no keys of the kind"),
        (private_pem(), "it has a private key"),
    ],
)
def test_what_is_no_public_key_for_a_device_is_told(data, told):
    with pytest.raises(ValueError, match=".") as caught:
        read_public(data)
    assert told in str(caught.value)


def test_points_that_agree_on_nothing_are_refused():
    with pytest.raises(ValueError, match="small order"):
        read_public(bytes(32), KEY_TYPES["CURVE25519"])
    with pytest.raises(ValueError, match="31 bytes that are no CURVE25519 public key"):
        read_public(bytes(31), KEY_TYPES["CURVE25519"])
    with pytest.raises(ValueError, match="no public half"):
        read_public(bytes(32), KEY_TYPES["AES256"])


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_nothing_makes_the_reader_stumble(data):
    for start in (b"", b"-----BEGIN ", b"{", b"ssh-", b"\x30"):
        try:
            kind, public = read_public(start + data)
        except ValueError:
            continue
        assert len(public) == kind.public_size


def test_the_types_that_are_read_are_those_of_the_keys():
    for kind, make in PRIVATE.items():
        assert type_of(make().public_key()) is KEY_TYPES[kind]


def test_a_compressed_point_of_ssh_is_refused():
    public = PRIVATE["SECP256R1"]().public_key()
    blob = string("ecdsa-sha2-nistp256") + string("nistp256") + string(device_form(public))
    with pytest.raises(ValueError, match="no public key of SSH"):
        read_public(b"ecdsa-sha2-nistp256 " + base64.b64encode(blob))
