"""Endpoint group ``/api/keymgmt``: list, search, get, create, update, import, derive, delete
(device API §11). All over TLS only. ``limits``: the firmware's."""

from __future__ import annotations

from hem_provider.config.limits import FIRMWARE_1_2_2, FirmwareLimits
from hem_provider.errors import (
    HemDuplicateKey,
    HemKeyNotFound,
    HemLoginRequired,
    HemOperationFailed,
    HemRequestRefused,
)
from hem_provider.keytypes import MAX_LABEL
from hem_provider.records import frozen, replace
from hem_provider.rest.agreements import MAX_CERTIFICATE, kid_of_sent, material, page
from hem_provider.rest.answer import Answer, Values
from hem_provider.rest.call import Call, done, the_text
from hem_provider.rest.encoding import b64
from hem_provider.rest.fields import (
    NOTHING,
    Asked,
    Field,
    Shape,
    any_text,
    data,
    integer,
    kid,
    objects,
    text,
)
from hem_provider.rest.keyfields import check_kid, check_label, peer_field, use_of
from hem_provider.rest.sharedfields import MOST_RECORDS, TIME
from hem_provider.rest.status import Meanings

__all__ = [
    "PAGE",
    "KeyMaterial",
    "KeyRecord",
    "Page",
    "create",
    "delete",
    "derive",
    "get",
    "import_public",
    "list_keys",
    "search",
    "search_anonymously",
    "update",
]

#: Records per page of a listing, at most (device API §11.6).
PAGE = 15
_PATH = "/api/keymgmt/"

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

#: A firmware's type string: known and unknown tokens (device API §11.1).
_TYPE = text(0, 128, pattern=r"[A-Za-z0-9_,\- ]*", accepted="tokens with commas between them")
_RECORD = Shape(
    (
        Field("kid", kid),
        Field("type", _TYPE),
        Field("label", any_text(MAX_LABEL)),
        Field("descr", data(most=128), needed=False),  # the longest of any firmware (device API §24)
        Field("created", TIME),
        Field("updated", TIME),
    )
)
_LISTED = Shape(
    (
        Field("offset", integer(0, 2**31), needed=False),
        Field("total", integer(0, MOST_RECORDS)),
        Field("listed", integer(0, MOST_RECORDS), needed=False),
        Field("list", objects(_RECORD, MOST_RECORDS)),
    ),
    page,
)
_GOT = Shape(
    (
        Field("type", _TYPE, needed=False),
        Field("pubkey", data(most=4096), needed=False),
        Field("der", data(most=MAX_CERTIFICATE), needed=False),
        Field("updated", TIME, needed=False),
    ),
    material,
)
_MADE = Shape((Field("kid", kid),))
_IMPORTED = Shape(_MADE.fields, kid_of_sent)


@frozen
class KeyRecord:
    """One record of a listing. ``type`` is the comma-joined attribute string; times are Unix
    seconds in the device's clock."""

    kid: str
    type: str
    label: str
    descr: bytes
    created: int
    updated: int


@frozen
class Page:
    """Part of a listing. ``total``: records in all; ``offset``: of the first one here."""

    records: tuple[KeyRecord, ...]
    offset: int
    total: int


@frozen
class KeyMaterial:
    """What ``get`` says: the type, and the public key or DER where the record has one."""

    type: str
    public: bytes | None
    der: bytes | None
    updated: int | None


_kid = the_text("kid")


def _page(answer: Answer) -> Page:
    return Page(tuple(map(_record, answer.objects("list"))), answer.asked.offset, answer.integer("total"))


def _record(values: Values) -> KeyRecord:
    return KeyRecord(
        kid=values.text("kid"),
        type=values.text("type"),
        label=values.text("label"),
        descr=values.optional_data("descr") or b"",
        created=values.integer("created"),
        updated=values.integer("updated"),
    )


def _material(answer: Answer) -> KeyMaterial:
    return KeyMaterial(
        type=answer.optional_text("type") or "",
        public=answer.optional_data("pubkey"),
        der=answer.optional_data("der"),
        updated=answer.optional_integer("updated"),
    )


def list_keys(offset: int = 0, count: int = PAGE) -> Call[Page]:
    """``GET list/{offset}/{count}``: records in storage order, from ``offset`` on, ``count`` at most."""
    return Call(
        "GET",
        f"{_PATH}list/{offset}/{count}",
        _page,
        answer=_LISTED,
        form=f"{_PATH}list/{{}}",
        scopes=("keymgmt:list",),
        asked=Asked(offset=offset, count=count),
        tls_only=True,
        repeatable=True,
    )


def search(
    needle: bytes, *, starts: bool = True, ends: bool = False, offset: int = 0, limit: int = PAGE
) -> Call[Page]:
    """``POST search`` by ``descr``: what it begins with, ends with, or both."""
    sought = f"{'^' if starts else ''}{b64(needle)}{'$' if ends else ''}"
    return Call(
        "POST",
        f"{_PATH}search",
        _page,
        {"descr": sought, "offset": offset, "limit": limit},
        answer=_LISTED,
        scopes=("keymgmt:list", "keymgmt:search"),
        asked=Asked(
            offset=offset, count=limit, starts=needle if starts else b"", ends=needle if ends else b""
        ),
        tls_only=True,
        repeatable=True,
        verdicts={404: Page((), offset, 0)},  # older firmware's way to say none
    )


def search_anonymously(needle: bytes, *, ends: bool = False, offset: int = 0) -> Call[Page]:
    """``POST search`` without a token: by at least 6 bytes that ``descr`` begins with, and only where
    the device's configuration says so; ``HemLoginRequired`` otherwise."""
    return replace(search(needle, ends=ends, offset=offset).by(), meanings=_ANONYMOUS)


def get(kid: str) -> Call[KeyMaterial]:
    """``GET get/{kid}``. Neither label nor ``descr`` are in the answer. ``HemKeyNotFound`` for an unknown
    KID."""
    kid = check_kid(kid)
    return Call(
        "GET",
        f"{_PATH}get/{kid}",
        _material,
        answer=_GOT,
        form=f"{_PATH}get/{{}}",
        scopes=(use_of(kid), "keymgmt:gen", "keymgmt:get"),
        asked=Asked(kid=kid),
        kid=kid,
        tls_only=True,
        repeatable=True,
        meanings=_BAD_KID,
    )


def create(
    *,
    type: str,
    label: str,
    mode: str | None = None,
    descr: bytes = b"",
    limits: FirmwareLimits = FIRMWARE_1_2_2,
) -> Call[str]:
    """``POST create``: the new KID. Not to be repeated blindly."""
    body = _fields(label=check_label(label, limits), type=type, mode=mode, descr=descr)
    return _making("create", body, "keymgmt:gen", meanings=_CREATE, limit="keygen_timeout")


def import_public(
    public: bytes,
    *,
    type: str,
    label: str,
    mode: str | None = None,
    descr: bytes = b"",
    limits: FirmwareLimits = FIRMWARE_1_2_2,
) -> Call[str]:
    """``POST import`` of a public key in device form: its KID."""
    body = _fields(label=check_label(label, limits), type=type, mode=mode, descr=descr)
    body["pubkey"] = b64(public)
    return _making(
        "import", body, "keymgmt:imp", answer=_IMPORTED, meanings=_IMPORT, asked=Asked(public=public)
    )


def derive(
    kid: str,
    *,
    type: str,
    label: str,
    peer: bytes | str,
    mode: str | None = None,
    descr: bytes = b"",
    limits: FirmwareLimits = FIRMWARE_1_2_2,
) -> Call[str]:
    """``POST derive``: a stored key from ECDH with ``peer`` (a KID, or a public key in device
    form): its KID."""
    body = _fields(label=check_label(label, limits), type=type, mode=mode, descr=descr)
    body |= {"kid": check_kid(kid), **peer_field(peer)}
    return _making("derive", body, "keymgmt:gen", "keymgmt:derive", limit="keygen_timeout")


def update(kid: str, *, label: str, descr: bytes, limits: FirmwareLimits = FIRMWARE_1_2_2) -> Call[None]:
    """``POST update``: both fields are written; empty erases ``descr``."""
    kid = check_kid(kid)
    return Call(
        "POST",
        f"{_PATH}update",
        done,
        {"kid": kid, **_fields(label=check_label(label, limits), descr=descr)},
        scopes=("keymgmt:upd",),
        kid=kid,
        tls_only=True,
        repeatable=True,
        meanings=_BAD_KID,
    )


def delete(kid: str) -> Call[None]:
    """``DELETE delete/{kid}``. ``HemKeyNotFound`` if it is not there."""
    kid = check_kid(kid)
    return Call(
        "DELETE",
        f"{_PATH}delete/{kid}",
        done,
        scopes=("keymgmt:del",),
        kid=kid,
        tls_only=True,
        meanings=_BAD_KID,
    )


def _making(
    name: str,
    body: dict[str, str],
    *scopes: str,
    answer: Shape = _MADE,
    meanings: Meanings | None = None,
    limit: str = "timeout",
    asked: Asked = NOTHING,
) -> Call[str]:
    return Call(
        "POST",
        _PATH + name,
        _kid,
        body,
        answer=answer,
        scopes=scopes,
        asked=asked,
        tls_only=True,
        limit=limit,
        meanings=meanings,
    )


def _fields(*, descr: bytes, **texts: str | None) -> dict[str, str]:
    fields = {name: value for name, value in texts.items() if value is not None}
    if descr:  # an empty string is refused (device API §2.1)
        fields["descr"] = b64(descr)
    return fields
