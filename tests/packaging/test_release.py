"""What a release brings: all sources, wheels with an honest tag, the same bytes each time."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Two builds take half a minute where nothing else runs.
pytestmark = pytest.mark.timeout(600)
#: What the build itself adds to a source release.
ADDED = {"PKG-INFO", "setup.cfg"}


def build(folder: Path, output: Path, *, umask: int) -> list[Path]:
    """The release of a fresh clone in ``folder``."""
    subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True, timeout=60)
    command = [sys.executable, "tools/make_wheels.py", "--output", str(output), sys.executable]
    environment = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
    done = subprocess.run(
        command, cwd=folder, env=environment, umask=umask, capture_output=True, text=True, timeout=500,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [Path(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> list[Path]:
    """Source release and wheel, as ``make wheels`` builds them."""
    folder = tmp_path_factory.mktemp("release")
    return build(folder / "source", folder / "dist", umask=0o022)


def names_in(archive: Path) -> set[str]:
    with tarfile.open(archive) as packed:
        return {each.name.partition("/")[2] for each in packed.getmembers() if each.isfile()}


def test_the_source_release_holds_what_git_knows_and_nothing_else(release):
    source, _ = release
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()  # fmt: skip
    names = {name for name in names_in(source) if not name.startswith("hem_provider.egg-info/")}
    assert set(listed) - names == set()
    assert names - set(listed) == ADDED


def test_the_source_release_tells_nothing_of_who_built_it(release):
    source, _ = release
    with tarfile.open(source) as archive:
        members = archive.getmembers()
    assert {(each.uid, each.gid, each.uname, each.gname) for each in members} == {(0, 0, "root", "root")}
    assert len({each.mtime for each in members}) == 1
    assert {each.mode for each in members} == {0o644, 0o755}
    assert [each.name for each in members] == sorted(each.name for each in members)


def shown(wheel: Path) -> str:
    """What auditwheel says."""
    command = [sys.executable, "-m", "auditwheel", "show", str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return " ".join(done.stdout.split())


def without(wheel: Path, left_out: str, folder: Path) -> Path:
    """The same wheel without one file."""
    target = folder / wheel.name
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(target, "w") as made:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith(".dist-info/RECORD"):
                lines = content.splitlines(keepends=True)
                content = b"".join(each for each in lines if not each.startswith(f"{left_out},".encode()))
            if name != left_out:
                made.writestr(name, content)
    return target


def test_the_wheel_is_for_every_machine_of_its_glibc(release, tmp_path):
    _, wheel = release
    minor = f"cp3{sys.version_info.minor}"
    assert re.fullmatch(
        rf"hem_provider-[\d.]+-{minor}-{minor}-manylinux_2_\d+_\w+\.whl", wheel.name
    )  # fmt: skip
    tag = wheel.stem.rpartition("-")[2]
    assert f'This constrains the platform tag to "{tag}"' in shown(wheel)
    # The engine alone needs more than the C library: the libcrypto of the OpenSSL that loads it.
    other = shown(without(wheel, "hem_pkcs11/libhem_engine.so", tmp_path))
    assert f'is consistent with the following platform tag: "{tag}"' in other
    with zipfile.ZipFile(wheel) as archive:
        libraries = {name.rpartition("/")[2] for name in archive.namelist() if ".so" in name}
    assert libraries == {"libhem_pkcs11.so", "libhem_python.so", "libhem_engine.so"}


@pytest.mark.long
def test_another_build_of_the_same_commit_gives_the_same_bytes(release, tmp_path):
    again = build(tmp_path / "a folder elsewhere", tmp_path / "dist", umask=0o077)
    assert [each.name for each in again] == [each.name for each in release]
    for first, second in zip(release, again, strict=True):
        assert first.read_bytes() == second.read_bytes(), first.name


@pytest.mark.parametrize("python", ["/nowhere/python3", "/bin/false"])
def test_what_is_no_interpreter_for_the_module_is_refused_by_name(python, tmp_path):
    command = [sys.executable, "tools/make_wheels.py", "--output", str(tmp_path / "dist"), python]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {python}: not a Python 3.11 or newer")
    assert not (tmp_path / "dist").exists()
