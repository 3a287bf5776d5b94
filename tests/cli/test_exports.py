"""Lines for a shell to take: what stands in a value is never run."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hem_provider.cli.exports import exported
from hem_provider.errors import HemConfigError

#: What makes quotes end, or the shell run something.
VALUES = [
    "/a folder", "it's", 'say "so"', "a\\'$(touch pwned)b", "\\", "\\'", "`touch pwned`", "$HOME",
    "a;touch pwned", "a\\\\'b", "(touch pwned)", "*", "~", "ä €",
]  # fmt: skip
PRINTS = {"sh": 'printf %s "$V"', "fish": "printf %s $V"}


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize(("kind", "program"), [("sh", "sh"), ("sh", "bash"), ("sh", "zsh"), ("fish", "fish")])
def test_a_shell_gets_the_value_as_it_is_and_runs_nothing_of_it(kind, program, value, tmp_path):
    if shutil.which(program) is None:
        pytest.skip(f"not run: {program} is not installed")
    [line] = exported({"V": value}, kind)
    done = subprocess.run(
        [program, "-c", f"{line}\n{PRINTS[kind]}"], cwd=tmp_path, capture_output=True, check=True,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    assert done.stdout.decode() == value
    assert not list(tmp_path.rglob("pwned"))


def undone(line):
    """The value, as fish reads single quotes: a backslash escapes itself and the quote."""
    text = line.removeprefix("set -gx V ").removesuffix(";")
    if not text.startswith("'"):
        return text
    text = text[1:-1]
    read, at = "", 0
    while at < len(text):
        assert text[at] != "'", "the quotes end early"
        at += text[at] == "\\" and text[at + 1] in "\\'"
        read, at = read + text[at], at + 1
    return read


@settings(max_examples=300)
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_fish_reads_every_value_back(value):
    [line] = exported({"V": value}, "fish")
    assert undone(line) == value


@pytest.mark.parametrize(
    ("kind", "value"), [("sh", "a\nb"), ("fish", "a\nb"), ("csh", "a!b"), ("csh", "a\nb"), ("sh", "\x1b[2J")]
)
def test_what_is_for_no_line_of_the_shell_is_refused_before_the_first_line(kind, value):
    with pytest.raises(HemConfigError, match=r"^V: .* which is for no line of"):
        next(exported({"A": "fine", "V": value}, kind))
