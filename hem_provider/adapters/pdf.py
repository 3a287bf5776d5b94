"""A signer for pyHanko: PDF signatures, and CMS signatures of any other file, by a key of a HEM::

    signer = PdfSigner(key, certificate)
    signers.sign_pdf(writer, signers.PdfSignatureMetadata(field_name="Signature"), signer, output=file)

What the device signs are the signed attributes (RFC 5652 §5.4), a few hundred bytes whatever the document's
size: one call a signature. Attributes of more than it takes, as with revocation information or a time stamp
of the content among them, are refused.

EC keys, Ed25519 and Ed448 (RFC 8419), and ML-DSA (RFC 9882). pyHanko 0.38 and newer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from hem_provider.device.hem import Key
from hem_provider.errors import HemOperationFailed, MessageTooLong
from hem_provider.installation import lacking
from hem_provider.keys.signing import SIGNING, algorithm_of, check_signs, native, sign
from hem_provider.keytypes import Family, KeyType

try:
    from pyhanko.keys import load_certs_from_pemder_data
    from pyhanko.sign.signers import Signer
except ImportError as error:
    raise lacking(__name__, error) from None

__all__ = ["PdfSigner"]


class PdfSigner(Signer):
    """A key of a HEM and its certificate. ``certificates``: the key's own, and those of the authorities above
    it, to be put into signatures, in any order: PEM with one or several, DER, or ``cryptography``'s objects.
    ``embed_roots``: whether those that signed themselves are put in, too.

    Making one asks the device for the public half, once, where that is not known yet. ``HemOperationFailed``
    for a key that does not sign, ``ValueError`` where no certificate is the key's.
    """

    def __init__(self, key: Key, *certificates: bytes | x509.Certificate, embed_roots: bool = True) -> None:
        if key.type.family not in SIGNING:
            raise HemOperationFailed(f"key {key.kid} ({key.label!r}) is {key.type.name}, which does not sign")
        check_signs(key, algorithm_of(key.type))
        own, others = _sorted(key, certificates)
        super().__init__(signing_cert=own, embed_roots=embed_roots)
        self.cert_registry.register_multiple(others)
        self.hem_key = key

    async def async_sign_raw(self, data: bytes, digest_algorithm: str, dry_run: bool = False) -> bytes:
        """A signature of ``data``, the signed attributes; with ``dry_run`` as many bytes as it has at most,
        without a call. ``MessageTooLong``; ``ValueError`` for a digest that the key does not sign with."""
        algorithm = _algorithm(self.hem_key.type, digest_algorithm)
        _check_size(len(data), self.hem_key.operations.limits.message)
        if dry_run:
            return bytes(_most(self.hem_key.type))
        return await asyncio.to_thread(sign, self.hem_key, data, algorithm)


def _algorithm(kind: KeyType, digest: str) -> str:
    """Digests of EdDSA and ML-DSA are of the document alone; pyHanko sees to it that RFC 8419's are taken."""
    return algorithm_of(kind, digest.replace("-", "") if kind.family is Family.EC else None)


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise MessageTooLong(
            f"signed attributes: {size} bytes; the device takes at most {limit} in one operation. Keep out "
            "of them what is big: revocation information (subfilter PAdES puts it beside the signature) and "
            "a time stamp of the content (one of the signature is not signed)",
            size=size,
            limit=limit,
        )


def _most(kind: KeyType) -> int:
    """Bytes of a signature: of ECDSA in DER with both numbers of a byte more than the field."""
    size = kind.signature_size or 0
    return size + 9 if kind.family is Family.EC else size


def _sorted(key: Key, certificates: Iterable[bytes | x509.Certificate]) -> tuple[Any, list[Any]]:
    """The key's own certificate, and the others, as pyHanko has them."""
    public: Any = native(key)
    all_of_them = [each for one in certificates for each in _loaded(one)]
    own = next((each for each in all_of_them if _is_of(each, public)), None)
    if own is None:
        raise ValueError(
            f"certificates: {len(all_of_them)}, and none is for key {key.kid} ({key.label!r}); accepted: "
            "PEM, DER or cryptography's, among them the key's own"
        )
    others = [_asn1(each) for each in all_of_them if each != own]
    return _asn1(own), others


def _loaded(certificate: bytes | x509.Certificate) -> list[x509.Certificate]:
    if isinstance(certificate, x509.Certificate):
        return [certificate]
    if not isinstance(certificate, bytes):
        raise TypeError(f"certificates: {type(certificate).__name__}; accepted: bytes or Certificate")
    try:
        if b"-----BEGIN" in certificate:
            return x509.load_pem_x509_certificates(certificate)
        return [x509.load_der_x509_certificate(certificate)]
    except ValueError:
        raise ValueError(
            f"certificates: {len(certificate)} bytes that are no certificate in PEM or DER"
        ) from None


def _is_of(certificate: x509.Certificate, public: Any) -> bool:
    try:
        return bool(certificate.public_key() == public)
    except ValueError:  # of a key that cryptography does not know
        return False


def _asn1(certificate: x509.Certificate) -> Any:
    (loaded,) = load_certs_from_pemder_data(certificate.public_bytes(Encoding.DER))
    return loaded
