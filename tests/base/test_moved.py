"""Former names of modules work for one release, and say what they are called now."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from hem_provider import _moved
from hem_provider._moved import MOVED


@pytest.mark.parametrize("former", sorted(MOVED))
def test_a_former_name_is_the_module_that_is_there_now(former, monkeypatch):
    monkeypatch.delitem(sys.modules, former, raising=False)
    now = importlib.import_module(MOVED[former])
    with pytest.warns(DeprecationWarning, match=MOVED[former].replace(".", r"\.")):
        found = importlib.import_module(former)
    assert found is now
    assert (now.__name__, now.__spec__.name) == (MOVED[former], MOVED[former])
    assert importlib.import_module(former) is now
    monkeypatch.delitem(sys.modules, former)


def test_each_former_name_has_its_file():
    here = Path(_moved.__file__).parent
    assert {f"hem_provider.{each.stem}" for each in here.glob("[a-z]*.py")} == set(MOVED)


def test_a_name_that_never_was_is_not_found():
    with pytest.raises(ModuleNotFoundError, match="hem_provider.never"):
        importlib.import_module("hem_provider.never")


@pytest.mark.parametrize("name", ["AuditLog", "Event", "LogRecord", "LogReport", "Result", "verify_log"])
def test_what_a_package_has_the_former_name_of_is_still_found_in_it(name):
    with pytest.warns(DeprecationWarning, match=rf"hem_provider\.device\.auditlog\.{name}"):
        found = getattr(importlib.import_module("hem_provider.auditlog"), name)
    assert found is getattr(importlib.import_module("hem_provider.device.auditlog"), name)
    with pytest.raises(AttributeError, match="no attribute 'never'"):
        _ = importlib.import_module("hem_provider.auditlog").never
