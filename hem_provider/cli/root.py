"""``hem`` itself: the group of all commands, of which the chosen one is loaded."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from typing import Any

import click
from click.shell_completion import CompletionItem

from hem_provider._version import __version__
from hem_provider.cli import commands, front, statuses, terminal
from hem_provider.cli.options import AS_JSON, JsonFlag
from hem_provider.cli.shape import Group, similar
from hem_provider.cli.shells import complete

__all__ = ["ROOT", "run"]


class _Root(Group):
    def list_commands(self, _: click.Context) -> list[str]:
        return front.names()

    def get_command(self, _: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in front.names():
            return None
        found = importlib.import_module(f"{commands.__name__}.{cmd_name}").command
        assert isinstance(found, click.Command)  # noqa: S101
        return found

    def format_help(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write(front.page(terminal.columns(sys.stdout)))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """As a group's, without loading every command."""
        options = [] if not incomplete.startswith("-") else super().shell_complete(ctx, incomplete)
        return options or [
            CompletionItem(name, help=front.summary_of(name))
            for name in front.names()
            if name.startswith(incomplete)
        ]


def _print_version(ctx: click.Context, _: click.Parameter, asked: Any) -> None:
    if asked and not ctx.resilient_parsing:
        print(f"hem-provider {__version__}")
        ctx.exit()


ROOT = _Root(
    "hem",
    subcommand_metavar="COMMAND ...",
    context_settings={"help_option_names": ["-h", "--help"]},
    params=[
        click.Option(["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_print_version)
    ],
)


def run(arguments: list[str], manner: statuses.Manner) -> int:
    """Run one command; the exit status. ``UsageFault``, and whatever the command raises."""
    if front.ASKED in os.environ:
        return complete(ROOT, os.environ[front.ASKED])
    meta: dict[str, Any] = {}
    try:
        with ROOT.make_context(ROOT.name, list(arguments)) as ctx:
            meta = ctx.meta
            return int(ROOT.invoke(ctx) or statuses.DONE)
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except click.UsageError as error:
        meta = {AS_JSON: _asked_json(error.ctx, arguments)}
        raise statuses.UsageFault(_line(error)) from None
    finally:
        manner.as_json = bool(meta.get(AS_JSON))


def _asked_json(ctx: click.Context | None, arguments: list[str]) -> bool:
    """Whether ``--json`` was typed to a command that has it as a flag; not all may have been read."""
    flags = [each for each in ctx.command.params if isinstance(each, JsonFlag)] if ctx is not None else []
    return any(name in arguments for each in flags for name in each.opts)


def _line(error: click.UsageError) -> str:
    """What was wrong, with what, what is accepted, and how the command is used."""
    parts = [error.format_message()]
    if error.ctx is not None:
        if isinstance(error, click.NoSuchOption):
            there = [name for each in error.ctx.command.get_params(error.ctx) for name in each.opts]
            options = sorted(name for name in there if name.startswith("-"))
            option = error.option_name
            parts = [f"{error.ctx.command_path} has no option {option!r}{similar(option, options)}"]
        missing = isinstance(error, (click.MissingParameter, click.BadOptionUsage))
        parts += _accepted(error, error.ctx) if missing else ()
        parts.append(f"({error.ctx.get_usage()})")
    return " ".join(" ".join(parts).split())


def _accepted(error: click.UsageError, ctx: click.Context) -> Iterator[str]:
    """What the parameter that lacks takes, as its help says."""
    name = getattr(error, "option_name", None)
    for each in ctx.command.params:
        record = (
            each.get_help_record(ctx) if each is getattr(error, "param", None) or name in each.opts else None
        )
        if record is not None:
            yield f"{record[0]}: {record[1]}"
