"""minisign's signatures: those that ``minisign`` reads and writes, and damaged ones."""

from __future__ import annotations

import base64
import hashlib
import subprocess

import pytest
from cryptography.exceptions import InvalidSignature
from hypothesis import given, strategies
from support.signing import flipped, signer

from hem_provider.adapters.minisign import (
    Draft,
    Minisignature,
    is_minisign,
    key_number,
    public_file,
    public_line,
    read_public_file,
)
from hem_provider.errors import HemOperationFailed

CONTENT = b"hello\n" * 1000


def digest(content=CONTENT):
    return hashlib.blake2b(content).digest()


def made(comment="a comment", untrusted="a signature", content=CONTENT):
    by = signer("ED25519")
    return Draft(key_number(by.kid), digest(content), comment, untrusted).document(by.sign)


def checked(data, content=CONTENT, by=None):
    read = Minisignature.read(data)
    by = by or signer("ED25519")
    if read.number != key_number(by.kid):
        raise InvalidSignature("another number")
    read.check(by.public, digest(content))
    return read


def minisign(*arguments, folder):
    return subprocess.run(
        ["minisign", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        timeout=60,
    )


@pytest.mark.parametrize("content", [b"", b"x", CONTENT], ids=len)
@pytest.mark.parametrize(
    "comment", ["", "a comment", "timestamp:1\tfile:x\thashed", "Grüße", "x" * 1900], ids=len
)
def test_minisign_verifies_what_is_made(comment, content, tmp_path):
    by = signer("ED25519")
    (tmp_path / "file").write_bytes(content)
    (tmp_path / "file.minisig").write_bytes(made(comment, content=content))
    public = public_line(by.public.public_bytes_raw(), key_number(by.kid))
    done = minisign("-V", "-H", "-P", public, "-m", "file", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"Trusted comment: {comment}\n" in done.stdout
    (tmp_path / "file").write_bytes(content + b"x")
    assert minisign("-V", "-P", public, "-m", "file", folder=tmp_path).returncode != 0


def test_what_minisign_makes_is_verified(tmp_path):
    (tmp_path / "file").write_bytes(CONTENT)
    done = minisign("-G", "-W", "-p", "key.pub", "-s", "key", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    public, number = read_public_file((tmp_path / "key.pub").read_bytes())
    assert read_public_file((tmp_path / "key.pub").read_bytes().splitlines()[1]) == (public, number)
    done = minisign("-S", "-H", "-s", "key", "-m", "file", "-t", "of that day", "-c", "hm", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    read = Minisignature.read((tmp_path / "file.minisig").read_bytes())
    read.check(public, digest())
    assert (read.number, read.comment) == (number, "of that day")
    with pytest.raises(InvalidSignature):
        read.check(public, digest(b"x"))
    with pytest.raises(InvalidSignature):
        read.check(signer("ED25519").public, digest())


def test_the_old_form_is_told(tmp_path):
    (tmp_path / "file").write_bytes(CONTENT)
    minisign("-G", "-W", "-p", "key.pub", "-s", "key", folder=tmp_path)
    done = minisign("-S", "-l", "-s", "key", "-m", "file", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    with pytest.raises(ValueError, match="old form"):
        Minisignature.read((tmp_path / "file.minisig").read_bytes())


@pytest.mark.parametrize("bits", [0x01, 0x80])
def test_each_damaged_byte_but_the_untrusted_comments_is_found(bits):
    good = made()
    checked(good)
    free = range(len("untrusted comment: "), good.index(b"\n"))
    for at, bad in enumerate(flipped(good, bits)):
        if at in free and bits == 1:
            checked(bad)
            continue
        with pytest.raises((ValueError, InvalidSignature)):
            checked(bad)
    for size in range(len(good) - 1):
        with pytest.raises((ValueError, InvalidSignature)):
            checked(good[:size])


def test_a_changed_trusted_comment_is_told():
    with pytest.raises(InvalidSignature, match="comment was changed"):
        checked(made().replace(b"a comment", b"b comment"))


def test_lines_may_end_as_on_windows():
    assert checked(made().replace(b"\n", b"\r\n")).comment == "a comment"


@pytest.mark.parametrize("name", ["comment", "untrusted"])
@pytest.mark.parametrize("text", ["a\nb", "a\rb", "\x1b[2J", "\0"])
def test_a_comment_that_is_no_line_is_refused(name, text):
    with pytest.raises(ValueError, match="comment"):
        made(**{name: text})


def test_two_messages_go_to_the_device():
    by = signer("ED25519")
    by.messages.clear()
    draft = Draft(bytes(8), digest(), "Grüße")
    draft.document(by.sign)
    assert draft.sizes == tuple(map(len, by.messages)) == (64, 64 + 7)


@given(strategies.binary(max_size=300))
def test_anything_else_is_no_signature(data):
    with pytest.raises(ValueError):
        Minisignature.read(data)
    assert not is_minisign(data)


@given(strategies.binary(max_size=90), strategies.binary(max_size=70), strategies.text(max_size=20))
def test_any_lines_are_read_or_refused(first, second, comment):
    data = b"untrusted comment: x\n%b\ntrusted comment: %b\n%b\n" % (
        base64.b64encode(b"ED" + first), comment.encode("utf-8", "replace"), base64.b64encode(second),
    )  # fmt: skip
    with pytest.raises((ValueError, InvalidSignature)):
        checked(data)


@pytest.mark.parametrize(
    "data", [b"RW", b"RWAA", b"RW!", b"untrusted comment: x", b"untrusted comment: x\nRWAA"]
)
def test_a_public_key_that_is_none_is_refused(data):
    with pytest.raises(ValueError):
        read_public_file(data)
    assert read_public_file(b"-----BEGIN") is None


def test_the_key_is_the_one_that_people_see(hem):
    shown, other = (public_line(bytes(32), bytes([n]) * 8).encode() for n in (1, 2))
    for comment in (b"x", b"x\x0b", b"x\x1c" + other, b"x\x85" + other, b"x\xe2\x80\xa8" + other):
        for end in (b"\n", b"\r\n"):
            _, number = read_public_file(b"untrusted comment: " + comment + end + shown + end)
            assert number == bytes([1]) * 8
    for several in (b"\n".join((shown, other)), b"\n".join((b"untrusted comment: x", shown, other)),
                    b"untrusted comment: x\x1c" + other):  # fmt: skip
        with pytest.raises(ValueError):
            read_public_file(several)


def test_a_key_of_the_device_is_handed_out_as_it_is_read(hem):
    key = hem.keys.create("ED25519", label="ada")
    assert read_public_file(public_file(key)) == (key.public_key(), key_number(key.kid))
    with pytest.raises(HemOperationFailed, match="no form for SECP256R1"):
        public_file(hem.keys.create("SECP256R1", label="web"))
