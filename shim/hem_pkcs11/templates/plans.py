"""Keys that are to be made in the device, with all they will say: what a template asks for is
compared with that before anything is made."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol

from hem_pkcs11.constants import CKA, CKM, CKO, CKR, name_of
from hem_pkcs11.keykinds import Kind
from hem_pkcs11.mechanisms import mechanism_limits, possible_mechanisms
from hem_pkcs11.objects.table import KeyObject
from hem_pkcs11.templates.rules import Column
from hem_pkcs11.templates.template import Template, check_result
from hem_provider.device.description import Limits
from hem_provider.keytypes import Family, KeyAttributes, KeyType

__all__ = ["COLUMNS", "KeyLike", "PlannedKey", "check_plan", "mechanisms_kept"]

COLUMNS = {
    CKO.PUBLIC_KEY: Column.PUBLIC,
    CKO.PRIVATE_KEY: Column.PRIVATE,
    CKO.SECRET_KEY: Column.SECRET,
}


class KeyLike(Protocol):
    """What decides a key's usage, of a key in the device or a planned one."""

    @property
    def type(self) -> KeyType: ...
    @property
    def attributes(self) -> KeyAttributes: ...
    @property
    def family_mark(self) -> frozenset[str] | None: ...
    @property
    def limits(self) -> Limits: ...


@dataclass(frozen=True, slots=True)
class PlannedKey:
    """A key to be made. ``usage``: ``None`` for all its type can do."""

    kind: Kind
    label: str
    identifier: bytes
    usage: frozenset[str] | None
    token: bool
    limits: Limits

    @property
    def type(self) -> KeyType:
        return self.kind.type

    @property
    def application_id(self) -> bytes | None:
        return self.identifier or None

    @property
    def family_mark(self) -> frozenset[str]:
        return self.usage or frozenset() if self.type.family is Family.AES else frozenset()

    @property
    def attributes(self) -> KeyAttributes:
        """As the device will list it."""
        family = self.type.family
        return KeyAttributes(
            key_type=self.type,
            tokens=(),
            attested=True,
            private=not self.type.symmetric,
            ecdh=family in (Family.EC, Family.MONTGOMERY) and (self.usage is None or "derive" in self.usage),
            exdsa=family in (Family.EC, Family.EDWARDS) and (self.usage is None or "sign" in self.usage),
        )

    def limited(self, limits: Limits) -> PlannedKey:
        return PlannedKey(self.kind, self.label, self.identifier, self.usage, self.token, limits)


def check_plan(
    template: Template, object_class: CKO, plan: PlannedKey, *, skip: Collection[int] = ()
) -> None:
    """Raise what the rules say where the key, as planned, is not what the template asks for."""
    # It takes the place of a key that is there, for as long as its attributes are read.
    key: Any = plan
    item = KeyObject(object_class, key, None if plan.token else 0)
    check_result(template, COLUMNS[object_class], item.attribute, skip=skip)


def mechanisms_kept(template: Template, plan: PlannedKey) -> frozenset[str] | None:
    """How `Limits` say what CKA_ALLOWED_MECHANISMS leaves of what the planned key could do; ``None``
    where the template is silent. Raises CKR_ATTRIBUTE_VALUE_INVALID for others."""
    wanted = template.numbers(CKA.ALLOWED_MECHANISMS)
    if wanted is None:
        return None
    possible = possible_mechanisms(plan.kind.key_type, plan)
    if not set(wanted) <= set(possible):
        names = ", ".join(name_of(CKM, each) for each in possible)
        raise template.error(CKR.ATTRIBUTE_VALUE_INVALID, CKA.ALLOWED_MECHANISMS, f"accepted: {names}")
    return mechanism_limits(possible, wanted)
