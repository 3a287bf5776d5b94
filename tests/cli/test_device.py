"""``hem device``: nothing is half done, what is lost is said before, what is done is looked at."""

from __future__ import annotations

import re

import pytest
from support.clocks import quick_clock
from support.owner import types_at_terminal, valid
from support.passphrases import PASSPHRASE
from support.traffic import LostReply

from hem_provider import waiting
from hem_provider.cli import device_actions, device_disks, device_settings, device_upgrade
from hem_provider.cli import main as cli
from hem_provider.device import administration
from hem_provider.device.ownsettings import ROWS

IMAGE = b"hem-provider emulator image 1.2.3\n" + bytes(100_000)


@pytest.fixture
def configured(rig, monkeypatch, tmp_path):
    """A configuration file for the device, which allows a wipe when ``allow`` says so."""
    passphrase = tmp_path / "passphrase"
    passphrase.write_text(f"{PASSPHRASE}\n")
    passphrase.chmod(0o600)
    path = tmp_path / "config.toml"

    def write(more=""):
        path.write_text(
            f'[[device]]\nname = "office"\nurl = "emulator:{rig.path}"\n'
            f'passphrase_file = "{passphrase}"\n{more}\n'
        )
        path.chmod(0o600)

    write()
    monkeypatch.setenv("HEM_CONFIG", str(path))
    return write


@pytest.fixture
def run(configured, capsys):
    """Runs ``hem device …``: its status, output and what it said."""

    def run(*arguments):
        capsys.readouterr()
        status = cli.main(["device", *map(str, arguments)])
        told = capsys.readouterr()
        return status, told.out, told.err

    return run


@pytest.fixture
def _quick(monkeypatch):
    """Waits take no time."""
    clock = quick_clock()
    for module in (administration, device_actions, device_disks, device_settings):
        monkeypatch.setattr(module, "CLOCK", clock)


def state_of(rig):
    with rig.device.model.transaction():
        return rig.device.model.state


# --- self-test ---


def test_a_selftest_tells_each_result_in_words(run, rig):
    status, out, said = run("selftest")
    assert (status, said) == (0, "")
    assert re.search(r"known-answer tests +each algorithm gives the known answers", out)
    assert re.search(r"secure element +answers", out)
    assert rig.count("POST /api/auth/token") == 1  # one login


def test_a_selftest_as_json_is_as_the_schema_says(run):
    document = valid(run("selftest", "--json")[1], "device-selftest")
    assert document["well"] is True
    assert all(each["well"] for each in document["tests"])


@pytest.mark.parametrize(
    ("bits", "test", "words"),
    [
        (0x01, "known-answer tests", "known-answer test failed"),
        (0x02, "random numbers", "random number source failed"),
        (0x04, "temperature", "too hot"),
        (0x08, "data integrity", "data integrity lost"),
        (0x10, "memory", "out of memory"),
        (0x20, "stack", "stack overflow"),
        (0x40, "lock by check-in", "locked by check-in"),
        (0x80, "shutdown by check-in", "shut down by check-in"),
        (0x100, "other faults", "bits 0x100 of the fail state, which nobody explains"),
    ],
)
def test_what_failed_is_told_and_ends_with_1(run, rig, monkeypatch, bits, test, words):
    hold = rig.connect()
    hold.admin.selftest()
    result = hold.admin.selftest()
    monkeypatch.setattr(
        administration.Administration,
        "selftest",
        lambda _: type(result)(bits, result.time, False, result.secure_element, result.repository),
    )
    status, out, said = run("selftest", "--json")
    found = {each["test"]: each for each in valid(out, "device-selftest")["tests"]}
    assert (status, found[test]["well"], found[test]["words"]) == (1, False, words)
    assert [each for each, row in found.items() if not row["well"]] == [test]
    status, out, said = run("selftest")
    assert words in out
    assert "not all is well" in said


@pytest.mark.usefixtures("_quick")
def test_tests_that_go_on_in_the_background_are_waited_for(run, rig, monkeypatch):
    original = administration.Administration.selftest
    seen = []

    def busy_twice(self):
        result = original(self)
        seen.append(1)
        return type(result)(0, result.time, len(seen) < 3, 7, result.repository)

    monkeypatch.setattr(administration.Administration, "selftest", busy_twice)
    status, out, _ = run("selftest")
    assert (status, len(seen)) == (1, 3)
    assert "fails with state 7" in out


def test_a_fresh_device_is_tested_without_a_login(run, rig):
    from hem_provider.emulator import lifecycle

    with rig.device.model.transaction():
        lifecycle.wipe(rig.device.model)
    assert run("selftest")[0] == 0
    assert rig.count("POST /api/auth/token") == 0


# --- power ---


def test_a_reboot_waits_until_it_is_back(run, rig):
    status, out, _ = run("reboot")
    assert status == 0
    assert re.fullmatch(
        r"office is back after \d+ s; all logins have ended\.\nIts clock is not set: .*\n", out
    )
    document = valid(run("reboot", "--json")[1], "device-reboot")
    assert document["clock_set"] is False


@pytest.mark.usefixtures("_quick")
def test_a_device_that_answers_at_first_is_not_taken_for_one_that_is_back(run, rig, monkeypatch):
    """It acts 2 s after its answer: what answers before that is the boot that was."""
    rig.fault("GET /api/system/reboot", 200)  # said yes, did nothing
    status, _, said = run("reboot")
    assert status == 1
    assert "has not restarted" in said


@pytest.mark.usefixtures("_quick")
def test_a_device_that_stays_away_is_told(run, rig, monkeypatch):
    rig.backend(latency={"restart": 10_000.0})
    status, _, said = run("reboot", "--wait", "5")
    assert status == 3
    assert "office: not back after" in said
    assert said.count("\n") == 1


def test_a_shutdown_asks_and_does_nothing_without_a_yes(run, rig, monkeypatch):
    status, _, said = run("shutdown")
    assert (status, "give --yes" in said) == (2, True)
    types_at_terminal(monkeypatch, "n\n")
    assert run("shutdown")[0] == 1
    assert rig.count("GET /api/system/shutdown") == 0
    assert rig.count("POST /api/auth/token") == 0  # nobody is asked for a passphrase before
    types_at_terminal(monkeypatch, "yes\n")
    status, out, _ = run("shutdown")
    assert (status, out) == (0, "office is off. Unplug it and plug it in again to use it.\n")
    assert not state_of(rig).powered


def test_a_shutdown_as_json_is_as_the_schema_says(run):
    assert valid(run("shutdown", "--yes", "--json")[1], "device-shutdown")["off"] is True


# --- disks ---


def test_disks_are_listed_without_a_login(run, rig):
    status, out, _ = run("disks", "list")
    assert status == 0
    assert re.search(r"0 +plain +\S+ GiB +read-only\n1 +encrypted +\S+ GiB +hidden\n", out)
    assert rig.count("POST /api/auth/token") == 0
    document = valid(run("disks", "list", "--json")[1], "device-disks-list")
    assert [each["shown"] for each in document["disks"]] == ["read-only", "hidden"]


def test_a_disk_is_shown_and_taken_away(run, rig):
    assert run("disks", "unlock", "encrypted")[1] == "office: disk 1 (encrypted) is read-only.\n"
    assert run("disks", "unlock", "1", "--writable")[1] == "office: disk 1 (encrypted) is writable.\n"
    document = valid(run("disks", "lock", "encrypted", "--json")[1], "device-disks-lock")
    assert (document["disk"], document["shown"]) == (1, "hidden")
    assert valid(run("disks", "unlock", "0", "--json")[1], "device-disks-unlock")["shown"] == "read-only"


@pytest.mark.usefixtures("_quick")
def test_a_disk_that_does_not_change_is_told(run, rig):
    rig.fault("GET /api/storage/unlock", 200)
    status, _, said = run("disks", "unlock", "1")
    assert status == 1
    assert "said yes, but disk 1 is hidden" in said


def test_a_rack_has_no_disks(run, rig, monkeypatch):
    from dataclasses import replace

    with rig.device.model.transaction():
        state = rig.device.model.state
        rig.device.model.state = replace(state, factory=replace(state.factory, model="epa"))
    assert run("disks", "list") == (0, "", "office has no disks: only USB devices do.\n")
    status, _, said = run("disks", "unlock", "0")
    assert (status, "no disk 0: only USB devices" in said) == (1, True)


def test_a_disk_that_there_is_not_is_told(run):
    status, _, said = run("disks", "unlock", "2")
    assert (status, "plain" in said) == (2, True)


# --- upgrade ---


@pytest.fixture
def image(tmp_path, _quick, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")  # no line is written again in place
    path = tmp_path / "firmware.bin"
    path.write_bytes(IMAGE)
    return path


def test_an_upgrade_tells_what_it_is_asks_and_reads_the_version_back(run, rig, image, monkeypatch):
    types_at_terminal(monkeypatch, "y\n")
    status, out, said = run("upgrade", image)
    assert status == 0
    assert out.startswith("office runs firmware 1.2.3 now; it was 1.2.2.\n")
    told = re.sub(r"[0-9a-f]{64}", "HASH", said)
    assert told == (
        f"file: firmware.bin, {len(IMAGE)} bytes\nSHA-256: HASH\nversion: 1.2.3 (as the file says)\n"
        "running: 1.2.2 on office\nsignature: good, the device has verified it\n"
        "Install it on office? It restarts. [y/N] "
    )
    assert rig.count("POST /api/auth/token") == 1


def test_an_upgrade_as_json_is_as_the_schema_says(run, image):
    document = valid(run("upgrade", image, "--yes", "--json")[1], "device-upgrade")
    assert (document["before"], document["after"]) == ("1.2.2", "1.2.3")


def test_what_is_declined_after_the_signature_is_not_installed(run, rig, image, monkeypatch):
    types_at_terminal(monkeypatch, "no\n")
    status, out, said = run("upgrade", image)
    assert (status, out) == (1, "")
    assert said.endswith("hem: nothing was done, as you say\n")
    assert rig.count("GET /api/system/upgrade/install_fw") == 0
    assert state_of(rig).firmware == "1.2.2"


def test_without_a_terminal_nothing_is_uploaded(run, rig, image):
    status, _, said = run("upgrade", image)
    assert (status, "give --yes" in said) == (2, True)
    assert rig.requests == []


def test_an_image_without_a_good_signature_is_not_installed(run, rig, image):
    image.write_bytes(bytes(5000))
    status, _, said = run("upgrade", image, "--yes")
    assert status == 1
    assert "version: not told by the file\n" in said
    assert "does not accept the image (BAD)" in said
    assert rig.count("GET /api/system/upgrade/install_fw") == 0


@pytest.mark.usefixtures("_quick")
def test_a_device_that_goes_on_with_the_old_firmware_is_told(run, rig, image):
    rig.fault("GET /api/system/upgrade/install_fw", 200)
    status, _, said = run("upgrade", image, "--yes")
    assert status == 1
    assert "has not restarted" in said


def test_a_version_that_is_not_the_files_is_told(run, rig, image, monkeypatch):
    monkeypatch.setattr(device_upgrade, "facts_of", lambda _: device_upgrade.ImageFacts(1, "0" * 64, "9.9"))
    status, _, said = run("upgrade", image, "--yes")
    assert status == 1
    assert "restarted with firmware 1.2.3, not 9.9; it was 1.2.2" in said


@pytest.mark.usefixtures("_quick")
def test_a_dashboard_is_installed_without_a_restart(run, rig, tmp_path):
    path = tmp_path / "webroot.tar"
    path.write_bytes(IMAGE)
    status, out, said = run("upgrade", path, "--dashboard", "--yes")
    assert (status, out) == (0, "office has the new dashboard; its firmware is 1.2.2 still.\n")
    assert "version" not in said


@pytest.mark.parametrize(
    ("content", "status", "told"),
    [
        (b"", 1, "is empty"),
        (bytes(3 * 1024 * 1024 + 1), 1, "over 3145728 bytes; no firmware is larger"),
        (bytes(257) + b"ustar" + bytes(300), 2, "give --dashboard"),
    ],
    ids=["empty", "large", "archive"],
)
def test_a_file_that_is_no_image_is_refused_before_anything_is_sent(run, rig, image, content, status, told):
    image.write_bytes(content)
    found, _, said = run("upgrade", image, "--yes")
    assert (found, told in said) == (status, True)
    assert rig.requests == []


def test_a_file_that_is_not_there_or_a_folder_is_told(run, tmp_path):
    for path in (tmp_path / "nothing", tmp_path):
        status, _, said = run("upgrade", path, "--yes")
        assert status == 1
        assert str(path) in said
        assert said.count("\n") == 1


def test_an_interrupted_upload_leaves_the_firmware_as_it_was(run, rig, image, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(administration.Administration, "stage", interrupted)
    assert run("upgrade", image, "--yes")[0] == 130
    assert state_of(rig).firmware == "1.2.2"


def test_a_fresh_device_is_upgraded_without_a_login(run, rig, image):
    from hem_provider.emulator import lifecycle

    with rig.device.model.transaction():
        lifecycle.wipe(rig.device.model)
    assert run("upgrade", image, "--yes")[0] == 0
    assert state_of(rig).firmware == "1.2.3"
    assert rig.count("POST /api/auth/token") == 0


# --- the device's own settings ---


def test_settings_are_shown_with_what_they_mean(run, rig):
    status, out, _ = run("config", "show")
    assert status == 0
    assert re.search(r"^hostname +my\.ence\.do +the name that the device is reached by", out, re.M)
    assert rig.count("POST /api/auth/token") == 1
    one = run("config", "show", "trusted-backend")[1]
    assert one.startswith("trusted_backend: on\n  remote management: ")
    assert "  a change: off: a check-in sets the clock and nothing else" in one


def test_settings_as_json_are_as_the_schema_says_and_hold_no_secret(run):
    out = run("config", "show", "--json")[1]
    document = valid(out, "device-config-show")
    assert [each["name"] for each in document["settings"]] == list(ROWS)
    assert "nonce" not in out
    assert "spk" not in out


def test_a_change_is_told_asked_made_and_read_back(run, rig, monkeypatch):
    types_at_terminal(monkeypatch, "y\n")
    status, out, said = run("config", "set", "user=Ada", "request-deadline=1.5")
    assert status == 0
    assert out == "office: user is now Ada.\noffice: request_deadline is now 1.5 s.\n"
    assert said == (
        "user: Emulator -> Ada\n  holds at once\n"
        "request_deadline: no limit -> 1.5 s\n  slow lines are cut off when it is short\n"
        "Change these on office? [y/N] "
    )
    assert (state_of(rig).config.user, state_of(rig).config.dosprot) == ("Ada", 3)
    assert rig.count("POST /api/auth/token") == 1


def test_what_is_so_already_is_not_asked_or_written(run, rig, monkeypatch):
    types_at_terminal(monkeypatch, "")
    assert run("config", "set", "trusted_time=yes") == (0, "office: trusted_time was already on.\n", "")
    assert rig.count("POST /api/system/config") == 0


def test_a_change_as_json_is_as_the_schema_says(run):
    document = valid(
        run("config", "set", "hsts=on", "user=Emulator", "--yes", "--json")[1], "device-config-set"
    )
    assert [each["changed"] for each in document["settings"]] == [True, False]


@pytest.mark.parametrize(
    ("typed", "status", "told"),
    [
        ("usr=Ada", 1, "no setting 'usr'; did you mean user?"),
        ("owner=Ada", 1, "did you mean user?"),
        ("ownr=Ada", 1, "did you mean user?"),
        ("ip=1.2.3.4", 1, "did you mean address?"),
        ("zzz=1", 1, "there are: user, email,"),
        ("hostname=x.ence.do", 2, "hostname cannot be changed: fixed when the device is brought into use"),
        ("address=10.0.0.1", 2, "address cannot be changed"),
        ("user", 2, "write NAME=VALUE"),
        ("user=", 2, "user: ''; accepted: 1 to 64 printable characters"),
        (f"user={'x' * 65}", 2, "accepted: 1 to 64 printable characters"),
        ("user=a\x1bb", 2, "printable"),
        ("trusted_time=perhaps", 2, "accepted: on or off"),
        ("context=-1", 2, "a whole number from 0 to 2147483647"),
        ("context=١", 2, "a whole number"),
        ("origin=example.org", 2, "accepted: * for all, https://HOST[:PORT] for one, or *.DOMAIN"),
        ("origin=https://x:99999", 2, "a port from 1 to 65535"),
        ("request_deadline=9", 2, "off, 0.5, 1, 1.5 or 2 seconds"),
        ("storage_mode=7-hidden", 2, "5-hidden, 5-read-only, 5-writable, A-hidden"),
        ("disk0_sectors=1", 2, "512MiB or 4GiB"),
    ],
)
def test_a_setting_that_is_none_is_told_before_anything_is_asked(run, rig, typed, status, told):
    found, out, said = run("config", "set", typed, "--yes")
    assert (found, out) == (status, "")
    assert told in said
    assert said.count("\n") == 1
    assert rig.requests == []


def test_one_bad_setting_keeps_the_good_ones_from_being_made(run, rig):
    assert run("config", "set", "user=Ada", "hsts=perhaps", "--yes")[0] == 2
    assert run("config", "set", "user=Ada", "user=Eve", "--yes")[0] == 2
    assert state_of(rig).config.user == "Emulator"


@pytest.mark.parametrize(
    ("typed", "attribute", "value"),
    [
        ("email=ada@example.org", "email", "ada@example.org"),
        ("origin=*.ence.do", "origin", "*.ence.do"),
        ("origin=https://my.ence.do:8443", "origin", "https://my.ence.do:8443"),
        ("dns_server=on", "dnsd", True),
        ("trusted_time=off", "trusted_ts", False),
        ("trusted_backend=0", "trusted_backend", False),
        ("anonymous_search=no", "allow_keysearch", False),
        ("context=7", "ctx", 7),
        ("hsts=1", "hsts", True),
        ("request_deadline=0.5s", "dosprot", 1),
        ("storage_mode=a-writable", "storage_mode", 0xA3),
        ("disk0_sectors=1GiB", "storage_disk0size", 2**30 // 512),
    ],
)
def test_every_setting_that_can_be_changed_is(run, rig, typed, attribute, value):
    status, out, _ = run("config", "set", typed, "--yes")
    assert status == 0
    assert "is now" in out
    found = getattr(state_of(rig).config, attribute)
    assert found in ((value, value - 1) if attribute == "storage_disk0size" else (value,))


def test_the_table_has_all_that_the_device_lets_be_changed():
    assert {name for name, row in ROWS.items() if row.kind is not None} == set(administration.SETTINGS)


def test_what_formats_a_disk_takes_the_name(run, rig, monkeypatch):
    types_at_terminal(monkeypatch, "y\n")
    status, _, said = run("config", "set", "storage_mode=5-hidden")
    assert status == 1
    assert "FORMATS disk 0" in said
    assert "what was typed is not office" in said
    assert rig.count("POST /api/system/config") == 0
    types_at_terminal(monkeypatch, "office\n")
    assert run("config", "set", "storage_mode=5-hidden")[0] == 0


def test_a_setting_that_the_device_does_not_keep_is_told(run, rig, monkeypatch):
    monkeypatch.setattr(administration.Administration, "configure", lambda *_, **__: None)
    status, _, said = run("config", "set", "user=Ada", "--yes")
    assert status == 1
    assert "said yes, but user is Emulator; nothing was changed" in said


def test_a_phone_may_look_but_not_change(run, rig, hem):
    pairing = hem.phones.begin()
    with rig.phone() as phone:
        phone.pair(pairing.link)
    pairing.wait(5)
    assert run("config", "show", "user", "--mobile")[0] == 0
    status, out, _ = run("config", "set", "user=Eve", "--yes", "--mobile", "--json")
    assert (status, valid(out, "error")["error"]) == (4, "HemScopeDenied")
    assert state_of(rig).config.user == "Emulator"


# --- wipe ---


def test_a_wipe_is_refused_unless_the_configuration_allows_it(run, rig):
    status, _, said = run("wipe", "--yes")
    assert status == 1
    assert (
        "does not allow a wipe; nothing was done. Where it is meant: hem config set office.allow_wipe true"
        in said
    )
    assert rig.requests == []


def test_a_wipe_names_what_is_lost_and_takes_the_name(run, rig, hem, configured, monkeypatch):
    configured("allow_wipe = true")
    for label in ("ada", "web"):
        hem.keys.create("ED25519", label=label)
    types_at_terminal(monkeypatch, "offce\n")
    status, _, said = run("wipe")
    assert status == 1
    assert "- 2 keys: ada, web; what was encrypted for them stays closed" in said
    assert "Type office to go on:" in said
    assert rig.labels()[-2:] == ["ada", "web"]
    types_at_terminal(monkeypatch, "office\n")
    status, out, _ = run("wipe")
    assert status == 0
    assert out.startswith("office is wiped: 2 keys destroyed.")
    assert state_of(rig).config is None


def test_a_wipe_without_a_terminal_takes_yes(run, rig, configured):
    configured("allow_wipe = true")
    assert run("wipe")[0] == 2
    assert rig.requests == []
    document = valid(run("wipe", "--yes", "--json")[1], "device-wipe")
    assert document == {"device": "office", "keys_destroyed": 0, "answers": True}


@pytest.mark.usefixtures("_quick")
def test_a_wipe_that_was_not_made_is_told(run, rig, configured):
    configured("allow_wipe = true")
    rig.fault("POST /api/system/config", 200)
    status, out, said = run("wipe", "--yes")
    assert (status, out) == (1, "")
    assert "said yes, but was not wiped" in said


def test_a_lost_answer_to_a_wipe_is_looked_into(run, rig, configured):
    configured("allow_wipe = true")
    rig.fault("POST /api/system/config", LostReply)
    assert run("wipe", "--yes")[0] == 0
    assert state_of(rig).config is None


# --- all of them ---

EVERY = [
    ["selftest"],
    ["reboot"],
    ["shutdown", "--yes"],
    ["disks", "list"],
    ["disks", "unlock", "0"],
    ["disks", "lock", "0"],
    ["config", "show"],
    ["config", "set", "user=Ada", "--yes"],
]


@pytest.mark.parametrize("arguments", EVERY, ids=" ".join)
def test_a_device_that_is_away_and_one_that_there_is_not_have_their_statuses(run, monkeypatch, arguments):
    status, out, _ = run(*arguments, "--device", "ofice", "--json")
    assert (status, valid(out, "error")["error"]) == (5, "HemDeviceNotConfigured")
    assert "did you mean 'office'? There are: office" in out
    monkeypatch.delenv("HEM_CONFIG")
    monkeypatch.setenv("HEM_URL", "https://127.0.0.1:1")
    monkeypatch.setenv("HEM_PASSPHRASE_FILE", "/nowhere")
    status, out, _ = run(*arguments, "--json")
    assert (status, valid(out, "error")["error"]) == (3, "HemUnreachable")


@pytest.mark.parametrize("arguments", [each for each in EVERY if each != ["disks", "list"]], ids=" ".join)
def test_a_wrong_passphrase_is_a_refusal(run, tmp_path, arguments):
    (tmp_path / "passphrase").write_text("wrong\n")
    status, out, _ = run(*arguments, "--json")
    assert (status, valid(out, "error")["error"]) == (4, "HemAuthenticationError")


def test_the_clock_that_waits_are_measured_with_is_one():
    assert device_actions.CLOCK is waiting.CLOCK
