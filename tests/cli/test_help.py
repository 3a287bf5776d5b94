"""``hem help``: entries and pages by their names, offline, on a terminal and elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from support.terminal import Terminal

from hem_provider import errors
from hem_provider.cli import front, statuses
from hem_provider.cli import main as cli
from hem_provider.cli.helping import catalogue, pages
from hem_provider.cli.helping.plain import plain
from hem_provider.cli.marks import Marks
from hem_provider.config import DeviceConfig, Pkcs11Config
from hem_provider.config.load import ENVIRONMENT

DOCS = Path(__file__).parents[2] / "docs"
HEM = [sys.executable, "-m", "hem_provider.cli.main"]


def run(capsys, *words):
    """Exit status, output, errors."""
    status = cli.main(["help", *words])
    return status, *capsys.readouterr()


@pytest.mark.parametrize("name", list(catalogue.NAMES))
def test_every_entry_is_shown_by_its_name_in_any_case(name, capsys):
    entry = catalogue.NAMES[name]
    for typed in (entry.name, entry.name.lower()):
        status, out, err = run(capsys, typed)
        assert (status, err) == (0, "")
        assert out.startswith(f"# {entry.name}\n\n")
        assert entry.cause in out
        assert entry.cure in out


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["401"], ["# HTTP-401", "# AGENT-401"]),
        (["HTTP", "401"], ["# HTTP-401"]),
        (["3"], ["# EXIT-3"]),
        (["tls-name"], ["# E-TLS-NAME"]),
        (["pin_incorrect"], ["# CKR_PIN_INCORRECT"]),
        (["hem_provider.errors.HemLoginRequired"], ["# HemLoginRequired"]),
    ],
    ids=" ".join,
)
def test_what_may_be_left_away_or_is_written_before_a_name(words, shown, capsys):
    status, out, _ = run(capsys, *words)
    assert (status, re.findall(r"^# .*$", out, re.M)) == (0, shown)


@pytest.mark.parametrize(
    ("word", "page"),
    [
        ("agent", "agent"), ("recipes/nginx", "recipes/nginx"), ("nginx", "recipes/nginx"),
        ("docs/owner/setup.md", "owner/setup"), ("keys", "owner/keys"), ("reference/keys", "reference/keys"),
        ("errors", "reference/errors"), ("recipes/", "recipes/index"), ("start", "start/index"),
        ("reference/errors.md#e-name", "reference/errors"),
    ],
)  # fmt: skip
def test_a_page_is_printed_as_it_is_where_a_program_reads(word, page, capsys):
    assert run(capsys, word) == (0, (DOCS / f"{page}.md").read_text("utf-8"), "")


def test_every_page_is_found_by_its_name():
    names = pages.names()
    assert {DOCS / f"{each}.md" for each in names} == set(DOCS.rglob("*.md"))
    for each in names:
        assert pages.find(each) == DOCS / f"{each}.md"


def test_a_command_is_explained_where_no_page_is_called_so(capsys):
    _, out, _ = run(capsys, "agent", "start")
    assert out.startswith("usage: hem agent start ")
    assert run(capsys, "completion")[1].startswith("usage: hem completion ")


@pytest.mark.parametrize(
    "setting", [*fields(DeviceConfig), *fields(Pkcs11Config)], ids=lambda each: each.name
)
def test_a_setting_is_explained_where_nothing_else_is_called_so(setting, capsys):
    status, out, _ = run(capsys, setting.name)
    assert status == 0
    others = catalogue.entries(setting.name) or pages.find(setting.name) or setting.name in front.names()
    assert out.startswith(f"# `{setting.name}`\n") or others


@pytest.mark.parametrize("variable", ENVIRONMENT)
def test_a_variable_is_explained_as_its_setting(variable, capsys):
    status, out, _ = run(capsys, variable.lower())
    assert (status, f"\n* environment: `{variable}`\n* accepted: " in out, out.count("#") < 3) == (
        0,
        True,
        True,
    )


def test_a_variable_that_is_no_setting_leads_to_the_page(capsys):
    assert run(capsys, "HEM_CONFIG") == (0, (DOCS / "configuration.md").read_text("utf-8"), "")


@pytest.mark.parametrize(
    ("word", "page"),
    [
        ("HEM_DEBUG", "troubleshooting"), ("HEM_PKCS11_LOG", "pkcs11"), ("KEYRING_PROPERTY_VAULT", "keyring"),
        ("OPENSSL_CONF", "recipes/nginx"),
    ],
)  # fmt: skip
def test_any_other_variable_leads_to_the_pages_that_name_it(word, page, capsys):
    status, out, _ = run(capsys, word)
    named = re.findall(r"^\* hem help (\S+)$", out, re.M)
    assert (status, page in named) == (0, True)
    assert all(word in (DOCS / f"{each}.md").read_text("utf-8") for each in named)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("E-TLS-NAM", "E-TLS-NAME"), ("tsl-name", "E-TLS-NAME"), ("HemLoginRequird", "HemLoginRequired"),
        ("CKR_PIN_INCORECT", "CKR_PIN_INCORRECT"), ("ngnix", "recipes/nginx"), ("agnet", "agent"),
        ("HemTimout", "HemTimeout"), ("HEM_URLS", "HEM_URL"), ("firmware-limits", "firmware_limits"),
    ],
)  # fmt: skip
def test_what_is_mistyped_is_answered_with_what_is_meant(word, meant, capsys):
    status, out, err = run(capsys, word)
    assert (status, out) == (statuses.USAGE, "")
    assert re.search(rf"did you mean .*{re.escape(meant)}", err), err
    assert err.count("\n") == 1


@pytest.mark.parametrize("word", ["qqqqqq", "../../etc/passwd", "/etc/passwd", "..", "reference/../agent"])
def test_what_is_nothing_is_told_so_and_no_other_file_is_read(word, capsys):
    status, out, err = run(capsys, word)
    assert (status, out) == (statuses.USAGE, "")
    assert f"there is no help on {word!r}" in err


def test_alone_it_lists_pages_entries_and_commands(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    status, out, _ = run(capsys)
    assert status == 0
    for entry in catalogue.NAMES.values():
        assert entry.name in out
    assert re.search(r"^  recipes/nginx +\S", out, re.M)
    assert max(map(len, out.splitlines())) <= 80


def test_without_pages_entries_are_there_still(monkeypatch, tmp_path, capsys):
    package = tmp_path / "site" / "hem_provider"
    package.mkdir(parents=True)
    monkeypatch.setattr("hem_provider.__file__", str(package / "__init__.py"))
    assert run(capsys, "E-TLS-NAME")[0] == 0
    assert "this installation has the code alone" in run(capsys)[1]
    assert run(capsys, "recipes/nginx")[0] == statuses.USAGE
    installed = package / "_docs" / "reference" / "errors.md"
    installed.parent.mkdir(parents=True)
    installed.write_text("# Errors\n")
    assert pages.names() == ["reference/errors"]
    assert run(capsys, "errors") == (0, "# Errors\n", "")


PAGE = """\
# A *page* of `hem`

A paragraph with a [link](agent.md#rights), [one](#here) to itself
and **bold** words.

- a point
  that goes on
1. a number

| you see | do |
|---|---|
| `a \\| b` | this |

```console
$ hem   status | cat
```
"""


def test_markdown_is_readable_text(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    with open(os.devnull, "w", encoding="utf-8") as stream:  # noqa: PTH123
        text = plain(PAGE, Marks(stream))
    assert text == (
        "A *page* of hem\n\nA paragraph with a link (agent), one to\nitself and bold words.\n\n"
        "- a point that goes on\n1. a number\n\na | b\n    this\n\n    $ hem   status | cat\n"
    )


def test_a_comment_hides_itself_and_no_block_after_it():
    source = "before\n\n<!-- not run:\nwhy -->\n```ini\n[a]\n\n[b]\n```\nafter\n"
    with open(os.devnull, "w", encoding="utf-8") as stream:  # noqa: PTH123
        assert plain(source, Marks(stream)) == "before\n\n    [a]\n    \n    [b]\nafter\n"


@pytest.mark.parametrize("name", pages.names())
def test_every_page_is_text_that_fits(name, monkeypatch):
    """But for blocks, which are what is typed, and words that have no blank."""
    monkeypatch.setenv("COLUMNS", "80")
    source = (DOCS / f"{name}.md").read_text("utf-8")
    with open(os.devnull, "w", encoding="utf-8") as stream:  # noqa: PTH123
        lines = plain(source, Marks(stream)).splitlines()
    blocks = {line.strip() for block in re.findall(r"^```.*?\n(.*?)^```", source, re.M | re.S)
              for line in block.splitlines()}  # fmt: skip
    for line in lines:
        fits = len(line) <= 80 or line.strip() in blocks or len(line.split()) < 4
        assert fits or max(map(len, line.split())) > 40, line
        assert not re.search(r"^(\|.*\||#+ .*|```.*)$", line) or line.strip() in blocks, line


def test_on_a_terminal_the_pager_has_it():
    environment = os.environ | {"PAGER": "sed s/^/PAGED:/", "TERM": "dumb"}
    with Terminal(["help", "E-TLS-NAME"], environment) as terminal:
        assert terminal.end() == 0
    assert "PAGED:E-TLS-NAME" in terminal.shown
    assert "# E-TLS-NAME" not in terminal.shown


def test_an_error_names_its_entry_on_a_terminal_only(capsys, monkeypatch):
    error = errors.HemTLSError("so", code="E-TLS-NAME")
    statuses.end(error, statuses.Manner())
    assert capsys.readouterr().err == "hem: so\n"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    statuses.end(error, statuses.Manner())
    statuses.end(errors.HemKeyNotFound("no key"), statuses.Manner())
    statuses.end(OSError(28, "No space left on device"), statuses.Manner())
    statuses.end(statuses.UsageFault("what?"), statuses.Manner())
    statuses.end(statuses.Declined("no"), statuses.Manner())
    statuses.end(EOFError(), statuses.Manner())
    assert capsys.readouterr().err.splitlines() == [
        "hem: so", "     (hem help E-TLS-NAME)", "hem: no key", "     (hem help HemKeyNotFound)",
        "hem: No space left on device", "     (hem help E-DISK-FULL)", "hem: what?", "hem: no",
        "hem: the input ended before an answer was typed",
    ]  # fmt: skip


def test_shells_complete_names():
    environment = os.environ | {
        "_HEM_COMPLETE": "bash_complete",
        "COMP_WORDS": "hem help E-TLS-N",
        "COMP_CWORD": "2",
    }
    done = subprocess.run(HEM, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert {"plain,E-TLS-NAME", "plain,E-TLS-NOT-YET"} <= set(done.stdout.splitlines())
