"""The API reference is what the code says, and says something about everything public."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def reference():
    spec = importlib.util.spec_from_file_location("make_reference", DOCS / "make_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_are_what_the_code_says(reference):
    made = reference.pages()
    present = {path.name: path.read_text("utf-8") for path in (DOCS / "reference").glob("*.md")}
    assert present == made, "run: python docs/make_reference.py"


def test_every_public_name_has_a_docstring(reference):
    for name, text in reference.pages().items():
        for heading, body in re.findall(r"^(#{2,3} `.*`)\n\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL):
            described = re.sub(r"^`[\w.]+`(: \w+)?\n", "", body).strip()
            assert described or re.search(r"^`[\w.]+`: ", body), f"{name}: {heading} is not described"


def test_a_stale_page_is_reported(reference, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(reference, "OUT", tmp_path / "reference")
    assert reference.main(["--check"]) == 1
    assert reference.main([]) == 0
    assert reference.main(["--check"]) == 0
    (tmp_path / "reference" / "old.md").write_text("x")
    assert reference.main(["--check"]) == 1
    assert "old.md" in capsys.readouterr().err
