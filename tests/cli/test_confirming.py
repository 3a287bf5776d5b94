"""What cannot be undone is done only when it is meant; without a terminal nobody waits for an answer."""

from __future__ import annotations

import io
import sys

import pytest

from hem_provider.cli import statuses
from hem_provider.cli.confirming import ask, confirm, confirm_by_name


@pytest.fixture
def types(monkeypatch):
    """A person at the terminal who types this."""

    def types(text):
        typed = io.StringIO(text)
        for stream in (typed, sys.stderr):
            monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
        monkeypatch.setattr(sys, "stdin", typed)

    return types


@pytest.mark.parametrize("answer", ["y", "Y", "yes", " yes "])
def test_a_yes_goes_on(types, answer, capsys):
    types(f"{answer}\n")
    confirm("Sure?", yes=False)
    assert capsys.readouterr() == ("", "Sure? [y/N] ")


@pytest.mark.parametrize("answer", ["", "n", "ye", "yes yes"])
def test_anything_else_does_not(types, answer):
    types(f"{answer}\n")
    with pytest.raises(statuses.Declined):
        confirm("Sure?", yes=False)


def test_yes_asks_nothing(types, capsys):
    types("")
    confirm("Sure?", yes=True)
    confirm_by_name("Sure?", "hem", yes=True)
    assert capsys.readouterr() == ("", "")


def test_a_name_has_to_be_typed_whole(types):
    types("web\n")
    confirm_by_name("The key goes.", "web", yes=False)
    types("we\n")
    with pytest.raises(statuses.Declined, match="not web"):
        confirm_by_name("The key goes.", "web", yes=False)


def test_an_input_that_ends_is_no_answer(types):
    types("")
    with pytest.raises(EOFError):
        ask("What?", instead="--label")


def test_without_a_terminal_the_option_is_named(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with pytest.raises(statuses.UsageFault, match="no terminal.*Sure.*--yes"):
        confirm("Sure?", yes=False)


def test_a_prompt_that_is_left_ends_its_line(types, monkeypatch, capsys):
    types("")
    with pytest.raises(EOFError):
        ask("Sure? ", instead="--yes")
    assert capsys.readouterr().err == "Sure? \n"

    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.stdin, "readline", interrupt)
    with pytest.raises(KeyboardInterrupt):
        ask("Sure? ", instead="--yes")
    assert capsys.readouterr().err == "Sure? \n"
