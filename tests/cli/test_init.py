"""``hem init`` from options alone: what it leaves, what it refuses, and that it goes on when it was ended."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import jsonschema
import pytest
from support.traffic import LostReply, LostRequest

from hem_provider.cli import main as cli
from hem_provider.cli import phones_actions
from hem_provider.config import load_config
from hem_provider.device import Role
from hem_provider.emulator import lifecycle

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "init.json").read_text())
PASSPHRASE = "kite-lamp-ocean-9"
WORDS = "abandon " * 23 + "art"


@pytest.fixture
def fresh(rig, monkeypatch, tmp_path):
    """A factory-fresh device; the configuration is in a file that is not there yet."""
    with rig.device.model.transaction():
        lifecycle.wipe(rig.device.model)
    monkeypatch.setenv("HEM_CONFIG", str(tmp_path / "config" / "hem.toml"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    rig.requests.clear()
    return rig


@pytest.fixture
def secret(tmp_path):
    def secret(name, text):
        path = tmp_path / name
        path.touch(mode=0o600)
        path.write_text(f"{text}\n")
        return path

    return secret


@pytest.fixture
def run(fresh, capsys, secret):
    """Runs ``hem init`` with what it needs, and with more or other options."""

    def run(*arguments, **changed):
        options = {
            "address": f"emulator:{fresh.path}",
            "owner": "Ada",
            "passphrase-file": secret("passphrase", PASSPHRASE),
            "master-file": secret("master", WORDS),
            "key": "web",
            **{name.replace("_", "-"): value for name, value in changed.items()},
        }
        typed = [f"--{name}={value}" for name, value in options.items() if value is not None]
        capsys.readouterr()
        status = cli.main(["init", "--yes", *typed, *map(str, arguments)])
        return status, *capsys.readouterr()

    return run


def settings_of(rig, passphrase=PASSPHRASE):
    with rig.connect(passphrase) as hem:
        return hem.admin.configuration(), [each.label for each in hem.keys]


def left(folder):
    """Names of the files below a folder."""
    return sorted(each.name for each in folder.rglob("*") if each.is_file())


def test_a_fresh_device_is_ready_afterwards(fresh, run, tmp_path):
    status, out, said = run(email="ada@example.org", storage="hidden", disk_size=100, name="office")
    assert status == 0
    settings, keys = settings_of(fresh)
    assert (settings.user, settings.email, settings.hostname) == ("Ada", "ada@example.org", "my.ence.do")
    assert settings.storage_mode == 0x50
    assert settings.disk0_sectors in (100 * 2048, 100 * 2048 - 1)
    assert keys == ["web"]
    with fresh.connect(None) as hem:
        hem.login(WORDS, role=Role.MASTER, scope="system:config")
    device = load_config().device()
    assert (device.name, device.url) == ("office", f"emulator:{fresh.path}")
    path = tmp_path / "config" / "hem.toml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert out.startswith(
        f"office is ready at emulator:{fresh.path}. Write down, beside the master secret:\n"
    )
    assert settings.eid in out
    assert left(tmp_path / "data") == []
    for each in (PASSPHRASE, WORDS, "abandon"):
        assert each not in out + said + path.read_text()


def test_what_is_told_as_json_is_as_the_schema_says(fresh, run, tmp_path):
    status, out, _ = run("--json")
    document = json.loads(out)
    jsonschema.validate(document, SCHEMA)
    with fresh.connect(PASSPHRASE) as hem:
        assert document["key"] == hem.keys.find(label="web").kid
    assert (status, document["phone"]) == (0, None)
    assert document["configuration"] == str(tmp_path / "config" / "hem.toml")


def test_it_takes_two_logins(fresh, run):
    run()
    assert fresh.count("POST /api/auth/init") == 1
    assert fresh.count("POST /api/auth/token") == 2  # for the settings, and for the key


def test_an_initialised_device_is_left_alone(fresh, run, tmp_path, monkeypatch):
    assert run()[0] == 0
    with fresh.connect(PASSPHRASE) as hem:
        before = hem.admin.configuration().updated
    fresh.requests.clear()
    status, out, said = run("--json", name="other", passphrase_file="/nowhere")
    assert status == 1
    error = json.loads(out)
    assert error["error"] == "HemOperationFailed"
    assert "the device is initialised already, for 'Ada'" in error["message"]
    assert "hem device wipe" in error["message"]
    assert [each for each in fresh.requests if "POST" in each and "checkin" not in each] == []
    settings, keys = settings_of(fresh)
    assert (settings.user, settings.updated, keys) == ("Ada", before, ["web"])
    assert "Not all is done" not in said


@pytest.mark.parametrize(
    ("changed", "status", "told"),
    [
        ({"owner": None}, 2, "Whose device is it (shown at logins); give --owner"),
        ({"owner": ""}, 2, "--owner: 0 characters; accepted: 1 to 64"),
        ({"owner": "x" * 65}, 2, "--owner: 65 characters"),
        ({"email": "ada"}, 2, "--email: 3 characters; accepted: an address with '@'"),
        ({"hostname": "here"}, 2, "--hostname: 'here'; accepted: a whole name"),
        ({"storage": "odd"}, 2, "--storage: 'odd'; accepted: ro, rw, hidden"),
        ({"disk_size": "0"}, 2, "--disk-size: '0'; accepted: a whole number from 1 to 7580"),
        ({"disk_size": "9999999"}, 2, "--disk-size"),
        ({"name": "ключ"}, 2, "--name: 4 characters; accepted: 1 to 32 printable ASCII"),
        ({"name": "x" * 33}, 2, "--name: 33 characters"),
        ({"passphrase_file": None}, 2, "give --passphrase-file FILE"),
        ({"passphrase_file": "/nowhere"}, 1, "/nowhere"),
        ({"master_file": None}, 2, "give --master-file FILE"),
        ({"url": "ftp://x"}, 1, "'url'"),
        ({"key_type": "RSA"}, 2, "--key-type: type: 'RSA'; accepted:"),
        ({"firmware": "/nowhere"}, 1, "/nowhere"),
        ({"address": "https://127.0.0.1:1"}, 3, "no device was found"),
        ({"address": "odd"}, 1, "accepted: https://HOST"),
        ({"png": __file__}, 1, "there is such a file already; name another"),
    ],
    ids=str,
)
def test_what_is_missing_or_wrong_is_told_before_anything_is_done(fresh, run, changed, status, told):
    found, out, said = run(**changed)
    assert (found, out) == (status, "")
    assert told in said.splitlines()[-1]
    assert fresh.count("POST /api/auth/init") == 0


@pytest.mark.parametrize(
    ("passphrase", "master", "told"),
    [
        ("password1", WORDS, "passphrase of the device is weak"),
        ("Ada Ada", WORDS, "is weak"),
        (PASSPHRASE, PASSPHRASE, "the master secret is the passphrase"),
        (PASSPHRASE, "abandon " * 24, "mnemonic: the checksum is wrong"),
        (PASSPHRASE, "abandon " * 23 + "abandonn", "not in the BIP39 word list: word 24 of 24"),
        (PASSPHRASE, f"{PASSPHRASE}! ", "it begins or ends with a blank"),
        (PASSPHRASE, "abc", "master passphrase of the device is weak: it is guessed in"),
        (PASSPHRASE, f"{PASSPHRASE}9", "is weak"),
        (PASSPHRASE, "zoo ocean garlic lamp kite", "mnemonic: 5 words of the BIP39 word list; accepted: 24"),
        (PASSPHRASE, "zoo ocean garlic lamp ki", "mnemonic: 5 words of the BIP39 word list; accepted: 24"),
        (PASSPHRASE, "abandon " * 22 + "art", "mnemonic: 23 words of the BIP39 word list; accepted: 24"),
    ],
)
def test_secrets_that_are_not_fit_are_told_before_anything_is_done(
    fresh, run, secret, passphrase, master, told
):
    status, out, said = run(
        passphrase_file=secret("other", passphrase), master_file=secret("words", master.removesuffix("\n"))
    )
    assert (status, out) == (1, "")
    assert told in said.splitlines()[-1]
    assert fresh.count("POST /api/auth/init") == 0


def test_a_weak_master_passphrase_is_taken_where_that_is_said(fresh, run, secret):
    assert run("--weak", master_file=secret("words", "abc"))[0] == 0
    with fresh.connect(None) as hem:
        hem.login("abc", role=Role.MASTER, scope="system:config")


def test_without_yes_nobody_waits(fresh, capsys, secret):
    files = ["--passphrase-file", secret("p", PASSPHRASE), "--master-file", secret("m", WORDS)]
    arguments = ["--address", f"emulator:{fresh.path}", "--owner", "Ada", *files]
    assert cli.main(["init", *map(str, arguments)]) == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith("give --yes")
    assert fresh.count("POST /api/auth/init") == 0


def test_a_name_that_is_taken_is_told_and_the_next_one_is_the_default(fresh, run, tmp_path):
    path = tmp_path / "config" / "hem.toml"
    path.parent.mkdir()
    path.touch(mode=0o600)
    path.write_text('# mine\n[[device]]\nurl = "https://one.example"\n')
    status, _, said = run(name="hem")
    assert status == 2
    assert "--name: a device is called 'hem' already; there are: hem" in said
    assert run()[0] == 0
    assert [each.name for each in load_config().devices] == ["hem", "hem2"]
    assert path.read_text().startswith('# mine\n[[device]]\nurl = "https://one.example"\n')


def test_a_configuration_that_is_broken_or_not_ours_is_told_before_anything_is_done(fresh, run, tmp_path):
    path = tmp_path / "config" / "hem.toml"
    path.parent.mkdir()
    path.write_text("odd = 1\n")
    path.chmod(0o600)
    status, _, said = run()
    assert (status, "unknown setting 'odd'" in said) == (1, True)
    assert fresh.requests == []


def test_where_the_environment_names_the_device_nothing_is_written(fresh, run, monkeypatch, tmp_path):
    monkeypatch.delenv("HEM_CONFIG")
    monkeypatch.setenv("HEM_URL", f"emulator:{fresh.path}")
    document = json.loads(run("--json", address=None)[1])
    assert document["configuration"] is None
    assert document["url"] == f"emulator:{fresh.path}"


def test_a_fresh_device_that_has_failed_is_left_alone(fresh, run):
    fresh.fls(0x02)
    status, _, said = run()
    assert status == 1
    assert "the device has failed: random number source failed" in said


def test_without_the_cloud_it_says_what_it_needs(fresh, run):
    fresh.fault("CLOUD POST /checkin", 503)
    status, _, said = run()
    assert status == 1
    assert "check-in: the cloud service https://api.encedo.com answers HTTP 503" in said
    assert fresh.count("POST /api/auth/init") == 0


def test_firmware_is_installed_first_and_once(fresh, run, tmp_path, monkeypatch):
    image = tmp_path / "firmware.bin"
    image.write_bytes(b"hem-provider emulator image 1.2.9\n" + bytes(1000))
    monkeypatch.setattr("hem_provider.waiting.CLOCK.sleep", lambda _: None)
    status, _, said = run(firmware=image, owner=None)
    assert status == 2  # but the firmware is there
    assert "The device has Encedo nGINE FW v1.2.9 now." in said
    fresh.requests.clear()
    assert run(firmware=image)[0] == 0
    assert fresh.count("POST /api/system/upgrade") == 0
    image.write_bytes(b"not signed")
    with fresh.device.model.transaction():
        lifecycle.wipe(fresh.device.model)
    status, _, said = run(firmware=image, name="other")
    assert (status, "does not accept the image" in said) == (1, True)


def test_a_phone_is_paired_where_it_is_wanted(fresh, run, monkeypatch):
    def display(text, _image, **_):
        with fresh.phone() as phone:
            phone.pair(json.loads(text)["link"])

    monkeypatch.setattr(phones_actions, "_display", display)
    document = json.loads(run("--json", "--phone")[1])
    jsonschema.validate(document, SCHEMA)
    with fresh.connect(PASSPHRASE) as hem:
        assert [each.kid for each in hem.phones.list()] == [document["phone"]]


class Killed(BaseException):
    """The end, at once."""


def killed_at(rig, number, *, after):
    """Let what runs be killed at the request of this number: before it arrives, or before its answer does."""
    seen = []

    def strike(_line="", body=b""):
        seen.append(_line)
        if len(seen) == number:
            raise Killed
        return body

    if after:
        rig.alter = strike
    else:
        rig.before_each = strike


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(1, 29))
def test_killed_at_any_request_it_goes_on_and_nothing_is_lost_or_done_twice(
    fresh, run, tmp_path, number, after
):
    killed_at(fresh, number, after=after)
    try:
        status = run("--json", "--no-phone")[0]
    except Killed:
        status = None
    fresh.alter = fresh.before_each = None
    if status == 0:
        assert number > 15, "there are more requests than were tried"
        return
    begun = left(tmp_path / "data")
    for each in (tmp_path / "data").rglob("*.json"):
        assert stat.S_IMODE(each.stat().st_mode) == 0o600
        for word in (PASSPHRASE, "abandon"):
            assert word not in each.read_text()
    status, out, said = run("--json", "--no-phone")
    assert status == 0, said
    assert json.loads(out)["owner"] == "Ada"
    assert settings_of(fresh)[1] == ["web"]
    assert load_config().device().url == f"emulator:{fresh.path}"
    assert left(tmp_path / "data") == []
    assert len(begun) <= 1


def test_every_request_was_tried(fresh, run):
    run("--json", "--no-phone")
    assert 15 < len([each for each in fresh.requests if not each.startswith("CLOUD")]) < 29


@pytest.mark.parametrize("lost", [LostRequest, LostReply])
def test_a_lost_answer_of_the_initialisation_is_found_out(fresh, run, lost):
    fresh.fault("POST /api/auth/init", lost)
    status = run()[0]
    if lost is LostRequest:
        assert status != 0
        assert run()[0] == 0
    else:
        assert status == 0
    assert settings_of(fresh)[1] == ["web"]


def test_going_on_needs_the_passphrase_that_was_chosen(fresh, run, secret):
    fresh.fault("POST /api/keymgmt/create", 409)
    status, _, said = run()
    assert status == 1
    assert "Not all is done. The same command goes on from here: hem init\n" in said
    status, _, said = run(passphrase_file=secret("other", "another-one-of-mine"))
    assert status == 4
    assert run()[0] == 0


def test_answers_are_kept_where_it_was_broken_off_before_the_device_had_an_owner(fresh, run):
    assert run(master_file=None, email="ada@example.org", name="office")[0] == 2
    assert run(owner=None)[0] == 0
    settings, _ = settings_of(fresh)
    assert (settings.user, settings.email) == ("Ada", "ada@example.org")
    assert load_config().device().name == "office"


def test_a_full_disk_is_told_before_the_device_has_an_owner(fresh, run, monkeypatch):
    from hem_provider.cli.init import journal

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal, "replace_file", full)
    status, _, said = run()
    assert status == 1
    assert said.endswith("hem: No space left on device\n")
    assert fresh.count("POST /api/auth/init") == 0


def test_who_only_installed_firmware_here_did_not_begin_a_setup(fresh, run, tmp_path, monkeypatch):
    image = tmp_path / "firmware.bin"
    image.write_bytes(b"hem-provider emulator image 1.2.9\n")
    monkeypatch.setattr("hem_provider.waiting.CLOCK.sleep", lambda _: None)
    assert run(firmware=image, owner=None)[0] == 2
    assert left(tmp_path / "data") != []
    fresh.initialise()
    status, _, said = run()
    assert status == 1
    assert "the device is initialised already, for 'Emulator'" in said


def test_a_journal_that_is_damaged_is_named(fresh, run, tmp_path):
    run(master_file=None)
    (path,) = (tmp_path / "data").rglob("*.json")
    path.write_text("{}")
    status, _, said = run()
    assert status == 1
    assert f"{path}: is not what hem init has written; remove it" in said
