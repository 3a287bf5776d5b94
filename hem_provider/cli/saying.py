"""What is said to a person beside the result."""

from __future__ import annotations

import sys

__all__ = ["say"]


def say(line: str) -> None:
    """Print a line on standard error, after all that standard output was given."""
    sys.stdout.flush()
    print(line, file=sys.stderr, flush=True)
