"""What ``hem help`` does: find what a word names, and show it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from hem_provider.cli import front, statuses
from hem_provider.cli.helping import pages, settings
from hem_provider.cli.helping.catalogue import GROUPS, NAMES, entries, similar
from hem_provider.cli.helping.entries import Entry
from hem_provider.cli.helping.plain import plain
from hem_provider.cli.marks import Marks, folded
from hem_provider.cli.terminal import coloured

__all__ = ["show", "topics"]


def show(ctx: click.Context, words: Sequence[str]) -> int:
    """``hem help``: its exit status. ``click.UsageError`` for what nothing is called."""
    word = " ".join(words)
    if not word:
        _print(_contents(), is_page=False)
    elif found := entries(word):
        _print("\n".join(map(_told, found)))
    elif (page := pages.find(word)) is not None:
        _print(page.read_text("utf-8"))
    elif (command := _command(ctx.find_root(), words)) is not None:
        _print(command, is_page=False)
    elif (setting := settings.told(word)) is not None:
        _print(setting)
    else:
        near = similar(word, topics())
        guess = f"did you mean {' or '.join(near)}?" if near else "'hem help' lists what there is."
        ctx.fail(f"there is no help on {word!r}; {guess}")
    return statuses.DONE


def topics() -> list[str]:
    """Pages, commands and settings."""
    return [*pages.names(), *front.names(), *settings.names()]


def _told(entry: Entry) -> str:
    """One entry, as a page."""
    return f"# {entry.name}\n\n{entry.what[:1].upper()}{entry.what[1:]}\n\n{entry.advice()}"


def _contents() -> str:
    """What there is to ask for."""
    marks = Marks(sys.stdout)
    lines = ["usage: hem help [NAME]", "", "Pages:"]
    known = pages.names()
    if not known:
        lines.append("  none: this installation has the code alone")
    first = max(map(len, known), default=0) + 4
    for name in known:
        if not name.startswith("development/"):
            lines += folded(marks.text(pages.title(name)), f"  {name:{first - 2}}", marks.columns, first)
    for group, those in GROUPS.items():
        lines += ["", f"{group}:"]
        lines += folded(" ".join(each.name for each in those), "  ", marks.columns, 2)
    lines += ["", "Commands:", *folded(" ".join(front.names()), "  ", marks.columns, 2)]
    return "\n".join(lines) + "\n"


def _command(root: click.Context, words: Sequence[str]) -> str | None:
    """The page of a command of these words."""
    ctx, command = root, root.command
    for word in words:
        found = command.get_command(ctx, word) if isinstance(command, click.Group) else None
        if found is None:
            return None
        command = found
        ctx = type(command).context_class(command, info_name=word, parent=ctx)
    return f"{ctx.get_help()}\n"


def _print(text: str, *, is_page: bool = True) -> None:
    """As it is where a program reads, so that a page is Markdown there; on a terminal as text, in a pager."""
    if not sys.stdout.isatty():
        print(text, end="")
        return
    os.environ.setdefault("LESS", "FRX")  # ends by itself where all fits, and leaves it to be read
    click.echo_via_pager(plain(text, Marks(sys.stdout)) if is_page else text, color=coloured(sys.stdout))


def candidates(incomplete: str) -> list[str]:
    """What may be meant by the beginning of a word."""
    found = [*(entry.name for entry in NAMES.values()), *topics()]
    return [each for each in dict.fromkeys(found) if each.lower().startswith(incomplete.lower())]
