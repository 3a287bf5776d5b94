"""Which rules hold for an object that is there."""

from __future__ import annotations

from hem_pkcs11.constants import CKO
from hem_pkcs11.objects.item import Item
from hem_pkcs11.objects.table import KeyObject
from hem_pkcs11.templates.plans import COLUMNS
from hem_pkcs11.templates.rules import Column

__all__ = ["column_of"]

_ELSEWHERE = {
    CKO.PUBLIC_KEY: Column.SESSION_PUBLIC,
    CKO.SECRET_KEY: Column.SESSION_SECRET,
    CKO.CERTIFICATE: Column.CERTIFICATE,
    CKO.DATA: Column.DATA,
    CKO.PROFILE: Column.PROFILE,
    CKO.MECHANISM: Column.MECHANISM,
}


def column_of(item: Item) -> Column:
    """The column of the table of attributes."""
    return (COLUMNS if isinstance(item, KeyObject) else _ELSEWHERE)[item.object_class]
