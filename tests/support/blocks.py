"""Holds tests to ``tests/blocks.toml``: one that passes has run the blocks that it is said to run.

What takes a block tells it to ``ran``; ``run_page``, ``python_of`` and ``taken`` of ``support.pages`` do.
When a test has passed, ``check`` looks whether all that it is there for were among them, in its module so
far: a page may be run by a fixture of the module.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path

import pytest

from tools.blocks import Block, Runner, blocks_of, names_of_pages, register

__all__ = ["begin", "check", "due", "not_run", "ran", "values_of"]

_ran: set[tuple[str, str]] = set()
_module = ""


def ran(info: str, text: str) -> None:
    """A block with this behind its fence, and these lines, is run."""
    _ran.add((info, text))


def begin(module: str) -> None:
    """A test of this module begins: what others ran does not count for it."""
    global _module
    if module != _module:
        _module = module
        _ran.clear()


def due(test: str, values: Iterable[object], runners: Iterable[Runner]) -> list[str]:
    """The pages that a test runs, called with these parameters: all of them, or where it has several and
    parameters, those that one of these names."""
    own = [each for each in runners if each.test == test]
    pages = [page for page in names_of_pages() if any(each.is_for(page) for each in own)]
    given = list(values)
    stems = {Path(each).stem for each in given if isinstance(each, str | Path)}
    return [page for page in pages if Path(page).stem in stems] if given and len(pages) > 1 else pages


def not_run(runner: Runner, pages: Iterable[str], seen: set[tuple[str, str]]) -> list[Block]:
    """What the test should have run and has not; what wants something newer may be left out."""
    own = [block for page in pages for block in blocks_of(page) if runner.takes(block)]
    left = [block for block in own if not block.condition and (block.info, block.text) not in seen]
    return [] if runner.parts and len(left) < len(own) else left


def values_of(item: pytest.Item) -> list[object]:
    """The parameters of a test."""
    return list(item.callspec.params.values()) if hasattr(item, "callspec") else []


def check(item: pytest.Function) -> None:
    """After a test has passed. ``AssertionError`` where it has not run what it is named for."""
    name = item.nodeid.partition("[")[0]
    rows = _runners().get(name, [])
    for runner in rows:
        left = not_run(runner, due(name, values_of(item), rows), _ran)
        told = ", ".join(f"{each.page}:{each.line}" for each in left)
        assert not left, f"tests/blocks.toml says that {name} runs blocks that it does not: {told}"


@functools.cache
def _runners() -> dict[str, list[Runner]]:
    rows = register()
    return {each.test: [row for row in rows if row.test == each.test] for each in rows}
