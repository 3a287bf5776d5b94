"""Options that several of these programs take."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Collection, Sequence

__all__ = ["more_than_zero", "one_of", "only_checks"]


def only_checks(arguments: Sequence[str], description: str) -> bool:
    """Of a program that writes what is made from the code: whether ``--check`` is asked for. Anything else
    ends it with status 2."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; the status says whether something is stale"
    )
    return bool(parser.parse_args(arguments).check)


def one_of(what: str, names: Collection[str]) -> Callable[[str], str]:
    """The ``type`` of arguments of which each is one of ``names``; ``choices`` refuses that there is none."""

    def known(text: str) -> str:
        if text not in names:
            raise argparse.ArgumentTypeError(f"no {what} {text}; there are: {', '.join(names)}")
        return text

    return known


def more_than_zero(text: str) -> float:
    """The ``type`` of an amount: a finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text}; accepted: a number above 0")
    return value
