"""Which Python the library runs, by the place where it lies; what it says where there is none."""

from __future__ import annotations

import shutil
import sys
import sysconfig
from pathlib import Path

import pytest
from hem_pkcs11.constants import CKR
from support.hosts import PYTHON_HALF, Host, copied, fake_python, libpython

ROOT = Path(__file__).parents[2]
VERSION = sysconfig.get_python_version()
REFUSED = [CKR.GENERAL_ERROR]
HOME = Path(sys.base_prefix) / "bin"
SITE = Path(sysconfig.get_paths()["purelib"])


class Placed:
    """The library below a prefix, as an installation lays it out, with links to all packages."""

    def __init__(self, runs: Host, prefix: Path, python: str = f"python{VERSION}") -> None:
        self.runs, self.prefix = runs, prefix
        self.packages = prefix / "lib" / python / "site-packages"
        own = self.packages / "hem_pkcs11"
        shutil.copytree(ROOT / "shim" / "hem_pkcs11", own, ignore=shutil.ignore_patterns("search-path"))
        for each in (ROOT / "hem_provider", *SITE.iterdir()):
            if each.name != "__pycache__":
                (self.packages / each.name).symlink_to(each)
        runs.library = own / runs.library.name

    def environment(self, text: str, mode: int = 0o644) -> None:
        """With this pyvenv.cfg."""
        file = self.prefix / "pyvenv.cfg"
        file.write_text(text)
        file.chmod(mode)

    def starts(self) -> list[int]:
        return self.runs.run("init")


@pytest.fixture
def venv(runs: Host, tmp_path: Path) -> Placed:
    placed = Placed(runs, tmp_path / "venv")
    placed.environment(f"home = {HOME}\ninclude-system-site-packages = false\n")
    return placed


def test_a_virtual_environment_names_its_interpreter(venv: Placed) -> None:
    assert venv.starts() == [0], venv.runs.said


def test_a_virtual_environment_that_was_moved_goes_on(venv: Placed, tmp_path: Path) -> None:
    moved = venv.prefix.rename(tmp_path / "elsewhere")
    venv.runs.library = moved / venv.runs.library.relative_to(venv.prefix)
    assert venv.starts() == [0], venv.runs.said


def test_a_link_to_the_library_does_as_the_library(venv: Placed, tmp_path: Path) -> None:
    link = tmp_path / "modules" / "hem.so"
    link.parent.mkdir()
    link.symlink_to(venv.runs.library)
    venv.runs.library = link
    assert venv.starts() == [0], venv.runs.said


def test_a_copy_of_the_library_says_where_to_use_it(venv: Placed, tmp_path: Path) -> None:
    venv.runs.library = Path(shutil.copy(venv.runs.library, tmp_path))
    assert venv.starts() == REFUSED
    assert "hem pkcs11 path" in venv.runs.said


def test_a_copy_of_both_halves_says_so_too(venv: Placed, tmp_path: Path) -> None:
    venv.runs.library = copied(venv.runs.library, tmp_path / "copies")
    assert venv.starts() == REFUSED
    assert f"{tmp_path}/copies holds the library alone" in venv.runs.said
    assert "hem pkcs11 path" in venv.runs.said


@pytest.mark.parametrize("form", ["HOME = {}\r\n", "version = 3\n\thome={}  \n", "x\n = \nhome\t=\t{}"])
def test_the_file_of_an_environment_is_read_however_it_is_written(venv: Placed, form: str) -> None:
    venv.environment(form.format(HOME))
    assert venv.starts() == [0], venv.runs.said


def test_the_interpreter_may_be_a_link_in_another_folder(venv: Placed, tmp_path: Path) -> None:
    links = tmp_path / "links"
    links.mkdir()
    (links / f"python{VERSION}").symlink_to(HOME / f"python{VERSION}")
    venv.environment(f"home = {links}\n")
    assert venv.starts() == [0], venv.runs.said


def test_an_interpreter_without_a_shared_library_is_told_with_the_package(
    venv: Placed, tmp_path: Path
) -> None:
    python = fake_python(tmp_path / "static", None)
    venv.environment(f"home = {python / 'bin'}\n")
    assert venv.starts() == REFUSED
    assert f"Python {VERSION} of {python} has no shared library" in venv.runs.said
    assert f"apt-get install libpython{VERSION}" in venv.runs.said


def test_an_environment_that_names_no_interpreter_is_told(venv: Placed) -> None:
    for text in (
        "",
        "include-system-site-packages = false\n",
        "home =\n",
        "home = bin\n",
        "homes = /usr/bin\n",
    ):
        venv.environment(text)
        assert venv.starts() == REFUSED
        assert f"{venv.prefix}/pyvenv.cfg: names no interpreter" in venv.runs.said


def test_an_interpreter_that_is_gone_or_another_is_told(venv: Placed, tmp_path: Path) -> None:
    venv.environment(f"home = {tmp_path / 'gone' / 'bin'}\n")
    assert venv.starts() == REFUSED
    assert f"{venv.prefix}/pyvenv.cfg: home = {tmp_path}/gone/bin has no Python {VERSION}" in venv.runs.said


def test_packages_of_another_python_are_told(runs: Host, tmp_path: Path) -> None:
    placed = Placed(runs, tmp_path / "venv", python="python3.99")
    placed.environment(f"home = {HOME}\n")
    assert placed.starts() == REFUSED
    assert f"built for Python {VERSION}, and it lies in packages of python3.99" in runs.said


def test_a_library_that_is_another_python_by_the_same_name_is_refused(venv: Placed, tmp_path: Path) -> None:
    other = tmp_path / "libother.so"
    source = tmp_path / "other.c"
    source.write_text('const char *Py_GetVersion(void) { return "3.99.1 (x)"; }')
    venv.runs.compile(source, other)
    venv.environment(f"home = {fake_python(tmp_path / 'python', other) / 'bin'}\n")
    assert venv.starts() == REFUSED
    assert "3.99.1" in venv.runs.said


def test_a_python_without_its_lock_is_refused(venv: Placed, tmp_path: Path) -> None:
    other = tmp_path / "libother.so"
    source = tmp_path / "other.c"
    said = f"{VERSION}.9 experimental free-threading build (main)"
    source.write_text(f'const char *Py_GetVersion(void) {{ return "{said}"; }}')
    venv.runs.compile(source, other)
    venv.environment(f"home = {fake_python(tmp_path / 'python', other) / 'bin'}\n")
    assert venv.starts() == REFUSED
    assert "without its global lock" in venv.runs.said


def test_the_file_of_an_environment_that_others_may_write_is_refused(venv: Placed) -> None:
    for mode in (0o666, 0o664):
        venv.environment(f"home = {HOME}\n", mode)
        assert venv.starts() == REFUSED
        assert "pyvenv.cfg: not used" in venv.runs.said


def test_a_group_that_may_write_the_library_may_write_the_file(venv: Placed) -> None:
    venv.environment(f"home = {HOME}\n", 0o664)
    venv.runs.library.chmod(0o775)
    venv.runs.library.with_name(PYTHON_HALF).chmod(0o775)
    assert venv.starts() == [0], venv.runs.said


def test_packages_below_an_interpreter_belong_to_it(runs: Host, tmp_path: Path) -> None:
    prefix = fake_python(tmp_path / "python", libpython())
    stdlib = prefix / "lib" / f"python{VERSION}"
    shutil.rmtree(stdlib)
    placed = Placed(runs, prefix)
    for each in Path(sysconfig.get_paths()["stdlib"]).iterdir():
        if each.name != "site-packages":
            (stdlib / each.name).symlink_to(each)
    assert placed.starts() == [0], runs.said


def test_files_beside_the_library_that_are_no_search_path_are_told(venv: Placed) -> None:
    (venv.runs.library.parent / "search-path").mkdir()
    assert venv.starts() == REFUSED
    assert "search-path: not a file to read" in venv.runs.said


def test_a_line_of_a_search_path_that_is_neither_is_told(venv: Placed) -> None:
    path = venv.runs.library.parent / "search-path"
    path.write_text("relative/folder\n")
    path.chmod(0o644)
    path.parent.chmod(0o755)
    assert venv.starts() == REFUSED
    assert "each line must be an absolute directory" in venv.runs.said
