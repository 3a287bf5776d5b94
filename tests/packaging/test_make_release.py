"""A release: what there has to be before one is made, what it is, and the tag that is made last."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from support.pages import steps_of

from hem_provider._version import __version__
from tools import make_deb, make_release, release_parts, try_wheels
from tools.make_wheels import ReleaseError

ROOT = Path(__file__).parents[2]
CHANGES = "### Added\n- The first of all.\n\n# is no comment"
SECTION = f"# Changelog\n\n## Unreleased\n\n## {__version__} - 2026-01-31\n\n{CHANGES}\n"


def run(folder: Path, *words: str | Path) -> str:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def commit(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text, "utf-8")
    run(folder, "git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "commit", "-qam", "Change")


def release(folder: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """``make release`` in a checkout, as somebody with a name for tags."""
    own = {f"GIT_COMMITTER_{name}": value for name, value in (("NAME", "Ada"), ("EMAIL", "ada@example.org"))}
    return subprocess.run(
        [sys.executable, "-m", "tools.make_release", "--no-roots", *words, sys.executable],
        cwd=folder, env={**os.environ, **own}, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A clone whose changelog has a section for the version."""
    folder = tmp_path / "checkout"
    run(tmp_path, "git", "clone", "-q", "--no-tags", ROOT, folder)
    commit(folder, "CHANGELOG.md", SECTION)
    return folder


def refused(checkout: Path) -> str:
    """What is said, nothing having been made."""
    done = release(checkout)
    assert (done.returncode, done.stdout) == (1, "")
    assert not (checkout / "dist").exists()
    return done.stderr


def test_what_is_not_committed_is_refused_by_name(checkout):
    (checkout / "README.md").write_text("changed")
    for number in range(6):
        (checkout / f"new{number}").write_text("new")
    told = refused(checkout)
    assert told == "error: not committed: README.md, new0, new1, new2, new3, and 2 more\n"


def test_a_version_that_has_a_tag_is_refused(checkout):
    run(checkout, "git", "tag", f"v{__version__}")
    assert f"error: the tag v{__version__} exists: say another version" in refused(checkout)


def test_all_reasons_are_said_at_once(checkout):
    commit(checkout, "CHANGELOG.md", "# Changelog\n")
    commit(checkout, "hem_provider/_version.py", '__version__ = "1.0-final"\n')
    (checkout / "left").write_text("")
    told = refused(checkout).removeprefix("error: ").splitlines()
    assert [each.split(":")[0].strip() for each in told] == [
        "not committed", "hem_provider/_version.py", "CHANGELOG.md"
    ]  # fmt: skip
    assert "no section '## 1.0-final - YYYY-MM-DD'" in told[2]


def test_the_section_of_a_version_ends_with_the_next_heading():
    changelog = f"{SECTION}\n## 0.0.9 - 2025-12-01\n\nOlder.\n"
    assert make_release.section_of(__version__, changelog) == CHANGES
    assert make_release.section_of("0.0.9", changelog) == "Older."


@pytest.mark.parametrize(
    ("changelog", "told"),
    [
        ("## Unreleased\n\n- A thing.\n", "under 'Unreleased' belongs to a version: '## 1.0 - YYYY-MM-DD'"),
        ("## 1.0 - 2026-02-30\n\n- A thing.\n", "there is no day 2026-02-30"),
        (
            "## 1.0 - 2026-02-03\n\n## 0.9 - 2026-02-01\n\nOld.\n",
            "nothing stands below '## 1.0 - 2026-02-03'",
        ),
        ("## 1.0\n\n- A thing.\n", "no section '## 1.0 - YYYY-MM-DD'"),
        ("## 1.0.1 - 2026-02-03\n\n- A thing.\n", "no section '## 1.0 - YYYY-MM-DD'"),
        ("", "no section '## 1.0 - YYYY-MM-DD'"),
    ],
)
def test_a_changelog_without_what_changed_is_refused(changelog, told):
    with pytest.raises(ReleaseError, match=re.escape(told)):
        make_release.section_of("1.0", changelog)


def test_nothing_is_left_where_it_fails_half_way(checkout, tmp_path):
    done = release(checkout, "--output", tmp_path / "dist", "/bin/false")
    assert done.returncode == 1
    assert "error: /bin/false: not a Python 3.11 or newer" in done.stderr
    assert list((tmp_path / "dist").iterdir()) == []
    assert run(checkout, "git", "tag") == ""


def test_bare_roots_give_the_wheels_that_are_not_here_and_the_debian_packages(monkeypatch, tmp_path, capsys):
    done = []

    def build(release):
        done.append(f"build {release}")
        return [tmp_path / "sources.tar.gz", tmp_path / f"{release}.whl"]

    def built(release):
        return build(release)[1].with_suffix(".deb")

    def try_it(release, file):
        done.append(f"try {file.name}")
        return "tried: one\ntried: two\n"

    for module, making in ((try_wheels, build), (make_deb, built)):
        monkeypatch.setattr(module, "build", making)
        monkeypatch.setattr(module, "try_it", try_it)
    here = [Path("hem_provider-1-cp311-cp311-x.whl"), Path("hem_provider-1-cp313-cp313-x.whl")]
    made = [each.name for each in make_release._from_roots(here)]
    assert made == ["sid.whl", "bookworm.deb", "trixie.deb"]
    assert done == [
        "build sid", "try sid.whl", "build bookworm", "try bookworm.deb", "build trixie", "try trixie.deb"
    ]  # fmt: skip
    assert "built: sid.whl, and tried: 2 things" in capsys.readouterr().out


def test_more_sums_than_a_device_signs_are_refused(tmp_path):
    files = [tmp_path / f"{number:0150}" for number in range(10)]
    for each in files:
        each.write_text(each.name)
    with pytest.raises(ReleaseError, match="SHA256SUMS has 2170 bytes; a device signs 2048 at most"):
        release_parts.write_sums(tmp_path, files)


def test_only_one_place_says_the_version():
    """But for examples of names of files, which are of this version."""
    named = re.compile(r"hem[-_]provider[-_](\d+\.\d+(?:\.\d+)?\w*)")
    listed = run(ROOT, "git", "grep", "-lE", r"hem[-_]provider[-_][0-9]+\.[0-9]").splitlines()
    assert listed
    for name in listed:
        assert set(named.findall((ROOT / name).read_text("utf-8"))) <= {__version__}, name
    assert 'attr = "hem_provider._version.__version__"' in (ROOT / "pyproject.toml").read_text("utf-8")


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.skipif(shutil.which("pkcs11-tool") is None, reason="not run: no pkcs11-tool")
def test_a_release_is_whole_checked_as_it_says_the_same_again_and_tagged_last(checkout, tmp_path):
    """Packages of others come from the package index."""
    tried = release(checkout, "--dry-run")
    assert tried.returncode == 0, tried.stderr
    assert run(checkout, "git", "tag") == ""
    folder = checkout / "dist" / f"hem-provider-{__version__}"
    assert tried.stdout.splitlines()[-2:] == [f"{folder}: 8 files", f"v{__version__}: not made (--dry-run)"]
    holds_what_it_says(folder)
    sums = (folder / "SHA256SUMS").read_text("utf-8")

    done = release(checkout)
    assert done.returncode == 0, done.stderr
    assert (folder / "SHA256SUMS").read_text("utf-8") == sums
    holds_what_it_says(folder)
    tag = f"v{__version__}"
    assert run(checkout, "git", "cat-file", "-t", tag) == "tag"
    assert run(checkout, "git", "rev-parse", f"{tag}^{{commit}}") == run(checkout, "git", "rev-parse", "HEAD")
    message = run(checkout, "git", "tag", "--list", "--format=%(contents)", tag)
    assert message.startswith(f"hem-provider {__version__}\n\n{CHANGES}\n")
    assert message.endswith(sums.strip())
    assert f"the tag {tag} exists" in release(checkout, "--dry-run").stderr


def holds_what_it_says(folder: Path) -> None:
    for step in steps_of(folder / "RELEASE.md"):
        told = run(folder, "sh", "-c", step.command)
        assert all(each in told for each in step.expected)
    summed = dict(
        reversed(line.split("  ")) for line in (folder / "SHA256SUMS").read_text("utf-8").splitlines()
    )
    assert set(summed) == {each.name for each in folder.iterdir()} - {
        "SHA256SUMS", "SHA256SUMS.sig", "SHA256SUMS.pem"
    }  # fmt: skip
    assert CHANGES in (folder / "RELEASE.md").read_text("utf-8")
    assert {each.stat().st_mode & 0o777 for each in folder.iterdir()} == {0o644}
    (listed,) = folder.glob("*.cdx.json")
    document = json.loads(listed.read_text("utf-8"))
    ours = document["metadata"]["component"]
    assert (ours["name"], ours["version"], ours["type"]) == ("hem-provider", __version__, "library")
    assert "purl" not in ours  # nobody has published it
    handed_out = {each["url"]: each["hashes"][0]["content"] for each in ours["externalReferences"]}
    assert set(handed_out) == {each for each in summed if each.endswith((".whl", ".tar.gz"))}
    for name, content in handed_out.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == content == summed[name]
    parts = {each["name"].lower().replace("_", "-"): each for each in document["components"]}
    assert not {"pip", "setuptools", "pytest", "hem-provider"} & set(parts)
    for line in release_parts.PINNED.read_text("utf-8").splitlines():
        if "==" in line:
            wanted = Requirement(line.rstrip("\\ "))
            if wanted.marker is None or wanted.marker.evaluate():
                part = (
                    parts.pop(wanted.name)
                    if wanted.name in parts
                    else parts.pop(wanted.name.replace("-", "."))
                )
                assert wanted.specifier.contains(part["version"])
    assert parts == {}
    assert str(ROOT) not in listed.read_text("utf-8")
    assert "/tmp/" not in listed.read_text("utf-8")
