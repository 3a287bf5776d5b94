"""Encrypting and decrypting with AES: the operation for a mechanism."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hem_pkcs11.constants import CKA, CKF, CKO
from hem_pkcs11.mechanisms import MechanismRow, Scheme, invalid_parameter, mechanism_row, no_parameter
from hem_pkcs11.objects.object import Pkcs11Object
from hem_pkcs11.operations.gcm import GcmDecryption, GcmEncryption, gcm_context, gcm_sizes
from hem_pkcs11.operations.key_checks import check_family, check_use
from hem_pkcs11.operations.modes import BLOCK, Blocks, CipherOperation, Counter, Padded, cipher_context
from hem_pkcs11.values import CtrParameters, GcmParameters, Mechanism

__all__ = ["cipher"]


def _ecb(item: Pkcs11Object, row: MechanismRow, mechanism: Mechanism, encrypting: bool) -> CipherOperation:
    from cryptography.hazmat.primitives.ciphers import modes

    no_parameter(row, mechanism)
    return Blocks(cipher_context(item, modes.ECB(), encrypting=encrypting), encrypting=encrypting)  # noqa: S305


def _cbc(item: Pkcs11Object, row: MechanismRow, mechanism: Mechanism, encrypting: bool) -> CipherOperation:
    from cryptography.hazmat.primitives.ciphers import modes

    iv = mechanism.parameter
    if not isinstance(iv, bytes) or len(iv) != BLOCK:
        raise invalid_parameter(row, "an IV of 16 bytes")
    made = Padded if row.scheme is Scheme.CBC_PAD else Blocks
    return made(cipher_context(item, modes.CBC(iv), encrypting=encrypting), encrypting=encrypting)


def _ctr(item: Pkcs11Object, row: MechanismRow, mechanism: Mechanism, encrypting: bool) -> CipherOperation:
    from cryptography.hazmat.primitives.ciphers import modes

    given = mechanism.parameter
    if not isinstance(given, CtrParameters) or not 1 <= given.counter_bits <= 8 * BLOCK:
        raise invalid_parameter(row, "CK_AES_CTR_PARAMS with 1 to 128 counter bits")
    return Counter(
        cipher_context(item, modes.CTR(given.block), encrypting=encrypting), given, encrypting=encrypting
    )


def _gcm(item: Pkcs11Object, row: MechanismRow, mechanism: Mechanism, encrypting: bool) -> CipherOperation:
    given = mechanism.parameter
    if not isinstance(given, GcmParameters):
        raise invalid_parameter(row, "CK_GCM_PARAMS")
    checked = gcm_sizes(row, len(given.iv), given.tag_bits)
    context = gcm_context(item, given.iv, given.associated_data, checked.tag, encrypting=encrypting)
    return (GcmEncryption if encrypting else GcmDecryption)(context, checked.tag)


_MAKERS: Mapping[Scheme, Callable[[Pkcs11Object, MechanismRow, Mechanism, bool], CipherOperation]] = {
    Scheme.ECB: _ecb,
    Scheme.CBC: _cbc,
    Scheme.CBC_PAD: _cbc,
    Scheme.CTR: _ctr,
    Scheme.GCM: _gcm,
}


def cipher(item: Pkcs11Object, mechanism: Mechanism, *, encrypting: bool) -> CipherOperation:
    """The operation for ``C_EncryptInit`` or ``C_DecryptInit``.

    Raises CKR_MECHANISM_INVALID, CKR_MECHANISM_PARAM_INVALID, and what ``check_use`` and ``check_family`` do.
    """
    row = mechanism_row(mechanism.type, CKF.ENCRYPT if encrypting else CKF.DECRYPT)
    check_use(item, row, CKO.SECRET_KEY, CKA.ENCRYPT if encrypting else CKA.DECRYPT)
    check_family(item, row)
    return _MAKERS[row.scheme](item, row, mechanism, encrypting)
