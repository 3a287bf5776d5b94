"""What ``hem openssl`` does."""

from __future__ import annotations

import shutil
import sys

from hem_provider.cli.built import module_path
from hem_provider.cli.choosing import device_of, named_key
from hem_provider.cli.login import logged_in
from hem_provider.cli.openssl_files import (
    configuration,
    engine_path,
    key_file,
    provider_configuration,
    provider_key_file,
    provider_name,
)
from hem_provider.cli.openssl_ways import INSTALL, OpenSsl, asked, provider_place, try_way
from hem_provider.cli.output import print_json
from hem_provider.cli.shape import Given
from hem_provider.cli.statuses import UsageFault
from hem_provider.device.checkin import identified
from hem_provider.device.hem import Hem, Key
from hem_provider.device.keyuri import uri_of
from hem_provider.device.token import label_of
from hem_provider.errors import HemConfigError

__all__ = ["print_config", "print_pem", "print_uri"]


def print_config(options: Given) -> int:
    """``hem openssl config``: its exit status."""
    if options.provider is not None:
        print(provider_configuration(options.provider, module_path()), end="")
        return 0
    here = None if options.engine or options.id is not None else _here()
    if here is not None and _way(here) == "provider":
        print(provider_configuration(provider_place(here.program), module_path()), end="")
    else:
        print(configuration(engine_path(), options.id or "hem"), end="")
    return 0


def print_pem(options: Given) -> int:
    """``hem openssl pem``: its exit status."""
    if options.provider or not (options.engine or _way(_here()) == "engine"):
        print(provider_key_file(provider_name(options.name)), end="")
    else:
        print(key_file(options.name), end="")
    return 0


def print_uri(options: Given) -> int:
    """``hem openssl uri``: its exit status."""
    with logged_in(device_of(options.device, options.name), mobile=options.mobile) as hem:
        key = named_key(hem, options.name)
        uri = _uri(hem, key, public=options.public)
        document = {"device": hem.config.name, "kid": key.kid, "label": key.label, "uri": uri}
    if options.json:
        print_json(document)
    else:
        print(uri)
    return 0


def _uri(hem: Hem, key: Key, *, public: bool) -> str:
    known = key.attributes
    if known.key_type is None or (public and known.key_type.symmetric):
        raise UsageFault(f"{key.kid} has no public half that OpenSSL could use")
    kind = (
        "secret-key" if known.key_type.symmetric else "public" if public or not known.private else "private"
    )
    if not hem.is_emulator and hem.identity is None:
        identified(hem)
    return uri_of(
        token=label_of(hem.config.name, emulator=hem.is_emulator),
        id=key.application_id or bytes.fromhex(key.kid),
        object=key.label,
        type=kind,
    )


def _here() -> OpenSsl:
    program = shutil.which("openssl")
    if program is None:
        raise HemConfigError(
            "there is no openssl program here that could be asked: install it, or say --engine or --provider"
        )
    try:
        return asked(program)
    except HemConfigError as error:
        raise HemConfigError(f"{error}, of which nothing is known: say --engine or --provider") from None


def _way(here: OpenSsl) -> str:
    """The better of the ways that this OpenSSL has and that are there. ``HemConfigError`` where none is."""
    tried = {}
    for way in here.ways:
        tried[way] = try_way(way, here.program)
        if tried[way].works:
            if way != here.ways[0]:
                said = f"{tried[here.ways[0]].told}: this is for the engine, which ends with OpenSSL 4.0"
                print(f"hem: {here.name} without pkcs11-provider, {said}", file=sys.stderr)
            return way
    first = here.ways[0]
    state = "does not load" if tried[first].there else "is not here"
    raise HemConfigError(f"{here.name}: the {first} {state}: {tried[first].told}; {INSTALL[first]}")
