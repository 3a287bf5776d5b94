"""The real library under load: many threads, many forks, reloading, workers without privileges.

Each campaign has a short form in the fast tests and a long one in ``make test-long``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.emulator import ServedEmulator
from support.hosts import build_host

from hem_provider import connect


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_host(tmp_path_factory.mktemp("campaign"))


@pytest.fixture(scope="module", autouse=True)
def key(emulator: ServedEmulator) -> None:
    """A P-256 signing key on the emulator."""
    with connect(emulator.https, passphrase=emulator.passphrase, ca_file=emulator.ca_file) as hem:
        hem.keys.create("SECP256R1", label="campaign", usage={"sign"})


class Campaign:
    """Runs the program; every command must answer CKR_OK."""

    def __init__(self, program: Path, library: Path, environment: dict[str, str], pin: str) -> None:
        self.command = [str(program), str(library)]
        self.environment = environment
        self.pin = pin

    def run(self, *commands: str, seconds: float = 120) -> None:
        done = subprocess.run(
            [*self.command, *commands],
            env=self.environment, capture_output=True, text=True, timeout=seconds, check=False,
        )  # fmt: skip
        told = (done.stdout + done.stderr)[-4000:]
        assert done.returncode == 0, told
        answers = [line.split() for line in done.stdout.splitlines() if "workers:" not in line]
        assert answers == [[each.split(":")[0], "0"] for each in commands], told

    def signing(self, *commands: str, seconds: float = 120) -> None:
        """The same after the calls that make everything ready to sign."""
        self.run("init", "open", f"login:{self.pin}", "find", "sign", *commands, "sign", seconds=seconds)


@pytest.fixture
def campaign(program: Path, library: Path, environment: dict[str, str], emulator: ServedEmulator) -> Campaign:
    return Campaign(program, library, environment, emulator.passphrase)


@pytest.mark.parametrize(
    "milliseconds", [2000, pytest.param(60_000, marks=[pytest.mark.long, pytest.mark.timeout(300)])]
)
def test_eight_threads_of_mixed_calls_never_fail(campaign: Campaign, milliseconds: int) -> None:
    campaign.signing(f"mix:8,{milliseconds}", seconds=milliseconds / 1000 + 60)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_two_hundred_forks_under_load_never_hang(campaign: Campaign) -> None:
    campaign.signing("fork:200,4", seconds=500)


@pytest.mark.parametrize("times", [3, pytest.param(40, marks=pytest.mark.long)])
def test_unloading_and_loading_over_and_over_works(campaign: Campaign, times: int) -> None:
    once = ("load", "init", "open", f"login:{campaign.pin}", "find", "sign", "finalize", "unload")
    campaign.run(*once * times, seconds=170)


@pytest.fixture
def public_place(emulator: ServedEmulator) -> Iterator[Path]:
    """A directory that everybody may read, as /etc is, with what workers need."""
    place = Path(tempfile.mkdtemp(prefix="hem-workers-"))
    try:
        place.chmod(0o755)
        shutil.copy(emulator.ca_file, place / "ca.pem")
        (place / "ca.pem").chmod(0o644)
        yield place
    finally:
        shutil.rmtree(place)


@pytest.mark.skipif(os.geteuid() != 0, reason="giving up privileges takes having them: run as root")
@pytest.mark.parametrize("workers", [3, pytest.param(40, marks=pytest.mark.long)])
@pytest.mark.parametrize("source", ["host", "configuration"])
def test_workers_of_a_privileged_master_sign_as_nobody(
    campaign: Campaign, public_place: Path, emulator: ServedEmulator, workers: int, source: str
) -> None:
    """The master signs first; what root alone may read is not needed by its workers."""
    environment = campaign.environment
    environment |= {
        "HOME": str(public_place),
        "XDG_CONFIG_HOME": str(public_place),
        "XDG_CACHE_HOME": str(public_place / "cache"),
        "XDG_DATA_HOME": str(public_place / "data"),
        "HEM_CA_FILE": str(public_place / "ca.pem"),
    }
    pin = campaign.pin
    if source == "configuration":
        passphrase = public_place / "passphrase"
        shutil.copy(emulator.passphrase_file, passphrase)
        os.chown(passphrase, 65534, 65534)
        passphrase.chmod(0o400)
        environment["HEM_PASSPHRASE_FILE"] = str(passphrase)
        pin = "-"
    campaign.signing(f"drop:{workers},{pin}", seconds=150)
