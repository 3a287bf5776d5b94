"""Which test runs each fenced block of the documentation, or why none does: ``docs/development/blocks.md``.

    python -m tools.blocks            write the page
    python -m tools.blocks --check    fail when it is not what the pages and ``tests/blocks.toml`` say

``tests/blocks.toml`` says which test takes the blocks of which pages. It is held to that: a test that passes
and has not run all of them fails (``tests/support/blocks.py``). A block that no test can run has a comment on
the line before it, which a forge and the site do not show: ``<!-- not run: asks a person: … -->``.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.options import only_checks

__all__ = [
    "PAGE",
    "ROOT",
    "Block",
    "Runner",
    "all_blocks",
    "blocks_of",
    "drawn",
    "names_of_pages",
    "prose_of",
]
__all__ += ["register", "runners_of"]

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "development" / "blocks.md"
REGISTER = ROOT / "tests" / "blocks.toml"
_FENCE = re.compile(r"^( *)(`{3,}|~{3,})(.*)$")
_MARK = re.compile(r"^<!-- not run: (.*\S) -->$")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: what stands behind its fence, its lines, and why it is not run."""

    page: str
    line: int
    info: str
    text: str
    reason: str = ""

    @property
    def language(self) -> str:
        """The first word behind the fence."""
        return self.info.partition(" ")[0]

    @property
    def kind(self) -> str:
        """``console``, or another language; ``file`` for one that has a file's name behind the language."""
        named = re.fullmatch(r"\w+ [\w.-]+\.\w+", self.info)
        return "file" if named else self.language

    @property
    def condition(self) -> str:
        """What must be there, where it is run by some machines alone: "since" a version, "by" a way."""
        return self.info.partition(" ")[2] if re.match(r"\w+ (since|by) ", self.info) else ""


@dataclass(frozen=True, slots=True)
class Runner:
    """A test, and what it runs: the blocks of some kinds, or those with a text, of pages."""

    test: str
    pages: tuple[str, ...]
    kinds: tuple[str, ...]
    holding: str = ""
    needs: str = ""
    parts: bool = False

    def takes(self, block: Block) -> bool:
        """Whether it runs this block."""
        return (
            not block.reason
            and block.kind in self.kinds
            and self.holding in block.text
            and self.is_for(block.page)
        )

    def is_for(self, page: str) -> bool:
        """Whether it is there for blocks of this page; ``*`` stands for one name."""
        path = Path(page)
        return any(path.match(each) and len(path.parts) == each.count("/") + 1 for each in self.pages)


def names_of_pages() -> list[str]:
    """The pages, from the root; the one that is made here has no blocks."""
    found = sorted((ROOT / "docs").rglob("*.md"))
    return ["README.md", *(str(each.relative_to(ROOT)) for each in found if each != PAGE)]


def blocks_of(page: str, text: str | None = None) -> list[Block]:
    """The blocks of a page, in order; one that does not end is a ``ValueError``."""
    found: list[Block] = []
    lines = ((ROOT / page).read_text("utf-8") if text is None else text).split("\n")
    for first, end in _fences(lines):
        opening = _FENCE.match(lines[first])
        if end is None or opening is None:
            raise ValueError(f"{page}, line {first + 1}: the block does not end")
        mark = _MARK.match(lines[first - 1].strip()) if first else None
        inside = "".join(f"{line[len(opening[1]) :]}\n" for line in lines[first + 1 : end])
        found.append(Block(page, first + 1, opening[3].strip(), inside, mark[1] if mark else ""))
    return found


def prose_of(text: str) -> str:
    """A page without its blocks and comments, at its own lines."""
    lines = text.split("\n")
    for first, end in _fences(lines):
        for number in range(first, len(lines) if end is None else end + 1):
            lines[number] = ""
    return re.sub(r"<!--.*?-->", lambda found: "\n" * found[0].count("\n"), "\n".join(lines), flags=re.DOTALL)


def _fences(lines: Sequence[str]) -> Iterator[tuple[int, int | None]]:
    """First and last line of each block, its fences."""
    fence, first = "", 0
    for number, line in enumerate(lines):
        if fence:
            if line.strip().startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
                yield first, number
        elif opening := _FENCE.match(line):
            fence, first = opening[2], number
    if fence:
        yield first, None


def all_blocks() -> list[Block]:
    """Those of all pages."""
    return [block for page in names_of_pages() for block in blocks_of(page)]


def register() -> list[Runner]:
    """What ``tests/blocks.toml`` says; an unknown key is a ``TypeError``."""
    rows: list[dict[str, Any]] = tomllib.loads(REGISTER.read_text("utf-8"))["runner"]
    for row in rows:
        row["pages"], row["kinds"] = tuple(row["pages"]), tuple(row["kinds"])
    return [Runner(**row) for row in rows]


def runners_of(block: Block, runners: Sequence[Runner]) -> list[Runner]:
    """The tests that run it."""
    return [each for each in runners if each.takes(block)]


# --- the page -------------------------------------------------------------------------------------

_HEAD = """\
# Blocks of the documentation, and what runs them

Made by `tools/blocks.py` from the pages and from `tests/blocks.toml`, which says which test runs which
blocks. A test that is named there and passes without having run all of them fails
(`tests/support/blocks.py`); what is printed below a command is compared with what it prints. What a machine
must have to run a block stands behind the word `console` ("since", "by"). A block without a test has a
comment before it that says why, and is in the last table.
"""


def drawn() -> str:
    """The page."""
    blocks, runners = all_blocks(), register()
    run = [each for each in blocks if runners_of(each, runners)]
    marked = [each for each in blocks if each.reason]
    neither = [each for each in blocks if each not in run and each not in marked]
    return "\n".join(
        [
            _HEAD,
            *_table(
                ("blocks", "", "of these"),
                [
                    ("all", len(blocks), _counted(each.kind for each in blocks)),
                    ("run", len(run), _counted(each.kind for each in run)),
                    ("run where something is there", *_conditional(run, runners)),
                    ("not run", len(marked), _counted(_kind_of(each.reason) for each in marked)),
                    *(
                        [("neither", len(neither), _counted(each.page for each in neither))]
                        if neither
                        else []
                    ),
                ],
            ),
            "",
            "## Page by page",
            "",
            *_table(("page", "blocks", "run", "by"), list(_pages(blocks, runners))),
            "",
            "## Not run",
            "",
            *_table(
                ("page", "block", "why"),
                [(_link(each.page), f"{each.language}: {_first(each.text)}", each.reason) for each in marked],
            ),
            "",
        ]
    )


def _conditional(run: Sequence[Block], runners: Sequence[Runner]) -> tuple[int, str]:
    """How many are left out by machines that lack something, and what."""
    wanted = [
        re.sub(r" [\d.]+.*", "", block.condition.partition(" ")[2])
        or min(each.needs for each in runners_of(block, runners))  # one test without is enough
        for block in run
    ]
    return len(run) - wanted.count(""), _counted([each for each in wanted if each])


def _pages(blocks: Sequence[Block], runners: Sequence[Runner]) -> Iterator[tuple[str, ...]]:
    for page in dict.fromkeys(each.page for each in blocks):
        own = [each for each in blocks if each.page == page]
        tests = dict.fromkeys(runner.test for each in own for runner in runners_of(each, runners))
        run = sum(bool(runners_of(each, runners)) for each in own)
        by = ", ".join(f"`{each.removeprefix('tests/')}`" for each in tests)
        yield _link(page), _counted(each.kind for each in own), f"{run} of {len(own)}", by or "–"


def _kind_of(reason: str) -> str:
    return reason.partition(":")[0]


def _counted(words: Iterator[str] | Sequence[str]) -> str:
    return ", ".join(
        f"{count} {word or 'without a language'}" for word, count in Counter(words).most_common()
    )


def _first(text: str) -> str:
    """What a reader knows the block by, in a cell."""
    line = next((each.strip() for each in text.splitlines() if each.strip()), "")
    shown = line if len(line) <= 60 else f"{line[:59]}…"
    return "`{}`".format(shown.replace("|", r"\|").replace("`", "'"))


def _link(page: str) -> str:
    name = page.removeprefix("docs/")
    return f"[{name}]({'../../README.md' if page == 'README.md' else f'../{name}'})"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    cells = [list(map(str, row)) for row in (head, ["---"] * len(head), *rows)]
    return [f"| {' | '.join(row)} |".replace("| --- ", "|---").replace("--- |", "---|") for row in cells]


def main(arguments: list[str]) -> int:
    """Write, or with ``--check`` compare."""
    check = only_checks(arguments, "Write docs/development/blocks.md from the pages and tests/blocks.toml.")
    text = drawn()
    stale = not PAGE.exists() or PAGE.read_text("utf-8") != text
    if stale and not check:
        PAGE.write_text(text, "utf-8")
    if stale and check:
        print(f"{PAGE.relative_to(ROOT)} is stale: run python -m tools.blocks", file=sys.stderr)
    return int(stale and check)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
