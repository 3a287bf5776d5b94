"""Endpoint group ``/api/keymgmt``: list, search, get, create, update, import, derive, delete
(device API §11)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hem_provider.arguments import as_bytes, as_text
from hem_provider.errors import (
    HemDuplicateKey,
    HemKeyNotFound,
    HemLoginRequired,
    HemOperationFailed,
    HemRequestRefused,
)
from hem_provider.keytypes import MAX_LABEL, KeyType
from hem_provider.rest.answer import Answer, Values
from hem_provider.rest.channel import EndpointGroup
from hem_provider.rest.encoding import b64
from hem_provider.rest.fields import Asked
from hem_provider.rest.status import Meanings, error_for
from hem_provider.rest.wire import Limit

__all__ = ["PAGE", "KeyMaterial", "KeyRecord", "KeymgmtApi", "Page", "check_kid", "check_label"]

#: Records per page of a listing, at most (device API §11.6).
PAGE = 15
_KID = re.compile("[0-9a-f]{32}")

_BAD_KID: Meanings = {406: (HemKeyNotFound, "the device has no such key")}
_ANONYMOUS: Meanings = {
    401: (HemLoginRequired, "the device allows no search without a login"),
    406: (HemOperationFailed, "the search text is too long"),
}
_CREATE: Meanings = {
    400: (HemRequestRefused, "the device does not make this type, or the label is not acceptable"),
    406: (HemOperationFailed, "the device could not make or store the key"),
}
_IMPORT: Meanings = {
    406: (HemDuplicateKey, "this public key is stored already, or is not of that type, or no room is left")
}


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """One record of a listing. ``type`` is the comma-joined attribute string; times are Unix
    seconds in the device's clock."""

    kid: str
    type: str
    label: str
    descr: bytes
    created: int
    updated: int


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a listing. ``total``: records in all; ``offset``: of the first one here."""

    records: tuple[KeyRecord, ...]
    offset: int
    total: int

    @property
    def next(self) -> int | None:
        """Where the next page begins; ``None`` when this is the last."""
        after = self.offset + len(self.records)
        return after if self.records and after < self.total else None


@dataclass(frozen=True, slots=True)
class KeyMaterial:
    """What ``get`` says: the type, and the public key or DER where the record has one."""

    type: str
    public: bytes | None
    der: bytes | None
    updated: int | None


def check_kid(kid: str) -> str:
    """A KID in the device's spelling. ``ValueError`` unless 32 hex digits, ``TypeError`` unless text."""
    lower = as_text("kid", kid).lower()
    if not _KID.fullmatch(lower):
        raise ValueError(f"kid: {kid!r} has {len(kid)} characters; accepted: 32 hex digits")
    return lower


def check_label(label: str) -> str:
    """``ValueError`` unless ``label`` is 1–32 printable ASCII characters; ``TypeError`` unless text."""
    as_text("label", label)
    if not (1 <= len(label) <= MAX_LABEL and label.isascii() and label.isprintable()):
        raise ValueError(
            f"label: {len(label)} characters ({label!r}); "
            f"accepted: 1 to {MAX_LABEL} printable ASCII characters"
        )
    return label


class KeymgmtApi(EndpointGroup):
    """One method per endpoint; ``token`` must hold the scope named."""

    def list(self, offset: int = 0, count: int = PAGE, *, token: str) -> Page:
        """``GET list/{offset}/{count}``; scope ``keymgmt:list``."""
        asked = Asked(offset=offset, count=count)
        path = f"/api/keymgmt/list/{offset}/{count}"
        return _page(self._channel.call("GET", path, token=token, asked=asked), offset)

    def search(
        self,
        needle: bytes,
        *,
        starts: bool = True,
        ends: bool = False,
        offset: int = 0,
        limit: int = PAGE,
        token: str | None,
    ) -> Page:
        """``POST search`` by ``descr``; scope ``keymgmt:search`` or ``keymgmt:list``.

        Without a token only ``starts`` with at least 6 bytes is allowed, and only where the
        device's configuration says so; ``HemLoginRequired`` otherwise.
        """
        text = f"{'^' if starts else ''}{b64(needle)}{'$' if ends else ''}"
        body = {"descr": text, "offset": offset, "limit": limit}
        meanings = _ANONYMOUS if token is None else None
        path = "/api/keymgmt/search"
        reply = self._channel.exchange("POST", path, body=body, token=token)
        if reply.status == 404:  # older firmware's way to say none
            return Page((), offset, 0)
        if reply.status != 200:
            raise error_for(reply.status, f"{self._channel.config.name}: search", meanings)
        asked = Asked(
            offset=offset, count=limit, starts=needle if starts else b"", ends=needle if ends else b""
        )
        return _page(self._channel.read(reply, "POST", path, asked), offset)

    def get(self, kid: str, *, kind: KeyType | None = None, token: str) -> KeyMaterial:
        """``GET get/{kid}``; scope ``keymgmt:get``, ``keymgmt:gen`` or ``keymgmt:use:<kid>``.

        Neither label nor ``descr`` are in the answer. ``HemKeyNotFound`` for an unknown KID. ``kind``:
        the type the key is known to have; the answer must say the same.
        """
        kid = check_kid(kid)
        answer = self._channel.call(
            "GET",
            f"/api/keymgmt/get/{kid}",
            token=token,
            meanings=_BAD_KID,
            asked=Asked(kid=kid, type=kind),
        )
        return KeyMaterial(
            type=answer.optional_text("type") or "",
            public=answer.optional_data("pubkey"),
            der=answer.optional_data("der"),
            updated=answer.optional_integer("updated"),
        )

    def create(
        self, *, type: str, label: str, mode: str | None = None, descr: bytes = b"", token: str
    ) -> str:
        """``POST create``; scope ``keymgmt:gen``. The new KID. Not to be repeated blindly."""
        body = _fields(label=check_label(label), type=type, mode=mode, descr=descr)
        timeout = Limit(self._channel.config.keygen_timeout, "keygen_timeout")
        answer = self._channel.call(
            "POST", "/api/keymgmt/create", body=body, token=token, timeout=timeout, meanings=_CREATE
        )
        return answer.text("kid")

    def import_public(
        self, public: bytes, *, type: str, label: str, mode: str | None = None, descr: bytes = b"", token: str
    ) -> str:
        """``POST import`` of a public key in device form; scope ``keymgmt:imp``. Its KID."""
        body = {**_fields(label=check_label(label), type=type, mode=mode, descr=descr), "pubkey": b64(public)}
        answer = self._channel.call(
            "POST",
            "/api/keymgmt/import",
            body=body,
            token=token,
            meanings=_IMPORT,
            asked=Asked(public=public),
        )
        return answer.text("kid")

    def derive(
        self,
        kid: str,
        *,
        type: str,
        label: str,
        peer: bytes | str,
        mode: str | None = None,
        descr: bytes = b"",
        token: str,
    ) -> str:
        """``POST derive``: a stored key from ECDH with ``peer`` (a KID, or a public key in device
        form); scope ``keymgmt:gen`` or ``keymgmt:derive``. Its KID."""
        body = _fields(label=check_label(label), type=type, mode=mode, descr=descr)
        body["kid"] = check_kid(kid)
        body.update(peer_field(peer))
        timeout = Limit(self._channel.config.keygen_timeout, "keygen_timeout")
        return self._channel.call(
            "POST", "/api/keymgmt/derive", body=body, token=token, timeout=timeout
        ).text("kid")

    def update(self, kid: str, *, label: str, descr: bytes, token: str) -> None:
        """``POST update``; scope ``keymgmt:upd``. Both fields are written; empty erases ``descr``."""
        body = {"kid": check_kid(kid), **_fields(label=check_label(label), descr=descr)}
        self._channel.call("POST", "/api/keymgmt/update", body=body, token=token, meanings=_BAD_KID)

    def delete(self, kid: str, *, token: str) -> None:
        """``DELETE delete/{kid}``; scope ``keymgmt:del``. ``HemKeyNotFound`` if it is not there."""
        path = f"/api/keymgmt/delete/{check_kid(kid)}"
        self._channel.call("DELETE", path, token=token, meanings=_BAD_KID)


def peer_field(peer: bytes | str) -> dict[str, str]:
    """A peer in a request: a stored key by KID, or a public key in device form."""
    if isinstance(peer, str):
        return {"ext_kid": check_kid(peer)}
    return {"pubkey": b64(as_bytes("peer", peer))}


def _fields(*, descr: bytes, **texts: str | None) -> dict[str, str]:
    fields = {name: value for name, value in texts.items() if value is not None}
    if descr:  # an empty string is refused (device API §2.1)
        fields["descr"] = b64(descr)
    return fields


def _page(answer: Answer, offset: int) -> Page:
    return Page(tuple(map(_record, answer.objects("list"))), offset, answer.integer("total"))


def _record(values: Values) -> KeyRecord:
    return KeyRecord(
        kid=values.text("kid"),
        type=values.text("type"),
        label=values.text("label"),
        descr=values.optional_data("descr") or b"",
        created=values.integer("created"),
        updated=values.integer("updated"),
    )
