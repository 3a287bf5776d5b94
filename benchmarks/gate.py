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
from benchmarks.commands import COLD, THROUGH, WARM
from benchmarks.laboratory import GROWN, Fact
from benchmarks.scale import ANOTHER, HALFWAY, SIZES, START, TAKES
from hem_provider.measuring.figures import Figure

__all__ = [
    "ALLOWANCE",
    "FACT_LIMITS",
    "LIMITS",
    "MOST_GROWN",
    "Limit",
    "Measure",
    "below",
    "broken",
    "counted",
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
    TAKES: 300.0 * 1024,
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

    @property
    def is_count(self) -> bool:
        """Whether it counts what one run tells as well as a hundred."""
        return self.measure in (Measure.CALLS, Measure.LOGINS)

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


#: Command → device calls, and logins among them, in its first run, in a later one, and through the agent.
_COSTS: Mapping[str, tuple[tuple[int, int] | None, ...]] = {
    "pkcs11-tool --sign": ((6, 2), (3, 1), (1, 0)),
    "pkcs11-tool -O": ((8, 2), (2, 0), (0, 0)),
    "pkcs11-tool -L": ((1, 0), (1, 0), (0, 0)),
    "openssl req": ((8, 2), (4, 1), (1, 0)),
    "hem keys list": ((3, 1), (3, 1), (0, 0)),
    "hem sign*": (None, (4, 1), (1, 0)),
    "hem encrypt*": (None, (0, 0), None),
    "python: first signature": ((6, 2), (4, 1), (1, 0)),
    "python: hundredth signature": (None, (1, 0), (1, 0)),
    "keyring get": ((3, 1), (3, 1), (1, 0)),
    "pip download, keyring": ((3, 1), (3, 1), (1, 0)),
    "nginx handshake": (None, (1, 0), (1, 0)),
    "ssh-keygen -Y sign": (None, None, (1, 0)),
    "ssh login": (None, None, (1, 0)),
    "git commit -S": (None, None, (1, 0)),
}

LIMITS: Sequence[Limit] = (
    *(
        limit
        for key in ("SECP256R1", "ED25519")
        for limit in _ratios("operations", f"sign {key}", REST=1.8, cryptography=1.9, C_Sign=2.1)
    ),
    *(
        # As much gets done as 0.8 of what the floor does; not yet.
        Limit("operations", "sign SECP256R1", f"{layer}, connection kept", Measure.RATIO, most, wanted=1.25)
        for layer, most in (("REST", 1.6), ("cryptography", 1.7), ("C_Sign", 1.9))
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
        for group in ("commands", "waits")
        for command, costs in _COSTS.items()
        for layer, cost in zip((COLD, WARM, THROUGH), costs, strict=True)
        if cost is not None
        for limit in _calls(group, command, layer, *cost)
    ),
    # What has no Python in it keeps to it; starting Python and the module takes 0.15 s, which is too much.
    Limit("waits", "ssh-keygen -Y sign", THROUGH, Measure.RATIO, 1.3),
    Limit("waits", "pkcs11-tool --sign", THROUGH, Measure.RATIO, 1.7, wanted=1.3),
    # Over a kept connection a signature takes 0.95 ms beside this one; the agent may take 0.6 ms more.
    Limit("agent", "sign SECP256R1", THROUGH, Measure.RATIO, 1.6),
    # Who is one of 16 may wait 16 times as long and no longer: as much gets done as by one alone.
    Limit("agent", "sign SECP256R1 by many", "16 processes", Measure.RATIO, 16.0),
    Limit("agent", "sign SECP256R1 by many", None, Measure.SPREAD, 20.0),
    # The same without an agent.
    Limit("many at once", "sign SECP256R1", "16 threads", Measure.RATIO, 16.0),
    Limit("many at once", "sign SECP256R1", "16 processes", Measure.RATIO, 16.0),
    Limit("many at once", "sign SECP256R1", None, Measure.SPREAD, 20.0),
    # 0.4 s, where bare Python takes 25 ms.
    Limit("agent", "start", "hem agent", Measure.RATIO, 16.0),
    Limit("start", "load, C_Initialize, C_GetSlotList", "module", Measure.RATIO, 2.7),
    *(
        limit
        for size in SIZES
        for limit in _calls("scale", f"pkcs11-tool --sign --id, {size} keys", WARM, 3, 1)
    ),
    # A file is encrypted without a request, and decrypted for a login and one call.
    Limit("age", "encrypt*", "hem", Measure.RATIO, 2.0),
    Limit("age", "decrypt*", "hem", Measure.RATIO, 2.0),
    *_calls("age", "encrypt*", "hem", 0, 0),
    *_calls("age", "decrypt*", "hem", 3, 1),
    Limit("scale", "find by*", None, Measure.CALLS, 0),
    *(
        # A listing goes on where it was interrupted, halfway here.
        Limit("scale", f"list all, {size} keys", HALFWAY, Measure.CALLS, -(-size // 28))
        for size in SIZES
    ),
    *(
        # So it does in another program, which logs in.
        limit
        for size in SIZES
        for limit in _calls("scale", f"list all, {size} keys", ANOTHER, -(-size // 28) + 2, 1)
    ),
    *(
        # A new program that is told one of many keys asks for that one, and for keys made since.
        limit
        for size in SIZES[1:]
        for how in ("label", "id", "URI")
        for limit in _calls("scale", f"{START} {how}, {size} keys", WARM, 2, 0)
    ),
)


def judged(figures: Iterable[Figure], limits: Sequence[Limit] = LIMITS) -> list[tuple[Figure, Limit]]:
    """Each figure with each limit that is about it."""
    return [(figure, limit) for figure in figures for limit in limits if limit.holds_for(figure)]


def counted(figures: Iterable[Figure]) -> list[str]:
    """What does not hold of calls and logins alone: the gate of a short run, which tells nothing of time."""
    return broken(figures, [limit for limit in LIMITS if limit.is_count])


def below(figures: Iterable[Figure]) -> list[str]:
    """Which layer surely came out below the floor of its own kind, which is wrong then; in words."""
    groups = ("operations", "hardware")
    found = [each for each in figures if each.group in groups and each.interval is not None]
    floors = {(each.group, each.operation, each.layer): each for each in found}
    said = []
    for each in found:
        floor = floors.get((each.group, each.operation, each.floor))
        if each.ratio is None or floor is None or floor.interval is None or each.interval is None:
            continue
        if each.interval[1] < floor.interval[0]:
            said.append(f"{each.group}: {each.operation}, {each.layer}: {each.ratio:.3f} of its floor")
    return said


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
