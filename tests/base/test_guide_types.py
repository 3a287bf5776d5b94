"""The documentation's own code is right for type checkers: what users copy must not fail in their build."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.pages import python_of

from tools.blocks import ROOT, all_blocks

#: Pages whose Python is no program of a reader: pieces of docstrings, and programs over code that is to be
#: written first, which a test runs so.
PIECES = ("docs/reference/", "docs/development/changing.md")
PAGES = sorted(
    {
        block.page
        for block in all_blocks()
        if block.info == "python" and not block.reason and not block.page.startswith(PIECES)
    }
)
#: A program that a page's shell reads from its own lines: ``python <<'END'``.
HERE = re.compile(r"^python3? <<'END'\n(.*?)^END$", re.DOTALL | re.MULTILINE)
SHELLS = [
    (block.page, text) for block in all_blocks() if block.info == "sh" for text in HERE.findall(block.text)
]
FILES = [block for block in all_blocks() if block.kind == "file" and block.language == "python"]
#: What readers' libraries lack of types, they lack in their build too: types that are theirs to give.
SETTINGS = """\
[mypy]
strict = true
[mypy-hem_provider.*]
follow_imports = silent
[mypy-josepy.*,signxml.*,securesystemslib.*,tuf.*]
implicit_reexport = true
[mypy-authlib.*,celery.*,jwcrypto.*,lxml.*,paramiko.*,tink.*]
ignore_missing_imports = true
[mypy-page_docs_recipes_ssh_python_server_paramiko]
disallow_subclassing_any = false
warn_return_any = false
[mypy-page_docs_recipes_jwt_queue_tasks]
disallow_untyped_decorators = false
"""
#: The same of pyright: a compiled module without stubs.
NOT_OURS = '"etree" is unknown import symbol'


#: A key of an unknown kind does not sign like an EC key: found, where a checker sees the package's types.
WRONG = """\
import hem_provider

key = hem_provider.connect().keys.find(label='web')
key.private_key().sign(b'data', 5)
"""


def name_of(page: str, file: str = "") -> str:
    return "page_" + re.sub(r"\W", "_", page.removesuffix(".md") + f"_{file}".removesuffix(".py").rstrip("_"))


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The code of all pages, and with it what has a wrong type."""
    folder = tmp_path_factory.mktemp("guide")
    for page in PAGES:
        (folder / f"{name_of(page)}.py").write_text(python_of(ROOT / page), "utf-8")
    for page, text in SHELLS:
        (folder / f"{name_of(page)}.py").write_text(text, "utf-8")
    for block in FILES:
        (folder / f"{name_of(block.page, block.info.split()[1])}.py").write_text(block.text, "utf-8")
    (folder / "wrong.py").write_text(WRONG, "utf-8")
    return folder


def faulty(where: str, *command: str | Path) -> tuple[set[str], str]:
    """The files in which a checker finds an error, and what it says; ``where`` finds the name in a line."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    said = "\n".join(line for line in done.stdout.splitlines() if NOT_OURS not in line)
    return {each.removeprefix("page_docs_recipes_") for each in re.findall(where, said)}, said


def test_mypy_strict_finds_nothing_but_the_wrong_type(pages, tmp_path):
    ours = tmp_path / "mypy.ini"
    ours.write_text(SETTINGS)
    cache, known = tmp_path / "cache", ROOT / ".mypy_cache"
    if known.is_dir():  # what "make checks" found out of libraries; mypy sees whether it holds
        shutil.copytree(known, cache)
    options = ("--config-file", ours, "--cache-dir", cache, "--explicit-package-bases")
    finding = (sys.executable, "-m", "mypy", *options, *sorted(pages.glob("*.py")))
    files, said = faulty(r"([^/\n]+)\.py:\d+: error: ", *finding)
    assert files == {"wrong"}, said


def test_pyright_finds_nothing_but_the_wrong_type(pages):
    finding = (
        sys.executable,
        "-m",
        "basedpyright",
        "--level",
        "error",
        "--pythonpath",
        sys.executable,
        pages,
    )
    files, said = faulty(r"([^/\n]+)\.py:\d+:\d+ - error: ", *finding)
    assert files == {"wrong"}, said


def test_all_pages_are_looked_at():
    assert {"docs/python.md", "docs/owner/status.md"} <= set(PAGES)
    assert [page for page, _ in SHELLS] == ["README.md"]
    assert len(PAGES) > 20
    assert len(FILES) >= 7
