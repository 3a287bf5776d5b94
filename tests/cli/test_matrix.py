"""Every command where there is nothing to work with: it ends with the right status and a line that says why.

The commands are those of the tree, with the arguments that ``test_closed_streams`` has for each, or such as
their parameters ask for; that a closed or full standard output is told is tested there.
"""

from __future__ import annotations

import os
import subprocess
import sys

import click
import pytest
from cli.test_closed_streams import EVERY, device, places
from support.commands import LEAVES, command_of

from hem_provider.cli import main as cli
from hem_provider.cli import statuses

__all__ = ["device", "places"]  # fixtures

HEM = [sys.executable, "-m", "hem_provider.cli.main"]
NOBODY = "https://127.0.0.1:1"
DONE, FAILED, USAGE, AWAY, REFUSED, ABSENT = range(6)
#: What lacks → the status of a command that logs in, and what the line has to say.
LACKING = {
    "no configuration": (FAILED, "no HEM is configured: set HEM_URL"),
    "unknown device": (ABSENT, "'nowhere'"),
    "device away": (AWAY, NOBODY),
    "wrong passphrase": (REFUSED, "does not accept the passphrase"),
    "no terminal": (REFUSED, "no terminal to ask on"),
}
#: Commands that print what they find all the same, and go on without a login.
REPORTING = {("status",), ("doctor",)}
#: What is looked at before a login is: an image that is not there, whether a wipe is allowed, and whether
#: there is a certificate to be had → the status that such a command may end with as well.
BEFORE = {("device", "upgrade"): FAILED, ("device", "wipe"): FAILED, ("certificate", "renew"): DONE}
#: Run until they are told to stop, or for long, and know no configured device.
ENDLESS = {("emulator", "serve"), ("demo",)}
#: Start a process that stays, or load the module into theirs.
APART = {("agent", "start"), ("agent", "run"), ("emulator", "start"), ("pkcs11", "test")}


def options_of(words):
    return {name for each in command_of(words).params for name in each.opts}


LOGGING_IN = [words for words in LEAVES if "--mobile" in options_of(words)]
NAMING = [words for words in LEAVES if "--device" in options_of(words)]
OTHERS = [words for words in LEAVES if words not in ENDLESS and words not in NAMING]


@pytest.fixture
def world(device, places, tmp_path, tmp_path_factory):
    """The environment of each lack, and what the arguments of commands name."""
    found, environment = places
    wrong = tmp_path / "wrong"
    wrong.write_text("not this one\n")
    wrong.chmod(0o600)
    runtime = tmp_path_factory.mktemp("run")
    runtime.chmod(0o700)
    personal = tmp_path / "config" / "hem" / "config.toml"  # one without devices keeps the machine's out
    personal.parent.mkdir(parents=True)
    personal.touch(mode=0o600)
    clean = {
        **{name: value for name, value in environment.items() if not name.startswith(("HEM_", "SSH_"))},
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "XDG_RUNTIME_DIR": str(runtime),
    }
    configured = {name: value for name, value in environment.items() if name.startswith("HEM_")}
    reached = {name: value for name, value in configured.items() if name != "HEM_PASSPHRASE_FILE"}
    secret = {"HEM_PASSPHRASE_FILE": str(found["secret"])}
    environments = {
        "no configuration": {},
        "unknown device": reached | secret,
        "device away": {"HEM_URL": NOBODY} | secret,
        "wrong passphrase": reached | {"HEM_PASSPHRASE_FILE": str(wrong)},
        "no terminal": reached,
    }
    named = found | {"folder": tmp_path, "how": "closed"}
    return {lack: clean | each for lack, each in environments.items()}, named


def arguments_of(words, lack, found):
    """What is typed."""
    if words in EVERY:
        typed = [each.format(**found) for each in EVERY[words][0]]
    else:
        typed = [each for parameter in command_of(words).params for each in made_up(parameter, found)]
    if lack != "unknown device":
        return [*words, *typed]
    another = ["--device", "nowhere"]
    return [*words, *another, *typed] if "--" in typed else [*words, *typed, *another]


def made_up(parameter, found):
    """Words for a parameter that is required, and for what confirms: nothing is done here in any case."""
    if not parameter.required:
        return ["--yes"] if "--yes" in parameter.opts else []
    if isinstance(parameter.type, click.Choice):
        word = parameter.type.choices[0]
    else:
        word = {"file": str(found["secret"]), "number": "1"}.get(parameter.type.name, "for ssh")
    return [word] if isinstance(parameter, click.Argument) else [parameter.opts[0], word]


def ended(words, lack, world, capfd, monkeypatch):
    """How the command ends: its status, output, and the lines that it says."""
    environments, found = world
    typed = arguments_of(words, lack, found)
    if words in APART:
        done = subprocess.run(
            [*HEM, *typed], env=environments[lack], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        if words[0] in ("agent", "emulator"):
            stop = [*HEM, words[0], "stop", *(typed[2:] if words[0] == "emulator" else [])]
            subprocess.run(stop, env=environments[lack], capture_output=True, check=False)
        return done.returncode, done.stdout, done.stderr.splitlines()
    for name in list(os.environ):
        if name not in environments[lack]:
            monkeypatch.delenv(name)
    for name, value in environments[lack].items():
        monkeypatch.setenv(name, value)
    capfd.readouterr()
    status = cli.main(typed)
    told = capfd.readouterr()
    return status, told.out, told.err.splitlines()


@pytest.mark.parametrize("lack", LACKING)
@pytest.mark.parametrize("words", LOGGING_IN, ids=" ".join)
def test_a_command_that_logs_in_says_what_it_lacks(words, lack, world, capfd, monkeypatch):
    status, text = LACKING[lack]
    found, out, lines = ended(words, lack, world, capfd, monkeypatch)
    if words in REPORTING:
        status = FAILED if (words, lack) == (("doctor",), "unknown device") else status  # one check of many
        assert found in ((DONE, FAILED, REFUSED) if status == REFUSED else (status,)), out
        return
    if BEFORE.get(words) == found and text not in "".join(lines):
        assert len(lines) == (found != DONE)
        return
    assert (found, out) == (status, ""), lines
    assert len(lines) == 1
    assert lines[0].startswith("hem: ")
    assert text in lines[0]


#: Those that know devices and log in in ways of their own → status by what lacks. Of others it is known what
#: they do without a device.
OWN = {
    # The agent serves all devices that are configured; it says that it is locked, and why.
    ("agent", "run"): (FAILED, FAILED, AWAY, REFUSED, REFUSED),
    ("agent", "start"): (FAILED, FAILED, AWAY, REFUSED, REFUSED),
    ("agent", "unlock"): (AWAY, AWAY, AWAY, AWAY, AWAY),
    ("exporter",): (FAILED, ABSENT, DONE, DONE, DONE),  # what it tells of a device is that it is away
    ("keyring", "check"): (FAILED, ABSENT, AWAY, REFUSED, REFUSED),
    ("keyring", "import"): (DONE, DONE, DONE, DONE, DONE),  # every entry is there already
    ("keyring", "init"): (FAILED, ABSENT, AWAY, REFUSED, REFUSED),
    ("keyring", "list"): (DONE, DONE, DONE, DONE, DONE),  # names are not hidden in this vault
    ("keyring", "rewrap"): (FAILED, ABSENT, AWAY, REFUSED, REFUSED),
    ("log", "export"): (DONE, ABSENT, DONE, DONE, DONE),  # of a copy, with a name of the device if given
    ("pkcs11", "test"): (FAILED, ABSENT, AWAY, REFUSED, REFUSED),
    ("scdaemon",): (FAILED, ABSENT, DONE, DONE, DONE),  # a card may come yet
}


@pytest.mark.parametrize("lack", LACKING)
@pytest.mark.parametrize("words", [each for each in NAMING if each not in LOGGING_IN], ids=" ".join)
def test_a_command_that_knows_devices_ends_with_the_status_of_what_lacks(
    words, lack, world, capfd, monkeypatch
):
    status, out, lines = ended(words, lack, world, capfd, monkeypatch)
    if words in OWN:
        assert status == OWN[words][list(LACKING).index(lack)]
    elif lack in ("no configuration", "unknown device", "device away"):
        assert status == LACKING[lack][0]
    else:
        assert status in (DONE, FAILED, REFUSED)
    assert "Traceback" not in out + "".join(lines)
    if status != DONE:
        assert lines
        assert lines[-1].startswith("hem")


@pytest.mark.parametrize("lack", [each for each in LACKING if each != "unknown device"])
@pytest.mark.parametrize("words", OTHERS, ids=" ".join)
def test_any_other_command_ends_with_a_status_and_a_line(words, lack, world, capfd, monkeypatch):
    status, out, lines = ended(words, lack, world, capfd, monkeypatch)
    assert status in statuses.MEANINGS
    assert status != USAGE
    assert "Traceback" not in out + "".join(lines)
    if status != DONE and not out:
        assert lines
        assert lines[-1].startswith("hem")
