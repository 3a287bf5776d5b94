"""HMAC keys of a HEM for ``PyJWT``; its other algorithms take ``key.private_key()`` as it is.

::

    secret = HemSecret(hem.keys.find(label="sessions"))
    token = jwt.encode(claims, secret)                 HS256, HS384 or HS512, as the key's type says; one call
    jwt.decode(token, secret)                          one call

The device makes the MAC, so the first ``HemSecret`` of a process registers algorithms for ``HS…`` with PyJWT,
which do what PyJWT's did for every other key. ``register`` does the same for a ``PyJWS`` of one's own.
"""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hashes import HashAlgorithm

from hem_provider.device.key import Key
from hem_provider.errors import HemOperationFailed, KeyNotExportable
from hem_provider.installation import lacking
from hem_provider.keys.publicforms import JOSE_HMAC
from hem_provider.symmetric import HMAC

try:
    import jwt
    from jwt.algorithms import Algorithm, HMACAlgorithm
except ImportError as error:
    raise lacking(__name__, error) from None

__all__ = ["HemSecret", "register"]

#: Algorithm → the device's type.
_TYPES = {name: kind for kind, name in JOSE_HMAC.items()}


class _Registrar(Protocol):
    def register_algorithm(self, alg_id: str, alg_obj: Algorithm) -> None: ...
    def unregister_algorithm(self, alg_id: str) -> None: ...


class _Hmac(HMACAlgorithm):
    """One of them, for a device's keys and for all others."""

    def __init__(self, name: str) -> None:
        self._name, self._type = name, _TYPES[name]
        self._digest: HashAlgorithm = getattr(hashes, name.replace("HS", "SHA"))()
        super().__init__(getattr(HMACAlgorithm, name.replace("HS", "SHA")))

    def prepare_key(self, key: Any) -> Any:
        """A ``Key`` of the algorithm's type, or what PyJWT makes of another."""
        if not isinstance(key, Key):
            return super().prepare_key(key)
        if key.type.name != self._type:
            raise jwt.InvalidKeyError(f"key {key.kid} is {key.type.name}; {self._name} needs {self._type}")
        return key

    def sign(self, msg: bytes, key: Any) -> bytes:
        """The MAC of 1…``MAX_MESSAGE`` bytes; one call. ``MessageTooLong``."""
        return self._begun(msg, key).finalize() if isinstance(key, Key) else super().sign(msg, key)

    def verify(self, msg: bytes, key: Any, sig: bytes) -> bool:
        """Whether the device accepts it: one call; two where it does not."""
        if not isinstance(key, Key):
            return super().verify(msg, key, sig)
        try:
            self._begun(msg, key).verify(sig)
        except InvalidSignature:
            return False
        return True

    def check_key_length(self, key: Any) -> str | None:
        """A device's key is as long as its digest (RFC 7518 §3.2)."""
        return None if isinstance(key, Key) else super().check_key_length(key)

    def _begun(self, msg: bytes, key: Key) -> HMAC:
        mac = HMAC(key, self._digest)
        mac.update(msg)
        return mac

    @staticmethod
    def to_jwk(key_obj: Any, as_dict: bool = False) -> Any:
        """``KeyNotExportable`` for a device's key."""
        if isinstance(key_obj, Key):
            raise KeyNotExportable(f"the secret of key {key_obj.kid} never leaves the device")
        return HMACAlgorithm.to_jwk(key_obj, as_dict=as_dict)  # type: ignore[call-overload]


class HemSecret(jwt.PyJWK):
    """An HMAC key of a device, for ``jwt.encode`` and ``jwt.decode``. No I/O for a key whose type is known.

    ``HemOperationFailed`` for a key of another type; JOSE has no HMAC with SHA-3.
    """

    _registered: ClassVar[bool] = False

    def __init__(self, key: Key) -> None:
        name = JOSE_HMAC.get(key.type.name)
        if name is None:
            raise HemOperationFailed(f"key {key.kid} is {key.type.name}; accepted: {', '.join(JOSE_HMAC)}")
        if not HemSecret._registered:
            register(jwt)
            HemSecret._registered = True
        self.algorithm_name = name
        self.Algorithm = _Hmac(self.algorithm_name)
        self.key: Any = key
        self._jwk_data = {"kty": "oct", "alg": self.algorithm_name, "kid": key.kid}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.key!r}>"


def register(target: _Registrar) -> None:
    """Have ``target``, the module ``jwt`` or a ``PyJWS``, take ``HemSecret`` for the ``HS…`` it permits."""
    for name in _TYPES:
        try:
            target.unregister_algorithm(name)
        except KeyError:
            continue  # it does not permit this one
        target.register_algorithm(name, _Hmac(name))
