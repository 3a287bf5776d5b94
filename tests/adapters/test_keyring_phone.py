"""The keyring with ``auth = "mobile"``: logins by the phone, and no passphrase is read or asked for."""

from __future__ import annotations

import json
import sys

import pytest
from keyring.errors import KeyringLocked
from support.clocks import quick_clock

from hem_provider.adapters.keyring import HemKeyring
from hem_provider.cli import main as cli

ASKED = "CLOUD POST /notify/event/new"
PROOF = "POST /api/auth/token"


@pytest.fixture
def rig(rig, monkeypatch, tmp_path):
    """A paired phone, which is the only way to a login: at a terminal, with a file that would do."""
    with rig.connect() as hem:
        pairing = hem.phones.begin()
        with rig.phone() as simulated:
            simulated.pair(json.loads(pairing.qr_text)["link"])
        pairing.wait(5)
    monkeypatch.setenv("HEM_AUTH", "mobile")
    monkeypatch.setattr("hem_provider.device.mobile.CLOCK", quick_clock())
    monkeypatch.setattr("getpass.getpass", lambda _: pytest.fail("asked"))
    monkeypatch.setattr(
        "hem_provider.config.login_source.passphrase_from_file", lambda _: pytest.fail("the file was read")
    )
    for stream in ("stdin", "stderr"):
        monkeypatch.setattr(getattr(sys, stream), "isatty", lambda: True, raising=False)
    rig.requests.clear()
    return rig


@pytest.fixture(params=["with a passphrase file", "without one"])
def configured(request, monkeypatch):
    if request.param == "without one":
        monkeypatch.delenv("HEM_PASSPHRASE_FILE")


def test_a_vault_is_made_filled_and_read_by_the_phone_alone(rig, configured, capsys):
    assert cli.main(["keyring", "init"]) == 0
    backend = HemKeyring()
    backend.set_password("mail", "anna", "one")
    assert HemKeyring().get_password("mail", "anna") == "one"
    assert cli.main(["keyring", "check"]) == 0
    assert "1 of 1 entries open" in capsys.readouterr().out
    assert rig.count(ASKED) > 0
    assert PROOF not in rig.requests


def test_an_approval_is_good_for_all_that_a_program_gets(rig, configured):
    assert cli.main(["keyring", "init"]) == 0
    backend = HemKeyring()
    rig.requests.clear()
    backend.set_password("mail", "anna", "one")
    assert [backend.get_password("mail", "anna") for _ in range(3)] == ["one"] * 3
    assert rig.count(ASKED) == 1


def test_a_refusal_on_the_phone_is_told_and_nothing_else_is_tried(rig, configured, capsys):
    assert cli.main(["keyring", "init"]) == 0
    HemKeyring().set_password("mail", "anna", "one")
    rig.phone_answers("refuse")
    rig.requests.clear()
    with pytest.raises(KeyringLocked, match="refused on the phone"):
        HemKeyring().get_password("mail", "anna")
    assert rig.count(ASKED) == 1
    assert PROOF not in rig.requests
    capsys.readouterr()
    assert cli.main(["keyring", "check"]) != 0
    assert "refused on the phone" in capsys.readouterr().err
