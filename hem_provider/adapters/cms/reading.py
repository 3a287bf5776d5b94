"""CMS signatures of others and of ours, read and checked."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec

from hem_provider.adapters.cms import is_attributes
from hem_provider.adapters.cms.certificates import load_certificate, subject_key_id
from hem_provider.adapters.cms.der import OCTETS, OID, SEQUENCE, SET, Element, integer, oid, oid_text, read
from hem_provider.adapters.cms.names import (
    CONTENT_TYPE,
    DATA,
    DIGESTS,
    EC_PUBLIC_KEY,
    ECDSA_SIGNATURES,
    MESSAGE_DIGEST,
    SIGNED_DATA,
)
from hem_provider.keys.signing import verify_digest
from hem_provider.records import frozen

__all__ = ["Cms", "is_cms"]

_PEM = re.compile(rb"-----BEGIN (CMS|PKCS7)-----\s(.*?)-----END \1-----", re.DOTALL)
#: A SEQUENCE, whose length has up to 5 bytes, and the identifier in it.
_START = re.compile(rb"\x30.{1,5}?" + re.escape(oid(SIGNED_DATA)), re.DOTALL)
_NULL = b"\x05\x00"
_INTEGER = 0x02


@frozen
class Cms:
    """A signature as it was read; nothing of it is proven before ``check``.

    ``digest_name``: of the file. ``certificates``: those in it. ``signer``: issuer with serial number, or the
    identifier of the key. ``attributes``: as a SET in DER, ``None`` where the file itself is signed.
    ``content``: the file, where it is in the signature.
    """

    digest_name: str
    signed_by: str
    certificates: tuple[x509.Certificate, ...]
    signer: tuple[bytes, int] | bytes
    attributes: bytes | None
    signature: bytes
    content: bytes | None

    @classmethod
    def read(cls, data: bytes) -> Cms:
        """In DER, BER or PEM. ``ValueError`` says what is wrong."""
        try:
            return cls._parsed(_unarmoured(data))
        except ValueError as error:
            raise ValueError(f"no CMS signature that can be read here: {error}") from None

    @classmethod
    def _parsed(cls, data: bytes) -> Cms:
        name, wrapped = read(data).expect(SEQUENCE).parts(OID, 0xA0)
        if oid_text(name.content) != SIGNED_DATA:
            raise ValueError(f"content of type {oid_text(name.content)}, not signed data")
        (signed,) = wrapped.parts(SEQUENCE)
        version, digests, encapsulated, *optional, signers = _at_least(signed, 4)
        certificates: tuple[x509.Certificate, ...] = ()
        for each in optional:
            if each.expect(0xA0, 0xA1).tag == 0xA0:
                certificates = tuple(load_certificate(one.raw) for one in each)
        infos = list(signers.expect(SET))
        if len(infos) != 1:
            raise ValueError(f"{len(infos)} signers; accepted: one")
        info = _signer_info(infos[0])
        named = [_name_of(each, DIGESTS) for each in digests.expect(SET)]
        expected = integer(1 if isinstance(info["signer"], tuple) else 3)  # RFC 5652 §5.1
        if version.raw != expected or info["digest_name"] not in named:
            raise ValueError("a version or a list of digests that does not go with its signer")
        return cls(certificates=certificates, content=_content(encapsulated), **info)

    @property
    def told(self) -> str:
        """For people."""
        how = "issuer and serial number" if isinstance(self.signer, tuple) else "key identifier"
        return f"{self.digest_name}, signer named by {how}"

    def find_signer(self, certificates: tuple[x509.Certificate, ...]) -> x509.Certificate | None:
        """The certificate among these that the signature names."""
        return next((each for each in certificates if self._is_signer(each)), None)

    def _is_signer(self, certificate: x509.Certificate) -> bool:
        if isinstance(self.signer, tuple):
            return (certificate.issuer.public_bytes(), certificate.serial_number) == self.signer
        try:
            return subject_key_id(certificate, certificate.public_key()) == self.signer
        except (ValueError, UnsupportedAlgorithm):  # nobody's whom we know
            return False

    def check(self, public: Any, digest: bytes, beginning: bytes | None = None) -> None:
        """``InvalidSignature`` unless it is of a file with this digest, by this native key.

        ``beginning``: the file's first ``cms.BEGINNING`` bytes; a signature without signed attributes is good
        only where they are known, and not those of such attributes.
        """
        if not isinstance(public, ec.EllipticCurvePublicKey):
            raise InvalidSignature("it is by an EC key, and this is another")
        if self.content is not None and hashlib.new(self.digest_name, self.content).digest() != digest:
            raise InvalidSignature("the file in it is another")
        if self.attributes is None:
            if beginning is None or is_attributes(beginning):
                raise InvalidSignature(
                    "the file may be the signed attributes of another signature, and this one has none"
                )
            verify_digest(public, self.signature, self._for_signing(digest), self.signed_by)
            return
        _check_attributes(read(self.attributes), digest)
        signed = hashlib.new(self.signed_by, self.attributes).digest()
        verify_digest(public, self.signature, signed, self.signed_by)

    def _for_signing(self, digest: bytes) -> bytes:
        if self.signed_by != self.digest_name:
            raise InvalidSignature(f"it is by {self.signed_by}, of a file's {self.digest_name}")
        return digest


def is_cms(data: bytes) -> bool:
    """Whether a file looks like a CMS signature."""
    return _PEM.search(data) is not None or _START.match(data) is not None


def _unarmoured(data: bytes) -> bytes:
    found = _PEM.search(data)
    if found is None:
        return data
    try:
        return base64.b64decode(b"".join(found[2].split()), validate=True)
    except binascii.Error:
        raise ValueError("it is not base64 between its lines") from None


def _at_least(parent: Element, count: int) -> list[Element]:
    found = list(parent.expect(SEQUENCE))
    if len(found) < count:
        raise ValueError(f"{len(found)} elements where {count} at least are due")
    return found


def _content(encapsulated: Element) -> bytes | None:
    name, *wrapped = _at_least(encapsulated, 1)
    if oid_text(name.expect(OID).content) != DATA:
        raise ValueError(f"a signature of content of type {oid_text(name.content)}; accepted: data")
    if not wrapped:
        return None
    (octets,) = wrapped[0].expect(0xA0)
    return octets.expect(OCTETS, OCTETS | 0x20).bytes_of()


def _signer_info(info: Element) -> dict[str, Any]:
    """RFC 5652 §5.3, as arguments of ``Cms``."""
    parts = iter(_at_least(info, 5))
    version, named = next(parts), next(parts)
    if version.raw != integer(1 if named.expect(SEQUENCE, 0x80).tag == SEQUENCE else 3):
        raise ValueError("a version that does not go with how the signer is named")
    if named.tag == SEQUENCE:
        issuer, serial = named.parts(SEQUENCE, _INTEGER)
        signer: tuple[bytes, int] | bytes = (issuer.raw, int.from_bytes(serial.content, "big", signed=True))
    else:
        signer = named.content
    digest_name = _name_of(next(parts), DIGESTS)
    following = next(parts)
    attributes = None
    if following.tag == 0xA0:
        attributes = bytes([SET]) + following.raw[1:]
        following = next(parts)
    if _algorithm(following) == EC_PUBLIC_KEY:
        signed_by = digest_name
    else:
        signed_by = _name_of(following, ECDSA_SIGNATURES)
    signature = next(parts).expect(OCTETS).content
    for each in parts:
        each.expect(0xA1)  # attributes that are not signed
    return {
        "digest_name": digest_name,
        "signed_by": signed_by,
        "signer": signer,
        "attributes": attributes,
        "signature": signature,
    }


def _algorithm(element: Element) -> str:
    name, *parameters = _at_least(element, 1)
    if [each.raw for each in parameters] not in ([], [_NULL]):
        raise ValueError("an algorithm with parameters")
    return oid_text(name.expect(OID).content)


def _name_of(element: Element, names: Any) -> str:
    found = _algorithm(element)
    for name, each in names.items():
        if each == found:
            return str(name)
    raise ValueError(f"algorithm {found}; accepted: ECDSA with {', '.join(names)}")


def _check_attributes(attributes: Element, digest: bytes) -> None:
    """RFC 5652 §11.1, §11.2: both must be there once, with one value."""
    found: dict[str, list[Element]] = {}
    for name, values in (each.parts(OID, SET) for each in attributes):
        found.setdefault(oid_text(name.content), []).extend(_nonempty(values))
    if [oid_text(each.content) for each in found.get(CONTENT_TYPE, [])] != [DATA]:
        raise InvalidSignature("its attributes do not say that it is of data")
    if [each.content for each in found.get(MESSAGE_DIGEST, [])] != [digest]:
        raise InvalidSignature("it is of another file, or the file was changed")


def _nonempty(values: Element) -> Iterator[Element]:
    found = list(values)
    if not found:
        raise ValueError("an attribute without a value")
    yield from found
