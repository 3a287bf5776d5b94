"""Ten changes that people will want, each made on a copy as ``docs/development/changing.md`` shows it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.blocks import ran

from tools.blocks import blocks_of

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "development" / "changing.md"
SECTION = re.compile(r"^## (?P<number>\d+)\. (?P<title>.+)\n(?P<text>(?:(?!^## ).*\n)*)", re.M)
BLOCK = re.compile(r"^```(?P<kind>diff|python)\n(?P<text>.*?)^```$", re.M | re.S)
MOST = re.compile(r"At most (?P<most>\d+) files?\.")

SECTIONS = {each["number"]: each for each in SECTION.finditer(PAGE.read_text("utf-8"))}


def test_there_are_ten():
    assert list(SECTIONS) == [str(number) for number in range(1, 11)]


def test_no_block_is_left_out():
    tried = [block for section in SECTIONS.values() for block in dict(BLOCK.findall(section["text"])).items()]
    assert tried == [(each.info, each.text) for each in blocks_of(str(PAGE.relative_to(ROOT)))]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources, as a repository of their own to go back in."""
    there = tmp_path_factory.mktemp("copy")
    ignored = shutil.ignore_patterns("*.so", "__pycache__")
    for folder in ("hem_provider", "shim"):
        shutil.copytree(ROOT / folder, there / folder, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", there)
    return there


@pytest.mark.parametrize("number", SECTIONS)
def test_a_change_is_as_small_as_the_page_says_and_works(number: str, copy: Path):
    text = SECTIONS[number]["text"]
    blocks = dict(BLOCK.findall(text))
    limit = MOST.search(text)
    assert limit is not None
    patch = blocks.get("diff", "")
    changed = set(re.findall(r"^\+\+\+ b/(\S+)", patch, re.M))
    assert len([each for each in changed if "/emulator/" not in each]) <= int(limit["most"])
    if patch:
        apply(patch, copy)
    try:
        status, said = run(blocks["python"], copy)
    finally:
        if patch:
            apply(patch, copy, "-R")
    assert status == 0, said
    for kind, block in blocks.items():
        ran(kind, block)
    if patch:
        assert run(blocks["python"], copy)[0] != 0, "the check passes without the change, too"


def run(program: str, copy: Path) -> tuple[int, str]:
    """The status of a program over the copy, and what it said."""
    path = f"{copy}{os.pathsep}{copy / 'shim'}"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=copy, env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def apply(patch: str, copy: Path, *options: str) -> None:
    done = subprocess.run(
        ["git", "apply", "-C1", *options],
        input=patch, cwd=copy, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
