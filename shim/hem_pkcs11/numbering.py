"""Enumerations of the standard's numbers, as ``enum.IntEnum`` and ``IntFlag`` make them.

The standard has some five hundred that we name, and ``enum`` takes 4 ms for them, half of a bare Python's
start, which every program that loads the module would wait for. To type checkers these are the classes of
``enum``; they have what is used of those here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["IntEnum", "IntFlag"]

if TYPE_CHECKING:
    from enum import IntEnum, IntFlag
else:
    from types import MappingProxyType

    class _Numbering(type):
        """Makes each number of a class its member, with a name; two names of a number are one member's."""

        def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> Any:
            # Python 3.13 and newer put the line of the class there, too.
            numbers = {
                each: value
                for each, value in namespace.items()
                if type(value) is int and not each.startswith("__")
            }
            made = super().__new__(cls, name, bases, namespace)
            made._of_number = {}
            for each, number in numbers.items():
                member = made._of_number.get(number)
                if member is None:
                    member = made._of_number[number] = int.__new__(made, number)
                    member.name = each
                type.__setattr__(made, each, member)
            made.__members__ = MappingProxyType({each: getattr(made, each) for each in numbers})
            return made

        def __call__(cls, number: int) -> Any:
            found = cls._of_number.get(number)
            return cls._other(number) if found is None else found

        def __getitem__(cls, name: str) -> Any:
            return cls.__members__[name]

        def __iter__(cls) -> Any:
            return iter(cls._of_number.values())

        def __len__(cls) -> int:
            return len(cls._of_number)

        def __setattr__(cls, name: str, value: object) -> None:
            if name in cls.__dict__.get("__members__", ()):
                raise AttributeError(f"{cls.__name__}.{name} cannot be changed")
            type.__setattr__(cls, name, value)

    class IntEnum(int, metaclass=_Numbering):
        """A number with a name. ``ValueError`` for one that is none of the class."""

        @classmethod
        def _other(cls, number: int) -> Any:
            raise ValueError(f"{number!r} is not a valid {cls.__name__}")

        @property
        def value(self) -> int:
            """The number."""
            return int(self)

        def __repr__(self) -> str:
            return f"<{type(self).__name__}.{self.name}: {int(self)}>"

        __str__ = int.__repr__

        def __reduce_ex__(self, _: object) -> Any:
            return type(self), (int(self),)

    class IntFlag(IntEnum):
        """The same for bits; any sum of them is one, too, without a name."""

        name = None

        @classmethod
        def _other(cls, number: int) -> Any:
            return int.__new__(cls, number)

        def __or__(self, other: int) -> Any:
            return type(self)(int(self) | other)

        def __and__(self, other: int) -> Any:
            return type(self)(int(self) & other)

        __ror__, __rand__ = __or__, __and__
