"""Objects that a host brings along or changes (5.7.1, 5.7.2, 5.7.6)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from hem_pkcs11.constants import CKA, CKO, CKR, name_of
from hem_pkcs11.functions.keys import SECRET_TYPES, keep
from hem_pkcs11.objects.device_keys import DeviceKey
from hem_pkcs11.objects.object import Pkcs11Object
from hem_pkcs11.objects.public_keys import SessionPublicKey
from hem_pkcs11.objects.secret_keys import SessionSecretKey
from hem_pkcs11.objects.stored import StoredObject
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.search import look_for_key
from hem_pkcs11.templates.columns import column_of
from hem_pkcs11.templates.public_keys import imported_plan, public_object
from hem_pkcs11.templates.rules import RULES, Change
from hem_pkcs11.templates.secret_keys import check_size, secret_shape
from hem_pkcs11.templates.stored import stored_values
from hem_pkcs11.templates.template import (
    Template,
    check_form,
    check_period,
    check_result,
    identifier_of,
    label_of,
)
from hem_pkcs11.values import Attribute, pack_bool

if TYPE_CHECKING:
    from hem_pkcs11.sessions import Session

__all__ = ["copy_object", "create_object", "set_attribute_value"]


def create_object(session: Session, attributes: Sequence[Attribute]) -> int:
    """Take in a public key or secret key for the session, or a certificate or data object.

    Private and secret keys cannot be put into the device: they are made there. Raises
    CKR_TEMPLATE_INCOMPLETE, CKR_TEMPLATE_INCONSISTENT, CKR_ATTRIBUTE_TYPE_INVALID or
    CKR_ATTRIBUTE_VALUE_INVALID, naming the attribute; CKR_CURVE_NOT_SUPPORTED; CKR_SESSION_READ_ONLY and
    CKR_USER_NOT_LOGGED_IN; CKR_DEVICE_MEMORY where a file cannot be written.
    """
    template = Template("new object", attributes)
    number = template.number(CKA.CLASS)
    if number is None:
        raise template.error(CKR.TEMPLATE_INCOMPLETE, CKA.CLASS, "missing")
    maker = _MAKERS.get(number)
    if maker is None:
        raise template.error(
            CKR.ATTRIBUTE_VALUE_INVALID, CKA.CLASS,
            f"{name_of(CKO, number)} objects cannot be brought along; the device makes its keys itself",
        )  # fmt: skip
    return maker(session, template)


def _secret(session: Session, template: Template) -> int:
    shape = secret_shape(template, SECRET_TYPES, brought=True)
    value = template.needed(CKA.VALUE)
    if shape.size not in (None, len(value)):
        raise template.error(CKR.TEMPLATE_INCONSISTENT, CKA.VALUE_LEN, f"CKA_VALUE has {len(value)} bytes")
    check_size(template, shape.key_type, len(value))
    return keep(session, shape, value)


def _public(session: Session, template: Template) -> int:
    item = public_object(template, session.handle)
    if not template.flag(CKA.TOKEN):
        return session.add(item)
    plan = imported_plan(template, item)
    session.require_writable()
    session.require_user()
    key = session.slot.hem.keys.import_public(
        (item.kind.type.name, item.raw),
        label=plan.label,
        application_id=plan.identifier,
        limits=plan.limits,
    )
    return session.slot.objects.add_key(key, None)[CKO.PUBLIC_KEY].handle


def _stored(session: Session, template: Template) -> int:
    token = template.flag(CKA.TOKEN) or False
    if token:
        session.require_writable()
    object_class = CKO(template.number(CKA.CLASS) or 0)
    values = stored_values(template, object_class)
    item = StoredObject(
        object_class, None if token else session.handle, values, private=bool(template.flag(CKA.PRIVATE))
    )
    check_result(template, column_of(item), item.attribute)
    if item.private:
        session.require_user()
    handle = _add_stored(session, item) if token else session.add(item)
    if object_class == CKO.CERTIFICATE and not item.attribute(CKA.ID):
        look_for_key(session.slot, item.values[CKA.PUBLIC_KEY_INFO])
    return handle


def _add_stored(session: Session, item: StoredObject) -> int:
    with session.slot.lock:  # a look at the store meanwhile must not take it for another process's
        session.slot.store.save(item)
        return session.slot.objects.add(item).handle


_MAKERS: Mapping[int, Callable[[Session, Template], int]] = {
    CKO.SECRET_KEY: _secret,
    CKO.PUBLIC_KEY: _public,
    CKO.CERTIFICATE: _stored,
    CKO.DATA: _stored,
}


# --- changing -----------------------------------------------------------------------------------


def set_attribute_value(session: Session, handle: int, attributes: Sequence[Attribute]) -> None:
    """Change what the rules let change (``templates.rules``): label, id, dates; secrecy in one direction
    only. All or nothing.

    Raises CKR_OBJECT_HANDLE_INVALID, CKR_SESSION_READ_ONLY, CKR_ACTION_PROHIBITED for an object that is
    not modifiable, and CKR_ATTRIBUTE_READ_ONLY, CKR_ATTRIBUTE_TYPE_INVALID or
    CKR_ATTRIBUTE_VALUE_INVALID.
    """
    item = session.object(handle)
    template = Template("changes", attributes)
    if item.owner is None:
        session.require_writable()
    _check_changes(item, template)
    _apply(session, item, {kind: template.needed(kind) for kind in template.kinds()})


#: What a change may turn a value into, by the rule.
_ONE_WAY = {Change.TO_TRUE: pack_bool(True), Change.TO_FALSE: pack_bool(False)}


def _check_changes(item: Pkcs11Object, template: Template, *, free: Collection[int] = ()) -> None:
    """Refuse what the rules do not let change. ``free``: attributes that may, whatever the rules say."""
    rules = RULES[column_of(item)]
    for kind in template.kinds():
        try:
            current = item.attribute(kind)  # tells unknown attributes
        except Pkcs11Error as error:
            if error.rv != CKR.ATTRIBUTE_SENSITIVE:
                raise template.error(error.rv, kind, f"{item.describe()} has none") from None
            raise template.error(CKR.ATTRIBUTE_READ_ONLY, kind, "nobody changes a key") from None
        check_form(template, kind)
        value = template.needed(kind)
        if kind in free:
            continue
        if not item.flag(CKA.MODIFIABLE):
            raise Pkcs11Error(CKR.ACTION_PROHIBITED, f"{item.describe()} cannot be modified")
        change = rules[kind].change if kind in rules else Change.NO
        if value != current and change is not Change.YES and _ONE_WAY.get(change) != value:
            raise template.error(CKR.ATTRIBUTE_READ_ONLY, kind, f"cannot change for {item.describe()}")
    period = [
        template.raw(kind) if kind in template else (item.attribute(kind) if kind in rules else b"")
        for kind in (CKA.START_DATE, CKA.END_DATE)
    ]
    check_period(template, *period)


def _apply(session: Session, item: Pkcs11Object, changes: Mapping[int, bytes]) -> None:
    if isinstance(item, SessionSecretKey | SessionPublicKey):
        item.keep(changes)
    elif isinstance(item, DeviceKey):
        _update_key(session, item, Template("changes", list(changes.items())))
    elif isinstance(item, StoredObject):
        if item.owner is None:
            session.slot.store.change(item, changes)
        else:
            item.change(changes)


def _update_key(session: Session, item: DeviceKey, template: Template) -> None:
    """Label and id are the key's, and so of both halves."""
    label, identifier = template.raw(CKA.LABEL), template.raw(CKA.ID)
    if label == item.attribute(CKA.LABEL):
        label = None
    if identifier == item.attribute(CKA.ID):
        identifier = None
    if label is None and identifier is None:
        return
    session.require_user()
    if label is not None and not label:
        raise template.error(CKR.ATTRIBUTE_VALUE_INVALID, CKA.LABEL, "empty; the device wants a label")
    if identifier is not None and item.key.descr and item.key.family_mark is None:
        raise template.error(
            CKR.ATTRIBUTE_READ_ONLY, CKA.ID,
            f"{item.describe()}: what another application wrote is where the id would be kept",
        )  # fmt: skip
    session.slot.hem.keys.update(
        item.key,
        label=None if label is None else label_of(template, label, ""),
        application_id=None if identifier is None else identifier_of(template, identifier),
    )


# --- copying ------------------------------------------------------------------------------------

#: What a copy in memory or in a file may have otherwise, besides what may change at any time.
_COPY_FREE = frozenset({CKA.TOKEN, CKA.PRIVATE, CKA.MODIFIABLE, CKA.DESTROYABLE})


def copy_object(session: Session, handle: int, attributes: Sequence[Attribute]) -> int:
    """Copy what lives here. A key of the device exists once: a session pair can become one of the token by a
    copy (so Java stores keys), and nothing else.

    Raises CKR_OBJECT_HANDLE_INVALID, CKR_ACTION_PROHIBITED for what cannot be copied, CKR_SESSION_READ_ONLY
    and CKR_USER_NOT_LOGGED_IN; and, naming the attribute, what the rules say for one that a copy cannot have,
    CKR_ATTRIBUTE_READ_ONLY or CKR_TEMPLATE_INCONSISTENT as a rule.
    """
    item = session.object(handle)
    template = Template("copy", attributes)
    if not item.flag(CKA.COPYABLE) or (isinstance(item, DeviceKey) and not template.flag(CKA.TOKEN)):
        raise Pkcs11Error(CKR.ACTION_PROHIBITED, f"{item.describe()} cannot be copied")
    in_device = isinstance(item, DeviceKey)
    # A key that becomes one of the token takes a name that lasts; nothing else may change by that.
    _check_changes(item, template, free=(CKA.TOKEN, CKA.COPYABLE) if in_device else _COPY_FREE)
    if in_device and template.flag(CKA.COPYABLE):
        raise template.error(CKR.TEMPLATE_INCONSISTENT, CKA.COPYABLE, "a key of the token exists once")
    if item.private and template.flag(CKA.PRIVATE) is False and not in_device:
        raise template.error(
            CKR.TEMPLATE_INCONSISTENT, CKA.PRIVATE, "a copy cannot be seen by more than see it"
        )
    return _copy(session, item, template)


def _copy(session: Session, item: Pkcs11Object, template: Template) -> int:
    token = template.flag(CKA.TOKEN) if CKA.TOKEN in template else item.owner is None
    changes = {kind: template.needed(kind) for kind in template.kinds()}
    if token:
        session.require_writable()
    if isinstance(item, DeviceKey):
        _apply(session, item, changes)  # first: where the device refuses, nothing has become of the copy
        return session.slot.objects.promote(item).handle
    if isinstance(item, StoredObject):
        copy: Pkcs11Object = item.copy(None if token else session.handle, changes)
    elif token:
        raise template.error(CKR.TEMPLATE_INCONSISTENT, CKA.TOKEN, "keys in memory are session objects")
    else:
        assert isinstance(item, SessionSecretKey | SessionPublicKey)  # noqa: S101 - what is left that is copyable
        copy = item.copy(session.handle)
        copy.keep(changes)
    try:
        check_result(template, column_of(copy), copy.attribute)
        if copy.private:
            session.require_user()
        if isinstance(copy, StoredObject) and token:
            return _add_stored(session, copy)
    except Exception:
        copy.close()
        raise
    return session.add(copy)
