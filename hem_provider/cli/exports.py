"""Variables as lines that a shell takes: ``eval "$(hem agent env)"``, ``eval "$(hem emulator start)"``."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from hem_provider.errors import HemConfigError

__all__ = ["as_typed", "exported", "shell_option"]

F = TypeVar("F", bound=Callable[..., Any])

_SETTING = {
    "sh": "export {name}={value}",
    "csh": "setenv {name} {value};",
    "fish": "set -gx {name} {value};",
}


def shell_option() -> Callable[[F], F]:
    """``--shell``, which :func:`exported` takes."""
    return click.option("--shell", type=click.Choice(tuple(_SETTING)), help="default: as $SHELL says")


def exported(settings: Mapping[str, str], shell: str | None) -> Iterator[str]:
    """A line for each variable, for this kind of shell or the user's own.

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
    name = Path(os.environ.get("SHELL", "")).name
    return name if name == "fish" else "csh" if name.endswith("csh") else "sh"


def as_typed() -> str:
    """``hem`` as the user typed it, who may have no other way to it."""
    return shlex.quote(sys.argv[0]) if Path(sys.argv[0]).name == "hem" else "hem"
