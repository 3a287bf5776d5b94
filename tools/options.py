"""The one option of the programs that write what is made from the code."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

__all__ = ["only_checks"]


def only_checks(arguments: Sequence[str], description: str) -> bool:
    """Whether ``--check`` is asked for. Anything else ends the program with status 2."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; the status says whether something is stale"
    )
    return bool(parser.parse_args(arguments).check)
