"""Variables as lines that a shell takes: ``eval "$(hem agent env)"``, ``eval "$(hem emulator start)"``; in
csh between backticks."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from hem_provider.errors import HemConfigError

__all__ = ["as_typed", "exported", "shell_option", "to_be_typed"]

F = TypeVar("F", bound=Callable[..., Any])

_SETTING = {
    "sh": "export {name}={value}",
    "csh": "setenv {name} {value};",
    "fish": "set -gx {name} {value};",
}


def shell_option() -> Callable[[F], F]:
    """``--shell``, which :func:`exported` takes."""
    what = "default: the shell that it is typed in, which in csh is: eval `COMMAND`"
    return click.option("--shell", type=click.Choice(tuple(_SETTING)), help=what)


def exported(settings: Mapping[str, str], shell: str | None) -> Iterator[str]:
    """A line for each variable, for this kind of shell or the one that has started this process.

    ``HemConfigError`` for a value that the shell cannot be given as one word: before the first line.
    """
    kind = shell or _usual()
    lines = [
        _SETTING[kind].format(name=name, value=_quoted(name, value, kind)) for name, value in settings.items()
    ]
    yield from lines


def _quoted(name: str, value: str, shell: str) -> str:
    """A folder's name may hold anything, and the shell is not to run any of it."""
    refused = [each for each in value if ord(each) < 32 or (shell == "csh" and each == "!")]
    if refused:
        raise HemConfigError(f"{name}: {value!r} has {refused[0]!r}, which is for no line of {shell}")
    if shell == "fish" and shlex.quote(value) != value:  # whose backslash escapes within single quotes
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return shlex.quote(value)


def _usual() -> str:
    """``SHELL`` is the login's, in which this need not have been typed."""
    try:
        name = Path(f"/proc/{os.getppid()}/comm").read_text("utf-8").strip()
    except (OSError, UnicodeError):
        name = ""
    return name if name == "fish" else "csh" if name in ("csh", "bsd-csh", "tcsh") else "sh"


def to_be_typed(command: str, shell: str | None) -> str:
    """How a shell takes the lines that ``command`` prints."""
    return f"eval `{command}`" if (shell or _usual()) == "csh" else f'eval "$({command})"'


def as_typed() -> str:
    """``hem`` as the user typed it, who may have no other way to it."""
    return shlex.quote(sys.argv[0]) if Path(sys.argv[0]).name == "hem" else "hem"
