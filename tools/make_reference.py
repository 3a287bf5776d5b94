"""Write the API reference from the docstrings: one page per subject in ``docs/reference/``.

    python tools/make_reference.py            write the pages
    python tools/make_reference.py --check    fail when a page is not what the code says

Signatures and docstrings are taken by importing the package; nothing is written by hand, so a page
cannot say what the code does not. Sections of the device API become links to its page.
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import importlib
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
OUT = ROOT / "docs" / "reference"
sys.path.insert(0, str(ROOT))

from tools.options import only_checks  # noqa: E402

#: The description of the device, as a link from ``OUT`` and as a file.
DEVICE_PAGE = "../development/device-api.md"
_DEVICE_FILE = OUT / DEVICE_PAGE

#: Page → (title, names). A module name stands for everything in its ``__all__``.
PAGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "device": (
        "Devices",
        (
            "hem_provider.device:connect",
            "hem_provider.device:Hem",
            "hem_provider.device:Identity",
            "hem_provider.device:Role",
            "hem_provider.device:Kdf",
            "hem_provider.device:Statistics",
            "hem_provider.device:Status",
            "hem_provider.device:Version",
            "hem_provider.device:CheckInResult",
        ),
    ),
    "keys": ("Keys of a device", ("hem_provider.device.inventory", "hem_provider.device.key:Key")),
    "private-keys": (
        "Key objects for cryptography",
        (
            "hem_provider.keys.remote",
            "hem_provider.keys.ec",
            "hem_provider.keys.edwards",
            "hem_provider.keys.montgomery",
            "hem_provider.keys.mldsa",
            "hem_provider.keys.mlkem",
            "hem_provider.keys.mlkem512",
            "hem_provider.keys.public:load_public",
            "hem_provider.keys.public:device_form",
            "hem_provider.keys.public:type_of",
        ),
    ),
    "key-sets": (
        "Sets of keys on several devices",
        ("hem_provider.keys.keyset:KeySet", "hem_provider.keys.desk:Standing"),
    ),
    "administration": (
        "Administration",
        (
            "hem_provider.device.administration:Administration",
            "hem_provider.rest.initialisation:NewDevice",
            "hem_provider.rest.initialisation:Initialised",
            "hem_provider.rest.configuration:Configuration",
            "hem_provider.rest.configuration:ConfigurationChange",
            "hem_provider.rest.configuration:Attestation",
            "hem_provider.rest.system:SelfTest",
            "hem_provider.rest.upgrade:Image",
            "hem_provider.device.auditlog",
            "hem_provider.device.certificate",
            "hem_provider.device.phones",
        ),
    ),
    "rest": (
        "REST client, one function per endpoint",
        (
            "hem_provider.rest.call:Call",
            "hem_provider.device.login:LoginSession",
            "hem_provider.rest.api:RestApi",
            "hem_provider.config.limits",
            "hem_provider.rest.keyfields",
            "hem_provider.rest.auth",
            "hem_provider.rest.initialisation",
            "hem_provider.rest.external",
            "hem_provider.rest.system",
            "hem_provider.rest.configuration",
            "hem_provider.rest.keymgmt",
            "hem_provider.rest.crypto",
            "hem_provider.rest.ciphers",
            "hem_provider.rest.logger",
            "hem_provider.rest.storage",
            "hem_provider.rest.upgrade",
            "hem_provider.rest.broker:BrokerApi",
            "hem_provider.rest.domain:DomainApi",
        ),
    ),
    "key-types": ("Key types", ("hem_provider.keytypes",)),
}
_INDEX = """\
# Reference

What is looked up, not read. Commands are made from the parser, classes and functions from their docstrings.

- [Commands](commands/index.md): every option of `hem`, exit statuses, variables, files
- [What commands print with `--json`](../schemas/README.md), with a schema of each
- [Settings](../configuration.md) of the configuration file
- The PKCS#11 module: [attributes](../pkcs11.md#objects-and-attributes),
  [mechanisms](../pkcs11.md#mechanisms), [functions](../pkcs11.md#functions),
  [what a `CKR_` means](../pkcs11.md#when-something-fails)
- [Errors](errors.md): exceptions, return values, statuses, each with its cause and what to do
- [Glossary](../glossary.md), [the developers' words](../development/glossary.md)
- [The device's HTTP API]({device})

## Python API

{api}"""


def pages() -> dict[str, str]:
    """File name → text of every page, the index included."""
    made = {f"{name}.md": _page(title, names) for name, (title, names) in PAGES.items()}
    made["errors.md"] = _errors()
    api = "".join(f"- [{title}]({name}.md)\n" for name, (title, _) in PAGES.items())
    made["index.md"] = _INDEX.format(api=api, device=DEVICE_PAGE)
    return made


_ERRORS = """\
Everything that can be told as an error, with its cause and what to do. Names are stable. A command that fails
names the entry on a terminal in a second line, `(hem help NAME)`; with `--json` it is in the field `help`, or
else the class in `error`. An exception has it as `error.code`, the PKCS#11 module writes it into its log.
`hem help NAME` shows an entry, without a network. What you see and do not know the name of:
[by symptom](../troubleshooting.md).
"""


def _errors() -> str:
    """The page of errors: the catalogue of ``hem help``, with what exceptions say of themselves."""
    from hem_provider import errors
    from hem_provider.cli.helping.catalogue import GROUPS, NAMES

    names = {each.name: each.anchor for each in NAMES.values()}
    lines = ["# Errors", "", _ERRORS]
    lines += [f"- [{group}](#{_anchor(group)}): {len(those)}" for group, those in GROUPS.items()]
    for group, those in GROUPS.items():
        lines += ["", f"## {group}", ""]
        if group == "Exceptions":
            lines += ["`hem_provider.errors`; all are importable from `hem_provider`.", ""]
            lines += [_plain(errors.__doc__ or "").partition("\n\n")[2], ""]
        for each in those:
            what = f"{each.what[:1].upper()}{each.what[1:]}"
            own = _own_doc(getattr(errors, each.name)) if group == "Exceptions" else _cited(what, names)
            lines += [f"### `{each.name}`", "", own, "", *_folded(_cited(each.advice(), names)), ""]
    return _linked(re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n")


def _folded(text: str) -> list[str]:
    """Its paragraphs in lines as pages have them; code is not broken."""
    kept = re.sub(r"`[^`]*`", lambda code: code[0].replace(" ", "\0"), text)
    parts = [
        textwrap.wrap(each, 118, break_long_words=False, break_on_hyphens=False) for each in kept.split("\n")
    ]
    return [line.replace("\0", " ") for part in parts for line in (part or [""])]


def _anchor(title: str) -> str:
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def _cited(text: str, names: dict[str, str]) -> str:
    """A text of the catalogue with links to other entries and to pages; what is in backquotes stays."""

    def link(found: re.Match[str]) -> str:
        if found["page"]:
            return f"[{found['page']}](../{found['page']}.md)"
        anchor = names.get(found["name"] or "")
        return f"[{found['name']}](#{anchor})" if anchor else found[0]

    return re.sub(r"`[^`]*`|docs/(?P<page>[\w/-]+)\.md|(?P<name>[A-Za-z][\w-]*\w)", link, text)


def _page(title: str, names: tuple[str, ...]) -> str:
    lines = [f"# {title}", ""]
    for name in names:
        module_name, _, item = name.partition(":")
        module = importlib.import_module(module_name)
        if item:
            lines += _entry(item, getattr(module, item), module_name)
            continue
        if module.__doc__:
            lines += [_plain(module.__doc__), ""]
        for each in module.__all__:
            lines += _entry(each, getattr(module, each), module_name)
    return _linked(re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n")


def anchors(text: str) -> dict[str, str]:
    """Section number → anchor of every numbered heading of a page, as GitHub makes them."""
    found = re.findall(r"^#{2,4} ((\d+(?:\.\d+)*)\.? .+)$", text, re.MULTILINE)
    return {number: _anchor(title) for title, number in found}


def _linked(text: str) -> str:
    """A page in which "§13.6" leads to that section of the device API; a number that another document
    stands before (RFC 8032 §5) is none of it."""
    known = anchors(_DEVICE_FILE.read_text("utf-8"))

    def link(found: re.Match[str]) -> str:
        if found[1] or found[2] not in known:
            return found[0]
        return f"[§{found[2]}]({DEVICE_PAGE}#{known[found[2]]})"

    return re.sub(r"((?:RFC|SP|FIPS) [\w-]+,?\s)?§(\d+(?:\.\d+)*)", link, text)


def _entry(name: str, thing: object, module: str) -> list[str]:
    if inspect.isclass(thing):
        lines = [f"## `{name}`", "", f"`{module}`", "", _own_doc(thing), "", *_values(thing)]
        for member, value in _members(thing):
            lines += [f"### `{member}{_signature(value)}`", "", _own_doc(value), ""]
        return lines
    if callable(thing):
        return [f"## `{name}{_signature(thing)}`", "", f"`{module}`", "", _own_doc(thing), ""]
    value = f" = {thing}" if isinstance(thing, int) else ""
    return [f"## `{name}`", "", f"`{module}`: {type(thing).__name__}{value}", ""]


def _values(kind: type) -> list[str]:
    """Fields of a dataclass, members of an enum."""
    if dataclasses.is_dataclass(kind):
        rows = [f"- `{each.name}: {each.type}`" for each in dataclasses.fields(kind)]
    elif issubclass(kind, enum.Enum):
        rows = [f"- `{each.name}`" for each in kind]
    else:
        return []
    return [*rows, ""]


def _members(kind: type) -> Iterator[tuple[str, object]]:
    """Public methods and properties, those of bases without a page of their own included."""
    seen: set[str] = set()
    for base in kind.__mro__:
        own = base is kind or base.__name__.startswith("_")
        if not own or not base.__module__.startswith("hem_provider"):
            continue
        for name, raw in vars(base).items():
            value = raw.__func__ if isinstance(raw, (classmethod, staticmethod)) else raw
            if name.startswith("_") or name in seen:
                continue
            if isinstance(value, property) or inspect.isfunction(value):
                seen.add(name)
                yield name, value


def _signature(value: object) -> str:
    if isinstance(value, property) or not callable(value):
        return ""
    signature = inspect.signature(value)
    kept = [each for name, each in signature.parameters.items() if name not in ("self", "cls")]
    text = str(signature.replace(parameters=kept))
    text = re.sub(r"<([\w.]+): [^>]*>", r"\1", text)  # enum members
    text = re.sub(r"= (\w+)\(\w+=[^()]*\)", r"= \1(…)", text)  # values of many fields
    return re.sub(r"(: |-> )'([^']*)'", r"\1\2", text)  # annotations kept as text


def _own_doc(value: object) -> str:
    text = value.__doc__ if not isinstance(value, property) else (value.fget.__doc__ if value.fget else "")
    if text and inspect.isclass(value) and text.startswith(f"{value.__name__}("):
        text = ""  # what a dataclass writes by itself
    return _plain(text or "")


def _plain(text: str) -> str:
    """A docstring as Markdown: double backquotes become single ones, indented examples blocks."""
    lines: list[str] = []
    block: list[str] = []
    for line in [*inspect.cleandoc(text).splitlines(), "", "end"]:
        answer = block and block[0].startswith(">>>") and block[-1].strip() and line.strip()
        if line.startswith(("    ", ">>>")) or answer or (block and not line.strip()):
            block.append(line)
            continue
        if block:
            lines += _block(block)
            block = []
        lines.append(re.sub(r"``([^`]+)``", r"`\1`", line))
    kept = [line.removesuffix(":") if line.endswith("::") else line for line in lines[:-2] if line != "::"]
    return "\n".join(kept)


def _block(lines: list[str]) -> list[str]:
    """An example of a docstring: a session, Python, or what is neither and is said not to run."""
    text = inspect.cleandoc("\n".join(["", *lines]))
    if text.startswith(">>>"):
        fence = ["```pycon"]
    elif _is_python(text):
        fence = ["```python"]
    else:
        fence = ["<!-- not run: no code: a picture in a docstring -->", "```text"]
    return [*fence, *text.splitlines(), "```", ""]


def _is_python(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def main(arguments: list[str]) -> int:
    """Write, or with ``--check`` compare."""
    check = only_checks(arguments, "Write the API reference, docs/reference/, from the docstrings.")
    stale = []
    OUT.mkdir(exist_ok=True)
    made = pages()
    for name, text in made.items():
        path = OUT / name
        if not path.exists() or path.read_text("utf-8") != text:
            stale.append(name)
            if not check:
                path.write_text(text, "utf-8")
    extra = sorted(path.name for path in OUT.glob("*.md") if path.name not in made)
    if check and (stale or extra):
        print(f"docs/reference is not what the code says: {', '.join(stale + extra)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
