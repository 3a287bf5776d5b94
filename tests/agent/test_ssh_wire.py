"""The encodings of SSH: read strictly, cut from any stream, and nothing that is sent ends the agent."""

from __future__ import annotations

import asyncio
import random

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificateType,
)
from hypothesis import given
from hypothesis import strategies as st
from support.sshkeys import PRIVATE, Source, blob_of, certificate, key_of, login, signed, yes

from hem_provider.agent.ssh.certificates import is_certificate, read_certificate
from hem_provider.agent.ssh.constraints import Constraints, read_constraints
from hem_provider.agent.ssh.hostkeys import verifies
from hem_provider.agent.ssh.identities import SshKey, public_blob
from hem_provider.agent.ssh.numbers import Number
from hem_provider.agent.ssh.peers import SshPeer
from hem_provider.agent.ssh.protocol import SshAgent
from hem_provider.agent.ssh.purpose import purpose
from hem_provider.agent.ssh.wire import LARGEST_FRAME, FrameSplitter, frame
from hem_provider.errors import HemAnswerFault
from hem_provider.publickeys import SSH_NAMES, device_form
from hem_provider.sshwire import Reader, WireError, mpint, string, uint32


@pytest.mark.parametrize(
    ("number", "encoded"),
    [
        (0, "00000000"),
        (1, "0000000101"),
        (0x80, "000000020080"),
        (0x9A378F9B2E332A7, "0000000809a378f9b2e332a7"),
    ],
)
def test_numbers_are_those_of_rfc_4251(number, encoded):
    assert mpint(number).hex() == encoded
    if number:
        assert Reader(bytes.fromhex(encoded)).number("n") == number


@given(st.integers(min_value=1, max_value=2**521))
def test_a_number_is_read_as_it_was_written(number):
    assert Reader(mpint(number)).number("n") == number


@pytest.mark.parametrize("encoded", ["00000000", "0000000100", "00000001ff", "000000020001"])
def test_a_number_in_another_form_is_refused(encoded):
    with pytest.raises(WireError):
        Reader(bytes.fromhex(encoded)).number("n")


def test_what_is_wrong_is_named_with_its_place():
    with pytest.raises(WireError, match="message: key of 9 bytes at byte 4, where 3 are left"):
        Reader(uint32(9) + b"abc").string("key")
    with pytest.raises(WireError, match="message: 2 bytes after the end"):
        Reader(b"xx").end()
    for text in (b"\xff", b"a\0b"):
        with pytest.raises(WireError, match="name is no text"):
            Reader(string(text)).text("name")


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=8), st.lists(st.integers(1, 30), min_size=1))
def test_messages_come_whole_however_the_stream_is_cut(messages, cuts):
    stream, splitter, found = b"".join(map(frame, messages)), FrameSplitter(), []
    while stream:
        for cut in cuts:
            found += splitter.feed(stream[:cut])
            stream = stream[cut:]
    assert found == messages


@pytest.mark.parametrize("size", [0, LARGEST_FRAME + 1, 2**32 - 1])
def test_a_frame_of_no_byte_or_too_many_ends_the_connection_after_what_came_before(size):
    splitter = FrameSplitter()
    messages = splitter.feed(frame(b"good") + uint32(size))
    assert next(messages) == b"good"
    with pytest.raises(WireError, match=f"{size} bytes"):
        next(messages)


def test_the_largest_frame_is_taken():
    assert list(FrameSplitter().feed(frame(bytes(LARGEST_FRAME)))) == [bytes(LARGEST_FRAME)]


@pytest.mark.parametrize("kind", list(SSH_NAMES))
def test_a_public_key_is_what_cryptography_writes_for_openssh(kind):
    public = PRIVATE[kind].public_key()
    assert public_blob(kind, device_form(public)) == blob_of(public)
    line = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    assert key_of(kind, "a label").line == f"{line} a label"


def test_a_type_that_ssh_has_not_and_a_public_half_of_another_are_no_keys():
    with pytest.raises(ValueError, match="SECP256K1"):
        SshKey("00", "x", "SECP256K1", bytes(33))
    with pytest.raises(ValueError, match="33 bytes"):
        SshKey("00", "x", "ED25519", bytes(33))


def test_a_label_cannot_end_a_line_or_act_on_a_terminal():
    assert key_of("ED25519", "a\nssh-rsa \x1b[2J").comment == "a\\nssh-rsa \\x1b[2J"


@pytest.mark.parametrize("kind", list(SSH_NAMES))
def test_a_signature_has_the_form_of_its_type(kind):
    key, data = key_of(kind), b"data"
    reader = Reader(key.signature(made := signed(kind, data), data))
    assert reader.text("name") == key.name
    inner = reader.string("value")
    reader.end()
    if kind == "ED25519":
        assert inner == made
    else:
        pair = Reader(inner)
        assert (pair.number("r"), pair.number("s")) == decode_dss_signature(made)
        pair.end()
    assert verifies(key.blob, key.signature(made, data), data)


@pytest.mark.parametrize("kind", list(SSH_NAMES))
def test_a_signature_that_does_not_verify_is_not_handed_out(kind):
    key, made = key_of(kind), signed(kind, b"data")
    for wrong in (signed(kind, b"other"), b"", made[:-1], made + b"\0"):
        with pytest.raises(HemAnswerFault):
            key.signature(wrong, b"data")


def rsa_signature(private, data: bytes, name: str) -> bytes:
    digest = {"rsa-sha2-256": "SHA256", "rsa-sha2-512": "SHA512", "ssh-rsa": "SHA1"}[name]
    return string(name) + string(private.sign(data, padding.PKCS1v15(), getattr(hashes, digest)()))


@pytest.mark.parametrize("name", ["rsa-sha2-256", "rsa-sha2-512", "ssh-rsa"])
def test_servers_with_rsa_keys_are_believed_but_not_with_sha1(name):
    private = rsa.generate_private_key(65537, 2048)
    blob, signature = blob_of(private.public_key()), rsa_signature(private, b"id", name)
    if name == "ssh-rsa":
        with pytest.raises(WireError, match="rsa-sha2-256"):
            verifies(blob, signature, b"id")
    else:
        assert verifies(blob, signature, b"id")
        assert not verifies(blob, signature, b"other")


@pytest.mark.parametrize("kind", list(SSH_NAMES))
def test_a_certificate_tells_its_key_and_whom_it_is_for(kind):
    blob = certificate(PRIVATE[kind].public_key())
    found = read_certificate(blob)
    assert (found.public, found.serial, found.kind) == (key_of(kind).blob, 7, "user")
    assert (found.key_id, found.principals) == ("the id", ("ada",))
    assert is_certificate(blob)
    assert not is_certificate(found.public)
    with pytest.raises(WireError):
        read_certificate(blob + b"\0")
    with pytest.raises(WireError):
        read_certificate(blob[:-1])
    with pytest.raises(WireError, match="ssh-ed25519-cert"):
        read_certificate(found.public)


def test_a_server_proves_itself_by_the_key_of_its_certificate():
    public = PRIVATE["SECP256R1"].public_key()
    blob = certificate(public, SSHCertificateType.HOST, (b"host",))
    key = key_of("SECP256R1")
    assert verifies(blob, key.signature(signed("SECP256R1", b"id"), b"id"), b"id")


def test_what_is_signed_is_told_in_words():
    key, host, peer = key_of("ED25519"), key_of("SECP256R1"), SshPeer()
    told = {
        "log in as 'ada' on a host that is not proven": login(key.blob),
        f"log in as 'ada' on the host {host.fingerprint}": login(key.blob, host=host.blob),
        "log in as 'a\\x1b' on a host that is not proven": login(key.blob, user="a\x1b"),
        "sign for 'git'": b"SSHSIG" + string("git") + string("") + string("sha512") + string(bytes(64)),
        "sign 9 bytes of no kind that is known here": b"any bytes",
        "sign 0 bytes of no kind that is known here": b"",
    }
    assert {purpose(data, key.blob, peer) for data in told.values()} == set(told)
    assert "no kind" in purpose(login(host.blob), key.blob, peer)  # for another key than signs
    blob = certificate(PRIVATE["ED25519"].public_key())
    unsigned = blob[: -4 - 4 - len("ssh-ed25519") - 4 - 64]
    assert purpose(unsigned, key.blob, peer) == "issue the user certificate 'the id' for 'ada'"


@given(
    st.none() | st.integers(1, 2**32 - 1), st.booleans(), st.lists(st.binary(max_size=40), max_size=3),
    st.booleans(),
)  # fmt: skip
def test_constraints_are_read_as_they_were_written(lifetime, confirm, certificates, only):
    wanted = Constraints(lifetime, confirm, tuple(certificates), only and bool(certificates))
    assert read_constraints(Reader(wanted.encode())) == wanted


def extension(name: str, *rest: bytes) -> bytes:
    return b"\xff" + string(name) + b"".join(rest)


@pytest.mark.parametrize(
    ("encoded", "words"),
    [
        (b"\1" + uint32(0), "0 s"),
        (b"\1\0\0", "lifetime of 4 bytes"),
        (b"\2\2", "given twice"),
        (b"\3" + uint32(9), "'3' is not kept"),
        (
            extension("restrict-destination-v00@openssh.com", string(b"")),
            "does not limit keys to destinations",
        ),
        (extension("sk-provider@openssh.com", string("x")), "no provider"),
        (extension("other@example.org"), "is not known"),
        (extension("associated-certs-v00@openssh.com", b"\0", string(b"\0\0")), "length of certificate"),
    ],
)
def test_a_condition_that_could_not_be_kept_is_refused(encoded, words):
    with pytest.raises(WireError, match=words):
        read_constraints(Reader(encoded))


def samples() -> list[bytes]:
    """A good message of each kind, to be spoilt."""
    key = key_of("ED25519")
    wanted = Constraints(60, True, (certificate(PRIVATE["ED25519"].public_key()),)).encode()
    host = key.signature(signed("ED25519", b"id"), b"id")
    return [
        bytes([Number.REQUEST_IDENTITIES]),
        bytes([Number.SIGN_REQUEST]) + string(key.blob) + string(login(key.blob)) + uint32(0),
        bytes([Number.REMOVE_IDENTITY]) + string(key.blob),
        bytes([Number.REMOVE_ALL_IDENTITIES]),
        bytes([Number.ADD_SMARTCARD_KEY_CONSTRAINED]) + string("hem:ed25519") + string("") + wanted,
        bytes([Number.REMOVE_SMARTCARD_KEY]) + string("hem:ed25519") + string(""),
        bytes([Number.UNLOCK]) + string("wrong"),
        bytes([Number.ADD_IDENTITY]) + string("ssh-ed25519") + string(bytes(32)),
        bytes([Number.EXTENSION]) + string("query"),
        bytes([Number.EXTENSION]) + string("session-bind@openssh.com") + string(key.blob) + string(b"id")
        + string(host) + b"\1",
        bytes([Number.EXTENSION]) + string("add@hem-provider") + string("hem") + string("") + wanted,
    ]  # fmt: skip


def spoilt(generator: random.Random, message: bytes) -> bytes:
    data = bytearray(message)
    for _ in range(generator.randint(1, 4)):
        at = generator.randrange(len(data) + 1)
        match generator.randrange(4):
            case 0 if at < len(data):
                data[at] = generator.randrange(256)
            case 1:
                del data[at : at + generator.randint(1, 8)]
            case 2:
                data[at:at] = generator.randbytes(generator.randint(1, 8))
            case _:
                data[at : at + 4] = generator.choice([bytes(4), b"\xff" * 4, uint32(len(data))])
    return bytes(data)


#: First bytes of answers.
ANSWERS = {5, 6, 12, 14, 28, 29}


async def pester(rounds: int, seed: int, caplog) -> None:
    generator, agent = random.Random(seed), SshAgent(Source(), confirm=yes)  # noqa: S311 - to repeat
    good = samples()
    peer, seen = SshPeer(), set()
    for number in range(rounds):
        message = (
            spoilt(generator, generator.choice(good)) if number % 8 else generator.randbytes(number % 60)
        )
        answer = await agent.answer(message, peer)
        seen.add(answer[0])
        if agent.is_locked:  # one of them may have been a lock
            agent = SshAgent(Source(), confirm=yes)
        if number % 50 == 0:
            peer = SshPeer()
            agent.renew()
    assert seen == ANSWERS
    assert "failed by" not in caplog.text  # what nobody thought of


def test_spoilt_messages_are_answered(caplog):
    asyncio.run(pester(4000, 1, caplog))


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(10))
def test_a_million_spoilt_messages_are_answered(seed, caplog):
    asyncio.run(pester(100_000, seed + 100, caplog))


@given(st.binary(max_size=200))
def test_any_bytes_are_answered_and_verify_nothing(data):
    agent = SshAgent(Source(), confirm=yes)
    assert asyncio.run(agent.answer(data, SshPeer()))[0] in ANSWERS
    for read in (lambda: verifies(data, data, data), lambda: read_certificate(data)):
        with pytest.raises(WireError):
            read()
