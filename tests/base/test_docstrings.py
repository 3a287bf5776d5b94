"""Every public name says what it is: modules, classes, functions and methods of the client and the module.

A method may have its text from the class that it takes it from.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Not looked at: the device's side, former names, and what runs when a package is called.
ELSEWHERE = ("hem_provider.emulator", "hem_provider._moved")


def modules_of(folder: Path) -> list[str]:
    names = [
        ".".join(path.relative_to(folder.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted(folder.rglob("*.py"))
    ]
    return [each for each in names if not each.startswith(ELSEWHERE) and not each.endswith(".__main__")]


MODULES = [*modules_of(ROOT / "hem_provider"), *modules_of(ROOT / "shim" / "hem_pkcs11")]
PROGRAMS = ["build_commands.py", "build_module.py", "openssl/build_engine.py"]


def program(path: str) -> types.ModuleType:
    """A program of ``shim/``, which no package holds."""
    sys.path.insert(0, str(ROOT / "shim"))
    try:
        return importlib.import_module(f"shim.{path.removesuffix('.py').replace('/', '.')}")
    finally:
        sys.path.pop(0)


def undocumented(module: types.ModuleType) -> Iterator[str]:
    if not module.__doc__:
        yield module.__name__
    for name, found in vars(module).items():
        if name.startswith("_") or getattr(found, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(found):
            yield from _of_class(found)
        elif inspect.isfunction(found) and not inspect.getdoc(found):
            yield f"{module.__name__}.{name}"


def _of_class(found: type) -> Iterator[str]:
    named = f"{found.__module__}.{found.__qualname__}"
    if not vars(found).get("__doc__") or found.__doc__.startswith(f"{found.__name__}("):  # a dataclass's own
        yield named
    for name, member in vars(found).items():
        if name.startswith("_"):
            continue
        if inspect.isclass(member) and member.__qualname__ == f"{found.__qualname__}.{name}":
            yield from _of_class(member)
        elif isinstance(member, types.FunctionType | property | classmethod | staticmethod) and not (
            inspect.getdoc(getattr(found, name))
        ):
            yield f"{named}.{name}"


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_has_a_text(name: str) -> None:
    assert list(undocumented(importlib.import_module(name))) == []


@pytest.mark.parametrize("path", PROGRAMS)
def test_every_public_name_of_the_build_has_a_text(path: str) -> None:
    assert list(undocumented(program(path))) == []
