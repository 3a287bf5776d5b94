"""Symmetric operations by KID: each one device call once the key's token is at hand.

A device that rejects data answers as for a missing or unsuitable key. The methods that check
integrity therefore give ``None`` or ``False``, and ``confirm`` tells the two apart by one more call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from hem_provider.errors import HemOperationFailed
from hem_provider.keytypes import KeyType
from hem_provider.rest.symmetric import Encrypted, SymmetricApi

__all__ = ["Encrypted", "SymmetricOperations"]

T = TypeVar("T")


class _Run(Protocol):
    """Run an action with a token for one key, and explain a refusal."""

    def __call__(self, kid: str, what: str, action: Callable[[str], T]) -> T: ...


class SymmetricOperations:
    """See ``Hem`` for sizes and errors; ``peer`` and ``context`` choose an ECDH-derived key."""

    def __init__(
        self,
        api: SymmetricApi,
        run: _Run,
        confirm: Callable[[str], object],
        type_of: Callable[[str], KeyType | None] = lambda _: None,
        *,
        max_calls: int,
    ) -> None:
        #: Most calls of one operation over bulk data that is composed of these.
        self.max_calls = max_calls
        self._api = api
        self._run = run
        self._confirm = confirm
        self._type_of = type_of  # of a key, where it is known without a call

    def confirm(self, kid: str) -> None:
        """``HemKeyNotFound`` unless the device has the key. One call."""
        self._confirm(kid)

    def encrypt(
        self,
        kid: str,
        data: bytes,
        algorithm: str,
        *,
        aad: bytes | None = None,
        peer: bytes | str | None = None,
        context: bytes | None = None,
    ) -> Encrypted:
        """See ``Hem.encrypt``."""

        def action(token: str) -> Encrypted:
            return self._api.encrypt(kid, data, algorithm, aad=aad, peer=peer, context=context, token=token)

        return self._run(kid, f"encrypt with {algorithm}", action)

    def decrypt(
        self,
        kid: str,
        data: bytes,
        algorithm: str,
        *,
        iv: bytes | None = None,
        tag: bytes | None = None,
        aad: bytes | None = None,
        peer: bytes | str | None = None,
        context: bytes | None = None,
    ) -> bytes | None:
        """``None`` when the device rejects tag, padding or key."""

        def action(token: str) -> bytes:
            return self._api.decrypt(
                kid, data, algorithm, iv=iv, tag=tag, aad=aad, peer=peer, context=context, token=token
            )

        return self._run(kid, f"decrypt with {algorithm}", _or_none(action))

    def wrap(
        self,
        kid: str,
        data: bytes,
        algorithm: str,
        *,
        icv: bytes | None = None,
        peer: bytes | str | None = None,
        context: bytes | None = None,
    ) -> bytes:
        """See ``Hem.wrap``."""

        def action(token: str) -> bytes:
            return self._api.wrap(kid, data, algorithm, icv=icv, peer=peer, context=context, token=token)

        return self._run(kid, f"wrap with {algorithm}", action)

    def unwrap(
        self,
        kid: str,
        data: bytes,
        algorithm: str,
        *,
        icv: bytes | None = None,
        peer: bytes | str | None = None,
        context: bytes | None = None,
    ) -> bytes | None:
        """``None`` when the device rejects integrity value or key."""

        def action(token: str) -> bytes:
            return self._api.unwrap(kid, data, algorithm, icv=icv, peer=peer, context=context, token=token)

        return self._run(kid, f"unwrap with {algorithm}", _or_none(action))

    def hmac(
        self, kid: str, data: bytes, *, algorithm: str | None = None, peer: bytes | str | None = None
    ) -> bytes:
        """See ``Hem.hmac``."""

        kind = self._type_of(kid)

        def action(token: str) -> bytes:
            return self._api.hmac(kid, data, algorithm=algorithm, peer=peer, kind=kind, token=token)

        return self._run(kid, "make an HMAC", action)

    def hmac_verify(
        self,
        kid: str,
        data: bytes,
        mac: bytes,
        *,
        algorithm: str | None = None,
        peer: bytes | str | None = None,
    ) -> bool:
        """``False`` when the device rejects MAC or key."""

        def action(token: str) -> bool:
            self._api.hmac_verify(kid, data, mac, algorithm=algorithm, peer=peer, token=token)
            return True

        return self._run(kid, "verify an HMAC", _or_none(action)) is not None


def _or_none(action: Callable[[str], T]) -> Callable[[str], T | None]:
    def attempt(token: str) -> T | None:
        try:
            return action(token)
        except HemOperationFailed:
            return None

    return attempt
