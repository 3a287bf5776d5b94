"""What ``hem`` shows of itself: the page of its commands, the pages of help, and what is loaded for them."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import click
import hem_pkcs11
import pytest

import hem_provider
from hem_provider.cli import front, statuses
from hem_provider.cli import main as cli
from hem_provider.cli.root import ROOT, run
from hem_provider.cli.shape import Command

AT_ONCE = sorted(cli._AT_ONCE)


def commands(command, *above):
    """Every command by its words, groups too."""
    yield above
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from commands(command.get_command(context, name), *above, name)


EVERY = [words for words in commands(ROOT) if words]


def loaded(*arguments: str) -> set[str]:
    """The modules that are loaded once the command is done."""
    program = (
        "import sys\nfrom hem_provider.cli.main import main\n"
        "status = main(sys.argv[1:])\nprint('\\n' + ' '.join(sys.modules))\nsys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.splitlines()[-1].split())


def test_hem_alone_shows_its_commands_and_that_is_no_error(capsys):
    assert cli.main([]) == 0
    alone = capsys.readouterr().out
    assert cli.main(["--help"]) == 0
    assert capsys.readouterr().out == alone
    lines = alone.splitlines()
    for name in front.names():
        (line,) = [each for each in lines if each.startswith(f"  {name} ")]
        assert len(line.split()) > 3


def test_every_command_stands_at_a_job_and_none_at_two():
    assert [name for name in front.names() if front.place(name) == front.OTHERS] == []
    listed = [name for _, those in front._JOBS for name in those]
    assert len(listed) == len(set(listed))
    assert set(front.names()) <= set(listed)


def test_a_command_says_the_same_of_itself_as_the_page_does():
    for name in front.names():
        assert ROOT.get_command(click.Context(ROOT), name).short_help == front.summary_of(name) != ""


@pytest.mark.parametrize("words", AT_ONCE, ids=" ".join)
def test_what_is_answered_at_once_loads_no_click_and_says_what_click_would(words, capsys):
    before = {each.partition(".")[0] for each in loaded(*words)}
    assert not before & {"click", "argparse", "requests", "cryptography", "json", "ssl", "cffi", "rich"}
    assert cli.main(list(words)) == 0
    told = capsys.readouterr().out
    assert run(list(words) or ["--help"], statuses.Manner()) == 0
    assert capsys.readouterr().out == told


@pytest.mark.parametrize("words", AT_ONCE, ids=" ".join)
def test_what_is_answered_at_once_loads_hardly_more_than_python_does(words):
    """Without ``site``, which loads much in a development environment."""
    program = (
        "import sys; sys.path[:0] = sys.argv[1:3]; before = set(sys.modules)\n"
        "from hem_provider.cli.main import main\n"
        "main(sys.argv[3:]); print('\\n' + ' '.join(set(sys.modules) - before))"
    )
    places = [str(Path(each.__file__).parents[1]) for each in (hem_provider, hem_pkcs11)]
    done = subprocess.run(
        [sys.executable, "-S", "-c", program, *places, *words],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    found = set(done.stdout.splitlines()[-1].split())
    assert not found & {"typing", "re", "pathlib", "contextlib", "importlib.util", "functools", "dataclasses"}


@pytest.mark.parametrize("name", front.names())
def test_only_the_chosen_command_is_loaded(name):
    prefix = "hem_provider.cli.commands."
    assert {each for each in loaded(name, "--help") if each.startswith(prefix)} == {f"{prefix}{name}"}


def test_help_loads_nothing_that_talks_to_a_device():
    for name in front.names():
        assert not loaded(name, "--help") & {"requests", "cryptography", "ssl", "hem_provider.rest"}, name


@pytest.mark.parametrize("columns", [40, 80, 200])
@pytest.mark.parametrize("words", [(), *EVERY], ids=" ".join)
def test_pages_fit_the_terminal_and_every_encoding(words, columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert cli.main([*words, "--help"]) == 0
    page = capsys.readouterr().out
    assert page.startswith(f"usage: {' '.join(('hem', *words))} ")
    assert page.isascii()
    assert "``" not in page
    assert max(map(len, page.splitlines())) <= columns


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_every_option_and_argument_is_told_of(words):
    command = ROOT
    for word in words:
        command = command.get_command(click.Context(command), word)
    context = click.Context(command, info_name=" ".join(words))
    for parameter in command.params:
        if not getattr(parameter, "hidden", False):
            shown, told = parameter.get_help_record(context)
            assert shown
            assert told, parameter.name
    assert command.short_help


def test_one_of_several_values_is_broken_between_them(monkeypatch, capsys):
    values = click.Choice([f"value-{number}" for number in range(6)])
    monkeypatch.setenv("COLUMNS", "40")
    command = Command("do", params=[click.Option(["--one"], type=values, help="it")])
    with click.Context(command, info_name="do") as context:
        context.formatter_class = command.context_class.formatter_class
        page = command.get_help(context)
    assert max(map(len, page.splitlines())) <= 40
    assert "".join(page.split()).count("[value-0|value-1|value-2|value-3|value-4|value-5]it") == 1


def test_columns_are_those_of_the_variable_the_terminal_or_80(monkeypatch):
    from hem_provider.cli import terminal

    show = partial(terminal.columns, sys.stdout)
    for told, columns in (("40", 40), ("0", 80), ("wide", 80), ("", 80), ("\u0664", 80)):
        monkeypatch.setenv("COLUMNS", told)
        assert show() == columns
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((123, 20)))
    assert show() == 123
