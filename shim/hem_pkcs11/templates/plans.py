"""Keys that are to be made in the device, with all they will say: what a template asks for is
compared with that before anything is made."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from hem_pkcs11.constants import CKA, CKM, CKO, CKR, name_of
from hem_pkcs11.keykinds import KeyKind
from hem_pkcs11.mechanisms import mechanism_limits, possible_mechanisms
from hem_pkcs11.objects.device_keys import DeviceKey
from hem_pkcs11.templates.columns import column_of
from hem_pkcs11.templates.template import Template, check_result
from hem_provider.device.description import Limits
from hem_provider.keytypes import USAGE_TOKENS, Family, KeyAttributes, KeyType
from hem_provider.records import frozen

__all__ = ["PlannedKey", "check_plan", "mechanisms_kept"]


@frozen
class PlannedKey:
    """A key to be made. ``usage``: ``None`` for all its type can do."""

    kind: KeyKind
    label: str
    identifier: bytes
    usage: frozenset[str] | None
    token: bool
    limits: Limits

    @property
    def type(self) -> KeyType:
        """The device's type."""
        return self.kind.type

    @property
    def application_id(self) -> bytes | None:
        """CKA_ID of the application's choice; ``None`` for none, where the KID is it."""
        return self.identifier or None

    @property
    def family_mark(self) -> frozenset[str]:
        """The mode families that an AES key will be kept to; empty for others."""
        return self.usage or frozenset() if self.type.family is Family.AES else frozenset()

    @property
    def attributes(self) -> KeyAttributes:
        """As the device will list it."""
        tokens = {
            token
            for usage, token in USAGE_TOKENS.get(self.type.family, {}).items()
            if self.usage is None or usage in self.usage
        }
        return KeyAttributes(
            key_type=self.type,
            tokens=(),
            attested=True,
            private=not self.type.symmetric,
            ecdh="ECDH" in tokens,
            exdsa="ExDSA" in tokens,
        )

    def limited(self, limits: Limits) -> PlannedKey:
        """The same key with ``limits``."""
        return PlannedKey(self.kind, self.label, self.identifier, self.usage, self.token, limits)


def check_plan(
    template: Template, object_class: CKO, plan: PlannedKey, *, skip: Collection[int] = ()
) -> None:
    """Raise what the rules say, CKR_TEMPLATE_INCONSISTENT as a rule, where the key, as planned, is not
    what the template asks for."""
    # It takes the place of a key that is there, for as long as its attributes are read.
    key: Any = plan
    item = DeviceKey(object_class, key, None if plan.token else 0)
    check_result(template, column_of(item), item.attribute, skip=skip)


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
