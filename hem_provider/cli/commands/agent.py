"""``hem agent``: log in once for all programs; be an ssh-agent."""

from __future__ import annotations

import click

from hem_provider.agent.options import add_options
from hem_provider.cli.exports import shell_option
from hem_provider.cli.options import FILE_TEXT, device_option, json_option
from hem_provider.cli.shape import Given, Group, argument, given

__all__ = ["command"]

command = Group("agent", help=__doc__)


@command.command(
    "start", help="start it for this user, and unlock it", example="hem agent start --idle 28800"
)
@add_options
@click.option("--foreground", is_flag=True, help="stay, and log to standard error")
@click.option("--locked", is_flag=True, help="do not ask for a passphrase now")
@given
def _start(options: Given) -> int:
    from hem_provider.cli import agent_actions

    return agent_actions.start(options)


@command.command("stop", help="end the agent; it forgets everything", example="hem agent stop")
@given
def _stop(options: Given) -> int:
    from hem_provider.cli import agent_actions

    return agent_actions.stop(options)


@command.command("lock", help="make it forget everything until it is unlocked", example="hem agent lock")
@given
def _lock(options: Given) -> int:
    from hem_provider.cli import agent_actions

    return agent_actions.lock(options)


@command.command(
    "status",
    help="show what it serves and what it allows; exit status 3 where none runs",
    example="hem agent status",
)
@json_option("for programs")
@given
def _status(options: Given) -> int:
    from hem_provider.cli import agent_actions

    return agent_actions.status(options)


@command.command(
    "unlock",
    help="give it the passphrase, by prompt, file, command or phone",
    example="hem agent unlock --device office",
)
@device_option("this device; default: all that are locked")
@click.option(
    "--kdf",
    type=click.Choice(("pbkdf2", "argon2d")),
    default="pbkdf2",
    help="how the device was initialised",
)
@given
def _unlock(options: Given) -> int:
    from hem_provider.cli import agent_actions

    return agent_actions.unlock(options)


@command.command("env", help='lines for a shell: eval "$(hem agent env)"', example='eval "$(hem agent env)"')
@shell_option()
@given
def _env(options: Given) -> int:
    from hem_provider.cli import agent_actions

    return agent_actions.env(options)


@command.command("units", help="write units for systemd's user manager", example="hem agent units")
@click.option(
    "--directory",
    type=FILE_TEXT,
    metavar="DIR",
    help="where to; default: ~/.config/systemd/user; - prints them",
)
@given
def _units(options: Given) -> int:
    from hem_provider.cli import agent_actions

    return agent_actions.units(options)


@command.command(
    "run",
    help="an agent of its own for one command: hem agent run -- COMMAND",
    example="hem agent run -- make release",
)
@add_options
@argument("command", nargs=-1, required=True, metavar="COMMAND...", help="with its arguments, after --")
@given
def _run(options: Given) -> int:
    from hem_provider.cli import agent_actions

    return agent_actions.run(options)
