"""``hem gpg`` and ``hem scdaemon``: what they say, refuse and print. What GnuPG then does is tried in
``tests/gpg``."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from support.emulator import ServedEmulator, client_of
from support.gnupg import ADA, Desk, with_passphrase
from support.passphrases import PASSPHRASE

from hem_provider.adapters.openpgp import Place, Role
from hem_provider.cli import gpg_actions
from hem_provider.cli.gpg.home import check, configured_program, install
from hem_provider.cli.gpg.shelf import DeviceShelf
from hem_provider.errors import HemConfigError, HemUnreachable
from hem_provider.waiting import CLOCK

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"


def valid(text, name):
    document = json.loads(text)
    jsonschema.validate(document, json.loads((SCHEMAS / f"{name}.json").read_text()))
    return document


@pytest.fixture
def configured(rig, monkeypatch, tmp_path):
    """The rig's device is the one that is configured."""
    path = tmp_path / "passphrase"
    path.write_text(f"{PASSPHRASE}\n")
    path.chmod(0o600)
    monkeypatch.setenv("HEM_URL", f"emulator:{rig.path}")
    monkeypatch.setenv("HEM_PASSPHRASE_FILE", str(path))


@pytest.fixture
def hem(configured, rig):
    """A client of it."""
    with rig.connect() as device:
        yield device


@pytest.fixture
def home(monkeypatch):
    """GnuPG's home of a user; without GnuPG the test is none."""
    if shutil.which("gpg") is None:
        pytest.skip("not run: GnuPG is not installed")
    desk = Desk()
    for name in ("GNUPGHOME", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, desk.environment[name])
    yield desk.home
    desk.close()


@pytest.fixture
def reached(home, monkeypatch, tmp_path):
    """A device that other processes reach, too, and a client of it."""
    with ServedEmulator(tmp_path) as emulator, client_of(emulator) as hem:
        for name, value in with_passphrase(emulator).items():
            monkeypatch.setenv(name, value)
        yield hem


def made(hem, role, name="", **more):
    kind = {Role.SIGN: "ED25519", Role.DECRYPT: "CURVE25519", Role.AUTHENTICATE: "ED25519"}[role]
    place = Place(role, 1_700_000_000, name=name, **more)
    return hem.keys.create(kind, label=f"k{role.value}", application_id=place.application_id())


@pytest.mark.usefixtures("reached")
def test_setup_and_import_tell_what_their_schemas_say(run):
    status, out, err = run("gpg", "setup", "--name", ADA, "--json")
    assert (status, err) == (0, "")
    told = valid(out, "gpg-setup")
    assert (told["made"], told["name"]) == (3, ADA)
    status, out, _ = run("gpg", "import", "--json")
    assert status == 0
    (again,) = valid(out, "gpg-import")["certificates"]
    assert again == {name: told[name] for name in again}
    status, out, _ = run("gpg", "status", "--json")
    (seen,) = valid(out, "gpg-status")["certificates"]
    assert (seen["state"], seen["usable"], seen["fingerprint"]) == ("good", True, told["fingerprint"])
    assert (seen["name"], told["state"]) == (ADA, "good")
    status, out, _ = run("gpg", "status")
    assert status == 0
    assert b"in gpg       good" in out
    assert b"does not use" not in out


LONG = "Christina Schneider <christina.schneider@universitaet-x.example>"


def test_a_certificate_whose_name_the_device_has_no_room_for_is_found_again(run, reached, tmp_path, request):
    first = json.loads(run("gpg", "setup", "--name", LONG, "--json")[1])
    again = json.loads(run("gpg", "setup", "--name", LONG, "--json")[1])
    assert (again["fingerprint"], again["made"]) == (first["fingerprint"], 0)
    nameless = json.loads(run("gpg", "setup", "--json")[1])
    assert (nameless["fingerprint"], nameless["name"]) == (first["fingerprint"], LONG)
    assert json.loads(run("gpg", "status", "--json")[1])["certificates"][0]["name"] == LONG
    assert json.loads(run("gpg", "import", "--json")[1])["certificates"][0]["name"] == LONG
    # another machine, whose gpg does not know it
    other = tmp_path / "other"
    other.mkdir(mode=0o700)
    ends = ["gpgconf", "--homedir", other, "--kill", "all"]
    request.addfinalizer(lambda: subprocess.run(ends, check=False))
    for words in (["setup", "--name", LONG], ["setup"], ["import"]):
        status, _, err = run("gpg", *words, "--homedir", other)
        assert (status, first["fingerprint"] in err) == (2, True)
    reached.keys.refresh()
    assert len(reached.keys) == 3
    status, out, _ = run("gpg", "import", first["fingerprint"], "--name", LONG, "--homedir", other)
    assert (status, out.decode()) == (0, f"{first['fingerprint']} {LONG}\n")
    another = json.loads(run("gpg", "setup", "--new", "--name", LONG, "--homedir", other, "--json")[1])
    assert (another["fingerprint"] != first["fingerprint"], another["made"]) == (True, 3)
    status, _, err = run("gpg", "setup", "--name", LONG, "--homedir", other)
    assert (status, "2 certificates are there; 'hem gpg import' with a fingerprint takes one" in err) == (
        1,
        True,
    )


@pytest.mark.usefixtures("reached")
def test_what_keeps_gpg_agent_from_the_device_is_told(run, home):
    assert b"(it has its own smart card daemon): run 'hem gpg setup'" in run("gpg", "status")[1]
    run("gpg", "setup", "--name", ADA)
    program = home / "hem-scdaemon"
    program.write_text(program.read_text().replace(f"exec {sys.executable}", "exec /nowhere/python"))
    document = valid(run("gpg", "status", "--json")[1], "gpg-status")
    assert (document["ready"], "/nowhere/python" in document["trouble"]) == (False, True)
    program.unlink()
    told = run("gpg", "status")[1].decode()
    assert f"({program}: No such file or directory): run 'hem gpg import'" in told
    assert run("gpg", "import")[0] == 0
    assert valid(run("gpg", "status", "--json")[1], "gpg-status")["trouble"] is None


@pytest.mark.usefixtures("reached", "home")
def test_a_card_that_gpg_agent_does_not_see_is_told_in_the_daemons_words(run, monkeypatch):
    def spoiled(place, fingerprint):
        install(place, fingerprint)
        program = place / "hem-scdaemon"
        program.write_text("#!/bin/sh\necho OK\nwhile read -r line; do echo 'ERR 100663404 it rains'; done\n")

    monkeypatch.setattr(gpg_actions, "install", spoiled)
    status, out, err = run("gpg", "setup", "--name", ADA)
    assert (status, out) == (1, b"")
    assert "gpg-agent does not see the card" in err
    assert err.rstrip().endswith(": it rains")


@pytest.mark.usefixtures("reached")
def test_a_certificate_that_gpg_has_as_revoked_is_not_told_as_good(run, home):
    made = json.loads(run("gpg", "setup", "--name", ADA, "--json")[1])
    text = Path(made["revocation"]).read_text().replace("\n:---", "\n---")
    subprocess.run(["gpg", "--batch", "--quiet", "--import"], input=text, text=True, check=True)
    for words in (["setup", "--name", ADA], ["import"]):
        status, _, err = run("gpg", *words)
        assert (status, "Try it" in err) == (0, False)
        assert f"gpg has certificate {made['fingerprint']} as revoked" in err
    told = valid(run("gpg", "import", "--json")[1], "gpg-import")["certificates"]
    assert [each["state"] for each in told] == ["revoked"]
    another = valid(run("gpg", "setup", "--new", "--name", ADA, "--json")[1], "gpg-setup")
    assert (another["state"], another["fingerprint"] != made["fingerprint"]) == ("good", True)


@pytest.mark.usefixtures("reached")
def test_a_certificate_that_is_expired_can_be_prolonged(run, home):
    made = json.loads(run("gpg", "setup", "--name", ADA, "--json")[1])
    expire = ["gpg", "--batch", "--quiet", "--quick-set-expire", made["fingerprint"]]
    subprocess.run([*expire, "seconds=1"], check=True)
    for _ in CLOCK.looks(30, 0.5):
        status, _, err = run("gpg", "setup", "--name", ADA)
        if "as expired" in err:
            break
    assert (status, f"'gpg --quick-set-expire {made['fingerprint']} 2y' prolongs it" in err) == (0, True)
    subprocess.run([*expire, "2y"], check=True)
    assert "Try it" in run("gpg", "setup", "--name", ADA)[2]


def test_a_setup_that_was_interrupted_is_completed(run, reached):
    hem = reached
    sign = made(hem, Role.SIGN, ADA)
    status, out, _ = run("gpg", "setup", "--json")
    told = valid(out, "gpg-setup")
    assert (status, told["made"], told["name"]) == (0, 2, ADA)
    hem.keys.refresh()
    assert len(hem.keys) == 3
    assert sign.kid in {each.kid for each in hem.keys}


@pytest.mark.usefixtures("home")
def test_what_setup_cannot_do_is_said_before_anything_is_made(run, hem):
    made(hem, Role.SIGN, "Ada")
    other = made(hem, Role.SIGN, "Bob")
    hem.keys.create("SECP256R1", label="ecdsa", usage={"sign"})
    hem.keys.create("ED25519", label="taken", application_id=b"\1")
    hem.keys.create("ED25519", label="pen")
    before = len(hem.keys)
    for arguments, status, text in (
        (["--name", "A\nda"], 2, "--name: 4 bytes; accepted: a line"),
        (["--name", "x" * 600], 2, "--name: 600 bytes"),
        ([], 1, "2 certificates are there; say which by --name: "),
        (
            ["--name", "C", "--sign-key", "ecdsa"],
            2,
            "cannot sign for GnuPG; accepted: ED25519; GnuPG hands over digests",
        ),
        (["--name", "C", "--sign-key", "taken"], 2, "another application's"),
        (["--name", "C", "--sign-key", other.kid], 2, "of another certificate already"),
        (
            ["--name", "C", "--decrypt-key", "pen"],
            2,
            "cannot decrypt for GnuPG; accepted: CURVE25519 and SECP256R1",
        ),
        (["--name", "C", "--decrypt-key", "ecdsa"], 2, "was not made to decrypt"),
        (["--name", "C", "--sign-key", "pen", "--login-key", "pen"], 2, "one key is for one use"),
        (["--name", "C", "--sign-key", "nobody"], 5, "'nobody'"),
        (["--name", "Bob", "--sign-key", "pen"], 1, "has a key to sign already"),
    ):
        found, out, err = run("gpg", "setup", *arguments)
        assert (found, out) == (status, b""), (arguments, err)
        assert text in err
    hem.keys.refresh()
    assert len(hem.keys) == before


@pytest.mark.usefixtures("home", "configured")
def test_a_setup_without_a_name_asks_for_one(run):
    status, _, err = run("gpg", "setup")
    assert status == 2
    assert "--name is missing" in err


@pytest.mark.usefixtures("configured")
def test_without_gnupg_the_package_to_install_is_named(run, rig, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    status, _, err = run("gpg", "setup", "--name", ADA)
    assert status == 5
    assert "apt-get install gnupg" in err
    with rig.connect() as hem:
        assert len(hem.keys) == 0


def test_a_certificate_is_exported_as_text_and_chosen_by_name_or_fingerprint(run, hem, tmp_path):
    status, _, err = run("gpg", "export")
    assert (status, "'hem gpg setup' makes some" in err) == (5, True)
    made(hem, Role.SIGN, ADA)
    status, first, _ = run("gpg", "export")
    assert status == 0
    assert re.fullmatch(
        rb"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n[\s\S]*\n-----END PGP PUBLIC KEY BLOCK-----\n", first
    )
    made(hem, Role.SIGN, "Bob <bob@example.org>")
    status, _, err = run("gpg", "export")
    assert (status, "2 certificates are there; say which" in err) == (2, True)
    fingerprint = re.search(r"([0-9A-F]{40}) Ada", err)[1]
    for wanted in ("ada", "ADA@", fingerprint, fingerprint[-16:], f"0x{fingerprint[-8:].lower()}"):
        assert run("gpg", "export", wanted)[1] == first
    status, _, err = run("gpg", "export", "carol")
    assert (status, "no certificate is 'carol'" in err) == (5, True)
    assert run("gpg", "export", "")[0] == 5
    target = tmp_path / "ada.asc"
    assert run("gpg", "export", "ada", "-o", target)[0] == 0
    assert target.read_bytes() == first
    assert run("gpg", "export", "ada", "-o", target)[0] == 1
    assert run("gpg", "export", "ada", "--name", " ")[0] == 2


def test_a_certificate_whose_name_is_not_kept_wants_it(run, hem):
    made(hem, Role.SIGN)
    status, _, err = run("gpg", "export")
    assert (status, "give it by --name" in err) == (2, True)
    assert run("gpg", "export", "--name", ADA)[0] == 0


def test_gpg_agents_configuration_keeps_its_other_lines(tmp_path):
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    configuration = home / "gpg-agent.conf"
    configuration.write_bytes(b"# caf\xe9\nmax-cache-ttl 60\nscdaemon-program /usr/bin/other\n")
    configuration.chmod(0o600)
    with pytest.raises(HemConfigError, match="is /usr/bin/other already; --force"):
        check(home, force=False)
    check(home, force=True)
    install(home, "A" * 40)
    program = home / "hem-scdaemon"
    assert configuration.read_bytes() == b"# caf\xe9\nmax-cache-ttl 60\nscdaemon-program %s\n" % bytes(
        program
    )
    assert configured_program(home) == program
    assert program.stat().st_mode & 0o777 == 0o700
    install(home, "B" * 40)
    check(home, force=False)
    assert re.findall("--prefer ([AB])", program.read_text()) == ["B", "A"]
    assert configuration.read_bytes().count(b"scdaemon-program") == 1


def test_a_link_to_gpg_agents_configuration_leads_where_it_led(tmp_path):
    home, elsewhere = tmp_path / "gnupg", tmp_path / "settings"
    home.mkdir(mode=0o700)
    elsewhere.write_text("max-cache-ttl 60")  # without an end of its line
    configuration = home / "gpg-agent.conf"
    configuration.symlink_to(elsewhere)
    install(home, "A" * 40)
    assert configuration.is_symlink()
    assert elsewhere.read_text() == f"max-cache-ttl 60\nscdaemon-program {home / 'hem-scdaemon'}\n"


def test_the_program_knows_the_device_where_the_environment_does_not(tmp_path, monkeypatch):
    monkeypatch.setenv("HEM_URL", "https://it's.example")
    install(tmp_path / "g", "A" * 40)
    text = (tmp_path / "g" / "hem-scdaemon").read_text()
    assert """export HEM_URL='https://it'"'"'s.example'\n""" in text


def test_an_environment_that_names_a_device_is_not_mixed_with_the_one_of_the_setup(tmp_path, monkeypatch):
    monkeypatch.setenv("HEM_URL", "https://one.example")
    monkeypatch.setenv("HEM_PASSPHRASE_FILE", "/secret/one")
    install(tmp_path / "g", "A" * 40)
    program = tmp_path / "g" / "hem-scdaemon"
    program.write_text(program.read_text().replace(f"exec {sys.executable}", "exec env #"))

    def seen(**environment):
        done = subprocess.run(
            [str(program)],
            env={"PATH": os.environ["PATH"], **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        return dict(line.split("=", 1) for line in done.stdout.splitlines() if line.startswith("HEM_"))

    one = {"HEM_URL": "https://one.example", "HEM_PASSPHRASE_FILE": "/secret/one"}
    assert seen() == seen(HEM_URL="") == seen(HEM_URL="https://one.example") == one
    assert seen(HEM_PASSPHRASE_FILE="/secret/two") == one | {"HEM_PASSPHRASE_FILE": "/secret/two"}
    for other in ({"HEM_URL": "https://two.example"}, {"HEM_CONFIG": "/etc/two.toml"}):
        assert seen(**other) == other


def test_paths_mean_the_same_from_every_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEM_URL", "emulator:device.hem")
    monkeypatch.setenv("HEM_CA_FILE", "ca.pem")
    monkeypatch.setenv("HEM_PASSPHRASE_FILE", "~/secret")
    install(tmp_path / "g", "A" * 40)
    program = tmp_path / "g" / "hem-scdaemon"
    program.write_text(program.read_text().replace(f"exec {sys.executable}", "exec env #"))
    told = {
        "HEM_URL": f"emulator:{tmp_path}/device.hem",
        "HEM_CA_FILE": f"{tmp_path}/ca.pem",
        "HEM_PASSPHRASE_FILE": "~/secret",
    }
    for environment in ({"PATH": os.environ["PATH"]}, os.environ):
        done = subprocess.run(
            [str(program)], env=environment, cwd="/", capture_output=True, text=True, check=True
        )
        seen = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
        assert {name: seen[name] for name in told} == told


@pytest.mark.usefixtures("configured")
def test_the_daemon_says_how_it_is_started(run):
    status, _, err = run("scdaemon")
    assert (status, "give --multi-server, or --server" in err) == (2, True)


def test_a_conversation_by_hand(run, hem, tmp_path, monkeypatch):
    made(hem, Role.SIGN, ADA)
    log = tmp_path / "log"
    lines = b"SERIALNO\nLEARN --keypairinfo\nNONSENSE\nBYE\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines)))
    status, out, _ = run("scdaemon", "--server", "--log-file", log, "--homedir", tmp_path)
    assert status == 0
    assert [each[:3] for each in out.splitlines()] == [b"OK ", b"S S", b"OK", b"S K", b"OK", b"ERR", b"OK"]
    assert "no command 'NONSENSE'" in log.read_text()


def test_a_shelf_whose_only_device_is_away_says_why(rig):
    with rig.connect() as hem:
        made(hem, Role.SIGN, ADA)
        shelf = DeviceShelf([hem])
        (card,) = shelf.cards(fresh=True)
        assert not shelf.needs_pin(card)

        def away():
            raise HemUnreachable("office: cannot be reached")

        hem.keys.refresh = away
        shelf._devices[hem.config.name].listed = 0.0
        assert [each.serial for each in shelf.cards()] == [card.serial]
        with pytest.raises(HemUnreachable):
            shelf.cards(fresh=True)
