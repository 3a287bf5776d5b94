"""``hem device``, ``config`` and ``log`` at a terminal: whoever interrupts them leaves nothing half done, and
narrow terminals and other encodings are served."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest
from support.emulator import ServedEmulator, client_of
from support.terminal import HEM, Terminal

from hem_provider.cli import main as cli

INTERRUPT = b"\x03"


@pytest.fixture(scope="module")
def own_served(tmp_path_factory):
    """An emulator whose keys and settings are this module's."""
    with ServedEmulator(tmp_path_factory.mktemp("served")) as emulator:
        yield emulator


@pytest.fixture
def environment(own_served, tmp_path):
    """A configuration file for it that allows a wipe, and what else a program needs."""
    config = tmp_path / "config.toml"
    config.write_text(
        f'[[device]]\nname = "office"\nurl = "{own_served.https}"\nca_file = "{own_served.ca_file}"\n'
        f'passphrase_file = "{own_served.passphrase_file}"\nallow_wipe = true\n'
        f'cloud_url = "{own_served.cloud}"\ncloud_ca_file = "{own_served.ca_file}"\n'
    )
    config.chmod(0o600)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEM_")}
    return {**kept, "HEM_CONFIG": str(config), "TERM": "xterm", "LC_ALL": "C.UTF-8"}


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "firmware.bin"
    path.write_bytes(b"hem-provider emulator image 1.2.3\n" + bytes(1000))
    return path


@pytest.mark.parametrize(
    ("arguments", "question"),
    [
        (["device", "shutdown"], "Shut it down?"),
        (["device", "wipe"], "Type office to go on:"),
        (["device", "config", "set", "user=Eve"], "Change this on office?"),
        (["device", "config", "set", "storage_mode=5-hidden"], "Type office to go on:"),
        (["device", "upgrade", "{image}"], "Install it on office?"),
    ],
    ids=["shutdown", "wipe", "settings", "format", "upgrade"],
)
def test_an_interrupt_at_a_question_leaves_the_device_as_it_was(
    own_served, environment, image, arguments, question
):
    with client_of(own_served) as hem:
        before = hem.admin.configuration(), hem.version(), hem.status().uptime
        with Terminal([each.format(image=image) for each in arguments], environment) as terminal:
            terminal.press(INTERRUPT, after=question)
            assert terminal.end() == 130
            assert "Traceback" not in terminal.shown
        after = hem.admin.configuration(), hem.version(), hem.status().uptime
    assert (after[0].user, after[0].storage_mode) == (before[0].user, before[0].storage_mode)
    assert after[0].eid == before[0].eid
    assert after[1] == before[1]
    assert after[2] >= before[2]  # it was not restarted


def test_an_interrupt_while_a_device_restarts_ends_the_waiting_alone(environment, tmp_path):
    latency = tmp_path / "latency.json"
    latency.write_text('{"restart": 3, "kat": 3}')
    (tmp_path / "slow").mkdir()
    with ServedEmulator(tmp_path / "slow", arguments=("--latency", str(latency))) as slow:
        config = tmp_path / "slow.toml"
        config.write_text(
            f'[[device]]\nname = "slow"\nurl = "{slow.https}"\nca_file = "{slow.ca_file}"\n'
            f'passphrase_file = "{slow.passphrase_file}"\ncloud_url = "{slow.cloud}"\n'
            f'cloud_ca_file = "{slow.ca_file}"\n'
        )
        config.chmod(0o600)
        there = {**environment, "HEM_CONFIG": str(config)}
        with Terminal(["device", "selftest"], there) as terminal:  # known-answer tests take their time
            terminal.expect("testing: ")
            assert terminal.end() == 0
        with Terminal(["device", "reboot"], there) as terminal:
            terminal.press(INTERRUPT, after="restarting: ")
            assert terminal.end() == 130
            assert "Traceback" not in terminal.shown
        with client_of(slow) as hem:
            hem.admin.await_device(30)
        with Terminal(["device", "reboot"], there) as terminal:
            terminal.expect("restarting: ")
            terminal.expect("slow is back after")
            assert terminal.end() == 0


@pytest.mark.parametrize("answers", [0, 1, 2, 3])
def test_an_interrupt_at_a_question_of_init_leaves_no_file(environment, tmp_path, answers):
    target = tmp_path / "new" / "config.toml"
    questions = ("Where is the device?", "What do you call it?", "Where does the passphrase", "Write ")
    with Terminal(["config", "init", "--offline"], {**environment, "HEM_CONFIG": str(target)}) as terminal:
        for question in questions[:answers]:
            terminal.type("", after=question)
        terminal.press(INTERRUPT, after=questions[answers])
        assert terminal.end() == 130
        assert "Traceback" not in terminal.shown
    assert not target.exists()


def test_init_talks_with_a_person(environment, own_served, tmp_path):
    target = tmp_path / "new" / "config.toml"
    with Terminal(["config", "init"], {**environment, "HEM_CONFIG": str(target)}, columns=40) as terminal:
        terminal.type(own_served.https, after="Where is the device?")
        terminal.type("desk", after="What do you call it?")
        terminal.type("y", after="Is this the certificate of your device?")
        terminal.type("f", after="Where does the passphrase come from?")
        terminal.type(str(own_served.passphrase_file), after="Which file?")
        terminal.type("y", after="Write ")
        assert terminal.end() == 0
    done = subprocess.run(
        [*HEM, "device", "config", "show", "user"], env={**environment, "HEM_CONFIG": str(target)},
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.startswith("user: ")


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize(
    "arguments",
    [
        ["device", "selftest"],
        ["device", "disks", "list"],
        ["device", "config", "show"],
        ["config", "show"],
        ["log", "list"],
    ],
    ids=" ".join,
)
def test_a_narrow_terminal_gets_all_in_lines_that_fit(environment, arguments, columns):
    with Terminal(arguments, {**environment, "NO_COLOR": "1"}, columns=columns) as terminal:
        assert terminal.end() == 0
        lines = re.sub(r"\r[^\n]*\x1b\[K", "", terminal.shown).splitlines()
        assert lines
        assert max(map(len, lines)) <= columns
        assert "\x1b" not in "".join(lines)


@pytest.mark.parametrize("arguments", [["device", "selftest"], ["log", "verify"]], ids=" ".join)
def test_an_encoding_without_signs_gets_words(environment, arguments, own_served):
    with client_of(own_served) as hem:
        hem.admin.reboot(wait=30)  # closes a log file
    ascii_only = {**environment, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*HEM, *arguments], env=ascii_only, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert re.search(rb"^ok ", done.stdout, re.M)


def test_a_reader_that_left_ends_a_list_quietly(environment):
    done = subprocess.run(
        ["sh", "-c", '"$0" -m hem_provider.cli.main device config show | head -1', sys.executable],
        env=environment, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.startswith("setting")
    assert done.stderr == ""


def test_two_devices_are_told_apart(environment, tmp_path, own_served, monkeypatch, capsys):
    (tmp_path / "config.toml").write_text(
        f'{(tmp_path / "config.toml").read_text()}\n[[device]]\nname = "spare"\nurl = "https://127.0.0.1:1"\n'
    )
    monkeypatch.setenv("HEM_CONFIG", environment["HEM_CONFIG"])
    assert cli.main(["device", "disks", "list"]) == 1
    assert "say which device by its name: office, spare" in capsys.readouterr().err
    assert cli.main(["device", "disks", "list", "--device", "office"]) == 0
    assert cli.main(["device", "disks", "list", "--device", "spare"]) == 3
    assert cli.main(["device", "disks", "list", "--device", "spar"]) == 5
    assert "did you mean 'spare'?" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root, to become somebody else")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="no setpriv")
def test_a_file_of_somebody_elses_is_neither_read_nor_changed(environment, tmp_path):
    file = tmp_path / "config.toml"
    before = file.read_text()
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    for arguments in (["show"], ["check"], ["set", "office.timeout", "60"]):
        done = subprocess.run(
            [*nobody, *HEM, "config", *arguments],
            env=environment, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
    assert file.read_text() == before
