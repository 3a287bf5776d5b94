"""``hem completion``: make a shell complete commands, options, devices and keys.

For bash 'eval "$(hem completion bash)"' in ~/.bashrc, for zsh the same of zsh in ~/.zshrc after compinit,
for fish 'hem completion fish > ~/.config/fish/completions/hem.fish'. Labels of keys are those that
this computer remembers; no device is asked.
"""

from __future__ import annotations

import click
from click.shell_completion import ShellComplete, get_completion_class

from hem_provider.cli.shape import Command, argument

__all__ = ["command"]

_SHELLS = ("bash", "zsh", "fish")


@click.command("completion", cls=Command, help=__doc__)
@argument("shell", type=click.Choice(_SHELLS), metavar="bash|zsh|fish", help="the shell that is to read them")
def command(shell: str) -> int:
    """Print the script of a shell."""
    from hem_provider.cli.root import COMPLETION_VARIABLE, ROOT

    found = get_completion_class(shell)
    assert found is not None  # noqa: S101 - click has all three
    # That of bash would look first which bash is on the path; the script is for whoever reads it.
    print(ShellComplete.source(found(ROOT, {}, "hem", COMPLETION_VARIABLE)))
    return 0
