"""What the actions of ``hem gpg`` do."""

from __future__ import annotations

import sys
import time
from typing import Any

from hem_provider.adapters.openpgp import Holding, Role, armored, check_user_id, revocation
from hem_provider.adapters.scdaemon import serial_number
from hem_provider.cli.gpg.home import PROGRAM, check, configured_program, install, keep_revocation
from hem_provider.cli.gpg.making import chosen, completed, listed, named
from hem_provider.cli.gpg.programs import Gnupg, version
from hem_provider.cli.gpg.shelf import card_of
from hem_provider.cli.login import logged_in
from hem_provider.cli.output import check_target, print_json, timestamp, write
from hem_provider.cli.shape import Given
from hem_provider.cli.statuses import UsageFault
from hem_provider.device.hem import Hem
from hem_provider.printable import printable

__all__ = ["export", "import_", "setup", "status"]

#: Letters of validity that gpg lists → what is wrong.
_WRONG = {"r": "revoked", "e": "expired", "d": "disabled", "i": "invalid"}


def setup(options: Given) -> int:
    """``hem gpg setup``: its exit status."""
    wanted = {
        Role.SIGN: options.sign_key,
        Role.DECRYPT: options.decrypt_key,
        Role.AUTHENTICATE: options.login_key,
    }
    with logged_in(options.device, mobile=options.mobile) as hem:
        keys = chosen(hem, wanted)
        listed(hem)
        gnupg = Gnupg(options.homedir)
        check(gnupg.home, force=options.force)
        holding, made = completed(hem, options.name, keys, options.decrypt_type)
        document = _handed(hem, gnupg, holding, options.name or holding.name)
        document["made"] = made
        kept = keep_revocation(gnupg.home, document["fingerprint"], lambda: _revocation(holding))
        document["revocation"] = str(kept)
    if options.json:
        print_json(document)
        return 0
    print(f"certificate  {document['name']}")
    print(f"fingerprint  {document['fingerprint']}")
    print(f"card         {document['card']}")
    print(f"keys         {made} made, {len(holding.keys) - made} there before")
    print(f"revocation   {kept}")
    print(
        f"\nTry it: echo hello | gpg --clearsign --local-user {document['fingerprint'][-16:]}",
        file=sys.stderr,
    )
    return 0


def _revocation(holding: Holding) -> bytes:
    key = holding.primary.key
    packet = revocation(
        holding.primary.pgp(),
        int(time.time()),
        lambda digest: key.operations.sign(key.kid, digest, "Ed25519"),
    )
    return armored(packet)


def import_(options: Given) -> int:
    """``hem gpg import``: its exit status."""
    _check_name(options)
    with logged_in(options.device, mobile=options.mobile) as hem:
        found = named(listed(hem), options.certificate, hem.config.name)
        if options.name is not None and len(found) > 1:
            raise UsageFault("--name is for one certificate; say which")
        names = [options.name or _kept_name(each) for each in found]
        gnupg = Gnupg(options.homedir)
        check(gnupg.home, force=options.force)
        documents = [_handed(hem, gnupg, each, name) for each, name in zip(found, names, strict=True)]
    if options.json:
        print_json({"certificates": documents})
    else:
        for each in documents:
            print(f"{each['fingerprint']} {each['name']}")
    return 0


def export(options: Given) -> int:
    """``hem gpg export``: its exit status."""
    _check_name(options)
    check_target(options.output, force=options.force)
    with logged_in(options.device, mobile=options.mobile) as hem:
        found = named(listed(hem), options.certificate, hem.config.name)
        if len(found) > 1:
            those = ", ".join(f"{each.fingerprint()} {each.name}" for each in found)
            raise UsageFault(f"{len(found)} certificates are there; say which: {those}")
        data = armored(found[0].certificate(options.name or _kept_name(found[0])))
    write(data, options.output, force=options.force)
    return 0


def status(options: Given) -> int:
    """``hem gpg status``: its exit status."""
    with logged_in(options.device, mobile=options.mobile) as hem:
        gnupg = Gnupg(options.homedir)
        program = configured_program(gnupg.home)
        ready = program == gnupg.home / PROGRAM
        found = [_document(hem, gnupg, each) for each in listed(hem)]
    if options.json:
        document = {"gnupg": version(), "home": str(gnupg.home), "ready": ready, "certificates": found}
        print_json(document)
        return 0
    print(f"GnuPG {version()}, home {printable(str(gnupg.home))}")
    if not ready:
        instead = f"it has {program}" if program is not None else "it has its own"
        print(f"gpg-agent does not use the HEM ({printable(instead)}): run 'hem gpg import'")
    if not found:
        print(f"{hem.config.name}: no keys for OpenPGP; 'hem gpg setup' makes some")
    for each in found:
        print(f"\n{printable(each['name'] or '(no name is kept)')}")
        print(f"  fingerprint  {each['fingerprint']}")
        print(f"  made         {each['created']} by {each['maker']}, card {each['card']}")
        for key in each["keys"]:
            print(f"  {key['role']:12} {key['type']}, {printable(key['label'])!r}, {key['kid']}")
        print(f"  in gpg       {_told(each)}")
    return 0


def _told(document: dict[str, Any]) -> str:
    if not document["in_keyring"]:
        return "no: 'hem gpg import' adds it"
    state = document["state"]
    until = f", until {document['expires']}" if document["expires"] else ""
    stubs = (
        "" if document["usable"] else ", but its keys are not noted as the card's: 'hem gpg import' does so"
    )
    return f"{state}{until}{stubs}"


def _document(hem: Hem, gnupg: Gnupg, holding: Holding) -> dict[str, Any]:
    fingerprint = holding.fingerprint()
    records = gnupg.records(fingerprint)
    head = next((each for each in records if each[0] in ("pub", "sec")), None)
    expires = head[6] if head is not None else ""
    return {
        "name": holding.name,
        "fingerprint": fingerprint,
        "created": timestamp(holding.primary.place.created),
        "maker": holding.primary.place.maker,
        "device": hem.config.name,
        "card": serial_number(fingerprint),
        "keys": [
            {
                "role": each.place.role.name.lower(),
                "type": each.key.type.name,
                "label": each.key.label,
                "kid": each.key.kid,
                "fingerprint": each.pgp().fingerprint.hex().upper(),
                "keygrip": card.grip,
            }
            for each, card in zip(
                sorted(holding.keys, key=lambda each: list(Role).index(each.place.role)),
                card_of(holding, hem.config.name).keys,
                strict=True,
            )
        ],
        "in_keyring": head is not None,
        "state": None if head is None else _WRONG.get(head[1], "good"),
        "expires": timestamp(int(expires)) if expires.isdigit() else None,
        "usable": head is not None and head[0] == "sec",
    }


def _handed(hem: Hem, gnupg: Gnupg, holding: Holding, name: str) -> dict[str, Any]:
    """Give a certificate to gpg, and its card to gpg-agent; what is told of it."""
    data = holding.certificate(name)
    hem.keys.refresh()
    len(hem.keys)  # so that gpg-agent's daemon, another process, finds them listed
    fingerprint = holding.fingerprint()
    install(gnupg.home, fingerprint)
    gnupg.stop_agent()
    gnupg.gpg("--import", data=data)
    gnupg.trust(fingerprint)
    card = serial_number(fingerprint)
    gnupg.learn(card)
    return {"name": name, "fingerprint": fingerprint, "card": card, "device": hem.config.name}


def _check_name(options: Given) -> None:
    if options.name is not None:
        try:
            check_user_id(options.name)
        except ValueError as error:
            raise UsageFault(f"--{error}") from None


def _kept_name(holding: Holding) -> str:
    """The name that the device keeps. ``UsageFault`` where it had no room for it."""
    if not holding.name:
        raise UsageFault(
            f"the name of certificate {holding.fingerprint()} is not kept in the device (it takes at most 32 "
            "bytes, of which the address alone may be kept): give it by --name"
        )
    return holding.name
