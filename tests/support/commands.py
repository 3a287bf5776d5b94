"""The tree of commands, as ``click`` has it: what tests of all commands go through."""

from __future__ import annotations

from collections.abc import Iterator

import click

from hem_provider.cli.root import ROOT

__all__ = ["COMMANDS", "LEAVES", "command_of"]


def _below(command: click.Command, *above: str) -> Iterator[tuple[str, ...]]:
    yield above
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from _below(found, *above, name)


def command_of(words: tuple[str, ...]) -> click.Command:
    """The command of these words."""
    command: click.Command = ROOT
    for word in words:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), word)
        assert found is not None, words
        command = found
    return command


#: Every command by its words, groups too; and those that do something.
COMMANDS = [words for words in _below(ROOT) if words]
LEAVES = [words for words in COMMANDS if not isinstance(command_of(words), click.Group)]
