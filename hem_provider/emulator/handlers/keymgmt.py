"""Key management: the repository through the API (device API §11)."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import replace
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hem_provider.emulator import keys
from hem_provider.emulator.call import Bearer, Call
from hem_provider.emulator.device import Device
from hem_provider.emulator.encodings import to_b64
from hem_provider.emulator.fields import PATH, Needle, read_kid
from hem_provider.emulator.handlers.peers import lookup, peer_secret
from hem_provider.emulator.http import Refusal, Response, answer
from hem_provider.emulator.keytypes import CERTIFICATE, KEY_TYPES, MODES, Family, KeyType
from hem_provider.emulator.quirks import Q
from hem_provider.emulator.repository import Record, RepositoryFull

__all__ = ["create", "delete", "derive", "get", "import_key", "listing", "search", "store", "update"]

_PAGE: Final = 15
_UNCLAMPED_PAGE: Final = 1000
_ANONYMOUS_NEEDLE: Final = 6


def _modes(kind: KeyType, asked: tuple[str, ...] | None, device: Device) -> tuple[str, ...]:
    """Operations a key may do: asked for with SECP*, given by the type otherwise, which a mode must not
    contradict (U26, U27)."""
    if kind.family is Family.WEIERSTRASS:
        if asked is None:
            return ("ECDH",) if device.switches.on(Q.DEFAULT_MODE_ECDH) else MODES
        if not set(asked) <= set(MODES):
            raise Refusal(400)
        return asked
    own = {Family.EDWARDS: ("ExDSA",), Family.MONTGOMERY: ("ECDH",)}.get(kind.family, ())
    agrees = asked in (None, own) or (asked == (kind.name,) and device.switches.on(Q.MODE_IS_TYPE))
    status = device.switches.number(Q.MODE_CONTRADICTS)
    if not agrees and status != 200:
        raise Refusal(status)
    return own


def store(device: Device, kind: KeyType, material: keys.Material, record: Record) -> bytes:
    """Store a key under its id, which is returned; 406 for a duplicate or a full repository."""
    if material.public:
        kid = keys.kid_of(material.public)
    elif device.switches.text(Q.SYMMETRIC_KID) == "sha1":
        kid = keys.kid_of(material.secret)
    else:
        kid = secrets.token_bytes(16)
    boot = device.boot.number if device.switches.on(Q.DUPLICATE_DELETED) else None
    if device.repository.is_duplicate(kid, boot=boot):
        raise Refusal(406)
    full = replace(record, kid=kid, type=kind.name, secret=material.secret, public=material.public)
    try:
        full_up = device.has_condition("repository-full")
        device.repository.add(full, capacity=0 if full_up else device.switches.number(Q.CAPACITY))
    except RepositoryFull:
        raise Refusal(406) from None
    return kid


def _new_record(call: Call, modes: tuple[str, ...], *, attested: bool, private: bool) -> Record:
    now = call.device.now()
    descr = call.find("descr", bytes) or b""
    return Record(
        b"", "", call.get("label", str), descr, now, now, modes=modes, attested=attested, private=private
    )


def create(call: Call) -> Response:
    """POST keymgmt/create."""
    kind = KEY_TYPES.get(call.get("type", str))
    if kind is None:
        raise Refusal(400)
    modes = _modes(kind, call.find("mode", tuple), call.device)
    record = _new_record(call, modes, attested=True, private=not kind.symmetric)
    kid = store(call.device, kind, keys.generate(kind), record)
    return answer({"kid": kid.hex()})


def import_key(call: Call) -> Response:
    """POST keymgmt/import: a public key; the material of post-quantum keys is not looked at."""
    kind = KEY_TYPES.get(call.get("type", str))
    public = call.get("pubkey", bytes)
    if kind is None or kind.symmetric or len(public) != kind.public:
        raise Refusal(406)
    if kind.family is Family.WEIERSTRASS:
        try:
            keys.ec_public(kind.name, public)
        except ValueError:
            raise Refusal(406) from None
    modes = _modes(kind, call.find("mode", tuple), call.device)
    record = _new_record(call, modes, attested=False, private=False)
    kid = store(call.device, kind, keys.Material(b"", public), record)
    return answer({"kid": kid.hex()})


def derive(call: Call) -> Response:
    """POST keymgmt/derive: a key determined by an ECDH secret and the wanted type."""
    device = call.device
    own = lookup(device, call.get("kid", bytes))
    secret = peer_secret(call, own)
    if secret is None:
        raise Refusal(406)
    kind = KEY_TYPES.get(call.get("type", str))
    if kind is None:
        if device.switches.on(Q.DERIVE_UNKNOWN_TYPE):
            return answer({"kid": own.kid.hex()})
        raise Refusal(400)
    if kind.post_quantum or kind.secret > len(secret):
        raise Refusal(406)
    modes = _modes(kind, call.find("mode", tuple), device)
    attested = device.switches.on(Q.DERIVED_ATTESTED)
    record = _new_record(call, modes, attested=attested, private=not kind.symmetric)
    material = _derived(device, kind, secret)
    if kind.symmetric and _same_secret_exists(device, kind, material):
        raise Refusal(406)
    return answer({"kid": store(device, kind, material, record).hex()})


def _derived(device: Device, kind: KeyType, secret: bytes) -> keys.Material:
    """The documented HKDF, and on top an undisclosed step (Q10) that here is a hash of our own choice."""
    for attempt in range(256):
        info = f"encedo-{_info_name(kind)}".encode() + (bytes([attempt]) if attempt else b"")
        seed = HKDF(hashes.SHA256(), kind.secret, salt=None, info=info).derive(secret)
        if device.switches.on(Q.DERIVE_UNDISCLOSED):
            seed = hashlib.shake_256(b"undisclosed" + seed).digest(kind.secret)
        try:
            return keys.from_secret(kind, keys.shrink_to_scalar(kind, seed))
        except ValueError:
            continue
    raise Refusal(406)


def _info_name(kind: KeyType) -> str:
    """The type's name in HKDF info: ``sha256`` for SHA2-256, ``sha3256`` for SHA3-256, lower case
    otherwise."""
    name = kind.name.lower()
    return name.replace("sha2-", "sha").replace("sha3-", "sha3")


def _same_secret_exists(device: Device, kind: KeyType, material: keys.Material) -> bool:
    """An identical derivation of a symmetric key is a duplicate too, although its id is random."""
    return device.repository.has_secret(kind.name, material.secret)


def _shown(record: Record, device: Device) -> bytes:
    return record.descr[: device.switches.number(Q.DESCR_LIMIT)]


def _entry(record: Record, device: Device) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "kid": record.kid.hex(),
        "created": record.created,
        "type": record.attributes,
        "label": record.label,
    }
    descr = _shown(record, device) if device.switches.on(Q.DESCR_CUT_ON_READ) else record.descr
    if descr:
        entry["descr"] = to_b64(descr)
    entry["updated"] = record.updated
    return entry


def _page(call: Call, slots: tuple[int, ...], offset: int, count: int) -> dict[str, Any]:
    device = call.device
    most = _PAGE if device.switches.on(Q.PAGE_CLAMP) else _UNCLAMPED_PAGE
    records = device.repository.read(slots[offset : offset + min(count, most)])
    return {
        "offset": offset,
        "deleted": device.repository.dead(),
        "total": len(slots),
        "listed": len(records),
        "list": [_entry(record, device) for record in records],
    }


def _number(call: Call, name: str, default: int) -> int:
    if name not in call.path:
        return default
    try:
        return int(PATH[name](call.path[name], call.device.switches))
    except ValueError:
        raise Refusal(406) from None


def listing(call: Call) -> Response:
    """GET keymgmt/list[/offset[/count]]."""
    slots = call.device.repository.slots()
    offset, count = _number(call, "offset", 0), _number(call, "count", _PAGE)
    if offset > len(slots) and call.device.switches.number(Q.LIST_BEYOND_END) != 200:
        raise Refusal(call.device.switches.number(Q.LIST_BEYOND_END))
    return answer(_page(call, slots, offset, count))


def _may_search(device: Device, needle: Needle, bearer: Bearer | None) -> bool:
    if bearer is not None:
        return True
    allowed = device.config is not None and device.config.allow_keysearch
    return allowed and needle.at_start and len(needle.content) >= _ANONYMOUS_NEEDLE


def search(call: Call) -> Response:
    """POST keymgmt/search: by decoded descr bytes; without bearer only for long anchored needles."""
    device = call.device
    needle = call.get("descr", Needle)
    if not _may_search(device, needle, call.bearer):
        raise Refusal(401)
    if not needle.content:
        raise Refusal(device.switches.number(Q.EMPTY_NEEDLE_STATUS))
    limit = device.switches.number(Q.DESCR_LIMIT)
    if len(needle.content) > limit:
        raise Refusal(406)
    slots = device.repository.matching(
        needle.content, at_start=needle.at_start, at_end=needle.at_end, limit=limit
    )
    if not slots and device.switches.number(Q.SEARCH_NO_HIT) != 200:
        raise Refusal(device.switches.number(Q.SEARCH_NO_HIT))
    offset, count = call.find("offset", int) or 0, call.find("limit", int)
    return answer(_page(call, slots, offset, _PAGE if count is None else count))


def _path_kid(call: Call) -> bytes:
    return read_kid(call.path["kid"])


def get(call: Call) -> Response:
    """GET keymgmt/get/{kid}."""
    device = call.device
    record = lookup(device, _path_kid(call))
    kind = record.kind
    body: dict[str, Any]
    if kind is None:
        body = {"type": record.type}
        if record.type == CERTIFICATE or device.switches.text(Q.DER_PKEY_EXPORT) == "public":
            body["der"] = to_b64(record.public)
    elif kind.symmetric:
        body = {"type": record.attributes}
    else:
        bare = device.switches.on(Q.GET_BARE)
        body = {"type": kind.name if bare else record.attributes, "pubkey": to_b64(record.public)}
    if not device.switches.on(Q.GET_BARE):
        body["label"] = record.label
        if record.descr:
            body["descr"] = to_b64(_shown(record, device))
    body["updated"] = record.updated
    return answer(body)


def update(call: Call) -> Response:
    """POST keymgmt/update: rewrites label and descr; a descr left out is erased (Q6)."""
    device = call.device
    record = lookup(device, call.get("kid", bytes))
    erases = device.switches.on(Q.UPDATE_ERASES_DESCR)
    label, descr = call.find("label", str), call.find("descr", bytes)
    device.repository.rewrite(
        record,
        label=record.label if label is None else label,
        descr=descr if descr is not None else (b"" if erases else record.descr),
        now=device.now(),
    )
    return Response()


def delete(call: Call) -> Response:
    """DELETE keymgmt/delete/{kid}."""
    record = lookup(call.device, _path_kid(call))
    call.device.repository.delete(record, boot=call.device.boot.number)
    return Response()
