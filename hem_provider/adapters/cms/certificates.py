"""Certificates as they are needed for CMS: what cannot be read in one is a ``ValueError``."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.utils import CryptographyDeprecationWarning

from hem_provider.adapters.cms.der import read

__all__ = ["extension", "load_certificate", "load_certificates", "spki", "subject_key_id"]

T = TypeVar("T")
_PEM = b"-----BEGIN CERTIFICATE-----"


def load_certificates(data: bytes) -> tuple[x509.Certificate, ...]:
    """Those of a file: one or several in PEM, or one in DER. ``ValueError``."""
    if _PEM not in data:
        return (load_certificate(data),)
    return tuple(_loaded(x509.load_pem_x509_certificates, data))


def load_certificate(data: bytes) -> x509.Certificate:
    """One in DER. ``ValueError``."""
    return _loaded(x509.load_der_x509_certificate, data)


def _loaded(load: Callable[[bytes], T], data: bytes) -> T:
    """What ``cryptography`` says it will refuse one day is refused now: people would read its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", CryptographyDeprecationWarning)
        try:
            return load(data)
        except (x509.InvalidVersion, CryptographyDeprecationWarning) as error:
            raise ValueError(str(error)) from None


def extension(certificate: x509.Certificate, kind: type[Any]) -> Any:
    """The extension of this class, ``None`` where there is none. ``ValueError``."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
    except (x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise ValueError(f"a certificate whose extensions cannot be read: {error}") from None


def subject_key_id(certificate: x509.Certificate | None, public: Any) -> bytes:
    """As the certificate says, else the SHA-1 of the public key (RFC 5280 §4.2.1.2, method 1)."""
    found = extension(certificate, x509.SubjectKeyIdentifier) if certificate is not None else None
    if found is not None:
        return bytes(found.digest)
    *_, bits = read(spki(public))
    return hashlib.sha1(bits.content[1:], usedforsecurity=False).digest()


def spki(public: Any) -> bytes:
    """A native public key in DER (RFC 5280 §4.1.2.7)."""
    return bytes(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
