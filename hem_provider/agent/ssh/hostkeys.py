"""Signatures by keys of servers: what proves that a connection is the one it is said to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from hem_provider.agent.ssh.certificates import is_certificate, read_certificate
from hem_provider.sshwire import Reader, WireError

__all__ = ["verifies"]

#: Bits of an RSA modulus, as OpenSSH takes them.
_RSA_BITS = range(1024, 16384 + 1)
#: RSA's signature formats → their digests (RFC 8332 §3). The one with SHA-1 is not accepted.
_RSA_DIGESTS = {"rsa-sha2-256": "SHA256", "rsa-sha2-512": "SHA512"}
#: EC key types → curve of ``cryptography`` and digest (RFC 5656 §6.2.1).
_CURVES = {
    "ecdsa-sha2-nistp256": ("nistp256", "SECP256R1", "SHA256"),
    "ecdsa-sha2-nistp384": ("nistp384", "SECP384R1", "SHA384"),
    "ecdsa-sha2-nistp521": ("nistp521", "SECP521R1", "SHA512"),
}

_Check = Callable[[str, Reader, str, bytes, bytes], None]


def verifies(blob: bytes, signature: bytes, data: bytes) -> bool:
    """Whether ``signature`` is one over ``data`` by the host key ``blob``, which may be a certificate.
    ``WireError`` for what is malformed or of a type that is not known here."""
    from cryptography.exceptions import InvalidSignature

    if is_certificate(blob):
        blob = read_certificate(blob).public
    key, signed = Reader(blob, "host key"), Reader(signature, "signature of the host key")
    name, form, value = key.text("type"), signed.text("type"), signed.string("value")
    signed.end()
    if name not in _CHECKS:
        raise WireError(f"host key: of type {name[:64]!r}; accepted: {', '.join(_CHECKS)}")
    try:
        _CHECKS[name](name, key, form, value, data)
    except InvalidSignature:
        return False
    except ValueError as error:  # no point of the curve, numbers that no key has
        raise WireError(f"host key: {error}") from None
    return True


def _form_is(found: str, *accepted: str) -> None:
    if found not in accepted:
        raise WireError(f"signature of the host key: of type {found[:64]!r}; accepted: {', '.join(accepted)}")


def _check_ed25519(name: str, key: Reader, form: str, value: bytes, data: bytes) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    _form_is(form, name)
    public = key.string("public key")
    key.end()
    Ed25519PublicKey.from_public_bytes(public).verify(value, data)


def _check_ecdsa(name: str, key: Reader, form: str, value: bytes, data: bytes) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    _form_is(form, name)
    curve, native, digest = _CURVES[name]
    if key.text("curve") != curve:
        raise WireError(f"host key: of type {name}, on another curve")
    point = key.string("point")
    key.end()
    pair = Reader(value, "signature of the host key")
    encoded = encode_dss_signature(pair.number("r"), pair.number("s"))
    pair.end()
    public = ec.EllipticCurvePublicKey.from_encoded_point(getattr(ec, native)(), point)
    public.verify(encoded, data, ec.ECDSA(getattr(hashes, digest)()))


def _check_rsa(_name: str, key: Reader, form: str, value: bytes, data: bytes) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    _form_is(form, *_RSA_DIGESTS)
    exponent, modulus = key.number("exponent"), key.number("modulus")
    key.end()
    if modulus.bit_length() not in _RSA_BITS or exponent.bit_length() > 64:
        raise WireError(f"host key: a modulus of {modulus.bit_length()} bits, or too large an exponent")
    public = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    public.verify(value, data, padding.PKCS1v15(), getattr(hashes, _RSA_DIGESTS[form])())


_CHECKS: Mapping[str, _Check] = MappingProxyType(
    {"ssh-ed25519": _check_ed25519, **dict.fromkeys(_CURVES, _check_ecdsa), "ssh-rsa": _check_rsa}
)
