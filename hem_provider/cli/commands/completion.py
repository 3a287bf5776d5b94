"""``hem completion``: make a shell complete commands, options, devices and keys.

For bash 'eval "$(hem completion bash)"' in ~/.bashrc, for zsh the same of zsh in ~/.zshrc after compinit,
for fish 'hem completion fish > ~/.config/fish/completions/hem.fish'. Labels of keys are those that
this computer remembers; no device is asked.

Example: eval "$(hem completion bash)"
"""

from __future__ import annotations

import click

from hem_provider.cli.shape import Command, argument
from hem_provider.cli.shells import SHELLS, script

__all__ = ["command"]


@click.command("completion", cls=Command, help=__doc__)
@argument("shell", type=click.Choice(SHELLS), metavar="bash|zsh|fish", help="the shell that is to read them")
@click.pass_context
def command(ctx: click.Context, shell: str) -> int:
    """Print the script of a shell."""
    print(script(ctx.find_root().command, shell))
    return 0
