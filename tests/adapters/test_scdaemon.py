"""The smart card daemon over cards that are in this process: its lines, its commands, and what is none."""

from __future__ import annotations

import ctypes
import ctypes.util
import hashlib
import io
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from hem_provider.adapters.scdaemon import Card, CardKey, serial_number
from hem_provider.adapters.scdaemon.assuan import LONGEST, escaped, plus_escaped, unescaped
from hem_provider.adapters.scdaemon.commands import COMMANDS, MOST_DATA
from hem_provider.adapters.scdaemon.faults import CODES, CardFault, fault_of
from hem_provider.adapters.scdaemon.server import serve
from hem_provider.adapters.scdaemon.values import DIGESTS
from hem_provider.errors import HemApprovalDenied, HemAuthenticationError, HemLoginRequired, HemUnreachable
from hem_provider.publickeys import device_form

SIGN = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\1")
LOGIN = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\2")
DECRYPT = X25519PrivateKey.from_private_bytes(bytes(31) + b"\3")
P256 = ec.derive_private_key(4, ec.SECP256R1())
PIN = "Zitrone 99% süß"


def card_key(number, kind, private, use):
    public = device_form(private.public_key())
    return CardKey(number, kind, public, f"{number:032x}", f"{number:040X}", 1_700_000_000 + number, use)


CARDS = [
    Card(
        serial_number("AB" * 20), "office", "Ada <ada@example.org>",
        (
            card_key(1, "ED25519", SIGN, "sc"),
            card_key(2, "CURVE25519", DECRYPT, "e"),
            card_key(3, "ED25519", LOGIN, "a"),
        ),
    ),
    Card(serial_number("CD" * 20), "spare", "Bob", (card_key(2, "SECP256R1", P256, "e"),)),
]  # fmt: skip
PRIVATE = {
    CARDS[0].keys[0]: SIGN, CARDS[0].keys[1]: DECRYPT, CARDS[0].keys[2]: LOGIN, CARDS[1].keys[0]: P256,
}  # fmt: skip


class Shelf:
    """``Shelf`` over keys here; ``trouble`` is raised by whatever reaches a device."""

    def __init__(self, cards=CARDS, pin=None):
        self.found, self.pin, self.trouble, self.fresh = cards, pin, None, 0
        self.open = pin is None

    def cards(self, *, fresh=False):
        self.fresh += fresh
        return self.found

    def needs_pin(self, _):
        return not self.open

    def log_in(self, card, _, pin):
        if pin != self.pin:
            raise HemAuthenticationError(f"{card.device}: the device does not accept the passphrase")
        self.open = True

    def forget(self):
        self.open = self.pin is None

    def sign(self, _, key, data):
        if self.trouble is not None:
            raise self.trouble
        return PRIVATE[key].sign(data)

    def agree(self, _, key, point):
        private = PRIVATE[key]
        if key.type == "SECP256R1":
            peer = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
            return private.exchange(ec.ECDH(), peer)
        return private.exchange(X25519PublicKey.from_public_bytes(point))


def said(shelf, *lines, folder=None):
    """What is answered to these lines, without the greeting."""
    data = b"".join(line if isinstance(line, bytes) else f"{line}\n".encode() for line in lines)
    out = io.BytesIO()
    serve(shelf, io.BytesIO(data), out, version=lambda: "2.2.40", folder=folder)
    greeting, *answers = out.getvalue().split(b"\n")
    assert greeting.startswith(b"OK ")
    assert answers.pop() == b""
    return answers


def data_of(answers):
    return unescaped(b"".join(each[2:] for each in answers if each.startswith(b"D ")))


def fault(name):
    return b"ERR %d " % (6 << 24 | CODES[name])


@pytest.mark.skipif(
    ctypes.util.find_library("gpg-error") is None, reason="not run: libgpg-error is not there"
)
def test_codes_are_those_of_libgpg_error():
    library = ctypes.CDLL(ctypes.util.find_library("gpg-error"))
    library.gpg_strerror.restype = library.gpg_strsource.restype = ctypes.c_char_p
    told = {name: library.gpg_strerror(code) for name, code in CODES.items()}
    assert told == {
        "GENERAL": b"General error", "NO_SECKEY": b"No secret key", "NOT_FOUND": b"Not found",
        "INV_VALUE": b"Invalid value", "NO_DATA": b"No data", "NOT_SUPPORTED": b"Not supported",
        "TOO_LARGE": b"Provided object is too large", "INV_RESPONSE": b"Invalid response",
        "BAD_PIN": b"Bad PIN", "INV_NAME": b"Invalid name", "CANCELED": b"Operation cancelled",
        "CARD": b"Card error", "CARD_NOT_PRESENT": b"Card not present",
        "WRONG_KEY_USAGE": b"Wrong key usage", "LOCKED": b"Locked", "NOT_LOCKED": b"Not locked",
        "NO_PIN": b"No PIN given", "FORBIDDEN": b"Forbidden", "FALSE": b"False",
        "LINE_TOO_LONG": b"Line passed to IPC too long", "TOO_MUCH_DATA": b"Too much data for IPC layer",
        "UNKNOWN_CMD": b"Unknown IPC command", "PARAMETER": b"IPC parameter error",
    }  # fmt: skip
    assert library.gpg_strsource(CardFault("GENERAL", "").number) == b"SCD"


def test_what_gpg_agent_asks_first():
    answers = said(Shelf(), "GETINFO socket_name", "OPTION event-signal=12", "SERIALNO", "GETINFO version")
    assert answers[0].startswith(fault("NO_DATA"))
    assert answers[1:] == [b"OK", b"S SERIALNO " + CARDS[0].serial.encode(), b"OK", b"D 2.2.40", b"OK"]


def test_a_card_tells_what_it_is():
    answers = said(Shelf(), "LEARN --force")
    assert answers[-1] == b"OK"
    lines = {each.split(b" ")[1]: each for each in answers[:-1]}
    assert lines[b"SERIALNO"] == b"S SERIALNO D276000124010304FF48ABABABAB0000"
    assert lines[b"DISP-NAME"] == b"S DISP-NAME Ada"
    assert lines[b"LOGIN-DATA"] == b"S LOGIN-DATA ada@example.org"
    pairs = [each.split(b" ")[3:] for each in answers if b"KEYPAIRINFO" in each]
    assert pairs == [
        [b"OPENPGP.1", b"sc", b"1700000001", b"ed25519"],
        [b"OPENPGP.2", b"e", b"1700000002", b"cv25519"],
        [b"OPENPGP.3", b"a", b"1700000003", b"ed25519"],
    ]
    assert [each for each in answers if b"KEY-FPR 3 " in each] == [b"S KEY-FPR 3 " + b"%040X" % 3]


def test_learn_asks_whether_the_card_is_known_and_stops_where_it_is():
    answers = said(Shelf(), "LEARN", "END")
    assert b"INQUIRE KNOWNCARDP " + CARDS[0].serial.encode() in answers
    assert answers[-1] == b"OK"
    answers = said(Shelf(), "LEARN", "CAN", "NOP")
    assert answers[-2].startswith(fault("CANCELED"))
    assert answers[-1] == b"OK"


def test_learning_looks_at_the_device_and_using_a_known_key_does_not():
    shelf = Shelf()
    said(shelf, "SERIALNO", "READKEY OPENPGP.1", f"KEYINFO {CARDS[0].keys[1].grip}", "KEYINFO --list")
    assert shelf.fresh == 0
    said(shelf, "LEARN --force")
    assert shelf.fresh == 1


def test_several_cards_are_there_and_one_is_demanded():
    second = CARDS[1].serial
    asked = ("GETINFO card_list", f"SERIALNO --demand={second}", "GETATTR $ENCRKEYID", "GETATTR $AUTHKEYID")
    answers = said(Shelf(), *asked)
    serials = [each.split()[-1].decode() for each in answers if each.startswith(b"S SERIALNO")]
    assert serials == [CARDS[0].serial, second, second]
    assert b"S $ENCRKEYID OPENPGP.2" in answers
    assert answers[-1].startswith(fault("NO_DATA"))
    answers = said(Shelf(), f"SWITCHCARD {second}", "READKEY OPENPGP.2", "SERIALNO --demand=D2760001")
    assert b"NIST P-256" in data_of(answers)
    assert answers[-1].startswith(fault("CARD_NOT_PRESENT"))


def test_public_keys_are_s_expressions():
    answers = said(Shelf(), "READKEY --info -- OPENPGP.1")
    point = device_form(SIGN.public_key())
    assert data_of(answers) == (
        b"(10:public-key(3:ecc(5:curve7:Ed25519)(5:flags5:eddsa)(1:q33:\x40" + point + b")))"
    )
    assert answers[0].startswith(b"S KEYPAIRINFO " + CARDS[0].keys[0].grip.encode())
    assert said(Shelf(), "READKEY --info-only OPENPGP.1")[1:] == [b"OK"]


def test_keys_are_listed_by_use():
    for use, references in (("", "1232"), ("=sign", "1"), ("=encr", "22"), ("=auth", "3")):
        answers = said(Shelf(), f"KEYINFO --list{use}")
        assert [each.split()[5].decode()[-1] for each in answers[:-1]] == list(references)
    assert said(Shelf(), f"KEYINFO --data {CARDS[0].keys[0].grip}")[0].endswith(b"OPENPGP.1 sc%0A")
    assert said(Shelf(), "KEYINFO " + "0" * 40)[0].startswith(fault("NOT_FOUND"))


@pytest.mark.parametrize("name", DIGESTS)
@pytest.mark.parametrize("named", [True, False])
def test_the_digest_is_what_is_signed(name, named):
    prefix, size = DIGESTS[name]
    digest = bytes(range(size))
    data = (prefix if named else b"") + digest
    answers = said(Shelf(), f"SETDATA {data.hex()}", f"PKSIGN --hash={name} {CARDS[0].keys[0].grip}")
    SIGN.public_key().verify(data_of(answers), digest)


def test_to_authenticate_a_whole_message_is_signed():
    message = bytes(range(256)) * 2
    whole = DIGESTS["sha1"][0] + message
    lines = [f"SETDATA {whole[:300].hex()}", f"SETDATA --append {whole[300:].hex()}", "PKAUTH OPENPGP.3"]
    LOGIN.public_key().verify(data_of(said(Shelf(), *lines)), message)


def test_secrets_are_agreed_with_both_curves():
    other = X25519PrivateKey.generate()
    expected = b"\x40" + DECRYPT.exchange(other.public_key())
    share = other.public_key().public_bytes_raw()
    for data in (b"\x40" + share, share):
        answers = said(Shelf(), f"SETDATA {data.hex()}", "PKDECRYPT OPENPGP.2")
        assert answers[1] == b"S PADDING 0"
        assert data_of(answers) == expected
    peer = ec.generate_private_key(ec.SECP256R1())
    numbers = peer.public_key().public_numbers()
    point = b"\4" + numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
    answers = said(Shelf(), f"SETDATA {point.hex()}", f"PKDECRYPT {CARDS[1].keys[0].grip}")
    assert data_of(answers) == b"\x41" + P256.exchange(ec.ECDH(), peer.public_key())


def test_a_share_that_lost_zeros_as_a_number_is_padded():
    for number in range(2000):
        other = X25519PrivateKey.from_private_bytes(number.to_bytes(32, "big"))
        share = other.public_key().public_bytes_raw()
        if not share[0]:
            break
    answers = said(Shelf(), f"SETDATA {share.lstrip(bytes(1)).hex()}", "PKDECRYPT OPENPGP.2")
    assert data_of(answers) == b"\x40" + DECRYPT.exchange(other.public_key())


DIGEST = "SETDATA " + "00" * 20
POINT = "SETDATA 40" + "09" * 32
WRONG = [
    ([DIGEST, f"PKSIGN {CARDS[1].keys[0].grip}"], "WRONG_KEY_USAGE", "signs no ready digests by ECDSA"),
    ([DIGEST, "PKAUTH OPENPGP.2"], "WRONG_KEY_USAGE", "Ed25519 keys sign"),
    ([POINT, "PKDECRYPT OPENPGP.1"], "WRONG_KEY_USAGE", "no key for decryption"),
    (["PKSIGN OPENPGP.1"], "NO_DATA", "SETDATA comes first"),
    ([DIGEST, "PKSIGN --hash=sha256 OPENPGP.1"], "INV_VALUE", "20 bytes of data are no sha256 digest"),
    ([DIGEST, "PKSIGN --hash=md5 OPENPGP.1"], "PARAMETER", "accepted: sha1"),
    ([DIGEST, "PKSIGN OPENPGP.7"], "NO_SECKEY", "'OPENPGP.7'"),
    ([DIGEST, "PKSIGN " + "0" * 40], "NO_SECKEY", "no card has a key"),
    ([DIGEST, "PKSIGN"], "NO_SECKEY", "no card has a key ''"),
    (["SETDATA " + "00" * 34, "PKDECRYPT OPENPGP.2"], "INV_VALUE", "34 bytes of data are no point of CURVE"),
    (["SETDATA 04" + "01" * 64, f"PKDECRYPT {CARDS[1].keys[0].grip}"], "INV_VALUE", "no point of SECP256R1"),
    (["SETDATA"], "PARAMETER", "0 characters"),
    (["SETDATA 0"], "PARAMETER", "1 characters"),
    (["SETDATA xy"], "PARAMETER", "no data in hex digits"),
    (["PKAUTH --challenge-response OPENPGP.3"], "NOT_SUPPORTED", "--challenge-response"),
    (["READKEY --format=ssh OPENPGP.1"], "PARAMETER", "--format; accepted: --info"),
    (["KEYINFO --list=all"], "PARAMETER", "accepted: sign, encr, auth"),
    (["SERIALNO piv"], "NOT_SUPPORTED", "'piv'; accepted: openpgp"),
    (["SWITCHAPP piv"], "NOT_SUPPORTED", "accepted: openpgp"),
    (["GETATTR UIF"], "INV_NAME", "accepted: SERIALNO"),
    (["GETINFO weather"], "PARAMETER", "accepted: version"),
    (["GETINFO cmd_has_option PKSIGN x"], "FALSE", "no"),
    (["READCERT OPENPGP.3"], "NOT_FOUND", "no X.509"),
    (["GENKEY 1"], "NOT_SUPPORTED", "'hem gpg setup' makes them"),
    (["WRITEKEY OPENPGP.1"], "NOT_SUPPORTED", "'hem keys'"),
    (["PASSWD 1"], "NOT_SUPPORTED", "'hem keys'"),
    (["DEVINFO --watch"], "NOT_SUPPORTED", "does not tell"),
    (["UNLOCK"], "NOT_LOCKED", "not locked"),
    (["END"], "UNKNOWN_CMD", "'END'"),
    (["\x1b[31m"], "UNKNOWN_CMD", "\\x1b"),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "name", "text"), WRONG, ids=[" ".join(each[0])[-40:] for each in WRONG])
def test_what_cannot_be_done_is_refused_in_words(lines, name, text):
    answers = said(Shelf(), *lines, "NOP")
    assert answers[-2].startswith(fault(name))
    assert text in answers[-2].decode()
    assert answers[-1] == b"OK"


def test_data_is_collected_up_to_its_limit():
    part = "SETDATA --append " + "00" * 450
    parts = MOST_DATA // 450
    answers = said(Shelf(), *[part] * parts, part)
    assert answers[:-1] == [b"OK"] * parts
    assert answers[-1].startswith(fault("TOO_LARGE"))


def test_no_cards_are_told():
    answers = said(Shelf([]), "SERIALNO", "GETINFO status", "KEYINFO --list", "PKSIGN OPENPGP.1")
    assert answers[0].startswith(fault("CARD_NOT_PRESENT"))
    assert "hem gpg setup" in answers[0].decode()
    assert answers[1:4] == [b"D r", b"OK", b"OK"]
    assert answers[4].startswith(fault("CARD_NOT_PRESENT"))


def test_what_a_device_has_against_it_is_told():
    shelf = Shelf()
    shelf.trouble = HemUnreachable("office: cannot be reached")
    answers = said(shelf, DIGEST, "PKSIGN OPENPGP.1")
    assert answers[1] == fault("CARD_NOT_PRESENT") + b"office: cannot be reached"
    shelf.trouble = RuntimeError("a fault of ours\nof two lines")
    answers = said(shelf, DIGEST, "PKSIGN OPENPGP.1")
    assert answers[1] == fault("GENERAL") + b"a fault of ours\\nof two lines"
    shelf.trouble = OSError(2, "No such file", "/passphrase")
    answers = said(shelf, DIGEST, "PKSIGN OPENPGP.1", "NOP")
    assert answers[1].startswith(fault("GENERAL"))
    assert answers[2] == b"OK"
    assert fault_of(KeyError()).text == "KeyError"


def test_a_pin_is_asked_for_once():
    shelf = Shelf(pin=PIN)
    pin = b"D " + escaped(PIN.encode() + bytes(90 - len(PIN.encode()))) + b"\nEND\n"
    answers = said(shelf, DIGEST, "PKSIGN OPENPGP.1", pin, "PKSIGN OPENPGP.1", "RESET")
    asked = [each for each in answers if each.startswith(b"INQUIRE")]
    prompt = b"Passphrase of the HEM 'office'%0ACard: FF48 ABABABAB%0AName: Ada <ada@example.org>"
    assert asked == [b"INQUIRE NEEDPIN ||" + prompt]
    assert answers[-1] == b"OK"
    assert not shelf.open  # a reset forgets it


def test_a_login_that_is_gone_by_the_time_it_is_used_is_asked_for():
    shelf = Shelf(pin=PIN)
    shelf.open = True  # so it seems: an agent that is locked meanwhile

    def sign(card, key, data):
        if not shelf.proven:
            shelf.open = False
            raise HemLoginRequired("office: a login is needed")
        return SIGN.sign(data)

    def log_in(card, key, pin):
        shelf.proven, shelf.open = pin == PIN, True

    shelf.proven, shelf.sign, shelf.log_in = False, sign, log_in
    answers = said(shelf, DIGEST, "PKSIGN OPENPGP.1", b"D " + escaped(PIN.encode()) + b"\nEND\n")
    assert answers[1].startswith(b"INQUIRE NEEDPIN")
    assert len(data_of(answers)) == 64
    shelf.proven = False
    shelf.needs_pin = lambda _: False  # nobody is to be asked
    answers = said(shelf, DIGEST, "PKSIGN OPENPGP.1")
    assert answers[1] == fault("NO_PIN") + b"office: a login is needed"
    assert fault_of(HemApprovalDenied("no")).name == "CANCELED"


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        (b"CAN\n", "CANCELED"),
        (b"D wrong\nEND\n", "BAD_PIN"),
        (b"END\n", "NO_PIN"),
        (b"D %00%00\nEND\n", "NO_PIN"),
        (b"D \xff\nEND\n", "INV_RESPONSE"),
        (b"SERIALNO\n", "INV_RESPONSE"),
        ((b"D " + b"x" * 900 + b"\n") * 5 + b"END\n", "TOO_MUCH_DATA"),
        (b"D " + b"x" * 2000 + b"\nEND\n", "LINE_TOO_LONG"),
    ],
    ids=["cancelled", "wrong", "none", "empty", "no text", "another line", "too much", "too long"],
)
def test_a_pin_that_is_none_is_an_error(answer, name):
    answers = said(Shelf(pin=PIN), DIGEST, "PKSIGN OPENPGP.1", answer)
    assert answers[2].startswith(fault(name))
    assert b"wrong" not in answers[2]


def test_the_other_side_may_go_while_it_is_asked():
    assert said(Shelf(pin=PIN), DIGEST, "PKSIGN OPENPGP.1")[-1].startswith(b"INQUIRE NEEDPIN")


def test_lines_of_a_thousand_bytes_are_taken_and_longer_ones_refused_whole():
    longest = b"NOP " + b"x" * (LONGEST - 4)
    taken = (longest + b"\n", longest + b"\r\n")
    answers = said(Shelf(), *taken, longest + b"x\n", b"x" * 100_000 + b"\n", "NOP")
    assert answers[:2] == [b"OK", b"OK"]
    assert all(each.startswith(fault("LINE_TOO_LONG")) for each in answers[2:4])
    assert answers[4:] == [b"OK"]


def test_a_line_without_an_end_is_none():
    shelf = Shelf()
    assert said(shelf, b"SERIALNO") in ([], [b"S SERIALNO " + CARDS[0].serial.encode(), b"OK"])
    assert said(shelf, b"x" * 5000) == []


@given(st.binary(max_size=4000))
def test_garbage_is_answered_and_ends(data):
    for answer in said(Shelf(pin=PIN), data):
        assert len(answer) <= LONGEST
        assert answer[:2] in (b"OK", b"ER", b"S ", b"D ", b"IN")


ARGUMENTS = st.lists(
    st.sampled_from([
        "--force", "--demand=", "--list=auth", "--", "--append", "--info", "--hash=sha256", "--data", "é",
        "OPENPGP.1", "OPENPGP.2", "00" * 20, CARDS[0].keys[1].grip, CARDS[1].serial, "version", "socket_name",
        "KEY-FPR", "%00", "\t", "40" + "09" * 32, "00" * 32,
    ]),
    max_size=4,
)  # fmt: skip
LINES = st.lists(
    st.builds(
        lambda name, arguments: " ".join([name, *arguments]),
        st.sampled_from([*sorted(COMMANDS), "END", "CAN", "D abc", "#", ""]),
        ARGUMENTS,
    ),
    max_size=12,
)


@given(LINES)
def test_any_commands_are_answered_one_by_one(lines):
    shelf = Shelf()
    wanted = [each for each in lines if each.strip(" \t") and not each.startswith("#")]
    stops = [i for i, each in enumerate(wanted) if each.partition(" ")[0] in ("BYE", "KILLSCD")]
    wanted = wanted[: stops[0] + 1] if stops else wanted
    answers = said(shelf, *lines)
    asked = sum(each.startswith(b"INQUIRE") for each in answers)
    ended = sum(each.startswith((b"OK", b"ERR")) for each in answers)
    assert len(wanted) - 2 * asked <= ended <= len(wanted)


@given(st.binary(max_size=300))
def test_data_comes_back_as_it_went(data):
    assert unescaped(escaped(data)) == data
    assert not set(escaped(data)) & set(b"\r\n")


@given(st.text(max_size=50))
def test_values_of_status_lines_have_no_blanks(text):
    value = plus_escaped(text)
    assert value.isascii()
    assert all("!" <= each <= "~" for each in value)


@pytest.fixture
def running():
    """A daemon whose main conversation goes by pipes: its socket's path, and the folder."""
    folder = Path(os.environ["XDG_RUNTIME_DIR"], "scd")
    folder.mkdir(mode=0o700, exist_ok=True)
    lines, feed = os.pipe()
    out, answers = os.pipe()
    shelf = Shelf()
    with open(lines, "rb") as reader, open(answers, "wb") as writer, open(out, "rb") as heard:  # noqa: PTH123
        thread = threading.Thread(
            target=serve, args=(shelf, reader, writer), kwargs={"version": lambda: "1", "folder": folder}
        )
        thread.start()
        assert heard.readline().startswith(b"OK")
        os.write(feed, b"GETINFO socket_name\n")
        path = heard.readline()[2:].strip().decode()
        yield Path(path), shelf
        os.close(feed)
        thread.join(20)
        assert not thread.is_alive()
    assert list(folder.iterdir()) == []


def test_further_conversations_go_by_a_socket(running):
    path, _ = running
    files = []
    for _ in range(3):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(20)
        connection.connect(str(path))
        files.append((connection, connection.makefile("rwb")))
    for _, file in files:
        assert file.readline().startswith(b"OK")
    first, second = files[0][1], files[1][1]

    def ask(file, line):
        file.write(line + b"\n")
        file.flush()
        return file.readline()

    # Each has its own card and data; one lock is everybody's.
    assert CARDS[1].serial.encode() in ask(first, b"SERIALNO --demand=" + CARDS[1].serial.encode())
    assert first.readline() == b"OK\n"
    assert CARDS[0].serial.encode() in ask(second, b"SERIALNO")
    assert second.readline() == b"OK\n"
    assert ask(first, b"LOCK") == b"OK\n"
    assert ask(second, b"LOCK").startswith(fault("LOCKED"))
    ask(second, DIGEST.encode())
    assert ask(second, b"PKSIGN OPENPGP.1").startswith(fault("LOCKED"))
    assert ask(second, b"UNLOCK").startswith(fault("LOCKED"))
    assert ask(first, b"UNLOCK") == b"OK\n"
    assert ask(second, b"LOCK") == b"OK\n"
    for connection, file in files:
        file.close()
        connection.close()


def test_as_many_programs_as_a_busy_machine_runs_are_answered_at_once(running):
    path, _ = running
    connections = []
    for _ in range(200):
        connections.append(socket.socket(socket.AF_UNIX))
        connections[-1].settimeout(20)
        connections[-1].connect(str(path))
    assert {each.recv(100)[:2] for each in connections} == {b"OK"}
    for each in connections:
        each.close()


def test_a_socket_of_a_process_that_is_gone_is_removed(running):
    path, _ = running
    gone = subprocess.Popen(["true"])
    gone.wait()
    left = path.with_name(f"scdaemon-{gone.pid}.sock")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(left))
    code = (
        "import io, sys; from pathlib import Path\n"
        "from hem_provider.adapters.scdaemon import serve\n"
        "serve(None, io.BytesIO(), io.BytesIO(), version=str, folder=Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", code, str(path.parent)], check=True, timeout=60)
    assert not left.exists()
    assert path.exists()


def test_without_room_for_a_socket_there_is_none(tmp_path):
    deep = tmp_path / ("x" * 120)
    deep.mkdir()
    assert said(Shelf(), "GETINFO socket_name", folder=deep)[0].startswith(fault("NO_DATA"))


@pytest.mark.parametrize("name", ["sha256", "sha384", "sha512"])
def test_no_digest_of_gpg_can_be_signed_by_ecdsa(name, hem):
    """Why keys of that kind sign nothing here: whatever is handed over, the device hashes it, so that its
    signature is one of the digest's digest; none is of a digest that was handed over."""
    key = hem.keys.create("SECP256R1", label="pen", usage={"sign"})
    digest = hashlib.new(name, b"what gpg signs").digest()
    algorithm = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}[name]
    for each in ("SHA256WithECDSA", "SHA384WithECDSA", "SHA512WithECDSA"):
        signature = hem.sign(key.kid, digest, each)
        with pytest.raises(InvalidSignature):
            key.public_key().verify(signature, digest, ec.ECDSA(Prehashed(algorithm)))
    natural = hem.sign(key.kid, digest, f"{name.upper()}WithECDSA")
    key.public_key().verify(natural, digest, ec.ECDSA(algorithm))
