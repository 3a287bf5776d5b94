"""``hem passphrase``: the new one is typed twice and judged, and nothing of it is told."""

from __future__ import annotations

import json
import os
from pathlib import Path

import jsonschema
import pytest
from support.agent import RunningAgent
from support.emulator import ServedEmulator, client_of
from support.passphrases import ADMIN, PASSPHRASE
from support.terminal import Terminal

from hem_provider.cli import main as cli
from hem_provider.cli import newpassphrase
from hem_provider.errors import HemAuthenticationError

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "passphrase.json").read_text())
NEW = "kite-lamp-ocean-9"


def secret(folder, text, name="new"):
    path = folder / name
    path.touch(mode=0o600)
    path.write_text(text + "\n")
    return path


@pytest.fixture
def configured(rig, monkeypatch, tmp_path):
    """The rig's device, with its passphrase in a file."""
    path = secret(tmp_path, PASSPHRASE, "present")
    monkeypatch.setenv("HEM_URL", f"emulator:{rig.path}")
    monkeypatch.setenv("HEM_PASSPHRASE_FILE", str(path))
    return path


@pytest.fixture
def run(capsys):
    def run(*arguments):
        capsys.readouterr()
        status = cli.main(["passphrase", *map(str, arguments)])
        return status, *capsys.readouterr()

    return run


def opens(rig, passphrase):
    with rig.connect(passphrase) as hem:
        try:
            hem.login()
        except HemAuthenticationError:
            return False
    return True


def test_without_a_terminal_the_new_one_is_in_a_file(rig, configured, run, tmp_path):
    new = secret(tmp_path, NEW)
    status, out, said = run("--new-file", new)
    assert (status, out) == (0, "")
    assert said == (
        "hem: the passphrase is changed.\n"
        f"{configured} holds the former one still: "
        f"write the new one into it, or set passphrase_file to {new}.\n"
    )
    assert (opens(rig, PASSPHRASE), opens(rig, NEW)) == (False, True)
    assert NEW not in out + said


def test_what_is_left_to_do_is_told_as_json(rig, configured, run, tmp_path):
    status, out, said = run("--new-file", secret(tmp_path, NEW), "--json")
    document = json.loads(out)
    jsonschema.validate(document, SCHEMA)
    assert (status, said, document["device"], document["agent_locked"]) == (0, "", "hem", False)
    assert str(configured) in document["to_do"][0]


def test_a_command_that_gives_the_former_one_is_named(rig, configured, run, tmp_path, monkeypatch):
    monkeypatch.delenv("HEM_PASSPHRASE_FILE")
    monkeypatch.setenv("HEM_PASSPHRASE_COMMAND", f"cat {configured}")
    status, _, said = run("--new-file", secret(tmp_path, NEW))
    assert status == 0
    assert "See to it that passphrase_command (cat) gives the new one." in said


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("password1", "is weak: it is guessed in less than a second. This is a very common password"),
        ("Emulator", "is weak"),
        (f"{NEW} ", "it begins or ends with a blank"),
        (f"{NEW}\x1b[D", "it has a character that cannot be seen"),
        (PASSPHRASE, "that is the present passphrase; nothing was changed"),
        ("", "gave an empty passphrase"),
        (f"{NEW}\n{NEW}", "2 lines; accepted: the passphrase alone"),
        ("x" * 5000, "a passphrase of over 4096 bytes"),
    ],
    ids=range(8),
)
def test_what_is_no_fit_passphrase_changes_nothing(rig, configured, run, tmp_path, text, told):
    status, out, said = run("--new-file", secret(tmp_path, text))
    assert (status, out) == (1, "")
    assert told in said
    assert said.count("\n") == 1
    assert opens(rig, PASSPHRASE)
    if len(text) > 8 and text != PASSPHRASE:
        assert text not in said


def test_a_weak_one_is_taken_by_who_insists(rig, configured, run, tmp_path):
    assert run("--new-file", secret(tmp_path, "password1"), "--weak")[0] == 0
    assert opens(rig, "password1")


def test_a_file_that_others_may_read_is_refused(rig, configured, run, tmp_path):
    path = secret(tmp_path, NEW)
    path.chmod(0o644)
    status, _, said = run("--new-file", path)
    assert status == 1
    assert str(path) in said
    assert opens(rig, PASSPHRASE)


def test_without_a_terminal_nobody_waits(rig, configured, run):
    status, _, said = run()
    assert status == 2
    assert said == (
        "hem: there is no terminal to ask on for the new passphrase of HEM hem: give --new-file FILE\n"
    )


def test_a_wrong_present_one_is_told_before_the_new_one_is_asked_for(rig, configured, run, tmp_path):
    configured.write_text("wrong\n")
    status, _, said = run("--new-file", tmp_path / "nowhere")
    assert status == 4
    assert "nowhere" not in said


def test_a_device_that_is_away_is_told(run, tmp_path, monkeypatch):
    monkeypatch.setenv("HEM_URL", "https://127.0.0.1:1")
    monkeypatch.setenv("HEM_PASSPHRASE_FILE", str(secret(tmp_path, PASSPHRASE)))
    assert run("--new-file", secret(tmp_path, NEW, "other"))[0] == 3


def test_who_has_forgotten_the_present_one_has_the_master_secret(rig, configured, run, tmp_path):
    configured.write_text("forgotten\n")
    master = secret(tmp_path, ADMIN, "master")
    assert run("--master-file", master, "--new-file", secret(tmp_path, NEW))[0] == 0
    assert (opens(rig, PASSPHRASE), opens(rig, NEW)) == (False, True)


@pytest.mark.parametrize(
    ("text", "status", "told"),
    [
        ("wrong", 4, "the device does not accept"),
        (PASSPHRASE, 4, "for role 'U', not for 'M'"),
        (" ".join(["abandon"] * 24), 1, "mnemonic: the checksum is wrong"),
    ],
)
def test_another_master_secret_changes_nothing(rig, configured, run, tmp_path, text, status, told):
    master = secret(tmp_path, text, "master")
    found, _, said = run("--master-file", master, "--new-file", secret(tmp_path, NEW))
    assert found == status
    assert text not in said
    assert told in said
    assert opens(rig, PASSPHRASE)


def test_a_phone_that_is_configured_cannot_stand_for_it(rig, configured, run, tmp_path, monkeypatch):
    monkeypatch.setenv("HEM_AUTH", "mobile")
    assert run("--new-file", secret(tmp_path, NEW))[0] == 0
    assert opens(rig, NEW)
    monkeypatch.delenv("HEM_PASSPHRASE_FILE")
    status, _, said = run("--new-file", secret(tmp_path, NEW))
    assert status == 4
    assert "there is no terminal to ask on" in said


@pytest.fixture(scope="module")
def own_served(tmp_path_factory):
    with ServedEmulator(tmp_path_factory.mktemp("own")) as emulator:
        yield emulator


@pytest.fixture
def at_terminal(own_served):
    """Starts ``hem passphrase`` there."""
    environment = {
        **os.environ,
        "HEM_URL": own_served.https,
        "HEM_CA_FILE": str(own_served.ca_file),
        "LC_ALL": "C",
    }
    return lambda *options: Terminal(["passphrase", *options], environment)


def served_opens(served, passphrase):
    with client_of(served) as hem:
        hem.logout()
        try:
            hem.login(passphrase)
        except HemAuthenticationError:
            return False
    return True


def test_at_a_terminal_it_is_asked_for_twice_and_judged(at_terminal, own_served):
    with at_terminal() as terminal:
        terminal.type(own_served.passphrase, after="Passphrase of HEM hem")
        terminal.type(NEW, after="New passphrase of HEM hem: ")
        terminal.type(f"{NEW}!", after="The same again: ")
        terminal.expect("The two differ.")
        terminal.type("letmein", after="New passphrase of HEM hem: ")
        terminal.type("letmein", after="The same again: ")
        terminal.type("n", after="Take it anyway? [y/N] ")
        terminal.type(NEW, after="New passphrase of HEM hem: ")
        terminal.type(NEW, after="The same again: ")
        assert terminal.end() == 0
        for each in (NEW, "letmein", own_served.passphrase):
            assert each not in terminal.shown
        assert "It is weak: it is guessed in less than a second. This is a top-100" in terminal.shown
        assert terminal.shown.endswith("hem: the passphrase is changed.\n")
    assert served_opens(own_served, NEW)
    own_served.passphrase = NEW


PROMPTS = [
    "Passphrase of HEM hem",
    "New passphrase of HEM hem: ",
    "The same again: ",
    "Take it anyway? [y/N] ",
]


@pytest.mark.parametrize("key", [b"\x03", b"\x04"], ids=["interrupt", "end of input"])
@pytest.mark.parametrize("until", range(len(PROMPTS)))
def test_what_is_broken_off_changes_nothing(at_terminal, own_served, until, key):
    with at_terminal() as terminal:
        typed = [own_served.passphrase, "letmein", "letmein"]
        for prompt, text in zip(PROMPTS[:until], typed, strict=False):
            terminal.type(text, after=prompt)
        terminal.press(key, after=PROMPTS[until])
        status = terminal.end()
        assert "Traceback" not in terminal.shown
    assert status == (130 if key == b"\x03" else 4 if until == 0 else 1)
    assert served_opens(own_served, own_served.passphrase)


def test_three_that_differ_are_enough(at_terminal, own_served):
    with at_terminal() as terminal:
        terminal.type(own_served.passphrase, after="Passphrase of HEM hem")
        for _ in range(3):
            terminal.type(NEW, after="New passphrase of HEM hem: ")
            terminal.type("other", after="The same again: ")
        assert terminal.end() == 1
        assert "hem: nothing was done: no new passphrase of HEM hem was chosen" in terminal.shown


def test_an_agent_forgets_the_former_one(tmp_path):
    with ServedEmulator(tmp_path) as served, RunningAgent(served) as agent:
        agent.unlock()
        new = secret(tmp_path, NEW)
        with Terminal(["passphrase", "--new-file", new], agent.environment) as terminal:
            assert terminal.end() == 0
            assert "The agent has forgotten the former one: hem agent unlock\n" in terminal.shown
        assert agent.device["state"] != "unlocked"


@pytest.mark.parametrize("passphrase", ["p", "x" * 4000, "ключ-мой-лампа-океан", "\udc80bytes", "a" * 80])
def test_whatever_is_typed_is_judged(passphrase):
    assert newpassphrase.judged(passphrase).reason
    assert passphrase not in newpassphrase.judged(passphrase).reason.split()


def test_what_is_known_of_the_owner_is_guessed_first():
    name = "quillfeather"
    assert newpassphrase.judged(name).fit
    assert not newpassphrase.judged(name, [name]).fit
