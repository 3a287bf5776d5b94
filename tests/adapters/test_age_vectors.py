"""age's own test kit (C2SP CCTV): every file of it is read, or refused, as it says."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zlib
from pathlib import Path

import pytest
from adapters.agekeys import LocalHalf, from_identity, kind_named, new_half
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, x25519

from hem_provider.adapters.age.armor import armored
from hem_provider.adapters.age.errors import DamagedFile, NotForThisKey
from hem_provider.adapters.age.files import EncryptedFile
from hem_provider.adapters.age.header import LineReader, Stanza, make_header, read_stanza
from hem_provider.adapters.age.identities import identity_of
from hem_provider.adapters.age.opening import Finder
from hem_provider.adapters.age.plugin.identity import unwrap
from hem_provider.adapters.age.plugin.protocol import Client
from hem_provider.adapters.age.recipients import Recipient, parse
from hem_provider.adapters.age.stream import encrypted
from hem_provider.publickeys import device_form

FOLDER = Path(__file__).parents[1] / "vectors" / "age"
NAMES = sorted(each.name for each in FOLDER.iterdir() if each.name not in ("COMMIT", "LICENSE"))
#: Made by age 1.3, whose kinds Debian 12's does not have.
LATER = json.loads((FOLDER.parent / "age-1.3.json").read_text())
#: What the kit expects → what is raised: of armor when it is met, with all that comes after.
EXPECTED = {
    "header failure": DamagedFile,
    "armor failure": DamagedFile,
    "HMAC failure": DamagedFile,
    "payload failure": DamagedFile,
    "no match": NotForThisKey,
}


def vector(name):
    """The fields of a test's file, and the encrypted file."""
    head, _, body = (FOLDER / name).read_bytes().partition(b"\n\n")
    fields = {}
    for line in head.decode().splitlines():
        key, _, value = line.partition(": ")
        fields.setdefault(key, []).append(value)
    return fields, zlib.decompress(body) if "compressed" in fields else body


def decrypt(data, halves, released):
    file = EncryptedFile(io.BufferedReader(io.BytesIO(data)))
    opened = Finder(file.header).look(halves)
    if opened is None:
        raise NotForThisKey
    released.append(b"")
    for piece in file.plaintext(opened.file_key):
        released.append(piece)
    return file, opened.file_key


def test_the_kit_is_whole():
    assert len(NAMES) == 143


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_read_or_refused_as_the_kit_says(name):
    fields, data = vector(name)
    halves = [half for each in fields.get("identity", []) for half in from_identity(each)[0]]
    (expected,), released = fields["expect"], []
    if "passphrase" in fields and expected != "armor failure":  # devices have no passphrases of files
        with pytest.raises((NotForThisKey, DamagedFile)):
            decrypt(data, halves, released)
    elif expected == "success":
        file, file_key = decrypt(data, halves, released)
        assert file_key.hex() == fields["file key"][0]
        assert file.armor == (fields.get("armored") == ["yes"])
    else:
        with pytest.raises(EXPECTED[expected]) as refused:
            decrypt(data, halves, released)
        assert type(refused.value) is EXPECTED[expected]
    if "payload" in fields and released:
        assert hashlib.sha256(b"".join(released)).hexdigest() == fields["payload"][0]
    if expected == "header failure":
        assert b"".join(released) == b""


@pytest.mark.parametrize("made", LATER["files"], ids=lambda each: each["kind"])
def test_what_a_later_age_than_debians_encrypts_is_read(made):
    kind = kind_named(made["kind"])
    secret = bytes.fromhex(made["private"])
    if kind.curve == "CURVE25519":
        halves = [LocalHalf(x25519.X25519PrivateKey.from_private_bytes(secret))]
    else:
        halves = [LocalHalf(ec.derive_private_key(int.from_bytes(secret, "big"), ec.SECP256R1()))]
    if kind.hybrid:
        halves.append(LocalHalf(mlkem.MLKEM768PrivateKey.from_seed_bytes(bytes.fromhex(made["seed"]))))
    released = []
    decrypt(base64.b64decode(made["file"]), halves, released)
    assert b"".join(released).decode() == LATER["clear"]
    public = parse(made["recipient"]).public
    assert public.endswith(
        kind.point(halves[0].public_key()) if kind.hybrid else device_form(halves[0].public_key())
    )


@pytest.mark.parametrize("name", NAMES)
def test_what_is_read_is_written_alike(name):
    fields, data = vector(name)
    if fields["expect"] != ["success"] or "passphrase" in fields:
        return
    halves = [half for each in fields["identity"] for half in from_identity(each)[0]]
    released = []
    file, file_key = decrypt(data, halves, released)
    clear = io.BytesIO(b"".join(released))
    pieces = [make_header(file.header.stanzas, file_key), *encrypted(file_key, clear.read)]
    again = []
    decrypt(b"".join(pieces), halves, again)
    assert b"".join(again) == clear.getvalue()
    if file.armor:
        plain = EncryptedFile(io.BufferedReader(io.BytesIO(data)))
        body = make_header(file.header.stanzas, file_key) + plain._reader.read()
        text = data.strip().replace(b"\r\n", b"\n") + b"\n"
        assert b"".join(armored([body[:7], body[7:]])) == text
    else:
        assert data.startswith(pieces[0])


# --- through the plugin ---


def header_of(name):
    """The header of a file as a client reads it; ``None`` where there is nothing to hand on."""
    fields, data = vector(name)
    try:
        return EncryptedFile(io.BufferedReader(io.BytesIO(data))).header if "identity" in fields else None
    except DamagedFile:
        return None


HANDED_ON = [name for name in NAMES if header_of(name) is not None]


class KitDevices:
    """Has the private keys of a test's file in the place of those that an identity names."""

    def __init__(self, halves):
        self._halves = halves

    def halves(self, identity):
        assert identity.device == "kit"
        return self._halves


def said_by_plugin(name):
    """What the plugin says when a client hands on the stanzas of a test's file."""
    fields, _ = vector(name)
    found = [from_identity(each) for each in fields["identity"]]
    halves = [half for each, _ in found for half in each]
    public = new_half().public_key()
    identity = identity_of("kit", Recipient(kind_named("X25519"), device_form(public)))
    sent = [Stanza("add-identity", (str(identity),), b"")]
    sent += [
        Stanza("recipient-stanza", ("0", each.kind, *each.arguments), each.body)
        for each in header_of(name).stanzas
    ]
    answers = [Stanza("ok", (), b"")] * (len(sent) + 1)
    lines = b"".join(each.encoded() for each in (*sent, Stanza("done", (), b""), *answers))
    written = io.BytesIO()
    unwrap(Client(io.BytesIO(lines), written), KitDevices(halves))
    source, said = io.BytesIO(written.getvalue()), []
    reader = LineReader(source)
    while source.tell() < len(written.getvalue()):
        said.append(read_stanza(reader.next(), reader))
    return said


def test_most_files_of_the_kit_get_as_far_as_a_plugin():
    assert len(HANDED_ON) > 60


@pytest.mark.parametrize("name", HANDED_ON)
def test_the_plugin_gives_the_key_of_a_file_as_the_kit_says(name):
    fields, _ = vector(name)
    *said, end = said_by_plugin(name)
    assert end.kind == "done"
    (expected,) = fields["expect"]
    # What is wrong behind the header is for the client to find.
    behind = ("success", "payload failure", "armor failure", "HMAC failure")
    if expected in behind or name.startswith("stream_"):
        assert [(each.kind, each.arguments) for each in said] == [("file-key", ("0",))]
        assert expected == "HMAC failure" or said[0].body.hex() == fields["file key"][0]
    elif expected == "no match":
        assert said == []
    else:
        assert [each.kind for each in said] in ([], ["error"])
