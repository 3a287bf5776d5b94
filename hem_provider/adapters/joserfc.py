"""Keys of a HEM for ``joserfc``, and for Authlib, which is built on it.

::

    key = jose_key(hem.keys.find(label="tokens"))
    jwt.encode({"alg": "ES256", "kid": key.kid}, claims, key)      one call
    jwe.decrypt_compact(token, key)                                one call

EC and Edwards keys sign, EC and X25519 keys agree (``ECDH-ES`` and with ``A…KW``), HMAC keys sign and verify,
AES keys wrap. What joserfc shows of such a key is its public half, with the KID as ``kid``.

A secret key stays in the device, so HMAC and key wrap are made there: the first ``HemOctKey`` of a process
registers models for ``HS…`` and ``A…KW`` with joserfc, which do what joserfc's did for every other key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes

from hem_provider.device.key import Key
from hem_provider.errors import HemOperationFailed, KeyNotExportable
from hem_provider.installation import lacking
from hem_provider.keys.publicforms import JOSE_CURVES, JOSE_HMAC, JOSE_WRAPPING, check_parameters, jwk
from hem_provider.keys.remote import RemotePrivateKey
from hem_provider.keytypes import Family
from hem_provider.symmetric import HMAC, InvalidUnwrap, aes_key_unwrap, aes_key_wrap

try:
    from joserfc.errors import DecodeError
    from joserfc.jwa import AESAlgKeyWrapping, HMACAlgorithm
    from joserfc.jwe import JWERegistry, Recipient
    from joserfc.jwk import ECKey, OctKey, OKPKey
    from joserfc.jws import JWSRegistry
except ImportError as error:
    raise lacking(__name__, error) from None

if TYPE_CHECKING:
    from joserfc._rfc7517.types import KeyParameters

__all__ = ["HemECKey", "HemOKPKey", "HemOctKey", "jose_key"]

_SECRET = {**JOSE_HMAC, **JOSE_WRAPPING}


def jose_key(key: Key, parameters: KeyParameters | None = None) -> HemECKey | HemOKPKey | HemOctKey:
    """``key`` as joserfc takes it. ``parameters``: of its JWK besides, such as ``use``.

    One call where the public half is not known yet. ``HemOperationFailed`` for a type that JOSE does not
    have, ``ValueError`` for parameters that are the key itself. What a key is not made for is refused when it
    is used.
    """
    kind = key.type
    if kind.name in _SECRET:
        return HemOctKey(key, parameters)
    if kind.name not in JOSE_CURVES:
        raise HemOperationFailed(
            f"key {key.kid} is {kind.name}, which joserfc has no key for; accepted: "
            f"{', '.join((*JOSE_CURVES, *_SECRET))}"
        )
    check_parameters(parameters or {}, "kty", "crv", "x", "y", "d")
    private: Any = key.private_key()
    make = HemECKey if kind.family is Family.EC else HemOKPKey
    return make(private, dict(jwk(key)), parameters)


class HemECKey(ECKey):
    """An EC key of a device; made by ``jose_key``."""

    def as_dict(self, private: bool = False, **params: Any) -> Any:
        """The public JWK. ``KeyNotExportable`` for the private one."""
        if private and isinstance(self.raw_value, RemotePrivateKey):
            _refuse(self.raw_value.hem_key)
        return super().as_dict(private, **params)


class HemOKPKey(OKPKey):
    """An Ed25519, Ed448, X25519 or X448 key of a device; made by ``jose_key``."""

    def as_dict(self, private: bool = False, **params: Any) -> Any:
        """The public JWK. ``KeyNotExportable`` for the private one."""
        if private and isinstance(self.raw_value, RemotePrivateKey):
            _refuse(self.raw_value.hem_key)
        return super().as_dict(private, **params)


class HemOctKey(OctKey):
    """A secret key of a device, for HMAC with SHA-2 or key wrap. Its JWK has ``kid``, ``alg``, no ``k``."""

    def __init__(self, key: Key, parameters: KeyParameters | None = None) -> None:
        check_parameters(parameters or {}, "kty", "alg", "k")
        _register()
        self.hem_key = key
        self.extra_parameters = parameters
        told: Any = {"kid": key.kid, **(parameters or {}), "kty": "oct", "alg": _SECRET[key.type.name]}
        self._dict_value = told

    @property
    def raw_value(self) -> NoReturn:
        """Refused: ``KeyNotExportable``. So are all algorithms but its own."""
        _refuse(self.hem_key)

    def as_dict(self, private: bool = False, **params: Any) -> NoReturn:  # noqa: ARG002
        """Refused: ``KeyNotExportable``."""
        _refuse(self.hem_key)

    def thumbprint(self) -> NoReturn:
        """Refused, as it is made of the secret: ``KeyNotExportable``."""
        _refuse(self.hem_key)


class _Hmac(HMACAlgorithm):
    """``HS…`` of a device's keys and of all others."""

    def sign(self, msg: bytes, key: OctKey) -> bytes:
        """One call for a device's key."""
        return (
            self._begun("sign", msg, key).finalize() if isinstance(key, HemOctKey) else super().sign(msg, key)
        )

    def verify(self, msg: bytes, sig: bytes, key: OctKey) -> bool:
        """One call for a device's key; two where it does not accept."""
        if not isinstance(key, HemOctKey):
            return super().verify(msg, sig, key)
        try:
            self._begun("verify", msg, key).verify(sig)
        except InvalidSignature:
            return False
        return True

    def _begun(self, operation: str, msg: bytes, key: HemOctKey) -> HMAC:
        key.check_key_op(operation)
        mac = HMAC(key.hem_key, getattr(hashes, self.name.replace("HS", "SHA"))())
        mac.update(msg)
        return mac


class _KeyWrap(AESAlgKeyWrapping):
    """``A…KW`` of a device's keys and of all others."""

    def encrypt_cek(self, cek: bytes, recipient: Recipient[OctKey]) -> bytes:
        """One call for a device's key."""
        key = self._of_device("wrapKey", recipient)
        return super().encrypt_cek(cek, recipient) if key is None else aes_key_wrap(key.hem_key, cek)

    def decrypt_cek(self, recipient: Recipient[OctKey]) -> bytes:
        """One call for a device's key; two where it does not accept."""
        key = self._of_device("unwrapKey", recipient)
        if key is None:
            return super().decrypt_cek(recipient)
        try:
            return aes_key_unwrap(key.hem_key, recipient.encrypted_key or b"")
        except InvalidUnwrap as error:
            raise DecodeError(f"Unwrap AES key failed: {error}") from None

    def _of_device(self, operation: str, recipient: Recipient[OctKey]) -> HemOctKey | None:
        key = recipient.recipient_key
        if not isinstance(key, HemOctKey):
            return None
        key.check_key_op(operation)
        key.check_alg(self.name)  # joserfc leaves the size of a key to the bytes of it
        return key


class _Registered:
    done: ClassVar[bool] = False


def _register() -> None:
    """Which algorithms joserfc recommends stays as it is: a model says so when it is registered."""
    if not _Registered.done:
        for bits in (256, 384, 512):
            JWSRegistry.register(_Hmac(bits))
        for bits in (128, 192, 256):
            JWERegistry.register(_KeyWrap(bits))
        _Registered.done = True


def _refuse(key: Key) -> NoReturn:
    raise KeyNotExportable(
        f"the secret of key {key.kid} ({key.type.name}) never leaves the device; joserfc can ask the "
        f"device for: JWS by EC, Edwards and HMAC keys, ECDH-ES, and key wrap by AES keys"
    )
