"""What MkDocs needs to make a site of pages that are plain Markdown, as a forge shows it.

* Pages of the repository that lie outside ``docs/`` are pages of the site, below ``project/``.
* A link to such a page, or to a folder, leads there; one to any other file of the repository is text, since
  the site does not have it.
* What stands after a block's language (a file's name, what it needs) becomes its title.
* Lists within lists, indented by two blanks, get the four that MkDocs wants.
* Anchors are those that a forge makes.
* Tables of contents name functions without what they take.
* An entry of the navigation that ends with ``*`` stands for the pages of that folder, its index first.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.structure.toc import AnchorLink
from pymdownx.slugs import slugify

__all__ = ["OUTSIDE", "on_config", "on_files", "on_page_content", "on_page_markdown", "rewritten"]

ROOT = Path(__file__).parents[2]
#: Page of the repository → the same in the site.
OUTSIDE = {f"{name}.md": f"project/{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY", "CHANGELOG")}
_BACK = {place: page for page, place in OUTSIDE.items()}
#: Page → what of Material's columns it goes without: wide tables want the room.
_WITHOUT = {"index.md": ("navigation", "toc"), "tools.md": ("toc",), "platforms.md": ("toc",)}
#: What a link to a folder leads to.
_INDEXES = ("index.md", "README.md")
#: A block, a list within one, a span of code, or a link: in code nothing is one.
_PART = re.compile(
    r"^(?P<fence>```+)(?P<language>\S*)(?P<more>[^\n]*)(?P<block>\n.*?^(?P=fence))[ ]*$"
    r"|(?P<nested>(?:^ {2}[*-] [^\n]*\n(?:^ {4,}\S[^\n]*\n)*)+)"
    r"|(?P<ticks>`+).+?(?P=ticks)(?!`)"
    r"|\[(?P<text>(?:[^\[\]]|\[[^\[\]]*\])*)\]\((?P<target>[^()\s]+)\)",
    re.MULTILINE | re.DOTALL,
)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Anchors, and the navigation without patterns."""
    config.mdx_configs["toc"]["slugify"] = slugify(case="lower")
    config.nav = list(_listed(config.nav or []))
    return config


def _listed(entries: list[Any]) -> Iterator[Any]:
    for entry in entries:
        if isinstance(entry, dict):
            for title, below in entry.items():
                if isinstance(below, str) and below.endswith("/*"):
                    yield {title: _pages_of(below.removesuffix("*"))}
                else:
                    yield {title: list(_listed(below)) if isinstance(below, list) else below}
        else:
            yield entry


def _pages_of(folder: str) -> list[str]:
    names = sorted(each.name for each in (ROOT / "docs" / folder).glob("*.md"))
    return [folder + name for name in sorted(names, key=lambda name: name not in _INDEXES)]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """With the pages from outside."""
    for page, place in OUTSIDE.items():
        files.append(File.generated(config, place, content=(ROOT / page).read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """The page, its links made for the site."""
    page.meta["hide"] = list(_WITHOUT.get(page.file.src_uri, ()))
    return rewritten(markdown, page.file.src_uri)


def on_page_content(html: str, page: Page, **_: Any) -> str:
    """The page as it is; in its table of contents a function has its name alone."""

    def short(items: Iterable[AnchorLink]) -> None:
        for each in items:
            each.title = re.sub(r"^(\w+)\(.*", r"\1", each.title, flags=re.DOTALL)
            short(each.children)

    short(page.toc)
    return html


def rewritten(markdown: str, place: str) -> str:
    """A page at ``place`` of the site, with links that lead to pages of it."""
    own = _BACK.get(place, f"docs/{place}")

    def made(found: re.Match[str]) -> str:
        text, target = found["text"], found["target"]
        if found["fence"] and found["more"].strip():
            return f'{found["fence"]}{found["language"]} title="{found["more"].strip()}"{found["block"]}'
        if found["nested"]:
            return rewritten(re.sub("^", "  ", found["nested"], flags=re.MULTILINE).rstrip(" "), place)
        if target is None or re.match(r"[a-z+]+:|#", target):
            return found[0]
        # An image's text, or a link within a link's text, is left as it is.
        led = _led(own, place, target)
        return f"[{rewritten(text, place)}]({led})" if led else text

    return _PART.sub(made, markdown)


def _led(own: str, place: str, target: str) -> str | None:
    path, mark, anchor = target.partition("#")
    wanted = posixpath.normpath(posixpath.join(posixpath.dirname(own), path))
    if (ROOT / wanted).is_dir():
        wanted = next((f"{wanted}/{each}" for each in _INDEXES if (ROOT / wanted / each).is_file()), wanted)
    if wanted in OUTSIDE:
        to = OUTSIDE[wanted]
    elif wanted.startswith("docs/"):
        to = wanted.removeprefix("docs/")
    else:
        # There are files of the repository that the site does not have; what is not there is for the check.
        return None if (ROOT / wanted).exists() else target
    return posixpath.relpath(to, posixpath.dirname(place) or ".") + mark + anchor
