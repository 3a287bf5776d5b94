"""What ``hem log export`` does."""

from __future__ import annotations

import math
import ssl
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TypeVar

from hem_provider.auditlog.copy import LogCopy, usual_folder
from hem_provider.auditlog.delivery.cursor import Cursor, Position
from hem_provider.auditlog.delivery.datagram import JournalSocket, Udp
from hem_provider.auditlog.delivery.forms import Form, Receiver
from hem_provider.auditlog.delivery.places import Place, place_of
from hem_provider.auditlog.delivery.shipping import Shipment, ship
from hem_provider.auditlog.delivery.stream import Stream
from hem_provider.auditlog.delivery.tofile import File, Output
from hem_provider.cli.log_forms import form_of, usual_format
from hem_provider.cli.output import print_json
from hem_provider.cli.saying import say
from hem_provider.cli.shape import Given
from hem_provider.cli.statuses import DONE, NotThere, UsageFault
from hem_provider.config import load_config
from hem_provider.errors import HemConfigError
from hem_provider.files import read_file

__all__ = ["export"]

T = TypeVar("T")
#: Bytes of a file of certificates, or of a key, at most.
_MOST = 1024 * 1024
#: Seconds that a receiver is waited for where nothing is said, and nothing is followed.
_PATIENCE = 60.0


def export(options: Given) -> int:
    """``hem log export``: its exit status."""
    place = _typed(lambda: place_of(options.to))
    if options.json and place.kind == "output":
        raise UsageFault("--json tells of the export, which itself goes to standard output: give --to FILE")
    _check_tls(options, place)
    folder, host = _copy_of(options)
    copy = LogCopy(folder)
    newest = copy.last()
    if newest is None and not options.follow:
        raise NotThere(f"{folder}: there is no copy of a log; hem log collect makes one")

    def told(line: str) -> None:
        say(f"{place.text}: {line}")

    name = options.format or usual_format(place)
    form = form_of(name, place, options.host or host, options)
    # A pipe has no memory: whoever wants to go on where the last one ended names a cursor.
    keeps = place.kind != "output" or options.name is not None
    cursor = _typed(lambda: Cursor(copy, options.name or place.name)) if keeps else None
    receiver = _receiver_of(place, form, options, newest.number if newest is not None else 0, told)
    with cursor.held() if cursor is not None else nullcontext():
        found = ship(
            copy,
            receiver,
            form,
            cursor,
            _start_of(copy, cursor, options),
            patience=_patience(options),
            every=options.every if options.follow else None,
            told=told,
        )
    _tell(found, place, name, cursor, options)
    return DONE


def _typed(read: Callable[[], T]) -> T:
    """What was typed, read; what it cannot be is no fault of a configuration here."""
    try:
        return read()
    except HemConfigError as error:
        raise UsageFault(str(error)) from None


def _copy_of(options: Given) -> tuple[Path, str]:
    """The folder of the copy, and what its device is called."""
    if options.from_ is not None and options.device is None:
        return options.from_, options.from_.absolute().name
    name = load_config().device(options.device).name
    return options.from_ or usual_folder(name), name


def _patience(options: Given) -> float:
    if options.wait is not None:
        return float(options.wait)
    return math.inf if options.follow else _PATIENCE


def _start_of(copy: LogCopy, cursor: Cursor | None, options: Given) -> Position:
    if options.after is None:
        return cursor.read() if cursor is not None else Position()
    if not options.after:
        return Position()
    newest = copy.last()
    if newest is None or options.after > newest.number:
        last = newest.number if newest is not None else 0
        raise UsageFault(f"--after: {options.after} is beyond the end of the copy, which has {last} entries")
    there = next(copy.entries(options.after - 1), None)
    if there is not None and there.number == options.after:
        return Position.of(there)
    return Position(options.after, "", "0" * 64)


def _receiver_of(
    place: Place, form: Form, options: Given, newest: int, told: Callable[[str], None]
) -> Receiver:
    if place.path is not None:
        return JournalSocket(place.path) if place.kind == "journal" else File(place.path, form, newest, told)
    if place.kind == "output":
        return Output(sys.stdout.buffer)
    if place.kind == "udp":
        return Udp(place)
    if place.kind == "tls":
        context = _context(options)
        return Stream(place, lambda: context)
    return Stream(place)


def _check_tls(options: Given, place: Place) -> None:
    typed = [
        name
        for name, value in (
            ("--ca-file", options.ca_file),
            ("--certificate", options.certificate),
            ("--private-key", options.private_key),
        )
        if value is not None
    ]
    if typed and place.kind != "tls":
        raise UsageFault(f"{typed[0]} is for --to tls://HOST:PORT")
    if (options.certificate is None) != (options.private_key is None):
        raise UsageFault("--certificate and --private-key go together")


def _context(options: Given) -> ssl.SSLContext:
    """TLS 1.2 or later, with the receiver's name verified (RFC 5425 §5)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if options.ca_file is None:
        context.load_default_certs()
    else:
        content = read_file(options.ca_file, "the CA file", limit=_MOST)
        try:
            context.load_verify_locations(cadata=content.decode("ascii"))
        except (ValueError, ssl.SSLError):
            raise HemConfigError(f"{options.ca_file}: no certificates in PEM") from None
    if options.certificate is not None:
        read_file(options.certificate, "the certificate", limit=_MOST)
        read_file(options.private_key, "the private key", limit=_MOST, secret=True)
        try:
            context.load_cert_chain(options.certificate, options.private_key, password=_no_password)
        except (ValueError, ssl.SSLError):
            raise HemConfigError(
                f"{options.certificate} and {options.private_key}: no certificate and its private key, both "
                "in PEM, without a passphrase"
            ) from None
    return context


def _no_password() -> str:
    """OpenSSL would ask at the terminal."""
    raise ValueError("the key has a passphrase")


def _tell(found: Shipment, place: Place, name: str, cursor: Cursor | None, options: Given) -> None:
    if options.json:
        print_json(
            {
                "to": place.text,
                "format": name,
                "cursor": cursor.name if cursor is not None else None,
                "sent": found.sent,
                "again": found.again,
                "entry": found.number,
            }
        )
    elif place.kind != "output":
        again = f", {found.again} of them again" if found.again else ""
        say(f"{place.text}: {found.sent} entries sent{again}; it has got to {found.number}")
