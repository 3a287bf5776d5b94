"""The device in memory is held to the shape of the real one."""

from __future__ import annotations

import inspect

import pytest
from support import fake_hem

from hem_provider.device import Hem
from hem_provider.device.inventory import KeyInventory
from hem_provider.device.key import Key

#: Double → what it stands for, and what of it is the tests' own.
DOUBLES = {
    fake_hem.FakeHem: (Hem, {"authorise", "call"}),
    fake_hem.FakeKeys: (KeyInventory, {"add"}),
    fake_hem.FakeKey: (Key, set()),
}


def methods(kind: type) -> dict[str, inspect.Signature]:
    """Public methods, and what is called or asked by syntax; parameters without their types."""
    found = {}
    for name, each in inspect.getmembers(kind, inspect.isfunction):
        if not name.startswith("_") or name in ("__iter__", "__len__", "__contains__"):
            signature = inspect.signature(each)
            bare = [
                parameter.replace(annotation=inspect.Parameter.empty)
                for parameter in signature.parameters.values()
            ]
            found[name] = signature.replace(parameters=bare, return_annotation=inspect.Signature.empty)
    return found


@pytest.mark.parametrize("double", DOUBLES)
def test_a_double_takes_what_the_real_one_takes(double: type) -> None:
    real, own = DOUBLES[double]
    expected, present = methods(real), methods(double)
    assert own <= set(present)
    assert own.isdisjoint(expected)
    wrong = {
        name: (str(signature), str(expected.get(name)))
        for name, signature in present.items()
        if name not in own and signature != expected.get(name)
    }
    assert wrong == {}


@pytest.mark.parametrize("double", DOUBLES)
def test_a_property_of_a_double_is_one_of_the_real_one(double: type) -> None:
    real, _ = DOUBLES[double]
    ours = {name for name, _ in inspect.getmembers(double, lambda each: isinstance(each, property))}
    assert {name for name in ours if not isinstance(inspect.getattr_static(real, name), property)} == set()
