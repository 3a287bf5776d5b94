"""Whole processes as people start them: pkcs11-tool, openssl, Python; with and without what is remembered."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.laboratory import Laboratory, watch
from hem_provider.cli.built import module_path
from hem_provider.cli.openssl_files import configuration, engine_path
from hem_provider.measuring.figures import Figure, figures_of
from hem_provider.measuring.measure import Case, interleave

__all__ = ["COLD", "COMMANDS", "SCRIPT", "WARM", "Commands", "run_command"]

COMMANDS = "commands"
COLD, WARM = "nothing remembered", "keys remembered"
_ID = "11"


def run_command(command: Sequence[str | Path], environment: Mapping[str, str]) -> str:
    """Run to the end; what it printed. ``OSError`` with its words when it fails."""
    done = subprocess.run(
        [*map(str, command)], env=dict(environment), capture_output=True, text=True, timeout=600, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode != 0:
        raise OSError(f"{' '.join(map(str, command))}: exit status {done.returncode}\n{done.stderr}")
    return done.stdout


class Commands:
    """The commands on one device with a P-256 key, whose latency profile is ``latency``."""

    def __init__(self, folder: Path, latency: str) -> None:
        self._folder = folder
        self._lab = Laboratory(folder, latency=latency)
        self._latency = latency
        self._stack = ExitStack()

    def measure(self, rounds: int) -> list[Figure]:
        """Each command cold and warm; the group is told apart by the profile."""
        with self._lab:
            self._prepare()
            cases = list(self._cases())
            group = COMMANDS if self._latency == "none" else f"{COMMANDS} {self._latency}"
            # Each warm case is filled by a first run of its own that does not count.
            results = interleave(cases, rounds, self._lab.count, warm_up=1, watch=watch(group))
        return figures_of(group, results)

    def _prepare(self) -> None:
        (self._folder / "data").write_bytes(b"a message to sign")
        (self._folder / "openssl.cnf").write_text(configuration(engine_path()))
        with self._lab.connect() as hem:
            hem.keys.create(
                "SECP256R1", label="web", usage={"sign", "derive"}, application_id=bytes.fromhex(_ID)
            )

    def _cases(self) -> Iterator[Case]:
        tool: list[str | Path] = ["pkcs11-tool", "--module", module_path()]
        login = [*tool, "--login", "--pin", self._lab.passphrase]
        data, out = self._folder / "data", self._folder / "signature"
        signing = [*login, "--sign", "-m", "ECDSA-SHA256", "--id", _ID, "-i", data, "-o", out]
        engine: list[str | Path] = ["openssl", "dgst", "-sha256", "-engine", "hem", "-keyform", "engine"]
        yield from self._cold_and_warm("pkcs11-tool -L", [*tool, "-L"])
        yield from self._cold_and_warm("pkcs11-tool -O", [*tool, "-O"])
        yield from self._cold_and_warm("pkcs11-tool --login -O", [*login, "-O"])
        yield from self._cold_and_warm("pkcs11-tool --sign", signing)
        yield from self._cold_and_warm(
            "openssl dgst -engine hem", [*engine, "-sign", "pkcs11:object=web", "-out", out, data]
        )
        yield from self._cold_and_warm("python: connect, find, sign", [sys.executable, "-c", SCRIPT])

    def _cold_and_warm(self, name: str, command: Sequence[str | Path]) -> Iterator[Case]:
        place = self._folder / "caches" / name.replace(" ", "-").replace(":", "")
        cold, warm = place / "cold", place / "warm"
        yield Case(
            name,
            COLD,
            lambda: run_command(command, self._environment(cold)),
            prepare=lambda: shutil.rmtree(cold, ignore_errors=True),
        )
        yield Case(name, WARM, lambda: run_command(command, self._environment(warm)))

    def _environment(self, cache: Path) -> dict[str, str]:
        own = {
            "HEM_PASSPHRASE_FILE": str(self._lab.emulator.passphrase_file),
            "OPENSSL_CONF": str(self._folder / "openssl.cnf"),
            "PATH": os.environ.get("PATH", os.defpath),
        }
        return self._lab.environment(cache) | own


#: A program in Python.
SCRIPT = """
import hem_provider
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
with hem_provider.connect() as hem:
    hem.keys.find(label="web").private_key().sign(b"a message to sign", ec.ECDSA(hashes.SHA256()))
"""
