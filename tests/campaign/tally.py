"""What came of trying one subject often."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Tally"]


@dataclass(slots=True)
class Tally:
    """What came of it. ``kills``: tries, by a kill or by a disk; ``at_calls``: those before a system call;
    ``points``: before how many different ones; ``of``: how many such calls a plan has; ``in_flight``: writes
    that are there and were not acknowledged; ``temporary``: files that kills left and a later writer removes;
    ``wait``: the longest of the next writer, in seconds, who has ``bound``."""

    name: str
    what: str
    kills: int = 0
    at_calls: int = 0
    points: set[int] = field(default_factory=set)
    of: int = 0
    acknowledged: int = 0
    in_flight: int = 0
    refused: int = 0
    lost: int = 0
    doubled: int = 0
    half: int = 0
    left_over: int = 0
    open_to_others: int = 0
    temporary: int = 0
    wait: float = 0.0
    bound: float = 5.0
    failures: list[str] = field(default_factory=list)

    def tell(self, kind: str, told: str) -> None:
        """Count one thing that went wrong."""
        setattr(self, kind, getattr(self, kind) + 1)
        self.failures.append(f"{self.name}: {self.kills}: {told}")
