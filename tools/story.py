"""The story of README.md, for what runs it: its blocks in order, with what they print.

A block ```` ```sh ```` is what a reader pastes, a block ```` ```text ```` after it what shows then: its lines
appear in this order in what was printed, ``…`` standing for anything. ``apt-get`` is root's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["README", "WAYS", "Block", "Outcome", "installing", "outcomes", "script", "story"]

README = Path(__file__).parents[1] / "README.md"
#: Way to install → what its blocks begin with. The rest is the story, and the same for all.
WAYS = {"checkout": ("make demo\n",), "wheel": ("apt-get install -y python3-venv", "python3 -m venv")}
_BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_MARK = "--- block"


@dataclass(frozen=True, slots=True)
class Block:
    """What is pasted, and the lines that show then."""

    commands: str
    shown: tuple[str, ...] = ()

    @property
    def of_root(self) -> bool:
        """Whether root pastes it."""
        return self.commands.startswith("apt-get ")

    def missed(self, printed: str) -> str | None:
        """The first line that does not show where it should, if there is one."""
        place = 0
        for line in self.shown:
            pattern = r"^\s*" + ".*".join(map(re.escape, line.strip().split("…")))
            found = re.compile(pattern, re.MULTILINE).search(printed, place)
            if found is None:
                return line
            place = found.end()
        return None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a block did: what it printed, when it ended (seconds), and what was wrong, if anything was."""

    block: Block
    printed: str
    ended: float
    wrong: str | None


def story(text: str | None = None) -> list[Block]:
    """What a reader pastes who has installed it, from the first line to the last."""
    installing = tuple(start for starts in WAYS.values() for start in starts)
    return [each for each in _all(text) if not each.commands.startswith(installing)]


def installing(way: str, text: str | None = None) -> list[Block]:
    """What is pasted before, in one of the :data:`WAYS`."""
    if way == "checkout":  # the other command of its block takes minutes, and the story does not want it
        return [Block(WAYS[way][0])]
    return [each for start in WAYS[way] for each in _all(text) if each.commands.startswith(start)]


def _all(text: str | None) -> list[Block]:
    found: list[Block] = []
    for kind, content in _BLOCK.findall(README.read_text("utf-8") if text is None else text):
        if kind == "sh":
            found.append(Block(content))
        else:
            found[-1] = Block(found[-1].commands, tuple(content.splitlines()))
    return found


def script(pasted: Sequence[Block]) -> str:
    """For bash to read from its standard input, as from a terminal in which one block after the other is
    pasted. Any command that fails is told."""
    lines = ["exec 2>&1; set -o pipefail", f"trap 'echo \"{_MARK} failed: $BASH_COMMAND\"' ERR"]
    for number, block in enumerate(pasted):
        lines += [block.commands.rstrip("\n"), f'echo "{_MARK} {number} ended $EPOCHREALTIME"']
    return "\n".join(lines) + "\n"


def outcomes(pasted: Sequence[Block], printed: str) -> list[Outcome]:
    """What became of each, by what the script printed."""
    found: list[Outcome] = []
    place = 0
    for number, block in enumerate(pasted):
        mark = re.compile(rf"^{_MARK} {number} ended ([0-9.]+)$", re.MULTILINE).search(printed, place)
        if mark is None:
            return [*found, Outcome(block, printed[place:], 0.0, "it did not end")]
        said, place = printed[place : mark.start()], mark.end()
        failed = re.search(rf"^{_MARK} (failed: .*)", said, re.MULTILINE)
        missed = block.missed(said)
        wrong = failed[1] if failed else None if missed is None else f"it does not print {missed!r}"
        found.append(Outcome(block, said, float(mark[1]), wrong))
    return found
