"""`python -m hem_provider.emulator serve …`: the emulator without the rest of the command line."""

from __future__ import annotations

import argparse
import sys

from hem_provider.cli.emulator import add_commands


def main() -> int:
    """Run one subcommand of `hem emulator`."""
    parser = argparse.ArgumentParser(prog="python -m hem_provider.emulator")
    add_commands(parser.add_subparsers(metavar="COMMAND", required=True))
    arguments = parser.parse_args()
    return int(arguments.func(arguments))


if __name__ == "__main__":
    sys.exit(main())
