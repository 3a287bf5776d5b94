"""What an installation brings."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hem_provider.emulator.process import ServedEmulator
from tools import make_manual

ROOT = Path(__file__).parents[2]


#: For pip: there is no network, and no package index.
UNCONNECTED = {"PIP_NO_INDEX": "1", "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """A wheel built from the files git knows, as a release would be, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(source)], check=True, timeout=60)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "-q",
        "-w",
        folder,
        source,
    ]
    done = subprocess.run(
        command, env=os.environ | UNCONNECTED, capture_output=True, text=True, timeout=170, check=False
    )
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_the_compiled_module_and_says_so_in_its_tag(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for library in ("libhem_pkcs11.so", "libhem_python.so", "libhem_engine.so"):
        assert f"hem_pkcs11/{library}" in names
    assert "hem_provider/py.typed" in names
    assert "hem_pkcs11/search-path" not in names
    assert not wheel.name.endswith("-none-any.whl")
    assert [name for name in names if name.startswith(("tests/", "benchmarks/", "shim/"))] == []


def test_nothing_in_the_wheel_names_a_place_of_the_machine_that_built_it(wheel):
    places = {str(wheel.parent), sys.base_prefix, str(ROOT), str(Path.home())} - {"/", "/usr", "/usr/local"}
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            assert [each for each in places if each.encode() in content] == [], name


def test_the_module_is_linked_with_no_python_and_the_engine_with_the_hosts_libcrypto(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    needed, undefined = {}, {}
    for library in (tmp_path / "hem_pkcs11").glob("*.so"):
        dynamic = told("readelf", "-dW", library)
        needed[library.name] = set(re.findall(r"NEEDED.*\[((?!ld-).*)\]", dynamic))
        symbols = told("nm", "-D", "--undefined-only", library)
        undefined[library.name] = re.search(r" _?Py[A-Z_]", symbols) is not None
        assert "RPATH" not in dynamic
        assert "RUNPATH" not in dynamic
    assert needed == {
        "libhem_pkcs11.so": {"libc.so.6"},
        "libhem_python.so": {"libc.so.6"},
        "libhem_engine.so": {"libc.so.6", "libcrypto.so.3"},
    }
    # loaded by the first, once a libpython is there for all
    assert undefined == {
        "libhem_pkcs11.so": False, "libhem_python.so": True, "libhem_engine.so": False
    }  # fmt: skip


def told(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def test_a_build_in_isolation_without_a_network_names_what_it_lacks(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-cache-dir", "-w", tmp_path, ROOT]
    done = subprocess.run(
        command, env=os.environ | UNCONNECTED, capture_output=True, text=True, timeout=170, check=False
    )
    assert done.returncode == 1
    assert "Could not find a version that satisfies the requirement setuptools>=77" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_every_package_of_the_source_is_in_the_wheel(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    listed = subprocess.run(
        ["git", "ls-files", "hem_provider/*.py", "shim/hem_pkcs11/*.py"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert {path.removeprefix("shim/") for path in listed} <= names


def test_the_wheel_brings_the_manual_pages_of_its_commands(wheel):
    place = ".data/data/share/man/man1/"
    with zipfile.ZipFile(wheel) as archive:
        found = {
            name.rpartition("/")[2]: archive.read(name).decode()
            for name in archive.namelist()
            if place in name
        }
    made = make_manual.pages()
    dated = re.compile(r"^(\.TH \S+ 1) \S+", re.M)
    assert {name: dated.sub(r"\1", text) for name, text in found.items()} == {
        name: dated.sub(r"\1", text) for name, text in made.items()
    }


def test_the_wheel_brings_every_page_and_hem_help_shows_them_without_the_sources(wheel, tmp_path):
    pages = {
        str(each.relative_to(ROOT / "docs")): each.read_bytes() for each in (ROOT / "docs").rglob("*.md")
    }
    with zipfile.ZipFile(wheel) as archive:
        place = "hem_provider/_docs/"
        found = {
            name.removeprefix(place): archive.read(name)
            for name in archive.namelist()
            if name.startswith(place)
        }
        archive.extractall(tmp_path)
    assert found == {name: pages[name] for name in committed("docs/*.md")}
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "PYTHONSAFEPATH": "1"}
    for word, start in (
        ("recipes/nginx", pages["recipes/nginx.md"]), ("E-TLS-NAME", b"# E-TLS-NAME"), ("401", b"# HTTP-401"),
    ):  # fmt: skip
        command = [sys.executable, "-m", "hem_provider.cli.main", "help", word]
        done = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, check=True, timeout=60
        )
        assert done.stdout.startswith(start)


def committed(pattern):
    """Names of files below their first folder, as git knows them."""
    listed = subprocess.run(
        ["git", "ls-files", pattern], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    return {each.partition("/")[2] for each in listed}


@pytest.mark.long
def test_an_installed_wheel_signs_from_its_own_place(wheel, tmp_path):
    """With dependencies from the package index, in a virtual environment of its own."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, timeout=120)
    python = str(venv / "bin" / "python")
    command = [python, "-m", "pip", "install", "-q", f"{wheel}[emulator]"]
    subprocess.run(command, check=True, timeout=600, capture_output=True)
    path = subprocess.run(
        [venv / "bin" / "hem", "pkcs11", "path"], capture_output=True, text=True, check=True
    )
    assert path.stdout.startswith(str(venv))
    with ServedEmulator(tmp_path) as emulator:
        environment = {**os.environ, "HEM_URL": emulator.https, "HEM_CA_FILE": str(emulator.ca_file)}
        tool = ["pkcs11-tool", "--module", path.stdout.strip(), "--login", "--pin", emulator.passphrase]
        make = [*tool, "--keypairgen", "--key-type", "EC:edwards25519", "--label", "k", "--id", "01"]
        subprocess.run(make, env=environment, check=True, capture_output=True, timeout=60)
        message, signature = tmp_path / "message", tmp_path / "signature"
        message.write_text("from its own place")
        sign = [*tool, "--sign", "-m", "EDDSA", "--id", "01", "-i", str(message), "-o", str(signature)]
        subprocess.run(sign, env=environment, check=True, capture_output=True, timeout=60)
    assert signature.stat().st_size == 64
