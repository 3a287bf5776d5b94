"""Random calls of the built library: no crash, hang, foreign return value or write beyond a buffer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FUZZ = Path(__file__).with_name("fuzz.py")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def fuzzed(device: Any, device_state: Path) -> dict[str, str]:
    """Environment of a run over an emulated device that has an EC key."""
    session = device.user_session()
    device.pair(session, LABEL=b"fuzzed")
    return os.environ | {
        "HEM_URL": f"emulator:{device_state}",
        "HEM_PKCS11_LOG": "stderr:error",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'shim'}",
        "PYTHONFAULTHANDLER": "1",
    }


def run(library: Path, environment: dict[str, str], pin: str, seed: int, calls: int) -> None:
    done = subprocess.run(
        [sys.executable, str(FUZZ), str(library), str(seed), str(calls), pin],
        env=environment, capture_output=True, text=True, timeout=170, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == f"done {calls}", (seed, done.stdout, done.stderr[-3000:])
    assert "unexpected" not in done.stderr, (seed, done.stderr[-3000:])
    assert pin not in done.stderr


@pytest.mark.parametrize("seed", range(2))
def test_random_calls_are_answered_by_the_standard(
    library: Path, fuzzed: dict[str, str], device: Any, seed: int
) -> None:
    run(library, fuzzed, device.PASSPHRASE, seed, 1500)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 110))
def test_many_random_calls_are_answered_by_the_standard(
    library: Path, fuzzed: dict[str, str], device: Any, seed: int
) -> None:
    run(library, fuzzed, device.PASSPHRASE, seed, 10_000)
