"""Records: what ``dataclasses`` makes, made without generating code.

``dataclasses.dataclass`` writes and compiles source for each class: 0.5 ms each, of which the module's
start would need seventy, and 7 ms for loading ``inspect``. Here classes share closures. To everybody else
a record is a dataclass: ``dataclasses.fields``, ``replace`` and ``asdict``, ``copy`` and type checkers
(PEP 681) find what they expect. Records have slots.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar, dataclass_transform, overload

__all__ = ["MISSING", "Field", "asdict", "field", "fields", "frozen", "mutable", "replace"]

T = TypeVar("T")
#: Attribute of a class: its fields by name, as ``dataclasses`` has them, and as here.
_FIELDS, _OURS = "__dataclass_fields__", "__record_fields__"
#: Attribute of a class: what writes each field, also in a frozen record: its slot.
_SETTERS = "__record_setters__"


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


#: The default of a field that has none.
MISSING: Any = _Missing()


class Field:
    """What is said of a field where it is declared."""

    __slots__ = ("default", "default_factory", "init", "metadata", "name", "repr")

    def __init__(
        self,
        default: Any,
        default_factory: Any,
        init: bool = True,
        repr: bool = True,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = ""
        self.default = default
        self.default_factory = default_factory
        self.init = init
        self.repr = repr
        self.metadata: Mapping[str, Any] = metadata or {}


def field(
    *,
    default: Any = MISSING,
    default_factory: Any = MISSING,
    init: bool = True,
    repr: bool = True,
    metadata: Mapping[str, Any] | None = None,
) -> Any:
    """As ``dataclasses.field``: a default, or what makes one for each record; whether it is given when a
    record is made (else ``__post_init__`` sets it), and whether ``repr`` shows it."""
    return Field(default, default_factory, init, repr, metadata)


def fields(of: Any) -> tuple[Field, ...]:
    """The fields of a record or its class, in order."""
    found: Mapping[str, Field] = getattr(of, _OURS)
    return tuple(found.values())


def replace(of: T, /, **changes: Any) -> T:
    """A record as ``of`` with other values in the named fields. ``TypeError`` for a name it has not."""
    cls = type(of)
    known: Mapping[str, Field] = getattr(cls, _OURS)
    values = [changes.pop(name) if name in changes else getattr(of, name) for name in known]
    if changes:
        raise TypeError(_unknown(cls.__name__, known, changes))
    made = _again(cls, values)
    check = getattr(made, "__post_init__", None)
    if check is not None:
        check()
    return made


def asdict(of: Any) -> dict[str, Any]:
    """The values of a record by name; those that are records stay so."""
    return {name: getattr(of, name) for name in getattr(of, _OURS)}


@overload
def frozen(cls: type[T], /) -> type[T]: ...
@overload
def frozen(cls: None = None, /, *, kw_only: bool = False) -> Callable[[type[T]], type[T]]: ...
@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[Any] | None = None, /, *, kw_only: bool = False) -> Any:
    """A class decorator, as ``dataclasses.dataclass(frozen=True, slots=True)``; ``kw_only`` as there."""
    return _maker(frozen=True, kw_only=kw_only) if cls is None else _made(cls, frozen=True)


@dataclass_transform(field_specifiers=(field,))
def mutable(cls: type[T], /) -> type[T]:
    """A class decorator, as ``dataclasses.dataclass(slots=True)``: values can be set, there is no hash."""
    return _made(cls, frozen=False)


def _maker(*, frozen: bool, kw_only: bool) -> Callable[[type[T]], type[T]]:
    return lambda cls: _made(cls, frozen=frozen, kw_only=kw_only)


def _made(cls: type[T], *, frozen: bool, kw_only: bool = False) -> type[T]:
    inherited: dict[str, Field] = getattr(cls, _OURS, {})
    namespace = {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__")}
    own = _declared(cls.__name__, namespace)
    known = inherited | own
    _check_order(cls.__name__, known, kw_only=kw_only)
    namespace["__slots__"] = tuple(name for name in own if name not in inherited)
    namespace[_OURS] = known
    namespace[_FIELDS] = _AsDataclass(known)
    setters: list[Callable[[Any, Any], None]] = []
    namespace[_SETTERS] = setters
    namespace["__init__"] = _initialiser(cls, known, setters, kw_only=kw_only)
    namespace.setdefault("__match_args__", () if kw_only else tuple(known))
    for name, method in _methods(known, frozen=frozen).items():
        if name not in namespace or (name == "__hash__" and namespace[name] is None):
            namespace[name] = method
    metaclass: Any = type(cls)
    made: type[T] = metaclass(cls.__name__, cls.__bases__, namespace)
    made.__qualname__ = cls.__qualname__
    setters.extend(getattr(made, name).__set__ for name in known)
    return made


def _declared(owner: str, namespace: dict[str, Any]) -> dict[str, Field]:
    """The fields of a class's own annotations; their defaults leave its ``namespace``, where slots are."""
    found = {}
    for name, kind in namespace.get("__annotations__", {}).items():
        if not isinstance(kind, str):
            raise TypeError(f"{owner}.{name}: a record needs 'from __future__ import annotations'")
        if kind.startswith("ClassVar"):
            continue
        default = namespace.pop(name, MISSING)
        one = default if isinstance(default, Field) else field(default=default)
        one.name = name
        found[name] = one
    return found


def _check_order(owner: str, known: Mapping[str, Field], *, kw_only: bool) -> None:
    optional = left_out = False
    for name, each in known.items():
        if left_out and each.init:
            raise TypeError(f"{owner}.{name}: a field that is given follows one that is not")
        left_out = not each.init
        has_default = each.default is not MISSING or each.default_factory is not MISSING
        if optional and not has_default and each.init and not kw_only:
            raise TypeError(f"{owner}.{name}: a field without a default follows one with a default")
        optional = optional or has_default


def _initialiser(
    cls: type[Any],
    known: Mapping[str, Field],
    setters: Sequence[Callable[[Any, Any], None]],
    *,
    kw_only: bool,
) -> Callable[..., None]:
    known = {name: each for name, each in known.items() if each.init}
    count, most = len(known), 0 if kw_only else len(known)
    after = getattr(cls, "__post_init__", None)

    def __init__(self: Any, /, *values: Any, **named: Any) -> None:  # noqa: N807
        if named or len(values) != count or kw_only:
            if len(values) > most:
                raise TypeError(f"{cls.__name__}() takes {most} values by place, not {len(values)}")
            values = _completed(cls.__name__, known, values, named)
        for setter, value in zip(setters, values, strict=False):  # those that are not given come last
            setter(self, value)
        if after is not None:
            after(self)

    return __init__


def _completed(
    owner: str, known: Mapping[str, Field], values: tuple[Any, ...], named: dict[str, Any]
) -> tuple[Any, ...]:
    """All values, in order, from those given by place, by name, and the defaults."""
    found, missing = list(values), []
    for name, each in islice(known.items(), len(values), None):
        if name in named:
            value = named.pop(name)
        elif each.default_factory is MISSING:
            value = each.default
        else:
            value = each.default_factory()
        if value is MISSING:
            missing.append(name)
        found.append(value)
    if missing:
        raise TypeError(f"{owner}() needs {', '.join(missing)}")
    if named:
        twice = [name for name in named if name in known]
        raise TypeError(f"{owner}() got {', '.join(twice)} twice" if twice else _unknown(owner, known, named))
    return tuple(found)


def _unknown(owner: str, known: Mapping[str, Field], named: Mapping[str, Any]) -> str:
    return f"{owner}() has no {', '.join(named)}; there are {', '.join(known)}"


def _methods(known: Mapping[str, Field], *, frozen: bool) -> dict[str, Any]:
    names = tuple(known)
    shown = tuple(name for name, each in known.items() if each.repr)

    def values(self: Any) -> tuple[Any, ...]:
        return tuple([getattr(self, name) for name in names])

    def __eq__(self: Any, other: object) -> Any:  # noqa: N807
        return values(self) == values(other) if type(other) is type(self) else NotImplemented

    def __hash__(self: Any) -> int:  # noqa: N807
        return hash(values(self))

    def __repr__(self: Any) -> str:  # noqa: N807
        told = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
        return f"{type(self).__qualname__}({told})"

    def __reduce__(self: Any) -> Any:  # noqa: N807
        return _again, (type(self), values(self))

    methods: dict[str, Any] = {"__eq__": __eq__, "__repr__": __repr__, "__reduce__": __reduce__}
    methods |= {"__replace__": replace, "__hash__": None}
    if frozen:
        methods |= {"__hash__": __hash__, "__setattr__": _refuse_change, "__delattr__": _refuse_change}
    return methods


def _again(cls: type[T], values: Iterable[Any]) -> T:
    """A record with these values, as ``copy`` and ``pickle`` make it."""
    made = cls.__new__(cls)
    for setter, value in zip(getattr(cls, _SETTERS), values, strict=True):
        setter(made, value)
    return made


def _refuse_change(self: Any, name: str, *_: Any) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"{type(self).__qualname__}.{name} cannot be changed")


class _AsDataclass:
    """``__dataclass_fields__``, made when somebody asks for it."""

    def __init__(self, known: Mapping[str, Field]) -> None:
        self._known = known
        self._made: dict[str, Any] | None = None

    def __get__(self, instance: Any, owner: type[Any]) -> dict[str, Any]:
        if self._made is None:
            self._made = _as_dataclass(owner, self._known)
        return self._made


def _as_dataclass(owner: type[Any], known: Mapping[str, Field]) -> dict[str, Any]:
    import dataclasses

    kinds = {name: kind for each in reversed(owner.__mro__) for name, kind in _annotations(each).items()}
    told = []
    for name, each in known.items():
        settings: dict[str, Any] = {"init": each.init, "repr": each.repr, "metadata": each.metadata}
        if each.default is not MISSING:
            settings["default"] = each.default
        if each.default_factory is not MISSING:
            settings["default_factory"] = each.default_factory
        told.append((name, kinds[name], dataclasses.field(**settings)))
    shape = dataclasses.make_dataclass(owner.__name__, told, kw_only=True)
    made: dict[str, Any] = getattr(shape, _FIELDS)
    return made


def _annotations(of: type[Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = vars(of).get("__annotations__", {})
    return found
