"""Every public name says what it is: modules, classes, functions and methods of the product and its build.

``python tools/check_docstrings.py`` (``make lint``) prints the names without a text and ends with status 1
when there are any. A method may have its text from the class that it takes it from; the text that a
dataclass gets by itself is none.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
import types
from collections.abc import Iterator
from pathlib import Path

__all__ = ["main", "modules", "programs", "undocumented"]

ROOT = Path(__file__).parents[1]
SHIM = ROOT / "shim"
PACKAGES = (ROOT / "hem_provider", SHIM / "hem_pkcs11")
#: Former names hand over to the modules that are looked at under their own.
_FORMER = "hem_provider._moved"
_FUNCTIONS = (types.FunctionType, type(functools.cache(repr)))
_METHODS = (*_FUNCTIONS, property, functools.cached_property, classmethod, staticmethod)


def modules() -> list[str]:
    """The names of all modules of both packages, but for what runs when a package is called."""
    names = [
        ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__")
        for package in PACKAGES
        for path in sorted(package.rglob("*.py"))
    ]
    return [each for each in names if not each.startswith(_FORMER) and not each.endswith(".__main__")]


def programs() -> list[str]:
    """The names of the programs that build the module and the engine, which are in no package."""
    found = [path for folder in (SHIM, SHIM / "openssl") for path in sorted(folder.glob("*.py"))]
    return [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in found]


def undocumented(module: types.ModuleType) -> Iterator[str]:
    """The public names that a module defines without saying what they are, its own among them."""
    if not module.__doc__:
        yield module.__name__
    for name, found in vars(module).items():
        if name.startswith("_") or getattr(found, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(found):
            yield from _of_class(found)
        elif isinstance(found, _FUNCTIONS) and not inspect.getdoc(found):
            yield f"{module.__name__}.{name}"


def _of_class(found: type) -> Iterator[str]:
    named = f"{found.__module__}.{found.__qualname__}"
    if not vars(found).get("__doc__") or str(found.__doc__).startswith(f"{found.__name__}("):  # a dataclass's
        yield named
    for name, member in vars(found).items():
        if name.startswith("_"):
            continue
        if inspect.isclass(member) and member.__qualname__ == f"{found.__qualname__}.{name}":
            yield from _of_class(member)
        elif isinstance(member, _METHODS) and not inspect.getdoc(getattr(found, name)):
            yield f"{named}.{name}"


def main() -> int:
    """Print what has no text; 1 if there is any."""
    sys.path[:0] = [str(SHIM), str(ROOT)]
    missing = [
        name for module in [*modules(), *programs()] for name in undocumented(importlib.import_module(module))
    ]
    for name in missing:
        print(f"{name}: a public name without a docstring")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
