"""Templates of certificates and data objects.

What a certificate says by itself (names, serial number, key, check value) is read from it. A template
may say it as well, and not otherwise; an empty value says nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from hem_pkcs11.constants import CKA, CKC, CKM, CKO, CKR
from hem_pkcs11.templates.rules import RULES, Column, How
from hem_pkcs11.templates.template import Template, check_template

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

__all__ = ["stored_values"]

_COLUMNS = {CKO.DATA: Column.DATA, CKO.CERTIFICATE: Column.CERTIFICATE}
#: CKA_CERTIFICATE_CATEGORY and CKA_JAVA_MIDP_SECURITY_DOMAIN both have 0 to 3.
_MOST = 3
_HASHES: Mapping[int, str] = {
    CKM.SHA_1: "sha1", CKM.SHA224: "sha224", CKM.SHA256: "sha256", CKM.SHA384: "sha384", CKM.SHA512: "sha512",
    CKM.SHA3_224: "sha3_224", CKM.SHA3_256: "sha3_256", CKM.SHA3_384: "sha3_384", CKM.SHA3_512: "sha3_512",
}  # fmt: skip


def stored_values(template: Template, object_class: CKO) -> dict[int, bytes]:
    """The attributes of what a template for C_CreateObject describes; defaults are not among them.

    Raises CKR_TEMPLATE_INCOMPLETE, CKR_TEMPLATE_INCONSISTENT, CKR_ATTRIBUTE_TYPE_INVALID or
    CKR_ATTRIBUTE_VALUE_INVALID, naming the attribute.
    """
    column = _COLUMNS[object_class]
    check_template(template, column)
    rules = RULES[column]
    elsewhere = (CKA.TOKEN, CKA.PRIVATE)
    given = {
        kind: template.needed(kind)
        for kind in template.kinds()
        if rules[kind].how is not How.FIXED and kind not in elsewhere
    }
    return given if object_class == CKO.DATA else _certificate(template, given)


def _certificate(template: Template, given: dict[int, bytes]) -> dict[int, bytes]:
    if template.number(CKA.CERTIFICATE_TYPE) not in (None, CKC.X_509):
        raise template.error(CKR.ATTRIBUTE_VALUE_INVALID, CKA.CERTIFICATE_TYPE, "accepted: CKC_X_509")
    der = template.needed(CKA.VALUE)
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        read = x509.load_der_x509_certificate(der)
        public = read.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except Exception:  # whatever the parser finds wrong with it
        raise template.error(CKR.ATTRIBUTE_VALUE_INVALID, CKA.VALUE, "no X.509 certificate in DER") from None
    for each in (CKA.CERTIFICATE_CATEGORY, CKA.JAVA_MIDP_SECURITY_DOMAIN):
        if (template.number(each) or 0) > _MOST:
            raise template.error(
                CKR.ATTRIBUTE_VALUE_INVALID, each, f"{template.number(each)}; accepted: 0 to {_MOST}"
            )
    _check_hashes(template)
    derived = _derived(read, der, public)
    for kind, value in derived.items():
        said = given.get(kind)
        if said and said != value and not (kind == CKA.SERIAL_NUMBER and _same_serial(said, read)):
            raise template.error(
                CKR.ATTRIBUTE_VALUE_INVALID, kind, f"{len(said)} bytes that are not those of the certificate"
            )
    return {**given, **{kind: given.get(kind) or value for kind, value in derived.items()}}


def _derived(read: Certificate, der: bytes, public: bytes) -> Mapping[int, bytes]:
    number = read.serial_number
    content = number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True)
    return {
        CKA.SUBJECT: read.subject.public_bytes(),
        CKA.ISSUER: read.issuer.public_bytes(),
        CKA.SERIAL_NUMBER: bytes((0x02, len(content))) + content,
        CKA.PUBLIC_KEY_INFO: public,
        CKA.CHECK_VALUE: hashlib.sha1(der, usedforsecurity=False).digest()[:3],
    }


def _check_hashes(template: Template) -> None:
    """Hashes of the keys are of the length that their algorithm makes."""
    algorithm = template.number(CKA.NAME_HASH_ALGORITHM)
    name = _HASHES.get(CKM.SHA_1 if algorithm is None else algorithm)
    if name is None:
        raise template.error(
            CKR.ATTRIBUTE_VALUE_INVALID, CKA.NAME_HASH_ALGORITHM, "no hash that is known here"
        )
    size = hashlib.new(name, usedforsecurity=False).digest_size
    for kind in (CKA.HASH_OF_SUBJECT_PUBLIC_KEY, CKA.HASH_OF_ISSUER_PUBLIC_KEY):
        value = template.raw(kind)
        if value and len(value) != size:
            raise template.error(
                CKR.ATTRIBUTE_VALUE_INVALID, kind, f"{len(value)} bytes; a hash of {name} has {size}"
            )


def _same_serial(said: bytes, read: Certificate) -> bool:
    """The number's bytes without their ASN.1 head, as Java gives them."""
    return int.from_bytes(said, "big", signed=True) == read.serial_number or (
        int.from_bytes(said, "big") == read.serial_number
    )
