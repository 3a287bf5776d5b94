"""What an agent is started with, as its command line says it and as it is handed on to a new start."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace

from hem_provider.agent.rights import Right

__all__ = ["Options", "add_options", "options_from"]

#: Seconds without a request after which the agent forgets what it knows.
_IDLE = 3600.0


@dataclass(frozen=True, slots=True)
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


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options, for ``hem agent start`` and ``run``."""
    parser.add_argument(
        "--device", action="append", default=[], metavar="NAME", help="serve this device; default: all"
    )
    parser.add_argument(
        "--allow",
        action="append",
        type=Right,
        default=[],
        metavar="RIGHT",
        help="what programs may do: "
        + "; ".join(f"{each.value}: {each.meaning}" for each in Right)
        + " (again for more; use is always in)",
    )
    parser.add_argument(
        "--keys", action="append", default=[], metavar="PATTERN", help="only keys whose label matches"
    )
    parser.add_argument(
        "--idle",
        type=_seconds,
        default=_IDLE,
        metavar="SECONDS",
        help=f"forget everything after so long without a request; 0: never (default {_IDLE:g})",
    )
    parser.add_argument("--no-ssh", dest="ssh", action="store_false", help="be no ssh-agent")
    parser.add_argument(
        "--ssh-prefix",
        default="",
        metavar="TEXT",
        help="offer ssh the keys whose label begins so; default: all",
    )
    parser.add_argument(
        "--ssh-confirm", action="store_true", help="ask before each use of a key by ssh (SSH_ASKPASS)"
    )
    parser.add_argument(
        "--ssh-lifetime", type=_seconds, default=0.0, metavar="SECONDS", help="offer ssh its keys for so long"
    )
    parser.add_argument("--until-closed", type=int, metavar="FD", help=argparse.SUPPRESS)


def options_from(parsed: argparse.Namespace) -> Options:
    """Of a parsed command line."""
    return Options(
        devices=tuple(parsed.device),
        allowed=frozenset({Right.USE, *parsed.allow}),
        keys=tuple(parsed.keys),
        idle=parsed.idle,
        ssh=parsed.ssh,
        ssh_prefix=parsed.ssh_prefix,
        ssh_confirm=parsed.ssh_confirm,
        ssh_lifetime=parsed.ssh_lifetime,
        until_closed=parsed.until_closed,
    )


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 10_000_000:
        raise argparse.ArgumentTypeError(f"{text!r}; accepted: seconds from 0 to 10000000")
    return value
