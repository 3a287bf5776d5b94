"""What a certificate is good for, as a table: one row a profile."""

from __future__ import annotations

from collections.abc import Mapping

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from hem_provider.records import frozen

__all__ = ["PROFILES", "Profile"]


@frozen
class Profile:
    """``usages``: of the key (RFC 5280 §4.2.1.3), ``extended``: its one purpose (RFC 5280 §4.2.1.12);
    ``days``: how long it is good by default; ``names``: whether it needs a DNS name or an address; ``ca``: of
    an authority."""

    usages: frozenset[str]
    extended: ObjectIdentifier | None
    days: int
    names: bool = False
    ca: bool = False

    def key_usage(self) -> x509.KeyUsage:
        """The extension."""
        return x509.KeyUsage(**{each: each in self.usages for each in _USAGES})


_USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip
_SIGNS = frozenset({"digital_signature"})

#: The keys of a device sign, and so do those of certificates for them: none enciphers keys (RSA's way).
PROFILES: Mapping[str, Profile] = {
    "server": Profile(_SIGNS, ExtendedKeyUsageOID.SERVER_AUTH, 90, names=True),
    "client": Profile(_SIGNS, ExtendedKeyUsageOID.CLIENT_AUTH, 365),
    "code": Profile(_SIGNS, ExtendedKeyUsageOID.CODE_SIGNING, 365),
    "ca": Profile(frozenset({"key_cert_sign", "crl_sign"}), None, 3650, ca=True),
}
