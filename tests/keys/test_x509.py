"""Certificates and requests made with cryptography's builders over a device behind real TLS, judged
by the ``openssl`` command line."""

from __future__ import annotations

import datetime
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

SIGNING = {
    "SECP256R1": hashes.SHA256(),
    "SECP384R1": hashes.SHA384(),
    "SECP521R1": hashes.SHA512(),
    "SECP256K1": hashes.SHA256(),
    "ED25519": None,
}


def name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def openssl(*arguments: object) -> str:
    done = subprocess.run(
        ["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def certificate(subject, public, issuer, private, algorithm, *, ca):
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(private, algorithm)
    )


@pytest.fixture(params=sorted(SIGNING))
def key(logged_in, request):
    key = logged_in.keys.create(request.param, label="x509", usage={"sign"})
    yield key
    logged_in.keys.delete(key)


def test_a_request_verifies_under_openssl(logged_in, key, tmp_path):
    private, algorithm = key.private_key(), SIGNING[key.type.name]
    before = logged_in.statistics.calls
    csr = x509.CertificateSigningRequestBuilder().subject_name(name("web.example")).sign(private, algorithm)
    # get the public half, log in for the key, sign
    assert logged_in.statistics.calls - before == 4
    assert csr.is_signature_valid
    file = tmp_path / "web.csr"
    file.write_bytes(csr.public_bytes(Encoding.PEM))
    assert "verify OK" in openssl("req", "-in", file, "-verify", "-noout")


def test_a_self_signed_certificate_and_one_issued_under_it_verify_under_openssl(key, tmp_path):
    private, algorithm = key.private_key(), SIGNING[key.type.name]
    root = certificate("Root", private.public_key(), "Root", private, algorithm, ca=True)
    leaf_key = ec.generate_private_key(ec.SECP256R1())
    leaf = certificate("leaf.example", leaf_key.public_key(), "Root", private, algorithm, ca=False)
    leaf.verify_directly_issued_by(root)
    (tmp_path / "root.pem").write_bytes(root.public_bytes(Encoding.PEM))
    (tmp_path / "leaf.pem").write_bytes(leaf.public_bytes(Encoding.PEM))
    # secp256k1 is outside OpenSSL's default set of curves for certificates: level 0 takes it.
    level = ("-auth_level", "0") if key.type.name == "SECP256K1" else ()
    openssl("verify", *level, "-check_ss_sig", "-CAfile", tmp_path / "root.pem", tmp_path / "root.pem")
    openssl("verify", *level, "-CAfile", tmp_path / "root.pem", tmp_path / "leaf.pem")


def test_a_signed_file_verifies_under_openssl(key, tmp_path):
    private, algorithm = key.private_key(), SIGNING[key.type.name]
    data = b"a file" * 300
    signature = private.sign(data, *([ec.ECDSA(algorithm)] if algorithm else []))
    (tmp_path / "data").write_bytes(data)
    (tmp_path / "sig").write_bytes(signature)
    from cryptography.hazmat.primitives.serialization import PublicFormat

    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "pub.pem").write_bytes(pem)
    if algorithm is None:
        openssl(
            "pkeyutl", "-verify", "-pubin", "-inkey", tmp_path / "pub.pem", "-rawin",
            "-in", tmp_path / "data", "-sigfile", tmp_path / "sig",
        )  # fmt: skip
    else:
        openssl(
            "dgst", f"-{algorithm.name}", "-verify", tmp_path / "pub.pem",
            "-signature", tmp_path / "sig", tmp_path / "data",
        )  # fmt: skip


def test_a_request_that_would_not_fit_is_refused_before_the_network(logged_in):
    private = logged_in.keys.create("ED25519", label="wide").private_key()
    private.public_key()
    names = [x509.DNSName(f"host-number-{number:03}.example") for number in range(100)]
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(name("wide"))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )
    before = logged_in.statistics.calls
    with pytest.raises(ValueError, match="the device takes at most 2048"):
        builder.sign(private, None)
    assert logged_in.statistics.calls == before
    logged_in.keys.delete(private.kid)
