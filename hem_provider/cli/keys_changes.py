"""What the actions of ``hem keys`` do that change what is on the device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hem_provider.cli.choosing import check_nameable, device_of, named_key
from hem_provider.cli.confirming import check_can_ask, confirm, confirm_by_name
from hem_provider.cli.keys_telling import maker, print_changed
from hem_provider.cli.login import logged_in
from hem_provider.cli.output import print_json
from hem_provider.cli.shape import Given
from hem_provider.cli.statuses import UsageFault
from hem_provider.device.creation import check_wish, kid_of
from hem_provider.device.description import PREFIX
from hem_provider.device.hem import Hem
from hem_provider.device.key import Key
from hem_provider.errors import HemConfigError, HemDuplicateKey, HemOperationFailed
from hem_provider.files import read_file
from hem_provider.keys.publicreading import MOST, read_public
from hem_provider.keytypes import KEY_TYPES, KeyType
from hem_provider.printable import printable

__all__ = ["create", "delete", "derive", "import_public", "rename"]

#: The first of the scopes that make keys: what is typed is proven with it.
_MAKING, _IMPORTING = "keymgmt:gen", "keymgmt:imp"


def create(options: Given) -> int:
    """``hem keys create``: its exit status."""
    wish = _wish(options, options.type)
    with logged_in(options.device, mobile=options.mobile, scope=_MAKING) as hem:
        print_changed(hem.config.name, hem.keys.create(options.type, **wish), "created", as_json=options.json)
    return 0


def derive(options: Given) -> int:
    """``hem keys derive``: its exit status."""
    wish = _wish(options, options.type, derived=True)
    given = None if options.peer_file is None else _read(options.peer_file)
    with logged_in(device_of(options.device, options.key, options.peer), mobile=options.mobile) as hem:
        key = named_key(hem, options.key)
        _check_agreeing(key)
        if given is None:
            peer = named_key(hem, options.peer)
            kind, public = peer.type, peer
        else:
            from hem_provider.publickeys import load_public

            kind, public = given[0], load_public(*given)
        if kind is not key.type:
            raise HemOperationFailed(
                f"key {key.kid} ({key.label!r}) is {key.type.name} and its peer {kind.name}; both have to be "
                "of one type"
            )
        try:
            made = hem.keys.derive(key, public, type=options.type, **wish)
        except HemOperationFailed as error:
            raise HemOperationFailed(
                f"{error}. The same two keys always give the same key, which can be there once; and not "
                f"every agreement is long enough for {options.type}"
            ) from None
        print_changed(hem.config.name, made, "derived", as_json=options.json)
    return 0


def import_public(options: Given) -> int:
    """``hem keys import-public``: its exit status."""
    kind, public = _read(options.file, options.type)
    wish = _wish(options, kind.name)
    with logged_in(options.device, mobile=options.mobile, scope=_IMPORTING) as hem:
        try:
            key = hem.keys.import_public((kind.name, public), **wish)
        except HemDuplicateKey as error:
            kid = kid_of(public)
            if kid not in hem.keys:
                raise
            raise HemDuplicateKey(
                f"{error}: it is, as {hem.keys.get(kid).label!r}; 'hem keys show {kid}' tells of it"
            ) from None
        print_changed(hem.config.name, key, "imported", as_json=options.json)
    return 0


def rename(options: Given) -> int:
    """``hem keys rename``: its exit status."""
    check_nameable(options.new)
    with logged_in(device_of(options.device, options.key), mobile=options.mobile) as hem:
        key = _owned(hem, options.key)
        before = key.label
        if not key.descr.startswith(PREFIX):
            question = f"{before!r} was made by {maker(key)}, which may look for it by its label. Rename it?"
            confirm(question, yes=options.yes)
        print_changed(
            hem.config.name,
            hem.keys.update(key, label=options.new),
            "renamed",
            as_json=options.json,
            before=before,
        )
    return 0


def delete(options: Given) -> int:
    """``hem keys delete``: its exit status."""
    check_can_ask(yes=options.yes)
    with logged_in(device_of(options.device, options.key), mobile=options.mobile) as hem:
        key = _owned(hem, options.key)
        label, kind = key.label, key.type.name
        confirm_by_name(
            f"{label!r} ({kind}, KID {key.kid}, made by {maker(key)}) will be gone for good: there is no "
            "backup of it, and what was encrypted for it cannot be read any more.",
            label,
            yes=options.yes,
        )
        hem.keys.delete(key)
    if options.json:
        document = {"change": "deleted", "label": label, "label_before": label, "kid": key.kid, "type": kind}
        print_json({"device": hem.config.name, **document, "usages": []})
    else:
        print(f"deleted {printable(label)} ({kind}, KID {key.kid})")
    return 0


def _wish(options: Given, kind: str, *, derived: bool = False) -> dict[str, Any]:
    """What a new key is to be, checked before anything is asked of a device."""
    check_nameable(options.label)
    usage = frozenset[str]().union(*options.use) if options.use else None
    own = options.id or b""
    try:
        check_wish(kind, options.label, usage, own, derived=derived)
    except ValueError as error:
        text = str(error)
        raise UsageFault(
            f"--use{text.removeprefix('usage')}" if text.startswith("usage:") else text
        ) from None
    return {"label": options.label, "usage": usage, "application_id": own}


def _read(file: Path, kind: str | None = None) -> tuple[KeyType, bytes]:
    data = read_file(file, "the public key", limit=MOST, trusted=False)
    if len(data) > MOST:
        raise HemConfigError(f"{file}: it has more than {MOST} bytes, and is no public key")
    try:
        return read_public(data, None if kind is None else KEY_TYPES[kind])
    except ValueError as error:
        raise HemConfigError(f"{file}: {error}") from None


def _owned(hem: Hem, name: str) -> Key:
    """A key that is not the device's own."""
    key = named_key(hem, name)
    if key.hidden:
        raise HemOperationFailed(
            f"record {key.kid} ({key.label!r}) is the device's own: it serves its TLS, or is a paired phone"
        )
    return key


def _check_agreeing(key: Key) -> None:
    if not (key.attributes.private and key.attributes.ecdh):
        raise HemOperationFailed(
            f"key {key.kid} ({key.label!r}, {key.type.name}) agrees on no secrets; use one that was made for "
            "'derive', or an X25519 or X448 key"
        )
