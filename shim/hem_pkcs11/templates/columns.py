"""Which rules hold for an object that is there."""

from __future__ import annotations

from hem_pkcs11.constants import CKO
from hem_pkcs11.objects.device_keys import DeviceKey
from hem_pkcs11.objects.object import Pkcs11Object
from hem_pkcs11.templates.rules import Column

__all__ = ["column_of"]

_IN_DEVICE = {
    CKO.PUBLIC_KEY: Column.PUBLIC,
    CKO.PRIVATE_KEY: Column.PRIVATE,
    CKO.SECRET_KEY: Column.SECRET,
}
_ELSEWHERE = {
    CKO.PUBLIC_KEY: Column.SESSION_PUBLIC,
    CKO.SECRET_KEY: Column.SESSION_SECRET,
    CKO.CERTIFICATE: Column.CERTIFICATE,
    CKO.DATA: Column.DATA,
    CKO.PROFILE: Column.PROFILE,
    CKO.MECHANISM: Column.MECHANISM,
}


def column_of(item: Pkcs11Object) -> Column:
    """The column of the table of attributes."""
    return (_IN_DEVICE if isinstance(item, DeviceKey) else _ELSEWHERE)[item.object_class]
