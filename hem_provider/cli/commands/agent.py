"""``hem agent``: one login for all programs, and an ssh-agent."""

from __future__ import annotations

import argparse

from hem_provider.cli import agent_actions as actions

__all__ = ["add_parser"]

_Commands = argparse._SubParsersAction


def add_parser(subparsers: _Commands[argparse.ArgumentParser]) -> None:
    """Add the ``agent`` command and its subcommands."""
    parser = subparsers.add_parser("agent", help="log in once for all programs; be an ssh-agent")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_start(commands)
    for name, text, action in (
        ("stop", "end the agent; it forgets everything", actions.stop),
        ("lock", "make it forget everything until it is unlocked", actions.lock),
    ):
        commands.add_parser(name, help=text).set_defaults(func=action)
    status = commands.add_parser("status", help="show what it serves and what it allows; 1 where none runs")
    status.add_argument("--json", action="store_true", help="for programs")
    status.set_defaults(func=actions.status)
    unlock = commands.add_parser("unlock", help="give it the passphrase, by prompt, file, command or phone")
    unlock.add_argument("--device", metavar="NAME", help="this device; default: all that are locked")
    unlock.add_argument(
        "--kdf", choices=("pbkdf2", "argon2d"), default="pbkdf2", help="how the device was initialised"
    )
    unlock.set_defaults(func=actions.unlock)
    env = commands.add_parser("env", help='lines for a shell: eval "$(hem agent env)"')
    env.add_argument("--shell", choices=("sh", "csh", "fish"), help="default: as $SHELL says")
    env.set_defaults(func=actions.env)
    units = commands.add_parser("units", help="write units for systemd's user manager")
    units.add_argument(
        "--directory", metavar="DIR", help="where to; default: ~/.config/systemd/user; - prints them"
    )
    units.set_defaults(func=actions.units)
    _add_run(commands)


def _add_start(commands: _Commands[argparse.ArgumentParser]) -> None:
    start = commands.add_parser("start", help="start it for this user, and unlock it")
    _add_options(start)
    start.add_argument("--foreground", action="store_true", help="stay, and log to standard error")
    start.add_argument("--locked", action="store_true", help="do not ask for a passphrase now")
    start.set_defaults(func=actions.start)


def _add_run(commands: _Commands[argparse.ArgumentParser]) -> None:
    run = commands.add_parser("run", help="an agent of its own for one command: hem agent run -- COMMAND")
    _add_options(run)
    run.add_argument("command", nargs="+", metavar="COMMAND", help="with its arguments, after --")
    run.set_defaults(func=actions.run)


def _add_options(parser: argparse.ArgumentParser) -> None:
    from hem_provider.agent.options import add_options

    add_options(parser)
