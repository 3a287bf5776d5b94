"""``hem config``: which file counts, what holds and why, every fault at once, changes that keep comments."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from support.owner import types_at_terminal, valid

from hem_provider.cli import main as cli
from hem_provider.config import load_config
from hem_provider.config.checking import file_faults, text_faults
from hem_provider.config.effective import effective
from hem_provider.errors import HemConfigError
from hem_provider.rest.tls import spki_sha256

FILE = """# my devices
[[device]]
name = "office"  # on the desk
url = "https://my.ence.do"
timeout = 20
cloud_proxy = "http://ada:s3cret@proxy:3128"
passphrase_command = ["echo", "s3cret"]

[[device]]
name = "spare"
url = "emulator:/nowhere"

[pkcs11]
login_cache = 0
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    """The file that counts."""
    path = tmp_path / "config.toml"
    path.write_text(FILE)
    path.chmod(0o600)
    monkeypatch.setenv("HEM_CONFIG", str(path))
    return path


@pytest.fixture
def run(capsys):
    """Runs ``hem config …``: its status, output and what it said."""

    def run(*arguments):
        capsys.readouterr()
        status = cli.main(["config", *map(str, arguments)])
        told = capsys.readouterr()
        return status, told.out, told.err

    return run


# --- path ---


def test_the_path_alone_is_printed_and_the_reason_is_told(run, file):
    status, out, said = run("path")
    assert (status, out) == (0, f"{file}\n")
    assert said.splitlines()[0] == f"* $HEM_CONFIG {file}: there"
    assert said.splitlines()[1] == "  $HEM_URL: not set"
    document = valid(run("path", "--json")[1], "config-path")
    assert document["path"] == str(file)
    assert [each["counts"] for each in document["places"]] == [True, False, False, False]


def test_the_personal_file_counts_where_nothing_is_set(run):
    status, out, said = run("path")
    assert (status, out) == (0, f"{os.environ['XDG_CONFIG_HOME']}/hem/config.toml\n")
    assert f"* personal {out.strip()}: there\n" in said


def test_with_a_url_in_the_environment_no_file_counts(run, monkeypatch):
    monkeypatch.setenv("HEM_URL", "https://my.ence.do")
    status, out, said = run("path")
    assert (status, out) == (0, "")
    assert "* $HEM_URL: names the device; no file is read\n" in said
    assert valid(run("path", "--json")[1], "config-path")["path"] is None


def test_one_place_counts_whatever_is_set(run, monkeypatch, tmp_path):
    from hem_provider.config import config_path
    from hem_provider.config.places import places

    for config in (None, str(tmp_path / "absent.toml")):
        for url in (None, "https://my.ence.do"):
            for name, value in (("HEM_CONFIG", config), ("HEM_URL", url)):
                if value is None:
                    monkeypatch.delenv(name, raising=False)
                else:
                    monkeypatch.setenv(name, value)
            (counting,) = [each for each in places() if each.counts]
            assert counting.path == config_path()


# --- show ---


def test_settings_are_told_with_where_they_come_from(run, file, monkeypatch):
    monkeypatch.setenv("HEM_AGENT", "never")
    status, out, _ = run("show")
    assert status == 0
    rows = [line.split(maxsplit=2) for line in out.splitlines()]
    assert ["office.timeout", "20", f"{file}, line 5"] in rows
    assert ["office.agent", "never", "HEM_AGENT"] in rows
    assert ["spare.name", "spare", f"{file}, line 10"] in rows
    assert ["pkcs11.login_cache", "0", f"{file}, line 14"] in rows
    assert "spare.timeout" not in out
    everything = run("show", "spare", "--all")[1]
    assert ["spare.timeout", "30", "default"] in [line.split() for line in everything.splitlines()]
    assert "office" not in everything


def test_no_secret_is_shown(run, file):
    for arguments in ([], ["--json"], ["--all"]):
        out = run("show", *arguments)[1]
        assert "s3cret" not in out
        assert "//…@proxy:3128" in out
        assert "echo" in out


def test_what_holds_as_json_is_as_the_schema_says(run, file):
    document = valid(run("show", "--json")[1], "config-show")
    assert [each["device"] for each in document["sections"]] == ["office", "spare", None]
    found = {row["setting"]: row for row in document["sections"][0]["settings"]}
    assert (found["timeout"]["value"], found["timeout"]["from"]) == (20, "file")
    assert (found["spacing"]["value"], found["spacing"]["place"]) == (0, None)


def test_the_environment_alone_is_shown_as_such(run, monkeypatch):
    monkeypatch.setenv("HEM_URL", "https://my.ence.do")
    monkeypatch.setenv("HEM_TIMEOUT", "12.5")
    rows = [line.split() for line in run("show")[1].splitlines()]
    assert ["hem.url", "https://my.ence.do", "HEM_URL"] in rows
    assert ["hem.timeout", "12.5", "HEM_TIMEOUT"] in rows


def test_nothing_configured_is_told(run):
    status, out, said = run("show")
    assert (status, out) == (0, "")
    assert "No device is configured" in said
    assert "hem config init" in said


def test_what_is_shown_is_what_is_loaded(file):
    config = load_config()
    for device, section in zip(config.devices, effective().sections, strict=False):
        for row in section.settings:
            if isinstance(row.value, bool | int | float):
                assert row.value == getattr(device, row.setting)


def test_another_name_is_guessed(run, file):
    status, out, said = run("show", "ofice")
    assert (status, out) == (5, "")
    assert "no device is called 'ofice'; did you mean 'office'? There are: office, spare" in said


# --- check ---


def test_a_good_file_has_no_faults(run, file):
    assert run("check") == (0, "", f"{file}: no faults.\n")
    assert valid(run("check", "--json")[1], "config-check") == {"source": str(file), "faults": []}


FAULTY = """[[device]]
name = "office"
url = "ftp://host"
timeot = 20
insecure = "yes"

[[device]]
url = "https://one"
slot = 1
insecure = true
ca_file = "/nowhere/ca.pem"

[[device]]
url = "https://two"
ca_file = "/nowhere/ca.pem"
passphrase_file = "/nowhere/passphrase"

[[device]]
url = "https://three"
passphrase_command = ["no-such-program"]

[[device]]
name = "without"

[devices]
[pkcs11]
login_cache = 1000
"""


def test_all_faults_are_told_with_their_lines(run, file):
    file.write_text(FAULTY)
    status, out, said = run("check")
    told = [
        "line 25: unknown setting 'devices'",
        "line 3: 'url': 'ftp://host'; accepted: https://HOST",
        "line 4: 'timeot': unknown setting; accepted: url, name",
        "line 5: 'insecure': 'yes'; accepted: true or false",
        "line 10: 'insecure': contradicts ca_file",
        "line 15: 'ca_file': CA file /nowhere/ca.pem: No such file",
        "line 16: 'passphrase_file': /nowhere/passphrase: cannot read",
        "line 20: 'passphrase_command': passphrase_command: there is no program 'no-such-program'",
        "line 22: 'url': missing",
        "two devices have name = 'hem'",
        "line 27: 'login_cache': 1000; accepted: seconds from 0 to 300",
    ]
    assert status == 1
    for each in told:
        assert each in out, each
    assert len(out.splitlines()) == len(told)
    assert "did you mean 'timeout'" in out
    assert said == f"{file}: 11 faults; hem config set and your editor mend them.\n"
    assert len(valid(run("check", "--json")[1], "config-check")["faults"]) == 11


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"device = [", "not valid TOML"),
        (b"\xff", "not UTF-8"),
        (b"device = 1\npkcs11 = 2", "write each device as a [[device]] table"),
        (b"#" * (1024 * 1024 + 1), "no configuration is as large"),
    ],
    ids=["toml", "bytes", "tables", "large"],
)
def test_a_file_that_is_none_is_told(run, file, content, told):
    file.write_bytes(content)
    status, out, _ = run("check")
    assert status == 1
    assert told in out
    with pytest.raises(HemConfigError):
        load_config()


def test_who_may_change_the_file_is_a_fault_beside_the_others(run, file):
    file.write_text('[[device]]\nurl = "https://h"\ntimeout = "soon"\n')
    file.chmod(0o666)
    status, out, _ = run("check")
    assert status == 1
    assert "others may write the configuration (mode 0666); run: chmod go-w" in out
    assert "'timeout': 'soon'" in out
    assert len(out.splitlines()) == 2


def test_a_secret_that_others_may_read_is_a_fault_and_stays_secret(run, file, tmp_path):
    secret = tmp_path / "passphrase"
    secret.write_text("correct horse\n")
    secret.chmod(0o644)
    file.write_text(f'[[device]]\nurl = "https://h"\npassphrase_file = "{secret}"\n')
    status, out, said = run("check")
    assert (status, "others may read the passphrase file" in out) == (1, True)
    assert "horse" not in out + said


def test_a_file_without_certificates_is_no_authority(run, file, tmp_path):
    (tmp_path / "ca.pem").write_text("hello")
    file.write_text(f'[[device]]\nurl = "https://h"\nca_file = "{tmp_path}/ca.pem"\n')
    assert "no PEM certificate in it" in run("check")[1]


def test_the_environment_is_checked_where_it_counts(run, monkeypatch):
    monkeypatch.setenv("HEM_URL", "https://my.ence.do")
    assert run("check") == (0, "", "the environment: no faults.\n")
    monkeypatch.setenv("HEM_TIMEOUT", "soon")
    monkeypatch.setenv("HEM_AUTH", "card")
    status, out, _ = run("check")
    assert (status, len(out.splitlines())) == (1, 2)
    assert "HEM_TIMEOUT: 'soon'" in out
    assert "HEM_AUTH: 'card'" in out


def test_a_file_that_is_not_there_is_told(run, file):
    file.unlink()
    status, out, said = run("check")
    assert (status, "No such file" in out, "hem config init" in said) == (1, True, True)


@pytest.mark.parametrize("fault", FAULTY.split("\n\n"), ids=range(6))
def test_whatever_is_refused_first_is_among_the_faults(file, fault):
    file.write_text(fault)
    written = text_faults(file, fault.encode())
    assert file_faults(file) != []
    if written:
        with pytest.raises(HemConfigError) as refused:
            load_config()
        assert str(refused.value) in written
    else:  # files that it names are looked at when they are used
        load_config()


def test_where_nothing_is_configured_there_is_no_fault(run, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    status, out, said = run("check")
    assert (status, out) == (0, "")
    assert said.endswith("so that no device is configured; hem config init writes it.\n")


# --- set ---


def test_a_setting_is_changed_and_comments_stay(run, file):
    status, out, _ = run("set", "office.timeout", "60")
    assert (status, out) == (0, f"office.timeout: 20 ({file}, line 5) -> 60 ({file}, line 5)\n")
    assert file.read_text() == FILE.replace("timeout = 20", "timeout = 60")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_setting_is_taken_away(run, file):
    out = run("set", "office.timeout", "--unset")[1]
    assert out == f"office.timeout: 20 ({file}, line 5) -> 30 (default)\n"
    assert load_config().device("office").timeout == 30


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("spacing", "0.15", 0.15),
        ("slot", "3", 3),
        ("insecure", "true", True),
        ("insecure", "1", True),
        ("key_filter", '["web*", "mail"]', ("web*", "mail")),
        ("ca_file", "/etc/ssl/ca.pem", Path("/etc/ssl/ca.pem")),
        ("auth", "mobile", "mobile"),
        ("max_calls", "17", 17),
        ("passphrase_command", "pass show hem", ("pass", "show", "hem")),
    ],
)
def test_each_kind_of_value_can_be_typed(run, file, name, typed, value):
    assert run("set", f"spare.{name}", typed)[0] == 0
    assert getattr(load_config().device("spare"), name) == value


def test_limits_of_a_firmware_can_be_typed(run, file):
    for typed in ("message=65536,descr=128", "{ message = 65536, descr = 128 }"):
        assert run("set", "spare.firmware_limits", typed)[0] == 0
        assert load_config().device("spare").firmware_limits.message == 65536


def test_the_modules_settings_and_a_devices_name_are_changed(run, file):
    assert run("set", "pkcs11.login_cache", "60")[1].startswith("pkcs11.login_cache: 0 (")
    assert load_config().pkcs11.login_cache == 60
    assert run("set", "spare.name", "cellar")[1].startswith("cellar.name: spare (")
    assert [each.name for each in load_config().devices] == ["office", "cellar"]


def test_one_device_needs_no_name(run, file):
    file.write_text('[[device]]\nurl = "https://h"\n')
    assert run("set", "timeout", "7")[0] == 0
    assert load_config().device().timeout == 7


def test_a_change_as_json_is_as_the_schema_says(run, file):
    document = valid(run("set", "office.timeout", "60", "--json")[1], "config-set")
    assert (document["before"]["value"], document["after"]["value"]) == (20, 60)


def test_a_variable_that_holds_instead_is_told(run, file, monkeypatch):
    monkeypatch.setenv("HEM_AGENT", "never")
    status, _, said = run("set", "office.agent", "always")
    assert (status, said) == (0, "HEM_AGENT is set and holds instead of the file.\n")


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["office.timeout", "soon"], 2, "office.timeout: 'soon'; accepted: seconds from 1 to 3600"),
        (["office.timeout", "nan"], 2, "office.timeout: 'nan'; accepted: seconds from 1 to 3600"),
        (["office.timeout", "inf"], 2, "office.timeout: 'inf'; accepted: seconds from 1 to 3600"),
        (["office.passphrase_command", '["sh"'], 2, "is not TOML"),
        (["office.passphrase_command", "[1]"], 2, "a non-empty line of text"),
        (["office.timeot", "1"], 1, "no setting 'timeot' of a device; did you mean timeout"),
        (["pkcs11.login", "1"], 1, "no setting 'login' of the PKCS#11 module; did you mean login_cache?"),
        (["ofice.timeout", "1"], 5, "did you mean 'office'?"),
        (["timeout", "1"], 1, "say which device by its name: office, spare"),
        (["office.url", "--unset"], 1, "'url': missing"),
        (["office.name", "spare"], 1, "two devices have name = 'spare'"),
        (["office.ca_file", "ca.pem"], 2, "an absolute path"),
        (["office.key_filter", "[1"], 2, "is not TOML"),
        (["office.timeout"], 2, "give a value, or --unset"),
        (["office.timeout", "1", "--unset"], 2, "give a value, or --unset"),
    ],
)
def test_a_change_that_cannot_be_is_told_and_nothing_is_written(run, file, arguments, status, told):
    found, out, said = run("set", *arguments)
    assert (found, out) == (status, "")
    assert told in said
    assert said.count("\n") == 1
    assert file.read_text() == FILE


def test_without_a_file_there_is_nothing_to_change(run, file, monkeypatch):
    file.unlink()
    status, _, said = run("set", "office.timeout", "1")
    assert (status, "hem config init" in said) == (1, True)
    monkeypatch.delenv("HEM_CONFIG")
    monkeypatch.setenv("HEM_URL", "https://my.ence.do")
    status, _, said = run("set", "hem.timeout", "1")
    assert (status, "HEM_URL names the device" in said) == (1, True)


# --- init ---


@pytest.fixture
def target(tmp_path, monkeypatch):
    """The file to make, which is not there."""
    path = tmp_path / "new" / "config.toml"
    monkeypatch.setenv("HEM_CONFIG", str(path))
    return path


def test_a_device_is_written_from_options_alone(run, target, served, tmp_path):
    status, out, said = run(
        "init", "--url", served.https, "--name", "office",
        "--ca-file", served.ca_file, "--passphrase-file", served.passphrase_file,
    )  # fmt: skip
    assert status == 0
    assert out == f"office is configured in {target}.\nhem keys list shows its keys.\n"
    assert f"{served.https} answers, and is in use.\n" in said
    (device,) = load_config().devices
    assert (device.name, device.url, device.ca_file) == ("office", served.https, served.ca_file)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_a_second_device_is_added_and_the_first_stays(run, file, served):
    status, out, _ = run("init", "--url", served.https, "--ca-file", served.ca_file, "--json")
    document = valid(out, "config-init")
    assert (status, document["device"], document["reached"]) == (0, "hem", True)
    assert file.read_text().startswith(FILE)
    status, _, said = run("init", "--url", served.https.upper().replace("HTTPS", "https"), "--name", "x")
    assert (status, "is configured already, as hem" in said) == (1, True)
    status, _, said = run("init", "--url", "https://other", "--name", "office", "--offline")
    assert (status, "called 'office' already" in said) == (1, True)


def test_a_certificate_that_nobody_vouches_for_is_compared_by_a_person(run, target, served, monkeypatch):
    certificate = subprocess.run(
        ["openssl", "s_client", "-connect", served.https.removeprefix("https://")],
        input=b"", capture_output=True, check=False, timeout=30,
    ).stdout  # fmt: skip
    fingerprint = subprocess.run(
        ["openssl", "x509", "-noout", "-fingerprint", "-sha256"],
        input=certificate, capture_output=True, check=True, timeout=30,
    ).stdout.decode()  # fmt: skip
    types_at_terminal(monkeypatch, "office\ny\na\ny\n")
    status, _, said = run("init", "--url", served.https)
    assert status == 0
    assert fingerprint.partition("=")[2].strip() in said  # as openssl prints it
    device = load_config().device("office")
    assert device.pin_sha256 in said
    der = subprocess.run(
        ["openssl", "x509", "-outform", "DER"], input=certificate, capture_output=True, check=True, timeout=30
    ).stdout
    assert device.pin_sha256 == spki_sha256(der)
    from hem_provider.device.hem import Hem

    with Hem(device) as hem:
        assert hem.status().initialized


def test_a_person_may_name_the_authority_instead(run, target, served, monkeypatch):
    types_at_terminal(monkeypatch, f"office\n{served.ca_file}\na\ny\n")
    status, _, said = run("init", "--url", served.https)
    assert status == 0
    assert f"  ca_file = {served.ca_file}\n" in said
    assert (load_config().device().ca_file, load_config().device().pin_sha256) == (served.ca_file, None)


def test_an_authority_that_does_not_vouch_for_it_ends_it(run, target, served, monkeypatch, tmp_path):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=other",
         "-keyout", tmp_path / "other.key", "-out", tmp_path / "other.pem"],
        capture_output=True, check=True, timeout=30,
    )  # fmt: skip
    types_at_terminal(monkeypatch, f"office\n{tmp_path}/other.pem\na\ny\n")
    assert run("init", "--url", served.https)[0] == 3
    assert not target.exists()


def test_a_certificate_that_is_not_the_devices_is_not_trusted(run, target, served, monkeypatch):
    types_at_terminal(monkeypatch, "office\nn\n")
    assert run("init", "--url", served.https)[0] == 1
    assert not target.exists()


def test_without_a_terminal_the_pin_is_told_and_nothing_written(run, target, served):
    status, _, said = run("init", "--url", served.https)
    assert (status, "give it as --pin" in said) == (3, True)
    assert not target.exists()
    pin = said.partition("public key, ")[2][:64]
    assert run("init", "--url", served.https, "--pin", pin)[0] == 0
    assert load_config().device().pin_sha256 == pin


def test_a_pin_of_another_key_is_refused(run, target, served):
    status, _, said = run("init", "--url", served.https, "--pin", "0" * 64)
    assert (status, "is pinned" in said or "pin" in said) == (3, True)
    assert not target.exists()


def test_a_device_that_is_away_takes_offline(run, target, monkeypatch):
    status, _, said = run("init", "--url", "https://127.0.0.1:1")
    assert (status, "--offline" in said) == (3, True)
    types_at_terminal(monkeypatch, "\nn\n")
    assert run("init", "--url", "https://127.0.0.1:1")[0] == 1
    assert not target.exists()
    types_at_terminal(monkeypatch, "\ny\na\ny\n")
    assert run("init", "--url", "https://127.0.0.1:1")[0] == 0
    assert load_config().device().url == "https://127.0.0.1:1"


def test_offline_asks_no_device(run, target):
    status, out, _ = run("init", "--url", "my.ence.do", "--offline", "--auth", "mobile", "--json")
    document = valid(out, "config-init")
    assert (status, document["reached"], document["initialized"]) == (0, None, None)
    assert load_config().device().url == "https://my.ence.do"
    assert load_config().device().auth == "mobile"


def test_everything_is_asked_for_where_a_person_is(run, target, monkeypatch):
    types_at_terminal(monkeypatch, "\n\nc\necho a phrase\ny\n")
    status, _, said = run("init", "--offline")
    assert status == 0
    for question in ("Where is the device?", "What do you call it?", "Where does the passphrase come from?"):
        assert question in said
    device = load_config().device()
    assert (device.url, device.name) == ("https://my.ence.do", "hem")
    assert device.passphrase_command == ("echo", "a", "phrase")


def test_whoever_stops_at_any_question_leaves_no_file(run, target, monkeypatch):
    answers = ["\n", "\n", "a\n"]
    for number in range(len(answers) + 1):
        types_at_terminal(monkeypatch, "".join(answers[:number]))
        status, _, said = run("init", "--offline")
        assert (status, said.endswith("the input ended before an answer was typed\n")) == (1, True)
        assert not target.exists()


def test_without_a_terminal_the_option_is_named(run, target):
    status, _, said = run("init")
    assert (status, "--url" in said) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["--url", "https://u:p@h"], 2, "--url"),
        (["--url", "h", "--name", "ü"], 2, "--name"),
        (["--url", "h", "--pin", "abc"], 2, "--pin"),
        (["--url", "h", "--passphrase-file", "/nowhere/p"], 1, "/nowhere/p"),
        (["--url", "h", "--passphrase-command", "no-such-program"], 1, "no-such-program"),
    ],
)
def test_a_bad_option_is_told_and_nothing_is_written(run, target, arguments, status, told):
    found, out, said = run("init", "--offline", *arguments)
    assert (found, out) == (status, "")
    assert told in said.splitlines()[-1]
    assert not target.exists()


def test_nothing_is_written_where_it_would_not_be_read(run, monkeypatch):
    monkeypatch.setenv("HEM_URL", "https://my.ence.do")
    status, _, said = run("init", "--url", "https://other", "--offline")
    assert (status, "unset it first" in said) == (1, True)


def test_a_target_that_cannot_be_written_is_told(run, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HEM_CONFIG", str(tmp_path / "file" / "config.toml"))
    status, _, said = run("init", "--url", "https://h", "--offline")
    assert status == 1
    assert said.splitlines()[-1].startswith("hem: ")
    status, out, _ = run("init", "--url", "https://h", "--offline", "--json")
    assert (status, valid(out, "error")["error"]) == (1, "NotADirectoryError")


def test_faults_of_a_file_do_not_depend_on_who_asks(file):
    assert file_faults(file) == text_faults(file, file.read_bytes()) == []


def test_a_command_is_a_list_as_toml_has_it(run, file):
    assert run("set", "office.passphrase_command", '["sh", "-c", "echo hi"]')[0] == 0
    assert 'passphrase_command = ["sh", "-c", "echo hi"]' in file.read_text()
    assert run("set", "office.passphrase_command", "pass show hem")[0] == 0
    assert 'passphrase_command = "pass show hem"' in file.read_text()
