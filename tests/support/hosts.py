"""Programs in C that load the module as hosts do, and what they answered."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

__all__ = ["COMPILER", "PYTHON_HALF", "Host", "build_host", "copied", "fake_python", "libpython", "name_home"]

ROOT = Path(__file__).parents[2]
#: With the C of our sources: since GCC 15 another is the default, where ``()`` declares no parameters.
COMPILER = [*os.environ.get("CC", "cc").split(), "-std=gnu11"]
PYTHON_HALF = "libhem_python.so"


def build_host(folder: Path) -> Path:
    """``host.c``, compiled into ``folder``."""
    program, place = folder / "host", ROOT / "tests" / "pkcs11"
    sources = [str(place / name) for name in ("host.c", "operations.c")]
    flags = ["-g", "-O1", "-w", "-rdynamic", "-pthread", f"-I{ROOT / 'shim' / 'src'}"]
    subprocess.run([*COMPILER, *flags, *sources, "-o", str(program), "-ldl"], check=True)
    return program


class Host:
    """Runs the program and keeps what it said."""

    def __init__(self, program: Path, library: Path, environment: dict[str, str]) -> None:
        self.program, self.library, self.environment = program, library, environment
        self.said = ""

    @staticmethod
    def compile(source: Path, library: Path) -> None:
        """A shared library of one source."""
        subprocess.run([*COMPILER, "-w", "-shared", "-fPIC", str(source), "-o", str(library)], check=True)

    def run(self, *commands: str, **changes: str) -> list[int]:
        """The return value of each command."""
        done = subprocess.run(
            [str(self.program), str(self.library), *commands],
            env=self.environment | changes,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        self.said = done.stderr + done.stdout
        assert done.returncode == 0, self.said
        lines = [line.split() for line in done.stdout.splitlines() if " 0" in line]
        return [int(words[1], 16) for words in lines if not words[0].startswith(("child", "workers"))]


def name_home(folder: Path, home: Path) -> None:
    """Name the interpreter of a library in ``folder``."""
    file = folder / "search-path"
    file.write_text(f"home = {home}\n")
    file.chmod(0o644)


def libpython() -> Path:
    """The shared library of this interpreter."""
    name, multiarch = (str(sysconfig.get_config_var(each)) for each in ("INSTSONAME", "MULTIARCH"))
    below = Path(sys.base_prefix) / "lib"
    return next(each for each in (below / name, below / multiarch / name) if each.exists())


def fake_python(prefix: Path, library: Path | None) -> Path:
    """What looks like an interpreter of our version below ``prefix``, with no standard library to speak of;
    ``library`` is its libpython."""
    version = f"python{sysconfig.get_python_version()}"
    stdlib, program = prefix / "lib" / version, prefix / "bin" / version
    stdlib.mkdir(parents=True)
    program.parent.mkdir()
    (stdlib / "os.py").touch()
    program.touch()
    if library is not None:
        (prefix / "lib" / str(sysconfig.get_config_var("INSTSONAME"))).symlink_to(library)
    return prefix


def copied(library: Path, folder: Path, *, package: bool = False) -> Path:
    """Both halves of the library in ``folder``, which is made, where they know the interpreter but no
    packages beside those that lie there; the path of the one to load. ``package``: make the folder one."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    name_home(folder, Path(sys.base_prefix) / "bin")
    if package:
        (folder / "__init__.py").touch()
    shutil.copy(library.with_name(PYTHON_HALF), folder)
    return Path(shutil.copy(library, folder))
