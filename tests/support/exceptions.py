"""The exceptions of this package, found in all of its modules."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import hem_provider
from hem_provider._moved import MOVED

__all__ = ["our_exceptions"]


def our_exceptions() -> list[type[BaseException]]:
    """All classes of exceptions that a module of ours has, in order; former names of modules are left out."""
    found: set[type[BaseException]] = set()
    for module in pkgutil.walk_packages(hem_provider.__path__, "hem_provider."):
        if module.name.endswith("__main__") or module.name in MOVED or "._moved." in module.name:
            continue
        for _, each in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(each, BaseException) and each.__module__.startswith("hem_provider"):
                found.add(each)
    return sorted(found, key=lambda each: (each.__module__, each.__qualname__))
