"""Numbers with names are what ``enum`` makes of the same classes, as far as they are used."""

from __future__ import annotations

import copy
import enum
import pickle
from typing import Any

import pytest
from hem_pkcs11 import constants
from hem_pkcs11.numbering import IntEnum, IntFlag

CLASSES = [each for each in vars(constants).values() if isinstance(each, type) and issubclass(each, IntEnum)]


def reference(ours: Any) -> Any:
    """The same class by ``enum``."""
    kind = enum.IntFlag if issubclass(ours, IntFlag) else enum.IntEnum
    return kind(ours.__name__, {name: int(value) for name, value in ours.__members__.items()})


@pytest.mark.parametrize("ours", CLASSES, ids=lambda each: each.__name__)
def test_members_are_those_of_enum(ours: Any) -> None:
    theirs = reference(ours)
    assert {name: int(each) for name, each in ours.__members__.items()} == {
        name: int(each) for name, each in theirs.__members__.items()
    }
    for name, member in ours.__members__.items():
        same = theirs[name]
        assert (member.name, member.value, int(member)) == (same.name, same.value, int(same))
        assert (str(member), f"{member:#x}", hash(member)) == (str(same), f"{same:#x}", hash(same))
        assert ours(int(member)) is ours[name] is member
        assert isinstance(member, ours)
        assert copy.deepcopy(member) is member
        assert pickle.loads(pickle.dumps(member)) is member  # noqa: S301 - our own
    if not issubclass(ours, IntFlag):
        assert list(map(int, ours)) == list(map(int, theirs))
        assert len(ours) == len(theirs)


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="is not a valid CKR"):
        constants.CKR(0x7777)
    with pytest.raises(KeyError):
        constants.CKR["NONE"]
    with pytest.raises(AttributeError, match="cannot be changed"):
        constants.CKR.OK = 1  # type: ignore[misc]


def test_flags_are_added_and_taken() -> None:
    flags = constants.CKF.RW_SESSION | constants.CKF.SERIAL_SESSION
    assert isinstance(flags, constants.CKF)
    assert int(flags) == 6
    assert flags & constants.CKF.RW_SESSION is constants.CKF.RW_SESSION
    assert int(flags & ~constants.CKF.RW_SESSION) == 4
    assert int(8 | flags) == 14
    assert constants.CKF(1 << 40).name is None
