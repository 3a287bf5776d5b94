"""What the actions of ``hem gpg`` do."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from hem_provider.adapters.openpgp import Holding, Role, armored, check_user_id, revocation
from hem_provider.adapters.scdaemon import serial_number
from hem_provider.cli.gpg.home import PROGRAM, check, configured_program, install, keep_revocation
from hem_provider.cli.gpg.making import called, chosen, completed, listed, named
from hem_provider.cli.gpg.programs import Gnupg, GnupgFailed, version
from hem_provider.cli.gpg.shelf import card_of
from hem_provider.cli.login import logged_in
from hem_provider.cli.output import check_target, print_json, timestamp, write
from hem_provider.cli.shape import Given
from hem_provider.cli.statuses import UsageFault
from hem_provider.device.hem import Hem
from hem_provider.printable import printable

__all__ = ["export", "import_", "setup", "status"]

#: Records of gpg that a certificate begins with.
_HEADS = ("pub", "sec")
#: Letters of validity that gpg lists → what is wrong.
_GOOD = "good"
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
        holding, made = completed(
            hem, options.name, keys, options.decrypt_type, known=gnupg.names, another=options.new
        )
        document = _handed(hem, gnupg, holding, options.name or called(holding, gnupg.names))
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
    if document["state"] == _GOOD:
        print(
            f"\nTry it: echo hello | gpg --clearsign --local-user {document['fingerprint'][-16:]}",
            file=sys.stderr,
        )
    _tell_state(document)
    return 0


def _tell_state(document: dict[str, Any]) -> None:
    fingerprint, state = document["fingerprint"], document["state"]
    if state != _GOOD:
        advice = (
            f"'gpg --quick-set-expire {fingerprint} 2y' prolongs it"
            if state == "expired"
            else "'hem gpg setup --new --name …' makes another"
        )
        print(
            f"gpg has certificate {fingerprint} as {state}, and does not sign by it; {advice}",
            file=sys.stderr,
        )


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
        gnupg = Gnupg(options.homedir)
        names = [options.name or called(each, gnupg.names) for each in found]
        check(gnupg.home, force=options.force)
        documents = [_handed(hem, gnupg, each, name) for each, name in zip(found, names, strict=True)]
    if options.json:
        print_json({"certificates": documents})
    else:
        for each in documents:
            print(f"{each['fingerprint']} {each['name']}")
            _tell_state(each)
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
        data = armored(found[0].certificate(options.name or called(found[0], lambda _: ())))
    write(data, options.output, force=options.force)
    return 0


def status(options: Given) -> int:
    """``hem gpg status``: its exit status."""
    with logged_in(options.device, mobile=options.mobile) as hem:
        gnupg = Gnupg(options.homedir)
        program = configured_program(gnupg.home)
        found = [_document(hem, gnupg, each) for each in listed(hem)]
    trouble = _trouble(gnupg, program)
    if options.json:
        document = {
            "gnupg": version(),
            "home": str(gnupg.home),
            "ready": trouble is None,
            "trouble": trouble,
            "certificates": found,
        }
        print_json(document)
        return 0
    print(f"GnuPG {version()}, home {printable(str(gnupg.home))}")
    if trouble is not None:
        advice = f"run 'hem gpg {'import' if found else 'setup'}'"
        print(f"gpg-agent does not use the HEM ({printable(trouble)}): {advice}")
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


def _trouble(gnupg: Gnupg, program: Path | None) -> str | None:
    """Why gpg-agent has no use of the HEM; ``None`` where it has."""
    if program is None:
        return "it has its own smart card daemon"
    return gnupg.trouble_of(program) if program == gnupg.home / PROGRAM else f"it has {program}"


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
    head = next((each for each in records if each[0] in _HEADS), None)
    expires = head[6] if head is not None else ""
    return {
        "name": holding.name or next(iter(gnupg.names(fingerprint)), ""),
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
        "state": None if head is None else _state(head),
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
    try:
        gnupg.learn(card)
    except GnupgFailed as failed:
        why = gnupg.trouble_of(gnupg.home / PROGRAM, f"SERIALNO --demand={card}")
        raise GnupgFailed(f"{failed}: {printable(why)}" if why is not None else str(failed)) from None
    head = gnupg.records(fingerprint)
    return {
        "name": name,
        "fingerprint": fingerprint,
        "card": card,
        "device": hem.config.name,
        "state": _state(next(each for each in head if each[0] in _HEADS)),
    }


def _state(head: list[str]) -> str:
    return _WRONG.get(head[1], _GOOD)


def _check_name(options: Given) -> None:
    if options.name is not None:
        try:
            check_user_id(options.name)
        except ValueError as error:
            raise UsageFault(f"--{error}") from None
