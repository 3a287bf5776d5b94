"""Fixtures: a vault over keys in memory, and an emulated device in this process."""

from __future__ import annotations

import pytest
from adapters.doubles import KID, NAMES_KID, VAULT, MemoryKeys
from support.passphrases import PASSPHRASE

from hem_provider.adapters.keyring.vault.format import Header
from hem_provider.adapters.keyring.vault.vault import Vault


@pytest.fixture
def keys():
    return MemoryKeys()


@pytest.fixture(params=["clear", "hidden"])
def vault(request, tmp_path, keys):
    """A vault of each kind."""
    header = Header(VAULT, "office", KID, NAMES_KID if request.param == "hidden" else None)
    return Vault.create(tmp_path / "vault", header, lambda _: keys)


@pytest.fixture
def clear_vault(tmp_path, keys):
    return Vault.create(tmp_path / "vault", Header(VAULT, "office", KID), lambda _: keys)


@pytest.fixture
def rig(rig, monkeypatch, tmp_path):
    """The emulated device in this process is also the configured one."""
    passphrase = tmp_path / "passphrase"
    passphrase.write_text(PASSPHRASE + "\n")
    passphrase.chmod(0o600)
    monkeypatch.setenv("HEM_URL", f"emulator:{rig.path}")
    monkeypatch.setenv("HEM_PASSPHRASE_FILE", str(passphrase))
    return rig
