"""The API reference is what the code says, and says something about everything public."""

from __future__ import annotations

import doctest
import json
import re
from pathlib import Path

import pytest
from support.pages import taken

from hem_provider import keytypes
from hem_provider.device import certificate
from hem_provider.keys import edwards
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


@pytest.mark.parametrize(("page", "module"), [("administration", certificate), ("key-types", keytypes)])
def test_a_session_in_a_docstring_goes_as_it_stands(page, module):
    [session] = taken(DOCS / "reference" / f"{page}.md", "pycon")
    parsed = doctest.DocTestParser().get_doctest(session, vars(module).copy(), page, None, None)
    assert doctest.DocTestRunner().run(parsed) == (0, 1)


def test_the_example_of_phones_pairs_one(hem, rig):
    def show_as_qr_code(text):
        with rig.phone() as phone:
            phone.pair(json.loads(text)["link"])

    names = {"hem": hem, "show_as_qr_code": show_as_qr_code}
    exec(taken(DOCS / "reference" / "administration.md", "python")[0], names)  # noqa: S102
    assert [each.kid for each in hem.phones.list()] == [names["phone"]]


def test_the_example_of_variants_of_ed25519_signs_and_verifies(hem):
    key = hem.keys.create("ED25519", label="variants", usage={"sign"})
    signature = edwards.Ed25519ctx(key, context=b"app").sign(b"data")
    names = {**vars(edwards), "key": key, "data": b"data", "signature": signature}
    exec(taken(DOCS / "reference" / "private-keys.md", "python")[0], names)  # noqa: S102


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
