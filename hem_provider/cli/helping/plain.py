"""Markdown as text for a terminal: headings stand out, paragraphs and cells of tables are folded, blocks of
commands are left as they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from hem_provider.cli.marks import Marks, folded

__all__ = ["plain"]

_INDENT = "    "
_BULLET = re.compile(r"(?P<mark>\s*(?:[*-]|\d+\.)\s+)(?P<text>.*)")
_RULE = re.compile(r"\|?[\s|:-]+\|?")
_BOLD, _CODE, _HEAD = "1", "36", "1;4"


def plain(text: str, marks: Marks) -> str:
    """A page, as wide as the stream of ``marks`` is."""
    return "\n".join(_lines(text.splitlines(), marks)).strip("\n") + "\n"


def _lines(source: list[str], marks: Marks) -> Iterator[str]:
    position = 0
    while position < len(source):
        line = source[position]
        if line.startswith("```"):
            end = _until(source, position + 1, lambda each: each.startswith("```"))
            yield from (
                marks.paint(f"{_INDENT}{marks.text(each)}", _CODE) for each in source[position + 1 : end]
            )
            position = end + 1
        elif line.startswith("|"):
            end = _until(source, position, lambda each: not each.startswith("|"))
            yield from _table(source[position:end], marks)
            position = end
        elif line.startswith("#"):
            level, _, words = line.partition(" ")
            style = _HEAD if len(level) == 1 else _BOLD
            heading = folded(marks.text(_inline(words)), "", marks.columns, 0)
            yield from (marks.paint(each, style) for each in heading)
            position += 1
        elif line.startswith("<!--"):
            position = _until(source, position, lambda each: "-->" in each) + 1
        elif line.startswith("!["):
            position = _until(source, position, lambda each: not each.strip())
        elif not line.strip():
            yield ""
            position += 1
        else:
            end = _until(source, position + 1, _begins)
            yield from _paragraph(source[position:end], marks)
            position = end


def _until(source: list[str], start: int, ends: Callable[[str], object]) -> int:
    return next((at for at in range(start, len(source)) if ends(source[at])), len(source))


def _begins(line: str) -> bool:
    """Whether something else than the paragraph before goes on here."""
    return not line.strip() or line.startswith(("#", "|", "```")) or _BULLET.fullmatch(line) is not None


def _paragraph(lines: list[str], marks: Marks) -> list[str]:
    found = _BULLET.fullmatch(lines[0])
    mark, first = (found["mark"], found["text"]) if found else ("", lines[0])
    text = marks.text(_inline(" ".join([first, *(each.strip() for each in lines[1:])])))
    return folded(text, mark, marks.columns, len(mark))


def _table(rows: list[str], marks: Marks) -> Iterator[str]:
    """A row a paragraph: its first cell, and the others below it, each after what its column is called."""
    cells = [_cells(row) for row in rows if not _RULE.fullmatch(row)]
    head, *body = cells
    for row in body:
        yield from (marks.paint(each, _BOLD) for each in folded(marks.text(row[0]), "", marks.columns, 0))
        for name, cell in zip(head[1:], row[1:], strict=False):
            if cell:
                told = f"{name}: {cell}" if name and len(head) > 2 else cell
                yield from folded(marks.text(told), _INDENT, marks.columns, len(_INDENT))


def _cells(row: str) -> list[str]:
    parts = re.split(r"(?<!\\)\|", row.strip().strip("|"))
    return [_inline(each.replace("\\|", "|").strip()) for each in parts]


def _inline(text: str) -> str:
    """Without marks; a link tells where it leads, unless that is another part of the page."""
    text = re.sub(r"\[([^\]]*)\]\((#[^)]*)\)", r"\1", text)
    text = re.sub(r"\[([^\]]*)\]\(([^)#]*)[^)]*\)", _linked, text)
    return re.sub(r"(\*\*|`)(?=\S)(.+?)(?<=\S)\1", r"\2", text)


def _linked(found: re.Match[str]) -> str:
    target = re.sub(r"^(\.\./)+|\.md$", "", found[2])
    return found[1] if found[1].strip("`").lower() == target.lower() else f"{found[1]} ({target})"
