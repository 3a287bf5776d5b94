"""Making and choosing the keys of a certificate."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence

from hem_provider.adapters.openpgp import (
    KINDS,
    Held,
    Holding,
    Place,
    Role,
    check_user_id,
    holdings,
    kept_name,
)
from hem_provider.cli.choosing import named_key
from hem_provider.cli.statuses import NotThere, UsageFault
from hem_provider.device.checkin import identified
from hem_provider.device.hem import Hem, Key
from hem_provider.errors import HemConfigError, HemOperationFailed
from hem_provider.keytypes import MAX_LABEL

__all__ = ["Known", "called", "chosen", "completed", "listed", "named"]

#: Fingerprint → the names of that certificate, as gpg has them.
Known = Callable[[str], Sequence[str]]

#: Role → how a key for it is called.
_CALLED = {Role.SIGN: "sign", Role.DECRYPT: "decrypt", Role.AUTHENTICATE: "login"}
#: Role → what its key is made for.
_USES = {Role.SIGN: "sign", Role.DECRYPT: "derive", Role.AUTHENTICATE: "sign"}


def listed(hem: Hem) -> list[Holding]:
    """The certificates on a device, as it has them now."""
    if hem.identity is None:
        identified(hem)  # for the listing to be kept, by which gpg-agent's daemon finds the keys
    found = holdings(hem.keys)
    if not found and hem.keys.aged:  # they may have been made since the agent listed the device
        hem.keys.refresh()
        found = holdings(hem.keys)
    return found


def named(found: list[Holding], wanted: str | None, device: str) -> list[Holding]:
    """Those that ``wanted`` means: a fingerprint or its end, else a part of the name; all for ``None``.
    ``NotThere`` for none."""
    if wanted is None:
        if not found:
            raise NotThere(f"{device}: no keys for OpenPGP; 'hem gpg setup' makes some")
        return found
    digits = re.sub(r"^0x|\s", "", wanted).upper()
    by_print = [each for each in found if len(digits) >= 8 and each.fingerprint().endswith(digits)]
    by_name = [each for each in found if wanted and wanted.casefold() in each.name.casefold()]
    chosen = by_print or by_name
    if not chosen:
        raise NotThere(f"{device}: no certificate is {wanted!r}; 'hem gpg status' shows those that are there")
    return chosen


def called(holding: Holding, known: Known) -> str:
    """The name of a certificate, as the device keeps it, else as gpg has it. ``UsageFault`` for none."""
    fingerprint = holding.fingerprint()
    names = [holding.name] if holding.name else known(fingerprint)
    if not names:
        raise UsageFault(
            f"the name of certificate {fingerprint} is not kept in the device (it takes at most 32 bytes, of "
            f"which the address alone may be kept): give it by --name, and the certificate by {fingerprint}"
        )
    return names[0]


def chosen(hem: Hem, wanted: Mapping[Role, str | None]) -> dict[Role, Key]:
    """The keys that were named, each fit for its role. ``UsageFault`` says why one is not."""
    found: dict[Role, Key] = {}
    for role, name in wanted.items():
        if name is None:
            continue
        key = named_key(hem, name)
        _check(key, role)
        if key in found.values():
            raise UsageFault(f"key {key.label!r} ({key.kid}): one key is for one use of a certificate")
        found[role] = key
    return found


def _check(key: Key, role: Role) -> None:
    attributes = key.attributes
    if attributes.key_type is None or attributes.key_type.name not in KINDS[role]:
        why = (
            "; GnuPG hands over digests, which a HEM does not sign by ECDSA"
            if attributes.exdsa and role is not Role.DECRYPT
            else ""
        )
        raise UsageFault(
            f"key {key.label!r} ({','.join(attributes.tokens)}) cannot {_CALLED[role]} for GnuPG; accepted: "
            f"{' and '.join(KINDS[role])}{why}"
        )
    if not attributes.usable or (role is Role.DECRYPT and not attributes.ecdh):
        raise UsageFault(f"key {key.label!r} ({key.kid}) was not made to {_CALLED[role]}")
    if key.application_id is not None or (key.descr and key.family_mark is None):
        raise UsageFault(
            f"key {key.label!r} ({key.kid}) is another application's, or of another certificate already: its "
            "descr has no room for the time that OpenPGP's fingerprints need"
        )


def completed(
    hem: Hem,
    name: str | None,
    keys: Mapping[Role, Key],
    decrypt_type: str,
    *,
    known: Known,
    another: bool = False,
) -> tuple[Holding, int]:
    """The certificate called ``name``, or the only one, with keys for every use; how many were made now.

    What is missing is made, or taken from ``keys``. ``another``: one more. ``UsageFault`` where
    there is none, and no name for one.
    """
    made = 0
    holding = None if another else _present(hem, name, keys, known)
    kinds = {role: each[0] for role, each in KINDS.items()} | {Role.DECRYPT: decrypt_type}
    if holding is None:
        if name is None:
            raise UsageFault("--name is missing: whose certificate it is to be, as 'Ada <ada@example.org>'")
        place = Place(Role.SIGN, int(time.time()), name=_checked(name))
        key, new = _taken(hem, place, name, keys, kinds)
        holding, made = Holding(Held(key, place)), made + new
    primary, subkeys = holding.primary, list(holding.subkeys)
    for role in holding.missing:
        if primary.place.maker != "hem-provider":
            break
        place = Place(role, int(time.time()), primary.key.kid)
        key, new = _taken(hem, place, name or holding.name, keys, kinds)
        subkeys.append(Held(key, place))
        made += new
    order = list(Role)
    subkeys.sort(key=lambda each: order.index(each.place.role))
    return Holding(primary, tuple(subkeys)), made


def _checked(name: str) -> str:
    try:
        return check_user_id(name)
    except ValueError as error:
        raise UsageFault(f"--{error}") from None


def _present(hem: Hem, name: str | None, keys: Mapping[Role, Key], known: Known) -> Holding | None:
    found = [each for each in listed(hem) if each.primary.place.maker == "hem-provider"]
    if name is not None:
        kept = kept_name(name)
        found = [each for each in found if (each.name == kept if kept else _is_called(each, name, known))]
    if len(found) > 1:
        those = ", ".join(f"{each.name} ({each.fingerprint()})".lstrip() for each in found)
        advice = (
            "'hem gpg import' with a fingerprint takes one" if name is not None else "say which by --name"
        )
        raise HemConfigError(f"{hem.config.name}: {len(found)} certificates are there; {advice}: {those}")
    if found and name is None:
        called(found[0], known)  # says that it needs a name, before anything is made
    if found and keys:
        at_fault = [role for role in keys if role not in found[0].missing]
        if at_fault:
            raise HemOperationFailed(
                f"{hem.config.name}: the certificate {found[0].name!r} has a key to "
                f"{_CALLED[at_fault[0]]} already"
            )
    return found[0] if found else None


def _is_called(holding: Holding, name: str, known: Known) -> bool:
    """Whether a certificate whose name the device had no room for has this one. ``UsageFault`` where it may:
    it is none of gpg's, and its key is labelled as for this name."""
    if holding.name:
        return False
    names = known(holding.fingerprint())
    if not names and holding.primary.key.label == _label(Role.SIGN, name):
        raise UsageFault(
            f"certificate {holding.fingerprint()} may be the one of this name, which the device has no room "
            f"for: 'hem gpg import {holding.fingerprint()} --name …' gives it to gpg; --new makes another"
        )
    return name in names


def _label(role: Role, name: str) -> str:
    address = re.search(r"<([^<>]+)>$", name)
    label = f"gpg {_CALLED[role]} {address[1] if address else name}"
    return "".join(each if " " <= each <= "~" else "?" for each in label)[:MAX_LABEL].strip()


def _taken(
    hem: Hem, place: Place, name: str, keys: Mapping[Role, Key], kinds: Mapping[Role, str]
) -> tuple[Key, int]:
    """The key for a place, and whether it was made."""
    own = place.application_id()
    if place.role in keys:
        return hem.keys.update(keys[place.role], application_id=own), 0
    label = _label(place.role, name)
    made = hem.keys.create(kinds[place.role], label=label, usage={_USES[place.role]}, application_id=own)
    return made, 1
