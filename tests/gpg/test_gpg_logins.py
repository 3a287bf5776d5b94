"""How a login comes about behind gpg-agent, what that costs, and what is told when there is none."""

from __future__ import annotations

import pytest
from support.agent import RunningAgent
from support.emulator import ServedEmulator
from support.gnupg import ADA, led_to, with_passphrase

from hem_provider.waiting import CLOCK


@pytest.fixture
def own_device(tmp_path):
    """A served emulator for a test that spoils it."""
    with ServedEmulator(tmp_path) as emulator:
        yield emulator


@pytest.fixture
def asked(desks, device, owner):
    """Ada at another machine, where nothing but she herself knows the passphrase."""
    desk = desks(with_passphrase(device))
    desk.run("hem", "gpg", "import")
    desk.environment = {
        name: value for name, value in desk.environment.items() if name != "HEM_PASSPHRASE_FILE"
    }
    program = desk.home / "hem-scdaemon"
    lines = [line for line in program.read_text().splitlines() if "HEM_PASSPHRASE_FILE" not in line]
    program.write_text("\n".join([*lines, ""]))
    return desk


def cost(device, run):
    """Calls and logins of the second run."""
    run()
    before = len(device.calls())
    run()
    return len(device.calls()) - before, device.logins(before)


def test_with_hems_agent_a_signature_and_a_decryption_are_one_call_each(desks, device, owner):
    with RunningAgent(device) as agent:
        agent.unlock()
        desk = desks(led_to(device) | {"XDG_RUNTIME_DIR": str(agent.run), "HEM_AGENT": "always"})
        desk.run("hem", "gpg", "import")
        sealed = desk.gpg("--recipient", "ada@example.org", "--encrypt", data=b"secret")
        assert cost(device, lambda: desk.gpg("--clearsign", data=b"x")) == (1, 0)
        assert cost(device, lambda: desk.gpg("--decrypt", data=sealed)) == (1, 0)

        def from_cold():
            desk.run("gpgconf", "--kill", "gpg-agent")
            desk.gpg("--clearsign", data=b"x")

        assert cost(device, from_cold) == (1, 0)
        agent.calls.lock()
        failed = desk.tried("gpg", "--batch", "--clearsign", data=b"x")
        assert failed.returncode != 0
        assert b"Bad PIN" not in failed.stderr  # nobody gave one
        desk.close()


def test_where_hems_agent_is_locked_while_gpg_uses_it_the_passphrase_is_asked_for(asked, device, owner):
    with RunningAgent(device) as agent:
        agent.unlock()
        asked.environment |= {"XDG_RUNTIME_DIR": str(agent.run), "HEM_AGENT": "auto"}
        asked.ask(device.passphrase)
        asked.gpg("--clearsign", data=b"x")
        assert asked.asked == ""
        agent.calls.lock()
        owner.gpg("--verify", data=asked.gpg("--clearsign", data=b"x"))
        assert asked.asked.count("SETDESC") == 1
        asked.gpg("--clearsign", data=b"x")
        assert asked.asked.count("SETDESC") == 1
        asked.run("gpgconf", "--kill", "gpg-agent")


@pytest.mark.parametrize("setting", ["default-cache-ttl 0", "max-cache-ttl 0", "default-cache-ttl 1"])
def test_a_passphrase_is_forgotten_as_gpg_agent_is_told(asked, device, setting):
    asked.configure(setting)
    asked.ask(device.passphrase)
    for times in (1, 2):
        asked.gpg("--clearsign", data=b"x")
        assert asked.asked.count("SETDESC") == times
        CLOCK.sleep(1.2)


def test_a_person_is_asked_once_and_only_for_what_needs_a_login(asked, device, owner):
    asked.ask(device.passphrase)
    asked.gpg("--card-status")
    assert asked.asked == ""
    before = len(device.calls())
    owner.gpg("--verify", data=asked.gpg("--clearsign", data=b"x"))
    assert device.logins(before) == 1
    assert "Passphrase of the HEM 'k'" in asked.asked.replace("%20", " ")
    assert "ada@example.org" in asked.asked
    assert device.passphrase not in asked.asked
    sealed = asked.gpg("--recipient", "ada@example.org", "--encrypt", data=b"secret")
    assert asked.gpg("--decrypt", data=sealed) == b"secret"
    assert asked.asked.count("SETDESC") == 1
    asked.run("gpg-connect-agent", "SCD RESET", "/bye")
    asked.gpg("--clearsign", data=b"x")
    assert asked.asked.count("SETDESC") == 2


def test_a_window_that_is_closed_cancels(asked, device):
    asked.ask("")
    failed = asked.tried("gpg", "--batch", "--clearsign", data=b"x")
    assert failed.returncode == 2
    assert "cancelled" in failed.stderr.decode()
    asked.ask(device.passphrase)
    asked.gpg("--clearsign", data=b"x")


def test_a_wrong_passphrase_is_a_bad_pin_and_the_right_one_works_after_it(asked, device):
    asked.ask("not this one")
    failed = asked.tried("gpg", "--batch", "--clearsign", data=b"x")
    assert failed.returncode == 2
    assert "Bad PIN" in failed.stderr.decode()
    assert "not this one" not in failed.stderr.decode()
    asked.ask(device.passphrase)
    asked.gpg("--clearsign", data=b"x")


def test_a_device_that_is_away_is_told(desks, tmp_path):
    with ServedEmulator(tmp_path) as emulator:
        desk = desks(with_passphrase(emulator))
        desk.run("hem", "gpg", "setup", "--name", ADA)
        desk.configure(f"log-file {tmp_path / 'log'}", "debug ipc")
        desk.ask("")
        desk.gpg("--clearsign", data=b"x")
    failed = desk.tried("gpg", "--batch", "--clearsign", data=b"x")
    assert failed.returncode == 2
    assert "Card not present" in failed.stderr.decode()
    assert "cannot reach the device" in (tmp_path / "log").read_text(errors="replace")
    failed = desk.tried("gpg", "--batch", "--card-status")
    assert failed.returncode == 2


def test_a_key_that_is_gone_is_told(desks, own_device):
    desk = desks(with_passphrase(own_device))
    desk.run("hem", "gpg", "setup", "--name", ADA)
    desk.ask("")
    desk.run("hem", "keys", "delete", "gpg sign ada@example.org", "--yes")
    failed = desk.tried("gpg", "--batch", "--clearsign", data=b"x")
    assert failed.returncode == 2
    assert "signing failed" in failed.stderr.decode()
    assert "insert" in desk.asked  # as GnuPG does for a card that is not there


def test_a_daemon_that_was_killed_is_started_again(owner):
    owner.gpg("--clearsign", data=b"x")
    pid = owner.run("gpg-connect-agent", "SCD GETINFO pid", "/bye").decode().split()[1]
    owner.run("kill", "-9", pid)
    for _ in CLOCK.looks(30, 0.5):  # gpg-agent looks after it every few seconds
        if owner.tried("gpg", "--batch", "--clearsign", data=b"x").returncode == 0:
            return
    pytest.fail("it was not started again within 30 s")
