"""Whether a key and a mechanism fit each other: what every operation asks when it begins."""

from __future__ import annotations

from hem_pkcs11.constants import CKA, CKO, CKR
from hem_pkcs11.mechanisms import MechanismRow
from hem_pkcs11.objects.device_keys import DeviceKey
from hem_pkcs11.objects.object import Pkcs11Object
from hem_pkcs11.returns import Pkcs11Error

__all__ = ["check_class", "check_family", "check_use"]


def check_class(item: Pkcs11Object, row: MechanismRow, object_class: CKO) -> None:
    """Refuse an object that the mechanism cannot work with.

    Raises CKR_KEY_TYPE_INCONSISTENT, and CKR_MECHANISM_INVALID for a mechanism that the object does not
    allow.
    """
    if item.object_class != object_class or item.key_type not in row.key_types:
        raise Pkcs11Error(
            CKR.KEY_TYPE_INCONSISTENT,
            f"CKM_{row.type.name} does not work with {item.describe()}, a {item.object_class.name} of type "
            f"{item.key_type.name if item.key_type is not None else 'none'}",
        )
    item.require_mechanism(row.type)


def check_family(item: Pkcs11Object, row: MechanismRow) -> None:
    """Refuse an AES key of the device that is kept to other modes: CKR_KEY_FUNCTION_NOT_PERMITTED."""
    if isinstance(item, DeviceKey):
        kept = item.key.family_mark
        if kept and row.family not in kept:
            raise Pkcs11Error(
                CKR.KEY_FUNCTION_NOT_PERMITTED,
                f"{item.describe()} is kept to the mode family {', '.join(sorted(kept))}; "
                f"CKM_{row.type.name} is of {row.family}",
            )


def check_use(item: Pkcs11Object, row: MechanismRow, object_class: CKO, flag: CKA) -> None:
    """Refuse an object that the mechanism cannot work with, or that may not be used so.

    Raises CKR_KEY_TYPE_INCONSISTENT, CKR_MECHANISM_INVALID for one that its object does not allow, and
    CKR_KEY_FUNCTION_NOT_PERMITTED where the usage ``flag`` (CKA_SIGN, …) is not set.
    """
    check_class(item, row, object_class)
    item.require(flag)
