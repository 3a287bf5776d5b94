"""``python -m hem_provider.emulator serve …``: the emulator without the rest of the command line."""

from __future__ import annotations

import argparse
import sys

from hem_provider.cli.commands.emulator import add_commands


def main() -> int:
    """Run one subcommand of ``hem emulator``."""
    parser = argparse.ArgumentParser(prog="python -m hem_provider.emulator")
    add_commands(parser.add_subparsers(metavar="COMMAND", required=True))
    arguments = parser.parse_args()
    try:
        return int(arguments.func(arguments))
    except OSError as error:  # a port that is taken, a disk that is full
        print(f"hem emulator: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
