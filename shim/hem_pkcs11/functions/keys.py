"""Making, wrapping and deriving keys (5.18)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hem_pkcs11.aes import aes_unwrap, aes_wrap
from hem_pkcs11.constants import CKA, CKD, CKF, CKK, CKO, CKR, UNAVAILABLE, name_of
from hem_pkcs11.encodings import device_point
from hem_pkcs11.functions.derivation import derive_in_device
from hem_pkcs11.mechanisms import MechanismRow, Scheme, mechanism_row, no_parameter
from hem_pkcs11.objects.device_keys import DeviceKey
from hem_pkcs11.objects.object import Pkcs11Object
from hem_pkcs11.objects.secret_keys import SessionSecretKey
from hem_pkcs11.operations import deliver
from hem_pkcs11.operations.key_checks import check_family, check_use
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.templates.key_pairs import pair_plan
from hem_pkcs11.templates.plans import PlannedKey
from hem_pkcs11.templates.secret_keys import SecretShape, check_size, device_secret, in_memory, secret_shape
from hem_pkcs11.templates.template import Template
from hem_pkcs11.values import Attribute, Buffer, EcdhParameters, Mechanism

if TYPE_CHECKING:
    from hem_pkcs11.sessions import Session

__all__ = [
    "SECRET_TYPES",
    "derive_key",
    "generate_key",
    "generate_key_pair",
    "keep",
    "unwrap_key",
    "wrap_key",
]

#: What secret from elsewhere may become.
SECRET_TYPES = (
    CKK.GENERIC_SECRET, CKK.AES, CKK.HKDF, CKK.SHA256_HMAC, CKK.SHA384_HMAC, CKK.SHA512_HMAC,
    CKK.SHA3_256_HMAC, CKK.SHA3_384_HMAC, CKK.SHA3_512_HMAC,
)  # fmt: skip


def generate_key_pair(
    session: Session,
    mechanism: Mechanism,
    public: Sequence[Attribute],
    private: Sequence[Attribute],
) -> tuple[int, int]:
    """Make a key pair in the device; the handles of its public and private object.

    A pair with CKA_TOKEN false is made in the device as well and deleted with the session. Raises
    CKR_MECHANISM_INVALID, CKR_MECHANISM_PARAM_INVALID, CKR_USER_NOT_LOGGED_IN, CKR_SESSION_READ_ONLY, and
    what ``pair_plan`` does.
    """
    row = mechanism_row(mechanism.type, CKF.GENERATE_KEY_PAIR)
    no_parameter(row, mechanism)
    made = _make(session, pair_plan(row, public, private))
    return made[CKO.PUBLIC_KEY].handle, made[CKO.PRIVATE_KEY].handle


def generate_key(session: Session, mechanism: Mechanism, attributes: Sequence[Attribute]) -> int:
    """Make a secret key: in the device, or a readable one in memory; its handle.

    Raises CKR_MECHANISM_INVALID, CKR_MECHANISM_PARAM_INVALID, CKR_USER_NOT_LOGGED_IN,
    CKR_SESSION_READ_ONLY, and the errors of templates.
    """
    row = mechanism_row(mechanism.type, CKF.GENERATE)
    no_parameter(row, mechanism)
    template = Template("secret key", attributes)
    (key_type,) = row.key_types
    if key_type == CKK.GENERIC_SECRET or in_memory(template):
        return _memory_key(session, row, template, key_type)
    return _make(session, device_secret(row, template))[CKO.SECRET_KEY].handle


def _make(session: Session, plan: PlannedKey) -> dict[CKO, DeviceKey]:
    """The objects of a key made in the device, by class."""
    session.require_user()
    if plan.token:
        session.require_writable()
    key = session.slot.hem.keys.create(
        plan.kind.type.name,
        label=plan.label,
        usage=plan.usage,
        application_id=plan.identifier,
        limits=plan.limits,
    )
    return session.slot.objects.add_key(key, None if plan.token else session.handle)


def _memory_key(session: Session, row: MechanismRow, template: Template, key_type: CKK) -> int:
    # A key that would be in the device but for its label or dates is no less secret here.
    shape = secret_shape(template, (key_type,), default=key_type, secret=key_type != CKK.GENERIC_SECRET)
    size = shape.size
    if size is None:
        if row.min_size != row.max_size:
            raise template.error(CKR.TEMPLATE_INCOMPLETE, CKA.VALUE_LEN, "missing")
        size = row.min_size
    return keep(session, shape, os.urandom(size), local=True, generation=row.type)


def keep(
    session: Session, shape: SecretShape, value: bytes, *, local: bool = False, generation: int = UNAVAILABLE
) -> int:
    """Make a session key in memory; its handle. Raises what the rules say where it is not as its template
    asks."""
    return session.add(shape.make(session.handle, value, local=local, generation=generation))


# --- derivation --------------------------------------------------------------------------------

_KDF_HASHES: Mapping[int, str] = {
    CKD.SHA1_KDF: "sha1", CKD.SHA224_KDF: "sha224", CKD.SHA256_KDF: "sha256", CKD.SHA384_KDF: "sha384",
    CKD.SHA512_KDF: "sha512", CKD.SHA3_256_KDF: "sha3_256", CKD.SHA3_384_KDF: "sha3_384",
    CKD.SHA3_512_KDF: "sha3_512",
}  # fmt: skip


def derive_key(session: Session, mechanism: Mechanism, handle: int, attributes: Sequence[Attribute]) -> int:
    """ECDH in the device; the secret becomes a session key in memory, or with CKM_HEM_DERIVE a key
    in the device.

    In memory only for curves of up to 256 bits: firmware 1.2.2 cuts longer secrets to 32 bytes, and
    a cut secret agrees with nobody else's. Raises CKR_KEY_SIZE_RANGE for the other curves,
    CKR_MECHANISM_PARAM_INVALID for what is no point of the key's curve, CKR_USER_NOT_LOGGED_IN,
    CKR_KEY_HANDLE_INVALID, CKR_KEY_TYPE_INCONSISTENT, CKR_KEY_FUNCTION_NOT_PERMITTED, and the errors of
    templates.
    """
    row = mechanism_row(mechanism.type, CKF.DERIVE)
    session.require_user()
    item = session.object(handle, CKR.KEY_HANDLE_INVALID)
    check_use(item, row, CKO.PRIVATE_KEY, CKA.DERIVE)
    assert isinstance(item, DeviceKey)  # noqa: S101 - private keys are in the device, all of them
    if row.scheme is Scheme.DEVICE_DERIVE:
        return derive_in_device(session, mechanism, item, attributes)
    if item.kind.type.bits > row.max_size:
        raise Pkcs11Error(
            CKR.KEY_SIZE_RANGE,
            f"ECDH with {item.describe()}: the device gives the first 32 bytes of a secret only, and of "
            f"{item.kind.type.name} it has {item.kind.type.secret_size}; use a curve of 256 bits",
        )
    parameter = _ecdh_parameter(mechanism)
    template = Template("derived key", attributes)
    shape = secret_shape(template, SECRET_TYPES, default=CKK.GENERIC_SECRET)
    from hem_provider.publickeys import check_agreeable

    try:
        peer = device_point(item.kind, parameter.public_data)
        check_agreeable(item.kind.type, peer)
    except (Pkcs11Error, ValueError) as error:
        raise Pkcs11Error(CKR.MECHANISM_PARAM_INVALID, f"CKM_ECDH1_DERIVE: {error}") from None
    secret = session.slot.hem.ecdh(item.key.kid, peer)
    return keep(session, shape, _derived(template, shape, parameter, secret))


def _ecdh_parameter(mechanism: Mechanism) -> EcdhParameters:
    parameter = mechanism.parameter
    if not isinstance(parameter, EcdhParameters):
        raise Pkcs11Error(CKR.MECHANISM_PARAM_INVALID, "CKM_ECDH1_DERIVE takes CK_ECDH1_DERIVE_PARAMS")
    if parameter.kdf == CKD.NULL and parameter.shared_data:
        raise Pkcs11Error(CKR.MECHANISM_PARAM_INVALID, "CKD_NULL takes no shared data")
    if parameter.kdf != CKD.NULL and parameter.kdf not in _KDF_HASHES:
        raise Pkcs11Error(CKR.MECHANISM_PARAM_INVALID, f"{name_of(CKD, parameter.kdf)} is not offered")
    return parameter


def _derived(template: Template, shape: SecretShape, parameter: EcdhParameters, secret: bytes) -> bytes:
    """The key's bytes: the leading ones of the secret, or of what the KDF makes of it."""
    size = shape.size
    if parameter.kdf == CKD.NULL:
        if size is not None and size > len(secret):
            raise template.error(
                CKR.ATTRIBUTE_VALUE_INVALID, CKA.VALUE_LEN, f"the secret has {len(secret)} bytes"
            )
        value = secret[:size]
    else:
        digest = _KDF_HASHES[parameter.kdf]
        value = x963_kdf(digest, secret, parameter.shared_data, size or hashlib.new(digest).digest_size)
    check_size(template, shape.key_type, len(value))
    return value


def x963_kdf(digest: str, secret: bytes, shared: bytes, size: int) -> bytes:
    """ANSI X9.63 key derivation (SEC 1, 3.6.1): ``size`` bytes. ``digest`` is hashlib's name; ``shared``
    is the SharedInfo."""
    made = b""
    counter = 0
    while len(made) < size:
        counter += 1
        made += hashlib.new(
            digest, secret + counter.to_bytes(4, "big") + shared, usedforsecurity=False
        ).digest()
    return made[:size]


# --- wrapping ----------------------------------------------------------------------------------


def wrap_key(
    session: Session, mechanism: Mechanism, wrapping: int, handle: int, room: int | None
) -> bytes | int:
    """Wrap a readable session key; the result has its whole 8 bytes and 8 more.

    Raises CKR_KEY_UNEXTRACTABLE for what is in the device, which never leaves it, and for a key that is
    not extractable; CKR_KEY_NOT_WRAPPABLE; CKR_KEY_SIZE_RANGE where the mechanism takes no such length;
    CKR_WRAPPING_KEY_HANDLE_INVALID or CKR_WRAPPING_KEY_TYPE_INCONSISTENT; CKR_BUFFER_TOO_SMALL.
    """
    row = mechanism_row(mechanism.type, CKF.WRAP)
    item = session.object(handle, CKR.KEY_HANDLE_INVALID)
    key = _wrapping_key(session, row, mechanism, wrapping, CKA.WRAP)
    if isinstance(item, DeviceKey):
        raise Pkcs11Error(CKR.KEY_UNEXTRACTABLE, f"{item.describe()} never leaves the device")
    if not isinstance(item, SessionSecretKey):
        raise Pkcs11Error(CKR.KEY_NOT_WRAPPABLE, f"{item.describe()} is no secret key")
    if not item.extractable:
        raise Pkcs11Error(CKR.KEY_UNEXTRACTABLE, f"{item.describe()} is not extractable")
    if item.flag(CKA.WRAP_WITH_TRUSTED):
        raise Pkcs11Error(
            CKR.KEY_NOT_WRAPPABLE, f"{item.describe()} is for trusted wrapping keys only: there are none"
        )
    value = bytes(item.value)
    padded = row.scheme is Scheme.KEY_WRAP_PAD
    if not padded and (len(value) % 8 or len(value) < 16):
        raise Pkcs11Error(
            CKR.KEY_SIZE_RANGE, f"CKM_AES_KEY_WRAP takes whole 8 bytes, 16 at least, not {len(value)}"
        )
    size = -(-len(value) // 8) * 8 + 8
    return aes_wrap(key, value, padded=padded) if deliver(size, room) else size


def _wrapping_key(
    session: Session, row: MechanismRow, mechanism: Mechanism, handle: int, flag: CKA
) -> Pkcs11Object:
    no_parameter(row, mechanism)
    unwrapping = flag == CKA.UNWRAP
    bad = CKR.UNWRAPPING_KEY_HANDLE_INVALID if unwrapping else CKR.WRAPPING_KEY_HANDLE_INVALID
    item = session.object(handle, bad)
    if item.object_class != CKO.SECRET_KEY or item.key_type not in row.key_types:
        wrong = CKR.UNWRAPPING_KEY_TYPE_INCONSISTENT if unwrapping else CKR.WRAPPING_KEY_TYPE_INCONSISTENT
        raise Pkcs11Error(wrong, f"CKM_{row.type.name} takes an AES key, not {item.describe()}")
    item.require(flag)
    check_family(item, row)
    item.require_mechanism(row.type)
    return item


def unwrap_key(
    session: Session, mechanism: Mechanism, unwrapping: int, wrapped: Buffer, attributes: Sequence[Attribute]
) -> int:
    """Unwrap into a session key in memory; its handle.

    Raises CKR_WRAPPED_KEY_LEN_RANGE for other than 16 to 65544 bytes, whole 8 bytes of them;
    CKR_WRAPPED_KEY_INVALID; CKR_UNWRAPPING_KEY_HANDLE_INVALID or CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT;
    and the errors of templates.
    """
    row = mechanism_row(mechanism.type, CKF.UNWRAP)
    key = _wrapping_key(session, row, mechanism, unwrapping, CKA.UNWRAP)
    template = Template("unwrapped key", attributes)
    shape = secret_shape(template, SECRET_TYPES)
    if len(wrapped) < 16 or len(wrapped) % 8 or len(wrapped) > 2**16 + 8:
        raise Pkcs11Error(CKR.WRAPPED_KEY_LEN_RANGE, f"a wrapped key of {len(wrapped)} bytes")
    from cryptography.hazmat.primitives.keywrap import InvalidUnwrap

    try:
        value = aes_unwrap(key, bytes(wrapped), padded=row.scheme is Scheme.KEY_WRAP_PAD)
    except InvalidUnwrap:
        raise Pkcs11Error(
            CKR.WRAPPED_KEY_INVALID, "the wrapped key does not belong to this wrapping key"
        ) from None
    if shape.size not in (None, len(value)):
        raise template.error(CKR.TEMPLATE_INCONSISTENT, CKA.VALUE_LEN, f"the key has {len(value)} bytes")
    check_size(template, shape.key_type, len(value))
    return keep(session, shape, value)
