"""GnuTLS's p11tool and certtool."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from support.emulator import ServedEmulator

from hem_provider import connect

pytestmark = pytest.mark.skipif(shutil.which("p11tool") is None, reason="no GnuTLS tools on this machine")


def gnutls() -> tuple[int, ...]:
    """The version of the tools."""
    done = subprocess.run(["p11tool", "--version"], capture_output=True, text=True, check=True)
    return tuple(map(int, done.stdout.split("\n", 1)[0].rpartition(" ")[2].split(".")))


def test_the_many_logins_of_a_listing_prove_the_passphrase_once(
    library: Path, environment: dict[str, str], emulator: ServedEmulator, tmp_path: Path
) -> None:
    with connect(emulator.https, passphrase=emulator.passphrase, ca_file=emulator.ca_file) as hem:
        hem.keys.create("SECP256R1", label="gnutls", usage={"sign"})
    environment |= {"HEM_PKCS11_LOG": f"{tmp_path / 'log'}:debug"}
    before = len(emulator.calls())
    done = subprocess.run(
        ["p11tool", "--provider", str(library), "--login", "--set-pin", emulator.passphrase, "--list-all"],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout.count("Label: gnutls") >= 2, done.stdout + done.stderr
    said = (tmp_path / "log").read_text()
    assert said.count("C_Login(") > 1 or gnutls() >= (3, 8, 13)  # which logs in once by itself
    assert emulator.passphrase not in said
    fetched = sum("/keymgmt/get/" in each["path"] for each in emulator.calls(before))
    # One login for all of C_Login, and one for each public key that was not known before.
    assert emulator.logins(before) == 1 + fetched
