"""The manual pages are of the commands that there are, and every formatter reads them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
from support.commands import COMMANDS, LEAVES, command_of

from hem_provider.cli import front, statuses
from hem_provider.cli.programs import PROGRAMS
from hem_provider.cli.shape import examples_of
from hem_provider.config.load import ENVIRONMENT
from tools import make_manual

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """With all pages, where ``man -M`` looks."""
    manual = tmp_path_factory.mktemp("manual")
    make_manual.write(manual / "man1")
    return manual


def shown(folder: Path, name: str) -> str:
    """A page as a person reads it, blanks and ends of lines being one blank."""
    done = subprocess.run(
        ["mandoc", "-T", "utf8", "-O", "width=200", str(folder / "man1" / f"{name}.1")],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return " ".join(re.sub(".\b", "", done.stdout).split())


def test_every_command_has_a_page_and_there_are_no_others(folder):
    names = {"hem", *(f"hem-{name}" for name in front.names()), *PROGRAMS}
    assert {each.stem for each in (folder / "man1").iterdir()} == names


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="no mandoc")
def test_the_strictest_formatter_has_nothing_to_say(folder):
    files = sorted((folder / "man1").iterdir())
    done = subprocess.run(
        ["mandoc", "-T", "lint", *files], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


@pytest.mark.skipif(shutil.which("man") is None, reason="no man")
@pytest.mark.parametrize("name", ["hem", *(f"hem-{name}" for name in front.names()), *PROGRAMS])
def test_man_shows_a_page_without_a_warning(folder, name):
    done = subprocess.run(
        ["man", "--warnings=w", "-l", str(folder / "man1" / f"{name}.1")],
        capture_output=True, text=True, check=False, timeout=60,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANWIDTH": "80"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{name.upper()}(1)")


def test_the_programs_are_those_that_are_installed():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    assert set(PROGRAMS) == set(scripts) - {"hem"}
    rules = (ROOT / "packaging" / "debian" / "rules").read_text("utf-8")
    for name in PROGRAMS:
        assert f"! -name {name}" in rules
        assert f"for each in {' '.join(['hem', *PROGRAMS])}" in rules


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="no mandoc")
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_page_of_a_program_tells_what_it_tells_of_itself(folder, name):
    page, program = shown(folder, name), PROGRAMS[name]
    for told in (program.summary, *program.about, *program.steps, *program.steps.values()):
        assert " ".join(told.split()) in page


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="no mandoc")
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_page_tells_what_a_command_tells_of_itself(folder, words):
    page = shown(folder, f"hem-{words[0]}")
    command = command_of(words)
    assert f"hem {' '.join(words)}" in page
    for paragraph in (command.help or "").replace("\b", "").split("\n\n"):
        assert " ".join(paragraph.split()) in page
    if words not in LEAVES:
        return
    context = click.Context(command, info_name=" ".join(words))
    for parameter in command.params:
        record = parameter.get_help_record(context)
        for text in record or ():
            assert " ".join(text.split()) in page
    for example in examples_of(command):
        assert " ".join(example.split()) in page


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="no mandoc")
def test_the_page_of_all_names_commands_statuses_variables_and_files(folder):
    page = shown(folder, "hem")
    for name in front.names():
        assert f"hem-{name}(1) {front.summary_of(name)}" in page
    for status, meaning in statuses.MEANINGS.items():
        assert f" {status} {meaning} " in page
    for variable, setting in ENVIRONMENT.items():
        assert f"{variable} {make_manual.VARIABLES[variable]} [{setting}]" in page
    for place, meaning in (make_manual.VARIABLES | make_manual.FILES).items():
        assert f"{place} {meaning}" in page


def test_a_variable_of_ours_that_the_code_asks_for_is_told_of():
    """Those that processes of ours hand to each other have no word of their own there; names of fields that
    go to systemd's journal are no variables, and the page on the export tells of each."""
    between = {"HEM_AGENT_READY", "HEM_AGENT_LOCKED", "HEM_AGENT_SSH_LOCKED", "HEM_AGENTKEPT"}
    journal = ROOT / "hem_provider" / "adapters" / "journal.py"
    fields = set(
        re.findall(r"`(HEM_[A-Z_]+)` \|$", (ROOT / "docs/log-export.md").read_text("utf-8"), re.MULTILINE)
    )
    asked = set()
    for path in (ROOT / "hem_provider").rglob("*.py"):
        if "emulator" not in path.parts:
            names = set(re.findall(r'"(HEM_[A-Z][A-Z0-9_]*[A-Z0-9])"', path.read_text("utf-8")))
            asked |= names - fields if path == journal else names
    assert asked - between <= set(make_manual.VARIABLES)


def test_pages_are_made_where_little_is_installed(tmp_path):
    """A wheel is built with setuptools, cffi and click alone."""
    program = (
        "import sys\n"
        "absent = 'cryptography requests rich mnemonic keyring h11 segno tomlkit zxcvbn urllib3'.split()\n"
        "class No:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.partition('.')[0] in absent:\n"
        "            raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, No())\n"
        "from tools.make_manual import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    for name, text in make_manual.pages().items():
        assert (tmp_path / name).read_text("utf-8") == text


def test_what_a_formatter_would_take_for_something_else_is_shown_as_it_is():
    assert make_manual._text(".x -a 'b' ~^`\\") == r"\&.x \-a \(aqb\(aq \(ti\(ha\(ga\e"
    assert make_manual._text("DNS:…") == r"DNS:\[u2026]"
    assert make_manual._option("--name [A|B] / -n") == r"\fB\-\-name\fR [\fIA|B\fR] / \fB\-n\fR"
    assert list(make_manual._paragraphs("One.\n\n\b\ntwo  words\n  more")) == [
        "One.", ".PP", ".nf", "two  words", "  more", ".fi",
    ]  # fmt: skip


def test_pages_that_are_no_more_do_not_stay(tmp_path):
    (tmp_path / "hem-old.1").write_text("")
    (tmp_path / "other.1").write_text("")
    make_manual.write(tmp_path)
    assert not (tmp_path / "hem-old.1").exists()
    assert (tmp_path / "other.1").exists()


def test_an_option_is_no_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for option in ("--help", "--check"):
        with pytest.raises(SystemExit):
            make_manual.main([option])
    assert list(tmp_path.iterdir()) == []
    assert "folder" in capsys.readouterr().out
