"""A new passphrase: asked for twice and judged, or read from a file and judged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hem_provider.cli.confirming import ask, show
from hem_provider.cli.statuses import Declined, UsageFault
from hem_provider.config.login_source import ask_hidden, can_ask
from hem_provider.config.passphrase import MAX_BYTES, passphrase_from_file
from hem_provider.errors import HemConfigError
from hem_provider.records import frozen

__all__ = ["Verdict", "fault", "judged", "new_passphrase"]

#: How often a person may type two that differ, or what cannot be one.
_TRIES = 3
#: ``zxcvbn`` scores from 0 to 4; from here on a passphrase is fit.
_FIT = 3
#: Characters that ``zxcvbn`` looks at.
_LOOKED_AT = 72
#: How fast one who has the device's public key may guess.
_GUESSED = "offline_slow_hashing_1e4_per_second"


@frozen
class Verdict:
    """Whether a passphrase is fit, and why not; nothing of it is told."""

    fit: bool
    reason: str


def judged(passphrase: str, about: Sequence[str] = ()) -> Verdict:
    """What ``zxcvbn`` says of it. ``about``: what is known of the owner, which is guessed first."""
    from zxcvbn import zxcvbn  # some 25 ms

    found = zxcvbn(passphrase[:_LOOKED_AT], user_inputs=[each for each in about if each])
    told = [found["feedback"]["warning"].rstrip("."), *found["feedback"]["suggestions"][-1:]]
    lasts = f"it is guessed in {found['crack_times_display'][_GUESSED]}"
    return Verdict(found["score"] >= _FIT, ". ".join(filter(None, (lasts, *told))).rstrip("."))


def fault(passphrase: str) -> str | None:
    """Why it cannot be one, or ``None``: it could not be typed again, or not be read from a file."""
    if not passphrase:
        return "it is empty"
    if passphrase != passphrase.strip():
        return "it begins or ends with a blank"
    if not passphrase.isprintable():
        return "it has a character that cannot be seen, such as that of an arrow key"
    try:
        size = len(passphrase.encode("utf-8"))
    except UnicodeEncodeError:  # bytes that are no text in this encoding
        return "it has a character that is none in the encoding of this terminal"
    return None if size < MAX_BYTES else f"it has {size} bytes; accepted: up to {MAX_BYTES - 1}"


def new_passphrase(
    what: str,
    *,
    option: str,
    file: Path | None = None,
    about: Sequence[str] = (),
    weak: bool = False,
) -> str:
    """A new passphrase for ``what``: the line of ``file``, else what a person types twice.

    ``option`` is the one that names the file, for messages; ``weak``: take one that is judged weak.
    ``HemConfigError`` for a file that has none or a weak one, ``UsageFault`` where nobody can be asked,
    ``Declined`` when nothing fit was typed.
    """
    if file is not None:
        return _from_file(what, option, file, about, weak=weak)
    if not can_ask():
        raise UsageFault(f"there is no terminal to ask on for the {what}: give {option} FILE")
    for _ in range(_TRIES):
        typed = _typed_twice(what)
        if typed is None:
            continue
        verdict = judged(typed, about)
        if verdict.fit or weak:
            return typed
        show(f"It is weak: {verdict.reason}.")
        if ask("Take it anyway? [y/N] ", instead="--weak").casefold() in ("y", "yes"):
            return typed
    raise Declined(f"nothing was done: no {what} was chosen")


def _from_file(what: str, option: str, file: Path, about: Sequence[str], *, weak: bool) -> str:
    passphrase = passphrase_from_file(file)
    wrong = fault(passphrase)
    if wrong is not None:
        raise HemConfigError(f"{option} {file}: {wrong}")
    if not weak:
        verdict = judged(passphrase, about)
        if not verdict.fit:
            raise HemConfigError(
                f"{option} {file}: {what} is weak: {verdict.reason}; --weak takes it nevertheless"
            )
    return passphrase


def _typed_twice(what: str) -> str | None:
    try:
        typed = ask_hidden(f"{what[:1].upper()}{what[1:]}: ")
    except HemConfigError as error:
        show(f"That cannot be: {error}.")
        return None
    wrong = fault(typed)
    if wrong is not None:
        show(f"That cannot be: {wrong}.")
        return None
    try:
        same = ask_hidden("The same again: ") == typed
    except HemConfigError:
        same = False
    if not same:
        show("The two differ.")
        return None
    return typed
