"""``hem emulator start`` and ``stop``: a device in the background, each time at the same ports."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hem_provider.config.passphrase import passphrase_from_file
from hem_provider.device import connect
from hem_provider.emulator import setup
from hem_provider.files import take_lock

HEM = Path(sys.executable).with_name("hem")
VARIABLES = ["HEM_URL", "HEM_CA_FILE", "HEM_CLOUD_URL", "HEM_CLOUD_CA_FILE", "HEM_PASSPHRASE_FILE"]


class Folder:
    """A folder in which the command is typed."""

    def __init__(self, path):
        self.path = path
        path.mkdir()
        self.environment = {"HOME": str(path), "PATH": f"{HEM.parent}:/usr/bin:/bin", "SHELL": "/bin/bash"}

    def run(self, *words, **more):
        return subprocess.run(
            [HEM, "emulator", *words], cwd=self.path, env=self.environment | more, text=True, timeout=60,
            capture_output=True, check=False,
        )  # fmt: skip

    def start(self, *words, **more):
        """The variables that it prints."""
        done = self.run("start", *words, **more)
        assert done.returncode == 0, done.stderr
        lines = map(shlex.split, done.stdout.splitlines())
        return dict(setting.partition("=")[::2] for export, setting in lines if export == "export")

    @property
    def pid(self):
        return json.loads((self.path / "device.hem.running").read_text())["pid"]

    def is_held(self):
        try:
            os.close(take_lock(self.path / "device.hem.lock", "the lock", 0))
        except TimeoutError:
            return True
        return False


@pytest.fixture
def folder(tmp_path):
    made = Folder(tmp_path / "a folder")
    yield made
    made.run("stop")


def test_what_it_prints_leads_to_a_device_that_is_ready_and_typed_again_it_prints_the_same(folder):
    first = folder.start()
    assert list(first) == VARIABLES
    with connect(
        first["HEM_URL"], ca_file=first["HEM_CA_FILE"],
        passphrase=passphrase_from_file(Path(first["HEM_PASSPHRASE_FILE"])),
    ) as hem:  # fmt: skip
        hem.keys.create("ED25519", label="web", usage={"sign"})
    pid = folder.pid
    again = folder.run("start")
    assert f"its emulator runs already (process {pid})" in again.stderr
    assert folder.start() == first
    assert folder.pid == pid
    stopped = folder.run("stop")
    assert (stopped.returncode, stopped.stdout) == (0, "")
    assert not folder.is_held()
    assert folder.start() == first, "another start comes up at other ports"
    with connect(
        first["HEM_URL"], ca_file=first["HEM_CA_FILE"],
        passphrase=passphrase_from_file(Path(first["HEM_PASSPHRASE_FILE"])),
    ) as hem:  # fmt: skip
        assert [each.label for each in hem.keys] == ["web"]


def test_a_port_that_somebody_else_has_is_left_to_him_and_taken_again_later(folder):
    kept = folder.start()["HEM_URL"]
    folder.run("stop")
    with socket.create_server(("127.0.0.1", int(kept.rpartition(":")[2]))):
        assert folder.start()["HEM_URL"] != kept
        folder.run("stop")
        told = folder.run("start", "--https-port", kept.rpartition(":")[2])
        assert (told.returncode, told.stdout) == (1, "")
        assert re.match(r"hem emulator: .*cannot listen on 127\.0\.0\.1 port \d+: Address", told.stderr)
        assert not folder.is_held()
    assert folder.start()["HEM_URL"] == kept


def test_one_that_was_killed_is_started_anew_at_the_same_ports(folder):
    first = folder.start()
    os.kill(folder.pid, signal.SIGKILL)
    os.close(take_lock(folder.path / "device.hem.lock", "the lock", 10))
    assert folder.start() == first


def test_what_cannot_tell_how_it_is_used_is_not_left_running(folder):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [HEM, "emulator", "start"], cwd=folder.path, env=folder.environment, stdout=full,
            stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert (done.returncode, "No space left" in done.stderr) == (1, True)
    assert not folder.is_held()


def test_a_device_that_others_initialised_gets_no_passphrase_of_ours(folder):
    setup.initialise(folder.path / "device.hem", passphrase="theirs", admin_passphrase="theirs too")
    assert list(folder.start()) == VARIABLES[:-1]
    assert not list(folder.path.glob("*passphrase"))


def test_the_passphrase_that_lies_beside_the_state_is_the_devices(folder):
    for name in ("passphrase", "admin-passphrase"):
        (folder.path / f"device.hem.{name}").touch(mode=0o600)
        (folder.path / f"device.hem.{name}").write_text("a passphrase of mine\n")
    found = folder.start()
    with connect(found["HEM_URL"], ca_file=found["HEM_CA_FILE"], passphrase="a passphrase of mine") as hem:
        hem.login()


def test_a_shell_that_finds_other_programs_gets_a_path_and_each_shell_its_own_lines(folder):
    found = folder.start(PATH="/usr/bin:/bin")
    assert found["PATH"] == f"{HEM.parent}:/usr/bin:/bin"
    url = found["HEM_URL"]
    assert f"set -gx HEM_URL {url};\n" in folder.run("start", "--shell", "fish").stdout
    assert f"setenv HEM_URL {url};\n" in folder.run("start", "--shell", "csh").stdout


def test_there_may_be_nothing_to_stop(folder):
    none = folder.run("stop")
    assert (none.returncode, "there is no state file" in none.stderr) == (1, True)
    folder.start()
    folder.run("stop")
    again = folder.run("stop")
    assert (again.returncode, "no emulator that 'hem emulator start' started runs" in again.stderr) == (
        0,
        True,
    )


def test_a_port_that_somebody_has_is_told_once(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = folder.run("start", "--https-port", str(port))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        f"hem emulator: cannot listen on 127.0.0.1 port {port}: Address already in use"
    )


def test_who_asks_for_another_port_is_not_led_to_the_one_that_runs(folder):
    port = folder.start()["HEM_URL"].rpartition(":")[2]
    assert folder.start("--https-port", port)["HEM_URL"].endswith(f":{port}")
    done = folder.run("start", "--https-port", str(int(port) ^ 1))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"runs already, with --https-port {port}: 'hem emulator stop' first" in done.stderr


def test_an_emulator_whose_state_is_gone_is_stopped_and_nobody_is_led_to_it(folder):
    folder.start()
    (folder.path / "device.hem").unlink()
    done = folder.run("start")
    assert (done.returncode, done.stdout, "is gone" in done.stderr) == (1, "", True)
    assert folder.run("stop").returncode == 0
    assert not folder.is_held()
    assert folder.start()["HEM_URL"]


@pytest.mark.skipif(os.geteuid() != 0, reason="not run: makes a file of another user, which root can")
def test_the_state_file_of_another_user_is_refused(folder):
    (folder.path / "device.hem").touch(mode=0o644)
    os.chown(folder.path / "device.hem", 65534, 65534)
    for command in ("start", "serve", "quirks"):
        done = folder.run(command, "--state", "device.hem")
        assert (done.returncode, done.stdout) == (1, ""), command
        assert "belongs to another user (uid 65534)" in done.stderr
    assert [each.name for each in folder.path.iterdir()] == ["device.hem"]
    assert (folder.path / "device.hem").stat().st_size == 0


def test_nothing_is_left_beside_a_file_that_is_no_state(folder):
    (folder.path / "device.hem").write_text("a letter")
    done = folder.run("start")
    assert (done.returncode, done.stdout, "not a usable emulator state" in done.stderr) == (1, "", True)
    assert [each.name for each in folder.path.iterdir()] == ["device.hem"]


@pytest.mark.parametrize(
    ("shell", "command"),
    [
        ("bash", 'eval "$(hem emulator start)"; echo $HEM_URL'),
        ("sh", 'eval "$(hem emulator start)"; echo $HEM_URL'),
        ("zsh", 'eval "$(hem emulator start)"; echo $HEM_URL'),
        ("fish", 'eval "$(hem emulator start)"; echo $HEM_URL'),
        ("tcsh", "eval `hem emulator start`; echo $HEM_URL"),
    ],
)
@pytest.mark.parametrize("login", ["/bin/bash", "/usr/bin/fish", "/bin/tcsh"])
def test_the_shell_that_it_is_typed_in_counts_and_not_the_logins(folder, shell, command, login):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    url = folder.start()["HEM_URL"]
    done = subprocess.run(
        [shell, "-c", command], cwd=folder.path, env=folder.environment | {"SHELL": login}, text=True,
        capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, f"{url}\n"), done.stderr


def test_settings_that_the_shell_has_besides_are_named(folder):
    folder.start()
    others = {"HEM_AGENT": "always", "HEM_URL": "https://other.example"}  # the second is replaced
    told = folder.run("start", **others).stderr.splitlines()
    assert "Set here as well: HEM_AGENT; unset what is for another device." in told
    assert "as well" not in folder.run("start").stderr
