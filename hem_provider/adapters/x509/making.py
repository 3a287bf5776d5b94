"""Requests and certificates, each with one signature of a device, verified before it is handed out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from hem_provider.adapters.x509.names import alternative_names, is_typed, told
from hem_provider.adapters.x509.profiles import PROFILES, Profile
from hem_provider.device.key import Key
from hem_provider.errors import HemAnswerFault, HemError, MessageTooLong
from hem_provider.keytypes import ECDSA, Family
from hem_provider.printable import printable
from hem_provider.records import frozen

__all__ = ["MOST_DAYS", "CertificateRefused", "Wish", "issue", "named", "request", "self_signed"]

T = TypeVar("T")

#: Longest validity, in days.
MOST_DAYS = 36_500
#: Certificates are good from a little before they are made: other clocks are behind ours.
_BEFORE = timedelta(minutes=5)
_SIGNING = (Family.EC, Family.EDWARDS, Family.MLDSA)
_LEAST_RSA = 2 * 1024
_UNREADABLE = (ValueError, x509.UnsupportedGeneralNameType, x509.DuplicateExtension)


class CertificateRefused(HemError):
    """What is asked for would be no good certificate, or the key is none for certificates."""


@frozen
class Wish:
    """What a certificate is to say. ``days``: of validity; where ``None``, the profile's, and no longer than
    the issuer's. ``path_length``: how many authorities may stand below this one, 0 where ``None``.
    ``subject`` and ``names``: empty for what a request says."""

    profile: str
    subject: x509.Name | None = None
    names: tuple[x509.GeneralName, ...] = ()
    days: int | None = None
    path_length: int | None = None


def request(
    key: Key, subject: x509.Name, names: Iterable[x509.GeneralName]
) -> x509.CertificateSigningRequest:
    """A request for a certificate (PKCS#10) by a key of the device. ``CertificateRefused``; what the device
    raises."""
    private, algorithm = _signer(key)
    alternative = alternative_names(names)
    if alternative is None and not subject.rdns:
        raise CertificateRefused("a request needs a subject, or a name")
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if alternative is not None:
        builder = builder.add_extension(alternative, critical=not subject.rdns)
    made = _signed(key, lambda: builder.sign(private, algorithm))
    if not made.is_signature_valid:
        raise HemAnswerFault(f"key {key.kid}: the signature under the request is wrong; it was thrown away")
    return made


def self_signed(key: Key, wish: Wish) -> x509.Certificate:
    """A certificate for a key of the device, signed by that key. Errors as for ``request``."""
    private, algorithm = _signer(key)
    profile, subject = PROFILES[wish.profile], wish.subject or x509.Name([])
    if not subject.rdns:
        raise CertificateRefused("a certificate that signs itself needs a subject, which is its issuer, too")
    begin = _now() - _BEFORE
    builder = _begun(profile, wish, private.public_key(), subject, wish.names)
    builder = builder.issuer_name(subject)
    builder = _dated(builder, begin, begin + _days(wish, profile))
    if profile.ca:
        builder = _as_authority(builder, 0 if wish.path_length is None else wish.path_length)
    return _verified(key, _signed(key, lambda: builder.sign(private, algorithm)), None)


def named(
    asked: x509.CertificateSigningRequest, wish: Wish
) -> tuple[x509.Name, tuple[x509.GeneralName, ...]]:
    """Subject and names of a certificate on a request: those wished, or else those asked for.

    ``CertificateRefused`` for names of kinds that ``names.read_name`` does not read, which few can judge.
    """
    names = wish.names or tuple(_names_of(asked))
    others = [told(each) for each in names if not is_typed(each)]
    if others:
        raise CertificateRefused(
            f"the request is for {printable(', '.join(others)):.300}; accepted: DNS names, addresses, mail "
            "addresses and URIs; --san gives others in the place of all that it asks for"
        )
    return asked.subject if wish.subject is None else wish.subject, names


def issue(
    key: Key, issuer: x509.Certificate, asked: x509.CertificateSigningRequest, wish: Wish
) -> x509.Certificate:
    """A certificate on a request, signed by a key of the device, which ``issuer`` is the certificate of.

    Of the request, its key, and where ``wish`` has none its subject and names, are taken over; what else it
    asks for is not. Errors as for ``request`` and ``named``.
    """
    private, algorithm = _signer(key)
    profile = PROFILES[wish.profile]
    _check_request(asked)
    _check_issuer(key, private, issuer)
    subject, names = named(asked, wish)
    builder = _begun(profile, wish, asked.public_key(), subject, names)
    begin, last = max(_now() - _BEFORE, issuer.not_valid_before_utc), issuer.not_valid_after_utc
    end = begin + _days(wish, profile)
    if end > last and wish.days is not None:
        left = (last - begin).days
        raise CertificateRefused(
            f"{wish.days} days are more than the certificate of the issuer is good for, which is {left}"
        )
    builder = _dated(builder.issuer_name(issuer.subject), begin, min(end, last))
    builder = builder.add_extension(_authority_key(issuer), critical=False)
    if profile.ca:
        builder = _as_authority(builder, _length_below(issuer, wish.path_length))
    return _verified(key, _signed(key, lambda: builder.sign(private, algorithm)), issuer)


def _signer(key: Key) -> tuple[Any, Any]:
    """The private key, and the digest that goes with its type."""
    kind = key.type
    if kind.family not in _SIGNING:
        raise CertificateRefused(
            f"key {key.kid} ({key.label!r}) is {kind.name}, which signs nothing; accepted: P-256, P-384, "
            "P-521, secp256k1, Ed25519, Ed448 and ML-DSA"
        )
    try:
        private = key.private_key()
    except UnsupportedAlgorithm as error:
        raise CertificateRefused(str(error)) from None
    if kind.family is not Family.EC:
        return private, None
    digest = next(name for name, literal in ECDSA.items() if literal == kind.sign_algorithms[0])
    return private, getattr(hashes, digest.upper())()


def _signed(key: Key, sign: Callable[[], T]) -> T:
    try:
        return sign()
    except MessageTooLong as error:
        raise MessageTooLong(
            f"what is to be signed has {error.size} bytes, and the device signs at most {error.limit}: take "
            "fewer or shorter names, or a key with a shorter public half",
            size=error.size,
            limit=error.limit,
        ) from None
    except UnsupportedAlgorithm as error:
        raise CertificateRefused(f"key {key.kid} ({key.label!r}): {error}") from None


def _begun(
    profile: Profile,
    wish: Wish,
    public: Any,
    subject: x509.Name,
    names: Iterable[x509.GeneralName],
) -> x509.CertificateBuilder:
    """With all that does not depend on the issuer."""
    alternative = alternative_names(names)
    hosts = (x509.DNSName, x509.IPAddress)
    if profile.names and not any(isinstance(each, hosts) for each in alternative or ()):
        raise CertificateRefused(
            f"a {wish.profile}'s certificate is for DNS names or addresses, and there is none: "
            "give --san DNS:NAME"
        )
    if not subject.rdns and (profile.ca or alternative is None):
        raise CertificateRefused("a certificate needs a subject; one that is no authority's, at least a name")
    if wish.path_length is not None and not profile.ca:
        raise CertificateRefused(f"a path length is for profile ca alone, and this is {wish.profile}")
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(profile.key_usage(), critical=True)
    )
    if not profile.ca:
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    if profile.extended is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([profile.extended]), critical=False)
    if alternative is not None:
        builder = builder.add_extension(alternative, critical=not subject.rdns)
    return builder


def _as_authority(builder: x509.CertificateBuilder, length: int) -> x509.CertificateBuilder:
    return builder.add_extension(x509.BasicConstraints(ca=True, path_length=length), critical=True)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _days(wish: Wish, profile: Profile) -> timedelta:
    return timedelta(days=profile.days if wish.days is None else wish.days)


def _dated(builder: x509.CertificateBuilder, begin: datetime, end: datetime) -> x509.CertificateBuilder:
    return builder.not_valid_before(begin).not_valid_after(end)


def _check_request(asked: x509.CertificateSigningRequest) -> None:
    try:
        if not asked.is_signature_valid:
            raise CertificateRefused("the request is not signed by the key that it is for")
        public = asked.public_key()
    except (UnsupportedAlgorithm, ValueError) as error:
        raise CertificateRefused(f"the request is for a key that is not known here: {error}") from None
    if isinstance(public, rsa.RSAPublicKey) and public.key_size < _LEAST_RSA:
        raise CertificateRefused(
            f"the request is for an RSA key of {public.key_size} bits, which is too short"
        )


def _check_issuer(key: Key, private: Any, issuer: x509.Certificate) -> None:
    who = printable(issuer.subject.rfc4514_string())
    if issuer.public_key() != private.public_key():
        raise CertificateRefused(
            f"the certificate of {who} is for another key than {key.kid} ({key.label!r})"
        )
    constraints = _extension(issuer, x509.BasicConstraints)
    usage = _extension(issuer, x509.KeyUsage)
    if constraints is None or not constraints.ca or (usage is not None and not usage.key_cert_sign):
        raise CertificateRefused(f"the certificate of {who} is no authority's: it may issue none")
    if issuer.not_valid_after_utc <= _now():
        raise CertificateRefused(
            f"the certificate of {who} was good until {issuer.not_valid_after_utc:%Y-%m-%d}"
        )


def _length_below(issuer: x509.Certificate, wanted: int | None) -> int:
    """Of an authority under ``issuer``, which may itself have so many below it."""
    constraints = _extension(issuer, x509.BasicConstraints)
    most = None if constraints is None or constraints.path_length is None else constraints.path_length - 1
    if most is not None and (most < 0 or (wanted or 0) > most):
        may = "no authority" if most < 0 else f"authorities of a path length up to {most}"
        raise CertificateRefused(
            f"{printable(issuer.subject.rfc4514_string())} may issue {may} (its own is {most + 1})"
        )
    return wanted or 0


def _authority_key(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    known = _extension(issuer, x509.SubjectKeyIdentifier)
    if known is not None:
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(known)
    public: Any = issuer.public_key()
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(public)


def _names_of(asked: x509.CertificateSigningRequest) -> Iterable[x509.GeneralName]:
    try:
        return asked.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    except _UNREADABLE as error:
        raise CertificateRefused(f"the request has extensions that cannot be read: {error}") from None


def _extension(certificate: x509.Certificate, kind: type[T]) -> T | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value  # type: ignore[type-var]
    except x509.ExtensionNotFound:
        return None
    except _UNREADABLE as error:
        raise CertificateRefused(f"the issuer's certificate cannot be read: {error}") from None


def _verified(key: Key, made: x509.Certificate, issuer: x509.Certificate | None) -> x509.Certificate:
    try:
        made.verify_directly_issued_by(made if issuer is None else issuer)
    except InvalidSignature:
        raise HemAnswerFault(
            f"key {key.kid}: the signature under the certificate is wrong; it was thrown away"
        ) from None
    return made
