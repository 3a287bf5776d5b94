"""Cryptographic operations by KID: the token each needs, and what a refusal means.

The device answers 406 for an unknown key, a wrong type or usage, and a failure alike; here the
key is looked up then, so that the error says which (device API §13.1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from hem_provider.device.login import LoginSession
from hem_provider.device.symmetric_operations import SymmetricOperations
from hem_provider.device.verification import ML_DSA, KnownKey, accepts
from hem_provider.errors import HemAnswerFault, HemError, HemKeyNotFound, HemOperationFailed
from hem_provider.keytypes import Family, KeyAttributes, KeyType, parse_attributes
from hem_provider.rest.api import RestApi
from hem_provider.rest.crypto import check_context, check_message
from hem_provider.rest.keymgmt import KeyMaterial, check_kid

__all__ = ["Operations"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Need:
    """What a key must be for an operation: to say which of it is missing when it is refused."""

    what: str
    families: frozenset[Family] = frozenset()  # empty: any
    algorithm: str | None = None
    usage: str | None = None  # ``sign`` or ``derive``
    private: bool = True

    def misfit(self, kind: KeyType | None, attributes: KeyAttributes | None) -> str | None:
        """Why a key does not fit, in words; ``None`` when nothing is known against it."""
        if kind is None:
            return "it is a record that is no key"
        if self.families and kind.family not in self.families:
            return f"keys of type {kind.name} do not do that"
        if self.algorithm is not None and self.algorithm not in kind.sign_algorithms:
            return f"{kind.name} keys do {', '.join(kind.sign_algorithms)}"
        if attributes is None or attributes.key_type is None:
            return None
        if self.private and not attributes.usable:
            return "only its public half is on the device"
        allowed = {"sign": attributes.exdsa, "derive": attributes.ecdh}
        if kind.family is Family.EC and self.usage is not None and not allowed[self.usage]:
            return f"it was not made for {self.usage!r}"
        return None


_SIGNS = frozenset({Family.EC, Family.EDWARDS})
_AGREES = frozenset({Family.EC, Family.MONTGOMERY})


def _signing(what: str, algorithm: str, *, private: bool = True) -> _Need:
    return _Need(f"{what} with {algorithm}", _SIGNS, algorithm, "sign", private)


_AGREE = _Need("agree on a secret", _AGREES, usage="derive")
_ENCAPSULATE = _Need("encapsulate", frozenset({Family.MLKEM}))
_DECAPSULATE = _Need("decapsulate", frozenset({Family.MLKEM}))
_MLDSA_SIGN = _Need("sign with ML-DSA", frozenset({Family.MLDSA}))
_MLDSA_VERIFY = _Need("verify with ML-DSA", frozenset({Family.MLDSA}))


class _MisfitError(HemOperationFailed):
    """A refusal that was explained already."""


class Operations:
    """One method per operation; each costs one call once the key's token is at hand."""

    def __init__(self, rest: RestApi, session: LoginSession) -> None:
        self._rest = rest
        self._session = session
        #: What is known of a key without asking the device; set by who keeps the listing.
        self.known: Callable[[str], KnownKey] = lambda _: KnownKey()
        #: Told the KID of a key that the device turned out not to have.
        self.gone: Callable[[str], None] = lambda _: None
        self._first_fetched: str | None = None
        self.symmetric = SymmetricOperations(
            rest.symmetric, self._run, self.fetch, self._type, max_calls=rest.channel.config.max_calls
        )

    def sign(self, kid: str, message: bytes, algorithm: str, *, context: bytes | None = None) -> bytes:
        """See ``Hem.sign``."""
        check_message(message)
        check_context(context)
        kind = self._type(kid)
        signature = self._run(
            kid,
            _signing("sign", algorithm),
            lambda token: self._rest.crypto.sign(
                kid, message, algorithm, context=context, kind=kind, token=token
            ),
        )
        return self._proven(kid, signature, message, algorithm, context)

    def verify(
        self, kid: str, message: bytes, signature: bytes, algorithm: str, *, context: bytes | None = None
    ) -> bool:
        """See ``Hem.verify``."""
        check_message(message)
        check_context(context)

        need = _signing("verify", algorithm, private=False)

        def check(token: str) -> bool:
            valid = self._rest.crypto.verify(kid, message, signature, algorithm, context=context, token=token)
            return valid or self._merely_invalid(kid, need, token)

        return self._run(kid, need, check)

    def ecdh(self, kid: str, peer: bytes | str, *, algorithm: str | None = None) -> bytes:
        """See ``Hem.ecdh``."""
        return self._run(
            kid,
            _AGREE,
            lambda token: self._rest.crypto.ecdh(kid, peer, algorithm=algorithm, token=token),
        )

    def mlkem_encapsulate(self, kid: str) -> tuple[bytes, bytes]:
        """A fresh ciphertext and its shared secret, in this order."""
        kind = self._type(kid)
        return self._run(
            kid, _ENCAPSULATE, lambda token: self._rest.crypto.mlkem_encapsulate(kid, kind=kind, token=token)
        )

    def mlkem_decapsulate(self, kid: str, ciphertext: bytes) -> bytes:
        """The 32-byte shared secret."""
        return self._run(
            kid,
            _DECAPSULATE,
            lambda token: self._rest.crypto.mlkem_decapsulate(kid, ciphertext, token=token),
        )

    def mldsa_sign(self, kid: str, message: bytes, *, context: bytes | None = None) -> bytes:
        """The raw ML-DSA signature of 1…2048 bytes."""
        check_message(message)
        check_context(context)
        kind = self._type(kid)
        signature = self._run(
            kid,
            _MLDSA_SIGN,
            lambda token: self._rest.crypto.mldsa_sign(kid, message, context=context, kind=kind, token=token),
        )
        return self._proven(kid, signature, message, ML_DSA, context)

    def mldsa_verify(
        self, kid: str, message: bytes, signature: bytes, *, context: bytes | None = None
    ) -> bool:
        """Verify on the device; ``HemKeyNotFound`` when there is no such key."""
        check_message(message)
        check_context(context)

        def check(token: str) -> bool:
            valid = self._rest.crypto.mldsa_verify(kid, message, signature, context=context, token=token)
            return valid or self._merely_invalid(kid, _MLDSA_VERIFY, token)

        return self._run(kid, _MLDSA_VERIFY, check)

    def fetch(self, kid: str) -> KeyMaterial:
        """Type and public key. ``HemKeyNotFound`` when there is no such key.

        The first key is likely the one that is used next, so its own scope serves both; whoever
        reads a second one gets the scope for all, and logs in no more.
        """
        scopes = [f"keymgmt:use:{kid}", "keymgmt:gen", "keymgmt:get"]
        if self._first_fetched not in (None, kid):
            scopes.insert(0, scopes.pop())
        self._first_fetched = self._first_fetched or kid
        kind = self._type(kid)
        return self._session.authorised(
            scopes, lambda token: self._rest.keymgmt.get(kid, kind=kind, token=token)
        )

    def _type(self, kid: str) -> KeyType | None:
        return self.known(check_kid(kid)).type

    def _proven(
        self, kid: str, signature: bytes, message: bytes, algorithm: str, context: bytes | None
    ) -> bytes:
        """``signature``, verified here where that takes no call."""
        if self._rest.channel.config.verify_signatures and not accepts(
            self.known(check_kid(kid)), signature, message, algorithm, context
        ):
            raise HemAnswerFault(
                f"{self._name}: key {kid}: the device's signature of {len(signature)} bytes ({algorithm}) "
                "does not verify under the key's public half; it is not handed out"
            )
        return signature

    def _run(self, kid: str, what: _Need | str, action: Callable[[str], T]) -> T:
        kid = check_kid(kid)
        scope = (f"keymgmt:use:{kid}",)
        try:
            return self._session.authorised(scope, action)
        except HemKeyNotFound:
            self.gone(kid)
            raise
        except _MisfitError:
            raise
        except HemOperationFailed as refused:
            need = _Need(what) if isinstance(what, str) else what
            raise self._explained(kid, need, refused) from refused

    def _merely_invalid(self, kid: str, need: _Need, token: str) -> bool:
        """A refused signature: ``False`` when the key is there and of the right kind."""
        material = self._rest.keymgmt.get(kid, token=token)  # HemKeyNotFound
        misfit = need.misfit(parse_attributes(material.type).key_type, self.known(kid).attributes)
        if misfit is not None:
            raise _MisfitError(f"{self._name}: cannot {need.what}: key {kid}: {misfit}")
        return False

    def _explained(self, kid: str, need: _Need, refused: HemOperationFailed) -> HemError:
        try:
            material = self.fetch(kid)
        except HemKeyNotFound:
            self.gone(kid)
            return HemKeyNotFound(f"{self._name}: cannot {need.what}: no key {kid}")
        except HemError:
            return refused
        kind = parse_attributes(material.type).key_type
        reason = need.misfit(kind, self.known(kid).attributes) or (
            "it was not made for this use, has no private half, or the input does not fit it"
        )
        name = kind.name if kind else material.type or "record"
        return _MisfitError(
            f"{self._name}: the device refuses to {need.what}: key {kid} is there, of type {name}; {reason}"
        )

    @property
    def _name(self) -> str:
        return self._rest.channel.config.name

    def __repr__(self) -> str:
        return f"<Operations of {self._name}>"
