"""age files: every kind is opened in the fewest uses of private keys; what is damaged is refused, and what
is released before is the beginning of what was encrypted."""

from __future__ import annotations

import io
import random

import pytest
from adapters.agekeys import LocalHalf, halves_for, kind_named, new_half
from cryptography.hazmat.primitives.asymmetric import x25519
from hypothesis import given
from hypothesis import strategies as st

from hem_provider.adapters.age import bech32, header, recipients
from hem_provider.adapters.age.armor import armored
from hem_provider.adapters.age.errors import DamagedFile, NotForThisKey, TooManyTries
from hem_provider.adapters.age.files import EncryptedFile, encrypt
from hem_provider.adapters.age.header import Stanza, make_header
from hem_provider.adapters.age.kinds import KINDS
from hem_provider.adapters.age.opening import MOST_USES, Finder
from hem_provider.adapters.age.stream import CHUNK, PIECE, decrypted, encrypted, sealed_size
from hem_provider.errors import HemConfigError, HemKeyNotFound

KEY = bytes(range(16))
FOREIGN = Stanza("example.com/enigma", ("a", "b"), b"x" * 48)


def read_from(data):
    return io.BytesIO(data).read


def parsed(data):
    return EncryptedFile(io.BufferedReader(io.BytesIO(data)))


def opened(data, halves):
    """The whole plaintext."""
    file = parsed(data)
    found = Finder(file.header).look(halves)
    if found is None:
        raise NotForThisKey
    return b"".join(file.plaintext(found.file_key))


def encrypted_for(chosen, data=b"data", **options):
    return b"".join(encrypt(read_from(data), chosen, **options))


def uses(halves):
    return sum(each.uses for each in halves)


def released(payload):
    """What comes out of a payload, and what is said at last."""
    parts = []
    try:
        for piece in decrypted(KEY, read_from(payload)):
            parts.append(piece)
    except DamagedFile as error:
        return b"".join(parts), str(error)
    return b"".join(parts), None


# --- recipients and keys ---


@pytest.mark.parametrize("armor", [False, True])
@pytest.mark.parametrize("kind", KINDS, ids=lambda each: each.stanza)
def test_every_kind_is_opened_by_its_key_in_the_fewest_uses(kind, armor):
    halves, recipient = halves_for(kind)
    data = encrypted_for([recipient], armor=armor)
    assert opened(data, halves) == b"data"
    assert uses(halves) == 1 + kind.hybrid
    assert recipients.parse(str(recipient)) == recipient
    assert data.startswith(b"-----BEGIN" if armor else b"age-encryption.org/v1\n")


@pytest.mark.parametrize("kind", KINDS, ids=lambda each: each.stanza)
def test_other_keys_do_not_open_it_and_those_with_a_tag_are_not_asked(kind):
    _, recipient = halves_for(kind)
    others = [new_half(each) for each in ("CURVE25519", "SECP256R1", "MLKEM768")]
    assert Finder(parsed(encrypted_for([recipient])).header).look(others) is None
    assert uses(others) == (0 if kind.tagged else 1 + kind.hybrid)


def test_a_key_among_several_is_found_and_nothing_is_asked_twice():
    kind = kind_named("X25519")
    halves, recipient = halves_for(kind)
    others = [new_half() for _ in range(3)]
    file = parsed(encrypted_for([halves_for(kind)[1], recipient]))
    finder = Finder(file.header)
    assert finder.look(others) is None
    assert uses(others) == 6
    found = finder.look([*others, *halves])
    assert found.halves == tuple(halves)
    assert (uses(others), uses(halves), found.uses) == (6, 2, 8)


def test_a_hybrid_of_several_keys_is_found():
    halves, recipient = halves_for(kind_named("mlkem768x25519"))
    many = [new_half("MLKEM768"), new_half(), *halves, new_half("MLKEM768")]
    data = encrypted_for([recipient])
    assert opened(data, many) == b"data"
    assert uses(many) <= 5
    assert opened(data, list(reversed(many))) == b"data"
    assert Finder(parsed(data).header).look(halves[:1]) is None  # half of it opens nothing, nor is it used
    assert Finder(parsed(data).header).look(halves[1:]) is None


def test_a_key_that_is_gone_counts_as_none():
    class Gone(LocalHalf):
        def agree(self, _):
            raise HemKeyNotFound("gone")

    halves, recipient = halves_for(kind_named("X25519"))
    data = encrypted_for([recipient])
    assert opened(data, [Gone(x25519.X25519PrivateKey.generate()), *halves]) == b"data"


def test_a_tag_tells_the_device_before_any_key_is_used():
    halves, recipient = halves_for(kind_named("p256tag"))
    finder = Finder(parsed(encrypted_for([recipient])).header)
    assert finder.is_told(halves)
    assert not finder.is_told([new_half("SECP256R1"), new_half()])
    assert uses(halves) == 0
    assert finder.told() == "for 1 p256tag"


def file_of(stanzas, data=b"data"):
    return make_header(stanzas, KEY) + b"".join(encrypted(KEY, read_from(data)))


def test_among_ten_thousand_foreign_stanzas_ours_is_found_in_one_use():
    halves, recipient = halves_for(kind_named("X25519"))
    data = file_of([*[FOREIGN] * 10_000, recipient.wrap(KEY)])
    assert opened(data, halves) == b"data"
    assert uses(halves) == 1


def test_a_stanza_that_is_repeated_ten_thousand_times_is_tried_once():
    _, recipient = halves_for(kind_named("X25519"))
    other = new_half()
    header = parsed(file_of([recipient.wrap(KEY)] * 10_000)).header
    assert Finder(header).look([other]) is None
    assert other.uses == 1


def test_tries_are_bounded(monkeypatch):
    _, recipient = halves_for(kind_named("X25519"))
    other = new_half()
    header = parsed(file_of([recipient.wrap(KEY) for _ in range(MOST_USES + 2)])).header
    with pytest.raises(TooManyTries, match=f"none of {MOST_USES} tries .* say which key"):
        Finder(header).look([other])
    assert other.uses == MOST_USES


@pytest.mark.parametrize(
    ("stanzas", "told"),
    [
        ([FOREIGN], "keys of other kinds than a HEM has: example.com/enigma"),
        ([Stanza("scrypt", ("c2FsdHNhbHRzYWx0c2FsdA", "18"), bytes(32))], "'age --decrypt' opens it"),
    ],
)
def test_a_file_that_no_key_opens_says_so_before_any_is_used(stanzas, told):
    with pytest.raises(NotForThisKey, match=told):
        Finder(parsed(file_of(stanzas)).header)


@pytest.mark.parametrize(
    ("stanza", "told"),
    [
        (Stanza("X25519", (), bytes(32)), "with 0 arguments"),
        (Stanza("X25519", ("AAAA",), bytes(32)), "argument 1|argument 0|not 32 bytes"),
        (Stanza("p256tag", ("AAAAAA", "AAAA"), bytes(32)), "not 65 bytes"),
        (Stanza("X25519", ("A" * 43,), bytes(31)), "31 bytes, not 32"),
        (Stanza("X25519", ("A" * 43,), bytes(32)), "gives no secret"),  # a point of small order
    ],
)
def test_a_stanza_that_is_none_is_refused(stanza, told):
    with pytest.raises(DamagedFile, match=told):
        Finder(parsed(file_of([stanza])).header).look([new_half()])


def test_a_share_that_is_no_point_of_the_curve_is_refused():
    halves, recipient = halves_for(kind_named("p256tag"))
    good = recipient.wrap(KEY)
    bad = Stanza(good.kind, (good.arguments[0], good.arguments[1][:-3] + "AAA"), good.body)
    with pytest.raises(DamagedFile, match="no point of the curve"):
        Finder(parsed(file_of([bad])).header).look(halves)


# --- recipients as text ---


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX", "a secret key"),
        ("ssh-ed25519 AAAA", "begins with age1"),
        ("", "begins with age1"),
        ("age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwk", "checksum"),
        (bech32.encode("age1yubikey", bytes(33)), "of a plugin, or unknown; known are age1tag1"),
        (bech32.encode("AGE", b"\x09" + bytes(31)), "unknown"),
        (bech32.encode("age", bytes(31)), "31 bytes; a recipient age1… has 32"),
        (bech32.encode("age", bytes(32)), "no public key"),
        (bech32.encode("age1tag", b"\2" + b"\xff" * 32), "no public key"),
        (bech32.encode("age1pq", b"\xff" * 1216), "no public key"),
        (bech32.encode("age1tagpq", bytes(1249)), "no public key"),
    ],
)
def test_a_recipient_that_is_none_is_told_without_its_text(text, told):
    with pytest.raises(ValueError, match=told) as refused:
        recipients.parse(text)
    assert (text[20:] or text or "nothing") not in str(refused.value)


#: https://age-encryption.org/v1, "The X25519 recipient type" and "The tagged recipient types".
SPECIFIED = (
    "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj",
    "age1tag1qt8lw0ual6avlwmwatk888yqnmdamm7xfd0wak53ut6elz5c4swx2yqdj4e",
)


def test_recipients_of_the_specification_are_read():
    assert [str(recipients.parse(each)) for each in SPECIFIED] == list(SPECIFIED)


def test_a_file_of_recipients_is_read_line_by_line():
    text = f"# ours\n\n{SPECIFIED[0]}\r\n  {SPECIFIED[1]}  \n"
    assert [str(each) for each in recipients.parse_lines(text, "f")] == list(SPECIFIED)
    with pytest.raises(HemConfigError, match="f, line 2: a recipient begins with age1"):
        recipients.parse_lines(f"{SPECIFIED[0]}\nssh-rsa AAAA\n", "f")
    with pytest.raises(HemConfigError, match="no recipient is in it"):
        recipients.parse_lines("# none\n", "f")
    for hidden in "\v\f\x1c\x1d\x1e\x85\u2028\u2029":  # no editor ends a line there
        text = f"# mine{hidden}{SPECIFIED[1]}\n{SPECIFIED[0]}\r\n"
        assert [str(each) for each in recipients.parse_lines(text, "f")] == [SPECIFIED[0]]


def test_recipients_that_go_together():
    strong = halves_for(kind_named("mlkem768x25519"))[1], halves_for(kind_named("mlkem768p256tag"))[1]
    weak = halves_for(kind_named("X25519"))[1], halves_for(kind_named("p256tag"))[1]
    assert recipients.check_together([*strong, strong[0]]) == list(strong)
    assert recipients.check_together(weak) == list(weak)
    with pytest.raises(ValueError, match="not safe from quantum computers"):
        recipients.check_together([*strong, weak[0]])
    with pytest.raises(ValueError, match="needs a recipient"):
        recipients.check_together([])


def test_without_ml_kem_a_hybrid_says_what_it_needs(monkeypatch):
    _, recipient = halves_for(kind_named("mlkem768x25519"))
    monkeypatch.setattr(recipients, "native_class", lambda *_: None)
    with pytest.raises(HemConfigError, match="needs cryptography 47"):
        recipient.wrap(KEY)
    assert recipients.parse(str(recipient)) == recipient


# --- headers ---


@given(
    st.lists(
        st.builds(
            Stanza,
            st.text("!~aX5-", min_size=1, max_size=9),
            st.lists(st.text("!~aX5->", min_size=1, max_size=9), max_size=3).map(tuple),
            st.binary(max_size=150),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_every_header_comes_back(stanzas):
    found = parsed(make_header(stanzas, KEY) + b"rest").header
    assert found.stanzas == tuple(stanzas)
    found.check(KEY)
    with pytest.raises(DamagedFile, match="MAC"):
        found.check(bytes(16))


def test_a_header_is_bounded_in_stanzas_and_bytes(monkeypatch):
    with pytest.raises(DamagedFile, match="more than 20000 recipients"):
        parsed(make_header([Stanza("a", (), b"")] * 20_001, KEY))
    assert len(parsed(make_header([Stanza("a", (), b"")] * 20_000, KEY)).header.stanzas) == 20_000
    monkeypatch.setattr(header, "MOST_BYTES", 1000)
    with pytest.raises(DamagedFile, match="a header of more than 1000 bytes"):
        parsed(make_header([FOREIGN] * 20, KEY))


@given(st.binary(max_size=300))
def test_any_bytes_are_no_file(data):
    for start in (
        b"",
        b"age-encryption.org/v1\n",
        b"age-encryption.org/v1\n-> X25519 ",
        b" \n",
        b"-----BEGIN",
    ):
        try:
            parsed(start + data)
        except DamagedFile:
            continue
        raise AssertionError("a file that nobody encrypted was read")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "no file that age or hem encrypted"),
        (b"hello\n", "no file that age or hem encrypted"),
        (b"age-encryption.org/v2\n", "a version of age's format that is not known"),
        (b"age-encryption.org/v1\n", "ends in its header"),
        (b"age-encryption.org/v1", "no file that age or hem encrypted"),
        (b"x" * 10_000_000, "no file that age or hem encrypted"),
        (b"\n" * 10_000, "no file that age or hem encrypted"),
    ],
)
def test_what_is_no_age_file_is_told(data, told):
    with pytest.raises(DamagedFile, match=told):
        parsed(data)


@given(st.data())
def test_a_file_that_was_changed_anywhere_gives_nothing(data):
    kind = data.draw(st.sampled_from(KINDS))
    halves, recipient = _MADE.setdefault(kind.stanza, halves_for(kind))
    whole = bytearray(_FILES.setdefault(kind.stanza, encrypted_for([recipient], b"a secret")))
    place = data.draw(st.integers(0, len(whole) - 1))
    match data.draw(st.sampled_from(["change", "cut", "add", "repeat"])):
        case "change":
            whole[place] ^= data.draw(st.integers(1, 255))
        case "cut":
            del whole[place : place + data.draw(st.integers(1, 100))]
        case "add":
            whole[place:place] = data.draw(st.binary(min_size=1, max_size=100))
        case "repeat":
            whole[place:place] = whole[: place + 1]
    assert bytes(whole) != _FILES[kind.stanza]
    with pytest.raises((DamagedFile, NotForThisKey)):
        opened(bytes(whole), halves)


#: By the stanza's name, made once.
_MADE: dict = {}
_FILES: dict = {}


# --- payloads ---

SIZES = sorted(
    {
        max(0, edge + step)
        for edge in (0, CHUNK, 2 * CHUNK, PIECE, PIECE + CHUNK, 2 * PIECE)
        for step in (-1, 0, 1)
    }
)


def clear_of(size):
    return random.Random(size).randbytes(size)  # noqa: S311


@pytest.mark.parametrize("size", SIZES)
def test_every_size_comes_back(size):
    payload = b"".join(encrypted(KEY, read_from(clear_of(size))))
    assert len(payload) == sealed_size(size)
    assert released(payload) == (clear_of(size), None)


def test_a_file_that_is_cut_at_any_boundary_ends_with_an_error_and_its_beginning():
    size = PIECE + 3 * CHUNK + 100
    clear, sealed = clear_of(size), CHUNK + 16
    payload = b"".join(encrypted(KEY, read_from(clear)))
    edges = [16 + sealed * number for number in range(len(payload) // sealed + 1)]
    places = {edge + step for edge in edges for step in (-16, -1, 0, 1, 16, 17)} | {
        0,
        1,
        15,
        len(payload) - 1,
    }
    for place in sorted(each for each in places if 0 <= each < len(payload)):
        found, told = released(payload[:place])
        assert told is not None, place
        whole = max(0, (place - 16) // sealed)
        assert found == clear[: whole * CHUNK], place
        assert "cut" in told or "empty" in told


@pytest.mark.parametrize("size", [0, 1, CHUNK, CHUNK + 1, PIECE])
@pytest.mark.parametrize("more", [b"x", bytes(16), bytes(CHUNK + 16)], ids=len)
def test_a_file_with_something_after_its_end_is_refused(size, more):
    found, told = released(b"".join(encrypted(KEY, read_from(clear_of(size)))) + more)
    assert told is not None
    assert clear_of(size).startswith(found)


def test_a_payload_that_is_cut_anywhere_is_refused():
    payload = b"".join(encrypted(KEY, read_from(b"a short one")))
    for place in range(len(payload)):
        assert released(payload[:place])[0] == b""
        assert released(payload[:place])[1] is not None


@given(st.data())
def test_one_changed_bit_releases_no_more_than_what_came_before(data):
    size = data.draw(st.sampled_from([1, 100, CHUNK, CHUNK + 1, 3 * CHUNK]))
    payload = bytearray(b"".join(encrypted(KEY, read_from(clear_of(size)))))
    place = data.draw(st.integers(0, len(payload) - 1))
    payload[place] ^= 1 << data.draw(st.integers(0, 7))
    found, told = released(bytes(payload))
    assert told is not None
    assert found == clear_of(size)[: max(0, place - 16) // (CHUNK + 16) * CHUNK]


def test_chunks_that_change_places_are_noticed():
    sealed = CHUNK + 16
    payload = b"".join(encrypted(KEY, read_from(clear_of(4 * CHUNK))))
    chunks = [payload[16 + sealed * n : 16 + sealed * (n + 1)] for n in range(4)]
    for order in ((1, 0, 2, 3), (0, 2, 1, 3), (0, 1, 3), (0, 1, 1, 2, 3), (3,)):
        found, told = released(payload[:16] + b"".join(chunks[n] for n in order))
        assert told is not None
        assert clear_of(4 * CHUNK).startswith(found)


# --- armor ---


@given(st.binary(max_size=300), st.integers(1, 100))
def test_armor_does_not_depend_on_how_its_bytes_come(data, size):
    whole = b"".join(armored([data]))
    assert b"".join(armored(data[start : start + size] for start in range(0, len(data), size))) == whole


@pytest.mark.parametrize("size", [0, 1, PIECE, 3 * PIECE + 1])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=repr)
def test_large_armored_files_come_back(size, end):
    halves, recipient = halves_for(kind_named("X25519"))
    text = encrypted_for([recipient], clear_of(size), armor=True).replace(b"\n", end)
    assert opened(b"\n \n" + text + b"\n\n", halves) == clear_of(size)


@pytest.mark.parametrize(
    "more", [b"x", b" x", b"\n" * 5000 + b"x", b"\n" * 200_000, b"\n-----BEGIN"], ids=len
)
def test_something_after_the_armor_is_noticed(more):
    halves, recipient = halves_for(kind_named("X25519"))
    text = encrypted_for([recipient], b"a secret", armor=True)
    with pytest.raises(DamagedFile, match="after the end of the armor|last line is missing|not of 64"):
        opened(text + more, halves)
    assert opened(text + b" \n" * 300, halves) == b"a secret"


@given(st.data())
def test_one_changed_character_of_armor_is_noticed(data):
    halves, recipient = _MADE.setdefault("X25519", halves_for(kind_named("X25519")))
    made = _FILES.setdefault("armor", encrypted_for([recipient], b"a secret" * 20, armor=True))
    text = bytearray(made)
    place = data.draw(st.integers(0, len(text) - 2))
    other = data.draw(st.sampled_from(b"\0 \n-=AZaz09+/\xff").filter(lambda each: each != text[place]))
    text[place] = other
    with pytest.raises((DamagedFile, NotForThisKey)):
        opened(bytes(text), halves)


def test_armor_that_is_cut_is_noticed_wherever():
    halves, recipient = halves_for(kind_named("X25519"))
    text = encrypted_for([recipient], b"a secret" * 20, armor=True)
    for place in range(len(text) - 1):
        with pytest.raises(DamagedFile):
            opened(text[:place], halves)
    assert opened(text[:-1], halves) == b"a secret" * 20
