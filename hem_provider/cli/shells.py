"""Completion in shells: ``click``'s, put right where labels of keys have blanks, commas and the like."""

from __future__ import annotations

import re

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    add_completion_class,
    get_completion_class,
    shell_complete,
)

from hem_provider.cli.front import ASKED

__all__ = ["SHELLS", "complete", "script"]

#: What scripts are there for.
SHELLS = ("bash", "zsh", "fish")


class _Bash(BashComplete):
    """Whose candidates may have blanks."""

    def source(self) -> str:
        return ShellComplete.source(self)  # without a look at which bash is on the path

    def get_completion_args(self) -> tuple[list[str], str]:
        """Of ``--option=value`` bash makes three words."""
        words, incomplete = super().get_completion_args()
        return [each for each in words if each != "="], incomplete.removeprefix("=")

    def format_completion(self, item: CompletionItem) -> str:
        """With the characters that mean something to the shell quoted, since bash inserts it as it is; and
        so that the script's ``read`` leaves it so."""
        if item.type == "plain":
            item.value = re.sub(r"([^\w@%+=:,./-])", r"\\\1", item.value).replace("\\", r"\\")
        return str(super().format_completion(item))


class _Fish(FishComplete):
    """Whose script takes the whole of a candidate that has a comma."""

    source_template = FishComplete.source_template.replace('string split ","', 'string split -m 1 ","')


for each in (_Bash, _Fish):
    add_completion_class(each)


def script(command: click.Command, shell: str) -> str:
    """What one of ``SHELLS`` is to read, so that it asks ``complete``."""
    found = get_completion_class(shell)
    assert found is not None  # noqa: S101 - click has all three
    return found(command, {}, command.name or "", ASKED).source()


def complete(command: click.Command, asked: str) -> int:
    """Print the candidates for what a shell has so far; the status. ``asked``: the value of ``ASKED``."""
    return shell_complete(command, {}, command.name or "", ASKED, asked)
