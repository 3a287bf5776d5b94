"""Write a page of the reference for each command of ``hem`` and each program beside it, from the same parser
as the manual pages (``tools/make_manual.py``): ``docs/reference/commands/``.

    python tools/make_commands.py            write the pages
    python tools/make_commands.py --check    fail when a page is not what the code says
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
OUT = ROOT / "docs" / "reference" / "commands"
sys.path.insert(0, str(ROOT))

import click  # noqa: E402

from hem_provider.cli import front, statuses  # noqa: E402
from hem_provider.cli.programs import PROGRAMS, Program  # noqa: E402
from hem_provider.cli.root import ROOT as HEM  # noqa: E402
from hem_provider.cli.shape import examples_of  # noqa: E402
from hem_provider.config.load import ENVIRONMENT  # noqa: E402
from tools.make_manual import COMMON, FILES, VARIABLES, below, parameters  # noqa: E402
from tools.options import only_checks  # noqa: E402
from tools.write_pages import up_to_date  # noqa: E402

__all__ = ["main", "pages"]

#: Why a page's examples are not run, which stands above each block of them.
_NOT_RUN = "<!-- not run: examples of options: tests/cli/test_examples.py has the parser take each -->"
#: What a text that is shown as it is has in front of it, where Markdown means something by it.
_SPECIAL = re.compile(r"([\\`*_<>\[\]])")


def pages() -> dict[str, str]:
    """File name → text of every page, the index included."""
    made = {"index.md": _index()}
    made |= {f"{name}.md": _text(_command(name)) for name in front.names()}
    made |= {f"{name}.md": _text(_program(name, each)) for name, each in PROGRAMS.items()}
    return made


def _index() -> str:
    lines = [
        "# Commands",
        "",
        "`hem` alone lists its commands; `hem COMMAND --help` and `man hem-COMMAND` show what",
    ]
    lines += ["these pages do: all are made from the same parser.", ""]
    for job, those in front.jobs():
        lines += [f"## {job}", "", "| command | what it does |", "|---|---|"]
        lines += [f"| [`hem {name}`]({name}.md) | {_plain(front.summary_of(name))} |" for name in those]
        lines.append("")
    lines += ["## Programs that others start", "", "| program | what it is for |", "|---|---|"]
    lines += [f"| [`{name}`]({name}.md) | {_plain(each.summary)} |" for name, each in PROGRAMS.items()]
    lines += ["", "## Options that many commands have", "", *_listed(COMMON.items())]
    lines += [
        "## Exit statuses",
        "",
        "The same for every command.",
        "",
        "| status | what it means |",
        "|---|---|",
    ]
    lines += [f"| {status} | {_plain(text)} |" for status, text in statuses.MEANINGS.items()]
    lines += [
        "",
        "## Variables",
        "",
        "Where a variable stands for a [setting](../../configuration.md), it is named.",
        "",
    ]
    lines += ["| variable | what it is for | setting |", "|---|---|---|"]
    for names, text in VARIABLES.items():
        setting = f"`{ENVIRONMENT[names]}`" if names in ENVIRONMENT else "–"
        lines.append(f"| {_codes(names)} | {_plain(text)} | {setting} |")
    lines += ["", "## Files", "", "| file | what is in it |", "|---|---|"]
    lines += [f"| {_codes(path)} | {_plain(text)} |" for path, text in FILES.items()]
    return _text(lines)


def _command(name: str) -> Iterator[str]:
    command = HEM.get_command(click.Context(HEM), name)
    assert command is not None  # noqa: S101
    for words, each in below(command, ("hem", name)):
        yield from ("#" * min(len(words) - 1, 3) + f" `{' '.join(words)}`", "")
        yield from _paragraphs(each.help or "")
        if isinstance(each, click.Group):
            yield from (_leading(words, *action) for action in each.commands.items() if not action[1].hidden)
            yield ""
            continue
        yield from ("Usage: " + _code(_usage(words, each)), "")
        yield from _listed(parameters(each, words))
        yield from _examples(examples_of(each))
    yield "[Exit statuses](index.md#exit-statuses), [variables](index.md#variables): those of every command."


def _program(name: str, program: Program) -> Iterator[str]:
    first, *others = program.about
    yield from (
        f"# `{name}`",
        "",
        f"`{name}` is {_plain(first)}.",
        "",
        f"Usage: {_code(f'{name} {program.usage}')}",
        "",
    )
    for each in others:
        yield from (_plain(each), "")
    yield from ("What a person types:", "", *_listed(program.steps.items()))
    yield "It ends with [the statuses of `hem`](index.md#exit-statuses)."


def _leading(words: tuple[str, ...], name: str, action: click.Command) -> str:
    typed = (*words, name)
    return f"* [{_code(' '.join(typed))}](#{'-'.join(typed)}): {_plain(action.short_help or '')}"


def _usage(words: tuple[str, ...], command: click.Command) -> str:
    pieces = command.collect_usage_pieces(click.Context(command, info_name=" ".join(words)))
    return " ".join((*words, *pieces))


def _listed(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    lines = [f"* {_code(typed)}: {_plain(told)}" for typed, told in rows]
    yield from (*lines, "") if lines else ()


def _examples(examples: Iterable[str]) -> Iterator[str]:
    lines = [f"$ {each}" for each in examples]
    yield from (_NOT_RUN, "```console", *lines, "```", "") if lines else ()


def _paragraphs(text: str) -> Iterator[str]:
    """The paragraphs of a help text; those that ``click`` is told not to fill (``\\b``) a line a point."""
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        if paragraph.lstrip().startswith("\b"):
            yield from (f"* {_plain(line)}" for line in paragraph.replace("\b", "").strip("\n").splitlines())
        else:
            yield _plain(" ".join(paragraph.split()))
        yield ""


def _plain(text: str) -> str:
    """A text as Markdown that shows it as it is, options as code."""
    parts = re.split(r"((?<![\w-])--[a-z][\w-]*)", text)
    return "".join(
        _code(each) if number % 2 else _SPECIAL.sub(r"\\\1", each) for number, each in enumerate(parts)
    )


def _code(text: str) -> str:
    return f"`{text}`"


def _codes(names: str) -> str:
    return ", ".join(map(_code, names.split(", ")))


def _text(lines: Iterable[str]) -> str:
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def main(arguments: list[str]) -> int:
    """Write, or with ``--check`` compare."""
    check = only_checks(arguments, "Write the reference of the commands, docs/reference/commands/.")
    return up_to_date(OUT, pages(), check=check)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
