"""``hem keys``: what is listed, told and handed out, in forms that other programs read."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from functools import partial

import click
import jsonschema
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support.owner import valid
from support.passphrases import PASSPHRASE

from hem_provider.adapters.age import bech32
from hem_provider.cli import keys_telling
from hem_provider.cli import main as cli
from hem_provider.cli.commands.keys import command
from hem_provider.cli.keys_forms import FORMS
from hem_provider.device.usage import usages_of
from hem_provider.keytypes import KEY_TYPES
from hem_provider.rest import keymgmt

#: Label → type and usages of the keys on the device.
KEYS = {
    "ada": ("ED25519", {"sign"}),
    "web [1]": ("SECP256R1", {"sign", "derive"}),
    "vault": ("AES256", {"aead"}),
    "post": ("MLKEM768", None),
    "twin": ("SECP384R1", {"sign"}),
}


@pytest.fixture
def keys(rig, hem, monkeypatch, tmp_path):
    """The keys by label; "twin" is the label of two, of which one is here."""
    passphrase = tmp_path / "passphrase"
    passphrase.write_text(f"{PASSPHRASE}\n")
    passphrase.chmod(0o600)
    monkeypatch.setenv("HEM_URL", f"emulator:{rig.path}")
    monkeypatch.setenv("HEM_PASSPHRASE_FILE", str(passphrase))
    hem.keys.create("ED25519", label="twin", usage={"sign"})
    return {label: hem.keys.create(kind, label=label, usage=usage) for label, (kind, usage) in KEYS.items()}


@pytest.fixture
def run(run):
    """Runs ``hem keys …``."""
    return partial(run, "keys")


def test_keys_are_listed_by_label_one_a_line(keys, run):
    status, out, said = run("list")
    lines = [re.split(r"  +", line) for line in out.decode().splitlines()]
    assert (status, said) == (0, "")
    assert lines[0] == ["label", "type", "use", "made by", "age", "KID"]
    assert [line[0] for line in lines[1:]] == ["ada", "post", "twin", "twin", "vault", "web [1]"]
    assert ["web [1]", "SECP256R1", "derive, sign", "hem-provider", "now", keys["web [1]"].kid] in lines
    assert ["vault", "AES256", "aead", "hem-provider", "now", keys["vault"].kid] in lines


@pytest.mark.parametrize(
    ("wide", "titles"),
    [
        (120, ["label", "type", "use", "made by", "age", "KID"]),
        (75, ["label", "type", "use", "age", "KID"]),
        (60, ["label", "type", "KID"]),
        (45, ["label", "KID"]),
        (30, ["label", "KID"]),
    ],
)
def test_a_narrow_terminal_gets_fewer_columns_and_nothing_is_cut_off(keys, monkeypatch, capsys, wide, titles):
    monkeypatch.setenv("COLUMNS", str(wide))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    assert cli.main(["keys", "list"]) == 0
    out = capsys.readouterr().out
    assert re.split("  +", out.splitlines()[0]) == titles
    assert max(map(len, out.splitlines())) <= wide
    assert "\x1b" not in out
    assert keys["ada"].kid in "".join(re.findall(r"[0-9a-f]+$", out, re.M))


def test_a_list_as_json_is_as_the_schema_says(keys, run):
    _, out, _ = run("list", "--json")
    document = valid(json.loads(out), "keys-list")
    assert document["device"] == "hem"
    by_label = {each["label"]: each for each in document["keys"]}
    assert by_label["vault"]["usages"] == ["aead"]
    assert by_label["post"]["usages"] == ["derive"]
    assert by_label["web [1]"]["kid"] == keys["web [1]"].kid
    assert all(each["private"] and each["made_by"] == "hem-provider" for each in document["keys"])


def test_a_schema_refuses_what_it_does_not_know(keys, run):
    document = json.loads(run("list", "--json")[1])
    for change in ({"more": 1}, {"kid": "X"}, {"created": "today"}, {"made_by": "us"}):
        with pytest.raises(jsonschema.ValidationError):
            valid({**document, "keys": [{**document["keys"][0], **change}]}, "keys-list")


def test_a_device_without_keys_says_so(rig, run, monkeypatch, tmp_path):
    (tmp_path / "passphrase").write_text(f"{PASSPHRASE}\n")
    (tmp_path / "passphrase").chmod(0o600)
    monkeypatch.setenv("HEM_URL", f"emulator:{rig.path}")
    monkeypatch.setenv("HEM_PASSPHRASE_FILE", str(tmp_path / "passphrase"))
    assert run("list") == (0, b"", "hem has no keys.\n")
    assert json.loads(run("list", "--json")[1])["keys"] == []


def test_what_other_applications_made_and_public_halves_are_told(rig, keys, run):
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    with rig.connect() as hem:
        hem.keys.import_public(public, label="peer")
        for descr in (b"ETSPGP:1", b"ETSEIC:1", b"ETSOIDC1", b"unknown-1"):
            label = descr.decode()[:7]
            key = hem.keys.create("ED25519", label=label)
            hem.session.run(keymgmt.update(key.kid, label=label, descr=descr, limits=hem.limits))
    document = valid(json.loads(run("list", "--json")[1]), "keys-list")
    by_label = {each["label"]: each for each in document["keys"]}
    assert (by_label["peer"]["usages"], by_label["peer"]["private"]) == ([], False)
    made = [by_label[label]["made_by"] for label in ("ETSPGP:", "ETSEIC:", "ETSOIDC", "unknown")]
    assert made == ["mail", "chat", "OIDC", None]
    assert b"public half" in run("list")[1]
    assert b"made by   an unknown application" in run("show", "unknown")[1]


def test_a_key_is_shown_by_label_or_kid_with_its_public_half(keys, run):
    by_label, by_kid = run("show", "web [1]"), run("show", keys["web [1]"].kid)
    assert by_label == by_kid
    text = by_label[1].decode()
    assert "label     web [1]\n" in text
    assert "use       derive, sign\n" in text
    assert text.endswith(run("public", "web [1]")[1].decode())


def test_a_key_as_json_is_as_the_schema_says(keys, run):
    document = valid(json.loads(run("show", "ada", "--json")[1]), "keys-show")
    public = serialization.load_pem_public_key(document["public_key"].encode())
    assert public == keys["ada"].public_key()
    assert valid(json.loads(run("show", "vault", "--json")[1]), "keys-show")["public_key"] is None


@pytest.mark.parametrize("label", ["ada", "web [1]"])
def test_public_halves_are_read_by_others(keys, run, label):
    public = keys[label].public_key()
    read = {
        "pem": serialization.load_pem_public_key,
        "der": serialization.load_der_public_key,
        "ssh": serialization.load_ssh_public_key,
    }
    for form, load in read.items():
        status, out, said = run("public", label, "--format", form)
        assert (status, said) == (0, "")
        assert load(out) == public
    assert run("public", label, "--format", "raw")[1] == keys[label].public_bytes()


#: Every type that JOSE has a name for → its ``kty`` and ``crv``.
JOSE = {
    "SECP256R1": ("EC", "P-256"),
    "SECP384R1": ("EC", "P-384"),
    "SECP521R1": ("EC", "P-521"),
    "SECP256K1": ("EC", "secp256k1"),
    "ED25519": ("OKP", "Ed25519"),
    "ED448": ("OKP", "Ed448"),
    "CURVE25519": ("OKP", "X25519"),
    "CURVE448": ("OKP", "X448"),
}


@pytest.mark.parametrize("kind", JOSE)
def test_a_jwk_is_read_by_joserfc(hem, keys, run, kind):
    from joserfc.jwk import ECKey, OKPKey

    key = hem.keys.create(kind, label="for jose")
    document = json.loads(run("public", "for jose", "--format", "jwk")[1])
    assert (document["kty"], document["crv"], document["kid"]) == (*JOSE[kind], key.kid)
    read = {"EC": ECKey, "OKP": OKPKey}[document["kty"]].import_key(document)
    assert read.public_key == key.public_key()


@pytest.mark.parametrize("form", FORMS)
def test_a_form_that_there_is_not_is_told(keys, run, form):
    status, out, said = run("public", "vault", "--format", form)
    assert (status, out) == (1, b"")
    assert said.startswith("hem: ")
    assert "AES256" in said
    if form in ("ssh", "jwk"):
        status, out, said = run("public", "post", "--format", form)
        assert (status, out) == (1, b"")
        assert "has no form for MLKEM768; it has one for" in said


@pytest.mark.parametrize(("kind", "prefix"), [("CURVE25519", "age"), ("SECP256R1", "age1tag")])
def test_a_recipient_of_age_is_the_public_half(hem, keys, run, kind, prefix):
    key = hem.keys.create(kind, label="for age")
    status, out, said = run("public", "for age", "--format", "age")
    assert (status, said) == (0, "")
    assert bech32.decode(out.decode().rstrip("\n")) == (prefix, key.public_bytes())
    if kind == "CURVE25519" and shutil.which("age") is not None:
        recipient = out.decode().strip()
        subprocess.run(["age", "-r", recipient], input=b"x", capture_output=True, check=True, timeout=60)


def test_a_key_that_could_not_read_what_age_encrypts_to_it_is_told(hem, keys, run):
    hem.keys.create("SECP256R1", label="signer", usage={"sign"})
    status, out, said = run("public", "signer", "--format", "age")
    assert (status, out) == (1, b"")
    assert "was not made for 'derive'" in said
    status, out, said = run("public", keys["ada"].kid, "--format", "age")
    assert (status, out) == (1, b"")
    assert "age has no recipients of ED25519; it has them of SECP256R1, CURVE25519" in said


def test_the_command_offers_every_form():
    (option,) = [each for each in command.commands["public"].params if each.name == "format"]
    assert list(option.type.choices) == list(FORMS)
    assert isinstance(option, click.Option)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")
def test_openssl_reads_the_der_of_a_file(keys, run, tmp_path):
    path = tmp_path / "web.der"
    assert run("public", "web [1]", "--format", "der", "--output", path) == (0, b"", "")
    done = subprocess.run(
        ["openssl", "pkey", "-pubin", "-inform", "DER", "-in", path, "-noout", "-text"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert "prime256v1" in done.stdout


def test_a_file_that_is_there_stays_unless_it_is_to_be_replaced(keys, run, tmp_path):
    path = tmp_path / "ada.pem"
    path.write_text("mine")
    status, _, said = run("public", "ada", "--output", path)
    assert (status, path.read_text()) == (1, "mine")
    assert said == f"hem: {path}: there is such a file already; --force replaces it\n"
    assert run("public", "ada", "--output", path, "--force")[0] == 0
    assert path.read_bytes() == run("public", "ada")[1]
    assert path.stat().st_mode & 0o777 == 0o644
    status, _, said = run("public", "ada", "--output", tmp_path / "nowhere" / "ada.pem")
    assert status == 1
    assert said.count("\n") == 1
    assert sorted(each.name for each in tmp_path.glob("*.pem*")) == ["ada.pem"]


def test_bytes_are_not_sent_to_a_terminal(keys, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert cli.main(["keys", "public", "ada", "--format", "raw"]) == 2
    assert "give --output FILE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "status", "error", "told"),
    [
        ("adda", 5, "HemKeyNotFound", "no key with label 'adda'; did you mean 'ada'?"),
        ("EB", 5, "HemKeyNotFound", "no key with label 'EB'; did you mean 'web [1]'?"),
        ("nobody at all", 5, "HemKeyNotFound", "no key with label 'nobody at all'"),
        ("0" * 32, 5, "HemKeyNotFound", "no key " + "0" * 32),
        ("twin", 1, "HemKeyAmbiguous", "2 keys with label 'twin'; name one by its KID: "),
        ("x" * 33, 5, "HemKeyNotFound", f"no key with label '{'x' * 33}'"),
        ("ключ", 5, "HemKeyNotFound", "no key with label"),
    ],
)
def test_a_name_that_is_not_one_key_is_told(keys, run, name, status, error, told):
    for action in ("show", "public"):
        found, out, said = run(action, name)
        assert (found, out) == (status, b"")
        assert told in said
        assert said.count("\n") == 1
    found, out, said = run("show", name, "--json")
    document = valid(json.loads(out), "error")
    assert (found, document["status"], document["error"], said) == (status, status, error, "")
    assert told in document["message"]


def test_a_device_that_is_away_and_a_wrong_passphrase_have_their_statuses(keys, run, monkeypatch, tmp_path):
    (tmp_path / "passphrase").write_text("wrong\n")
    status, out, _ = run("list", "--json")
    assert (status, valid(json.loads(out), "error")["error"]) == (4, "HemAuthenticationError")
    monkeypatch.setenv("HEM_URL", "https://127.0.0.1:1")
    status, out, _ = run("list", "--json")
    assert (status, valid(json.loads(out), "error")["error"]) == (3, "HemUnreachable")


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (-5, "now"),
        (59, "now"),
        (60, "1 minute"),
        (7200, "2 hours"),
        (86_400 * 3, "3 days"),
        (10**8, "3 years"),
    ],
)
def test_ages_are_told_in_the_largest_unit(seconds, told):
    assert keys_telling.age(seconds) == told


def test_every_type_has_its_usages(hem, keys):
    for kind in KEY_TYPES:
        key = hem.keys.create(kind, label=kind.replace("_", " "))
        assert usages_of(key.type, key.attributes, key.family_mark), kind


def test_a_label_of_another_application_hides_no_key_and_does_not_act_on_a_terminal(keys, run, rig):
    with rig.device.model.transaction():
        repository = rig.device.model.repository
        record = next(each for each in repository.read(repository.slots()) if each.label == "ada")
        repository.rewrite(record, label="a\x1b[31m\nda", descr=record.descr, now=record.updated)
    shown = r"a\x1b[31m\nda"
    status, out, said = run("list", "--fresh")
    assert (status, said) == (0, "")
    assert shown in out.decode()
    assert b"\x1b" not in out
    assert {"web [1]", "vault"} <= {line.partition("  ")[0] for line in out.decode().splitlines()}
    kid = keys["ada"].kid
    status, out, _ = run("public", kid, "--format", "ssh")
    assert status == 0
    assert out.decode().count("\n") == 1
    assert out.decode().endswith(f" {shown}\n")
