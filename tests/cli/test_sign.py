"""``hem sign`` and ``hem verify``: what is written and told, by which key, and what each refuses."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from support.owner import SCHEMAS, valid
from support.passphrases import PASSPHRASE
from support.signing import flipped

from hem_provider.cli import main as cli
from hem_provider.cli.commands import sign as sign_command
from hem_provider.cli.commands import verify as verify_command
from hem_provider.cli.signing import reading
from hem_provider.cli.signing.formats import FORMATS, MOST_ATTACHED
from hem_provider.cli.signing.verifiers import VERIFIERS
from hem_provider.device.description import Limits
from hem_provider.errors import HemUnreachable
from hem_provider.keys import signing
from hem_provider.keytypes import KEY_TYPES

#: Label → type of the keys on the device.
KEYS = {
    "web": "SECP256R1",
    "p384": "SECP384R1",
    "p521": "SECP521R1",
    "k256": "SECP256K1",
    "ada": "ED25519",
    "ed448": "ED448",
    "lattice": "MLDSA44",
}
#: Label → the format without ``--format``.
DEFAULTS = {
    "web": "ssh",
    "p384": "ssh",
    "p521": "ssh",
    "ada": "ssh",
    "k256": "raw",
    "ed448": "raw",
    "lattice": "raw",
}
#: Format → what it needs beside its name.
NEEDED = {"cms": ["--signer-key-id"]}
CALLS = "POST /api/crypto/"
PAIRS = [(form, label) for form in FORMATS for label, kind in KEYS.items() if kind in FORMATS[form].types]


@pytest.fixture
def keys(rig, hem, monkeypatch, tmp_path):
    """The keys by label; "twin" is the label of two, and there are some that do not sign."""
    passphrase = tmp_path / "passphrase"
    passphrase.write_text(f"{PASSPHRASE}\n")
    passphrase.chmod(0o600)
    monkeypatch.setenv("HEM_URL", f"emulator:{rig.path}")
    monkeypatch.setenv("HEM_PASSPHRASE_FILE", str(passphrase))
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        hem.keys.create("ED25519", label="twin", usage={"sign"})
    hem.keys.create("AES256", label="vault", usage={"aead"})
    hem.keys.create("SECP256R1", label="agrees", usage={"derive"})
    hem.keys.import_public(ec.generate_private_key(ec.SECP256R1()).public_key(), label="peer")
    return {label: hem.keys.create(kind, label=label, usage={"sign"}) for label, kind in KEYS.items()}


@pytest.fixture
def letter(tmp_path):
    path = tmp_path / "letter.txt"
    path.write_bytes(b"hello\n")
    return path


def certificate(key, *, issuer=None, name="Ada", days=365):
    """Of a key of the device, by itself or another key."""
    now = datetime.now(UTC)
    subject, above = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)])
        for each in (name, "CA" if issuer else name)
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(above)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=9))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=name == "CA", path_length=None), critical=True)
    )
    return builder.sign((issuer or key).private_key(), hashes.SHA256()).public_bytes(Encoding.PEM)


@pytest.mark.parametrize(("form", "label"), PAIRS)
def test_a_signature_is_written_beside_the_file_and_verified_by_the_key(keys, letter, run, form, label):
    status, out, said = run("sign", letter, "--key", label, "--format", form, *NEEDED.get(form, []))
    path = Path(f"{letter}{FORMATS[form].suffix}")
    assert (status, out, said) == (0, b"", f"letter.txt: signed by key {label!r}: {path}\n")
    assert path.stat().st_mode & 0o777 == 0o644
    status, out, said = run("verify", letter, "--key", label, "--format", form)
    name = f"key {label!r} ({KEYS[label]}, KID {keys[label].kid})"
    assert (status, said) == (0, "")
    assert out.decode().startswith(f"{letter}: good signature by {name}: {form}, ")
    assert out.count(b"\n") == 1
    letter.write_bytes(b"Hello\n")
    status, out, said = run("verify", letter, "--key", label, "--format", form)
    assert (status, out) == (1, b"")
    assert said.startswith(f"hem: {letter}: bad signature by {name}: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("label", DEFAULTS)
def test_the_format_follows_from_the_key_where_none_is_chosen(keys, letter, run, label):
    assert run("sign", letter, "--key", label)[0] == 0
    document = json.loads(run("verify", letter, "--key", keys[label].kid, "--json")[1])
    assert valid(document, "verify")["format"] == DEFAULTS[label]
    assert document["key"] == {"label": label, "kid": keys[label].kid, "type": KEYS[label], "names": []}


def test_a_certificate_or_key_identifier_makes_it_cms(keys, letter, run, tmp_path):
    own = tmp_path / "web.pem"
    own.write_bytes(certificate(keys["web"]))
    for options in (["--certificate", own], ["--signer-key-id"], ["--certificate", own, "--signer-key-id"]):
        assert run("sign", letter, "--key", "web", *options, "--force")[0] == 0
        for source in (["--key", "web"], ["--public", own], ["--certificate", own]):
            status, out, _ = run("verify", letter, *source)
            assert (status, b": cms, sha256" in out) == (0, True)
    assert not Path(f"{letter}.sig").exists()


@pytest.mark.parametrize(
    ("form", "label", "calls"),
    [
        ("ssh", "ada", 1),
        ("ssh", "p521", 1),
        ("cms", "web", 1),
        ("minisign", "ada", 2),
        ("jws", "web", 1),
        ("raw", "lattice", 1),
    ],
)
@pytest.mark.parametrize("size", [0, 1, 5_000_000])
def test_a_file_of_any_size_costs_the_same_calls(keys, letter, run, rig, form, label, calls, size):
    letter.write_bytes(bytes(size))
    rig.requests.clear()
    status, _, said = run("sign", letter, "--key", label, "--format", form, *NEEDED.get(form, []))
    if (form == "raw" and size == 0) or (form in ("raw", "jws") and size > 2048):
        assert (status, rig.count(CALLS)) == (1, 0)
        larger = {
            "jws": "--format cms or ssh goes with a file of any size",
            "raw": "MLDSA44 signs nothing larger",
        }
        assert larger[form] in said or "it is empty" in said
        assert said.startswith("hem: letter.txt: ")
        return
    assert (status, rig.count(CALLS)) == (0, calls)
    assert (
        rig.count("POST /api/auth/token") == rig.count("GET /api/auth/token") <= 2
    )  # one to list, one to use
    assert run("verify", letter, "--key", label)[0] == 0


LOGIN = ["GET /api/auth/token", "POST /api/auth/token"]
SIGN = "POST /api/crypto/exdsa/sign"


def test_it_costs_the_calls_that_the_page_says(keys, letter, run, rig):
    """Once the key was used here before."""
    assert run("sign", letter, "--key", "web")[0] == 0

    def cost(*arguments):
        rig.requests.clear()
        assert run(*arguments)[0] == 0
        return rig.requests

    search = "POST /api/keymgmt/search"
    for key in ("web", keys["web"].kid):
        assert cost("sign", letter, "--key", key, "--force") == [search, *LOGIN, SIGN]
        assert cost("verify", letter, "--key", key) == [search]
    page = (SCHEMAS.parent / "owner" / "signing.md").read_text()
    for row in (
        "| `hem sign FILE --key KEY` | 4 calls, 1 login | 1 call |",
        "| `hem verify FILE --key KEY` | 1 call, no login | none |",
    ):
        assert row in page


def test_the_certificate_saves_the_call_for_the_public_half(keys, letter, run, rig, tmp_path, monkeypatch):
    own = tmp_path / "web.pem"
    own.write_bytes(certificate(keys["web"]))
    reads = []
    for number, options in enumerate((["--signer-key-id"], ["--certificate", own])):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / f"cache{number}"))
        rig.requests.clear()
        assert run("sign", letter, "--key", "web", "--force", *options)[0] == 0
        reads.append(rig.count("GET /api/keymgmt/get"))
    assert reads == [1, 0]


def test_it_is_verified_before_it_is_written(keys, letter, run, rig, monkeypatch):
    """Even where the configuration asks for no proof of signatures."""
    monkeypatch.setenv("HEM_VERIFY_SIGNATURES", "false")
    other = signing.sign(keys["ada"], b"another message", "Ed25519")
    monkeypatch.setattr("hem_provider.device.operations.Operations.sign", lambda *_, **__: other)
    for form in ("ssh", "minisign", "jws", "raw"):
        status, _, said = run("sign", letter, "--key", "ada", "--format", form)
        assert (status, "does not verify under the key's public half" in said) == (1, True)
    monkeypatch.setattr("hem_provider.cli.signing.making.sign", lambda *_: other)
    status, _, said = run("sign", letter, "--key", "ada")
    assert (status, "is not good" in said) == (1, True)
    assert [each.name for each in letter.parent.glob("letter*")] == ["letter.txt"]


@pytest.mark.parametrize("change", ["content", "time", "replaced", "removed"])
@pytest.mark.parametrize("form", ["ssh", "raw", "jws"])
def test_a_file_that_changes_meanwhile_has_no_signature(keys, letter, run, rig, form, change):
    def do():
        if change == "content":
            letter.write_bytes(b"other and longer\n")
        elif change == "time":
            letter.write_bytes(b"Hello\n")
            os.utime(letter, ns=(1, 1))
        elif change == "replaced":
            (letter.parent / "new").write_bytes(b"hello\n")
            (letter.parent / "new").replace(letter)
        else:
            letter.unlink()

    rig.fault("POST /api/crypto/exdsa/sign", do)
    status, out, _ = run("sign", letter, "--key", "ada", "--format", form, "--json")
    assert (status, valid(json.loads(out), "error")["error"]) == (1, "InputChanged")
    assert "changed while it was signed" in json.loads(out)["message"]
    assert [each.name for each in letter.parent.glob("letter*")] == (
        [] if change == "removed" else ["letter.txt"]
    )


def test_check_shows_what_would_be_signed_and_signs_nothing(keys, letter, run, rig):
    rig.requests.clear()
    status, out, said = run("sign", letter, "--key", "web", "--check")
    assert (status, said, rig.count(CALLS)) == (0, "", 0)
    assert out.decode().splitlines() == [
        "This would be signed:",
        "file      letter.txt, 6 bytes",
        f"digest    sha512 {hashlib.sha512(b'hello' + bytes([10])).hexdigest()}",
        "format    ssh",
        f"key       'web', SECP256R1, KID {keys['web'].kid}, of device hem",
        "algorithm SHA256WithECDSA",
        "sent      96 bytes, in 1 call of the device",
    ]
    text = run("sign", letter, "--key", "ada", "--check", "--format", "minisign")[1].decode()
    assert "sent      64 and " in text
    assert text.endswith(" bytes, in 2 calls of the device\n")
    assert (
        "none: the device has the whole file"
        in run("sign", letter, "--key", "lattice", "--check")[1].decode()
    )
    assert [each.name for each in letter.parent.glob("letter*")] == ["letter.txt"]


@pytest.mark.parametrize(("form", "label"), PAIRS)
def test_what_check_shows_is_what_is_sent(keys, letter, run, monkeypatch, form, label):
    arguments = ["sign", letter, "--key", label, "--format", form, "--json", *NEEDED.get(form, [])]
    shown = valid(json.loads(run(*arguments, "--check")[1]), "sign")
    sent = []
    original = signing.sign
    monkeypatch.setattr(
        "hem_provider.cli.signing.making.sign",
        lambda key, message, algorithm: (
            sent.append((len(message), algorithm)) or original(key, message, algorithm)
        ),
    )
    done = valid(json.loads(run(*arguments)[1]), "sign")
    assert [size for size, _ in sent] == shown["messages"]
    assert {algorithm for _, algorithm in sent} == {shown["algorithm"]}
    assert done == shown | {"signature": f"{letter}{FORMATS[form].suffix}"}


@pytest.mark.parametrize("form", ["ssh", "minisign", "jws", "raw"])
def test_standard_input_goes_to_standard_output(keys, letter, run, monkeypatch, tmp_path, form):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"hello\n")))
    status, out, said = run("sign", "-", "--key", "ada", "--format", form)
    assert (status, said) == (0, "")
    (tmp_path / "sig").write_bytes(out)
    for file in (letter, "-"):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"hello\n")))
        assert run("verify", file, "--signature", tmp_path / "sig", "--key", "ada")[0] == 0
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"other\n")))
    assert run("verify", "-", "--signature", tmp_path / "sig", "--key", "ada")[0] == 1
    assert run("sign", letter, "--key", "ada", "--format", form, "--output", "-")[1]


PUBLIC_FORMS = {
    "web": ("pem", "der", "ssh", "jwk"),
    "ada": ("pem", "der", "ssh", "jwk", "minisign"),
    "k256": ("pem", "der", "jwk"),
    "ed448": ("pem", "der", "jwk"),
    "lattice": ("pem", "der"),
}


@pytest.mark.parametrize(
    ("label", "public"), [(label, form) for label, those in PUBLIC_FORMS.items() for form in those]
)
def test_a_public_key_in_a_file_needs_no_device(keys, letter, run, monkeypatch, tmp_path, label, public):
    path = tmp_path / "public"
    assert run("keys", "public", label, "--format", public, "--output", path)[0] == 0
    assert run("sign", letter, "--key", label)[0] == 0
    monkeypatch.setenv("HEM_URL", "https://127.0.0.1:1")
    monkeypatch.delenv("HEM_PASSPHRASE_FILE")
    status, out, said = run("verify", letter, "--public", path)
    assert (status, said) == (0, "")
    assert f"good signature by the {KEYS[label]} key of {path} (KID {keys[label].kid})" in out.decode()
    other = ec.generate_private_key(ec.SECP384R1()).public_key()
    from cryptography.hazmat.primitives.serialization import PublicFormat

    path.write_bytes(other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    status, out, said = run("verify", letter, "--public", path)
    assert (status, out, "bad signature by the SECP384R1 key" in said) == (1, b"", True)


def test_minisign_takes_the_public_key_as_it_is_handed_out(keys, letter, run, tmp_path):
    assert run("keys", "public", "ada", "--format", "minisign", "--output", tmp_path / "ada.pub")[0] == 0
    assert run("sign", letter, "--key", "ada", "--format", "minisign", "--comment", "of that day")[0] == 0
    done = subprocess.run(
        ["minisign", "-V", "-p", "ada.pub", "-m", letter.name], capture_output=True, text=True, check=True,
        cwd=tmp_path, timeout=60,
    )  # fmt: skip
    assert "Trusted comment: of that day\n" in done.stdout


def test_allowed_signers_say_who_it_was(keys, letter, run, tmp_path):
    line = run("keys", "public", "web", "--format", "ssh")[1].decode()
    allowed = tmp_path / "allowed"
    allowed.write_text(f"ada@example.org {line}bob@example.org {line}")
    assert run("sign", letter, "--key", "web", "--namespace", "letters")[0] == 0
    verify = ["verify", letter, "--allowed-signers", allowed]
    status, out, said = run(*verify, "--namespace", "letters")
    assert (status, said) == (0, "")
    assert b"good signature by ada@example.org, bob@example.org (SECP256R1, KID " in out
    document = json.loads(
        run(*verify, "--namespace", "letters", "--identity", "ada@example.org", "--json")[1]
    )
    assert valid(document, "verify")["key"]["names"] == ["ada@example.org"]
    for options, reason in (
        (
            ["--namespace", "letters", "--identity", "eve@example.org"],
            "does not let the key that made it sign",
        ),
        ([], "it is for namespace 'letters', not 'file'"),
    ):
        status, out, said = run(*verify, *options)
        assert (status, out, reason in said) == (1, b"", True)
    letter.write_bytes(b"x")
    assert "bad signature by ada@example.org" in run(*verify, "--namespace", "letters")[2]


@pytest.mark.parametrize("principals", ["!bob@x", '""', "bob@x,!bob@x"])
def test_a_line_that_permits_nobody_makes_no_signature_good(keys, letter, run, tmp_path, principals):
    line = run("keys", "public", "web", "--format", "ssh")[1].decode()
    allowed = tmp_path / "allowed"
    allowed.write_text(f"{principals} {line}")
    assert run("sign", letter, "--key", "web")[0] == 0
    for identity in ([], ["--identity", "bob@x"], ["--identity", "!bob@x"]):
        status, out, said = run("verify", letter, "--allowed-signers", allowed, *identity)
        assert (status, out, "does not let the key that made it sign" in said) == (1, b"", True)
    status, _, said = run("verify", letter, "--allowed-signers", allowed, "--identity", "")
    assert (status, "--identity: it is empty" in said) == (2, True)
    allowed.write_text(f"*@x,carol@x,!carol@x {line}")
    assert b"good signature by *@x (" in run("verify", letter, "--allowed-signers", allowed)[1]


def test_a_chain_of_certificates_is_not_trusted_for_its_authoritys_signatures(keys, letter, run, tmp_path):
    leaf, root = certificate(keys["web"], issuer=keys["p384"]), certificate(keys["p384"], name="CA")
    for name, chain in (
        ("leaf", leaf),
        ("chain", leaf + root),
        ("root", root + leaf),
        ("two", root + root + leaf),
    ):
        (tmp_path / name).write_bytes(chain)
    assert run("sign", letter, "--key", "p384", "--certificate", tmp_path / "root")[0] == 0
    status, out, said = run("verify", letter, "--certificate", tmp_path / "chain")
    assert (status, out, "of which the first may sign" in said) == (1, b"", True)
    assert run("verify", letter, "--certificate", tmp_path / "root")[0] == 0
    assert run("sign", letter, "--key", "web", "--certificate", tmp_path / "leaf", "--force")[0] == 0
    for file in ("leaf", "chain", "root"):
        assert run("verify", letter, "--certificate", tmp_path / file)[0] == 0


@pytest.mark.parametrize(
    ("label", "form", "content"),
    [
        ("ada", "ssh", b"SSHSIG" + bytes(20)),
        ("web", "ssh", b"SSHSIG"),
        ("ada", "minisign", bytes(64)),
        ("web", "cms", bytes.fromhex("3110300e06092a864886f70d01090431010400")),
        ("web", "jws", b"eyJhbGciOiJFUzI1NiJ9.e30"),
        ("ed448", "jws", b"eyJhbGciOiJFUzI1NiIsImI2NCI6ZmFsc2V9.\0\n"),
        ("web", None, bytes(64)),
        ("ada", None, bytes(65)),
        ("lattice", None, b"SSHSIG" + bytes(20)),
        ("ada", None, bytes.fromhex("3110300e06092a864886f70d01090431010400")),
        ("web", None, b"eyJhbGciOiJFUzI1NiJ9"),
        ("web", None, b"e30.e30"),
        ("web", None, b"Dear Ada. \xff"),
    ],
    ids=str,
)
def test_what_another_format_signs_has_no_raw_signature(keys, letter, run, rig, label, form, content):
    letter.write_bytes(content)
    rig.requests.clear()
    status, _, said = run("sign", letter, "--key", label, "--format", "raw")
    if form is None:
        assert (status, said.count("signed by key")) == (0, 1)
        return
    assert (status, f"it is what --format {form} signs: " in said, said.count("\n")) == (1, True, 1)
    assert not any("sign" in each for each in rig.requests)


def test_a_file_that_another_signature_signs_has_no_signature_without_attributes(keys, letter, run, tmp_path):
    from asn1crypto import cms

    (tmp_path / "web.pem").write_bytes(certificate(keys["web"]))
    assert run("sign", letter, "--key", "web", "--certificate", tmp_path / "web.pem")[0] == 0
    info = cms.ContentInfo.load(Path(f"{letter}.p7s").read_bytes())
    one = info["content"]["signer_infos"][0]
    forged = tmp_path / "forged"
    forged.write_bytes(b"\x31" + one["signed_attrs"].dump()[1:])
    one["signed_attrs"] = None
    Path(f"{forged}.p7s").write_bytes(info.dump(force=True))
    for option in (("--certificate", tmp_path / "web.pem"), ("--key", "web")):
        status, out, said = run("verify", forged, *option)
        assert (status, out, "the signed attributes of another signature" in said) == (1, b"", True)
    assert run("sign", letter, "--key", "web", "--format", "raw", "--output", tmp_path / "raw")[0] == 0
    one["signature"] = (tmp_path / "raw").read_bytes()
    one["digest_algorithm"] = {"algorithm": "sha256"}
    info["content"]["digest_algorithms"] = [{"algorithm": "sha256"}]
    Path(f"{letter}.p7s").write_bytes(info.dump(force=True))  # as of openssl cms -noattr
    status, out, said = run(
        "verify", letter, "--certificate", tmp_path / "web.pem", "--signature", f"{letter}.p7s"
    )
    assert (status, b"good signature by CN=Ada" in out) == (0, True), said


def test_an_authority_says_who_it_was(keys, letter, run, tmp_path):
    (tmp_path / "ca.pem").write_bytes(certificate(keys["p384"], name="CA"))
    own = certificate(keys["web"], issuer=keys["p384"])
    (tmp_path / "web.pem").write_bytes(own)
    (tmp_path / "other.pem").write_bytes(certificate(keys["p521"], name="CA"))
    (tmp_path / "old.pem").write_bytes(certificate(keys["web"], issuer=keys["p384"], days=-1))
    assert run("sign", letter, "--key", "web", "--certificate", tmp_path / "web.pem")[0] == 0
    status, out, _ = run("verify", letter, "--ca-file", tmp_path / "ca.pem")
    assert (status, b"good signature by CN=Ada (SECP256R1, KID " in out) == (0, True)
    for option, file, reason in (
        ("--ca-file", "other.pem", "does not lead to the authority"),
        ("--certificate", "other.pem", "its signer is none of"),
        ("--certificate", "ca.pem", "its signer is none of"),
    ):
        status, out, said = run("verify", letter, option, tmp_path / file)
        assert (status, out, reason in said, said.count("\n")) == (1, b"", True, 1)
    assert run("sign", letter, "--key", "web", "--certificate", tmp_path / "old.pem", "--force")[0] == 0
    for option, file in (("--ca-file", "ca.pem"), ("--certificate", "old.pem")):
        assert "expired on" in run("verify", letter, option, tmp_path / file)[2]
    assert run("sign", letter, "--key", "web", "--signer-key-id", "--force")[0] == 0
    assert "no certificate of its signer" in run("verify", letter, "--ca-file", tmp_path / "ca.pem")[2]
    assert run("verify", letter, "--certificate", tmp_path / "web.pem")[0] == 0


def test_a_file_may_be_in_the_signature(keys, letter, run):
    for form, label in (("cms", "web"), ("jws", "ada")):
        assert (
            run("sign", letter, "--key", label, "--format", form, "--attached", *NEEDED.get(form, []))[0] == 0
        )
        status, out, _ = run("verify", letter, "--key", label, "--format", form)
        assert (status, form == "cms" or b"payload attached" in out) == (0, True)
        assert (
            run(
                "verify",
                letter.with_name("passphrase"),
                "--signature",
                f"{letter}{FORMATS[form].suffix}",
                "--key",
                label,
            )[0]
            == 1
        )
    letter.write_bytes(bytes(MOST_ATTACHED + 1))
    status, _, said = run(
        "sign", letter, "--key", "web", "--format", "cms", "--signer-key-id", "--attached", "--force"
    )
    assert (status, "--attached takes 1048576 bytes at most" in said) == (1, True)


@pytest.mark.parametrize("encoding", ["der", "p1363"])
@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_raw_signatures_have_the_chosen_form(keys, letter, run, digest, encoding):
    chosen = ["--digest", digest, "--encoding", encoding]
    assert run("sign", letter, "--key", "p521", "--format", "raw", *chosen)[0] == 0
    made = Path(f"{letter}.sig").read_bytes()
    assert (len(made) == 132) is (encoding == "p1363")
    status, out, _ = run("verify", letter, "--key", "p521", "--digest", digest)
    assert (status, out.decode().endswith(f": raw, SHA{digest[3:]}WithECDSA, {encoding}\n")) == (0, True)
    others = ({"sha256", "sha384", "sha512"} - {digest}).pop(), ({"der", "p1363"} - {encoding}).pop()
    assert run("verify", letter, "--key", "p521", "--digest", others[0])[0] == 1
    assert run("verify", letter, "--key", "p521", "--digest", digest, "--encoding", others[1])[0] == 1


def test_openssl_verifies_raw_signatures_and_hem_those_of_openssl(keys, letter, run, tmp_path):
    run("keys", "public", "web", "--output", tmp_path / "web.pem")
    run("sign", letter, "--key", "web", "--format", "raw")
    verify = [
        "openssl",
        "dgst",
        "-sha256",
        "-verify",
        "web.pem",
        "-signature",
        "letter.txt.sig",
        "letter.txt",
    ]
    subprocess.run(verify, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    make = ["openssl", "ecparam", "-name", "secp384r1", "-genkey", "-noout", "-out", "own.pem"]
    subprocess.run(make, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    subprocess.run(
        ["openssl", "pkey", "-in", "own.pem", "-pubout", "-out", "pub.pem"],
        cwd=tmp_path,
        check=True,
        timeout=60,
    )
    letter.write_bytes(bytes(5_000_000))
    sign = ["openssl", "dgst", "-sha512", "-sign", "own.pem", "-out", "letter.txt.sig", "letter.txt"]
    subprocess.run(sign, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    assert run("verify", letter, "--public", tmp_path / "pub.pem", "--digest", "sha512")[0] == 0
    assert run("verify", letter, "--public", tmp_path / "pub.pem")[0] == 1


@pytest.mark.parametrize(
    ("form", "label"), [("raw", "web"), ("raw", "ada"), ("raw", "lattice"), ("raw", "k256")]
)
def test_each_damaged_byte_of_a_raw_signature_is_found(keys, letter, run, form, label):
    run("sign", letter, "--key", label, "--format", form)
    good = Path(f"{letter}.sig").read_bytes()
    run("keys", "public", label, "--output", "public.pem")
    for bad in list(flipped(good))[:: 1 if len(good) < 200 else 97]:
        Path(f"{letter}.sig").write_bytes(bad)
        assert run("verify", letter, "--public", "public.pem", "--format", form)[0] == 1
    for bad in (b"", good + b"\0", good[:-1]):
        Path(f"{letter}.sig").write_bytes(bad)
        assert run("verify", letter, "--public", "public.pem", "--format", form)[0] == 1


@pytest.mark.parametrize(
    ("label", "form", "told"),
    [
        (
            "ada",
            "cms",
            "takes SECP256R1, SECP384R1, SECP521R1, SECP256K1; it goes with --format ssh or minisign or",
        ),
        ("web", "minisign", "takes ED25519; it goes with"),
        (
            "k256",
            "ssh",
            "takes SECP256R1, SECP384R1, SECP521R1, ED25519; it goes with --format cms or jws or raw",
        ),
        (
            "lattice",
            "jws",
            "takes SECP256R1, SECP384R1, SECP521R1, SECP256K1, ED25519, ED448; it goes with --format raw",
        ),
        ("vault", "raw", "it does not sign"),
        ("vault", None, "it does not sign"),
        ("agrees", None, "does not sign: key"),
        ("peer", "cms", "does not sign: key"),
    ],
)
def test_a_key_of_the_wrong_kind_is_refused_before_any_call(keys, letter, run, rig, label, form, told):
    rig.requests.clear()
    options = ["--format", form, *NEEDED.get(form, [])] if form else []
    status, out, said = run("sign", letter, "--key", label, *options)
    assert (status, out, told in said, said.count("\n")) == (1, b"", True, 1)
    assert rig.count(CALLS) == 0


@pytest.mark.parametrize(
    ("name", "status", "told"),
    [
        ("adda", 5, "did you mean 'ada'?"),
        ("twin", 1, "2 keys with label 'twin'"),
        ("0" * 32, 5, "no key "),
        ("x" * 33, 5, "no key with label"),
        ("ключ", 5, "no key with label"),
    ],
)
def test_a_name_that_is_not_one_key_is_told(keys, letter, run, name, status, told):
    for command in (["sign", letter], ["verify", letter, "--signature", letter]):
        found, out, said = run(*command, "--key", name)
        assert (found, out, told in said, said.count("\n")) == (status, b"", True, 1)
        out = run(*command, "--key", name, "--json")[1]
        assert valid(json.loads(out), "error")["status"] == status


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--format", "ssh", "--certificate", "x"], "--certificate goes with --format cms only"),
        (
            ["--format", "cms"],
            "give --certificate FILE ('hem certificate self-signed' makes one), or --signer-key-id",
        ),
        (["--format", "raw", "--attached"], "--attached goes with --format cms or jws only"),
        (["--format", "jws", "--digest", "sha256"], "--digest goes with --format cms or ssh or raw only"),
        (["--format", "ssh", "--digest", "sha384"], "--digest: --format ssh has sha512, sha256"),
        (["--digest", "sha384"], "--digest: --format ssh has sha512, sha256"),
        (["--format", "raw", "--encoding", "pem"], "--encoding: --format raw has der, p1363"),
        (
            ["--format", "cms", "--signer-key-id", "--encoding", "p1363"],
            "--encoding: --format cms has der, pem",
        ),
        (["--comment", "x"], "--comment goes with --format minisign only"),
        (["--json", "--output", "-"], "give --output FILE"),
        (["--output", "letter.txt", "--force"], "it is the file that is to be signed"),
        (["--format", "pgp"], "'pgp' is not one of"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_options_that_do_not_go_together_are_told(keys, letter, run, rig, options, told):
    rig.requests.clear()
    status, out, said = run("sign", "letter.txt", "--key", "web", *options)
    assert status == 2
    assert told in (json.loads(out)["message"] if out else said)
    assert rig.count(CALLS) == 0


@pytest.mark.parametrize(
    ("label", "options", "told"),
    [
        ("ada", ["--format", "raw", "--digest", "sha256"], "--digest: 'sha256'; ED25519 has no choice"),
        ("ada", ["--format", "raw", "--encoding", "der"], "signatures by ED25519 have one form"),
        ("ada", ["--format", "minisign", "--comment", "a\nb"], "comment: characters that cannot be printed"),
        ("ada", ["--format", "minisign", "--comment", "x" * 1985], "2049 bytes"),
        ("web", ["--namespace", ""], "namespace"),
        ("web", ["--namespace", "x" * 2000], "bytes"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_values_that_are_not_taken_are_told(keys, letter, run, rig, label, options, told):
    rig.requests.clear()
    status, _, said = run("sign", letter, "--key", label, *options)
    assert (status in (1, 2), told in said, said.count("\n"), rig.count(CALLS)) == (True, True, 1, 0)


def test_a_key_is_used_as_its_maker_lets_it(hem, keys, letter, run, rig):
    for label, limits in (("kept", Limits(mechanisms={"ecdsa-sha384"})), ("denied", Limits(denied={"sign"}))):
        hem.keys.create("SECP256R1", label=label, usage={"sign", "derive"}, limits=limits)
        rig.requests.clear()
        status, _, said = run("sign", letter, "--key", label, "--format", "raw")
        assert (status, "its maker" in said, said.count("\n"), rig.count(CALLS)) == (1, True, 1, 0)
    assert run("sign", letter, "--key", "kept", "--format", "raw", "--digest", "sha384")[0] == 0


def test_another_keys_certificate_is_refused_before_any_call(keys, letter, run, rig, tmp_path):
    (tmp_path / "other.pem").write_bytes(certificate(keys["p384"]))
    (tmp_path / "none.pem").write_bytes(b"none")
    rig.requests.clear()
    for file, told in (
        ("other.pem", "is not that of key"),
        ("none.pem", "no certificate in PEM or DER"),
        ("away", "No such file"),
    ):
        status, _, said = run("sign", letter, "--key", "web", "--certificate", tmp_path / file)
        assert (status, told in said, said.count("\n")) == (1, True, 1)
    assert rig.count(CALLS) == 0


def test_a_signature_that_is_there_stays_unless_it_is_to_be_replaced(keys, letter, run, rig):
    path = Path(f"{letter}.sig")
    path.write_text("mine")
    rig.requests.clear()
    status, _, said = run("sign", letter, "--key", "web")
    assert (status, path.read_text(), rig.requests) == (1, "mine", [])
    assert said == f"hem: {path}: there is such a file already; --force replaces it\n"
    assert run("sign", letter, "--key", "web", "--check")[0] == 0
    assert run("sign", letter, "--key", "web", "--force")[0] == 0
    assert run("verify", letter, "--key", "web")[0] == 0


def test_what_cannot_be_read_or_written_is_told_before_the_device_is_asked(
    keys, letter, run, rig, monkeypatch
):
    rig.requests.clear()
    may = os.access
    monkeypatch.setattr(
        "os.access", lambda path, *mode, **how: path != Path("closed") and may(path, *mode, **how)
    )
    Path("closed").mkdir()
    for arguments, told in (
        (["away.txt"], "away.txt: No such file or directory"),
        (["."], "Is a directory"),
        ([""], "directory"),
        ([letter, "--output", "nowhere/sig"], "nowhere: No such file or directory"),
        ([letter, "--output", "closed/sig"], "closed: Permission denied"),
    ):
        status, out, said = run("sign", *arguments, "--key", "web")
        assert (status, out, told in said, said.count("\n")) == (1, b"", True, 1)
    assert rig.requests == []


def test_bytes_are_not_sent_to_a_terminal(keys, letter, run, rig, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    for label, options in (("web", ["--format", "raw"]), ("k256", []), ("web", ["--signer-key-id"])):
        status, _, said = run("sign", letter, "--key", label, "--output", "-", *options)
        assert (status, "give --output FILE" in said) == (2, True)
    assert rig.count("POST /api/crypto/") == 0
    assert run("sign", letter, "--key", "web", "--output", "-")[0] == 0
    assert (
        run("sign", letter, "--key", "web", "--signer-key-id", "--encoding", "pem", "--output", "-")[0] == 0
    )


def test_an_interruption_leaves_nothing(keys, letter, run, rig, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    rig.fault("POST /api/crypto/exdsa/sign", interrupt)
    assert run("sign", letter, "--key", "web")[0] == 130
    monkeypatch.setattr(reading, "progress", lambda *_, **__: iter(interrupt, None))
    assert run("sign", letter, "--key", "web")[0] == 130
    assert run("verify", letter, "--signature", letter, "--public", letter)[0] == 1
    assert [each.name for each in letter.parent.glob("*letter*")] == ["letter.txt"]


def test_an_interruption_where_the_passphrase_is_asked_leaves_nothing(keys, letter, run, monkeypatch):
    monkeypatch.delenv("HEM_PASSPHRASE_FILE")
    for stream in ("stdin", "stderr"):
        monkeypatch.setattr(getattr(sys, stream), "isatty", lambda: True, raising=False)

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("getpass.getpass", interrupt)
    status, out, _ = run("sign", letter, "--key", "web")
    assert (status, out) == (130, b"")
    assert [each.name for each in letter.parent.glob("*letter*")] == ["letter.txt"]


def test_a_full_disk_leaves_nothing(keys, letter, run, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.write", full)
    status, _, said = run("sign", letter, "--key", "web")
    monkeypatch.undo()
    assert (status, said) == (1, f"hem: {letter}.sig: No space left on device\n")
    assert [each.name for each in letter.parent.glob("*letter*")] == ["letter.txt"]


def test_a_device_that_is_away_and_a_wrong_passphrase_have_their_statuses(
    keys, letter, run, monkeypatch, tmp_path
):
    (tmp_path / "passphrase").write_text("wrong\n")
    assert run("sign", letter, "--key", "web")[0] == 4
    monkeypatch.delenv("HEM_PASSPHRASE_FILE")
    assert run("sign", letter, "--key", "web")[0] == 4  # nobody can be asked
    monkeypatch.setenv("HEM_URL", "https://127.0.0.1:1")
    (tmp_path / "passphrase").write_text(f"{PASSPHRASE}\n")
    monkeypatch.setenv("HEM_PASSPHRASE_FILE", str(tmp_path / "passphrase"))
    status, out, _ = run("sign", letter, "--key", "web", "--json")
    assert (status, valid(json.loads(out), "error")["error"]) == (3, HemUnreachable.__name__)
    assert not Path(f"{letter}.sig").exists()


@pytest.mark.parametrize(
    ("options", "status", "told"),
    [
        ([], 2, "one of these is needed: --key, --public, --allowed-signers, --certificate, --ca-file"),
        (["--key", "web", "--public", "x"], 2, "do not go together"),
        (["--public", "away"], 1, "away: No such file"),
        (["--key", "web", "--identity", "ada"], 2, "--identity goes with --allowed-signers"),
        (["--public", "letter.txt"], 1, "letter.txt: it is no public key in a form that is known"),
        (["--allowed-signers", "letter.txt"], 1, "letter.txt: line 1: "),
        (["--certificate", "web.pem"], 2, "--certificate is for signatures of format cms, and this is ssh"),
        (
            ["--key", "web", "--encoding", "der"],
            2,
            "--encoding is for signatures of format raw; this one is ssh",
        ),
        (["--key", "web", "--format", "cms"], 1, "which signature? there is none of letter.txt.p7s"),
        (["--key", "web", "--format", "minisign", "--signature", "letter.txt.sig"], 1, "four lines"),
        (["--key", "web", "--signature", "away"], 1, "away: No such file"),
        (["--key", "ada", "--format", "raw", "--digest", "sha256"], 2, "--digest is for signatures by ECDSA"),
        (
            ["--key", "ada", "--format", "raw", "--encoding", "der"],
            2,
            "--encoding is for signatures by ECDSA",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_verified_is_told(keys, letter, run, options, status, told):
    run("sign", "letter.txt", "--key", "web")
    found, out, said = run("verify", "letter.txt", *options)
    assert (found, out, told in said, said.count("\n")) == (status, b"", True, 1), said


def test_a_file_that_is_too_large_to_be_judged_has_no_bad_signature(keys, letter, run):
    run("sign", letter, "--key", "ada", "--format", "raw")
    letter.write_bytes(bytes((1 << 20) + 1))
    status, out, said = run("verify", letter, "--key", "ada", "--format", "raw")
    assert (status, out, "bad" in said) == (1, b"", False)
    assert "are verified of files up to 1048576 bytes" in said


def test_several_signatures_of_a_file_are_told(keys, letter, run):
    run("sign", letter, "--key", "ada")
    run("sign", letter, "--key", "ada", "--format", "minisign")
    status, _, said = run("verify", letter, "--key", "ada")
    assert (status, f"there is {letter}.sig and {letter}.minisig; give --signature" in said) == (1, True)
    assert run("verify", letter, "--key", "ada", "--format", "minisign")[0] == 0
    Path(f"{letter}.sig").unlink()
    Path(f"{letter}.minisig").unlink()
    assert (
        "none of letter.txt.p7s, letter.txt.sig, letter.txt.minisig, letter.txt.jws"
        in run("verify", "letter.txt", "--key", "ada")[2]
    )


def test_a_signature_that_is_too_large_is_not_read(keys, letter, run, tmp_path):
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 33)
    for options in (["--signature", "large", "--key", "web"], ["--signature", letter, "--public", "large"]):
        status, _, said = run("verify", letter, *options)
        assert (status, "more than" in said) == (1, True)


def test_a_large_file_is_read_in_constant_memory(tmp_path):
    size = 200 << 20
    with (tmp_path / "large").open("wb") as file:
        file.truncate(size)
    with reading.open_input(str(tmp_path / "large")) as source:
        tracemalloc.start()
        taken = reading.take(source, "sha256")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert (taken.size, peak < 4 << 20) == (size, True)


def test_a_file_with_a_name_of_any_bytes_can_be_signed(keys, run, tmp_path):
    path = tmp_path / os.fsdecode(b"gr\xfc\xdfe\x1b[2J\n")
    path.write_bytes(b"x")
    for form in ("ssh", "minisign"):
        assert run("sign", path, "--key", "ada", "--format", form)[0] == 0
    status, out, _ = run("verify", path, "--key", "ada", "--format", "minisign")
    assert (status, b"\x1b" in out, out.count(b"\n")) == (0, False, 1)
    assert valid(json.loads(run("sign", path, "--key", "ada", "--check", "--json")[1]), "sign")
    path.write_bytes(b"y")
    status, _, said = run("verify", path, "--key", "ada", "--format", "minisign")
    assert (status, "\x1b" in said, said.count("\n")) == (1, False, 1)


def test_both_commands_offer_every_format_and_sources_of_all():
    for command in (sign_command.command, verify_command.command):
        (option,) = [each for each in command.params if each.name == "format"]
        assert list(option.type.choices) == list(FORMATS) == list(VERIFIERS)
    kinds = {name for name, kind in KEY_TYPES.items() if kind.family in signing.SIGNING}
    assert {kind for each in FORMATS.values() for kind in each.types} == kinds


@pytest.mark.parametrize("typed", [["sign", "fifo", "--key", "x"], ["decrypt", "fifo"]])
def test_a_fifo_makes_nobody_wait(tmp_path, monkeypatch, capsys, typed):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo")
    monkeypatch.setenv("HEM_URL", "emulator:/nowhere")
    assert cli.main(typed) == 1
    assert "fifo: it is a FIFO; it can be given as standard input" in capsys.readouterr().err
