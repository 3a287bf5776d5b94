"""How a command is typed is shown on its page of help, and what is shown can be typed."""

from __future__ import annotations

import re
import shlex

import click
import pytest
from support.commands import COMMANDS, command_of

from hem_provider.cli import main as cli
from hem_provider.cli.root import ROOT
from hem_provider.cli.shape import Command, Group, examples_of

SHOWN = [(words, each) for words in COMMANDS for each in examples_of(command_of(words))]


def typed(example):
    """The words of the first ``hem`` of a shell's line, after it."""
    inner = re.search(r"\$\((hem .*?)\)", example)
    lexer = shlex.shlex(inner[1] if inner else example, posix=True, punctuation_chars="|<>&;")
    lexer.whitespace_split = True
    words = list(lexer)
    words = words[words.index("hem") + 1 :]
    end = next((number for number, each in enumerate(words) if set(each) <= set("|<>&;")), len(words))
    return words[:end]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_shows_an_example(words, capsys):
    assert examples_of(command_of(words))
    assert cli.main([*words, "--help"]) == 0
    assert re.search(r"^Examples?:\n  \S", capsys.readouterr().out, re.M)


@pytest.mark.parametrize(("words", "example"), SHOWN, ids=[f"{' '.join(w)}: {e}" for w, e in SHOWN])
def test_an_example_is_of_its_command_and_is_understood(words, example):
    arguments = typed(example)
    assert tuple(arguments[: len(words)]) == words
    command, context = ROOT, click.Context(ROOT, info_name="hem")
    while isinstance(command, click.Group):
        name = arguments.pop(0)
        command = command.get_command(context, name)
        context = command.make_context(
            name, [] if isinstance(command, click.Group) else list(arguments), parent=context,
            resilient_parsing=isinstance(command, click.Group),
        )  # fmt: skip
    assert context.command is command


def test_examples_are_paragraphs_of_a_help_text_or_a_parameter():
    text = "do it\n\nMore of it.\n\nExample: hem do ``it``\n    hem do --much \\\n        more\n\nAt last."
    command = Command("do", help=text, example="hem do less")
    assert command.examples == ("hem do it", "hem do --much more", "hem do less")
    assert command.help == "Do it.\n\nMore of it.\n\nAt last."
    assert command.short_help == "do it"
    group = Group("all", help="all\n\nExample: hem all do", commands={"do": command})
    assert examples_of(group) == ("hem all do",)
    assert examples_of(Group("all", help="all", commands={"do": command})) == command.examples
    assert examples_of(Group("all", help="all")) == ()


def test_a_long_example_is_broken_as_a_shell_reads_it(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "40")
    assert cli.main(["emulator", "init", "--help"]) == 0
    page = capsys.readouterr().out
    shown = page.partition("Example:\n")[2]
    assert len(shown.splitlines()) > 1
    assert shlex.split(shown.replace("\\\n", " ")) == shlex.split(
        examples_of(command_of(("emulator", "init")))[0]
    )
