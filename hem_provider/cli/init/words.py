"""The 24 words of a new master secret: shown once, and some of them asked back.

They are on no disk and in no log; where the terminal can, they are shown on a screen of their own, of which
nothing is left to scroll back to.
"""

from __future__ import annotations

import secrets
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from hem_provider.cli.confirming import ask, show
from hem_provider.cli.statuses import Declined
from hem_provider.cli.terminal import columns, moving
from hem_provider.config.login_source import ask_hidden
from hem_provider.errors import HemConfigError

__all__ = ["ask_back", "show_once", "table"]

#: How many are asked back, and how often each may be mistyped.
_ASKED, _TRIES = 3, 3
#: Columns of one word with its number, and the most beside each other.
_CELL, _BESIDE = 13, 4
#: To the other screen and an empty one; an empty one and back.
_OPEN, _CLOSE = "\x1b[?1049h\x1b[2J\x1b[H", "\x1b[2J\x1b[3J\x1b[H\x1b[?1049l"
_HEAD = """\
These 24 words are the master secret of the device. Whoever has them can
give it another passphrase, and wipe it; nobody can make them anew.
Write them on paper, with their numbers. They are shown this once.
"""


def table(words: list[str], wide: int) -> list[str]:
    """The words with their numbers, in columns that are read downwards."""
    beside = max(1, min(_BESIDE, wide // _CELL))
    tall = -(-len(words) // beside)
    cells = [f"{number:2} {word}" for number, word in enumerate(words, 1)]
    return ["".join(f"{each:{_CELL}}" for each in cells[row::tall]).rstrip() for row in range(tall)]


def show_once(phrase: str) -> None:
    """Show the words until a person has written them down. ``KeyboardInterrupt``, ``EOFError``; the screen is
    cleared whatever happens."""
    apart = moving(sys.stderr)
    with _ended_cleanly():
        try:
            if apart:
                print(_OPEN, end="", file=sys.stderr)
            show(_HEAD)
            for line in table(phrase.split(), columns(sys.stderr)):
                show(f"  {line}" if columns(sys.stderr) > 2 * _CELL + 2 else line)
            show()
            ask("Press Enter when they are written down: ", instead="--master-file FILE")
        finally:
            if apart:
                print(_CLOSE, end="", file=sys.stderr, flush=True)
            else:
                show("\n" * 60 + "Clear this terminal: the words can be scrolled back to.")


def ask_back(phrase: str) -> None:
    """Ask for some of the words, at random. ``Declined`` when they are not known."""
    words = phrase.split()
    show("Now type some of them, so that it is sure that they can be read. Nothing is shown.")
    for place in sorted(secrets.SystemRandom().sample(range(len(words)), _ASKED)):
        for _ in range(_TRIES):
            with suppress(HemConfigError):  # no text: another word, too
                if ask_hidden(f"Word {place + 1}: ").strip().casefold() == words[place]:
                    break
            show("That is another word.")
        else:
            raise Declined("nothing was done: these words are not written down; begin again, with new ones")


@contextmanager
def _ended_cleanly() -> Iterator[None]:
    """Signals that end a program interrupt instead, so that the screen is cleared before."""

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(each, interrupt) for each in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
