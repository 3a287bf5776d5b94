"""``age-plugin-hem`` as its clients see it: what each state machine says, what it asks of devices and of
persons, and that nothing that is sent makes it fail."""

from __future__ import annotations

import base64
import contextlib
import io
import sys
import time
from importlib.metadata import EntryPoint
from types import SimpleNamespace

import pytest
from adapters.agekeys import halves_for
from cryptography.hazmat.primitives.asymmetric import x25519
from hypothesis import given
from hypothesis import strategies as st
from support.passphrases import PASSPHRASE
from support.rig import connected

from hem_provider.adapters.age import bech32
from hem_provider.adapters.age.devicekeys import recipient_of
from hem_provider.adapters.age.errors import DamagedFile
from hem_provider.adapters.age.header import LineReader, Stanza, read_stanza
from hem_provider.adapters.age.identities import PREFIX, Identity, identity_of, parse_identity
from hem_provider.adapters.age.kinds import BY_PREFIX, KINDS
from hem_provider.adapters.age.plugin.devices import Devices
from hem_provider.adapters.age.plugin.identity import unwrap
from hem_provider.adapters.age.plugin.protocol import Client
from hem_provider.adapters.age.recipients import Recipient, parse
from hem_provider.cli import age_plugin


def stanza(kind, *arguments, body=b""):
    return Stanza(kind, arguments, body)


FILE_KEY = bytes(range(16))
POSTQUANTUM = stanza("labels", "postquantum")
NOBODYS = "age1cjz6059npve5s8ysjje49zvz0p00sqpcz2htd5exucfst4yllayqjqpyqc"
#: What an identity names → the recipient's prefix, and what decrypting asks of the device.
NAMED = {
    ("box",): ("age1", ["ecdh"]),
    ("web",): ("age1tag1", ["ecdh"]),
    ("box", "post"): ("age1pq1", ["ecdh", "pqc/mlkem/decaps"]),
    ("web", "post"): ("age1tagpq1", ["ecdh", "pqc/mlkem/decaps"]),
}
EVERY = stanza("add-identity", bech32.encode(PREFIX, b""))


def read_all(data):
    """The stanzas of a stream; the last is not cut."""
    source = io.BytesIO(data)
    reader, found = LineReader(source), []
    while source.tell() < len(data):
        found.append(read_stanza(reader.next(), reader))
    return found


@pytest.fixture
def converse(monkeypatch, capfd):
    """Runs a state machine with what its client says first, and answers; what the plugin said, in order.

    ``answers``: command → the answer, or a list of them; ``ok`` to all others."""

    def converse(machine, *said, answers=None, status=0, raw=None):
        left = {command: iter(each) for command, each in (answers or {}).items() if isinstance(each, list)}

        def answer(command):
            if command.kind in left:
                return next(left[command.kind])
            return (answers or {}).get(command.kind, stanza("ok"))

        first = b"".join(each.encoded() for each in (*said, stanza("done"))) if raw is None else raw
        client = _Talk(first, answer)
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BufferedReader(client)))
        monkeypatch.setattr("sys.stdout", SimpleNamespace(buffer=client, reconfigure=None))
        ended = age_plugin.main([f"--age-plugin={machine}"])
        converse.stderr = capfd.readouterr().err
        assert ended == status, converse.stderr
        assert "Traceback" not in converse.stderr
        assert "fault of hem itself" not in converse.stderr
        return client.said

    return converse


class _Talk(io.RawIOBase):
    """Both ends of the client: what is read is what it said first, and then its answers."""

    def __init__(self, first, answer):
        self._waiting = io.BytesIO(first)
        self._answer = answer
        self.said = []

    def readable(self):
        return True

    def readinto(self, buffer):
        data = self._waiting.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def write(self, data):
        (command,) = read_all(data)
        self.said.append(command)
        if command.kind != "done":
            self._waiting = io.BytesIO(self._waiting.read() + self._answer(command).encoded())
        return len(data)


@pytest.fixture
def passphrase(tmp_path):
    path = tmp_path / "passphrase"
    path.write_text(f"{PASSPHRASE}\n")
    path.chmod(0o600)
    return path


def make_keys(hem):
    for label, kind, usage in (
        ("box", "CURVE25519", None),
        ("web", "SECP256R1", {"derive"}),
        ("post", "MLKEM768", None),
    ):
        hem.keys.create(kind, label=label, usage=usage)


def identities(hem, device="hem"):
    """Names of keys → recipient and identity."""
    found = {}
    for names in NAMED:
        keys = [hem.keys.find(label=each) for each in names]
        recipient = recipient_of(*keys)
        found[names] = recipient, str(identity_of(device, recipient, *keys[1:]))
    return found


@pytest.fixture
def known(rig, hem, monkeypatch, passphrase, tmp_path):
    """A device with keys; a machine that has never met it has the identities."""
    make_keys(hem)
    found = identities(hem)
    monkeypatch.setenv("HEM_URL", f"emulator:{rig.path}")
    monkeypatch.setenv("HEM_PASSPHRASE_FILE", str(passphrase))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another machine"))
    rig.requests.clear()
    return found


def lent(file, recipient, key=FILE_KEY):
    """The stanza for ``recipient`` as a client of ``identity-v1`` hands it on."""
    made = recipient.wrap(key)
    return stanza("recipient-stanza", str(file), made.kind, *made.arguments, body=made.body)


def opened(file=0, key=FILE_KEY):
    return [stanza("file-key", str(file), body=key), stanza("done")]


def crypto(rig):
    start = "POST /api/crypto/"
    return [each.removeprefix(start) for each in rig.requests if each.startswith(start)]


# --- identities ---


@pytest.mark.parametrize("names", NAMED, ids="+".join)
def test_an_identity_says_device_and_key_and_is_made_again_from_its_text(known, names):
    recipient, text = known[names]
    assert str(recipient).startswith(NAMED[names][0])
    found = parse_identity(text)
    assert (str(found), found.device, found.kind) == (text, "hem", recipient.kind)
    assert len(found.kids) == len(names)
    assert parse_identity(bech32.encode(PREFIX, b"")) is None


def changed(text, change):
    return bech32.encode(PREFIX, bytes(change(bytearray(bech32.decode(text)[1]))))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda data: data[:1], "version and kind are 01; known are 01 and 01, 02, 03, 04"),
        (lambda data: bytes([2]) + data[1:], "version and kind are 02 01"),
        (lambda data: bytes([1, 9]) + data[2:], "version and kind are 01 09"),
        (lambda data: data[:20], "20 bytes; with a device's name it has more than 34"),
        (lambda data: data[:34], "34 bytes; with a device's name it has more than 34"),
        (lambda data: data[:2] + bytes(32) + data[34:], "no public key"),
        (lambda data: data[:34] + b"\xff\xfe", "no public key and the name of a device"),
    ],
)
def test_what_is_no_identity_is_told(known, change, told):
    with pytest.raises(ValueError, match=told):
        parse_identity(changed(known["box",][1], change))


@pytest.mark.parametrize("text", ["", "AGE-PLUGIN-HEM-1", "age1", "AGE-SECRET-KEY-1QQQQ", "\0", "é1"])
def test_what_is_no_text_of_an_identity_is_told(text):
    with pytest.raises(ValueError):
        parse_identity(text)


@given(st.binary(max_size=120), st.sampled_from([1, 2, 3, 4]))
def test_any_bytes_are_an_identity_or_a_value_error(data, number):
    try:
        found = parse_identity(bech32.encode(PREFIX, bytes([1, number]) + data))
    except ValueError:
        return
    assert isinstance(found, Identity)
    assert bech32.decode(str(found))[1] == bytes([1, number]) + data


def test_numbers_of_kinds_are_for_good():
    assert {each.stanza: each.number for each in KINDS} == {
        "X25519": 1, "p256tag": 2, "mlkem768x25519": 3, "mlkem768p256tag": 4,
    }  # fmt: skip


# --- decrypting: what it costs ---


@pytest.mark.parametrize("names", NAMED, ids="+".join)
def test_decrypting_is_one_call_or_two_on_a_machine_that_never_met_the_device(known, rig, converse, names):
    recipient, identity = known[names]
    said = converse("identity-v1", stanza("add-identity", identity), lent(0, recipient))
    assert said == opened()
    assert crypto(rig) == NAMED[names][1]
    assert rig.count("GET /api/keymgmt") == 0
    assert rig.count("POST /api/auth/token") == len(NAMED[names][1])  # a token for each key


@pytest.mark.parametrize("names", NAMED, ids="+".join)
def test_a_file_for_another_key_is_nothing_to_speak_of(known, rig, converse, names):
    other = next(each for each in known if each != names and each[0] != names[0])
    said = converse("identity-v1", stanza("add-identity", known[names][1]), lent(0, known[other][0]))
    assert (said, rig.requests) == ([stanza("done")], [])


def test_another_x25519_key_is_found_out_by_one_call(known, rig, converse, hem):
    hem.keys.create("CURVE25519", label="other")
    recipient = recipient_of(hem.keys.find(label="other"))
    rig.requests.clear()
    said = converse("identity-v1", stanza("add-identity", known["box",][1]), lent(0, recipient))
    assert (said, crypto(rig)) == ([stanza("done")], ["ecdh"])


def test_several_files_and_identities_at_once(known, rig, converse):
    second = bytes(range(16, 32))
    said = converse(
        "identity-v1",
        stanza("grease-17", "argument", body=b"\xff" * 100),
        stanza("add-identity", known["web",][1]),
        lent(0, known["box",][0]),
        stanza("recipient-stanza", "0", "ssh-ed25519", "AAAA", body=b"x"),
        stanza("add-identity", known["box",][1]),
        lent(3, known["web",][0], second),
        lent(7, parse(NOBODYS)),
    )
    assert said == [opened()[0], *opened(3, second)]
    assert crypto(rig) == ["ecdh"] * 3  # the last file is tried in vain


@pytest.mark.parametrize("names", NAMED, ids="+".join)
def test_an_identity_without_a_key_is_every_key(known, rig, converse, names):
    said = converse("identity-v1", EVERY, lent(0, known[names][0]))
    assert said == opened()
    assert crypto(rig) == NAMED[names][1]
    said = converse(
        "identity-v1",
        EVERY,
        lent(0, parse(NOBODYS)),
    )
    assert said == [stanza("done")]


def test_ten_thousand_stanzas_with_tags_are_one_call(known, rig, converse):
    recipient, identity = known["web",]
    made = lent(0, recipient)
    other = Stanza(made.kind, (*made.arguments[:2], "AAAAAA", made.arguments[3]), made.body)
    started = time.monotonic()
    said = converse("identity-v1", stanza("add-identity", identity), *[other] * 9_999, made)
    assert (said, crypto(rig)) == (opened(), ["ecdh"])
    assert time.monotonic() - started < 60


def test_ten_thousand_stanzas_without_tags_are_not_all_tried(known, rig, converse):
    recipient, identity = known["box",]
    shares = [parse_share(each) for each in range(300)]
    foreign = [stanza("recipient-stanza", "0", "X25519", each, body=bytes(32)) for each in shares]
    said = converse(
        "identity-v1", stanza("add-identity", identity), *foreign, *[foreign[0]] * 9_700, lent(0, recipient)
    )
    told, end = said
    assert (told.kind, told.arguments, end) == ("error", ("identity", "0"), stanza("done"))
    assert b"none of 256 tries opened the file, which has 10001 recipients" in told.body
    assert crypto(rig) == ["ecdh"] * 256


def parse_share(number):
    """A point of X25519, as a stanza has it."""
    private = x25519.X25519PrivateKey.from_private_bytes((8 * number).to_bytes(32, "little"))
    return base64.b64encode(private.public_key().public_bytes_raw()).rstrip(b"=").decode()


# --- decrypting: what is damaged ---


def test_a_damaged_stanza_keeps_its_file_shut_and_no_other(known, rig, converse):
    recipient, identity = known["box",]
    whole = lent(0, recipient)
    short = Stanza(whole.kind, whole.arguments, whole.body[:-1])
    said = converse("identity-v1", stanza("add-identity", identity), whole, short, lent(1, recipient))
    told = stanza("error", "stanza", "0", "1", body=b"a stanza X25519 whose key has 31 bytes, not 32")
    assert said == [told, *opened(1)]
    assert crypto(rig) == ["ecdh"]


def test_a_share_that_gives_no_secret_is_told(known, converse):
    _, identity = known["box",]
    bad = stanza("recipient-stanza", "0", "X25519", "A" * 43, body=bytes(32))
    told, end = converse("identity-v1", stanza("add-identity", identity), bad)
    assert (told.kind, told.arguments[:1], end.kind) == ("error", ("identity",), "done")
    assert b"its share gives no secret" in told.body


def test_an_identity_that_is_none_keeps_all_shut(known, rig, converse):
    recipient, identity = known["box",]
    said = converse(
        "identity-v1",
        stanza("add-identity", identity),
        stanza("add-identity", identity[:-1] + ("P" if identity.endswith("Q") else "Q")),
        stanza("add-identity", "AGE-SECRET-KEY-1"),
        lent(0, recipient),
    )
    assert [(each.kind, each.arguments) for each in said] == [
        ("error", ("identity", "1")), ("error", ("identity", "2")), ("done", ()),
    ]  # fmt: skip
    assert rig.requests == []


def test_a_device_that_is_not_configured_is_told_by_its_name(known, converse, hem):
    recipient, _ = known["box",]
    elsewhere = str(identity_of("office", recipient))
    told, _ = converse("identity-v1", stanza("add-identity", elsewhere), lent(0, recipient))
    assert told.arguments == ("identity", "0")
    assert b"no device is called 'office'" in told.body


def test_a_key_that_is_gone_opens_nothing(known, hem, converse):
    recipient, identity = known["box",]
    hem.keys.delete(hem.keys.find(label="box"))
    assert converse("identity-v1", stanza("add-identity", identity), lent(0, recipient)) == [stanza("done")]


@pytest.mark.parametrize("listed", [False, True])
def test_a_key_that_was_not_made_for_it_is_told(known, rig, hem, converse, listed):
    key = hem.keys.create("SECP256R1", label="signer", usage={"sign"})
    recipient = Recipient(BY_PREFIX["age1tag"], key.public_bytes())
    if listed:
        with rig.connect() as another:
            assert len(another.keys) == 4
    said = converse(
        "identity-v1", stanza("add-identity", str(identity_of("hem", recipient))), lent(0, recipient)
    )
    assert [(each.kind, each.arguments) for each in said] == [("error", ("identity", "0")), ("done", ())]
    assert key.kid.encode() in said[0].body
    assert (b"was not made for 'derive'" in said[0].body) is listed


# --- persons ---


@pytest.fixture
def unattended(known, monkeypatch):
    """No source of a login is configured."""
    monkeypatch.delenv("HEM_PASSPHRASE_FILE")
    return known


@pytest.mark.parametrize("names", NAMED, ids="+".join)
def test_a_person_is_asked_for_the_passphrase_once(unattended, rig, converse, names):
    recipient, identity = unattended[names]
    said = converse(
        "identity-v1",
        stanza("add-identity", identity),
        lent(0, recipient),
        answers={"request-secret": stanza("ok", body=PASSPHRASE.encode())},
    )
    assert said == [
        stanza("request-secret", body=f"passphrase of HEM hem (emulator:{rig.path})".encode()),
        *opened(),
    ]
    assert crypto(rig) == NAMED[names][1]
    assert PASSPHRASE not in converse.stderr


@pytest.mark.parametrize("answer", ["fail", "unsupported", "ok"])
def test_where_nobody_types_a_passphrase_the_error_says_what_to_do(unattended, rig, converse, answer):
    recipient, identity = unattended["box",]
    said = converse(
        "identity-v1",
        stanza("add-identity", identity),
        lent(0, recipient),
        answers={"request-secret": stanza(answer)},
    )
    assert [each.kind for each in said] == ["request-secret", "error", "done"]
    assert said[1].arguments == ("identity", "0")
    assert b"no passphrase was given; run 'hem agent unlock', or configure a source" in said[1].body
    assert rig.requests == []


def test_a_wrong_passphrase_is_an_error_and_is_not_told(unattended, rig, converse):
    recipient, identity = unattended["box",]
    said = converse(
        "identity-v1",
        stanza("add-identity", identity),
        lent(0, recipient),
        answers={"request-secret": stanza("ok", body=b"not this one")},
    )
    assert [each.kind for each in said] == ["request-secret", "error", "done"]
    assert b"does not accept the passphrase" in said[1].body
    assert "not this one" not in converse.stderr + repr(said)
    assert rig.count("POST /api/auth/token") == 1


def test_a_passphrase_that_is_no_text_ends_it(unattended, converse):
    recipient, identity = unattended["box",]
    converse(
        "identity-v1",
        stanza("add-identity", identity),
        lent(0, recipient),
        answers={"request-secret": stanza("ok", body=b"\xff\xfe")},
        status=1,
    )
    assert "2 bytes were typed that are no text" in converse.stderr


def test_an_approval_by_phone_is_announced(known, monkeypatch, converse, rig):
    monkeypatch.setenv("HEM_AUTH", "mobile")
    recipient, identity = known["box",]
    said = converse("identity-v1", stanza("add-identity", identity), lent(0, recipient))
    assert [each.kind for each in said] == ["msg", "error", "done"]
    assert said[0].body == b"approve the use of HEM hem on your phone"
    assert b"no phone is paired" in said[1].body


def test_a_device_that_is_away_is_tried_again_as_the_person_wants(known, rig, converse):
    recipient, identity = known["web",]
    yes, no = stanza("ok", "yes"), stanza("ok", "no")
    said = (stanza("add-identity", identity), lent(0, recipient))

    def away():
        raise TimeoutError("by the rig")

    rig.before_each = away
    for answers, asked in (([no], 1), ([yes, no], 2), ([yes, yes], 2), ([stanza("fail")], 1)):
        told = converse("identity-v1", *said, answers={"confirm": answers})
        assert [each.kind for each in told] == ["confirm"] * asked + ["error", "done"]
        choices = [base64.b64decode(each + "==") for each in told[0].arguments]
        assert choices == [b"try again", b"give up"]
        assert told[0].body.startswith(b"HEM hem is not reached: ")
        assert told[-2].arguments == ("identity", "0")

    def back(command):
        rig.before_each = None
        return yes

    talk = _Talk(b"".join(each.encoded() for each in (*said, stanza("done"))), back)
    client = Client(io.BufferedReader(talk), talk)
    with Devices(client) as devices:
        unwrap(client, devices)
    assert [each.kind for each in talk.said] == ["confirm", "file-key", "done"]


def test_two_devices_and_one_of_them_is_away(
    known, rig, monkeypatch, template, tmp_path, passphrase, converse
):
    opener = {rig: EntryPoint.load(None)}
    with connected(monkeypatch, template, tmp_path / "other.hem") as other:
        opener[other] = EntryPoint.load(None)
        monkeypatch.setattr(
            EntryPoint,
            "load",
            lambda _: lambda place: opener[other if "other.hem" in str(place) else rig](place),
        )
        with other.connect() as hem:
            make_keys(hem)
            there = identities(hem, "second")
        config = tmp_path / "two.toml"
        config.write_text(
            f'[[device]]\nname = "hem"\nurl = "https://127.0.0.1:1"\npassphrase_file = "{passphrase}"\n'
            f'[[device]]\nname = "second"\nurl = "emulator:{other.path}"\npassphrase_file = "{passphrase}"\n'
        )
        config.chmod(0o600)
        monkeypatch.delenv("HEM_URL")
        monkeypatch.setenv("HEM_CONFIG", str(config))
        recipient, identity = there["box",]
        both = [stanza("add-identity", each) for each in (known["box",][1], identity)]
        refused = {"confirm": stanza("fail")}
        said = converse("identity-v1", *both, lent(0, recipient), answers=refused)
        assert [each.kind for each in said] == ["confirm", "file-key", "done"]
        said = converse("identity-v1", *both, lent(0, known["box",][0]), answers=refused)
        assert [each.arguments[:2] for each in said if each.kind == "error"] == [("identity", "0")]
        said = converse(
            "identity-v1",
            EVERY,
            lent(0, recipient),
            answers=refused,
        )
        assert [each.kind for each in said] == ["file-key", "done"]


# --- encrypting ---


def given_back(said):
    """The stanzas of a header that the plugin gave, by file."""
    return [
        (int(each.arguments[0]), Stanza(each.arguments[1], each.arguments[2:], each.body))
        for each in said
        if each.kind == "recipient-stanza"
    ]


@pytest.mark.parametrize("names", NAMED, ids="+".join)
@pytest.mark.parametrize("by", ["recipient", "identity"])
def test_what_is_wrapped_is_unwrapped(known, rig, converse, names, by):
    recipient, identity = known[names]
    text = str(recipient) if by == "recipient" else identity
    second = bytes(16)
    said = converse(
        "recipient-v1",
        stanza(f"add-{by}", text),
        stanza("wrap-file-key", body=FILE_KEY),
        stanza("extension-labels"),
        stanza("grease-1", "2"),
        stanza("wrap-file-key", body=second),
    )
    hybrid = len(names) == 2
    assert [each for each in said if each.kind == "labels"] == ([POSTQUANTUM] if hybrid else [])
    (first, made), (number, more) = given_back(said)
    assert (first, number, said[-1]) == (0, 1, stanza("done"))
    assert rig.count("POST /api/auth/token") == (
        hybrid and by == "identity"
    )  # for the public half of one key
    for key, each in ((FILE_KEY, made), (second, more)):
        told = stanza("recipient-stanza", "0", each.kind, *each.arguments, body=each.body)
        assert converse("identity-v1", stanza("add-identity", identity), told) == opened(key=key)


def test_a_client_that_knows_no_labels_gets_none(known, converse):
    recipient, _ = known["box", "post"]
    said = converse(
        "recipient-v1", stanza("add-recipient", str(recipient)), stanza("wrap-file-key", body=FILE_KEY)
    )
    assert [each.kind for each in said] == ["recipient-stanza", "done"]


@pytest.mark.parametrize(
    ("commands", "place", "told"),
    [
        ([("add-recipient", "age1hem1qqqq")], ("recipient", "0"), "of a checksum"),
        ([("add-recipient", bech32.encode("age1hem", b""))], ("recipient", "0"), "of a plugin, or unknown"),
        ([("add-identity", "AGE-PLUGIN-HEM-1QQQQ")], ("identity", "0"), "without prefix"),
        ([("add-identity", bech32.encode(PREFIX, b""))], ("identity", "0"), "name a key"),
        ([], ("internal",), "a file needs a recipient"),
    ],
)
def test_what_cannot_be_encrypted_to_is_told_and_nothing_is_given(known, converse, commands, place, told):
    good = stanza("add-recipient", str(known["web",][0]))
    said = converse(
        "recipient-v1",
        *[stanza(*each) for each in commands],
        *([good] if commands and place[0] == "identity" else []),
        stanza("wrap-file-key", body=FILE_KEY),
    )
    assert [(each.kind, each.arguments) for each in said] == [("error", place), ("done", ())]
    assert told in said[0].body.decode()


def test_keys_that_do_not_go_together_and_files_keys_of_another_size_are_refused(known, converse):
    both = [stanza("add-recipient", str(known[each][0])) for each in (("web",), ("web", "post"))]
    told, end = converse("recipient-v1", *both, stanza("wrap-file-key", body=FILE_KEY))
    assert (told.arguments, end.kind) == (("internal",), "done")
    assert b"not safe from quantum computers" in told.body
    told, _ = converse("recipient-v1", both[0], stanza("wrap-file-key", body=b"x" * 17))
    assert told.body == b"a file's key of 17 bytes; it has 16"


# --- what is no protocol ---


@pytest.mark.parametrize("machine", ["recipient-v2", "identity-v0", ""])
def test_a_state_machine_that_is_not_known_is_not_started(converse, machine):
    assert converse(machine, status=2) == []
    assert "there are recipient-v1, identity-v1" in converse.stderr


def test_a_person_who_starts_it_is_told_what_it_is_for(capsys):
    assert age_plugin.main([]) == 2
    assert "hem age identity KEY" in capsys.readouterr().err
    assert age_plugin.main(["--help"]) == 0
    assert "hem age identity KEY" in capsys.readouterr().out
    assert age_plugin.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("age-plugin-hem ")


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"", "ended before it was done"),
        (b"-> add-identity x\n", "ended before it was done"),
        (b"-> add-identity x", "ended before it was done"),
        (b"hello\n", "is no stanza"),
        (b"-> \n\n", "is no stanza"),
        (b"-> wrap-file-key\n=====\n", "is no stanza"),
        (b"-> wrap-file-key\n" + b"A" * 65 + b"\n", "is no stanza"),
        (b"-> \xff\n\n", "is no stanza"),
        (b"-> recipient-stanza x X25519\n\n-> done\n\n", "the number of a file is 'x'"),
        (b"-> recipient-stanza -1 X25519\n\n-> done\n\n", "the number of a file is '-1'"),
        (
            b"-> recipient-stanza 2 X25519\n\n-> recipient-stanza 1 X25519\n\n-> done\n\n",
            "the number of a file is '1'; accepted: 2",
        ),
    ],
)
def test_what_is_no_protocol_ends_it_with_a_line(converse, raw, told):
    said = converse("identity-v1", raw=raw, status=1)
    assert said == []
    assert told in converse.stderr
    assert converse.stderr.count("\n") == 1


def test_more_than_any_header_has_is_not_read(converse, known):
    endless = b"-> wrap-file-key\n" + (b"A" * 64 + b"\n") * 600_000
    converse("recipient-v1", raw=endless, status=1)
    many = b"".join(stanza("add-identity", "x").encoded() for _ in range(1_001))
    converse("identity-v1", raw=many, status=1)
    assert "more than 10000 files or 1000 identities" in converse.stderr


LINES = st.one_of(
    st.sampled_from(
        [b"-> add-identity", b"-> done", b"-> recipient-stanza 0 X25519", b"AAAA", b"", b"-> add-recipient"]
    ),
    st.binary(max_size=70),
)


@given(st.lists(LINES, max_size=12), st.sampled_from(["identity-v1", "recipient-v1"]), st.booleans())
def test_no_lines_make_it_fail(lines, machine, done):
    raw = b"\n".join(lines) + (b"\n-> done\n\n" if done else b"")
    ended, told = run_raw(machine, raw)
    assert ended in (0, 1)
    assert "fault of hem itself" not in told


@given(st.data())
def test_no_change_of_a_stanza_makes_it_fail(data):
    kind = data.draw(st.sampled_from(sorted(BY_PREFIX)))
    recipient = RECIPIENTS[kind]
    raw = bytearray(EVERY.encoded() + lent(0, recipient).encoded())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    ended, told = run_raw("identity-v1", bytes(raw) + b"-> done\n\n")
    assert ended in (0, 1)
    assert "fault of hem itself" not in told


def run_raw(machine, raw):
    """With nothing configured, and ``ok`` to whatever the plugin says."""
    talk = _Talk(raw, lambda _: stanza("ok"))
    errors = io.StringIO()
    streams = sys.stdin, sys.stdout, sys.stderr
    sys.stdin, sys.stdout = SimpleNamespace(buffer=io.BufferedReader(talk)), SimpleNamespace(buffer=talk)
    try:
        with contextlib.redirect_stderr(errors):
            return age_plugin.main([f"--age-plugin={machine}"]), errors.getvalue()
    finally:
        sys.stdin, sys.stdout, sys.stderr = streams


RECIPIENTS = {each.prefix: halves_for(each)[1] for each in KINDS}


def test_secrets_that_were_read_are_not_kept(known):
    client = Client(
        io.BytesIO(stanza("wrap-file-key", body=FILE_KEY).encoded() + stanza("done").encoded()), io.BytesIO()
    )
    assert [each.body for each in client.commands()] == [FILE_KEY]
    assert client._lines.lines == []


def test_a_stream_that_is_cut_in_a_stanza_is_noticed():
    with pytest.raises(DamagedFile):
        read_all(stanza("a", body=bytes(100)).encoded()[:-1])
