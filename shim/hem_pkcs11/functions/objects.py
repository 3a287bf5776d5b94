"""Objects: finding, reading, destroying (5.7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hem_pkcs11.constants import CKA, CKR, UNAVAILABLE, name_of
from hem_pkcs11.log import log
from hem_pkcs11.objects.device_keys import DeviceKey
from hem_pkcs11.objects.stored import StoredObject
from hem_pkcs11.operations import Place
from hem_pkcs11.returns import BufferTooSmall, Pkcs11Error
from hem_pkcs11.search import named_keys
from hem_pkcs11.templates.template import Template, check_form
from hem_pkcs11.values import Attribute
from hem_provider.errors import HemLoginRequired
from hem_provider.records import frozen

if TYPE_CHECKING:
    from hem_pkcs11.objects.object import Pkcs11Object
    from hem_pkcs11.sessions import Session

__all__ = [
    "Query",
    "destroy_object",
    "find_objects",
    "find_objects_final",
    "find_objects_init",
    "get_attribute_value",
    "get_object_size",
]


@frozen
class Query:
    """What C_GetAttributeValue gives: each attribute's bytes, its size when only that is asked,
    or ``None`` where it is unavailable; and the return value of the whole."""

    values: list[bytes | int | None]
    rv: CKR


class Search:
    """A running search: what it found and has not yet handed out."""

    def __init__(self, handles: list[int]) -> None:
        self.handles = handles

    def close(self) -> None:
        """Forget what was not handed out."""
        self.handles.clear()


def find_objects_init(session: Session, template: Sequence[Attribute]) -> None:
    """Search all of the slot's objects; what is not found is looked for on the device once.

    Raises CKR_OPERATION_ACTIVE, and CKR_ATTRIBUTE_VALUE_INVALID for a value that is none.
    """
    session.require_idle(Place.FIND)
    for attribute in template:  # one by one: twice the same attribute finds nothing, which is no error
        check_form(Template("search", [attribute]), attribute[0])
    slot = session.slot
    slot.refresh_stored()
    found = named_keys(slot, template, logged_in=session.logged_in)
    if found is None:
        slot.refresh_objects()
        found = slot.objects.find(template, private=session.logged_in)
    if not found and template and slot.refresh_objects(after_miss=True):
        found = slot.objects.find(template, private=session.logged_in)
    session.begin(Place.FIND, Search([each.handle for each in found]), private=True)


def find_objects(session: Session, room: int) -> list[int]:
    """At most ``room`` more handles of what was found. Raises CKR_OPERATION_NOT_INITIALIZED."""
    search = session.running(Place.FIND, Search)
    found, search.handles = search.handles[:room], search.handles[room:]
    return found


def find_objects_final(session: Session) -> None:
    """End the search. Raises CKR_OPERATION_NOT_INITIALIZED."""
    session.running(Place.FIND, Search)
    session.end(Place.FIND)


def get_attribute_value(session: Session, handle: int, wanted: Sequence[tuple[int, int | None]]) -> Query:
    """Every attribute that there is, even where others are not (5.7.5). ``wanted``: type, room in bytes.

    The return value in what it gives is that of the last attribute that is not to be had. Raises
    CKR_OBJECT_HANDLE_INVALID, and what the device layer's errors are told as (``returns``).
    """
    item = session.object(handle)
    values: list[bytes | int | None] = []
    rv = CKR.OK
    for kind, room in wanted:
        try:
            values.append(_value(item, kind, room))
        except BufferTooSmall as error:
            values.append(None)
            rv = error.rv
        except Pkcs11Error as error:
            values.append(None)
            rv = error.rv
    return Query(values, rv)


def _value(item: Pkcs11Object, kind: int, room: int | None) -> bytes | int:
    try:
        value = item.attribute(kind)
    except HemLoginRequired:
        log.info(f"{name_of(CKA, kind)} of {item.describe()} is known after login only")
        raise Pkcs11Error(CKR.ATTRIBUTE_TYPE_INVALID) from None
    if room is None:
        return len(value)
    if room < len(value):
        raise BufferTooSmall(len(value))
    return value


def get_object_size(session: Session, handle: int) -> int:
    """CK_UNAVAILABLE_INFORMATION: nobody can tell what a key takes up in the device. Raises
    CKR_OBJECT_HANDLE_INVALID."""
    session.object(handle)
    return UNAVAILABLE


def destroy_object(session: Session, handle: int) -> None:
    """Delete an object. The two halves of a pair are one key of the device: both go.

    Raises CKR_OBJECT_HANDLE_INVALID, CKR_USER_NOT_LOGGED_IN, CKR_SESSION_READ_ONLY, and
    CKR_ACTION_PROHIBITED for one that is not destroyable.
    """
    item = session.object(handle)
    if isinstance(item, DeviceKey):
        session.require_user()
    if item.owner is None:
        session.require_writable()
    if not item.flag(CKA.DESTROYABLE):
        raise Pkcs11Error(CKR.ACTION_PROHIBITED, f"{item.describe()} cannot be destroyed")
    if isinstance(item, DeviceKey) and not session.slot.objects.is_alias(item):
        session.slot.hem.keys.delete(item.key)
    if isinstance(item, StoredObject) and item.owner is None:
        session.slot.store.delete(item)
    session.slot.objects.remove(item)
