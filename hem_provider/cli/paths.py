"""Paths on the command line: shells leave the ``~`` of ``--option=~/file`` as it is."""

from __future__ import annotations

import argparse
from pathlib import Path

from hem_provider.errors import HemConfigError
from hem_provider.files import named_path

__all__ = ["path_argument", "path_text"]


def path_argument(text: str) -> Path:
    """What ``argparse`` calls for an option that names a file."""
    try:
        return named_path(text)
    except HemConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def path_text(text: str) -> str:
    """The same as text, for what may also be a word or ``-``."""
    return str(path_argument(text)) if text.startswith("~") else text
