"""CKM_HEM_DERIVE: a key agreed with a peer that comes into being in the device and stays there.

A mechanism of this module (vendor-defined number 0xC8454D01) over the device's own derivation
(device API §11.11). The base key is a private key of an SECP curve, X25519 or X448 with
CKA_DERIVE. The parameter is the peer's public key alone: ``pParameter`` points at the raw or
DER-wrapped CKA_EC_POINT of the same curve, uncompressed or compressed.

The template chooses what is made, as it does in key generation: CKA_KEY_TYPE (needed) with
CKA_VALUE_LEN and CKA_ALLOWED_MECHANISMS for AES, CKA_KEY_TYPE alone for the six HMAC types,
CKA_KEY_TYPE with CKA_EC_PARAMS for a key pair, whose private half is the result. CKA_TOKEN false
deletes the key with its session.

The same input gives the same key again on this device and on no other: the step after the
agreement is not published. While the key is on the device, deriving it again is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hem_pkcs11.constants import CKA, CKF, CKK, CKO, CKR, name_of
from hem_pkcs11.encodings import device_point
from hem_pkcs11.mechanisms import MECHANISMS, MechanismRow, Scheme
from hem_pkcs11.objects.device_keys import DeviceKey
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.templates.key_pairs import pair_plan
from hem_pkcs11.templates.plans import PlannedKey
from hem_pkcs11.templates.secret_keys import device_secret
from hem_pkcs11.templates.template import Template
from hem_pkcs11.values import Attribute, Mechanism
from hem_provider.errors import HemKeyNotFound, HemOperationFailed

if TYPE_CHECKING:
    from hem_pkcs11.sessions import Session

__all__ = ["derive_in_device"]

_PAIRS = frozenset({CKK.EC, CKK.EC_EDWARDS, CKK.EC_MONTGOMERY})
#: What both halves of a pair have and one template says.
_SHARED = frozenset({CKA.TOKEN, CKA.KEY_TYPE, CKA.EC_PARAMS, CKA.LABEL, CKA.ID})


def derive_in_device(
    session: Session, mechanism: Mechanism, base: DeviceKey, attributes: Sequence[Attribute]
) -> int:
    """The handle of the secret key, or of the private half of the pair, that was derived.

    Raises CKR_MECHANISM_PARAM_INVALID for what is no point of the base key's curve, the errors of
    key generation for the template, and CKR_FUNCTION_FAILED where the device refuses.
    """
    peer = _peer(mechanism, base)
    template = Template("derived key", attributes)
    request = _request(template, attributes)
    if request.token:
        session.require_writable()
    hem = session.slot.hem
    try:
        key = hem.keys.derive(
            base.key,
            peer,
            type=request.kind.type.name,
            label=request.label,
            usage=request.usage,
            application_id=request.identifier,
            limits=request.limits,
        )
    except HemKeyNotFound:
        raise
    except HemOperationFailed as error:
        raise Pkcs11Error(
            CKR.FUNCTION_FAILED,
            f"{error}: the key this gives is on the device already (the same input gives the same key), "
            f"or the agreed secret of {base.kind.type.name} is too short for {request.kind.type.name}",
        ) from None
    made = session.slot.objects.add_key(key, None if request.token else session.handle)
    return made[CKO.SECRET_KEY if key.type.symmetric else CKO.PRIVATE_KEY].handle


def _peer(mechanism: Mechanism, base: DeviceKey) -> object:
    from hem_provider.publickeys import check_agreeable, load_public

    given = mechanism.parameter
    if not isinstance(given, bytes):
        raise Pkcs11Error(CKR.MECHANISM_PARAM_INVALID, "CKM_HEM_DERIVE takes the peer's public key")
    try:
        point = device_point(base.kind, given)
        check_agreeable(base.kind.type, point)
        return load_public(base.kind.type, point)
    except (Pkcs11Error, ValueError) as error:
        raise Pkcs11Error(CKR.MECHANISM_PARAM_INVALID, f"CKM_HEM_DERIVE: {error}") from None


def _request(template: Template, attributes: Sequence[Attribute]) -> PlannedKey:
    number = template.number(CKA.KEY_TYPE)
    if number is None:
        raise template.error(CKR.TEMPLATE_INCOMPLETE, CKA.KEY_TYPE, "missing")
    row = _generation(number)
    if row is None:
        raise template.error(
            CKR.TEMPLATE_INCONSISTENT, CKA.KEY_TYPE, f"{name_of(CKK, number)} keys are not derived"
        )
    if row.scheme is Scheme.SECRET:
        return device_secret(row, template)
    return pair_plan(row, [each for each in attributes if each[0] in _SHARED], attributes)


def _generation(key_type: int) -> MechanismRow | None:
    """How keys of the type are generated: what reads the template there reads it here."""
    for row in MECHANISMS.values():
        if key_type not in row.key_types:
            continue
        if row.flags & CKF.GENERATE_KEY_PAIR and row.key_types <= _PAIRS:
            return row
        if row.flags & CKF.GENERATE and row.flags & CKF.HW:
            return row
    return None
