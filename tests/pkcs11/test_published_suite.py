"""python-pkcs11's own tests, from its source distribution, against the module over the emulator."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from support.emulator import ServedEmulator

pytestmark = pytest.mark.long

#: Tests that cannot pass, and why.
EXPECTED = {
    "ECCTests::test_derive_key": "asks for a curve the device does not have",
    "SessionTests::test_seed_random": "the generator is the operating system's and takes no seed",
    "SlotsAndTokensTests::test_get_mechanism_info": "asks for RSA",
    "SlotsAndTokensTests::test_get_mechanisms": "asks for RSA",
}
#: 4 MiB of CBC with a key in the device are 262144 calls, one for each block.
LEFT_OUT = "not test_concurrency"


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that holds ``tests``, apart from the package's uncompiled source."""
    folder = tmp_path_factory.mktemp("suite")
    version = importlib.metadata.version("python-pkcs11")
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", "python-pkcs11"]
    done = subprocess.run(
        [*command, f"python-pkcs11=={version}", "-d", str(folder)], capture_output=True, text=True
    )
    if done.returncode != 0:
        pytest.skip(f"the source distribution cannot be had: {done.stderr[-300:]}")
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    (tests,) = folder.glob("*/tests")
    tests.rename(folder / "tests")
    return folder


def test_all_of_it_passes_but_what_a_hem_cannot_do(
    suite: Path, library: Path, environment: dict[str, str], emulator: ServedEmulator
) -> None:
    pytest.importorskip("parameterized", reason="the suite needs the package parameterized")
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-rf", "-p", "no:cacheprovider", "-c", "/dev/null",
            "-k", LEFT_OUT, "tests",
        ],
        cwd=suite,
        env=environment | {
            "PKCS11_MODULE": str(library),
            "PKCS11_TOKEN_LABEL": "demo (EMULATOR)",
            "PKCS11_TOKEN_PIN": emulator.passphrase,
            "PKCS11_TOKEN_SO_PIN": emulator.admin_passphrase,
        },
        capture_output=True, text=True, timeout=170, check=False,
    )  # fmt: skip
    failed = {
        "::".join(line.split()[1].split("::")[1:])
        for line in done.stdout.splitlines()
        if line.startswith("FAILED ")
    }
    assert " passed" in done.stdout, done.stdout[-2000:] + done.stderr[-2000:]
    assert failed == set(EXPECTED), done.stdout[-3000:]
