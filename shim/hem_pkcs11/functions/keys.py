"""Making keys (5.18)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hem_pkcs11.constants import CKF, CKO, CKR
from hem_pkcs11.mechanisms import row_of
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.templates import pair_request
from hem_pkcs11.values import Attribute, Mechanism

if TYPE_CHECKING:
    from hem_pkcs11.sessions import Session

__all__ = ["generate_key_pair"]


def generate_key_pair(
    session: Session,
    mechanism: Mechanism,
    public: Sequence[Attribute],
    private: Sequence[Attribute],
) -> tuple[int, int]:
    """Make a key pair in the device; the handles of its public and private object.

    A pair with CKA_TOKEN false is made in the device as well and deleted with the session.
    """
    row = row_of(mechanism.type, CKF.GENERATE_KEY_PAIR)
    if mechanism.parameter is not None:
        raise Pkcs11Error(CKR.MECHANISM_PARAM_INVALID, f"CKM_{row.type.name} takes no parameter")
    request = pair_request(row, public, private)
    session.require_user()
    if request.token:
        session.require_writable()
    key = session.slot.hem.keys.create(
        request.kind.type.name,
        label=request.label,
        usage=request.usage,
        application_id=request.identifier,
    )
    made = session.slot.objects.add(key, None if request.token else session.handle)
    return made[CKO.PUBLIC_KEY].handle, made[CKO.PRIVATE_KEY].handle
