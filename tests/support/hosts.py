"""Programs in C that load the module as hosts do, and what they answered."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

__all__ = ["COMPILER", "PYTHON_HALF", "Host", "build_host", "copied"]

ROOT = Path(__file__).parents[2]
COMPILER = os.environ.get("CC", "cc").split()
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


def copied(library: Path, folder: Path) -> Path:
    """Both halves of the library in ``folder``, which is made; the path of the one to load."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(library.with_name(PYTHON_HALF), folder)
    return Path(shutil.copy(library, folder))
