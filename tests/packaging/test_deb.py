"""Debian packages: what goes into them, and that they are installed, used and removed without a trace."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from hem_provider._version import __version__
from tools import make_deb

ROOT = Path(__file__).parents[2]
DEBIAN = ROOT / "packaging" / "debian"
#: What the package can do without a word of pip.
EXTRAS = ("agent", "demo", "emulator", "exporter", "keyring", "kms", "nacl")
PINNED = re.compile(r"^([a-z0-9.-]+)==(\S+)(?: ; (.*?))? \\$", re.MULTILINE)


def pinned(name):
    text = (DEBIAN / name).read_text("utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    found = {name: Version(version) for name, version, _ in PINNED.findall(text)}
    assert len(found) == len(lines)
    for block in re.split(r"\n(?=\S)", text.strip()):
        assert re.search(r"^    --hash=sha256:[0-9a-f]{64}", block, re.MULTILINE), block[:60]
    return found


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def test_the_package_has_all_extras_but_that_of_pictures():
    assert set(EXTRAS) == set(project()["optional-dependencies"]) - {"all", "bench", "dev"}


def test_what_is_brought_is_pinned_by_hash_and_is_what_we_need():
    there = pinned("requirements.txt")
    wanted = [
        *project()["dependencies"],
        *(each for name in EXTRAS for each in project()["optional-dependencies"][name]),
    ]
    for requirement in map(Requirement, wanted):
        assert requirement.extras <= set(EXTRAS)
        if requirement.name != "hem-provider":  # an extra that is another's
            assert requirement.specifier.contains(there[requirement.name.lower()]), requirement


def test_what_it_is_built_with_is_pinned_by_hash():
    there = pinned("requirements-build.txt")
    system = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["build-system"]
    for requirement in map(Requirement, system["requires"]):
        assert requirement.specifier.contains(there[requirement.name]), requirement


def test_a_later_release_of_debian_has_the_later_version():
    versions = [make_deb.version_of(release) for release in make_deb.RELEASES]
    assert all(each.startswith(f"{__version__}-1~deb") for each in versions)
    assert versions == sorted(versions)


def test_the_units_of_the_package_start_the_hem_that_it_installs():
    listed = (DEBIAN / "hem-provider.install").read_text("utf-8").split()
    brought = set()
    for source, target in zip(listed[::2], listed[1::2], strict=True):
        assert target == "usr/lib/systemd/user"
        brought |= set(ROOT.glob(source))
    assert brought == set((ROOT / "packaging" / "systemd").iterdir())
    for unit in brought:
        programs = re.findall(r"^Exec\w+=(\S+)", unit.read_text("utf-8"), re.MULTILINE)
        assert set(programs) == ({"/usr/bin/hem"} if unit.suffix == ".service" else set()), unit.name


def test_each_command_of_the_project_is_a_command_of_the_package():
    rules = (DEBIAN / "rules").read_text("utf-8")
    (linked,) = re.findall(
        r"^\tfor each in (.*); do .*\n\s+ln -s ../lib/hem-provider/bin/", rules, re.MULTILINE
    )
    assert set(linked.split()) == set(project()["scripts"])
    for name in project()["scripts"]:
        assert f"! -name {name} " in rules


def test_the_maintainer_is_who_wrote_it():
    (author,) = project()["authors"]
    assert make_deb.maintainer().startswith(f"{author['name']} <")
    assert f"(c) 2026 {author['name']}\n" in (ROOT / "LICENSE").read_text("utf-8")


@pytest.fixture
def site(tmp_path):
    """Adds a package to a folder of packages."""

    def add(name, metadata="", **files):
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{metadata}")
        for file, text in files.items():
            (folder / file).write_text(text)
        (folder / "RECORD").write_text("".join(f"{folder.name}/{file},,\n" for file in files))
        assert PathDistribution(folder).version == "1.0"
        return tmp_path

    return add


def licences(site):
    own = ROOT / "LICENSE"
    return subprocess.run(
        [sys.executable, DEBIAN / "licences.py", site, own], capture_output=True, text=True, check=False
    )


def test_the_copyright_file_has_our_licence_and_that_of_all_that_is_bundled(site):
    site("one", "License-Expression: BSD-3-Clause\n", LICENSE="Text of one")
    site("hem_provider", "License-Expression: MIT\n")
    folder = site("two", "Classifier: License :: OSI Approved :: MIT License\n")
    done = licences(folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith((ROOT / "LICENSE").read_text("utf-8").strip())
    assert "one 1.0: BSD-3-Clause" in done.stdout
    assert "Text of one" in done.stdout
    assert "two 1.0: MIT License" in done.stdout


def test_a_package_without_a_licence_stops_the_build(site):
    done = licences(site("mute"))
    assert done.returncode == 1
    assert "mute does not say what its licence is" in done.stderr


@pytest.mark.long
@pytest.mark.skipif(os.geteuid() != 0, reason="not run: only root can make bare roots")
@pytest.mark.skipif(shutil.which("debootstrap") is None, reason="not run: no debootstrap")
@pytest.mark.parametrize("release", make_deb.RELEASES)
def test_a_package_is_installed_used_upgraded_and_removed_in_a_bare_root(release):
    """What is committed is built; the root has the network that this machine has."""
    said = make_deb.try_it(release, make_deb.build(release))
    assert len(re.findall(r"^tried: ", said, re.MULTILINE)) >= 12
