"""What writes, as the parts ``kills`` and ``disks`` try it.

A subject keeps named texts somewhere. It makes a plan of numbered writes, carries each out by the product's
own way, and reads back what is there: from that, and from what was acknowledged, follows what was lost.
"""

from __future__ import annotations

import fnmatch
import os
import random
import stat
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

__all__ = ["Damaged", "State", "Subject", "Write", "after", "text"]

#: Name → text, of everything that is kept.
State = Mapping[str, str]


class Damaged(Exception):
    """What is there is neither what was nor what was to be."""


@dataclass(frozen=True, slots=True)
class Write:
    """``kind``: for the subject; ``changes``: name → text, ``None`` for what is taken away."""

    kind: str
    changes: Mapping[str, str | None]

    def __str__(self) -> str:
        return f"{self.kind} {' '.join(self.changes)}"


def after(state: State, write: Write) -> dict[str, str]:
    """What is kept after a write."""
    changed = {**state, **write.changes}
    return {name: value for name, value in changed.items() if value is not None}


def text(chance: random.Random, most: int = 600) -> str:
    """Some text that no other write has."""
    return f"{chance.getrandbits(64):016x}" * chance.randrange(1, most // 16)


class Subject(ABC):
    """In ``folder``, which is its own, empty, and there already."""

    #: In the tables.
    name: ClassVar[str]
    #: What writes it, in the tables.
    what: ClassVar[str]
    #: Names of files, as of ``fnmatch``, that are there where nobody writes.
    kept: ClassVar[Sequence[str]]
    #: Whether a write is there wholly or not at all; otherwise each of its changes is.
    whole: ClassVar[bool] = True
    #: Whether it can be read where it cannot be written.
    readable: ClassVar[bool] = True
    #: Whether what cannot be written is told; otherwise it is passed over, as it costs time alone.
    tells: ClassVar[bool] = True
    #: Seconds that the next writer may wait after a kill, on a machine that is not overloaded.
    bound: ClassVar[float] = 5.0
    #: After so many kills it begins anew in another folder, for its writes not to become long.
    life: ClassVar[int] = 125

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self) -> None:  # noqa: B027 - most have nothing to do
        """Make what has to be there, in this process."""

    def end(self) -> None:  # noqa: B027 - most have nothing to do
        """Let go of it."""

    @abstractmethod
    def plan(self, chance: random.Random, state: State) -> list[Write]:
        """The next writes; names are never used twice for something else."""

    def prepare(self) -> None:  # noqa: B027 - most have nothing to do
        """In a child, before its first write: what is not to be tried."""

    @abstractmethod
    def carry_out(self, write: Write) -> None:
        """One write by the product's own way, finished when it returns. Raises what the product does."""

    def carry_out_alone(self, write: Write) -> None:
        """The same in this process, where nothing was prepared, as the next writer after a kill."""
        self.carry_out(write)

    @abstractmethod
    def read(self) -> list[tuple[str, str]]:
        """What is kept now, read afresh; a name that is kept twice is there twice. ``Damaged``."""

    def left_over(self) -> list[str]:
        """Files that nobody needs any more."""
        there = [each for each in sorted(self.folder.rglob("*")) if not each.is_dir()]
        names = [str(each.relative_to(self.folder)) for each in there]
        return [each for each in names if not any(fnmatch.fnmatchcase(each, kind) for kind in self.kept)]

    def open_to_others(self) -> list[str]:
        """Files and folders that are not this user's alone."""
        return [
            f"{each.relative_to(self.folder)} ({stat.S_IMODE(each.lstat().st_mode):o})"
            for each in sorted(self.folder.rglob("*"))
            if not each.is_symlink() and each.lstat().st_mode & 0o077
        ]

    def names(self, words: str, reason: str) -> bool:
        """Whether an error says which file of this subject it is about, and why."""
        return reason in words and str(self.folder) in words

    def let_an_hour_pass(self) -> int:
        """For the temporary files that are there, after which nobody can be writing them; how many."""
        found = [each for each in self.folder.rglob(".*") if each.name.endswith((".tmp", ".new"))]
        for each in found:
            then = each.lstat().st_mtime - 3700
            os.utime(each, (then, then))
        return len(found)
