"""What a self-test found, test by test, in words (device API §17.1, §17.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hem_provider.records import frozen
from hem_provider.rest.system import FLS_BITS, SelfTest

__all__ = ["Finding", "findings"]

#: Bit of the fail state latch → the test or state that sets it, and what it is when it is well.
_TESTS = {
    0x01: ("known-answer tests", "each algorithm gives the known answers"),
    0x02: ("random numbers", "the source passes its tests"),
    0x04: ("temperature", "within bounds"),
    0x08: ("data integrity", "nothing stored was altered"),
    0x10: ("memory", "enough"),
    0x20: ("stack", "within bounds"),
    0x40: ("lock by check-in", "not locked"),
    0x80: ("shutdown by check-in", "not shut down"),
}


@frozen
class Finding:
    """What one test found. ``well`` is ``None`` while it still runs."""

    test: str
    well: bool | None
    words: str


def findings(result: SelfTest) -> tuple[Finding, ...]:
    """All of a self-test, each in words."""
    return (*_latched(result), *_element(result), *_repository(result))


def _latched(result: SelfTest) -> Iterator[Finding]:
    for bit, (test, well) in _TESTS.items():
        if result.fls_state & bit:
            yield Finding(test, False, FLS_BITS[bit])
        elif bit == 0x01 and result.busy:
            yield Finding(test, None, "still running")
        else:
            yield Finding(test, True, well)
    unknown = result.fls_state & ~sum(_TESTS)
    if unknown:
        yield Finding("other faults", False, f"bits {unknown:#x} of the fail state, which nobody explains")


def _element(result: SelfTest) -> Iterator[Finding]:
    state = result.secure_element
    if state is not None:
        yield Finding("secure element", state == 0, "answers" if state == 0 else f"fails with state {state}")


def _repository(result: SelfTest) -> Iterator[Finding]:
    slots = result.repository
    if slots is None:
        return
    rows: tuple[tuple[str, bool, Callable[[], str]], ...] = (
        (
            "key records",
            slots.invalid == 0,
            lambda: f"{slots.total} in use" if slots.invalid == 0 else f"{slots.invalid} of them are damaged",
        ),
        (
            "room for keys",
            slots.free > 0,
            lambda: f"{slots.free} free, {slots.deleted} deleted" if slots.free > 0 else "none is free",
        ),
    )
    for test, well, words in rows:
        yield Finding(test, well, words())
