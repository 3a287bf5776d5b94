"""The API reference is what the code says, and says something about everything public."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools import make_reference
from tools.options import only_checks

DOCS = Path(__file__).parents[2] / "docs"


def test_the_pages_are_what_the_code_says():
    made = make_reference.pages()
    present = {path.name: path.read_text("utf-8") for path in (DOCS / "reference").glob("*.md")}
    assert present == made, "run: python tools/make_reference.py"


def test_every_public_name_has_a_docstring():
    for name, text in make_reference.pages().items():
        for heading, body in re.findall(r"^(#{2,3} `.*`)\n\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL):
            described = re.sub(r"^`[\w.]+`(: \w+)?\n", "", body).strip()
            assert described or re.search(r"^`[\w.]+`: ", body), f"{name}: {heading} is not described"


def test_a_stale_page_is_reported(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(make_reference, "OUT", tmp_path / "reference")
    assert make_reference.main(["--check"]) == 1
    assert make_reference.main([]) == 0
    assert make_reference.main(["--check"]) == 0
    (tmp_path / "reference" / "old.md").write_text("x")
    assert make_reference.main(["--check"]) == 1
    assert "old.md" in capsys.readouterr().err


def test_a_program_of_the_documents_takes_one_option_and_no_other(capsys):
    assert only_checks(["--check"], "x")
    assert not only_checks([], "x")
    for wrong in (["--chek"], ["page.md"], ["--check", "page.md"]):
        with pytest.raises(SystemExit) as ended:
            only_checks(wrong, "x")
        assert ended.value.code == 2
        assert wrong[-1] in capsys.readouterr().err
