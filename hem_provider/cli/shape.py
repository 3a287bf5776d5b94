"""What commands of ``hem`` are made of: ``click``'s commands, groups and arguments, as they look here.

Usage errors are one line, help fits a narrow terminal, tells of arguments, too, and shows how a command is
typed, and what is mistyped is answered with what is meant.

Paragraphs of a help text that begin with ``Example:`` are commands, one a line (a backslash at the end goes
on with the next): pages of help and of the manual show them as such.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from types import SimpleNamespace
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from hem_provider.cli import front, terminal

__all__ = [
    "Command",
    "Given",
    "Group",
    "argument",
    "examples_of",
    "exclusive",
    "given",
    "print_help",
    "similar",
]

F = TypeVar("F", bound=Callable[..., Any])
#: Columns that a page of help takes at most, and the most of them that options take.
_WIDEST, _OPTIONS = 100, 30
#: What begins a paragraph of examples, and how the line after a broken one begins.
_EXAMPLE, _GOES_ON = "Example:", "    "


class Given(SimpleNamespace):
    """What was typed: an attribute for each parameter of the command."""


def given(action: Callable[[Any], int]) -> Callable[..., int]:
    """A callback that hands all parameters to ``action`` as one ``Given``."""

    def callback(**parameters: Any) -> int:
        return action(Given(**parameters))

    return callback


class _Formatter(click.HelpFormatter):
    """Pages as wide as the terminal, also where that is narrow; ``click``'s have 50 columns at least."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__(width=min(terminal.columns(sys.stdout), _WIDEST) - 2)

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, args, "usage: " if prefix is None else prefix)

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = _OPTIONS, col_spacing: int = 2
    ) -> None:
        room = self.width - self.current_indent
        fitting = [(_in_lines(term, room, self.current_indent), told) for term, told in rows]
        super().write_dl(fitting, min(col_max, self.width // 2), col_spacing)


def _in_lines(term: str, room: int, indent: int) -> str:
    """What is typed, in lines of ``room`` characters, broken where one of several values ends."""
    lines = [""]
    for part in re.findall(r"[^|]+\|?", term):
        if lines[-1] and len(lines[-1]) + len(part) > room:
            lines.append("")
        lines[-1] += part
    return f"\n{'':{indent + len(_GOES_ON)}}".join(lines)


class _Context(click.Context):
    formatter_class = _Formatter


class Command(click.Command):
    """A command. ``help`` may be the docstring of its module; ``example`` adds to the examples of that."""

    context_class = _Context

    def __init__(self, *arguments: Any, example: str = "", **settings: Any) -> None:
        settings, self.examples = _told(settings, example)
        super().__init__(*arguments, **settings)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As ``click``'s, with this command in every error."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx  # of an option without its value nobody knows it
            raise

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        return _printing(super().get_help_option(ctx))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _write_parameters(self, ctx, formatter)

    def format_epilog(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        _write_examples(self, formatter)


class Group(click.Group):
    """A command that has actions; its examples are those of the first of them where it has none."""

    context_class = _Context
    command_class = Command

    def __init__(self, *arguments: Any, example: str = "", **settings: Any) -> None:
        settings = {"subcommand_metavar": "ACTION ...", "no_args_is_help": False, **settings}
        settings, self.examples = _told(settings, example)
        super().__init__(*arguments, **settings)

    def list_commands(self, _: click.Context) -> list[str]:
        return list(self.commands)  # as written

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As ``click``'s; without an action it tells which there are."""
        if not args and not ctx.resilient_parsing:
            ctx.fail(f"which of these? {', '.join(self.list_commands(ctx))}.")
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As ``click``'s; for an action that is not there it tells which is meant."""
        there = self.list_commands(ctx)
        if args[0] not in there and not args[0].startswith("-") and not ctx.resilient_parsing:
            ctx.fail(f"{ctx.command_path} has no command {args[0]!r}{similar(args[0], there)}")
        return super().resolve_command(ctx, args)

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        return _printing(super().get_help_option(ctx))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _write_parameters(self, ctx, formatter)
        rows = [(name, each.short_help or "") for name, each in self.commands.items() if not each.hidden]
        with formatter.section("Actions"):
            formatter.write_dl(rows)

    def format_epilog(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        _write_examples(self, formatter)


class _Argument(click.Argument):
    def __init__(self, *arguments: Any, help: str, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._told = help

    def get_help_record(self, _: click.Context) -> tuple[str, str]:
        return self.metavar or self.human_readable_name, self._told


def argument(name: str, **settings: Any) -> Callable[[F], F]:
    """``click.argument`` with ``help``, which pages of help show as they show that of options."""
    # Made anew for each command: older versions of click forget the class with the first.
    return lambda callback: click.argument(name, cls=_Argument, **settings)(callback)


def exclusive(*parameters: str, required: bool = False) -> Callable[[F], F]:
    """Of these options one at most may be typed, with ``required`` one must. Stands next to the function."""

    def decorate(callback: F) -> Any:
        def checked(**values: Any) -> Any:
            ctx = click.get_current_context()
            typed = [
                each for each in parameters if ctx.get_parameter_source(each) is ParameterSource.COMMANDLINE
            ]
            options = [_typed(each) for each in (typed or parameters)]
            if len(typed) > 1:
                ctx.fail(f"{' and '.join(options)} do not go together; give one of them.")
            if required and not typed:
                ctx.fail(f"one of these is needed: {', '.join(options)}.")
            return callback(**values)

        checked.__click_params__ = getattr(callback, "__click_params__", [])  # type: ignore[attr-defined]
        return checked

    return decorate


def _typed(parameter: str) -> str:
    return f"--{parameter.replace('_', '-')}"


def similar(word: str, there: Sequence[str]) -> str:
    """The end of a sentence on a word that is none of those ``there``."""
    from difflib import get_close_matches

    meant = get_close_matches(word, there)
    return f"; did you mean {' or '.join(meant)}?" if meant else f"; there are: {', '.join(there)}."


def print_help(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    """What ``--help`` does. ``click``'s own does not say when a page cannot be printed in this encoding."""
    if asked and not ctx.resilient_parsing:
        print(ctx.get_help())
        ctx.exit()


def _printing(option: click.Option | None) -> click.Option | None:
    if option is not None:
        option.callback = print_help
        option.help = "show this page"
    return option


def _told(settings: dict[str, Any], example: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """With its help as a sentence on its page, and as it is in lists; and its examples."""
    text = settings.get("help") or ""
    first, _, rest = text.partition("\n")
    short = front.summary(text) or first
    kept, examples = _parted(rest)
    page = f"{short[:1].upper()}{short[1:]}.\n{kept.replace('``', '')}" if short else ""
    return {"short_help": short, **settings, "help": page}, (*examples, *_lines(example))


def _parted(text: str) -> tuple[str, list[str]]:
    """A text without its paragraphs of examples, and those."""
    paragraphs = inspect.cleandoc(f"\n{text}").split("\n\n")
    examples = [each for each in paragraphs if each.lstrip().startswith(_EXAMPLE)]
    kept = "\n\n".join(each for each in paragraphs if each not in examples)
    return kept and f"\n{kept}", [
        line for each in examples for line in _lines(each.strip().removeprefix(_EXAMPLE))
    ]


def _lines(text: str) -> list[str]:
    whole = re.sub(r"\s*\\\n\s*", " ", text).replace("``", "")
    return [line.strip() for line in whole.splitlines() if line.strip()]


def examples_of(command: click.Command) -> tuple[str, ...]:
    """Commands as they are typed, each of which shows what ``command`` is for."""
    own: tuple[str, ...] = getattr(command, "examples", ())
    if own or not isinstance(command, click.Group):
        return own
    return next((found for each in command.commands.values() if (found := examples_of(each))), ())


def _write_examples(command: click.Command, formatter: click.HelpFormatter) -> None:
    examples = examples_of(command)
    if not examples:
        return
    with formatter.section("Example" if len(examples) == 1 else "Examples"):
        room = formatter.width - formatter.current_indent
        for each in examples:
            for line in _broken(each, room):
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")


def _broken(example: str, room: int) -> list[str]:
    """A command in lines of ``room`` characters, as a shell reads them; no word is broken."""
    words = re.findall(r"""(?:[^\s"']|"[^"]*"|'[^']*')+""", example)
    lines = [words[0]]
    for number, word in enumerate(words[1:], 2):
        last = "" if number == len(words) else " \\"
        if len(f"{lines[-1]} {word}{last}") <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(f"{_GOES_ON}{word}")
    return [f"{line} \\" for line in lines[:-1]] + lines[-1:]


def _write_parameters(command: click.Command, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    told = [(isinstance(each, click.Argument), each.get_help_record(ctx)) for each in command.get_params(ctx)]
    for title, kind in (("Arguments", True), ("Options", False)):
        rows = [row for is_argument, row in told if is_argument is kind and row is not None]
        if rows:
            with formatter.section(title):
                formatter.write_dl(rows)
