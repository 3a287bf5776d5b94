"""The regression gate: what must hold of the figures of one run.

Ratios and call counts only, never seconds: a ratio compares two medians of the same interleaved run,
so that a slower machine changes neither side alone. Ratios get an allowance for noise; calls and
logins get none.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.auditlog import VERIFYING
from benchmarks.laboratory import GROWN, Fact
from hem_provider.measuring.figures import Figure

__all__ = [
    "ALLOWANCE",
    "FACT_LIMITS",
    "LIMITS",
    "MOST_GROWN",
    "Limit",
    "Measure",
    "broken",
    "grown",
    "judged",
]

#: Medians of 100 rounds on a busy two-core machine differ by this much between runs.
ALLOWANCE = 1.10
#: KiB that allocators may take in the course of things.
MOST_GROWN = 4096.0
#: How the name of a fact begins, and the most that it may be.
FACT_LIMITS: Mapping[str, float] = {
    GROWN: MOST_GROWN,
    "memory of the agent": 60.0 * 1024,
    VERIFYING: 1e6 / 50_000,  # µs: 50 000 lines a second
}


class Measure(enum.Enum):
    """What of a figure is limited."""

    RATIO = "ratio"
    CALLS = "calls"
    LOGINS = "logins"
    SPREAD = "spread"


@dataclass(frozen=True, slots=True)
class Limit:
    """The most that a figure may be. ``layer`` ``None``: every layer of the operation. ``wanted``: what it
    is to become, where it is not there yet; the page says so, and the gate holds what is reached."""

    group: str
    operation: str
    layer: str | None
    measure: Measure
    most: float
    wanted: float | None = None

    def holds_for(self, figure: Figure) -> bool:
        """Whether this limit is about the figure."""
        named = self.operation in (figure.operation, "*") or (
            self.operation.endswith("*") and figure.operation.startswith(self.operation[:-1])
        )
        return figure.group == self.group and named and self.layer in (None, figure.layer)

    def exceeded_by(self, figure: Figure) -> bool:
        """Whether the figure is worse than this limit and the allowance for noise."""
        value = getattr(figure, self.measure.value)
        if value is None:
            return False
        most = self.most * ALLOWANCE if self.measure is Measure.RATIO else self.most
        return bool(value > most)


def _ratios(group: str, operation: str, **most: float) -> Iterator[Limit]:
    for layer, value in most.items():
        yield Limit(group, operation, layer, Measure.RATIO, value)


def _calls(group: str, operation: str, layer: str, calls: int, logins: int) -> Iterator[Limit]:
    yield Limit(group, operation, layer, Measure.CALLS, calls)
    yield Limit(group, operation, layer, Measure.LOGINS, logins)


_COLD, _WARM = "nothing remembered", "keys remembered"
_THROUGH = "through the agent"

LIMITS: Sequence[Limit] = (
    *(
        limit
        for key in ("SECP256R1", "ED25519")
        for limit in _ratios("operations", f"sign {key}", REST=1.5, cryptography=1.6, C_Sign=1.7)
    ),
    *(
        # Above REST a signature is verified before it is handed out, for at most 0.2 ms.
        Limit("operations", "sign SECP256R1", f"{layer}, connection kept", Measure.RATIO, most)
        for layer, most in (("REST", 0.6), ("cryptography", 0.65), ("C_Sign", 0.65))
    ),
    Limit("operations", "sign*", None, Measure.CALLS, 1),
    Limit("operations", "verify*", None, Measure.CALLS, 0),
    Limit("operations", "find*", None, Measure.CALLS, 0),
    Limit("operations", "keyring*", None, Measure.CALLS, 1),
    Limit("operations", "AES-CTR 64 KiB", None, Measure.CALLS, 32),
    Limit("operations", "AES-GCM 64 KiB", None, Measure.CALLS, 33),
    *(
        limit
        for key in ("SECP256R1", "ED25519")
        for limit in _ratios("hardware", f"sign {key}", REST=1.02, Hem=1.02, cryptography=1.02, C_Sign=1.02)
    ),
    *(
        limit
        for group in ("commands", "commands ppa")
        for limit in (
            *_calls(group, "pkcs11-tool -L", _COLD, 1, 0),
            *_calls(group, "pkcs11-tool --sign", _COLD, 6, 2),
            *_calls(group, "pkcs11-tool --sign", _WARM, 3, 1),
        )
    ),
    *(
        limit
        for group in ("agent", "agent ppa")
        for command, calls in (
            ("pkcs11-tool --sign --id", 1),
            ("pkcs11-tool -O", 0),
            ("pkcs11-tool -L", 0),
            ("openssl dgst -engine hem", 1),
            ("keyring get", 1),
            ("python: connect, find, sign", 1),
            ("ssh-keygen -Y sign", 1),
            ("ssh", 1),
        )
        for limit in _calls(group, command, _THROUGH, calls, 0)
    ),
    Limit("agent", "pkcs11-tool --sign --id", _THROUGH, Measure.RATIO, 0.5),
    # What has no Python in it keeps to it; starting Python and the module takes 0.15 s, which is too much.
    Limit("agent ppa", "ssh-keygen -Y sign", _THROUGH, Measure.RATIO, 1.3),
    Limit("agent ppa", "pkcs11-tool --sign --id", _THROUGH, Measure.RATIO, 1.7, wanted=1.3),
    # Over a kept connection a signature takes 0.95 ms beside this one; the agent may take 0.6 ms more.
    Limit("agent", "sign SECP256R1", _THROUGH, Measure.RATIO, 1.85, wanted=1.6),
    # Who is one of 16 may wait 16 times as long and no longer: as much gets done as by one alone.
    Limit("agent", "sign SECP256R1 by many", "16 processes", Measure.RATIO, 16.0),
    Limit("agent", "sign SECP256R1 by many", None, Measure.SPREAD, 20.0),
    # 0.4 s, where bare Python takes 25 ms.
    Limit("agent", "start", "hem agent", Measure.RATIO, 16.0),
    Limit("start", "load, C_Initialize, C_GetSlotList", "module", Measure.RATIO, 5.0),
    *(
        limit
        for size in (10, 100, 1_000, 10_000)
        for limit in _calls("scale", f"pkcs11-tool --sign --id, {size} keys", _WARM, 3, 1)
    ),
    # A file is encrypted without a request, and decrypted for a login and one call.
    Limit("age", "encrypt*", "hem", Measure.RATIO, 2.0),
    Limit("age", "decrypt*", "hem", Measure.RATIO, 2.0),
    *_calls("age", "encrypt*", "hem", 0, 0),
    *_calls("age", "decrypt*", "hem", 3, 1),
    *(Limit("scale", f"find by label, {size} keys", None, Measure.CALLS, 0) for size in (10, 10_000)),
)


def judged(figures: Iterable[Figure], limits: Sequence[Limit] = LIMITS) -> list[tuple[Figure, Limit]]:
    """Each figure with each limit that is about it."""
    return [(figure, limit) for figure in figures for limit in limits if limit.holds_for(figure)]


def grown(facts: Iterable[Fact], limits: Mapping[str, float] = FACT_LIMITS) -> list[str]:
    """Where memory did not stay flat or is too much, in words."""
    return [
        f"{fact.name}: {fact.value:,.0f} {fact.unit}, at most {most:,.0f}"
        for fact in facts
        for name, most in limits.items()
        if fact.name.startswith(name) and fact.value > most
    ]


def broken(figures: Iterable[Figure], limits: Sequence[Limit] = LIMITS) -> list[str]:
    """What does not hold, in words; empty when all is well."""
    return [
        f"{figure.group}: {figure.operation}, {figure.layer}: {limit.measure.value} "
        f"{getattr(figure, limit.measure.value):.4g}, at most {limit.most:g}"
        + (f" (and {ALLOWANCE - 1:.0%} for noise)" if limit.measure is Measure.RATIO else "")
        for figure, limit in judged(figures, limits)
        if limit.exceeded_by(figure)
    ]
