"""Which key is meant by a name that a person or a configuration gives: a KID, a label, or a PKCS#11 URI
(RFC 7512), and on which of the configured devices. What a name says wrongly is a ``NameFault``."""

from __future__ import annotations

import re
from contextlib import suppress

from hem_provider.device.hem import Hem, Key
from hem_provider.device.keyuri import KeyUri, is_uri, parse_uri
from hem_provider.errors import HemKeyAmbiguous, HemKeyNotFound
from hem_provider.keytypes import KID_FORM

__all__ = ["NameFault", "check_label", "device_meant", "key_meant"]

#: Most guesses at what is meant.
_MOST = 3


class NameFault(ValueError):
    """A name that is none, or that names something else than it is given for."""


def device_meant(device: str | None, *names: str | None, option: str = "device") -> str | None:
    """``device``, a configured one's name; without it, the one that a PKCS#11 URI among ``names`` of keys
    tells by its token, ``None`` where nothing tells. No I/O but the configuration's. ``option``: what
    ``device`` is called where it was given.

    ``NameFault`` for a URI that is none, and for one that names another device.
    """
    uris = [_parsed(name) for name in names if name is not None and is_uri(name)]
    if not any(each.token for each in uris):
        return device
    from hem_provider.config import load_config

    config = load_config()
    known = [each.name for each in config.devices] if device is None else [config.device(device).name]
    for uri in uris:
        fitting = [name for name in known if uri.may_mean(name)]
        if not fitting:
            of_all = "" if device is None else f", and {option} is {device!r}"
            raise NameFault(
                f"the URI's token {uri.token!r} is none of the devices here{of_all}; "
                f"there are: {', '.join(known)}"
            )
        known = fitting
    return known[0] if len(known) == 1 else device


def check_label(label: str) -> None:
    """``NameFault`` for a label that would never name its key: it reads as a URI, or as a KID."""
    if is_uri(label):
        raise NameFault(f"{label!r} cannot be a label: it reads as a URI, and would name no key")
    if re.fullmatch(KID_FORM, label.lower()):
        raise NameFault(f"{label!r} cannot be a label: it reads as a KID, and would not name its key")


def key_meant(hem: Hem, name: str) -> Key:
    """The key with this KID, else with this label; or the one that a PKCS#11 URI means.

    ``HemKeyNotFound`` says which label may be meant, ``HemKeyAmbiguous`` names the KIDs. ``NameFault`` for
    a URI that is none, or of another device's key.
    """
    if is_uri(name):
        return _of_uri(hem, _parsed(name), name)
    with suppress(ValueError):  # it is no KID
        try:
            return hem.keys.get(name)
        except HemKeyNotFound:
            raise HemKeyNotFound(f"{hem.config.name}: no key {name}") from None
    try:
        return hem.keys.find(label=name)
    except HemKeyNotFound as error:
        raise HemKeyNotFound(f"{error}{_guess(hem, name)}") from None


def _parsed(name: str) -> KeyUri:
    try:
        return parse_uri(name)
    except ValueError as error:
        raise NameFault(str(error)) from None


def _of_uri(hem: Hem, uri: KeyUri, text: str) -> Key:
    misfit = uri.misfit(hem)
    if misfit is not None:
        raise NameFault(f"{text}: it has {misfit}")
    if uri.object is None and uri.id is None:
        raise NameFault(f"{text}: it names no key; add object=LABEL or id=%XX")
    if uri.type in ("cert", "data"):
        raise NameFault(f"{text}: it names no key; accepted: type=public, private or secret-key")
    likely = hem.keys.likely(label=uri.object, identifier=uri.id)
    found = [each for each in likely if uri.fits(each)] or [each for each in hem.keys if uri.fits(each)]
    if hem.keys.aged and not (found and all(map(hem.keys.stands, found))):  # or it is known too badly
        hem.keys.refresh()
        found = [each for each in hem.keys if uri.fits(each)]
    if not found:
        guess = "" if uri.object is None else _guess(hem, uri.object)
        raise HemKeyNotFound(f"{hem.config.name}: no key is {text}{guess}")
    if len(found) > 1:
        kids = ", ".join(each.kid for each in found)
        raise HemKeyAmbiguous(f"{hem.config.name}: {len(found)} keys are {text}; name one by its KID: {kids}")
    return found[0]


def _guess(hem: Hem, name: str) -> str:
    from difflib import get_close_matches

    labels = sorted({each.label for each in hem.keys})
    meant = [each for each in labels if name and name.casefold() in each.casefold()]
    meant = meant[:_MOST] or get_close_matches(name, labels)
    return f"; did you mean {' or '.join(map(repr, meant))}?" if meant else ""
