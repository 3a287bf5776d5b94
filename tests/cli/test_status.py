"""``hem status``: a device and what this machine uses it for, on one screen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
from cli.test_keys import valid
from support.agent import RunningAgent
from support.emulator import ServedEmulator, client_of
from support.passphrases import PASSPHRASE

from hem_provider.adapters import p11kit
from hem_provider.cli import machine
from hem_provider.cli import main as cli
from hem_provider.cli.built import module_path
from hem_provider.cli.wording import certificate_line, clock_line, until
from hem_provider.device.contact import Certificate, Glance, Trust
from hem_provider.device.health import of_certificate
from hem_provider.errors import HemUnreachable


@pytest.fixture(autouse=True)
def _modules(monkeypatch, tmp_path):
    """Where p11-kit looks is a directory of the test."""
    monkeypatch.setattr(p11kit, "directories", lambda: (tmp_path / "modules",))


@pytest.fixture
def device(rig, monkeypatch, tmp_path):
    passphrase = tmp_path / "passphrase"
    passphrase.write_text(f"{PASSPHRASE}\n")
    passphrase.chmod(0o600)
    monkeypatch.setenv("HEM_URL", f"emulator:{rig.path}")
    monkeypatch.setenv("HEM_PASSPHRASE_FILE", str(passphrase))
    return rig


@pytest.fixture
def run(capsys):
    """Runs ``hem status``: its status, and what it printed."""

    def run(*arguments):
        capsys.readouterr()
        status = cli.main(["status", *arguments])
        return status, capsys.readouterr().out

    return run


@pytest.fixture
def look(run):
    """Runs ``hem status --json``: its status and document."""

    def look(*arguments):
        status, out = run("--json", *arguments)
        document = valid(json.loads(out), "status")
        assert document["status"] == status
        return status, document

    return look


def lines_of(text):
    """Title → what is told."""
    return {line[2:15].strip(): line[15:].strip() for line in text.splitlines() if len(line) > 15}


def test_one_screen_tells_of_the_device_and_this_machine(device, run):
    status, out = run()
    lines = lines_of(out)
    assert status == 0
    assert out.startswith("hem: the emulator, which protects nothing\n")
    assert lines["model"] == "USB device (PPA rev 2.2 EMULATOR)"
    assert lines["firmware"].startswith("Encedo nGINE FW v1.2.2; Encedo Secure Bootloader")
    assert lines["state"].startswith("healthy; up for ")
    assert lines["state"].endswith(", 41.5 °C")
    assert lines["clock"].endswith("UTC, as this machine")
    assert lines["storage"] == "disk 0: 4.0 GiB, to read only; disk 1: 3.4 GiB, not shown"
    assert lines["agent"] == "none runs"
    assert lines["keyring"] == "no vault"
    assert len(out.splitlines()) <= 24, "one screen"


def test_nothing_is_logged_in_and_three_calls_are_made(device, look):
    _, document = look()
    assert device.requests == ["GET /api/system/status", "GET /api/system/version", "GET /api/auth/token"]
    assert (document["calls"], document["logins"], document["login"]) == (3, 0, None)


def test_the_document_says_what_the_device_says(device, look):
    status, document = look()
    told = device.call("GET", "/api/system/status").json()
    challenge = device.call("GET", "/api/auth/token").json()
    assert (status, document["reached"], document["emulator"]) == (0, True, True)
    assert (document["identity"], document["owner"]) == (challenge["eid"], challenge["lbl"])
    assert (document["storage"], document["temperature"]) == (told["storage"], told["temp"])
    assert abs(document["time"] - told["time"]) <= 2
    assert abs(document["drift"]) < 2
    assert document["findings"] == []
    assert document["machine"]["pkcs11"] == {"module": str(module_path()), "registered": False}


def test_a_login_tells_more(device, look, run):
    with device.connect() as hem:
        hem.keys.create("ED25519", label="a")
        hem.keys.create("ED25519", label="b")
        hem.keys.create("AES256", label="c")
        serial = hem.admin.configuration().device_id
    device.requests.clear()
    _, document = look("--login")
    assert document["login"]["keys"] == {"AES256": 1, "ED25519": 2}
    assert document["login"]["serial"] == serial
    assert document["login"]["log_files"] == 1
    assert document["calls"] == len(device.requests)
    assert document["logins"] == 3
    _, out = run("--login")
    assert lines_of(out)["keys"] == "3: 1 AES256, 2 ED25519"
    assert lines_of(out)["serial"] == serial
    assert lines_of(out)["settings"].startswith("trusted time on, ")


def test_a_wrong_passphrase_has_its_status(device, capsys, tmp_path):
    (tmp_path / "passphrase").write_text("wrong\n")
    assert cli.main(["status", "--login", "--json"]) == 4
    assert valid(json.loads(capsys.readouterr().out), "error")["error"] == "HemAuthenticationError"
    assert cli.main(["status", "--json"]) == 0


def test_a_device_that_is_away_is_told_with_what_is_known_here(device, look, run, monkeypatch):
    look("--login")
    monkeypatch.setattr("hem_provider.rest.wsgi.WsgiTransport.send", _away)
    status, document = look("--login")
    assert (status, document["reached"], document["login"]) == (3, False, None)
    assert document["machine"]["keys_remembered"] is not None
    assert [each["name"] for each in document["findings"]] == ["unreachable"]
    status, out = run()
    assert status == 3
    assert "✘ reached" in out
    assert lines_of(out)["remembered"] == "2 records of the device's keys"
    assert "✘ it is away\n" in out


@pytest.mark.parametrize(
    ("fault", "name", "advice"),
    [
        (401, "status-refused", "look what is at this address"),
        (403, "status-refused", "look what is at this address"),
        (404, "status-refused", "look what is at this address"),
        (429, "status-refused", "look what is at this address"),
        (409, "device-busy", "wait, and try again"),
        (500, "device-error", "unplug the device"),
    ],
)
def test_a_device_that_refuses_its_status_is_reached(device, look, run, fault, name, advice):
    for _ in range(3):
        device.fault("GET /api/system/status", fault)
    status, document = look()
    assert (status, document["status"], document["reached"]) == (1, 1, True)
    (found,) = document["findings"]
    assert found["name"] == name
    assert f"it answers HTTP {fault} to what needs no login" in found["cause"]
    assert advice in found["advice"]
    for word in ("passphrase", "phone", "hem status"):
        assert word not in found["advice"]
    status, out = run()
    assert status == 1
    assert "✘ reached      yes, but it does not answer as a HEM\n" in out


def _away(*_):
    raise HemUnreachable("it is away")


def test_what_is_wrong_stands_out_with_cause_and_advice(device, run, look):
    device.fls(4)
    device.set_clock(4000)
    status, out = run()
    assert status == 0, "it was reached; hem doctor judges"
    assert "✘ state" in out
    assert "✘ clock" in out
    assert "✔ firmware" in out
    assert "✘ fail state: too hot\n  → let it cool down" in out
    assert out.endswith("hem doctor looks further.\n")
    assert [each["name"] for each in look()[1]["findings"]] == ["too-hot", "clock-ahead"]


def test_an_unset_clock_and_a_fresh_device_are_no_errors(device, look, run):
    with device.device.model.transaction():
        device.device.model.change_boot(rtc_set=False)
    status, document = look()
    assert (status, document["time"], document["drift"], document["identity"]) == (0, None, None, None)
    assert [each["name"] for each in document["findings"]] == ["clock-unset"]
    assert lines_of(run()[1])["clock"] == "not set"
    with device.device.model.transaction():
        device.device.model.state = replace(device.device.model.state, config=None)
    status, document = look()
    assert (status, document["initialised"]) == (0, False)
    assert "factory-fresh" in lines_of(run()[1])["state"]


def test_the_last_check_in_from_here_is_remembered(device, look, run):
    assert look()[1]["machine"]["last_check_in"] is None
    assert lines_of(run()[1])["check-in"] == "done since its last start; none from this machine"
    with device.connect() as hem:
        hem.check_in()
    assert lines_of(run()[1])["check-in"] == "done since its last start; from here just now"
    assert look()[1]["machine"]["last_check_in"] > 0


def test_what_one_call_cannot_tell_leaves_the_others(device, look):
    device.order(name="garbage", endpoint="GET /api/system/version")
    status, document = look()
    assert (status, document["firmware"]) == (0, None)
    assert document["identity"] is not None
    assert [each["name"] for each in document["findings"]] == ["answer-untrue"]


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_lines_fit_the_terminal(device, run, monkeypatch, columns):
    device.fls(6)
    monkeypatch.setenv("COLUMNS", str(columns))
    for line in run("--login")[1].splitlines():
        assert len(line) <= columns or " " not in line[15:].strip(), line


def test_signs_are_words_where_the_terminal_has_no_others(device):
    device.fls(4)
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "hem_provider.cli.main", "status"],
        env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    text = done.stdout.decode("ascii")
    assert done.returncode == 0
    assert "\\" not in text
    assert "FAIL state" in text
    assert "41.5 C" in text


def test_several_devices_need_a_name(capsys, monkeypatch, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('[[device]]\nname = "a"\nurl = "https://a"\n[[device]]\nname = "b"\nurl = "https://b"\n')
    path.chmod(0o600)
    monkeypatch.setenv("HEM_CONFIG", str(path))
    assert cli.main(["status"]) == 1
    assert "say which device by its name: a, b" in capsys.readouterr().err


# --- over real TLS, and with an agent ---


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with ServedEmulator(tmp_path_factory.mktemp("served")) as emulator:
        yield emulator


def test_the_certificate_is_looked_at(served, look, run, monkeypatch):
    monkeypatch.setenv("HEM_URL", served.https)
    monkeypatch.setenv("HEM_CA_FILE", str(served.ca_file))
    _, document = look()
    certificate = document["certificate"]
    assert (certificate["trust"], document["addresses"]) == ("good", ["127.0.0.1"])
    assert 80 < certificate["days_left"] <= 90
    with client_of(served, pin_sha256=certificate["pin_sha256"]) as hem:
        assert hem.status().initialized, "it is the pin that settings take"
    monkeypatch.setenv("COLUMNS", "100")
    assert ", by hem-provider emulator CA" in " ".join(run()[1].split())
    monkeypatch.delenv("HEM_CA_FILE")
    monkeypatch.setenv("HEM_INSECURE", "1")
    assert "not verified, as the settings say" in " ".join(run()[1].split())
    monkeypatch.delenv("HEM_INSECURE")
    status, document = look()
    assert (status, document["certificate"]["trust"]) == (3, "foreign authority")
    assert [each["name"] for each in document["findings"]] == ["certificate-foreign-ca"]


def test_an_agent_is_seen_and_gives_what_it_remembers(served, monkeypatch, look):
    with RunningAgent(served) as agent:
        for name, value in agent.environment.items():
            if name.startswith(("HEM_", "XDG_")):
                monkeypatch.setenv(name, value)
        _, document = look()
        assert document["machine"]["agent"]["running"] is True
        assert document["machine"]["agent"]["state"] in ("unlocked", "waiting")
        assert document["logins"] == 0


def test_who_asks_the_agent_for_ssh_is_found(monkeypatch, tmp_path):
    socket = tmp_path / "ssh.sock"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    assert machine.ssh(None) == machine.SshSeen(None, in_shell=False, configured=False)
    assert machine.ssh(str(socket)) == machine.SshSeen(str(socket), in_shell=False, configured=False)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text(f"Host *\n    IdentityAgent {socket}\n")
    assert machine.ssh(str(socket)) == machine.SshSeen(str(socket), in_shell=True, configured=True)


def test_a_vault_is_seen_and_whether_keyring_uses_it(monkeypatch, tmp_path):
    assert machine.keyring() == machine.KeyringSeen(None)
    vault = tmp_path / "vault"
    vault.touch()
    monkeypatch.setenv("KEYRING_PROPERTY_VAULT", str(vault))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    done = subprocess.run(
        [sys.executable, "-c", "from hem_provider.cli import machine; print(machine.keyring().chosen)"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout == "False\n"
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "hem_provider.adapters.keyring.HemKeyring")
    done = subprocess.run(
        [sys.executable, "-c", "from hem_provider.cli import machine; print(machine.keyring().chosen)"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout == "True\n"


def test_a_module_is_registered_where_p11_kit_is_told_of_this_very_one(tmp_path):
    assert machine.module().is_registered is False
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "hem.module").write_text(f"module: {module_path()}\n")
    assert machine.module().is_registered is True


@pytest.mark.parametrize(
    ("drift", "told"),
    [(0.4, "as this"), (-2, "as this"), (2, "as this"), (3, "3 s ahead of this"), (-3, "3 s behind this")],
)
def test_two_seconds_are_no_drift(drift, told):
    status = SimpleNamespace(time=0)
    assert clock_line(Glance(status, 0.1, drift)) == f"1970-01-01 00:00:00 UTC, {told} machine"


@pytest.mark.parametrize(
    ("days", "told"),
    [(89.99, "89 days left"), (2.0, "2 days left"), (-3.5, "ended 3 days ago"), (1.99, "47 hours left")],
)
def test_what_is_left_of_a_certificate_is_told_in_full_units_everywhere(days, told):
    assert until(days * 86_400) == told
    line = certificate_line(Certificate(Trust.GOOD, not_after=days * 86_400 + 9), 9)
    assert line.startswith("for no name, by no name, until ")
    assert f"({told})" in line
    if 0 < days < 7:
        (found,) = of_certificate(Certificate(Trust.GOOD, not_after=days * 86_400), 0)
        assert found.cause == f"the certificate ends in {told.removesuffix(' left')}"
