"""What tests of commands share."""

from __future__ import annotations

import io

import pytest
from support.passphrases import PASSPHRASE

from hem_provider.cli import main as cli


@pytest.fixture
def run(capfdbinary, monkeypatch):
    """Runs ``hem …``: its status, output and what it said. ``stdin``: the bytes of standard input."""

    def run(*arguments, stdin=None):
        capfdbinary.readouterr()
        if stdin is not None:
            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        status = cli.main([*map(str, arguments)])
        told = capfdbinary.readouterr()
        return status, told.out, told.err.decode()

    return run


@pytest.fixture
def run_log(rig, monkeypatch, tmp_path, capsys):
    """Runs ``hem log …`` for an emulated device: its status, output and what it said, as text."""
    passphrase = tmp_path / "passphrase"
    passphrase.write_text(f"{PASSPHRASE}\n")
    passphrase.chmod(0o600)
    monkeypatch.setenv("HEM_URL", f"emulator:{rig.path}")
    monkeypatch.setenv("HEM_PASSPHRASE_FILE", str(passphrase))

    def run(*arguments):
        capsys.readouterr()
        status = cli.main(["log", *map(str, arguments)])
        told = capsys.readouterr()
        return status, told.out, told.err

    return run
