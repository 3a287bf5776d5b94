"""``hem help``: explain an error, or show a page of the documentation; works offline.

A name is that of an error (E-TLS-NAME, HemLoginRequired, CKR_PIN_INCORRECT), an HTTP or exit status (401, 3),
of a page (agent, recipes/nginx), of a command or of a setting (HEM_URL, spacing). Without one it lists what
there is.

On a terminal it is shown in a pager (PAGER); otherwise a page is printed as it is written, in Markdown.

Example: hem help E-TLS-NAME
    hem help CKR_PIN_INCORRECT
    hem help recipes/nginx
"""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from hem_provider.cli.shape import Command, argument

__all__ = ["command"]


def _names(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from hem_provider.cli.help_actions import candidates

    return [CompletionItem(each) for each in candidates(incomplete)]


@click.command("help", cls=Command, help=__doc__)
@argument("words", nargs=-1, metavar="[NAME]", shell_complete=_names, help="what to explain")
@click.pass_context
def command(ctx: click.Context, words: tuple[str, ...]) -> int:
    """Show it."""
    from hem_provider.cli import help_actions

    return help_actions.show(ctx, words)
