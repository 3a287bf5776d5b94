"""Searches that name a key, answered from what was listed before: here, or by an earlier process.

Listing a device costs a call for 15 keys, one for each 14 more, and a login of its own. A search by CKA_ID or
CKA_UNIQUE_ID that hits a key known from before is answered at once; whether the key is still there
shows at its first use. Labels are moved from one key to another on purpose (a new key takes over
the name), so that a hit by label alone is confirmed by one call. Everything else, and whatever is
not found this way, asks the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hem_pkcs11.constants import CKA
from hem_pkcs11.log import log
from hem_pkcs11.objects.device_keys import DeviceKey, kid_of_info
from hem_pkcs11.values import Attribute
from hem_provider.errors import HemError
from hem_provider.keytypes import KID_DIGITS

if TYPE_CHECKING:
    from hem_pkcs11.objects.object import Pkcs11Object
    from hem_pkcs11.slots import Slot
    from hem_provider.device.key import Key

__all__ = ["look_for_key", "named_keys"]

#: Bytes of a KID.
_KID = KID_DIGITS // 2
#: More keys than this of one label are not confirmed one by one.
_MOST_CONFIRMED = 2


def named_keys(slot: Slot, template: Sequence[Attribute], *, logged_in: bool) -> list[Pkcs11Object] | None:
    """What a search finds that names a known key; ``None`` when the device has to be asked.

    Before a login private objects are not shown, and keys not made by us are not known.
    """
    given = dict(template)
    names = {kind: given[kind] for kind in (CKA.ID, CKA.UNIQUE_ID, CKA.LABEL) if given.get(kind)}
    if not names:
        return None
    with slot.lock:
        if slot.listing_is_fresh:
            return None
        found = _in_table(slot, template)
        if not found:
            slot.objects.update(_recalled(slot, names, logged_in=logged_in), complete=False)
            found = _in_table(slot, template)
        if found and set(names) == {CKA.LABEL} and not _confirmed(slot, found):
            found = []
        return [each for each in found if logged_in or not each.private] if found else None


def look_for_key(slot: Slot, public_key_info: bytes) -> None:
    """Get to know the key in the device with that public key (SubjectPublicKeyInfo), if there is one:
    from what was listed before, else by a listing. A device that does not answer is no error: the key is
    met later."""
    if slot.objects.key_id(public_key_info) is not None:
        return
    try:
        kid = kid_of_info(public_key_info)
        known = list(filter(slot.shows, slot.hem.keys.remembered(kid=kid) if kid else ()))
        slot.objects.update(known, complete=False)
        if kid and not known:
            slot.refresh_objects(after_miss=True)
    except HemError as error:
        log.info(f"{slot.name}: the key of a certificate was not looked for: {error}")


def _in_table(slot: Slot, template: Sequence[Attribute]) -> list[Pkcs11Object]:
    """Matches, a key among them; none when the device turned out to have lost one of them."""
    found = slot.objects.find(template, private=True)
    keys = [each.key for each in found if isinstance(each, DeviceKey)]
    return found if keys and all(slot.hem.keys.knows(each) for each in keys) else []


def _recalled(slot: Slot, names: dict[CKA, bytes], *, logged_in: bool) -> list[Key]:
    identifier, unique = names.get(CKA.ID), names.get(CKA.UNIQUE_ID, b"").decode("ascii", "replace")
    label = names.get(CKA.LABEL)
    kid = unique or (identifier.hex() if identifier and len(identifier) == _KID else None)
    keys = slot.hem.keys.remembered(
        kid=kid,
        application_id=identifier,
        label=label.decode("ascii", "replace") if label and not (kid or identifier) else None,
    )
    return [each for each in keys if slot.shows(each) and (logged_in or each.family_mark is not None)]


def _confirmed(slot: Slot, found: Sequence[Pkcs11Object]) -> bool:
    keys = {each.key.kid: each.key for each in found if isinstance(each, DeviceKey)}
    return len(keys) <= _MOST_CONFIRMED and all(slot.hem.keys.confirm(each) for each in keys.values())
