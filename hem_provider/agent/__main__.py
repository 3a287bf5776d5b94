"""``python -m hem_provider.agent``: the daemon in the foreground; ``hem agent start`` runs it so."""

from __future__ import annotations

import logging
import sys
from types import SimpleNamespace
from typing import Any

import click

from hem_provider.agent.options import Options, add_options, options_from
from hem_provider.agent.readiness import tell_ready
from hem_provider.errors import HemConfigError, HemError
from hem_provider.installation import explained

__all__ = ["main", "serve"]


@click.command()
@add_options
def main(**given: Any) -> None:
    """Exit status: 0 stopped, 1 not started, 2 usage, said on standard error."""
    sys.exit(serve(options_from(SimpleNamespace(**given))))


def serve(options: Options) -> int:
    """Run an agent here until it is stopped, with its log on standard error; the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        try:
            import sdnotify  # noqa: F401 - what telling the service manager takes

            from hem_provider.agent.daemon import run
        except ModuleNotFoundError as error:
            raise HemConfigError(explained(error, "the agent") or str(error)) from None
        return run(options, tell_ready)
    except HemError as error:
        print(f"hem agent: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    main(prog_name="hem agent")
