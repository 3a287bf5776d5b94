"""What is done for each method of the protocol, and what it is answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, BinaryIO

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hem_provider.adapters.sigstore.protocol import Asked, Options, encoded, member, octets
from hem_provider.adapters.sigstore.scheme import PREHASHED, check_size, digest_of, read_message, scheme_of
from hem_provider.device.hem import Hem, Key
from hem_provider.device.naming import check_label, key_meant
from hem_provider.errors import HemKeyNotFound, HemOperationFailed, HemRequestRefused
from hem_provider.keys.signing import algorithm_of, check_signs, native, sign, verify, verify_digest
from hem_provider.keytypes import Family

__all__ = ["ALGORITHMS", "answer"]

#: Sigstore's names of the algorithms that keys can be made for (its ``algorithm_registry.go``) → device type;
#: the first is the default.
ALGORITHMS: Mapping[str, str] = MappingProxyType(
    {
        "ecdsa-sha2-256-nistp256": "SECP256R1",
        "ecdsa-sha2-384-nistp384": "SECP384R1",
        "ecdsa-sha2-512-nistp521": "SECP521R1",
        "ed25519": "ED25519",
    }
)


def answer(asked: Asked, device: Callable[[], Hem], message: BinaryIO) -> dict[str, Any]:
    """The response to a request. ``device`` is called where one is needed; ``message`` is read by methods
    that sign or verify. ``HemError`` says why there is none, ``NameFault`` why the key's name is none."""
    return {asked.method: _METHODS[asked.method](_Plugin(asked, device, message))}


class _Plugin:
    def __init__(self, asked: Asked, device: Callable[[], Hem], message: BinaryIO) -> None:
        self._asked = asked
        self._device = device
        self._message = message

    def default_algorithm(self) -> dict[str, Any]:
        return {"defaultAlgorithm": next(iter(ALGORITHMS))}

    def supported_algorithms(self) -> dict[str, Any]:
        return {"supportedAlgorithms": list(ALGORITHMS)}

    def create_key(self) -> dict[str, Any]:
        """One of this label, which is made where there is none."""
        algorithm, label = member(self._asked.arguments, "algorithm", str), self._asked.key
        if algorithm not in ALGORITHMS:
            raise HemRequestRefused(f"algorithm: {algorithm[:40]!r}; accepted: {', '.join(ALGORITHMS)}")
        check_label(label)
        hem, kind = self._device(), ALGORITHMS[algorithm]
        try:
            key = hem.keys.find(label=label)
        except HemKeyNotFound:
            key = hem.keys.create(kind, label=label, usage={"sign"})
        if key.type.name != kind:
            raise HemOperationFailed(
                f"key {key.kid} ({key.label!r}) is there already, and is {key.type.name}; {algorithm} is "
                f"{kind}"
            )
        check_signs(key, algorithm_of(key.type))
        return _public(key)

    def public_key(self) -> dict[str, Any]:
        return _public(self._key())

    def sign_message(self) -> dict[str, Any]:
        options = Options.read(self._asked.arguments, "signOptions")
        key = self._key()
        body = read_message(self._message, key.operations.limits.message)
        algorithm, body = scheme_of(key.type, options, self._asked.hash_function, body)
        check_size(len(body), key.operations.limits.message)
        if not body:
            raise HemRequestRefused("message: 0 bytes; a HEM signs no empty message")
        if algorithm != PREHASHED:
            return {"signature": encoded(sign(key, body, algorithm))}
        check_signs(key, algorithm)
        return {"signature": encoded(key.operations.sign(key.kid, body, algorithm))}

    def verify_signature(self) -> dict[str, Any]:
        """Here, by the public half; by the device where that is asked for, and Ed25519ph, which nothing here
        verifies."""
        options = Options.read(self._asked.arguments, "verifyOptions")
        signature = octets(self._asked.arguments.get("signature"), "signature")
        key = self._key()
        try:
            self._verify(key, options, signature)
        except InvalidSignature:
            raise HemOperationFailed(
                f"the signature of {len(signature)} bytes is not of this message by key {key.kid} "
                f"({key.label!r})"
            ) from None
        return {}

    def _verify(self, key: Key, options: Options, signature: bytes) -> None:
        """``InvalidSignature``."""
        kind, default = key.type, self._asked.hash_function
        if kind.family is Family.EC and not options.remote:
            name, digest = digest_of(kind, options, default, self._message)
            verify_digest(native(key), signature, digest, name)
            return
        algorithm, body = scheme_of(kind, options, default, self._message.read())
        if algorithm != PREHASHED and not options.remote:
            verify(native(key), signature, body, algorithm)
            return
        check_size(len(body), key.operations.limits.message)
        whole = kind.family is Family.EC or len(signature) == kind.signature_size
        if not (whole and body and key.operations.verify(key.kid, body, signature, algorithm)):
            raise InvalidSignature

    def _key(self) -> Key:
        key = key_meant(self._device(), self._asked.key)
        if key.type.name not in ALGORITHMS.values():
            possible = ", ".join(ALGORITHMS.values())
            raise HemOperationFailed(
                f"key {key.kid} ({key.label!r}) is {key.type.name}; accepted: {possible}"
            )
        return key


_METHODS: Mapping[str, Callable[[_Plugin], dict[str, Any]]] = {
    "defaultAlgorithm": _Plugin.default_algorithm,
    "supportedAlgorithms": _Plugin.supported_algorithms,
    "createKey": _Plugin.create_key,
    "publicKey": _Plugin.public_key,
    "signMessage": _Plugin.sign_message,
    "verifySignature": _Plugin.verify_signature,
}


def _public(key: Key) -> dict[str, Any]:
    pem: bytes = native(key).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return {"publicKeyPEM": encoded(pem)}
