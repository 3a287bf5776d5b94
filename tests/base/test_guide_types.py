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


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guide")
    for page in PAGES:
        name = "page_" + re.sub(r"\W", "_", page.removesuffix(".md"))
        (folder / f"{name}.py").write_text(python_of(ROOT / page), "utf-8")
    return folder


def check(*command: str | Path) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_guides_code_passes_mypy_strict(pages, tmp_path):
    ours = tmp_path / "mypy.ini"
    ours.write_text("[mypy]\nstrict = true\n[mypy-hem_provider.*]\nfollow_imports = silent\n")
    options = ("--config-file", ours, "--cache-dir", tmp_path / "cache", "--explicit-package-bases")
    check(sys.executable, "-m", "mypy", *options, *sorted(pages.glob("*.py")))


def test_the_guides_code_passes_pyright(pages):
    command = (sys.executable, "-m", "basedpyright", "--level", "error")
    check(*command, "--pythonpath", sys.executable, pages)


def test_a_page_with_a_wrong_type_would_be_found(pages, tmp_path):
    """Both checkers see the package's types: a key of an unknown kind does not sign like an EC key."""
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "import hem_provider\n\nkey = hem_provider.connect().keys.find(label='web')\n"
        "key.private_key().sign(b'data', 5)\n"
    )
    for command in (
        (
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--cache-dir",
            tmp_path / "cache",
            "--config-file=",
            wrong,
        ),
        (sys.executable, "-m", "basedpyright", "--level", "error", "--pythonpath", sys.executable, wrong),
    ):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=170, check=False)
        assert done.returncode == 1, done.stdout + done.stderr
        assert "wrong.py" in done.stdout
