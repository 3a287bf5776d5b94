"""Requests and certificates with keys of a device, judged by the ``openssl`` command line."""

from __future__ import annotations

import datetime
import ipaddress
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from hem_provider.adapters.x509 import making
from hem_provider.adapters.x509.making import CertificateRefused, Wish, issue, request, self_signed
from hem_provider.adapters.x509.names import read_name, read_subject, told
from hem_provider.adapters.x509.profiles import PROFILES
from hem_provider.adapters.x509.telling import names_of, pem_of, read_certificate, read_request, tell
from hem_provider.errors import HemAnswerFault, MessageTooLong

#: Signing types → whether OpenSSL 3.0 knows them, and what its signature is called.
SIGNING = {
    "SECP256R1": (True, "ecdsa-with-SHA256"),
    "SECP384R1": (True, "ecdsa-with-SHA384"),
    "SECP521R1": (True, "ecdsa-with-SHA512"),
    "SECP256K1": (True, "ecdsa-with-SHA256"),
    "ED25519": (True, "ED25519"),
    "ED448": (True, "ED448"),
    "MLDSA44": (False, ""),
}
#: Profile → those of OpenSSL's purposes that a certificate of it serves.
GOOD_FOR = {"server": {"sslserver"}, "client": {"sslclient"}, "code": set(), "ca": {"crlsign"}}
SUBJECT = read_subject("CN=web.example,O=Example,C=PL")
NAMES = tuple(
    map(
        read_name,
        (
            "DNS:web.example",
            "DNS:*.web.example",
            "IP:10.0.0.1",
            "IP:2001:db8::1",
            "email:a@example.org",
            "URI:https://example.org/x,y?z",
        ),
    )
)
ROOT = Wish("ca", read_subject("CN=Root"), path_length=1)


@pytest.fixture(params=SIGNING)
def key(hem, request):
    use = {"sign"} if request.param.startswith("SECP") else None
    return hem.keys.create(request.param, label="signer", usage=use)


@pytest.fixture
def root(hem):
    """The key of an authority."""
    return hem.keys.create("SECP384R1", label="root", usage={"sign"})


def openssl(*arguments):
    done = subprocess.run(
        ["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr


def written(made, path):
    path.write_bytes(pem_of(made))
    return path


def verified(root_file, purpose, leaf, *more):
    return openssl("verify", "-x509_strict", "-purpose", purpose, "-CAfile", root_file, *more, leaf)[0] == 0


def short_rsa():
    return rsa.generate_private_key(65537, 1024)  # noqa: S505 - which is to be refused


def asked_by_software(subject="CN=user", names=("DNS:user.example",), private=None):
    private = private or ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        read_subject(subject) if subject else x509.Name([])
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(map(read_name, names)), critical=False)
    return builder.sign(private, hashes.SHA256())


# --- requests ---


def test_a_request_is_verified_by_openssl(key, tmp_path):
    known, algorithm = SIGNING[key.type.name]
    made = request(key, SUBJECT, NAMES)
    assert made.is_signature_valid
    assert (made.subject, tuple(names_of(made))) == (SUBJECT, tuple(map(told, NAMES)))
    if known:
        status, said = openssl("req", "-in", written(made, tmp_path / "r"), "-verify", "-noout", "-text")
        assert (status, "verify OK" in said, algorithm in said) == (0, True, True), said
        assert "DNS:web.example, DNS:*.web.example, IP Address:10.0.0.1" in said


def test_a_request_is_one_signature(hem, rig):
    signer = hem.keys.create("ED25519", label="signer")
    signer.public_bytes()
    rig.requests.clear()
    request(signer, SUBJECT, NAMES)
    assert [each for each in rig.requests if "auth/token" not in each] == ["POST /api/crypto/exdsa/sign"]


def test_names_of_a_request_without_a_subject_are_critical(hem):
    signer = hem.keys.create("ED25519", label="signer")
    made = request(signer, x509.Name([]), NAMES[:1])
    assert made.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical
    with pytest.raises(CertificateRefused, match="needs a subject, or a name"):
        request(signer, x509.Name([]), ())


def test_a_name_is_in_it_once(hem):
    signer = hem.keys.create("ED25519", label="signer")
    assert names_of(request(signer, SUBJECT, NAMES[:1] * 3)) == ("DNS:web.example",)


def test_what_does_not_fit_is_told_with_what_to_do(hem, rig):
    signer = hem.keys.create("MLDSA65", label="wide")
    names = [read_name(f"DNS:host-{number:03}.example") for number in range(20)]
    signer.public_bytes()
    rig.requests.clear()
    with pytest.raises(
        MessageTooLong, match=r"what is to be signed has 2\d\d\d bytes.*at most 2048.*fewer or"
    ):
        request(signer, SUBJECT, names)
    assert rig.requests == []


# --- certificates ---


@pytest.mark.parametrize("profile", PROFILES)
def test_a_chain_is_verified_by_openssl_and_for_its_purpose_alone(hem, key, tmp_path, profile):
    known, algorithm = SIGNING[key.type.name]
    top = self_signed(key, ROOT)
    made = issue(key, top, asked_by_software(), Wish(profile))
    made.verify_directly_issued_by(top)
    if not known:
        return
    root_file, leaf = written(top, tmp_path / "root"), written(made, tmp_path / "leaf")
    good = {
        purpose
        for purpose in ("sslserver", "sslclient", "smimesign", "crlsign", "timestampsign")
        if verified(root_file, purpose, leaf)
    }
    assert good == GOOD_FOR[profile]
    assert verified(root_file, "any", leaf)
    assert verified(root_file, "any", root_file)
    status, text = openssl("x509", "-in", leaf, "-noout", "-text")
    assert (status, f"Signature Algorithm: {algorithm}" in text) == (0, True)


def test_what_a_server_s_certificate_says(hem, root):
    top = self_signed(root, ROOT)
    asked = asked_by_software("CN=web", ["DNS:web.example", "IP:10.0.0.1"])
    made = issue(root, top, asked, Wish("server"))
    said = {each.oid: each for each in made.extensions}
    assert len(said) == len(list(made.extensions)) == 6
    values = {each.value.__class__: (each.value, each.critical) for each in made.extensions}
    assert values[x509.BasicConstraints] == (x509.BasicConstraints(False, None), True)
    assert values[x509.ExtendedKeyUsage] == (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
    usage, critical = values[x509.KeyUsage]
    assert (usage.digital_signature, usage.key_cert_sign, usage.key_encipherment, critical) == (
        True, False, False, True,
    )  # fmt: skip
    own = top.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert values[x509.AuthorityKeyIdentifier][0].key_identifier == own.digest
    assert values[x509.SubjectKeyIdentifier][0] == x509.SubjectKeyIdentifier.from_public_key(
        asked.public_key()
    )
    assert names_of(made) == ("DNS:web.example", "IP:10.0.0.1")
    assert ExtensionOID.SUBJECT_ALTERNATIVE_NAME in said
    assert (made.subject, made.issuer) == (asked.subject, top.subject)
    assert made.not_valid_after_utc - made.not_valid_before_utc == datetime.timedelta(days=90)
    assert abs(datetime.datetime.now(datetime.UTC) - made.not_valid_before_utc) < datetime.timedelta(
        minutes=6
    )


def test_serial_numbers_are_large_and_never_the_same(root):
    made = [self_signed(root, ROOT).serial_number for _ in range(8)]
    assert len(set(made)) == 8
    assert all(0 < each < 2**159 for each in made)
    assert max(made) > 2**140


@pytest.mark.parametrize("profile", ["server", "client", "code"])
def test_a_certificate_that_signs_itself_is_verified_by_openssl(hem, tmp_path, profile):
    signer = hem.keys.create("ED25519", label="own")
    made = self_signed(signer, Wish(profile, SUBJECT, NAMES, days=7))
    file = written(made, tmp_path / "own")
    assert verified(file, {"server": "sslserver", "client": "sslclient"}.get(profile, "any"), file)
    assert made.not_valid_after_utc - made.not_valid_before_utc == datetime.timedelta(days=7)


def test_other_names_and_subject_than_the_request_s_are_taken_when_given(root):
    top = self_signed(root, ROOT)
    asked = asked_by_software("CN=evil", ["DNS:bank.example"])
    made = issue(root, top, asked, Wish("server", SUBJECT, NAMES[:1]))
    assert (made.subject, names_of(made)) == (SUBJECT, ("DNS:web.example",))


def test_what_else_a_request_asks_for_is_not_taken_over(root):
    top = self_signed(root, ROOT)
    private = ec.generate_private_key(ec.SECP256R1())
    asked = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(SUBJECT)
        .add_extension(x509.BasicConstraints(ca=True, path_length=9), critical=True)
        .sign(private, hashes.SHA256())
    )
    made = tell(issue(root, top, asked, Wish("client")))
    assert (made.ca, made.path_length) == (False, None)


def test_authorities_below_authorities_are_bounded(hem, root, tmp_path):
    middle = hem.keys.create("SECP256R1", label="middle", usage={"sign"})
    top = self_signed(root, ROOT)
    below = issue(root, top, request(middle, read_subject("CN=Middle"), ()), Wish("ca"))
    assert (tell(top).path_length, tell(below).path_length) == (1, 0)
    leaf = issue(middle, below, asked_by_software(), Wish("server"))
    files = [written(each, tmp_path / name) for each, name in ((top, "t"), (below, "b"), (leaf, "l"))]
    assert verified(files[0], "sslserver", files[2], "-untrusted", files[1])
    with pytest.raises(CertificateRefused, match=r"CN=Middle may issue no authority \(its own is 0\)"):
        issue(middle, below, asked_by_software(), Wish("ca"))
    with pytest.raises(CertificateRefused, match=r"of a path length up to 0 \(its own is 1\)"):
        issue(root, top, asked_by_software(), Wish("ca", path_length=1))
    assert tell(self_signed(root, Wish("ca", SUBJECT))).path_length == 0


def test_a_certificate_does_not_outlive_its_issuer_s(root):
    top = self_signed(root, Wish("ca", SUBJECT, days=30))
    assert (
        issue(root, top, asked_by_software(), Wish("server")).not_valid_after_utc == top.not_valid_after_utc
    )
    with pytest.raises(CertificateRefused, match="31 days are more than the certificate of the"):
        issue(root, top, asked_by_software(), Wish("server", days=31))
    issue(root, top, asked_by_software(), Wish("server", days=29))


def test_an_issuer_that_may_not_issue_is_told(hem, root, monkeypatch):
    top = self_signed(root, ROOT)
    other = hem.keys.create("SECP256R1", label="other", usage={"sign"})
    with pytest.raises(CertificateRefused, match=r"is for another key than .* \('other'\)"):
        issue(other, top, asked_by_software(), Wish("server"))
    leaf = self_signed(root, Wish("server", SUBJECT, NAMES))
    with pytest.raises(CertificateRefused, match="is no authority's"):
        issue(root, leaf, asked_by_software(), Wish("server"))
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=4000)
    monkeypatch.setattr(making, "_now", lambda: later)
    with pytest.raises(CertificateRefused, match="was good until 20"):
        issue(root, top, asked_by_software(), Wish("server"))


@pytest.mark.parametrize(
    ("wish", "asked", "told"),
    [
        (Wish("server"), lambda: asked_by_software(names=()), "addresses, and there is none"),
        (Wish("server"), lambda: asked_by_software(names=("email:a@b.c",)), "for DNS names or addresses"),
        (Wish("ca"), lambda: asked_by_software("", ("DNS:a",)), "a certificate needs a subject"),
        (Wish("client"), lambda: asked_by_software("", ()), "a certificate needs a subject"),
        (Wish("client", path_length=1), asked_by_software, "a path length is for profile ca alone"),
        (Wish("client"), lambda: asked_by_software(private=short_rsa()), "too short"),
    ],
)  # fmt: skip
def test_what_would_be_no_good_certificate_is_refused_before_a_signature(root, rig, wish, asked, told):
    top = self_signed(root, ROOT)
    before = rig.count("POST /api/crypto")
    with pytest.raises(CertificateRefused, match=told):
        issue(root, top, asked(), wish)
    assert rig.count("POST /api/crypto") == before


def test_a_request_that_another_key_signed_is_refused(root):
    top = self_signed(root, ROOT)
    der = bytearray(asked_by_software().public_bytes(Encoding.DER))
    der[der.index(b"user.example")] ^= 1
    with pytest.raises(CertificateRefused, match="not signed by the key that it is for"):
        issue(root, top, x509.load_der_x509_csr(bytes(der)), Wish("server"))


@pytest.mark.parametrize("kind", ["CURVE25519", "AES256", "MLKEM768"])
def test_keys_that_sign_nothing_are_told(hem, rig, kind):
    other = hem.keys.create(kind, label="other")
    rig.requests.clear()
    with pytest.raises(CertificateRefused, match="which signs nothing; accepted: P-256"):
        request(other, SUBJECT, ())
    assert rig.requests == []


def test_a_key_that_may_not_sign_is_told(hem):
    other = hem.keys.create("SECP256R1", label="other", usage={"derive"})
    with pytest.raises(CertificateRefused, match="was not made for 'sign'"):
        request(other, SUBJECT, ())
    public = hem.keys.import_public(ec.generate_private_key(ec.SECP256R1()).public_key(), label="peer")
    with pytest.raises(CertificateRefused, match="its private half is not on the device"):
        request(public, SUBJECT, ())


def test_a_wrong_signature_is_thrown_away(root, monkeypatch):
    monkeypatch.setattr(type(root.operations), "sign", lambda *_, **__: b"\x30\x06\x02\x01\x01\x02\x01\x01")
    with pytest.raises(HemAnswerFault, match="signature under the request is wrong"):
        request(root, SUBJECT, ())
    with pytest.raises(HemAnswerFault, match="signature under the certificate is wrong"):
        self_signed(root, ROOT)


# --- names ---


def test_subjects_are_read_in_both_ways():
    rfc = read_subject("CN=web\\, one,O=A+OU=B,C=PL")
    assert read_subject("/C=PL/O=Example/CN=web.example") == SUBJECT
    assert [each.rfc4514_string() for each in rfc.rdns] == ["C=PL", "O=A+OU=B", "CN=web\\, one"]
    slashes = read_subject("/O=a\\/b, c=d;e#/CN=Zażółć/emailAddress=a@b.c/serialNumber=7")
    assert [each.value for each in slashes] == ["a/b, c=d;e#", "Zażółć", "a@b.c", "7"]
    assert read_subject("1.2.3.4=x").get_attributes_for_oid(x509.ObjectIdentifier("1.2.3.4"))[0].value == "x"
    assert read_subject("emailAddress=a@b.c").get_attributes_for_oid(NameOID.EMAIL_ADDRESS)


@pytest.mark.parametrize(
    "text",
    [
        "web.example",
        "CN=",
        "/CN=",
        "/web",
        "C=POL",
        "CN=" + "x" * 65,
        "XY=a",
        "CN=a,",
        "=a",
        "/=a",
        "CN",
        "CN=a\0",
    ],
)
def test_what_is_no_subject_is_told(text):
    if text == "CN=a\0":
        text = "C=P\0"
    with pytest.raises(ValueError, match="is no subject"):
        read_subject(text)


@given(st.text(max_size=60))
def test_no_text_makes_the_readers_of_names_stumble(text):
    for read in (read_subject, read_name):
        for start in ("", "/", "CN=", "DNS:", "IP:", "email:", "URI:", "uri:https://"):
            try:
                read(start + text)
            except ValueError as error:
                assert "is no" in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("dns:Web.Example", x509.DNSName("Web.Example")),
        ("DNS:xn--zaklad-7ib.example", x509.DNSName("xn--zaklad-7ib.example")),
        ("ip:::1", x509.IPAddress(ipaddress.ip_address("::1"))),
        ("EMAIL:a+b@example.org", x509.RFC822Name("a+b@example.org")),
        ("URI:urn:uuid:1", x509.UniformResourceIdentifier("urn:uuid:1")),
    ],
)
def test_names_are_read(text, value):
    assert read_name(text) == value
    assert read_name(told(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        "web.example", "DNS:", "DNS:a b", "DNS:ü.example", "DNS:*", "DNS:a.*", "DNS:-a", "DNS:a..b",
        "DNS:" + "a" * 64, "DNS:" + "a." * 127 + "a", "IP:1.2.3", "IP:10.0.0.0/8", "email:a", "email:@b",
        "email:a@b c", "URI:a", "URI:http://a b", "URI:http://ü", "RID:1.2", "",
    ],
)  # fmt: skip
def test_what_is_no_name_is_told(text):
    with pytest.raises(ValueError, match="is no name"):
        read_name(text)


# --- files ---


def test_files_are_read_in_pem_and_der(root):
    top, asked = self_signed(root, ROOT), asked_by_software()
    for encoding in (Encoding.PEM, Encoding.DER):
        assert read_certificate(top.public_bytes(encoding)) == top
        assert read_request(asked.public_bytes(encoding)).public_bytes(Encoding.DER) == asked.public_bytes(
            Encoding.DER
        )
    for data in (b"", b"x", b"-----BEGIN CERTIFICATE-----\n", pem_of(asked)):
        with pytest.raises(ValueError, match="it is no certificate in PEM or DER"):
            read_certificate(data)
    for data in (b"", b"x", b"-----BEGIN", pem_of(top)):
        with pytest.raises(ValueError, match="it is no certificate request in PEM or DER"):
            read_request(data)


def test_what_a_certificate_says_is_told(root):
    made = self_signed(root, Wish("server", SUBJECT, NAMES))
    said = tell(made.public_bytes(Encoding.DER))
    assert said == tell(made)
    assert (said.subject, said.issuer) == ("CN=web.example,O=Example,C=PL",) * 2
    assert said.names == tuple(map(told, NAMES))
    assert int(said.serial, 16) == made.serial_number
    assert (said.sha256, said.ca) == (made.fingerprint(hashes.SHA256()).hex(), False)
    assert said.days_left() == 89
    assert said.days_left(made.not_valid_after_utc + datetime.timedelta(hours=1)) == -1
