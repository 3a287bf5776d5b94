"""SSH signatures: those that ``ssh-keygen`` reads and writes, damaged ones, and who may sign."""

from __future__ import annotations

import hashlib
import re
import subprocess
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given, strategies
from support.signing import flipped, signer

from hem_provider.adapters.sshsig import DIGESTS, TYPES, Draft, SshSignature, is_sshsig
from hem_provider.adapters.sshsig.allowed import AllowedSigner, matches, read_allowed
from hem_provider.publickeys import ssh_blob
from hem_provider.sshwire import string, uint32

CONTENT = b"hello\n" * 1000
NOW = datetime(2026, 5, 1, tzinfo=UTC)


def made(kind, *, namespace="file", digest_name="sha512", content=CONTENT):
    by = signer(kind)
    digest = hashlib.new(digest_name, content).digest()
    return Draft(by.kind, by.public, namespace, digest_name, digest).document(by.sign)


def checked(data, kind, *, namespace="file", content=CONTENT):
    read = SshSignature.read(data)
    read.check(signer(kind).public, namespace, hashlib.new(read.digest_name, content).digest())


def keygen(*arguments, folder, content=CONTENT):
    return subprocess.run(
        ["ssh-keygen", *map(str, arguments)], input=content, capture_output=True, check=False, cwd=folder,
        timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize("digest_name", DIGESTS)
@pytest.mark.parametrize("kind", TYPES)
def test_ssh_keygen_verifies_what_is_made(kind, digest_name, tmp_path):
    by = signer(kind)
    line = by.public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    (tmp_path / "allowed").write_bytes(b"ada@example.org " + line + b"\n")
    (tmp_path / "sig").write_bytes(made(kind, namespace="letters", digest_name=digest_name))
    verify = ("-Y", "verify", "-f", "allowed", "-I", "ada@example.org", "-s", "sig", "-n")
    done = keygen(*verify, "letters", folder=tmp_path)
    assert (done.returncode, b"Good" in done.stdout) == (0, True), done.stderr
    assert keygen(*verify, "file", folder=tmp_path).returncode != 0
    assert keygen(*verify, "letters", folder=tmp_path, content=b"x").returncode != 0


@pytest.mark.parametrize("digest_name", DIGESTS)
@pytest.mark.parametrize("kind", TYPES)
def test_what_ssh_keygen_makes_is_verified(kind, digest_name, tmp_path):
    private = signer(kind).private
    path = tmp_path / "key"
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    path.chmod(0o600)
    done = keygen("-Y", "sign", "-f", path, "-n", "letters", "-O", f"hashalg={digest_name}", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert SshSignature.read(done.stdout).digest_name == digest_name
    checked(done.stdout, kind, namespace="letters")
    with pytest.raises(InvalidSignature):
        checked(done.stdout, kind, namespace="letters", content=b"x")
    with pytest.raises(InvalidSignature, match="namespace"):
        checked(done.stdout, kind)


@pytest.mark.parametrize("bits", [0x01, 0x80])
@pytest.mark.parametrize("kind", ["ED25519", "SECP256R1"])
def test_each_damaged_byte_is_found(kind, bits):
    good = made(kind)
    checked(good, kind)
    for bad in flipped(good, bits):
        with pytest.raises((ValueError, InvalidSignature)):
            checked(bad, kind)
        with suppress(ValueError):
            _ = SshSignature.read(bad).public
    for size in range(len(good) - 1):
        with pytest.raises(ValueError):
            SshSignature.read(good[:size])


def test_another_key_is_told():
    data = made("ED25519")
    read = SshSignature.read(data)
    digest = hashlib.sha512(CONTENT).digest()
    with pytest.raises(InvalidSignature, match="another key"):
        read.check(signer("ED25519", 1).public, "file", digest)
    assert ssh_blob(read.public) == ssh_blob(signer("ED25519").public)
    assert read.told == "namespace 'file', sha512"


@pytest.mark.parametrize("namespace", ["", "a\nb", "\x1b[2J"])
def test_a_namespace_that_cannot_be_shown_is_refused(namespace):
    by = signer("ED25519")
    with pytest.raises(ValueError, match="namespace"):
        Draft(by.kind, by.public, namespace, "sha512", bytes(64))


def test_what_goes_to_the_device_does_not_grow_with_the_file():
    by = signer("ED25519")
    by.messages.clear()
    draft = Draft(by.kind, by.public, "file", "sha512", bytes(64))
    draft.document(by.sign)
    assert draft.sizes == tuple(map(len, by.messages)) == (6 + 8 + 4 + 10 + 68,)


@given(strategies.binary(max_size=400))
def test_anything_else_is_no_signature(data):
    with pytest.raises(ValueError):
        SshSignature.read(data)
    assert not is_sshsig(data)


@given(strategies.binary(max_size=200))
def test_any_bytes_between_the_lines_are_read_or_refused(blob):
    import base64

    text = base64.b64encode(b"SSHSIG" + uint32(1) + blob)
    with pytest.raises(ValueError):
        SshSignature.read(b"-----BEGIN SSH SIGNATURE-----\n" + text + b"\n-----END SSH SIGNATURE-----\n")


@pytest.mark.parametrize(
    "change",
    [
        {"version": uint32(2)},
        {"namespace": string("")},
        {"reserved": string("x")},
        {"digest": string("md5")},
        {"signature": string(string("ssh-rsa") + string(bytes(64)))},
        {"end": b"x"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_part_that_is_not_as_the_protocol_has_it_is_refused(change):
    import base64

    blob = ssh_blob(signer("ED25519").public)
    parts = {
        "version": uint32(1),
        "key": string(blob),
        "namespace": string("file"),
        "reserved": string(b""),
        "digest": string("sha512"),
        "signature": string(string("ssh-ed25519") + string(bytes(64))),
        "end": b"",
    }

    def read(parts):
        text = base64.b64encode(b"SSHSIG" + b"".join(parts.values()))
        return SshSignature.read(
            b"-----BEGIN SSH SIGNATURE-----\n" + text + b"\n-----END SSH SIGNATURE-----\n"
        )

    assert read(parts).namespace == "file"
    with pytest.raises(ValueError):
        read(parts | change)


BLOB = ssh_blob(signer("ED25519").public)
KEY = signer("ED25519").public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


@pytest.mark.parametrize(
    ("line", "permits"),
    [
        (f"ada@example.org {KEY}", True),
        (f"ada@example.org {KEY} a comment", True),
        (f"*@example.org {KEY}", True),
        (f"*@example.org,!ada@* {KEY}", False),
        (f"bob@example.org {KEY}", False),
        (f'ada@example.org namespaces="file,git" {KEY}', True),
        (f'ada@example.org namespaces="git" {KEY}', False),
        (f"ada@example.org cert-authority {KEY}", False),
        (f'ada@example.org valid-after="20260101",valid-before="20261231235959Z" {KEY}', True),
        (f'ada@example.org valid-before="20260101" {KEY}', False),
        (f'ada@example.org valid-after="202607010000Z" {KEY}', False),
        (f'"ada@example.org" namespaces="fi*" {KEY}', True),
    ],
    ids=range(12),
)
def test_a_line_says_who_may_sign_for_what_and_when(line, permits):
    (signer_line,) = read_allowed(f"# a comment\n\n{line}\n")
    assert signer_line.permits(BLOB, "file", NOW, "ada@example.org") is permits
    assert not signer_line.permits(BLOB + b"x", "file", NOW, "ada@example.org")


def asked(line, folder, *, identity="bob@x"):
    """What ssh-keygen says of a signature by ``KEY``: whether it is good, and whom it finds."""
    (folder / "allowed").write_bytes(line.encode())
    (folder / "sig").write_bytes(made("ED25519"))
    verify = keygen("-Y", "verify", "-f", "allowed", "-I", identity, "-n", "file", "-s", "sig", folder=folder)
    found = keygen("-Y", "find-principals", "-f", "allowed", "-s", "sig", folder=folder)
    return verify.returncode == 0, found.stdout.decode().splitlines()


def openssh():
    """The first number of ssh-keygen's version, which ssh tells."""
    said = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=True).stderr
    return int(re.match(r"OpenSSH_(\d+)\.", said)[1])


@pytest.mark.parametrize("hidden", "\v\f\x1c\x1d\x1e\x85\u2028\u2029\r")
@pytest.mark.parametrize("place", ["comment", "note", "before"])
def test_nobody_hides_in_a_line(hidden, place, tmp_path):
    other = signer("ED25519", 1).public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    line = {
        "comment": f"alice {other} a comment{hidden}bob@x {KEY}\n",
        "note": f"# a note{hidden}bob@x {KEY}\n",
        "before": f"{hidden}bob@x {KEY}\n",
    }[place]
    lines = []
    with suppress(ValueError):
        lines += read_allowed(line)
    assert not any(each.permits(BLOB, "file", NOW, "bob@x") for each in lines)
    # OpenSSH 10 skips a carriage return before a line, which we do not.
    assert not asked(line, tmp_path)[0] or ((place, hidden) == ("before", "\r") and openssh() >= 10)


@pytest.mark.parametrize(
    "line",
    [
        f"bob@x {KEY}",
        f"bob@x\t{KEY}\tcomment\r",
        f'"bob@x" {KEY}',
        f'b"ob@x" {KEY}',
        f'"bob@x"{KEY}',
        f'"alice x,bob@x" namespaces="file" {KEY}',
        f'bob@x namespaces="a\\"b,file" {KEY}',
        f'bob@x namespaces="a\\" b,file",valid-after="20200101" {KEY}',
        f'bob@x namespaces="a\\b,file" {KEY}',
        f'bob@x NAMESPACES="file" {KEY}',
        f'bob@x namespaces="" {KEY}',
        f'bob@x namespaces="file\\"" {KEY}',
        f"*@x,!alice@x {KEY}",
        f"*@x,!bob@x {KEY}",
        f"{'*' * 1023},bob@x {KEY}",
    ],
    ids=range(15),
)
def test_a_line_is_taken_as_ssh_keygen_takes_it(line, tmp_path):
    (found,) = read_allowed(line)
    assert found.permits(BLOB, "file", NOW, "bob@x") is asked(f"{line}\n", tmp_path)[0]


@pytest.mark.parametrize(
    ("principals", "names"),
    [
        ("bob@x", ["bob@x"]),
        ("bob@x,alice@x", ["bob@x", "alice@x"]),
        ("*@x,!bob@x", ["*@x"]),
        ("?ob@x,!bob@x", ["?ob@x"]),
        ("!bob@x", []),
        ('""', []),
        ('","', []),
        ("!*,*", []),
        ("bob@x,!bob@*", []),
        ("bob@x,alice@x,!?ob@x", ["alice@x"]),
        ("bob@?,!bob@*", []),
        ("b*@x,!*@x", []),
        ("a[b],!a[b]", []),
    ],
)
def test_who_is_named_is_permitted(principals, names, tmp_path):
    line = f"{principals} {KEY}"
    (found,) = read_allowed(line)
    assert list(found.names) == names
    assert found.permits(BLOB, "file", NOW, None) is bool(names)
    told = asked(f"{line}\n", tmp_path)[1]  # which also tells those that are excluded
    assert set(names) <= set(told)
    for each in told:
        if not set("*?!") & set(each):
            assert asked(f"{line}\n", tmp_path, identity=each)[0] is (each in names)


def test_the_time_of_a_line_is_this_machines_unless_it_says_utc():
    (line,) = read_allowed(f'ada valid-after="20260501120000Z" {KEY}')
    moment = datetime(2026, 5, 1, 12, tzinfo=UTC)
    assert line.permits(BLOB, "file", moment, None)
    assert not line.permits(BLOB, "file", moment - timedelta(seconds=1), None)
    (line,) = read_allowed(f'ada valid-after="20260501120000" {KEY}')
    assert line.valid[0] == datetime(2026, 5, 1, 12).astimezone()


@pytest.mark.parametrize(
    "line",
    [
        "ada",
        "ada ssh-ed25519",
        "ada ssh-ed25519 !",
        f"ada verify-required {KEY}",
        f"ada namespaces {KEY}",
        f'ada namespaces="a",namespaces="b" {KEY}',
        f'ada valid-after="2026" {KEY}',
        f'ada valid-after="20261399" {KEY}',
        f'ada cert-authority="x" {KEY}',
        f'ada namespaces="file", {KEY}',
        f'ada namespaces="file" , {KEY}',
        f'ada namespaces="file {KEY}',
        f'ada valid-after="20260101",valid-before="20250101" {KEY}',
        f"ada ecdsa-sha2-nistp256 {KEY.split()[1]}",
        f"ada {KEY}\0",
        "ada ssh-ed25519 AAAA",
        f"ada {KEY.replace(' ', chr(0x2028))}",
    ],
    ids=range(17),
)
def test_a_line_that_is_none_is_named(line):
    with pytest.raises(ValueError, match="^line 2: "):
        list(read_allowed(f"# first\n{line}\n"))


@given(strategies.text(max_size=80))
def test_any_line_is_read_or_refused(text):
    try:
        found = list(read_allowed(text))
    except ValueError:
        return
    assert all(isinstance(each, AllowedSigner) for each in found)


@pytest.mark.parametrize(
    ("text", "patterns", "found"),
    [
        ("a", "?", True),
        ("ab", "?", False),
        ("a[b]", "a[b]", True),
        ("ab", "a[b]", False),
        ("", "*", True),
        ("x", "", False),
    ],
)
def test_patterns_are_those_of_openssh(text, patterns, found):
    assert matches(text, patterns) is found
