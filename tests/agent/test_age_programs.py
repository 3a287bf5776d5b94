"""age, rage, sops and a script like passage use keys of the device through ``age-plugin-hem``. Of each
program the version in PATH is tried; without it the test is skipped."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.agent import RunningAgent
from support.emulator import ServedEmulator, client_of
from support.terminal import Terminal

SCRIPTS = Path(sys.executable).parent
CHUNK = 64 * 1024
#: What an identity names → the calls of decrypting.
NAMED = {"box": 1, "p256": 1, "post+box": 2, "p256+post": 2}
#: By these names older programs find the plugin for recipients that age 1.3 knows by itself.
ALIASES = ("tag", "tagpq", "pq")


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    with ServedEmulator(tmp_path_factory.mktemp("age-device")) as emulator:
        with client_of(emulator) as hem:
            for label, kind, usage in (
                ("box", "CURVE25519", None), ("p256", "SECP256R1", {"derive"}), ("post", "MLKEM768", None),
            ):  # fmt: skip
                hem.keys.create(kind, label=label, usage=usage)
        yield emulator


@pytest.fixture(scope="module")
def agent(device):
    with RunningAgent(device, "--allow", "use") as running:
        yield running.unlock()


class Desk:
    """A user with identities and recipients of the device's keys in files ``KEY.id`` and ``KEY.pub``."""

    def __init__(self, folder, device, **more):
        self.folder = folder
        programs = folder / "bin"
        programs.mkdir()
        plugin = SCRIPTS / "age-plugin-hem"
        for name in ALIASES:
            (programs / f"age-plugin-{name}").symlink_to(plugin)
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("HEM_", "SOPS_"))}
        self.environment = {
            **clean,
            "HOME": str(folder),
            "PATH": f"{SCRIPTS}:{os.environ['PATH']}:{programs}",
            "HEM_URL": device.https,
            "HEM_NAME": "k",
            "HEM_CA_FILE": str(device.ca_file),
            "HEM_PASSPHRASE_FILE": str(device.passphrase_file),
            "HEM_AGENT": "never",
            **more,
        }

    def run(self, *command, data=None, status=0, **more):
        done = subprocess.run(
            [str(each) for each in command], env=self.environment | more, cwd=self.folder, input=data,
            stdin=subprocess.DEVNULL if data is None else None, capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == status, (command, done.stdout[:500], done.stderr.decode())
        return done.stderr.decode() if status else done.stdout

    def keys(self):
        for name in NAMED:
            self.run(SCRIPTS / "hem", "age", "identity", name, "-o", f"{name}.id")
            (self.folder / f"{name}.pub").write_bytes(self.run(SCRIPTS / "hem", "age", "recipient", name))


@pytest.fixture(scope="module")
def desk(tmp_path_factory, device):
    made = Desk(tmp_path_factory.mktemp("desk"), device)
    made.keys()
    return made


def needed(program):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    return program


AGES = pytest.mark.parametrize("program", ["age", "rage"])


def test_the_plugin_is_installed_with_the_package():
    assert (SCRIPTS / "age-plugin-hem").exists()


@AGES
@pytest.mark.parametrize("name", NAMED)
def test_a_program_encrypts_without_the_device_and_decrypts_with_it(desk, device, program, name):
    needed(program)
    before = len(device.calls())
    clear = os.urandom(3 * CHUNK + 1)
    sealed = desk.run(program, "-R", f"{name}.pub", data=clear)
    assert len(device.calls()) == before
    assert desk.run(program, "-d", "-i", f"{name}.id", data=sealed) == clear
    used = [each for each in device.calls()[before:] if "/crypto/" in str(each)]
    assert (len(used), device.logins(before)) == (NAMED[name], NAMED[name])
    assert desk.run(SCRIPTS / "hem", "decrypt", data=sealed) == clear
    sealed = desk.run(SCRIPTS / "hem", "encrypt", name, data=clear)
    assert desk.run(program, "-d", "-i", f"{name}.id", data=sealed) == clear
    armored = desk.run(program, "-a", "-e", "-i", f"{name}.id", data=clear)  # for an identity
    assert desk.run(program, "-d", "-j", "hem", data=armored) == clear


@AGES
@pytest.mark.parametrize("name", NAMED)
def test_with_an_agent_decrypting_is_the_calls_alone(desk, device, agent, program, name):
    needed(program)
    sealed = desk.run(program, "-R", f"{name}.pub", data=b"clear")
    mine = {"HEM_AGENT": "always", "XDG_RUNTIME_DIR": str(agent.run), "HEM_PASSPHRASE_FILE": ""}
    for _ in range(2):  # the first time the agent may need a token for the key
        before = len(device.calls())
        assert desk.run(program, "-d", "-i", f"{name}.id", data=sealed, **mine) == b"clear"
    assert (len(device.calls()) - before, device.logins(before)) == (NAMED[name], 0)


@AGES
def test_several_identities_and_recipients_go_together(desk, program):
    needed(program)
    both = [(desk.folder / f"{each}.id").read_text() for each in ("p256", "box")]
    (desk.folder / "both.id").write_text("".join(both))
    sealed = desk.run(program, "-R", "box.pub", data=b"clear")
    assert desk.run(program, "-d", "-i", "both.id", data=sealed) == b"clear"
    sealed = desk.run(program, "-R", "box.pub", "-R", "p256.pub", data=b"clear")
    for name in ("box", "p256"):
        assert desk.run(program, "-d", "-i", f"{name}.id", data=sealed) == b"clear"


@AGES
def test_a_file_for_another_key_is_not_opened(desk, program):
    needed(program)
    sealed = desk.run(program, "-R", "box.pub", data=b"clear")
    assert desk.run(program, "-d", "-i", "p256.id", data=sealed, status=1)


def test_age_lets_no_file_be_less_safe_than_its_hybrid_recipients(desk):
    if "extension-labels" not in Path(shutil.which(needed("age"))).read_bytes().decode("latin-1"):
        pytest.skip("this age does not ask plugins for labels (1.2 and newer do)")
    said = desk.run("age", "-e", "-i", "post+box.id", "-R", "box.pub", data=b"clear", status=1)
    assert "incompatible" in said


@AGES
def test_nothing_is_written_that_was_not_authentic(desk, program):
    """Cut at every boundary of a chunk, and a byte before and after."""
    needed(program)
    clear = os.urandom(3 * CHUNK)
    sealed = desk.run(program, "-R", "box.pub", data=clear)
    start = sealed.index(b"\n--- ") + 49 + 16
    places = [start + number * (CHUNK + 16) + step for number in range(4) for step in (-1, 0, 1)]
    for place in places:
        if place >= len(sealed):
            continue
        (desk.folder / "cut").write_bytes(sealed[:place])
        by_hem = (SCRIPTS / "hem", "decrypt", "cut", "-o", "there")
        for command in ((program, "-d", "-i", "box.id", "-o", "there", "cut"), by_hem):
            desk.run(*command, status=1)
            there = desk.folder / "there"
            if there.exists():  # age writes what is authentic before it meets the end
                assert command[0] == program
                assert clear.startswith(there.read_bytes())
                there.unlink()


def test_a_device_that_is_away_and_an_agent_that_is_locked_are_told(desk, device):
    needed("age")
    sealed = desk.run("age", "-R", "box.pub", data=b"clear")
    said = desk.run("age", "-d", "-i", "box.id", data=sealed, status=1, HEM_URL="https://127.0.0.1:1")
    assert "https://127.0.0.1:1" in said
    with RunningAgent(device, source=False) as running:
        mine = {"HEM_AGENT": "auto", "XDG_RUNTIME_DIR": str(running.run), "HEM_PASSPHRASE_FILE": ""}
        said = desk.run("age", "-d", "-i", "box.id", data=sealed, status=1, **mine)
        assert "run 'hem agent unlock'" in said


def test_age_asks_at_the_terminal_for_the_passphrase(desk, device):
    age = shutil.which(needed("age"))
    (desk.folder / "sealed").write_bytes(desk.run(age, "-R", "box.pub", data=b"clear text"))
    environment = {name: value for name, value in desk.environment.items() if name != "HEM_PASSPHRASE_FILE"}
    arguments = ["-d", "-i", str(desk.folder / "box.id"), str(desk.folder / "sealed")]
    with Terminal(arguments, environment, program=[age]) as shown:
        shown.type(device.passphrase, after=f"passphrase of HEM k ({device.https})")
        shown.expect("clear text")
        assert shown.end() == 0
    with Terminal(arguments, environment, program=[age]) as shown:
        shown.press(b"\x03", after=f"passphrase of HEM k ({device.https})")
        assert shown.end() != 0
        assert "clear text" not in shown.shown


@pytest.mark.parametrize("name", NAMED)
def test_sops_keeps_secrets_for_a_key(desk, device, name):
    needed("sops")
    (desk.folder / "secrets.yaml").write_text("password: geheim\n")
    recipient = (desk.folder / f"{name}.pub").read_text().strip()
    before = len(device.calls())
    sealed = desk.run("sops", "encrypt", "--age", recipient, "secrets.yaml")
    assert b"geheim" not in sealed
    assert len(device.calls()) == before
    (desk.folder / "sealed.yaml").write_bytes(sealed)
    shown = desk.run("sops", "decrypt", "sealed.yaml", SOPS_AGE_KEY_FILE=str(desk.folder / f"{name}.id"))
    assert shown == b"password: geheim\n"
    used = [each for each in device.calls()[before:] if "/crypto/" in str(each)]
    assert len(used) == NAMED[name]


PASSAGE = """
set -eu
store=$HOME/store
insert() { age -R "$store/.age-recipients" -o "$store/$1.age"; }
show() { age -d -i "$HOME/identities" "$store/$1.age"; }
"$@"
"""


def test_a_script_like_passage_keeps_a_store(desk):
    needed("age")
    (desk.folder / "store").mkdir()
    (desk.folder / "passage").write_text(PASSAGE)
    shutil.copy(desk.folder / "box.pub", desk.folder / "store" / ".age-recipients")
    shutil.copy(desk.folder / "box.id", desk.folder / "identities")
    for name in ("mail", "forum"):
        desk.run("sh", "passage", "insert", name, data=f"{name} geheim\n".encode())
    assert desk.run("sh", "passage", "show", "mail") == b"mail geheim\n"


def test_identities_are_read_as_age_keygen_writes_them(desk):
    text = (desk.folder / "box.id").read_text()
    told, recipient, identity = text.splitlines()
    assert re.fullmatch(r"# HEM k, key box \([0-9a-f]{32}\)", told)
    assert recipient == "# public key: " + (desk.folder / "box.pub").read_text().strip()
    assert identity.startswith("AGE-PLUGIN-HEM-1")
