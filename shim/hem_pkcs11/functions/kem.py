"""Encapsulating and decapsulating (3.2: 5.18.8, 5.18.9): ML-KEM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hem_pkcs11.constants import CKA, CKF, CKK, CKO, CKR
from hem_pkcs11.functions.keys import SECRET_TYPES, keep
from hem_pkcs11.mechanisms import mechanism_row, no_parameter
from hem_pkcs11.objects.device_keys import DeviceKey
from hem_pkcs11.objects.public_keys import as_public_key
from hem_pkcs11.operations import deliver
from hem_pkcs11.operations.key_checks import check_use
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.templates.secret_keys import SecretShape, check_size, secret_shape
from hem_pkcs11.templates.template import Template
from hem_pkcs11.values import Attribute, Buffer, Mechanism

if TYPE_CHECKING:
    from hem_pkcs11.sessions import Session

__all__ = ["decapsulate_key", "encapsulate_key"]


def encapsulate_key(
    session: Session, mechanism: Mechanism, handle: int, attributes: Sequence[Attribute], room: int | None
) -> tuple[bytes | int, int | None]:
    """A ciphertext for the owner of a public key, and the secret as a session key.

    Here, without the device, except for ML-KEM-512. A size query makes no key. Raises
    CKR_KEY_HANDLE_INVALID, CKR_KEY_TYPE_INCONSISTENT, CKR_KEY_FUNCTION_NOT_PERMITTED,
    CKR_BUFFER_TOO_SMALL, and the errors of templates.
    """
    row = mechanism_row(mechanism.type, CKF.ENCAPSULATE)
    no_parameter(row, mechanism)
    item = session.object(handle, CKR.KEY_HANDLE_INVALID)
    check_use(item, row, CKO.PUBLIC_KEY, CKA.ENCAPSULATE)
    template, shape = _shape(attributes)
    public = as_public_key(item)
    size = public.kind.type.ciphertext_size or 0
    if not deliver(size, room):
        return size, None
    secret, ciphertext = public.public_key().encapsulate()
    return ciphertext, keep(session, shape, _cut(template, shape, secret))


def decapsulate_key(
    session: Session, mechanism: Mechanism, handle: int, attributes: Sequence[Attribute], ciphertext: Buffer
) -> int:
    """The secret of a ciphertext, by the device, as a session key; its handle.

    Raises CKR_ENCRYPTED_DATA_LEN_RANGE for a ciphertext of another parameter set,
    CKR_USER_NOT_LOGGED_IN, CKR_KEY_HANDLE_INVALID, CKR_KEY_TYPE_INCONSISTENT,
    CKR_KEY_FUNCTION_NOT_PERMITTED, and the errors of templates.
    """
    row = mechanism_row(mechanism.type, CKF.DECAPSULATE)
    no_parameter(row, mechanism)
    session.require_user()
    item = session.object(handle, CKR.KEY_HANDLE_INVALID)
    check_use(item, row, CKO.PRIVATE_KEY, CKA.DECAPSULATE)
    assert isinstance(item, DeviceKey)  # noqa: S101 - private keys are in the device, all of them
    template, shape = _shape(attributes)
    if len(ciphertext) != item.kind.type.ciphertext_size:
        raise Pkcs11Error(
            CKR.ENCRYPTED_DATA_LEN_RANGE,
            f"a ciphertext of {len(ciphertext)} bytes; "
            f"{item.kind.type.name} has {item.kind.type.ciphertext_size}",
        )
    secret = item.key.private_key().decapsulate(bytes(ciphertext))  # type: ignore[union-attr]
    return keep(session, shape, _cut(template, shape, secret))


def _shape(attributes: Sequence[Attribute]) -> tuple[Template, SecretShape]:
    template = Template("encapsulated key", attributes)
    return template, secret_shape(template, SECRET_TYPES, default=CKK.GENERIC_SECRET)


def _cut(template: Template, shape: SecretShape, secret: bytes) -> bytes:
    value = bytes(secret)[: shape.size]
    if shape.size is not None and shape.size > len(value):
        text = f"{shape.size} bytes; the secret has {len(value)}"
        raise template.error(CKR.ATTRIBUTE_VALUE_INVALID, CKA.VALUE_LEN, text)
    check_size(template, shape.key_type, len(value))
    return value
