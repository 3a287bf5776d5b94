"""A CMS signature: SignedData with one signer and signed attributes (RFC 5652 §5)."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from hem_provider.adapters.cms.certificates import spki, subject_key_id
from hem_provider.adapters.cms.der import element, integer, octets, oid, sequence, set_of
from hem_provider.adapters.cms.names import (
    CONTENT_TYPE,
    DATA,
    DIGESTS,
    ECDSA_SIGNATURES,
    MESSAGE_DIGEST,
    SIGNED_DATA,
    SIGNING_TIME,
)
from hem_provider.records import frozen

__all__ = ["Draft"]

_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_PEM_LINE = 64


@frozen
class Draft:
    """What is to be signed. ``public``: the native key. ``digest``: of the file, by ``digest_name``.

    ``certificates``: the signer's first, and what leads to its authority; they go into the signature.
    ``by_key_id``: the signer is named by the identifier of its key instead of issuer and serial number, as it
    must be without a certificate. ``content``: the file itself, if it is to be in the signature.
    ``as_pem``: PEM (RFC 7468 §9) instead of DER.
    """

    public: Any
    digest_name: str
    digest: bytes
    moment: datetime
    certificates: Sequence[x509.Certificate] = ()
    by_key_id: bool = False
    content: bytes | None = None
    as_pem: bool = False

    def __post_init__(self) -> None:
        if not self.certificates and not self.by_key_id:
            raise ValueError("certificates: none, and by_key_id is not set; one of them names the signer")
        if self.certificates and spki(self.certificates[0].public_key()) != spki(self.public):
            raise ValueError(
                f"the first certificate ({self.certificates[0].subject.rfc4514_string()!r}) is of another key"
            )

    @property
    def attributes(self) -> list[bytes]:
        """The signed attributes (RFC 5652 §11)."""
        return [
            _attribute(CONTENT_TYPE, oid(DATA)),
            _attribute(SIGNING_TIME, _time(self.moment)),
            _attribute(MESSAGE_DIGEST, octets(self.digest)),
        ]

    @property
    def message(self) -> bytes:
        """What the device signs: the attributes as a SET OF (RFC 5652 §5.4)."""
        return set_of(*self.attributes)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Bytes that go to the device in each call."""
        return (len(self.message),)

    def document(self, sign: Callable[[bytes], bytes]) -> bytes:
        """The signature."""
        algorithm = sequence(oid(DIGESTS[self.digest_name]))
        signer = sequence(
            integer(3 if self.by_key_id else 1),
            self._signer(),
            algorithm,
            set_of(*self.attributes, tag=0xA0),
            sequence(oid(ECDSA_SIGNATURES[self.digest_name])),
            octets(sign(self.message)),
        )
        content = b"" if self.content is None else element(0xA0, octets(self.content))
        chain = [each.public_bytes(Encoding.DER) for each in self.certificates]
        signed = sequence(
            integer(3 if self.by_key_id else 1),
            set_of(algorithm),
            sequence(oid(DATA), content),
            set_of(*chain, tag=0xA0) if chain else b"",
            set_of(signer),
        )
        whole = sequence(oid(SIGNED_DATA), element(0xA0, signed))
        return _pem(whole) if self.as_pem else whole

    def _signer(self) -> bytes:
        if self.by_key_id:
            certificate = self.certificates[0] if self.certificates else None
            return element(0x80, subject_key_id(certificate, self.public))
        certificate = self.certificates[0]
        return sequence(certificate.issuer.public_bytes(), integer(certificate.serial_number))


def _pem(data: bytes) -> bytes:
    text = base64.b64encode(data).decode()
    lines = (text[at : at + _PEM_LINE] for at in range(0, len(text), _PEM_LINE))
    return "".join(f"{line}\n" for line in ("-----BEGIN CMS-----", *lines, "-----END CMS-----")).encode()


def _attribute(name: str, value: bytes) -> bytes:
    return sequence(oid(name), set_of(value))


def _time(moment: datetime) -> bytes:
    """RFC 5652 §11.3."""
    utc = moment.astimezone(UTC)
    if utc.year < 2050:
        return element(_UTC_TIME, utc.strftime("%y%m%d%H%M%SZ").encode())
    return element(_GENERALIZED_TIME, utc.strftime("%Y%m%d%H%M%SZ").encode())
