"""What README and docs/ name in prose is there: classes, functions, settings, variables, commands and
options, constants of PKCS#11, files, endpoints, targets of ``make``."""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path

import pytest
from support.prose import Span, spans_of, spans_of_all, unknown

GROUPS = tomllib.loads((Path(__file__).parent / "foreign_names.toml").read_text("utf-8"))["group"]
FOREIGN = {name for group in GROUPS for name in group["names"]}
PAGES = {page for group in GROUPS for page in group.get("pages", ())}


@functools.cache
def found():
    """What no name of ours is: each with the span it stands in."""
    return [(span, name) for span in spans_of_all() for name in unknown(span)]


def test_every_name_is_there_or_foreign():
    wrong = [
        f"{span.page}:{span.line}: {name}"
        for span, name in found()
        if name not in FOREIGN and span.page not in PAGES
    ]
    assert wrong == []


def test_the_list_of_foreign_names_has_no_other():
    assert FOREIGN - {name for span, name in found() if span.page not in PAGES} == set()
    assert all(group["reason"] for group in GROUPS)
    assert len(FOREIGN) == sum(len(group["names"]) for group in GROUPS)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("HemApprovalDeniedError", "HemApprovalDeniedError"),
        ("ApprovalDeniedError", "ApprovalDeniedError"),
        ("hem.keys.make_up()", "make_up"),
        ("connect(pass_phrase=…)", "pass_phrase"),
        ("hem keys invent --label web", "hem keys invent"),
        ("HEM_URL=x hem keys create P-256 --lable web", "hem … --lable"),
        ("--no-such-option", "--no-such-option"),
        ("export HEM_ADDRESS=…", "HEM_ADDRESS"),
        ("CKR_PIN_WRONG", "CKR_PIN_WRONG"),
        ("CKM_ECDSA_SHA257", "CKM_ECDSA_SHA257"),
        ("C_SignAll", "C_SignAll"),
        ("device/logins.py", "device/logins.py"),
        ("tests/base/test_names.py::test_nothing", "tests/base/test_names.py::test_nothing"),
        ("make everything", "everything"),
        ("passphrase_fiel = \"x\"", "passphrase_fiel"),
        ("crypto/exdsa/signs", "crypto/exdsa/signs"),
    ],
)  # fmt: skip
def test_a_name_that_is_nowhere_is_found(text, name):
    assert unknown(Span("x.md", 1, text)) == {name}


@pytest.mark.parametrize(
    "text",
    [
        "HemApprovalDenied", "hem.keys.create(…)", "connect(passphrase=…)", "hem phones pair | tee x",
        "hem keys create P-256 --label web", "--label", "HEM_URL", "HEM_*", "CKR_PIN_INCORRECT",
        "CKM_ECDSA_SHA256", "CKM_SHA256_…", "C_Sign", "device/login.py", "keymgmt/search", "make demo",
        "tests/base/test_names.py::test_a_name_that_is_nowhere_is_found", "passphrase_file = \"x\"",
        "6d0e37dd034a07f9ed32f75537141530", "two words", "=",
    ],
)  # fmt: skip
def test_a_name_that_is_there_is_not(text):
    assert unknown(Span("x.md", 1, text)) == set()


def test_spans_are_found_with_their_lines_and_blocks_are_none():
    text = "a `b` and ``c `d` ``\n```console\n$ echo `e`\n```\n`f\ng`\n"
    assert spans_of("x.md", text) == [Span("x.md", 1, "b"), Span("x.md", 1, "c `d`"), Span("x.md", 5, "f g")]
