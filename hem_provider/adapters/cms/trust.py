"""Whether a signer's certificate is one to believe: valid now, for signing, and of an authority."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID

from hem_provider.adapters.cms.certificates import extension

__all__ = ["check_authority", "check_dates", "may_sign"]

#: Purposes of which those of a chain that say any must have one in common. The last: RFC 9336.
_PURPOSES = frozenset(
    {
        ExtendedKeyUsageOID.EMAIL_PROTECTION,
        ExtendedKeyUsageOID.CODE_SIGNING,
        x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36"),
    }
)

#: What the reasons of ``cryptography`` begin with.
_ALWAYS = "validation failed: candidates exhausted: "


def check_dates(certificate: x509.Certificate, moment: datetime) -> None:
    """``ValueError`` for one that is not valid yet, or no more."""
    for wrong, what, date in (
        (moment < certificate.not_valid_before_utc, "is not valid before", certificate.not_valid_before_utc),
        (moment > certificate.not_valid_after_utc, "expired on", certificate.not_valid_after_utc),
    ):
        if wrong:
            raise ValueError(f"the certificate {what} {date.astimezone(UTC):%Y-%m-%d %H:%M} UTC")


def check_authority(
    certificate: x509.Certificate,
    between: Sequence[x509.Certificate],
    authorities: Sequence[x509.Certificate],
    moment: datetime,
) -> None:
    """``ValueError`` unless the certificate is valid at that moment, may sign, and is one of ``authorities``
    or leads to one, by way of those ``between`` (RFC 5280 §6). There must be a purpose of ``_PURPOSES`` that
    each of this chain permits: those without extended key usage, and those for any, permit all.

    ``cryptography`` takes authorities with RSA keys and such on P-256, P-384 and P-521.
    """
    check_dates(certificate, moment)
    _check_purpose(certificate)
    if certificate in authorities:
        return
    policy = verification.ExtensionPolicy.permit_all()
    of_authorities = policy.require_present(
        x509.BasicConstraints, verification.Criticality.AGNOSTIC, None
    ).may_be_present(x509.KeyUsage, verification.Criticality.AGNOSTIC, _check_may_certify)
    of_authorities = of_authorities.may_be_present(
        x509.ExtendedKeyUsage, verification.Criticality.AGNOSTIC, _check_purposes_below(certificate)
    )
    verifier = (
        verification.PolicyBuilder()
        .store(verification.Store(list(authorities)))
        .time(moment)
        .extension_policies(ca_policy=of_authorities, ee_policy=policy)
        .build_client_verifier()
    )
    try:
        chain = verifier.verify(certificate, list(between)).chain
    except (verification.VerificationError, UnsupportedAlgorithm) as error:
        reason = str(error).removeprefix(_ALWAYS).partition(": AlgorithmIdentifier")[0]
        raise ValueError(f"the certificate does not lead to the authority: {reason}") from None
    common = _PURPOSES
    for each in chain:
        common &= _purposes(extension(each, x509.ExtendedKeyUsage))
    if not common:
        raise ValueError("the certificate and its authorities have no purpose of signing in common")


def may_sign(certificate: x509.Certificate) -> bool:
    """Whether it may be a signer's: its key usage lets it sign; without any, it is no authority's."""
    try:
        usage = extension(certificate, x509.KeyUsage)
        constraints = extension(certificate, x509.BasicConstraints)
    except ValueError:
        return False
    if usage is None:
        return constraints is None or not constraints.ca
    return bool(usage.digital_signature or usage.content_commitment)


def _check_purpose(certificate: x509.Certificate) -> None:
    usage = extension(certificate, x509.KeyUsage)
    if usage is not None and not usage.digital_signature and not usage.content_commitment:
        raise ValueError("the certificate is not for signatures, as its key usage says")
    if not _purposes(extension(certificate, x509.ExtendedKeyUsage)):
        raise ValueError(
            "the certificate is not for signing code, mail or documents, as its extended key usage says"
        )


def _purposes(usage: x509.ExtendedKeyUsage | None) -> frozenset[x509.ObjectIdentifier]:
    """Those of ``_PURPOSES`` that an extended key usage permits."""
    if usage is None or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usage:
        return _PURPOSES
    return _PURPOSES.intersection(usage)


def _check_purposes_below(certificate: x509.Certificate) -> Callable[..., None]:
    """What an authority above ``certificate`` must permit: one purpose of it at least."""
    wanted = _purposes(extension(certificate, x509.ExtendedKeyUsage))

    def check(
        _policy: verification.Policy, _certificate: x509.Certificate, usage: x509.ExtendedKeyUsage | None
    ) -> None:
        if not wanted & _purposes(usage):
            raise ValueError("an authority that is not for what is signed, as its extended key usage says")

    return check


def _check_may_certify(
    _policy: verification.Policy, _certificate: x509.Certificate, usage: x509.KeyUsage | None
) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("an authority whose key usage does not let it sign certificates")
