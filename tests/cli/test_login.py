"""The one way of commands to a login: agent, phone, file, command, and at last one prompt."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack

import pytest
from support.clocks import quick_clock
from support.passphrases import PASSPHRASE

from hem_provider.cli import main as cli
from hem_provider.cli.login import logged_in
from hem_provider.errors import HemAuthenticationError, HemConfigError, HemLoginRequired

APPROVAL = "CLOUD POST /notify/event/new"
PROOF = "POST /api/auth/token"


@pytest.fixture
def prompts(monkeypatch):
    """What a person at the terminal is asked; the passphrase is typed."""
    asked = []
    for stream in ("stdin", "stderr"):
        monkeypatch.setattr(getattr(sys, stream), "isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda text: asked.append(text) or PASSPHRASE)
    return asked


@pytest.fixture
def configured(rig, monkeypatch):
    """The rig's device, and nothing that says where a login comes from."""
    monkeypatch.setenv("HEM_URL", f"emulator:{rig.path}")
    return rig


@pytest.fixture
def file(monkeypatch, tmp_path):
    path = tmp_path / "passphrase"
    path.write_text(f"{PASSPHRASE}\n")
    path.chmod(0o600)
    monkeypatch.setenv("HEM_PASSPHRASE_FILE", str(path))


@pytest.fixture
def phone(configured, monkeypatch):
    """A paired phone that approves."""
    with configured.connect() as hem:
        pairing = hem.phones.begin()
        with configured.phone() as simulated:
            simulated.pair(json.loads(pairing.qr_text)["link"])
        pairing.wait(5)
    monkeypatch.setattr("hem_provider.device.mobile.CLOCK", quick_clock())
    configured.requests.clear()


def test_a_person_is_asked_once_and_last(configured, prompts):
    with logged_in(None) as hem:
        assert hem.logged_in
        assert list(hem.keys) == []
    assert len(prompts) == 1
    assert "hem (emulator:" in prompts[0]


def test_nobody_is_asked_where_a_file_is_configured(configured, file, prompts):
    with logged_in("hem") as hem:
        assert list(hem.keys) == []
    assert prompts == []


def test_where_nobody_can_be_asked_the_error_says_what_to_configure(configured, monkeypatch):
    monkeypatch.setattr("hem_provider.config.login_source.can_ask", lambda: False)
    with pytest.raises(HemLoginRequired, match="passphrase_file"), logged_in(None) as hem:
        list(hem.keys)


def test_a_wrong_passphrase_is_an_error_and_not_asked_for_again(configured, prompts, monkeypatch):
    monkeypatch.setattr("getpass.getpass", lambda text: prompts.append(text) or "wrong")
    with pytest.raises(HemAuthenticationError), ExitStack() as stack:
        stack.enter_context(logged_in(None))
    assert len(prompts) == 1


def test_an_unknown_device_is_told_with_those_there_are(configured):
    with pytest.raises(HemConfigError, match="no device is called 'other'; there are: hem"):
        with logged_in("other"):
            pytest.fail("it is there")


def test_mobile_asks_the_phone_alone(configured, file, phone, prompts, monkeypatch):
    monkeypatch.setattr(
        "hem_provider.config.login_source.passphrase_from_file", lambda _: pytest.fail("the file was read")
    )
    with logged_in(None, mobile=True) as hem:
        assert list(hem.keys) == []
    assert configured.count(APPROVAL) == 1
    assert configured.count(PROOF) == 0
    assert prompts == []


def test_mobile_is_told_when_it_is_refused_and_nothing_else_is_tried(configured, file, phone, capsys):
    configured.phone_answers("refuse")
    assert cli.main(["bench", "--mobile", "--rounds", "1"]) == 4
    assert "refused on the phone" in capsys.readouterr().err
    assert configured.count(PROOF) == 0


@pytest.fixture
def by_agent(fake_agent, monkeypatch):
    """The device is configured, and an agent is unlocked for it."""
    fake_agent.hem.keys.create("ED25519", label="k", usage={"sign"})
    monkeypatch.setenv("HEM_URL", "https://hem.example")
    monkeypatch.setenv("HEM_NAME", "office")
    return fake_agent


@pytest.mark.parametrize("command", [["ssh", "keys"], ["keys", "list"], ["keys", "show", "k"]], ids=" ".join)
def test_commands_use_an_unlocked_agent_and_ask_nobody(by_agent, prompts, command, capsys):
    assert cli.main(command) == 0, capsys.readouterr().err
    assert prompts == []


def test_a_command_that_goes_its_own_way_asks_past_an_agent(by_agent, prompts):
    with logged_in(None, agent=False) as hem:
        assert hem.config.agent == "never"
        assert len(list(hem.keys)) == 1
    assert len(prompts) == 1


def test_with_mobile_an_agent_is_passed_by(by_agent, prompts):
    with logged_in(None, mobile=True) as hem:
        assert not hem.agent_ready
        assert (hem.config.auth, hem.config.agent) == ("mobile", "never")
