"""Entry point of the ``hem`` command; only the chosen subcommand's module is loaded."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hem_provider._version import __version__
from hem_provider.cli import commands, terminal
from hem_provider.errors import HemError

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

__all__ = ["main", "names"]


def names() -> list[str]:
    """The subcommands: each is a module of ``cli.commands``, which has ``add_parser``."""
    return [module.name for module in pkgutil.iter_modules(commands.__path__)]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status: 0 done, 1 failed (said in one line on standard error),
    2 usage, 3 where a command says that no device was reached."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    terminal.prepare()
    parser = _parser(chosen=next((each for each in arguments if not each.startswith("-")), None))
    try:
        status = _run(parser, arguments)
        sys.stdout.flush()
    except HemError as error:
        return _failed(str(error))
    except KeyboardInterrupt:
        return 130
    except EOFError:
        return _failed("the input ended before an answer was typed")
    except BrokenPipeError:
        terminal.let_go(sys.stdout)  # the reader left; nothing more can be said
        return 1
    except OSError as error:
        terminal.let_go(sys.stdout)
        place = f"{error.filename}: " if error.filename is not None else ""
        return _failed(f"{place}{error.strerror or error}")
    return status


def _run(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> int:
    try:
        options = parser.parse_args(arguments)
    except SystemExit:  # after help or version, which may still be on their way out
        sys.stdout.flush()
        raise
    return int(options.func(options))


def _failed(text: str) -> int:
    try:
        print(f"hem: {text}", file=sys.stderr, flush=True)
    except OSError:  # it may take nothing either
        terminal.let_go(sys.stderr)
    return 1


class _Parser(argparse.ArgumentParser):
    """Of its own it would not say when its help could not be written."""

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        if message:
            (file or sys.stderr).write(message)


def _parser(chosen: str | None) -> argparse.ArgumentParser:
    parser = _Parser(prog="hem", description="Use the keys of an Encedo HEM, a remote hardware key store.")
    parser.add_argument("--version", action="version", version=f"hem-provider {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for name in [chosen] if chosen in names() else names():
        importlib.import_module(f"{commands.__name__}.{name}").add_parser(subparsers)
    return parser


if __name__ == "__main__":
    sys.exit(main())
