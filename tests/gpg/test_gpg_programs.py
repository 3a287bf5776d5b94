"""What people do with GnuPG, with the keys in a device: by the real gpg, gpg-agent, git, ssh, sq and rnp."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

LETTER = b"Dear Grace,\n-- a line with dashes\ntrailing blanks   \n"


def needs(program):
    if shutil.which(program) is None:
        pytest.skip(f"not run: {program} is not installed")


def test_the_card_is_readable(owner):
    told = owner.gpg("--card-status").decode()
    fingerprint = owner.fingerprint
    assert f"Serial number ....: {fingerprint[-8:]}" in told
    assert "Name of cardholder: Ada" in told
    assert "Manufacturer .....: Encedo HEM" in told
    assert "Key attributes ...: ed25519 cv25519 ed25519" in told
    assert fingerprint in told.replace(" ", "")
    assert told.count(f"card-no: FF48 {fingerprint[-8:]}") == 3


def test_the_certificate_is_the_owners_own_and_good(owner):
    records = owner.records("--check-signatures", owner.fingerprint)
    assert [each[1] for each in records if each[0] == "sig"] == ["!"] * 3
    assert [each[1] for each in records if each[0] == "uid"] == ["u"]
    listed = owner.records("--list-secret-keys")
    assert [each[14][:6] for each in listed if each[0] in ("sec", "ssb")] == ["D27600"] * 3


@pytest.mark.parametrize("digest", ["SHA224", "SHA256", "SHA384", "SHA512", "RIPEMD160"])
def test_signatures_with_every_digest_are_good_for_another_gpg(digest, owner, friend):
    signed = owner.gpg("--digest-algo", digest, "--sign", data=LETTER)
    assert friend.gpg("--decrypt", data=signed) == LETTER


def test_clear_and_detached_signatures_are_good_for_another_gpg(owner, friend, tmp_path):
    clear = owner.gpg("--clearsign", data=LETTER)
    friend.gpg("--verify", data=clear)
    friend.gpg("--verify", data=clear.replace(b"Grace", b"Mallory"), status=1)
    letter, signature = tmp_path / "letter", tmp_path / "letter.asc"
    letter.write_bytes(LETTER)
    signature.write_bytes(owner.gpg("--armor", "--detach-sign", data=LETTER))
    friend.gpg("--verify", signature, letter)
    letter.write_bytes(LETTER + b"x")
    friend.gpg("--verify", signature, letter, status=1)


def test_many_signatures_are_all_good(owner, friend):
    # Numbers of a signature lose leading zeros: one in 128 is shorter.
    for number in range(12):
        friend.gpg("--verify", data=owner.gpg("--clearsign", data=b"%d" % number))


def test_what_a_friend_encrypts_is_decrypted(owner, friend):
    large = os.urandom(3_000_000)
    sealed = friend.gpg("--trust-model", "always", "--recipient", "ada@example.org", "--encrypt", data=large)
    assert owner.gpg("--decrypt", data=sealed) == large
    friend.gpg("--decrypt", data=sealed, status=2)


def test_four_programs_at_once_are_served(owner, friend):
    sealed = friend.gpg("--trust-model", "always", "--recipient", "ada@example.org", "--encrypt", data=LETTER)
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(owner.gpg, "--decrypt", data=sealed) for _ in range(4)]
        jobs += [pool.submit(owner.gpg, "--clearsign", data=LETTER) for _ in range(4)]
        found = [each.result() for each in jobs]
    assert found[:4] == [LETTER] * 4
    for each in found[4:]:
        friend.gpg("--verify", data=each)


def test_git_signs_commits_and_tags(owner):
    needs("git")
    folder = owner.place / "repository"
    git = ["git", "-C", folder]
    owner.run("git", "init", "-q", folder)
    for name, value in (
        ("user.name", "Ada"), ("user.email", "ada@example.org"), ("user.signingKey", owner.fingerprint),
    ):  # fmt: skip
        owner.run(*git, "config", name, value)
    (folder / "file").write_text("content\n")
    owner.run(*git, "add", "file")
    owner.run(*git, "commit", "-q", "-S", "-m", "signed")
    owner.run(*git, "tag", "-s", "-m", "signed, too", "v1")
    owner.run(*git, "verify-commit", "HEAD")
    owner.run(*git, "verify-tag", "v1")
    assert b"Good signature" in owner.run(*git, "log", "--show-signature", "-1")


@pytest.fixture
def files(owner, tmp_path):
    """Ada's certificate as ``hem gpg export`` gives it, a letter, and her signature of it."""
    found = {name: tmp_path / name for name in ("ada.asc", "letter", "letter.sig")}
    found["ada.asc"].write_bytes(owner.run("hem", "gpg", "export"))
    found["letter"].write_bytes(LETTER)
    found["letter.sig"].write_bytes(owner.gpg("--detach-sign", data=LETTER))
    return found


def test_sequoia_finds_certificate_and_signature_good(owner, files):
    needs("sq")
    help_of = owner.tried("sq", "verify", "--help").stdout.decode()
    option = "--signer-file" if "--signer-file" in help_of else "--signer-cert"
    detached = ["--detached", files["letter.sig"], files["letter"]]
    if "--signature-file" in help_of:
        detached = ["--signature-file", files["letter.sig"], files["letter"]]
    owner.run("sq", "verify", option, files["ada.asc"], *detached)
    assert owner.fingerprint in owner.run("sq", "inspect", files["ada.asc"]).decode().replace(" ", "")
    files["letter"].write_bytes(LETTER + b"x")
    owner.run("sq", "verify", option, files["ada.asc"], *detached, status=None)


def test_rnp_finds_certificate_and_signature_good(owner, files, tmp_path):
    needs("rnp")
    ring = tmp_path / "ring"
    ring.mkdir(mode=0o700)
    owner.run("rnpkeys", "--homedir", ring, "--import-keys", files["ada.asc"])
    owner.run("rnp", "--homedir", ring, "--verify", files["letter.sig"])
    files["letter"].write_bytes(LETTER + b"x")
    owner.run("rnp", "--homedir", ring, "--verify", files["letter.sig"], status=None)
