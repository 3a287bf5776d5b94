"""What is measured: one device, keys made on it for the purpose, and the way to bare requests."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, Self

from hem_provider.device.hem import Hem, Key
from hem_provider.records import frozen

__all__ = ["KINDS", "LABEL", "Bare", "Kind", "Subject"]

#: Labels of the keys made here start so; what is left of an interrupted run is found by it.
LABEL = "hem-bench "


@frozen
class Kind:
    """A key to make: the device's type, and what it is for."""

    type: str
    usage: frozenset[str] | None = None


_SIGNING = ("SECP256R1", "SECP384R1", "SECP521R1", "SECP256K1")
#: Name → key; the name is also the end of the key's label.
KINDS: Mapping[str, Kind] = {
    **{each: Kind(each, frozenset({"sign", "derive"})) for each in _SIGNING},
    **{each: Kind(each) for each in ("ED25519", "ED448", "MLDSA44", "MLDSA65", "MLDSA87")},
    **{each: Kind(each) for each in ("CURVE25519", "MLKEM768", "SHA2-256")},
    **{f"AES256 {use}": Kind("AES256", frozenset({use})) for use in ("aead", "cipher", "wrap", "mac")},
}


class Bare(Protocol):
    """Requests without any layer: ``BareClient``, or what stands in its place."""

    calls: int

    def request(self, method: str, path: str, body: bytes | None = None, token: str | None = None) -> bytes:
        """One request; raises ``OSError`` unless the answer is a 200."""
        ...


class Subject:
    """A device with keys of its own for measuring, as a context manager that deletes them again.

    ``bare`` sends requests without any layer of ours; ``None`` where the device is not reached by HTTPS.
    """

    def __init__(self, hem: Hem, bare: Bare | None, kinds: Iterable[str] = tuple(KINDS)) -> None:
        self.hem = hem
        self.bare = bare
        self.keys: dict[str, Key] = {}
        self._kinds = tuple(kinds)

    def __enter__(self) -> Self:
        try:
            for name in self._kinds:
                kind = KINDS[name]
                self.keys[name] = self.hem.keys.create(kind.type, label=LABEL + name, usage=kind.usage)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        while self.keys:
            self.hem.keys.delete(self.keys.popitem()[1])

    def count(self) -> tuple[int, int]:
        """Device calls and logins so far, as the clients count them."""
        statistics, bare = self.hem.statistics, self.bare
        return statistics.calls + (bare.calls if bare else 0), statistics.logins

    def token(self, scope: str) -> str:
        """A live bearer token for ``scope``, by a login where none is at hand."""
        return self.hem.session.bearer((scope,)).text

    def bare_request(
        self, method: str, path: str, *, scope: str | None = None, times: int = 1, **fields: Any
    ) -> Callable[[], bytes] | None:
        """The same request without our layers: encoded and decoded each time, sent ``times`` times.

        ``bytes`` among ``fields`` are sent in base64.
        """
        bare = self.bare
        if bare is None:
            return None
        token = None if scope is None else self.token(scope)

        def once() -> bytes:
            body = None
            if method == "POST":
                plain = {
                    name: base64.b64encode(value).decode() if isinstance(value, bytes) else value
                    for name, value in fields.items()
                }
                body = json.dumps(plain).encode()
            answer = bare.request(method, path, body, token)
            if answer.startswith(b"{"):
                json.loads(answer)
            return answer

        def several() -> bytes:
            for _ in range(times - 1):
                once()
            return once()

        return once if times == 1 else several

    def bare_use(self, key: Key, path: str, *, times: int = 1, **fields: Any) -> Callable[[], bytes] | None:
        """A bare operation with ``key``: ``path`` below ``/api/crypto/``."""
        return self.bare_request(
            "POST", f"/api/crypto/{path}", scope=f"keymgmt:use:{key.kid}", times=times, kid=key.kid, **fields
        )
