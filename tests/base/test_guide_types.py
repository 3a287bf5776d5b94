"""The guide's own code is right for type checkers: what users copy must not fail in their build."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.pages import python_of

ROOT = Path(__file__).parents[2]
#: Pages whose Python uses nothing but this package and well-typed ones.
PAGES = [
    "README.md",
    "docs/python.md",
    "docs/symmetric.md",
    "docs/recipes/cms-signing.md",
    "docs/recipes/hpke-decryption.md",
    "docs/recipes/keyring-program.md",
    "docs/recipes/pynacl.md",
    "docs/recipes/ssh-certificates.md",
    "docs/recipes/symmetric-agreement.md",
    "docs/recipes/symmetric-envelope.md",
    "docs/recipes/threads-and-processes.md",
]


#: A key of an unknown kind does not sign like an EC key: found, where a checker sees the package's types.
WRONG = """\
import hem_provider

key = hem_provider.connect().keys.find(label='web')
key.private_key().sign(b'data', 5)
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The code of all pages, and with it what has a wrong type."""
    folder = tmp_path_factory.mktemp("guide")
    for page in PAGES:
        name = "page_" + re.sub(r"\W", "_", page.removesuffix(".md"))
        (folder / f"{name}.py").write_text(python_of(ROOT / page), "utf-8")
    (folder / "wrong.py").write_text(WRONG, "utf-8")
    return folder


def faulty(where: str, *command: str | Path) -> set[str]:
    """The files in which a checker finds an error; ``where`` finds the name in such a line."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return set(re.findall(where, done.stdout))


def test_mypy_strict_finds_nothing_but_the_wrong_type(pages, tmp_path):
    ours = tmp_path / "mypy.ini"
    ours.write_text("[mypy]\nstrict = true\n[mypy-hem_provider.*]\nfollow_imports = silent\n")
    options = ("--config-file", ours, "--cache-dir", tmp_path / "cache", "--explicit-package-bases")
    finding = (sys.executable, "-m", "mypy", *options, *sorted(pages.glob("*.py")))
    assert faulty(r"([^/\n]+\.py):\d+: error: ", *finding) == {"wrong.py"}


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
    assert faulty(r"([^/\n]+\.py):\d+:\d+ - error: ", *finding) == {"wrong.py"}
