"""What the agent answers, message by message: with keys of this process, and a clock of the test."""

from __future__ import annotations

import asyncio
import stat
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from support.sshkeys import PRIVATE, Source, certificate, key_of, login, signed

from hem_provider.agent.ssh import passlock
from hem_provider.agent.ssh.askpass import AskPass
from hem_provider.agent.ssh.constraints import Constraints
from hem_provider.agent.ssh.identities import SshKey
from hem_provider.agent.ssh.numbers import Number
from hem_provider.agent.ssh.peers import SshPeer
from hem_provider.agent.ssh.protocol import SshAgent
from hem_provider.agent.ssh.wire import LARGEST_FRAME
from hem_provider.errors import HemKeyNotFound, HemLoginRequired, MessageTooLong
from hem_provider.publickeys import device_form, kid_of
from hem_provider.sshwire import Reader, string, uint32

ALL = [each.lower() for each in PRIVATE]
FAILURE, SUCCESS, EXTENSION_FAILURE = b"\x05", b"\x06", b"\x1c"


class Table:
    """An agent, and a client of it."""

    def __init__(self, **settings) -> None:
        self.source = settings.pop("source", None) or Source()
        self.now = 1000.0
        self.asked: list[str] = []
        self.says = True
        self.meanwhile = lambda: None
        self.peer = SshPeer()
        self.agent = SshAgent(self.source, confirm=self.confirm, clock=lambda: self.now, **settings)

    async def confirm(self, question: str) -> bool:
        self.asked.append(question)
        done = self.meanwhile()
        if done is not None:
            await done
        return self.says

    def send(self, number: int, *parts: bytes) -> bytes:
        return asyncio.run(self.agent.answer(bytes([number]) + b"".join(parts), self.peer))

    def rows(self) -> list[tuple[bytes, str]]:
        reader = Reader(self.send(Number.REQUEST_IDENTITIES))
        assert reader.byte("number") == Number.IDENTITIES_ANSWER
        found = [(reader.string("blob"), reader.text("comment")) for _ in range(reader.uint32("count"))]
        reader.end()
        return found

    def labels(self) -> list[str]:
        return [comment for _, comment in self.rows()]

    def sign(self, blob: bytes, data: bytes = b"data", flags: int = 0) -> bytes:
        return self.send(Number.SIGN_REQUEST, string(blob), string(data), uint32(flags))

    def signs(self, blob: bytes) -> bool:
        return self.sign(blob)[0] == Number.SIGN_RESPONSE

    def add(self, token="hem", pin="", **constraints) -> bytes:  # noqa: S107 - the name of one
        encoded = Constraints(**constraints).encode()
        return self.send(Number.ADD_SMARTCARD_KEY_CONSTRAINED, string(token), string(pin), encoded)

    def extend(self, name: str, *parts: bytes) -> bytes:
        return self.send(Number.EXTENSION, string(name), *parts)

    def bind(self, kind="ED25519", session=b"id", forwarded=False, proof=None):
        key = key_of(kind)
        proof = proof or key.signature(signed(kind, session), session)
        return self.extend(
            "session-bind@openssh.com", string(key.blob), string(session), string(proof), bytes([forwarded])
        )


@pytest.fixture
def table() -> Table:
    return Table()


ED = key_of("ED25519", "ed25519")
P256 = key_of("SECP256R1", "secp256r1")


def test_all_keys_are_listed_with_their_labels(table):
    assert table.rows() == [(key_of(kind).blob, kind.lower()) for kind in PRIVATE]


@pytest.mark.parametrize("kind", list(PRIVATE))
def test_a_signature_is_asked_of_the_device_with_the_digest_of_the_type(table, kind):
    key = key_of(kind)
    reader = Reader(table.sign(key.blob))
    assert reader.byte("number") == Number.SIGN_RESPONSE
    assert Reader(reader.string("signature")).text("type") == key.name
    algorithm = {
        "SECP256R1": "SHA256WithECDSA", "SECP384R1": "SHA384WithECDSA", "SECP521R1": "SHA512WithECDSA",
        "ED25519": "Ed25519",
    }[kind]  # fmt: skip
    assert table.source.signed == [(kind.lower(), b"data", algorithm)]


def test_a_signature_after_a_listing_needs_no_other_listing(table):
    table.rows()
    assert table.signs(ED.blob)
    assert table.signs(P256.blob)
    assert table.source.listed == 1


@pytest.mark.parametrize(
    ("data", "flags", "verdict"),
    [(b"data", 2, Number.SIGN_RESPONSE), (b"data", 4, Number.SIGN_RESPONSE), (b"data", 1, 5), (b"data", 8, 5),
     (b"", 0, 5)],
)  # fmt: skip
def test_flags_of_rsa_say_nothing_of_other_keys_and_what_is_not_known_is_refused(table, data, flags, verdict):
    assert table.sign(ED.blob, data, flags)[0] == verdict


def test_a_key_that_is_not_shown_signs_nothing(table):
    public = device_form(ed25519.Ed25519PrivateKey.generate().public_key())
    assert table.sign(SshKey(kid_of(public), "x", "ED25519", public).blob) == FAILURE
    assert table.send(Number.REMOVE_IDENTITY, string(b"no key")) == FAILURE


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (MessageTooLong("message of 3000 bytes; accepted: 1 to 2048", size=3000, limit=2048), "3000 bytes"),
        (HemKeyNotFound("office: no key 00"), "no key 00"),
        (HemLoginRequired("the agent is locked: hem agent unlock"), "hem agent unlock"),
    ],
)
def test_what_the_device_has_against_a_signature_stands_in_the_log_with_what_it_was_for(
    table, caplog, failure, words
):
    table.rows()
    table.source.failure = failure
    data = b"SSHSIG" + string("git") + string("") + string("sha512") + string(bytes(64))
    assert table.sign(ED.blob, data) == FAILURE
    (record,) = [each for each in caplog.records if each.levelname == "WARNING"]
    assert words in record.message
    assert "sign for 'git', with key 'ed25519'" in record.message


def test_a_listing_of_a_locked_device_fails_and_is_not_an_empty_one(table, caplog):
    table.source.failure = HemLoginRequired("the agent is locked: hem agent unlock")
    assert table.send(Number.REQUEST_IDENTITIES) == FAILURE
    assert "hem agent unlock" in caplog.text


def test_of_a_failure_that_nobody_thought_of_the_log_has_the_kind_alone(table, caplog):
    table.source.failure = ZeroDivisionError("secret")
    assert table.send(Number.REQUEST_IDENTITIES) == FAILURE
    assert "ZeroDivisionError" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("number", [0, 1, 9, 30, 255])
def test_messages_that_are_not_known_fail(table, number):
    assert table.send(number) == FAILURE
    assert asyncio.run(table.agent.answer(b"", table.peer)) == FAILURE


@pytest.mark.parametrize("number", [Number.ADD_IDENTITY, Number.ADD_ID_CONSTRAINED])
def test_private_keys_are_not_taken(table, caplog, number):
    with caplog.at_level("INFO"):
        assert table.send(number, string("ssh-ed25519"), string(bytes(32))) == FAILURE
    assert "private keys are not taken" in caplog.text


def test_extensions_are_told_and_others_refused(table):
    reader = Reader(table.extend("query"))
    assert reader.byte("number") == Number.EXTENSION_RESPONSE
    assert list(reader.strings("names")) == [
        b"query", b"query", b"session-bind@openssh.com", b"add@hem-provider",
    ]  # fmt: skip
    assert table.extend("other@example.org") == FAILURE
    assert table.extend("query", b"more") == EXTENSION_FAILURE


def test_only_keys_with_the_prefix_are_there():
    table = Table(prefix="secp")
    assert table.labels() == ["secp256r1", "secp384r1", "secp521r1"]
    assert table.sign(ED.blob) == FAILURE
    assert table.add("hem:ed25519") == FAILURE


def test_a_forgotten_key_is_shown_again_when_it_is_added_or_the_device_unlocked_anew(table):
    assert table.send(Number.REMOVE_IDENTITY, string(ED.blob)) == SUCCESS
    assert table.labels() == ALL[:-1]
    assert not table.signs(ED.blob)
    assert table.send(Number.REMOVE_IDENTITY, string(ED.blob)) == FAILURE
    assert table.add("hem:ed25519") == SUCCESS
    assert table.signs(ED.blob)
    assert table.send(Number.REMOVE_ALL_IDENTITIES) == SUCCESS
    assert table.labels() == []
    public = device_form(ed25519.Ed25519PrivateKey.generate().public_key())
    table.source.there.append(SshKey(kid_of(public), "made later", "ED25519", public))
    assert table.labels() == []
    assert table.add(f"hem:{P256.kid}") == SUCCESS
    assert table.labels() == ["secp256r1"]
    table.agent.renew()
    assert table.labels() == [*ALL, "made later"]


def test_everything_is_forgotten_with_the_device_away(table):
    table.source.failure = HemLoginRequired("away")
    assert table.send(Number.REMOVE_ALL_IDENTITIES) == SUCCESS


def test_life_times_end_and_begin_with_the_unlocking_and_the_adding():
    table = Table(lifetime=100)
    table.now += 1000  # the device was locked
    assert table.labels() == ALL
    table.now += 99
    assert table.labels() == ALL
    assert table.add("hem:ed25519", lifetime=50) == SUCCESS
    assert table.add("hem:secp256r1") == SUCCESS
    table.now += 1
    assert table.labels() == ["secp256r1", "ed25519"]
    table.now += 49
    assert table.labels() == ["secp256r1"]
    assert not table.signs(ED.blob)
    table.now += 50
    assert table.labels() == []
    assert not table.signs(P256.blob)
    table.agent.renew()
    assert table.labels() == ALL


def test_a_person_is_asked_what_for_and_by_whom(table):
    assert table.add("hem:ed25519", confirm=True) == SUCCESS
    host = key_of("SECP256R1")
    table.peer.pid = 77
    table.bind("SECP256R1", b"over", forwarded=True)
    assert table.sign(ED.blob, login(ED.blob, host=host.blob))[0] == Number.SIGN_RESPONSE
    assert table.asked == [
        f"Allow use of key ed25519?\nKey fingerprint {ED.fingerprint}.\n"
        f"Purpose: log in as 'ada' on the host {host.fingerprint}.\n"
        f"Asked for by process 77, by way of the host {host.fingerprint}."
    ]
    table.says = False
    assert table.sign(ED.blob) == FAILURE
    assert len(table.source.signed) == 1
    assert table.signs(P256.blob)  # which was added without
    assert len(table.asked) == 2


def test_a_key_that_is_forgotten_or_locked_during_the_question_signs_nothing(table):
    table.add(confirm=True)

    async def forget() -> None:
        await table.agent.answer(bytes([Number.REMOVE_ALL_IDENTITIES]), SshPeer())

    async def lock() -> None:
        await table.agent.answer(bytes([Number.LOCK]) + string("x"), SshPeer())

    for happens in (forget, lock):
        table.add(confirm=True)
        table.meanwhile = happens
        assert table.sign(ED.blob) == FAILURE
    assert table.source.signed == []


def test_what_the_agent_was_started_to_ask_for_is_asked_whatever_a_key_was_added_with():
    table = Table(confirm_all=True)
    assert table.signs(ED.blob)
    table.add("hem:ed25519")
    assert table.signs(ED.blob)
    assert len(table.asked) == 2


@pytest.mark.parametrize(
    ("token", "pin", "words"),
    [
        ("hem", "secret", "a PIN is not taken"),
        ("/usr/lib/p11.so", "", "is not known"),
        ("hem:", "", "is not known"),
        ("hem:nobody", "", "no key 'nobody'"),
    ],
)  # fmt: skip
def test_a_token_that_is_not_there_or_a_pin_is_refused_with_the_reason(table, caplog, token, pin, words):
    with caplog.at_level("INFO"):
        assert table.add(token, pin) == FAILURE
    assert words in caplog.text
    assert "secret" not in caplog.text


def test_keys_are_not_added_over_a_connection_of_an_ssh_session(table, caplog):
    table.send(Number.REMOVE_ALL_IDENTITIES)
    assert table.bind(forwarded=True, proof=b"wrong") == EXTENSION_FAILURE  # tried is enough
    with caplog.at_level("INFO"):
        assert table.add() == FAILURE
    assert "this host only" in caplog.text
    assert table.labels() == []


def test_a_client_of_ours_is_told_what_was_added_or_why_not(table):
    reader = Reader(table.extend("add@hem-provider", string("hem:ed25519"), string("")))
    assert reader.byte("number") == Number.EXTENSION_RESPONSE
    assert list(reader.strings("words")) == [b"add@hem-provider", b"added", b"ssh-ed25519 ed25519"]
    reader = Reader(table.extend("add@hem-provider", string("hem:nobody"), string("")))
    assert reader.byte("number") == Number.EXTENSION_RESPONSE
    name, verdict, reason = reader.strings("words")
    assert (name, verdict) == (b"add@hem-provider", b"refused")
    assert b"no key 'nobody'" in reason


def test_a_certificate_is_shown_beside_its_key_and_signs(table):
    blob = certificate(PRIVATE["ED25519"].public_key())
    assert table.add(certificates=(blob,)) == SUCCESS
    assert table.rows()[-2:] == [(ED.blob, "ed25519"), (blob, "ed25519")]
    reader = Reader(table.sign(blob)[1:])
    assert Reader(reader.string("signature")).text("type") == "ssh-ed25519"
    assert table.send(Number.REMOVE_IDENTITY, string(ED.blob)) == SUCCESS
    assert table.signs(blob)
    assert table.send(Number.REMOVE_IDENTITY, string(blob)) == SUCCESS
    assert not table.signs(blob)


def test_a_certificate_alone_leaves_its_key_as_it_was(table):
    blob = certificate(PRIVATE["ED25519"].public_key())
    assert table.add(certificates=(blob,), certificates_only=True, confirm=True, lifetime=5) == SUCCESS
    assert table.labels() == [*ALL, "ed25519"]
    assert table.signs(ED.blob)
    assert table.asked == []
    assert table.signs(blob)
    assert len(table.asked) == 1
    table.now += 5
    assert table.labels() == ALL


def test_certificates_of_other_keys_and_too_many_are_refused_and_nothing_is_added(table):
    table.send(Number.REMOVE_ALL_IDENTITIES)
    own = [certificate(PRIVATE["ED25519"].public_key(), principals=(b"%d" % each,)) for each in range(17)]
    foreign = certificate(ed25519.Ed25519PrivateKey.generate().public_key())
    assert table.add(certificates=(own[0], foreign)) == FAILURE
    assert table.add(certificates=tuple(own)) == FAILURE
    assert table.labels() == []
    assert table.add("hem:ed25519", certificates=tuple(own[:16])) == SUCCESS
    assert table.add("hem:ed25519", certificates=(own[16],)) == FAILURE
    assert len(table.rows()) == 17


def test_destinations_are_not_promised(table, caplog):
    encoded = b"\xff" + string("restrict-destination-v00@openssh.com") + string(b"")
    with caplog.at_level("INFO"):
        assert table.send(Number.ADD_SMARTCARD_KEY_CONSTRAINED, string("hem"), string(""), encoded) == FAILURE
    assert "does not limit keys to destinations" in caplog.text


def test_a_locked_agent_lists_nothing_and_still_learns_of_sessions(table):
    assert table.send(Number.LOCK, string("")) == FAILURE
    assert table.send(Number.UNLOCK, string("sesame")) == FAILURE
    assert table.send(Number.LOCK, string("sesame")) == SUCCESS
    assert table.agent.is_locked
    assert table.send(Number.LOCK, string("other")) == FAILURE
    assert table.rows() == []
    assert table.sign(ED.blob) == FAILURE
    assert table.add() == FAILURE
    assert table.extend("query") == EXTENSION_FAILURE
    assert table.bind() == SUCCESS
    assert table.send(Number.UNLOCK, string("other")) == FAILURE
    assert table.send(Number.UNLOCK, string("sesame")) == SUCCESS
    assert table.labels() == ALL


def test_a_host_that_the_agent_was_forwarded_to_does_not_lock_it(table):
    assert table.bind() == SUCCESS
    assert table.send(Number.LOCK, string("sesame")) == FAILURE
    assert not table.agent.is_locked
    assert table.labels() == ALL


def test_an_agent_that_starts_itself_anew_stays_locked(table):
    assert table.agent.kept == ""
    table.send(Number.LOCK, string("sesame"))
    successor = Table(kept=table.agent.kept)
    assert successor.rows() == []
    assert successor.send(Number.UNLOCK, string("other")) == FAILURE
    assert successor.send(Number.UNLOCK, string("sesame")) == SUCCESS
    assert successor.labels() == ALL
    assert successor.agent.kept == ""


def test_wrong_passphrases_are_answered_ever_more_slowly_and_one_after_the_other(table, monkeypatch):
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    monkeypatch.setattr(passlock.asyncio, "sleep", pause)
    monkeypatch.setattr(passlock, "_ROUNDS", 2)
    table.send(Number.LOCK, string("sesame"))

    async def guess(count: int) -> None:
        message = bytes([Number.UNLOCK]) + string("wrong")
        answers = await asyncio.gather(*(table.agent.answer(message, SshPeer()) for _ in range(count)))
        assert set(answers) == {FAILURE}

    asyncio.run(guess(120))
    assert pauses == [pytest.approx(min(0.1 * each, 10)) for each in range(1, 121)]
    assert table.send(Number.UNLOCK, string("sesame")) == SUCCESS


def test_a_session_is_kept_when_the_server_has_proven_it(table):
    assert table.bind("SECP256R1", b"one", forwarded=True) == SUCCESS
    assert table.bind("SECP256R1", b"one", forwarded=True) == SUCCESS  # again
    assert table.bind("ED25519", b"one", forwarded=True) == EXTENSION_FAILURE  # by another server
    assert table.bind(
        "ED25519", b"two", proof=key_of("ED25519").signature(signed("ED25519", b"x"), b"x")
    ) == (EXTENSION_FAILURE)
    assert table.bind("ED25519", b"") == EXTENSION_FAILURE
    assert table.bind("ED25519", bytes(129)) == EXTENSION_FAILURE
    assert table.bind("ED25519", b"two") == SUCCESS
    assert table.bind("ED25519", b"three") == EXTENSION_FAILURE  # it is for a login
    assert [each.identifier for each in table.peer.sessions] == [b"one", b"two"]
    assert [each.identifier for each in table.peer.route] == [b"one"]


def test_a_connection_has_sixteen_sessions(table):
    for number in range(16):
        assert table.bind(session=b"%d" % number, forwarded=True) == SUCCESS
    assert table.bind(session=b"17", forwarded=True) == EXTENSION_FAILURE


def test_no_more_keys_are_listed_than_clients_take(caplog):
    keys = []
    for number in range(2060):
        public = device_form(ed25519.Ed25519PrivateKey.generate().public_key())
        keys.append(SshKey(kid_of(public), f"key {number}", "ED25519", public))
    table = Table(source=Source(keys))
    assert len(table.rows()) == 2048
    assert "12 of 2060 keys are not listed" in caplog.text
    long = [SshKey(each.kid, "x" * 200, each.type, each.public) for each in keys]
    table = Table(source=Source(long))
    answer = table.send(Number.REQUEST_IDENTITIES)
    assert LARGEST_FRAME - 300 < len(answer) <= LARGEST_FRAME
    assert len(table.rows()) < 2048


def program(folder: Path, text: str) -> str:
    path = folder / "askpass"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return str(path)


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("exit 0", True), ("echo", True), ("echo yes", True), ("echo YES", True), ("echo no", False),
        ("echo yes; exit 1", False), ("exit 1", False), ("kill $$", False),
        ('test "$SSH_ASKPASS_PROMPT" = confirm && test "$1" = "Allow?"', True),
    ],
)  # fmt: skip
def test_the_answer_of_the_program_is_read_as_openssh_reads_it(tmp_path, text, allowed):
    assert asyncio.run(AskPass(program(tmp_path, text))("Allow?")) is allowed


def test_without_a_good_program_the_answer_is_no_and_the_log_says_why(tmp_path, monkeypatch, caplog):
    path = Path(program(tmp_path, "exit 0"))
    for given, words in ((str(tmp_path / "none"), "No such file"), ("askpass", "an absolute path")):
        monkeypatch.setenv("SSH_ASKPASS", given)
        assert asyncio.run(AskPass()("Allow?")) is False
        assert words in caplog.text
    path.chmod(0o722)
    monkeypatch.setenv("SSH_ASKPASS", str(path))
    assert asyncio.run(AskPass()("Allow?")) is False
    assert "others may write" in caplog.text
    path.chmod(stat.S_IRWXU)
    assert asyncio.run(AskPass()("Allow?")) is True


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def test_a_question_ends_with_patience_or_with_who_asked(tmp_path, caplog):
    waits = program(tmp_path, f"echo $$ >>{tmp_path}/pids; exec sleep 100")
    assert asyncio.run(AskPass(waits, patience=0.2)("Allow?")) is False
    assert "nobody answered" in caplog.text

    async def leave() -> None:
        task = asyncio.create_task(AskPass(waits)("Allow?"))
        end = time.monotonic() + 20
        while len((tmp_path / "pids").read_text().split()) < 2 and time.monotonic() < end:
            await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(leave())
    pids = [int(each) for each in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 2
    assert all(map(gone, pids))
