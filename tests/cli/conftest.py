"""What tests of commands share."""

from __future__ import annotations

import io

import pytest

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
