"""Names that the documentation uses in prose, and whether there is such a thing.

What stands between backquotes is looked at by its form: a command of ``hem`` with its options, an option, a
variable, a constant or function of PKCS#11, a file, an endpoint, a target of ``make``, or a name, dotted or
called. Whatever has none of these forms (values, words of other programs' files) is not looked at.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
from hem_pkcs11 import constants
from support.commands import COMMANDS, command_of

from hem_provider.emulator.cloud.service import ROUTES
from hem_provider.emulator.endpoints import ENDPOINTS
from tools.blocks import ROOT, all_blocks, names_of_pages, prose_of

__all__ = ["Span", "spans_of", "spans_of_all", "unknown"]

_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_WORD = re.compile(r"[A-Za-z_]\w*")
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*(?P<call>\(.*\))?")
_KEYWORD = re.compile(r"\b([a-z_]\w*)=")
_SETTING = re.compile(r"([a-z_]+) = ")
_OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*")
#: What follows "hem" in a line of a shell.
_COMMAND = re.compile(r"(?<![\w.-])hem ((?:[a-z]|--)[^\"')|;>&]*)")
#: Variables, functions of PKCS#11 and classes, wherever they stand; a beginning with a star is none.
_SURELY_OURS = re.compile(r"\b(?:HEM_[A-Z0-9_]*[A-Z0-9]\b(?!\*|…)|C_[A-Z]\w+|Hem[A-Z]\w+)")
_STANDARD = re.compile(r"\bCK[A-Z]_[A-Z0-9_]*[A-Z0-9]\b(?!_\*|_…)")
_FILE = re.compile(r"[\w.*-]*[\w*][\w.*/-]*(?:::test_\w+)?")
_ENDING = re.compile(r"\.(?:py|c|h|md|toml|json|sh|java|mk)(?:::|$)")
#: What nobody names: digests, tokens and identities that a page shows.
_VALUE = re.compile(r"[0-9a-f]{6,}|[A-Za-z0-9_+/=.-]*[A-Z]\w{40,}[A-Za-z0-9_+/=.-]*")
_SOURCES = ("hem_provider", "shim", "tools", "benchmarks", "packaging", ".ci")
_SUFFIXES = {".py", ".c", ".h", ".toml", ".service", ".socket", ".timer", ".yml", ".yaml", ".sh", ".json", ""}


@dataclass(frozen=True, slots=True)
class Span:
    """What stands between backquotes, and where."""

    page: str
    line: int
    text: str


def spans_of(page: str, text: str) -> list[Span]:
    """Those of a page; its blocks are none."""
    prose = prose_of(text)
    return [
        Span(page, prose.count("\n", 0, found.start()) + 1, " ".join(found[2].split()))
        for found in _SPAN.finditer(prose)
    ]


@functools.cache
def spans_of_all() -> list[Span]:
    """Those of all pages."""
    return [each for page in names_of_pages() for each in spans_of(page, (ROOT / page).read_text("utf-8"))]


def unknown(span: Span) -> set[str]:
    """The names of a span that nothing here has."""
    text = span.text
    found = {each for each in _SURELY_OURS.findall(text) if each not in _names()}
    found |= {each for each in _STANDARD.findall(text) if not _standard(each)}
    commands = _COMMAND.findall(text)
    if _VALUE.fullmatch(text):
        return found
    if commands:
        found.update(*map(_wrong_words, commands))
    elif text.startswith("--"):
        found.update(each for each in _OPTION.findall(text) if each not in _options())
    elif text.startswith("make "):
        targets = [each for each in text.split()[1:] if re.fullmatch(r"[a-z-]+", each)]
        found.update(each for each in targets if not re.search(rf"^{each}:", _makefile(), re.MULTILINE))
    elif _FILE.fullmatch(text) and ("/" in text.strip("/") or _ENDING.search(text)):
        found |= set() if _is_file(text) or _is_endpoint(text) else {text}
    elif dotted := _DOTTED.fullmatch(text):
        words = _WORD.findall(text.partition("(")[0]) + _KEYWORD.findall(dotted["call"] or "")
        found.update(each for each in words if each not in _names() and not _standard(each))
    elif setting := _SETTING.match(text):
        found |= {setting[1]} - _names()
    return found


def _wrong_words(line: str) -> Iterator[str]:
    """What of a command line its command does not have."""
    path: tuple[str, ...] = ()
    command, options = command_of(path), _own_options(command_of(path))
    for each in line.split(" -- ")[0].split():
        word = each.strip("[](),…")
        if word.startswith("--"):
            given = [one.partition("=")[0] for one in re.split(r"[|/]", word) if one.startswith("--")]
            yield from (f"hem … {one}" for one in given if one not in options)
        elif isinstance(command, click.Group):
            path = (*path, word)
            if not re.fullmatch(r"[a-z][a-z0-9-]*", word):
                return
            if path not in COMMANDS:
                yield f"hem {' '.join(path)}"
                return
            command = command_of(path)
            options = options | _own_options(command)


def _own_options(command: click.Command) -> set[str]:
    return {name for each in command.params for name in (*each.opts, *each.secondary_opts)} | {"--help"}


@functools.cache
def _options() -> set[str]:
    """Of all commands, and of the programs in tools and benchmarks."""
    ours = {name for words in ((), *COMMANDS) for name in _own_options(command_of(words))}
    programs = [
        *ROOT.glob("tools/*.py"),
        *ROOT.glob("benchmarks/**/*.py"),
        *ROOT.glob("tests/campaign/**/*.py"),
    ]
    return ours | {name for each in programs for name in re.findall(r'"(--[a-z][\w-]*)"', each.read_text())}


@functools.cache
def _makefile() -> str:
    return (ROOT / "Makefile").read_text("utf-8")


@functools.cache
def _names() -> set[str]:
    """Words of the code, strings included, comments and docstrings not; what tests define; packages."""
    found = set(_WORD.findall(_makefile() + (ROOT / "pyproject.toml").read_text("utf-8")))
    for file in _files():
        path = ROOT / file
        if not path.is_file() or path.suffix not in _SUFFIXES or not file.startswith((*_SOURCES, "tests/")):
            continue
        text = path.read_text("utf-8", errors="replace")
        if file.startswith("tests/"):
            found |= {
                a or b for a, b in re.findall(r"^ *(?:def|class) (\w+)|^([A-Z_]+)\b", text, re.MULTILINE)
            }
            continue
        if path.suffix == ".py":
            text = re.sub(r'^ *r?""".*?"""', "", text, flags=re.DOTALL | re.MULTILINE)
            text = re.sub(r"(?m)^ *#.*$|  #.*$", "", text)
        elif path.suffix in (".c", ".h"):
            text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
        found.update(_WORD.findall(text))
    return found


@functools.cache
def _files() -> set[str]:
    """All of the repository, folders too, and those that a page gives to its reader."""
    found = {each.name for each in ROOT.iterdir()} - {"build", "dist", ".git"}
    for folder in (*_SOURCES, "tests", "docs"):
        for each in (ROOT / folder).rglob("*"):
            if not {"__pycache__", "corpora", "vectors"} & set(each.parts) and each.suffix not in (
                ".so",
                ".pyc",
            ):
                found.add(str(each.relative_to(ROOT)))
    return found | {block.info.split()[1] for block in all_blocks() if block.kind == "file"}


@functools.cache
def _ends() -> set[str]:
    """The same, from any folder on: a page says ``device/login.py``."""
    return {"/".join(parts[at:]) for parts in map(_parts, _files()) for at in range(len(parts))}


def _parts(file: str) -> tuple[str, ...]:
    return Path(file).parts


def _is_file(text: str) -> bool:
    file, _, function = text.partition("::")
    ends = _ends()
    file = file.strip("/")
    if "*" in file:
        return any(Path(each).match(file) for each in ends)
    if file not in ends:
        return False
    if not function:
        return True
    there = [each for each in _files() if each == file or each.endswith(f"/{file}")]
    return any(f"def {function}(" in (ROOT / each).read_text("utf-8") for each in there)


def _is_endpoint(text: str) -> bool:
    paths = {each.path for each in ENDPOINTS} | {path for _, path, _ in ROUTES}
    named = text.rstrip("/*").strip("/")
    return any(named in path for path in paths)


def _standard(name: str) -> bool:
    """Whether it is a constant of PKCS#11 that the module has."""
    group, _, rest = name.partition("_")
    return rest in getattr(getattr(constants, group, None), "__members__", {}) or name in _names()
