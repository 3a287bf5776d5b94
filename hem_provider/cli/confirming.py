"""Asking a person whether what cannot be undone is meant."""

from __future__ import annotations

from hem_provider.cli.statuses import Declined, UsageFault
from hem_provider.config.login_source import can_ask

__all__ = ["ask", "check_can_ask", "confirm", "confirm_by_name", "show"]


def check_can_ask(*, yes: bool) -> None:
    """Refuse, before a device is asked for anything, what a person would have to be asked about later:
    ``UsageFault`` where there is neither a terminal nor ``--yes``."""
    if not yes and not can_ask():
        raise UsageFault("there is no terminal to ask on whether it is meant; give --yes")


def ask(question: str, *, instead: str) -> str:
    """The line that a person types after ``question``, without blanks around it.

    ``UsageFault`` where nobody is at a terminal: it tells what to give ``instead``. ``EOFError`` when the
    input ends, ``KeyboardInterrupt``.
    """
    if not can_ask():
        raise UsageFault(f"there is no terminal to ask on: {question.strip().rstrip(':?')}; give {instead}")
    import sys

    print(question, end="", file=sys.stderr, flush=True)
    try:
        line = sys.stdin.readline()
    except UnicodeDecodeError:
        raise UsageFault("what was typed is no text in the encoding of this terminal") from None
    except KeyboardInterrupt:
        print(file=sys.stderr, flush=True)  # what comes next begins a line
        raise
    if not line:
        print(file=sys.stderr, flush=True)
        raise EOFError
    return line.strip()


def show(line: str = "") -> None:
    """Print a line of a conversation: on standard error, since standard output is for results."""
    import sys

    print(line, file=sys.stderr, flush=True)


def confirm(question: str, *, yes: bool) -> None:
    """Go on only if a person answers ``question`` with "y" or "yes", or has typed ``--yes`` before.

    ``Declined`` after any other answer.
    """
    if not yes and ask(f"{question} [y/N] ", instead="--yes").casefold() not in ("y", "yes"):
        raise Declined("nothing was done, as you say")


def confirm_by_name(question: str, name: str, *, yes: bool) -> None:
    """As ``confirm``, for what destroys for good: ``name`` itself is to be typed."""
    if yes:
        return
    typed = ask(f"{question} Type {name} to go on: ", instead="--yes")
    if typed != name:
        raise Declined(f"nothing was done: what was typed is not {name}")
