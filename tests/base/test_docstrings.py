"""Every public name says what it is; ``tools/check_docstrings.py`` has the rule, which ``make lint`` runs."""

from __future__ import annotations

import importlib
import sys
import types

import pytest

from tools import check_docstrings as check

MODULES = [*check.modules(), *check.programs()]

#: Names with and without a text; the latter have "bare" in their names.
SAMPLE = """
import functools
from dataclasses import dataclass
from pathlib import Path

def told():
    'What it does.'

def bare(): ...

@functools.cache
def bare_kept(): ...

def _private(): ...

@dataclass
class BareRecord:
    bare_field_is_none: int

class Base:
    'A class.'

    def method(self):
        'What it does.'

    def bare_method(self): ...

    @property
    def bare_property(self): ...

    @functools.cached_property
    def bare_cached(self): ...

    @classmethod
    def bare_class_method(cls): ...

    class BareInner: ...

class BareHeir(Base):
    def method(self): ...
"""


@pytest.fixture
def program_folder(monkeypatch):
    """Programs of ``shim/`` import each other from their own folder."""
    monkeypatch.setattr(sys, "path", [str(check.SHIM), *sys.path])


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_has_a_text(name, program_folder):
    assert list(check.undocumented(importlib.import_module(name))) == []


def test_both_packages_the_emulator_and_the_programs_are_looked_at():
    assert {
        "hem_provider", "hem_provider.emulator.wsgi", "hem_pkcs11.bridge.memory", "shim.openssl.build_engine"
    } <= set(MODULES)  # fmt: skip


def test_each_name_without_a_text_is_found_and_no_other(monkeypatch):
    module = types.ModuleType("sample")
    monkeypatch.setitem(sys.modules, "sample", module)
    exec(SAMPLE, vars(module))  # noqa: S102
    assert sorted(check.undocumented(module)) == sorted(
        [
            "sample",
            "sample.bare",
            "sample.bare_kept",
            "sample.BareRecord",
            "sample.Base.bare_method",
            "sample.Base.bare_property",
            "sample.Base.bare_cached",
            "sample.Base.bare_class_method",
            "sample.Base.BareInner",
            "sample.BareHeir",
        ]
    )


def test_the_command_names_them_and_fails(monkeypatch, capsys):
    module = types.ModuleType("sample")
    monkeypatch.setitem(sys.modules, "sample", module)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(check, "modules", lambda: ["sample"])
    monkeypatch.setattr(check, "programs", list)
    assert check.main() == 1
    assert capsys.readouterr().out == "sample: a public name without a docstring\n"
    module.__doc__ = "A module."
    assert check.main() == 0
