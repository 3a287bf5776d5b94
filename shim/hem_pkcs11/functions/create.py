"""Objects that a host brings along or changes (5.7.1, 5.7.2, 5.7.6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from hem_pkcs11.constants import CKA, CKO, CKR, name_of
from hem_pkcs11.functions.keys import SECRET_TYPES, keep
from hem_pkcs11.items import Item
from hem_pkcs11.objects import KeyObject
from hem_pkcs11.publics import PublicObject, public_object
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.secret_templates import check_size, secret_shape
from hem_pkcs11.secrets import SecretObject
from hem_pkcs11.store import StoredObject, stored_object
from hem_pkcs11.templates import Template, identifier_of, label_of
from hem_pkcs11.values import Attribute, pack_bool

if TYPE_CHECKING:
    from hem_pkcs11.sessions import Session

__all__ = ["copy_object", "create_object", "set_attribute_value"]


def create_object(session: Session, attributes: Sequence[Attribute]) -> int:
    """Take in a public key or secret key for the session, or a certificate or data object.

    Private and secret keys cannot be put into the device: they are made there.
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
    shape = secret_shape(template, SECRET_TYPES)
    value = template.needed(CKA.VALUE)
    if shape.size not in (None, len(value)):
        raise template.error(CKR.TEMPLATE_INCONSISTENT, CKA.VALUE_LEN, f"CKA_VALUE has {len(value)} bytes")
    check_size(template, shape.key_type, len(value))
    return keep(session, shape, value)


def _public(session: Session, template: Template) -> int:
    item = public_object(template, session.handle)
    if not template.flag(CKA.TOKEN):
        return session.slot.objects.add(item).handle
    session.require_writable()
    session.require_user()
    kind = item.kind.type
    key = session.slot.hem.keys.import_public(
        (kind.name, item.raw),
        label=label_of(template, item.label, kind.name),
        application_id=identifier_of(template, item.identifier),
    )
    return session.slot.objects.add_key(key, None)[CKO.PUBLIC_KEY].handle


def _stored(session: Session, template: Template) -> int:
    token = template.flag(CKA.TOKEN) or False
    if token:
        session.require_writable()
    item = stored_object(template, None if token else session.handle, session.slot.objects.key_id)
    if item.private:
        session.require_user()
    if not token:
        return session.slot.objects.add(item).handle
    with session.slot.lock:  # a look at the store meanwhile must not take it for another process's
        session.slot.store.save(item)
        return session.slot.objects.add(item).handle


_MAKERS: Mapping[int, Callable[[Session, Template], int]] = {
    CKO.SECRET_KEY: _secret,
    CKO.PUBLIC_KEY: _public,
    CKO.CERTIFICATE: _stored,
    CKO.DATA: _stored,
}

#: What may change, and what must not get weaker: attribute → the only value it may change to.
_CHANGEABLE = frozenset({CKA.LABEL, CKA.ID})
_CHANGEABLE_STORED = frozenset(
    {CKA.SUBJECT, CKA.URL, CKA.START_DATE, CKA.END_DATE, CKA.VALUE, CKA.APPLICATION}
)
_ONE_WAY = {CKA.SENSITIVE: pack_bool(True), CKA.EXTRACTABLE: pack_bool(False)}


def set_attribute_value(session: Session, handle: int, attributes: Sequence[Attribute]) -> None:
    """Change label, id and the like; sensitivity in one direction only. All or nothing."""
    item = session.object(handle)
    template = Template("changes", attributes)
    changes = {kind: template.needed(kind) for kind in template.kinds()}
    if item.owner is None:
        session.require_writable()
    for kind, value in changes.items():
        _check_change(item, template, kind, value)
    _apply(session, item, changes)


def _check_change(item: Item, template: Template, kind: int, value: bytes) -> None:
    current = item.attribute(kind)  # tells unknown attributes
    if current == value:
        return
    one_way = next((only for each, only in _ONE_WAY.items() if each == kind), None)
    if not isinstance(item, SecretObject):
        one_way = None
    changeable = kind in _CHANGEABLE or (kind in _CHANGEABLE_STORED and isinstance(item, StoredObject))
    if one_way == value or (changeable and item.flag(CKA.MODIFIABLE)):
        return
    raise template.error(CKR.ATTRIBUTE_READ_ONLY, kind, f"cannot change for {item.describe()}")


def _apply(session: Session, item: Item, changes: Mapping[int, bytes]) -> None:
    if isinstance(item, SecretObject):
        item.label = changes.get(CKA.LABEL, item.label)
        item.identifier = changes.get(CKA.ID, item.identifier)
        item.sensitive = item.sensitive or changes.get(CKA.SENSITIVE) == pack_bool(True)
        item.extractable = item.extractable and changes.get(CKA.EXTRACTABLE) != pack_bool(False)
    elif isinstance(item, PublicObject):
        item.label = changes.get(CKA.LABEL, item.label)
        item.identifier = changes.get(CKA.ID, item.identifier)
    elif isinstance(item, KeyObject):
        _update_key(session, item, Template("changes", list(changes.items())))
    elif isinstance(item, StoredObject):
        if item.owner is None:
            session.slot.store.change(item, changes)
        else:
            item.change(changes)


def _update_key(session: Session, item: KeyObject, template: Template) -> None:
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
    session.slot.hem.keys.update(
        item.key,
        label=None if label is None else label_of(template, label, ""),
        application_id=None if identifier is None else identifier_of(template, identifier),
    )


def copy_object(session: Session, handle: int, attributes: Sequence[Attribute]) -> int:
    """Copy what lives here. A key of the device exists once: a session pair can become one of the
    token by a copy (so Java stores keys), and nothing else."""
    item = session.object(handle)
    template = Template("copy", attributes)
    if not item.flag(CKA.COPYABLE) or (isinstance(item, KeyObject) and not template.flag(CKA.TOKEN)):
        raise Pkcs11Error(CKR.ACTION_PROHIBITED, f"{item.describe()} cannot be copied")
    return _copy(session, item, template)


def _copy(session: Session, item: Item, template: Template) -> int:
    for kind in template.kinds():
        if kind not in (CKA.TOKEN, CKA.PRIVATE, CKA.CLASS):
            _check_change(item, template, kind, template.needed(kind))
    token = template.flag(CKA.TOKEN) if CKA.TOKEN in template else item.owner is None
    changes = {kind: template.needed(kind) for kind in template.kinds()}
    if token:
        session.require_writable()
    if isinstance(item, KeyObject):
        _apply(session, item, changes)  # first: where the device refuses, nothing has become of the copy
        return session.slot.objects.promote(item).handle
    if isinstance(item, StoredObject):
        return _copy_stored(session, item, changes, token=bool(token))
    if token:
        raise template.error(CKR.TEMPLATE_INCONSISTENT, CKA.TOKEN, "keys in memory are session objects")
    if isinstance(item, SecretObject):
        copy: Item = item.copy(session.handle)
    else:
        assert isinstance(item, PublicObject)  # noqa: S101 - the only kind left that is copyable
        copy = PublicObject(session.handle, item.kind, item.raw, item.label, item.identifier)
    _apply(session, copy, changes)
    return session.slot.objects.add(copy).handle


def _copy_stored(session: Session, item: StoredObject, changes: Mapping[int, bytes], *, token: bool) -> int:
    copy = item.copy(None if token else session.handle)
    copy.change(changes)
    if not token:
        return session.slot.objects.add(copy).handle
    with session.slot.lock:
        session.slot.store.save(copy)
        return session.slot.objects.add(copy).handle
