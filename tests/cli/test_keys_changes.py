"""``hem keys``: making, finding, renaming, deleting, deriving and importing keys, and how they are named."""

from __future__ import annotations

import io
import json
import os
import shutil
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from support.owner import valid
from support.passphrases import PASSPHRASE
from support.rig import ROUNDS

from hem_provider.cli import confirming, keywords
from hem_provider.cli import main as cli
from hem_provider.cli.choosing import named_key
from hem_provider.device import connect
from hem_provider.device.cache import DiskCache
from hem_provider.device.token import serial_of
from hem_provider.keytypes import KEY_TYPES
from hem_provider.rest import credential, keymgmt


@pytest.fixture
def owned(rig, monkeypatch, tmp_path):
    """The rig's device as the only one that is configured."""
    passphrase = tmp_path / "passphrase"
    passphrase.write_text(f"{PASSPHRASE}\n")
    passphrase.chmod(0o600)
    monkeypatch.setenv("HEM_URL", f"emulator:{rig.path}")
    monkeypatch.setenv("HEM_PASSPHRASE_FILE", str(passphrase))
    return rig


@pytest.fixture
def run(owned, capfdbinary):
    """Runs ``hem keys …``: its status, output and what it said."""

    def run(*arguments):
        capfdbinary.readouterr()
        status = cli.main(["keys", *map(str, arguments)])
        told = capfdbinary.readouterr()
        return status, told.out.decode(), told.err.decode()

    return run


@pytest.fixture
def typing(monkeypatch):
    """Somebody at a terminal, who types this."""

    def types(text):
        monkeypatch.setattr(confirming, "can_ask", lambda: True)
        monkeypatch.setattr("sys.stdin", io.StringIO(text))

    return types


def made(run, *arguments):
    status, out, said = run(*arguments, "--json")
    assert (status, said) == (0, ""), out
    return valid(json.loads(out), "keys-change")


# --- create ---


@pytest.mark.parametrize("kind", KEY_TYPES)
def test_a_key_of_every_type_is_made(run, hem, kind):
    document = made(run, "create", kind, "--label", "mine")
    assert (document["change"], document["type"], document["label"]) == ("created", kind, "mine")
    key = hem.keys.find(label="mine")
    assert (key.kid, key.type.name) == (document["kid"], kind)
    (shown,) = valid(json.loads(run("list", "--json")[1]), "keys-list")["keys"]
    assert shown["usages"] == document["usages"]


def test_a_key_is_made_for_what_is_wanted_and_with_an_id_of_ones_own(run, hem):
    status, out, said = run("create", "p-256", "--label", "web", "--use", "sign", "--id", "01ff")
    key = hem.keys.find(label="web")
    assert (status, said) == (0, "")
    assert out.splitlines() == [
        "label     web",
        f"KID       {key.kid}",
        "type      SECP256R1",
        "use       sign",
        "made by   hem-provider",
    ]
    assert key.application_id == b"\1\xff"
    assert made(run, "create", "AES256", "--label", "x", "--use", "wrap, cipher")["usages"] == [
        "cipher",
        "wrap",
    ]
    assert made(run, "create", "AES256", "--label", "y", "--use", "wrap", "--use", "mac")["usages"] == [
        "mac",
        "wrap",
    ]


def test_making_a_key_costs_one_login_and_one_call(run, owned):
    before = owned.count("")
    run("create", "ED25519", "--label", "one")
    assert [owned.count("POST /api/auth/token"), owned.count("POST /api/keymgmt/create")] == [1, 1]
    assert owned.count("") - before == 3  # with the challenge of the login


@pytest.mark.parametrize(
    ("typed", "kind"),
    [
        ("P-256", "SECP256R1"), ("prime256v1", "SECP256R1"), ("p384", "SECP384R1"), ("P-521", "SECP521R1"),
        ("x25519", "CURVE25519"), ("X448", "CURVE448"), ("Ed25519", "ED25519"), ("aes-128", "AES128"),
        ("ml-kem-768", "MLKEM768"), ("ML-DSA-65", "MLDSA65"), ("hmac-sha256", "SHA2-256"),
        ("HMAC-SHA3-512", "SHA3-512"), ("sha2_384", "SHA2-384"),
    ],
)  # fmt: skip
def test_usual_names_of_types_are_understood(typed, kind):
    assert keywords.TYPE.convert(typed, None, None) == kind


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("ED2551", "--label", "a"), "'ED2551' is no type of keys; did you mean ED25519"),
        (("RSA", "--label", "a"), "'RSA' is no type of keys; there are: SECP256R1, "),
        (("AES256",), "Missing option '--label'"),
        (("AES256", "--label", "x" * 33), "label: 33 characters ('xxx"),
        (("AES256", "--label", "żółw"), "accepted: 1 to 32 printable ASCII characters"),
        (("AES256", "--label", ""), "label: 0 characters"),
        (("AES256", "--label", "a\nb"), "accepted: 1 to 32 printable ASCII characters"),
        (
            ("AES256", "--label", "a", "--use", "sign"),
            "--use: sign for AES256; accepted: one or more of aead",
        ),
        (("AES256", "--label", "a", "--use", "everything"), "--use: everything for AES256"),
        (("AES256", "--label", "a", "--use", " , "), "--use: none for AES256"),
        (("AES256", "--label", "a", "--id", "xyz"), "'xyz' is not 1 to 40 bytes in hex digits"),
        (("AES256", "--label", "a", "--id", "00" * 41), "is not 1 to 40 bytes in hex digits"),
        (("AES256", "--label", "a", "--id", ""), "'' is not 1 to 40 bytes in hex digits"),
    ],
)
def test_what_no_key_can_be_is_told_before_anything_is_asked(run, owned, arguments, told):
    before = owned.count("")
    status, out, said = run("create", *arguments)
    assert (status, out, owned.count("")) == (2, "", before)
    assert told in said
    assert said.count("\n") == 1


# --- search ---


@pytest.fixture
def many(owned, hem):
    """Labels → keys, of this software and another application."""
    keys = {label: hem.keys.create("ED25519", label=label) for label in ("Web one", "web two", "mail")}
    keys["vault"] = hem.keys.create("AES256", label="vault", application_id=b"\1\2")
    hem.session.run(keymgmt.update(keys["mail"].kid, label="mail", descr=b"ETSPGP:17", limits=hem.limits))
    hem.keys.refresh()
    return keys


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("web",), {"Web one", "web two"}),
        (("WEB *",), {"Web one", "web two"}),
        (("web ?wo",), {"web two"}),
        (("web?wo",), set()),
        (("--type", "aes256"), {"vault"}),
        (("--made-by", "mail"), {"mail"}),
        (("--made-by", "hem-provider"), {"Web one", "web two", "vault"}),
        (("--descr", "ETSPGP:1"), {"mail"}),
        (("--descr", "ETSPGP:1", "--made-by", "mail"), {"mail"}),
        (("--descr", "ETSPGP:1", "--made-by", "chat"), set()),
        (("--id", "0102"), {"vault"}),
        (("--id", "02"), set()),
        (("web", "--type", "AES256"), set()),
    ],
)
@pytest.mark.parametrize("remembered", [False, True])
def test_keys_are_found_by_what_is_known_of_them(run, many, arguments, found, remembered):
    run("list")
    how = () if remembered else ("--fresh",)
    document = valid(json.loads(run("search", *arguments, "--json", *how)[1]), "keys-list")
    assert {each["label"] for each in document["keys"]} == found
    status, out, said = run("search", *arguments, *how)
    assert status == 0
    assert {line.partition("  ")[0] for line in out.splitlines()[1:]} == found
    assert said == ("" if found else "hem has no such key.\n")


def test_the_device_looks_for_what_it_can_look_for(run, many, owned):
    for arguments in (("--made-by", "mail"), ("--id", "0102"), ("--descr", "ETSPGP")):
        before = owned.count("GET /api/keymgmt/list"), owned.count("POST /api/keymgmt/search")
        run("search", *arguments)
        assert owned.count("GET /api/keymgmt/list") == before[0]
        assert owned.count("POST /api/keymgmt/search") == before[1] + 1


def test_a_search_for_nothing_is_no_list(run, many):
    status, out, said = run("search")
    assert (status, out) == (2, "")
    assert "say what to look for: part of a label, --type" in said


# --- rename ---


def test_a_key_gets_another_label_and_keeps_the_rest(run, hem):
    kid = made(run, "create", "ED25519", "--label", "old", "--id", "07")["kid"]
    document = made(run, "rename", "old", "new")
    assert (document["label_before"], document["label"], document["kid"]) == ("old", "new", kid)
    key = hem.keys.find(label="new")
    assert (key.kid, key.application_id) == (kid, b"\7")
    assert run("rename", kid, "newer")[1].startswith("label     newer\n")


def test_a_label_that_cannot_be_is_told_before_anything_is_asked(run, owned):
    before = owned.count("")
    for label in ("x" * 33, "ü"):
        status, _, said = run("rename", "old", label)
        assert (status, owned.count("")) == (2, before)
        assert "accepted: 1 to 32 printable ASCII characters" in said


def test_keys_of_other_applications_are_renamed_when_it_is_meant(run, many, hem, typing):
    status, _, said = run("rename", "mail", "post")
    assert status == 2
    assert "was made by mail" in said
    assert said.endswith("give --yes\n")
    typing("n\n")
    status, _, said = run("rename", "mail", "post")
    assert (status, said.endswith("nothing was done, as you say\n")) == (1, True)
    typing("y\n")
    assert run("rename", "mail", "post")[0] == 0
    assert hem.keys.find(label="post").descr == b"ETSPGP:17"
    assert run("rename", "post", "mail", "--yes")[0] == 0


# --- delete ---


def test_a_key_is_deleted_when_its_label_was_typed(run, many, hem, typing):
    typing("web two\n")
    kid = many["web two"].kid
    status, out, said = run("delete", kid)
    assert (status, out) == (0, f"deleted web two (ED25519, KID {kid})\n")
    assert f"'web two' (ED25519, KID {kid}, made by hem-provider) will be gone for good" in said
    assert said.endswith("Type web two to go on: ")
    hem.keys.refresh()
    assert kid not in hem.keys
    assert made(run, "delete", "vault", "--yes")["change"] == "deleted"


@pytest.mark.parametrize("typed", ["", "web\n", "Web Two\n", "yes\n"])
def test_nothing_is_deleted_for_anything_else(run, many, hem, typing, typed):
    typing(typed)
    status, out, _ = run("delete", "web two")
    assert (status, out) == (1, "")
    hem.keys.refresh()
    assert many["web two"].kid in hem.keys


def test_nothing_is_deleted_when_the_question_is_interrupted(run, many, hem, typing, monkeypatch):
    typing("")

    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr("sys.stdin.readline", interrupted, raising=False)
    assert run("delete", "web two")[0] == 130
    hem.keys.refresh()
    assert many["web two"].kid in hem.keys


def test_without_a_terminal_deleting_says_what_to_give_before_a_device_is_asked(run, many, owned):
    before = owned.count("")
    status, _, said = run("delete", "web two")
    assert (status, owned.count("")) == (2, before)
    assert said.endswith("give --yes\n")


def test_the_records_that_the_device_lives_on_stay(run, owned, hem):
    (record,) = [each for each in hem.session.run(keymgmt.list_keys()).records if "PKEY,GENERIC" in each.type]
    for arguments in (("delete", record.kid, "--yes"), ("rename", record.kid, "mine", "--yes")):
        status, _, said = run(*arguments)
        assert (status, "is the device's own" in said) == (1, True)


# --- derive and import ---


def test_two_keys_agree_on_a_third(run, hem):
    for label in ("mine", "theirs"):
        made(run, "create", "X25519", "--label", label)
    document = made(run, "derive", "mine", "--peer", "theirs", "--type", "AES256", "--label", "shared")
    assert (document["change"], document["type"], document["usages"]) == ("derived", "AES256", ["aead"])
    assert hem.keys.find(label="shared").kid == document["kid"]
    status, _, said = run("derive", "theirs", "--peer", "mine", "--type", "AES256", "--label", "again")
    assert (status, "always give the same key" in said) == (1, True)


def test_a_key_is_derived_with_a_peer_from_a_file(run, tmp_path):
    made(run, "create", "X25519", "--label", "mine")
    file = tmp_path / "peer.pem"
    public = x25519.X25519PrivateKey.generate().public_key()
    file.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    made(run, "derive", "mine", "--peer-file", file, "--type", "SHA2-256", "--label", "mac")


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("mine", "--type", "AES256", "--label", "a"), 2, "one of these is needed: --peer, --peer-file"),
        (
            ("mine", "--peer", "a", "--peer-file", "b", "--type", "AES256", "--label", "a"),
            2,
            "do not go together",
        ),
        (("mine", "--peer", "signer", "--type", "MLKEM768", "--label", "a"), 2, "cannot be derived"),
        (("signer", "--peer", "mine", "--type", "AES256", "--label", "a"), 1, "agrees on no secrets"),
        (("mine", "--peer", "signer", "--type", "AES256", "--label", "a"), 1, "both have to be of one type"),
        (("mine", "--peer", "nobody", "--type", "AES256", "--label", "a"), 5, "no key with label 'nobody'"),
        (
            ("mine", "--peer-file", "/nowhere", "--type", "AES256", "--label", "a"),
            1,
            "/nowhere: No such file",
        ),
    ],
)
def test_what_cannot_be_derived_is_told(run, owned, arguments, status, told):
    made(run, "create", "X25519", "--label", "mine")
    made(run, "create", "ED25519", "--label", "signer")
    found, out, said = run("derive", *arguments)
    assert (found, out, owned.count("POST /api/keymgmt/derive")) == (status, "", 0)
    assert told in said


def test_a_public_key_of_others_is_stored(run, tmp_path, hem):
    public = ed25519.Ed25519PrivateKey.generate().public_key()
    file = tmp_path / "anna.pub"
    file.write_bytes(public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + b" anna@home\n")
    document = made(run, "import-public", file, "--label", "anna")
    assert (document["type"], document["usages"]) == ("ED25519", [])
    assert hem.keys.find(label="anna").public_key() == public
    status, _, said = run("import-public", file, "--label", "again")
    assert (status, f"it is, as 'anna'; 'hem keys show {document['kid']}'" in said) == (1, True)
    file.write_bytes(public.public_bytes(Encoding.Raw, PublicFormat.Raw))
    assert run("import-public", file, "--label", "again")[0] == 1
    assert "stored already" in run("import-public", file, "--type", "Ed25519", "--label", "again")[2]


def test_what_is_no_public_key_is_told_before_a_device_is_asked(run, owned, tmp_path):
    private = ed25519.Ed25519PrivateKey.generate()
    for content, told in (
        (b"", "it is empty"),
        (b"x" * 100_000, "it has more than 65536 bytes"),
        (b"nothing", "no public key in a form that is known"),
        (private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), "it has a private key"),
    ):
        file = tmp_path / "file"
        file.write_bytes(content)
        status, _, said = run("import-public", file, "--label", "a")
        assert (status, owned.count("")) == (1, 0)
        assert said.startswith(f"hem: {file}: ")
        assert told in said
    assert run("import-public", tmp_path, "--label", "a")[2] == f"hem: {tmp_path}: Is a directory\n"
    os.mkfifo(tmp_path / "fifo")
    assert run("import-public", tmp_path / "fifo", "--label", "a")[0] == 1


# --- URIs ---


@pytest.mark.parametrize("action", ["show", "public"])
def test_a_key_is_named_by_a_uri(run, owned, hem, action):
    kid = made(run, "create", "ED25519", "--label", "web", "--id", "01")["kid"]
    serial = serial_of(hem.probe().eid)
    expected = run(action, "web")[1]
    escaped = "".join(f"%{kid[place : place + 2]}" for place in range(0, 32, 2))
    for uri in (
        "object=web", "id=%01", "token=hem;object=web", "object=web;type=private", f"id={escaped}",
        "token=hem%20%28EMULATOR%29;object=web", f"model=HEM%20EMULATOR;serial={serial};object=web",
        "manufacturer=Encedo;object=web",
    ):  # fmt: skip
        assert run(action, f"pkcs11:{uri}") == (0, expected, ""), uri


@pytest.mark.parametrize(
    ("uri", "status", "told"),
    [
        ("object=wb", 5, "no key is pkcs11:object=wb; did you mean 'web'?"),
        ("object=web;type=secret-key", 5, "no key is"),
        ("object=twin", 1, "2 keys are pkcs11:object=twin; name one by its KID: "),
        ("token=office;object=web", 2, "token 'office' is none of the devices here; there are: hem"),
        ("serial=00;object=web", 2, "it has serial '00', and that of hem is"),
        ("token=hem", 2, "it names no key; add object=LABEL or id=%XX"),
        ("object=web;type=cert", 2, "it names no key; accepted: type=public, private or secret-key"),
        ("object=web?pin-value=1", 2, "takes no PIN"),
    ],
)
def test_a_uri_that_names_no_key_here_is_told(run, uri, status, told):
    for label in ("web", "twin", "twin"):
        made(run, "create", "ED25519", "--label", label)
    for arguments in (("show",), ("public",), ("rename", "new"), ("delete", "--yes")):
        found, out, said = run(arguments[0], f"pkcs11:{uri}", *arguments[1:])
        assert (found, out) == (status, ""), said
        assert told in said
        assert said.count("\n") == 1


def test_the_token_of_a_uri_picks_the_device(tmp_path, template, monkeypatch, capfd):
    monkeypatch.setattr(credential, "PBKDF2_ITERATIONS", ROUNDS)
    for name in ("home", "office"):
        shutil.copy(template, tmp_path / name)
    secret = tmp_path / "passphrase"
    secret.write_text(f"{PASSPHRASE}\n")
    secret.chmod(0o600)
    file = tmp_path / "config.toml"
    parts = (
        f'[[device]]\nname = "{name}"\nurl = "emulator:{tmp_path / name}"\npassphrase_file = "{secret}"\n'
        for name in ("home", "office")
    )
    file.write_text("\n".join(parts))
    monkeypatch.setenv("HEM_CONFIG", str(file))
    assert cli.main(["keys", "create", "ED25519", "--label", "web", "--device", "office"]) == 0
    capfd.readouterr()
    assert cli.main(["keys", "show", "pkcs11:token=office;object=web"]) == 0
    assert "label     web" in capfd.readouterr().out
    for arguments, told in (
        (["pkcs11:object=web"], "say which device by its name: home, office"),
        (["pkcs11:token=office;object=web", "--device", "home"], "and --device is 'home'; there are: home"),
        (["pkcs11:token=attic;object=web"], "there are: home, office"),
    ):
        assert cli.main(["keys", "show", *arguments]) in (1, 2)
        assert told in capfd.readouterr().err
    assert cli.main(["keys", "show", "pkcs11:token=home;object=web"]) == 5


# --- what is remembered ---


def test_a_list_of_keys_that_were_just_listed_costs_no_call(run, many, owned):
    first = run("list")
    before = owned.count("")
    assert run("list") == first
    assert json.loads(run("list", "--json")[1])["device"] == "hem"
    assert run("search", "web")[0] == 0
    assert owned.count("") == before
    run("list", "--fresh")
    assert owned.count("") > before


def test_what_was_listed_is_forgotten_after_a_change_and_after_30_s(run, many, owned, monkeypatch):
    begun = time.time()  # the clock stands still: a busy machine takes a second now and then

    def after(seconds):
        monkeypatch.setattr("hem_provider.device.cache.time.time", lambda: begun + seconds)

    after(0)
    run("list")
    made(run, "rename", "vault", "safe")
    assert "safe" in run("list")[1]
    before = owned.count("")
    after(29)
    run("list")
    assert owned.count("") == before
    after(31)
    run("list")
    assert owned.count("") > before
    after(0)  # it was put back
    before = owned.count("")
    run("list")
    assert owned.count("") > before


def test_a_remembered_list_leaves_out_what_the_configuration_leaves_out(owned, many, hem):
    list(hem.keys)
    with owned.connect(key_filter=["web*"]) as narrow, owned.connect() as wide:
        assert [each.label for each in narrow.keys.recent()] == ["web two"]
        assert {each.label for each in wide.keys.recent()} == set(many)


def test_a_list_that_an_agent_remembered_is_not_taken_for_new(hem, many):
    cache = DiskCache(hem.config.url)
    list(hem.keys)
    assert cache.listing().is_recent(30)
    hem.keys._listing.aged = True
    hem.keys._listing._save()
    assert not cache.listing().is_recent(30)


def test_a_list_on_disk_without_a_time_is_as_good_as_before_but_not_new(hem, many):
    cache = DiskCache(hem.config.url)
    list(hem.keys)
    path = cache.place("list")
    document = json.loads(path.read_text())
    del document["listed"]
    path.write_text(json.dumps(document))
    assert not cache.listing().is_recent(30)
    assert len(cache.listing().records) >= len(many)
    path.write_text(json.dumps({**document, "listed": "today"}))
    assert cache.listing() is None


@pytest.mark.parametrize(
    ("arguments", "logins"),
    [
        (("list", "--fresh"), 1),
        (("search", "--made-by", "mail", "--fresh"), 1),
        (("create", "AES256", "--label", "a"), 1),
        (("rename", "web two", "b"), 2),
        (("delete", "web two", "--yes"), 2),
        (("derive", "mine", "--peer", "theirs", "--type", "AES256", "--label", "a"), 2),
        (("show", "web two"), 2),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_commands_cost_the_logins_that_the_page_tells(run, many, hem, owned, arguments, logins):
    for label in ("mine", "theirs"):
        hem.keys.create("CURVE25519", label=label)
    owned.requests.clear()
    assert run(*arguments)[0] == 0
    assert owned.count("POST /api/auth/token") == logins, owned.requests


def test_a_uri_finds_a_key_that_was_made_since_the_agent_listed_the_device(office, rig):
    assert [each.label for each in office.keys] == []
    with rig.connect() as other:  # behind the agent's back
        other.keys.create("ED25519", label="new")
    with connect(office.config.url, name="office") as later:
        assert [each.label for each in later.keys] == []
        assert later.keys.aged
        assert named_key(later, "pkcs11:object=new").label == "new"


@pytest.mark.parametrize("label", ["pkcs11:object=x", "0123456789abcdef0123456789ABCDEF"])
def test_a_label_that_would_not_name_its_key_is_refused(run, label):
    made(run, "create", "ED25519", "--label", "ada")
    for typed in (["create", "ED25519", "--label", label], ["rename", "ada", label]):
        status, out, said = run(*typed)
        assert (status, out) == (2, ""), typed
        assert "cannot be a label: it reads as a" in said
