"""Random calls of the built library: no crash, hang, foreign return value or write beyond a buffer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.passphrases import PASSPHRASE

FUZZ = Path(__file__).with_name("fuzz.py")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def fuzzed(device_core: Any, device_state: Path) -> dict[str, str]:
    """Environment of a run over an emulated device that has an EC key."""
    session = device_core.user_session()
    device_core.pair(session, LABEL=b"fuzzed")
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
    library: Path, fuzzed: dict[str, str], device_core: Any, seed: int
) -> None:
    run(library, fuzzed, PASSPHRASE, seed, 1500)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 110))
def test_many_random_calls_are_answered_by_the_standard(
    library: Path, fuzzed: dict[str, str], device_core: Any, seed: int
) -> None:
    run(library, fuzzed, PASSPHRASE, seed, 10_000)


@pytest.fixture(scope="module")
def sanitized(library: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The library built with AddressSanitizer, and the runtime that must be loaded before it."""
    compiler = os.environ.get("CC", "cc")
    said = subprocess.run(
        [compiler, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    )
    runtime = Path(said.stdout.strip())
    if not runtime.is_absolute():
        pytest.skip(f"{compiler} has no AddressSanitizer")
    folder = tmp_path_factory.mktemp("sanitized")
    program = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "from build_module import build\n"
        "build(Path(sys.argv[2]) / 'hem_pkcs11', in_place=True, build_dir=Path(sys.argv[2]) / 'build')\n"
    )
    subprocess.run(
        [sys.executable, "-c", program, str(ROOT / "shim"), str(folder)],
        env=os.environ | {"CFLAGS": "-fsanitize=address -fno-omit-frame-pointer"},
        capture_output=True, check=True,
    )  # fmt: skip
    return folder / "hem_pkcs11" / library.name, str(runtime)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(200, 204))
def test_the_c_layer_is_clean_under_address_sanitizer(
    sanitized: tuple[Path, str], fuzzed: dict[str, str], device_core: Any, seed: int
) -> None:
    built, runtime = sanitized
    # Python itself keeps memory until its end: leaks are not looked for.
    environment = fuzzed | {"LD_PRELOAD": runtime, "ASAN_OPTIONS": "detect_leaks=0"}
    run(built, environment, PASSPHRASE, seed, 5000)
