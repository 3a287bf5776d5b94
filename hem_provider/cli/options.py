"""Options and kinds of values that commands have in common, each said here once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from hem_provider.errors import HemConfigError
from hem_provider.files import named_path

__all__ = [
    "AS_JSON",
    "FILE",
    "FILE_TEXT",
    "JsonFlag",
    "Whole",
    "device_option",
    "json_option",
    "mobile_option",
    "output_options",
    "yes_option",
]

F = TypeVar("F", bound=Callable[..., Any])
#: Key of a context's ``meta``: whether the command prints JSON, and so its errors.
AS_JSON = "hem_provider.json"


class _File(click.ParamType):  # type: ignore[type-arg] # generic since 8.4
    """A path. Shells leave the ``~`` of ``--option=~/file`` as it is; here it is the home."""

    name = "file"

    def __init__(self, *, as_text: bool) -> None:
        self._as_text = as_text

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str) or (self._as_text and not value.startswith("~")):
            return value
        try:
            path = named_path(value)
        except HemConfigError as error:
            self.fail(str(error), param, ctx)
        return str(path) if self._as_text else path

    def shell_complete(
        self, _ctx: click.Context, _param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="file")]


#: A path, as ``Path``; and as text, for what may also be a word or ``-``.
FILE, FILE_TEXT = _File(as_text=False), _File(as_text=True)


class Whole(click.ParamType):  # type: ignore[type-arg] # generic since 8.4
    """A whole number within bounds, in decimal digits."""

    name = "number"

    def __init__(self, least: int, most: int, what: str = "whole number") -> None:
        self._least, self._most, self._what = least, most, what

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        text = str(value)
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else self._least - 1
        if not self._least <= number <= self._most:
            self.fail(f"{text!r} is not a {self._what} from {self._least} to {self._most}", param, ctx)
        return number


class JsonFlag(click.Option):
    """``--json`` as a flag: errors are told as JSON, too."""


def device_option(text: str = "configured device, if there are several", **settings: Any) -> Callable[[F], F]:
    """``--device NAME``; shells complete the names that are configured."""
    from hem_provider.cli.candidates import device_names

    return click.option("--device", metavar="NAME", help=text, shell_complete=device_names, **settings)


def json_option(text: str = "for programs: one JSON document, also for an error") -> Callable[[F], F]:
    """``--json``: what is printed on standard output is JSON, also an error: ``{"error": CLASS,
    "message": TEXT, "status": EXIT STATUS}``."""
    return click.option("--json", cls=JsonFlag, is_flag=True, is_eager=True, help=text, callback=_remember)


def _remember(ctx: click.Context, _: click.Parameter, value: bool) -> bool:
    ctx.meta[AS_JSON] = value
    return value


def yes_option(text: str = "do not ask whether it is meant") -> Callable[[F], F]:
    """``--yes``, of commands that destroy."""
    return click.option("--yes", is_flag=True, help=text)


def output_options(*, as_text: bool = False) -> Callable[[F], F]:
    """``-o``, ``--output`` and ``--force``, for ``cli.output`` or, ``as_text``, ``cli.piping``."""

    def decorate(command: F) -> F:
        command = click.option("--force", is_flag=True, help="replace a file that is there already")(command)
        kind, text = FILE_TEXT if as_text else FILE, "write it there, whole or not at all"
        return click.option("-o", "--output", type=kind, metavar="FILE", help=text)(command)

    return decorate


def mobile_option(
    text: str = "log in by approval on a paired phone, whatever is configured",
) -> Callable[[F], F]:
    """``--mobile``, for ``login.logged_in``."""
    return click.option("--mobile", is_flag=True, help=text)
