"""What all objects of the module have in common, whatever they stand for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from hem_pkcs11.constants import CKA, CKK, CKM, CKO, CKR, name_of
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.values import Attribute, pack_bool, pack_ulong

__all__ = ["COSTLY", "Pkcs11Object", "unknown_attribute"]

#: Attributes that may need a device call: searches ask them last.
COSTLY = frozenset({CKA.PUBLIC_KEY_INFO, CKA.EC_POINT, CKA.VALUE, CKA.CHECK_VALUE})


def unknown_attribute() -> Pkcs11Error:
    """The object does not have such an attribute."""
    return Pkcs11Error(CKR.ATTRIBUTE_TYPE_INVALID)


class Pkcs11Object(ABC):
    """An object. ``handle`` is 0 until a table takes it in; ``owner``: the session whose end
    destroys it, ``None`` for an object of the token."""

    def __init__(self, object_class: CKO, owner: int | None = None) -> None:
        self.handle = 0
        self.object_class = object_class
        self.owner = owner

    @property
    @abstractmethod
    def private(self) -> bool:
        """Whether it is there only after login."""

    @property
    def by_class_only(self) -> bool:
        """Whether a search must name the class to find it: hosts that list everything do not expect
        objects that are neither keys nor certificates nor data."""
        return False

    @property
    def key_type(self) -> CKK | None:
        """``None`` for what is no key."""
        return None

    @abstractmethod
    def describe(self) -> str:
        """For messages: which object this is."""

    @abstractmethod
    def own_attribute(self, kind: int) -> bytes:
        """Attributes beyond those of every object. Raises as ``attribute`` does."""

    @abstractmethod
    def attribute_types(self) -> Sequence[int]:
        """Every attribute that it may have."""

    def attribute(self, kind: int) -> bytes:
        """The value of attribute ``kind``.

        Raises CKR_ATTRIBUTE_SENSITIVE for key material and CKR_ATTRIBUTE_TYPE_INVALID for what the
        object does not have.
        """
        if kind == CKA.CLASS:
            return pack_ulong(self.object_class)
        if kind == CKA.TOKEN:
            return pack_bool(self.owner is None)
        if kind == CKA.PRIVATE:
            return pack_bool(self.private)
        return self.own_attribute(kind)

    def flag(self, kind: int) -> bool:
        """A CK_BBOOL attribute; false where there is none."""
        try:
            return self.attribute(kind) == b"\x01"
        except Pkcs11Error:
            return False

    def matches(self, template: Sequence[Attribute]) -> bool:
        """Whether every attribute of ``template`` is there with that very value."""
        try:
            return all(
                self.attribute(kind) == value
                for kind, value in sorted(template, key=lambda row: row[0] in COSTLY)
            )
        except Pkcs11Error:
            return False

    def require(self, kind: int, wrong: CKR = CKR.KEY_FUNCTION_NOT_PERMITTED) -> None:
        """Raise ``wrong`` unless the usage flag ``kind`` is set."""
        if not self.flag(kind):
            raise Pkcs11Error(wrong, f"{self.describe()} is not permitted {name_of(CKA, kind)}")

    def forbids(self, mechanism: int) -> bool:  # noqa: ARG002 - most objects allow what works
        """Whether CKA_ALLOWED_MECHANISMS rules out a mechanism that would work otherwise."""
        return False

    def require_mechanism(self, mechanism: int) -> None:
        """Raise CKR_MECHANISM_INVALID unless the object allows it."""
        if self.forbids(mechanism):
            raise Pkcs11Error(
                CKR.MECHANISM_INVALID,
                f"{self.describe()} is kept to other mechanisms than {name_of(CKM, mechanism)}",
            )

    def held(self) -> Pkcs11Object:
        """The same object for an operation that may outlive it: whoever holds it closes it.

        Raises CKR_KEY_HANDLE_INVALID when the object is gone.
        """
        return self

    def close(self) -> None:  # noqa: B027 - most objects have nothing to overwrite
        """The object is going, or who held it: the last one's end overwrites what is secret."""

    def overwrite(self) -> None:  # noqa: B027
        """Overwrite what is secret now, whoever holds it."""
