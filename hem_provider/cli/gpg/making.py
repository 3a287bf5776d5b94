"""Making and choosing the keys of a certificate."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

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
from hem_provider.device.hem import Hem, Key
from hem_provider.errors import HemConfigError, HemOperationFailed
from hem_provider.keytypes import MAX_LABEL

__all__ = ["chosen", "completed", "listed", "named"]

#: Role → how a key for it is called.
_CALLED = {Role.SIGN: "sign", Role.DECRYPT: "decrypt", Role.AUTHENTICATE: "login"}
#: Role → what its key is made for.
_USES = {Role.SIGN: "sign", Role.DECRYPT: "derive", Role.AUTHENTICATE: "sign"}


def listed(hem: Hem) -> list[Holding]:
    """The certificates on a device, as it has them now."""
    if hem.identity is None:
        hem.probe()  # for the listing to be kept, by which gpg-agent's daemon finds the keys
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
    chosen = by_print or [each for each in found if wanted.casefold() in each.name.casefold()]
    if not chosen:
        raise NotThere(f"{device}: no certificate is {wanted!r}; 'hem gpg status' shows those that are there")
    return chosen


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


def completed(hem: Hem, name: str | None, keys: Mapping[Role, Key], decrypt_type: str) -> tuple[Holding, int]:
    """The certificate called ``name``, or the only one, with keys for every use; how many were made now.

    What is missing is made, or taken from ``keys``. ``UsageFault`` where there is none, and no name for one.
    """
    made = 0
    holding = _present(hem, name, keys)
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


def _present(hem: Hem, name: str | None, keys: Mapping[Role, Key]) -> Holding | None:
    found = [each for each in listed(hem) if each.primary.place.maker == "hem-provider"]
    if name is not None:
        kept = kept_name(name)
        found = [each for each in found if kept and each.name == kept]
    if len(found) > 1:
        raise HemConfigError(
            f"{hem.config.name}: {len(found)} certificates are there; say which by --name: "
            f"{', '.join(each.name or each.fingerprint() for each in found)}"
        )
    if found and keys:
        at_fault = [role for role in keys if role not in found[0].missing]
        if at_fault:
            raise HemOperationFailed(
                f"{hem.config.name}: the certificate {found[0].name!r} has a key to "
                f"{_CALLED[at_fault[0]]} already"
            )
    return found[0] if found else None


def _taken(
    hem: Hem, place: Place, name: str, keys: Mapping[Role, Key], kinds: Mapping[Role, str]
) -> tuple[Key, int]:
    """The key for a place, and whether it was made."""
    own = place.application_id()
    if place.role in keys:
        return hem.keys.update(keys[place.role], application_id=own), 0
    address = re.search(r"<([^<>]+)>$", name)
    label = f"gpg {_CALLED[place.role]} {address[1] if address else name}"
    label = "".join(each if " " <= each <= "~" else "?" for each in label)[:MAX_LABEL].strip()
    made = hem.keys.create(kinds[place.role], label=label, usage={_USES[place.role]}, application_id=own)
    return made, 1
