"""Records are dataclasses to all who ask, without the code that ``dataclasses`` generates."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hem_provider.records import MISSING, asdict, field, fields, frozen, mutable, replace

T = TypeVar("T")


@frozen
class Point:
    """A record."""

    x: int
    y: int = 2
    names: list[str] = field(default_factory=list)
    secret: str = field(default="s", repr=False, metadata={"of": "nobody"})
    unit: ClassVar[str] = "mm"

    def moved(self) -> Point:
        return replace(self, x=self.x + 1)


@frozen(kw_only=True)
class Named:
    """All by name, some without a default after those with."""

    first: int = 1
    second: str


@mutable
class Count:
    """One that changes."""

    number: int = 0


@frozen
class Checked:
    """One that looks at its values and adds one of its own."""

    low: int
    high: int
    wide: int = field(init=False)

    def __post_init__(self):
        if self.low > self.high:
            raise ValueError("low above high")
        object.__setattr__(self, "wide", self.high - self.low)


@frozen
class Further(Point):
    """One with more fields."""

    z: int = 3


@frozen
class Box(Generic[T]):
    """A generic one."""

    content: T


@pytest.mark.parametrize(
    "made",
    [
        lambda: Point(1),
        lambda: Point(1, 2),
        lambda: Point(x=1),
        lambda: Point(1, y=2, names=[]),
        lambda: replace(Point(5), x=1),
        lambda: dataclasses.replace(Point(5), x=1),
        lambda: Point(0).moved(),
        lambda: copy.copy(Point(1)),
        lambda: copy.deepcopy(Point(1)),
        lambda: pickle.loads(pickle.dumps(Point(1))),  # noqa: S301 - our own
    ],
)
def test_there_is_one_value_however_it_is_made(made: Callable[[], Point]):
    point = made()
    assert point == Point(1)
    assert repr(point) == "Point(x=1, y=2, names=[])"
    assert (point.x, point.y, point.names, point.secret, Point.unit) == (1, 2, [], "s", "mm")


def test_each_record_has_defaults_of_its_own():
    assert Point(1).names is not Point(1).names


@given(
    st.lists(st.integers(), max_size=4),
    st.dictionaries(st.sampled_from(["x", "y", "names", "z"]), st.integers()),
)
def test_it_takes_what_a_dataclass_takes(values, named):
    def attempt(kind):
        try:
            made = kind(*values, **named)
        except TypeError:
            return None
        return made.x, made.y, made.names

    @frozen
    class Same:
        x: int
        y: int = 2
        names: list[str] = field(default_factory=list)

    @dataclasses.dataclass(frozen=True, slots=True)
    class Dataclass:
        x: int
        y: int = 2
        names: list[str] = dataclasses.field(default_factory=list)

    assert attempt(Same) == attempt(Dataclass)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Point(), "Point.. needs x"),
        (lambda: Point(1, 2, [], "s", 5), "takes 4 values by place, not 5"),
        (lambda: Point(1, x=2), "got x twice"),
        (lambda: Point(1, w=2), "has no w; there are x, y, names, secret"),
        (lambda: replace(Point(1), w=2), "has no w"),
        (lambda: Named(1), "takes 0 values by place, not 1"),
        (lambda: Named(), "needs second"),
        (lambda: Checked(1, 2, 3), "takes 2 values"),
        (lambda: Checked(1, 2, wide=3), "wide"),
    ],
)
def test_wrong_values_are_refused_by_name(call, words):
    with pytest.raises(TypeError, match=words):
        call()


def test_a_frozen_one_cannot_be_changed_and_has_a_hash():
    point = Named(second="a")
    with pytest.raises(dataclasses.FrozenInstanceError, match="first"):
        point.first = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        del point.first
    with pytest.raises(AttributeError):
        point.other = 2
    assert hash(point) == hash(Named(first=1, second="a"))
    assert point != Named(second="b")
    assert point != (1, "a")


def test_a_mutable_one_can_and_has_none():
    count = Count()
    count.number += 1
    assert count == Count(1)
    with pytest.raises(TypeError):
        hash(count)
    with pytest.raises(AttributeError):
        count.other = 2


def test_what_a_record_says_of_its_values_holds_for_changed_ones_too():
    assert Checked(1, 3).wide == 2
    assert replace(Checked(1, 3), high=5).wide == 4
    for make in (lambda: Checked(3, 1), lambda: replace(Checked(1, 3), high=0)):
        with pytest.raises(ValueError, match="low above high"):
            make()


def test_inherited_fields_come_first():
    assert [each.name for each in fields(Further)] == ["x", "y", "names", "secret", "z"]
    assert Further(1, z=4).moved() == Further(2, z=4)
    assert Further(1) != Point(1)


def test_a_generic_one_is_one():
    assert Box[int](1) == Box("x").__class__(1)


def test_dataclasses_and_match_see_a_dataclass():
    assert dataclasses.is_dataclass(Point)
    seen = {each.name: each for each in dataclasses.fields(Point)}
    assert list(seen) == ["x", "y", "names", "secret"]
    assert seen["x"].default is dataclasses.MISSING
    assert seen["y"].default == 2
    assert seen["secret"].repr is False
    assert seen["secret"].metadata == {"of": "nobody"}
    assert dataclasses.asdict(Point(1)) == asdict(Point(1))
    match Point(1):
        case Point(x, y):
            assert (x, y) == (1, 2)
    assert fields(Point)[0].default is MISSING


@pytest.mark.parametrize(
    ("annotations", "words"),
    [
        ({"a": int}, "from __future__ import annotations"),
        ({"a": "int", "b": "int"}, "b: a field without a default follows"),
    ],
)
def test_a_class_that_makes_no_record_is_refused(annotations, words):
    namespace = {"__annotations__": annotations, "a": 1}
    with pytest.raises(TypeError, match=words):
        frozen(type("Wrong", (), namespace))


def test_nothing_that_generates_code_is_loaded():
    program = (
        "import sys, hem_provider.records; "
        "print([each for each in ('dataclasses', 'inspect') if each in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {program}"],
        capture_output=True,
        text=True,
    )
    assert done.stdout == "[]\n", done.stderr


def test_the_client_makes_its_values_as_records():
    root = Path(__file__).parents[2]
    found = [
        str(path.relative_to(root))
        for package in (root / "hem_provider", root / "shim")
        for path in package.rglob("*.py")
        if re.search(r"^\s*(from|import) dataclasses\b", path.read_text("utf-8"), re.M)
        and "emulator" not in path.parts  # which shares nothing with the client
    ]
    assert found == ["hem_provider/records.py"]
