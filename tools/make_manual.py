"""Write the manual pages of ``hem`` from its commands: ``hem.1``, a page a command (``hem-keys.1``), and one
of each program beside it (``hem_provider/cli/programs.py``).

    python tools/make_manual.py [FOLDER]      write them there, by default into ``build/man1``

Building a wheel does the same (``shim/build_commands.py``), so that ``man hem`` tells of the ``hem`` that is
installed. The text is what ``--help`` shows; only what no command says of itself stands here. Pages are for
man(7) and have the date of ``SOURCE_DATE_EPOCH``, else of today.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import textwrap
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # a build has not installed it yet

import click  # noqa: E402

from hem_provider._version import __version__  # noqa: E402
from hem_provider.cli import front, statuses  # noqa: E402
from hem_provider.cli.programs import PROGRAMS, Program  # noqa: E402
from hem_provider.cli.root import ROOT as HEM  # noqa: E402
from hem_provider.cli.shape import examples_of  # noqa: E402
from hem_provider.config.agentplace import SOCKET_VARIABLE  # noqa: E402
from hem_provider.config.load import ENVIRONMENT  # noqa: E402
from hem_provider.config.places import SYSTEM_FILE  # noqa: E402

__all__ = ["COMMON", "FILES", "VARIABLES", "below", "pages", "parameters", "write"]

#: Longest line of a source, in characters, as man(7) wants it.
_LINE = 78
_TITLE = "hem-provider manual"

#: Variable → what it is for. Those of ``ENVIRONMENT`` stand for one setting each, which is named with them.
VARIABLES = {
    "HEM_CONFIG": "the configuration file, instead of the usual places",
    "HEM_URL": "where the only device is; no file is read then",
    "HEM_DEBUG": "1: show where in the code a fault of hem itself is",
    "HEM_NAME": "what you call it",
    "HEM_CA_FILE": "PEM file of authorities to trust instead of the system's",
    "HEM_PIN_SHA256": "SHA-256 of the public key of the device's certificate",
    "HEM_INSECURE": "true: do not verify the device",
    "HEM_AUTH": "how to log in: passphrase, or mobile",
    "HEM_AGENT": "whether devices are used through the agent: auto, never or always",
    "HEM_PASSPHRASE_FILE": "file that holds the passphrase alone, readable by you alone",
    "HEM_PASSPHRASE_COMMAND": "command that prints the passphrase",
    "HEM_TIMEOUT": "seconds for a whole request",
    "HEM_MAX_CALLS": "most calls that one operation over bulk data may make",
    "HEM_FIRMWARE_LIMITS": "what a firmware other than 1.2.2 takes at most",
    "HEM_VERIFY_SIGNATURES": "false: do not verify signatures of the device here",
    "HEM_CLOUD_URL": "the check-in service",
    "HEM_CLOUD_CA_FILE": "PEM file of the authority of the check-in service",
    "HEM_CLOUD_PROXY": "proxy for the check-in service alone",
    SOCKET_VARIABLE: "socket of the agent, instead of the usual place",
    "KEYRING_PROPERTY_VAULT": "the vault of hem keyring",
    "KEYRING_PROPERTY_DEVICE": "the device of hem keyring",
    "SSH_AUTH_SOCK": "what hem agent env sets, so that ssh asks the agent",
    "SSH_ASKPASS": "program that asks before a key is used for SSH, where that is to be confirmed",
    "XDG_CONFIG_HOME, XDG_DATA_HOME, XDG_CACHE_HOME, XDG_RUNTIME_DIR": "where files are, see below",
    "NO_COLOR": "no colours, whatever its value",
    "TERM": "dumb: no colours, and no line is written again in place",
    "COLUMNS": "how wide pages and tables are",
}
#: File → what is in it.
FILES = {
    "$XDG_CONFIG_HOME/hem/config.toml": "the configuration; ~/.config where the variable is not set",
    str(SYSTEM_FILE): "the configuration where there is none of one's own",
    "$XDG_DATA_HOME/hem/keyring.vault": "the vault of hem keyring; ~/.local/share where it is not set",
    "$XDG_CACHE_HOME/hem": "what is remembered of devices, all of it public; ~/.cache where it is not set",
    "$XDG_RUNTIME_DIR/hem/agent.sock, ssh-agent.sock": "of the agent; else in /run/user/UID or /tmp/hem-UID",
}
#: Option that many commands have → what it does.
COMMON = {
    "--device NAME": "which of the configured devices; needed where there are several",
    "--mobile": "log in by approval on a paired phone, whatever else is configured",
    "--json": "print one JSON document, also for an error",
    "--yes": "do not ask whether it is meant, of commands that destroy",
}


def pages() -> dict[str, str]:
    """File name → source of every page."""
    made = {"hem.1": "\n".join(_hem()) + "\n"}
    for name in front.names():
        made[f"hem-{name}.1"] = "\n".join(_command(name)) + "\n"
    for name, program in PROGRAMS.items():
        made[f"{name}.1"] = "\n".join(_program(name, program)) + "\n"
    return made


def write(folder: Path) -> list[Path]:
    """Write them all, and nothing else in the folder stays; their files."""
    folder.mkdir(parents=True, exist_ok=True)
    made = {folder / name: text for name, text in pages().items()}
    for old in set(folder.glob("*hem*.1")) - set(made):
        old.unlink()
    for path, text in made.items():
        path.write_text(text, "utf-8")
    return sorted(made)


def _hem() -> Iterator[str]:
    yield from _head("hem", "use the keys of an Encedo HEM, a remote hardware key store")
    yield from (".SH SYNOPSIS", r"\fBhem\fR [\fB\-\-version\fR] [\fB\-\-help\fR] \fICOMMAND\fR ...")
    yield ".SH DESCRIPTION"
    yield from _filled(
        "An Encedo HEM keeps private keys and uses them; they never leave it. Each job of its owner is one "
        "command, and each command has a page of its own. hem alone lists them."
    )
    yield ".SH COMMANDS"
    for job, those in front.jobs():
        yield f".SS {_text(job)}"
        for name in those:
            yield from (".TP", rf"\fBhem\-{_text(name)}\fR(1)", *_filled(front.summary_of(name)))
    yield ".SH OPTIONS"
    yield from _filled("Those that many commands have in common:")
    yield from _listed((_option(option), text) for option, text in COMMON.items())
    yield '.SH "EXIT STATUS"'
    yield from _filled("The same for every command:")
    yield from _listed((rf"\fB{status}\fR", text) for status, text in statuses.MEANINGS.items())
    yield ".SH ENVIRONMENT"
    yield from _filled(
        "Variables that stand for a setting of the configuration file have its name in brackets."
    )
    for names, text in VARIABLES.items():
        setting = f" [{ENVIRONMENT[names]}]" if names in ENVIRONMENT else ""
        yield from _listed([(rf"\fB{_text(names)}\fR", f"{text}{setting}")])
    yield ".SH FILES"
    yield from _listed((rf"\fI{_text(path)}\fR", text) for path, text in FILES.items())
    yield ".SH EXAMPLES"
    yield from _shown(["hem keys list", "hem keys public web --format ssh >> authorized_keys"])
    yield from _see([*(f"hem-{name}" for name in front.names()), *PROGRAMS])


def _command(name: str) -> Iterator[str]:
    command = HEM.get_command(click.Context(HEM), name)
    assert command is not None  # noqa: S101
    yield from _head(f"hem-{name}", command.short_help or "")
    there = list(below(command, ("hem", name)))
    yield ".SH SYNOPSIS"
    for number, (words, leaf) in enumerate(each for each in there if not isinstance(each[1], click.Group)):
        yield from (".br",) if number else ()
        yield _usage(words, leaf)
    yield ".SH DESCRIPTION"
    yield from _paragraphs(command.help or "")
    if isinstance(command, click.Group):
        yield ".SH ACTIONS"
        for words, each in there[1:]:
            yield f".SS {_text(' '.join(words))}"
            yield from _paragraphs(each.help or "")
            yield from _listed(_parameters(each, words))
            if not isinstance(each, click.Group):
                yield from _shown(examples_of(each), ".PP", "For example:", ".RS")
    else:
        for title, arguments in (("ARGUMENTS", True), ("OPTIONS", False)):
            rows = list(_parameters(command, ("hem", name), arguments=arguments))
            yield from (f".SH {title}", *_listed(rows)) if rows else ()
        examples = examples_of(command)
        yield from (".SH EXAMPLES", *_shown(examples)) if examples else ()
    yield '.SH "EXIT STATUS"'
    yield from _filled("0 done, 1 failed, 2 usage, 3 not reached, 4 refused, 5 not found; see")
    yield r"\fBhem\fR(1)."
    yield from _see(["hem"])


def _program(name: str, program: Program) -> Iterator[str]:
    yield from _head(name, program.summary)
    yield from (".SH SYNOPSIS", rf"\fB{_text(name)}\fR {_option(program.usage)}")
    yield from (".br", rf"\fB{_text(name)}\fR {_option('--help')}", ".br")
    yield rf"\fB{_text(name)}\fR {_option('--version')}"
    yield ".SH DESCRIPTION"
    first, *others = program.about
    yield from _filled(f"{name} is {first}")
    for each in others:
        yield from (".PP", *_filled(each))
    yield ".SH EXAMPLES"
    yield from _listed((rf"\fB{_text(typed)}\fR", does) for typed, does in program.steps.items())
    yield '.SH "EXIT STATUS"'
    yield from _filled("That of hem; the program that started it reads what it was answered alone.")
    yield from _see(["hem"])


def below(command: click.Command, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """A command and all its actions, each after those above it."""
    yield words, command
    for name, each in command.commands.items() if isinstance(command, click.Group) else ():
        if not each.hidden:
            yield from below(each, (*words, name))


def _head(name: str, summary: str) -> Iterator[str]:
    moment = time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH") or time.time()))
    date = time.strftime("%Y-%m-%d", moment)
    yield f'.TH {_text(name.upper())} 1 {date} "hem\\-provider {__version__}" "{_text(_TITLE)}"'
    yield from (".nh", ".ad l")  # commands and paths are copied from here
    yield ".SH NAME"
    yield from _filled(f"{name} - {summary}")


def _usage(words: tuple[str, ...], command: click.Command) -> str:
    pieces = command.collect_usage_pieces(click.Context(command, info_name=" ".join(words)))
    return rf"\fB{_text(' '.join(words))}\fR " + " ".join(_option(each) for each in pieces)


def parameters(
    command: click.Command, words: tuple[str, ...], *, arguments: bool | None = None
) -> Iterator[tuple[str, str]]:
    """How each is typed, and what it is; ``arguments``: these alone, or all but these."""
    context = click.Context(command, info_name=" ".join(words))
    for each in command.params:
        record = each.get_help_record(context)
        if record is not None and arguments in (None, isinstance(each, click.Argument)):
            yield record[0], " ".join(record[1].split())


def _parameters(
    command: click.Command, words: tuple[str, ...], *, arguments: bool | None = None
) -> Iterator[tuple[str, str]]:
    for typed, told in parameters(command, words, arguments=arguments):
        yield _option(typed), told


def _option(text: str) -> str:
    """``--name VALUE``: what is typed as it is, and what it stands for."""
    return re.sub(
        r"(-{1,2}[A-Za-z][\w-]*)|([A-Za-z][^\s\[\],]*)",
        lambda found: rf"\fB{_text(found[1])}\fR" if found[1] else rf"\fI{_text(found[2])}\fR",
        text.replace("\\", "\\e"),
    )


def _listed(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for title, text in rows:
        yield from (".TP", title, *_filled(text))


def _shown(examples: Iterable[str], *before: str) -> Iterator[str]:
    lines = [_text(each) for each in examples]
    if lines:
        yield from (*before, ".EX", *lines, ".EE", *([".RE"] if ".RS" in before else ()))


def _see(names: Iterable[str]) -> Iterator[str]:
    yield '.SH "SEE ALSO"'
    *first, last = [rf"\fB{_text(name)}\fR(1)" for name in names]
    yield from (*(f"{each}," for each in first), last)


def _paragraphs(text: str) -> Iterator[str]:
    """The paragraphs of a help text; those that ``click`` is told not to fill (``\\b``) as they are."""
    for number, paragraph in enumerate(re.split(r"\n\s*\n", text.strip())):
        yield from (".PP",) if number else ()
        if paragraph.lstrip().startswith("\b"):
            lines = paragraph.replace("\b", "").strip("\n").splitlines()
            yield from (".nf", *map(_text, lines), ".fi")
        else:
            yield from _filled(paragraph)


def _filled(text: str) -> list[str]:
    lines = textwrap.wrap(
        _text(" ".join(text.split())), _LINE, break_long_words=False, break_on_hyphens=False
    )
    return [rf"\&{line}" if line.startswith(".") else line for line in lines]


#: What a formatter would take for something else → what shows it.
_ESCAPES = {"\\": r"\e", "-": r"\-", "~": r"\(ti", "^": r"\(ha", "`": r"\(ga", "'": r"\(aq"}


def _text(text: str) -> str:
    """A line that is shown as it is."""
    shown = "".join(_ESCAPES.get(each, each) if each.isascii() else rf"\[u{ord(each):04X}]" for each in text)
    return rf"\&{shown}" if shown.startswith(".") else shown


def main(arguments: list[str]) -> int:
    """Write them into the folder that is named; no option is one."""
    options = argparse.ArgumentParser(description="Write the manual pages of hem.")
    options.add_argument("folder", nargs="?", type=Path, default=ROOT / "build" / "man1", help="where to")
    folder = options.parse_args(arguments).folder
    print(f"{len(write(folder))} pages in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
