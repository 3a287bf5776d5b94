"""What a start costs: the module in a host, ``hem``, and imports, beside bare Python; and memory."""

from __future__ import annotations

import compileall
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import hem_pkcs11

import hem_provider
from benchmarks.commands import run_command
from benchmarks.compiling import compiled
from benchmarks.laboratory import Fact, watch
from benchmarks.softhsm import SoftHsm
from hem_provider.cli.built import module_path
from hem_provider.measuring.figures import Figure, figures_of
from hem_provider.measuring.measure import Case, interleave

__all__ = ["BARE_PYTHON", "MODULE_START", "START", "Startup", "compile_packages"]

START = "start"
BARE_PYTHON = "bare Python"
MODULE_START = "load, C_Initialize, C_GetSlotList"


BARE_HOST = "memory added to the host by bare Python with ssl, cffi and cryptography"
_NEEDED = (
    f"import sys; sys.path += {[each for each in sys.path if each.endswith('-packages')]!r}",
    "import ssl, _cffi_backend, cryptography.hazmat.bindings._rust",
)


def _embedding() -> list[str]:
    """For the compiler: this interpreter, in another program."""
    library, version = (str(sysconfig.get_config_var(name)) for name in ("LIBDIR", "LDVERSION"))
    include = sysconfig.get_path("include")
    return [f"-I{include}", f"-L{library}", f"-Wl,-rpath,{library}", f"-lpython{version}"]


def compile_packages() -> None:
    """Write our bytecode, as installing does: a module in a host writes none."""
    for package in (hem_provider, hem_pkcs11):
        compileall.compile_dir(Path(str(package.__file__)).parent, quiet=2)


class Startup:
    """Starts of processes; no device is asked anything."""

    def __init__(self, folder: Path, softhsm: SoftHsm | None) -> None:
        self._loader = folder / "loader"
        self._environment = {name: value for name, value in os.environ.items() if name[:4] != "HEM_"}
        self._environment |= {"HEM_URL": "https://127.0.0.1:1", "XDG_CACHE_HOME": str(folder)}
        self._environment["HEM_AGENT"] = "never"
        self._softhsm = softhsm
        folder.mkdir(parents=True, exist_ok=True)
        compile_packages()
        compiled("loader.c", self._loader, "-ldl")
        self._embedded = compiled("embedded.c", folder / "embedded", *_embedding())

    def measure(self, rounds: int) -> list[Figure]:
        """All starts, each compared with bare Python in the same run."""
        results = interleave(list(self._cases()), rounds, lambda: (0, 0), watch=watch(START))
        floor = next(each.median for each in results if each.case.layer == BARE_PYTHON)
        figures = figures_of(START, results, BARE_PYTHON)
        return [each if each.ratio else each.compared(floor) for each in figures]

    def _cases(self) -> Iterator[Case]:
        python = sys.executable
        yield self._case("python -c pass", BARE_PYTHON, python, "-I", "-c", "pass")
        yield self._case(MODULE_START, "module", self._loader, module_path())
        if self._softhsm is not None:
            environment = self._environment | self._softhsm.environment
            yield Case(
                MODULE_START,
                "SoftHSM2",
                lambda: run_command([self._loader, SoftHsm.library()], environment),
            )
        yield self._case("hem --version", "hem", Path(python).with_name("hem"), "--version")
        yield self._case("import hem_provider", "Python", python, "-c", "import hem_provider")
        yield self._case(
            "import and first key object",
            "Python",
            python,
            "-c",
            "import hem_provider.keys, hem_provider.rest.http",
        )
        yield self._case("import requests", "Python", python, "-c", "import requests")

    def _case(self, operation: str, layer: str, *command: str | Path) -> Case:
        return Case(operation, layer, lambda: run_command(command, self._environment))

    def memory(self) -> Iterator[Fact]:
        """Resident memory that a module adds to its host, in KiB; and what of it is nobody's to save who does
        TLS and cryptography by Python there."""
        yield Fact("memory added to the host by the module", self._added(self._loader, module_path()), "KiB")
        yield Fact(BARE_HOST, self._added(self._embedded, *_NEEDED), "KiB")
        if self._softhsm is not None:
            added = self._added(self._loader, SoftHsm.library())
            yield Fact("memory added to the host by SoftHSM2", added, "KiB")

    def _added(self, *command: str | Path) -> float:
        environment = self._environment | (self._softhsm.environment if self._softhsm else {})
        said = subprocess.run(
            [*map(str, command)], env=environment, capture_output=True, text=True, check=True
        ).stdout
        words = said.split()
        return float(int(words[3]) - int(words[1]))
