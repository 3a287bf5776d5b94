"""Checks of what callers pass in, before anything else is done with it.

``bytes(5)`` is five zero bytes and ``bytes([5])`` is one: where a message is expected, neither an
integer nor a list is one. So everything that takes bytes or text takes it through here.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Final, TypeAlias, TypeVar

__all__ = [
    "Buffer",
    "as_bytes",
    "as_member",
    "as_seconds",
    "as_text",
    "as_words",
    "optional_bytes",
    "size_of",
]

MemberT = TypeVar("MemberT", bound=enum.Enum)

#: Ten years (s); the clock of threads ends at nine thousand million seconds.
_LONGEST: Final = 10 * 365 * 86400.0

#: What ``cryptography`` takes where it says bytes-like.
Buffer: TypeAlias = bytes | bytearray | memoryview


def as_bytes(name: str, value: object) -> bytes:
    """A copy that no caller can change while device calls run.

    ``TypeError`` naming the argument unless ``value`` is bytes-like; text gets a hint.
    """
    return value if type(value) is bytes else _view(name, value).tobytes()


def optional_bytes(name: str, value: object) -> bytes | None:
    """``as_bytes``, or ``None``."""
    return None if value is None else as_bytes(name, value)


def size_of(name: str, value: object) -> int:
    """Bytes of a bytes-like object, without copying it. ``TypeError`` for anything else."""
    return _view(name, value).nbytes


def as_seconds(name: str, value: object) -> float:
    """A time. ``TypeError`` naming the argument for what is no number, ``ValueError`` unless it is more
    than 0 and something that threads can wait for."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name}: {type(value).__name__}; accepted: seconds (int or float)")
    if not 0 < value <= _LONGEST:
        raise ValueError(f"{name}: {value!r:.40}; accepted: seconds, more than 0 and at most {_LONGEST:.0f}")
    return float(value)


def as_text(name: str, value: object) -> str:
    """``value`` if it is ``str``. ``TypeError`` naming the argument, never showing the value."""
    if isinstance(value, str):
        return value
    hint = "; decode it first" if isinstance(value, bytes | bytearray | memoryview) else ""
    raise TypeError(f"{name}: {type(value).__name__}; accepted: text (str){hint}")


def as_member(name: str, value: object, kind: type[MemberT]) -> MemberT:
    """``value`` if it is one of ``kind``'s. ``TypeError`` naming the argument and what there is."""
    if isinstance(value, kind):
        return value
    members = ", ".join(str(each) for each in kind)
    raise TypeError(f"{name}: {type(value).__name__}; accepted: {members}")


def as_words(name: str, value: Iterable[str]) -> frozenset[str]:
    """A set of words. ``TypeError`` for a single text, which is an iterable of its letters, and for
    anything that is no collection of texts."""
    if isinstance(value, str):
        raise TypeError(f"{name}: the text {value!r}; accepted: a set of words, such as {{{value!r}}}")
    try:
        words = frozenset(value)
    except TypeError:
        raise TypeError(f"{name}: {type(value).__name__}; accepted: a set of words") from None
    return frozenset(as_text(f"{name}: a word", each) for each in words)


def _view(name: str, value: object) -> memoryview:
    try:
        return memoryview(value)  # type: ignore[arg-type]
    except TypeError:
        hint = "; encode it first" if isinstance(value, str) else ""
        raise TypeError(f"{name}: {type(value).__name__}; accepted: bytes-like{hint}") from None
