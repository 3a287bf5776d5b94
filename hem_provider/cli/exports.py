"""Variables as lines that a shell takes: ``eval "$(hem agent env)"``, ``eval "$(hem emulator start)"``."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

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
    """A line for each variable, for this kind of shell or the user's own."""
    form = _SETTING[shell or _usual()]
    for name, value in settings.items():
        yield form.format(name=name, value=shlex.quote(value))


def _usual() -> str:
    name = Path(os.environ.get("SHELL", "")).name
    return name if name == "fish" else "csh" if name.endswith("csh") else "sh"


def as_typed() -> str:
    """``hem`` as the user typed it, who may have no other way to it."""
    return shlex.quote(sys.argv[0]) if Path(sys.argv[0]).name == "hem" else "hem"
