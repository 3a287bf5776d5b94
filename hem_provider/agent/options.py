"""What an agent is started with, as its command line says it and as it is handed on to a new start."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, TypeVar

import click

from hem_provider.agent.rights import Right
from hem_provider.records import frozen, replace

__all__ = ["Options", "add_options", "options_from"]

#: Seconds without a request after which the agent forgets what it knows.
_IDLE = 3600.0
#: Most seconds of any of these times.
_LONGEST = 10_000_000

F = TypeVar("F", bound=Callable[..., Any])


@frozen
class Options:
    """``devices``: their configured names, none for all. ``allowed``: what clients may do. ``keys``: label
    patterns of the keys that they may use, none for all. ``idle``: seconds without a request until the
    agent forgets, 0 for never. ``ssh``: whether it is an ssh-agent; ``ssh_prefix``: how the labels of
    its keys begin; ``ssh_confirm``: whether each use is confirmed; ``ssh_lifetime``: seconds, 0 for as
    long as the agent runs. ``until_closed``: a descriptor whose end of file ends the agent."""

    devices: tuple[str, ...] = ()
    allowed: frozenset[Right] = frozenset({Right.USE})
    keys: tuple[str, ...] = ()
    idle: float = _IDLE
    ssh: bool = True
    ssh_prefix: str = ""
    ssh_confirm: bool = False
    ssh_lifetime: float = 0.0
    until_closed: int | None = None

    def arguments(self) -> list[str]:
        """The command line that says the same."""
        return list(self._arguments())

    def command(self, *more: Right) -> str:
        """What a person types for an agent like this that allows ``more``."""
        usual = set(Options().arguments())
        wanted = replace(self, allowed=self.allowed | frozenset(more), until_closed=None)
        words = [each for each in wanted.arguments() if each not in usual]
        return shlex.join(["hem", "agent", "start", *(part for each in words for part in _apart(each))])

    def _arguments(self) -> Iterator[str]:
        yield from (f"--device={each}" for each in self.devices)
        yield from (f"--allow={each.value}" for each in Right if each in self.allowed)
        yield from (f"--keys={each}" for each in self.keys)
        yield f"--idle={self.idle:g}"
        yield f"--ssh-prefix={self.ssh_prefix}"
        yield f"--ssh-lifetime={self.ssh_lifetime:g}"
        if not self.ssh:
            yield "--no-ssh"
        if self.ssh_confirm:
            yield "--ssh-confirm"
        if self.until_closed is not None:
            yield f"--until-closed={self.until_closed}"


def _apart(argument: str) -> Iterator[str]:
    """``--name value``, as people write it, where that is read the same."""
    name, equals, value = argument.partition("=")
    return iter((name, value) if equals and value and not value.startswith("-") else (argument,))


def add_options(callback: F) -> F:
    """The options, for ``hem agent start`` and ``run``, and the daemon itself."""
    for option in reversed(_OPTIONS):
        callback = option(callback)
    return callback


def options_from(given: SimpleNamespace) -> Options:
    """Of a command line, an attribute for each of these options."""
    return Options(
        devices=tuple(given.device),
        allowed=frozenset({Right.USE, *map(Right, given.allow)}),
        keys=tuple(given.keys),
        idle=given.idle,
        ssh=not given.no_ssh,
        ssh_prefix=given.ssh_prefix,
        ssh_confirm=given.ssh_confirm,
        ssh_lifetime=given.ssh_lifetime,
        until_closed=given.until_closed,
    )


class _Seconds(click.ParamType):  # type: ignore[type-arg] # generic since 8.4
    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            seconds = float(value)
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds <= _LONGEST:
            self.fail(f"{value!r}; accepted: seconds from 0 to {_LONGEST}", param, ctx)
        return seconds


_OPTIONS = (
    click.option("--device", multiple=True, metavar="NAME", help="serve this device; default: all"),
    click.option(
        "--allow",
        multiple=True,
        type=click.Choice([each.value for each in Right]),
        metavar="RIGHT",
        help="what programs may do: "
        + "; ".join(f"{each.value}: {each.meaning}" for each in Right)
        + " (again for more; use is always in)",
    ),
    click.option("--keys", multiple=True, metavar="PATTERN", help="only keys whose label matches"),
    click.option(
        "--idle",
        type=_Seconds(),
        default=_IDLE,
        metavar="SECONDS",
        help=f"forget everything after so long without a request; 0: never (default {_IDLE:g})",
    ),
    click.option("--no-ssh", is_flag=True, help="be no ssh-agent"),
    click.option(
        "--ssh-prefix",
        default="",
        metavar="TEXT",
        help="offer ssh the keys whose label begins so; default: all",
    ),
    click.option("--ssh-confirm", is_flag=True, help="ask before each use of a key by ssh (SSH_ASKPASS)"),
    click.option(
        "--ssh-lifetime",
        type=_Seconds(),
        default=0.0,
        metavar="SECONDS",
        help="offer ssh its keys for so long",
    ),
    click.option("--until-closed", type=int, hidden=True),
)
