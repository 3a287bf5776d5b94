"""age's own test kit (C2SP CCTV): every file of it is read, or refused, as it says."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zlib
from pathlib import Path

import pytest
from adapters.agekeys import LocalHalf, from_identity, kind_named
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, x25519

from hem_provider.adapters.age.armor import armored
from hem_provider.adapters.age.errors import DamagedFile, NotForThisKey
from hem_provider.adapters.age.files import EncryptedFile
from hem_provider.adapters.age.header import make_header
from hem_provider.adapters.age.opening import Finder
from hem_provider.adapters.age.recipients import parse
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
