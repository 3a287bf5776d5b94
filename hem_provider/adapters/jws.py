"""JSON Web Signatures in compact form (RFC 7515), with the payload in it or detached (RFC 7797).

The algorithm follows from the key, never from the header (RFC 8725 §3.1); a header that says otherwise, or
has critical members that are not understood, is refused.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature

from hem_provider.ecdsa import fixed, from_fixed
from hem_provider.keys.publicforms import JOSE_SIGNING
from hem_provider.keys.signing import algorithm_of, verify
from hem_provider.keytypes import Family, KeyType
from hem_provider.records import frozen

__all__ = ["Draft", "Jws", "is_jws", "is_message"]

#: What is read may also have RFC 9864's names.
_NEWER = {"ED25519": "Ed25519", "ED448": "Ed448"}
_BLANKS = b" \r\n"
_FORM = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+")


@frozen
class Draft:
    """What is to be signed with a key of this type and KID. ``attached``: whether the payload is in it."""

    kind: KeyType
    kid: str
    payload: bytes
    attached: bool

    @property
    def algorithm(self) -> str:
        """The device's literal."""
        return algorithm_of(self.kind)

    @property
    def header(self) -> dict[str, Any]:
        """The protected header."""
        detached = {} if self.attached else {"b64": False, "crit": ["b64"]}
        return {"alg": JOSE_SIGNING[self.kind.name], "kid": self.kid, **detached}

    @property
    def message(self) -> bytes:
        """The signing input (RFC 7515 §5.1, RFC 7797 §3)."""
        head = _encoded(json.dumps(self.header, separators=(",", ":")).encode())
        return head + b"." + (_encoded(self.payload) if self.attached else self.payload)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Bytes that go to the device in each call."""
        return (len(self.message),)

    def document(self, sign: Callable[[bytes], bytes]) -> bytes:
        """The compact form, with the end of a line."""
        message = self.message
        made = sign(message)
        if self.kind.family is Family.EC:
            made = fixed(made, (self.kind.signature_size or 0) // 2)
        shown = message if self.attached else message[: message.index(b".") + 1]
        return shown + b"." + _encoded(made) + b"\n"


@frozen
class Jws:
    """A signature as it was read; nothing of it is proven before ``check``.

    ``head``: the header as it stands there. ``payload``: ``None`` of a detached one.
    """

    head: bytes
    header: Mapping[str, Any]
    payload: bytes | None
    signature: bytes

    @classmethod
    def read(cls, data: bytes) -> Jws:
        """The compact form; blanks around it do not matter. ``ValueError`` says what is wrong."""
        text = data.strip(_BLANKS)
        if not _FORM.fullmatch(text):
            raise ValueError("no JWS in compact form, which is three parts of base64url with dots between")
        head, payload, signature = text.split(b".")
        try:
            header = json.loads(_decoded(head), object_pairs_hook=_once)
        except (UnicodeDecodeError, RecursionError, ValueError) as error:
            raise ValueError(f"a JWS whose header cannot be read: {error}") from None
        if not isinstance(header, dict) or not isinstance(header.get("alg"), str):
            raise ValueError("a JWS whose header says no algorithm")  # noqa: TRY004
        _check_critical(header)
        if payload and header.get("b64") is False:
            raise ValueError("a JWS with an unencoded payload in it; detached ones are read")
        return cls(head, header, _decoded(payload) if payload else None, _decoded(signature))

    @property
    def told(self) -> str:
        """For people."""
        return f"alg {self.header['alg']}, payload {'detached' if self.payload is None else 'attached'}"

    def check(self, public: Any, kind: KeyType, content: bytes) -> None:
        """``InvalidSignature`` unless it is of ``content``, by a key of this type, and says its algorithm."""
        accepted = {JOSE_SIGNING.get(kind.name), _NEWER.get(kind.name)} - {None}
        if self.header["alg"] not in accepted:
            raise InvalidSignature(f"its header says {self.header['alg']!r:.60}, the key is {kind.name}")
        if self.payload is not None and self.payload != content:
            raise InvalidSignature("its payload is not the file")
        unencoded = self.header.get("b64") is False
        message = self.head + b"." + (content if unencoded else _encoded(content))
        signature = self.signature
        if kind.family is Family.EC:
            try:
                signature = from_fixed(signature, (kind.signature_size or 0) // 2)
            except ValueError as error:
                raise InvalidSignature(f"no signature by {kind.name}: {error}") from None
        verify(public, signature, message, algorithm_of(kind))


def is_jws(data: bytes) -> bool:
    """Whether a file has the compact form."""
    return _FORM.fullmatch(data.strip(_BLANKS)) is not None


def is_message(message: bytes) -> bool:
    """Whether these bytes may be a signing input: a header with an algorithm, a dot, and any payload."""
    head, dot, _ = message.partition(b".")
    try:
        header = json.loads(base64.b64decode(head + b"=" * (-len(head) % 4), altchars=b"-_"))
    except (UnicodeDecodeError, RecursionError, ValueError):
        return False
    return bool(dot) and isinstance(header, dict) and "alg" in header


def _check_critical(header: Mapping[str, Any]) -> None:
    """RFC 7515 §4.1.11, RFC 7797 §6: ``b64`` alone is understood, and is critical where it is there."""
    if "crit" not in header and "b64" not in header:
        return
    if header.get("crit") != ["b64"] or not isinstance(header.get("b64"), bool):
        raise ValueError("a JWS with critical members other than b64, or with a b64 that is not critical")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member stands there twice")
    return found


def _encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _decoded(text: bytes) -> bytes:
    try:
        data = base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise ValueError("a JWS with parts that are not base64url") from None
    if _encoded(data) != text:
        raise ValueError("a JWS with bits that base64url does not have")
    return data
