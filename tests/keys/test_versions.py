"""The oldest cryptography that is named, and type checking of users' code."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

CLIENT = """
import hashlib, sys
import cryptography
import hem_provider
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, ed448, x25519
from cryptography.x509.oid import NameOID
from hem_provider import keys

hem = hem_provider.connect()
name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "old")])
kinds = {"SECP256R1": hashes.SHA256(), "SECP521R1": hashes.SHA512(), "ED25519": None, "ED448": None}
for kind, algorithm in kinds.items():
    key = hem.keys.create(kind, label="old")
    private = key.private_key()
    assert not type(private).__abstractmethods__
    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(private, algorithm)
    assert csr.is_signature_valid
local = x25519.X25519PrivateKey.generate()
private = hem.keys.create("CURVE25519", label="old").private_key()
assert private.exchange(local.public_key()) == local.exchange(private.public_key())
private = hem.keys.create("MLKEM512", label="old").private_key()
secret, ciphertext = private.public_key().encapsulate()
assert private.decapsulate(ciphertext) == secret
key = hem.keys.create("MLDSA44", label="old")
try:
    key.private_key()
except UnsupportedAlgorithm as error:
    print(error)
else:
    raise AssertionError("this cryptography has no ML-DSA")
print("worked with", cryptography.__version__)
"""


def oldest() -> str:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    dependencies = text.split("\ndependencies = [")[1].split("]")[0]
    return dependencies.split('"cryptography>=')[1].split('"')[0]


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_oldest_cryptography_named_works(served, tmp_path):
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    wanted = [f"cryptography=={oldest()}.*", "requests", "cffi"]
    subprocess.run([python, "-m", "pip", "install", "-q", *wanted], check=True, timeout=400)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "XDG_RUNTIME_DIR": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "HEM_URL": served.https,
        "HEM_CA_FILE": str(served.ca_file),
        "HEM_PASSPHRASE_FILE": str(served.passphrase_file),
    }
    done = subprocess.run(
        [python, "-c", CLIENT], env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"worked with {oldest()}." in done.stdout
    assert "needs cryptography 47 or newer" in done.stdout


TYPED = """
from typing import assert_type

import hem_provider
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hem_provider.device import Hem, Key
from hem_provider.keys import Ed25519ph, HemECPrivateKey

hem = hem_provider.connect("https://my.ence.do", passphrase="x", timeout=5)
assert_type(hem, Hem)
key = hem.keys.create("SECP256R1", label="web", usage={"sign"})
assert_type(key, Key)
private = key.private_key(ec.EllipticCurvePrivateKey)
assert_type(private, ec.EllipticCurvePrivateKey)
assert_type(private.sign(b"data", ec.ECDSA(hashes.SHA256())), bytes)
request = x509.CertificateSigningRequestBuilder().sign(private, hashes.SHA256())
assert_type(request, x509.CertificateSigningRequest)
own = key.private_key(HemECPrivateKey)
assert_type(own.exchange_hashed(hashes.SHA256(), own.public_key()), bytes)
some = key.private_key()
if isinstance(some, ed25519.Ed25519PrivateKey):
    assert_type(some.sign(b"data"), bytes)
assert_type(Ed25519ph(key).sign(b"data"), bytes)
public = key.public_key()
if isinstance(public, ec.EllipticCurvePublicKey):
    public.verify(b"", b"", ec.ECDSA(hashes.SHA256()))
for each in hem.keys:
    assert_type(each.label, str)
assert_type(hem.admin.configuration().user, str)
"""

WRONG = """
import hem_provider

hem = hem_provider.connect()
hem.keys.create("SECP256R1")  # a label is needed
hem.sign("kid", "text", "Ed25519")  # bytes are needed
"""


def check_types(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    file = folder / "user.py"
    file.write_text(code)
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file=",
        "--cache-dir",
        str(folder),
        str(file),
    ]
    environment = {**os.environ, "MYPYPATH": str(ROOT)}
    return subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=170, check=False
    )


def test_users_code_type_checks_against_our_types(tmp_path):
    good = check_types(TYPED, tmp_path)
    assert good.returncode == 0, good.stdout
    wrong = check_types(WRONG, tmp_path)
    assert wrong.stdout.count(": error: ") == 2
    assert 'Missing named argument "label"' in wrong.stdout
