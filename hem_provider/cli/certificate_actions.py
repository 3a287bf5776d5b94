"""What ``hem csr`` and ``hem certificate`` do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from cryptography import x509

from hem_provider.adapters.x509.making import Wish, issue, named, request, self_signed
from hem_provider.adapters.x509.names import read_name, read_subject, told
from hem_provider.adapters.x509.telling import Told, names_of, pem_of, read_certificate, read_request, tell
from hem_provider.cli.choosing import device_of, named_key
from hem_provider.cli.confirming import check_can_ask, confirm
from hem_provider.cli.confirming import show as say
from hem_provider.cli.itself import check_not_itself
from hem_provider.cli.login import logged_in
from hem_provider.cli.output import check_target, print_json, timestamp, write
from hem_provider.cli.shape import Given
from hem_provider.cli.statuses import UsageFault
from hem_provider.cli.wording import until
from hem_provider.config import load_config
from hem_provider.device.certificate import pin_of
from hem_provider.device.shown import shown_certificate
from hem_provider.errors import HemConfigError, HemTLSError
from hem_provider.files import read_file
from hem_provider.printable import printable

__all__ = ["MOST", "line_of", "lines_of", "make_request", "make_self_signed", "show", "sign_request"]

T = TypeVar("T")

#: Largest file that is read, in bytes.
MOST = 256 * 1024


def make_request(options: Given) -> int:
    """``hem csr``: its exit status."""
    subject, names = _subject(options) or x509.Name([]), _names(options.san)
    if not subject.rdns and not names:
        raise UsageFault("a request is for a subject or a name: give --subject or --san")
    check_target(options.output, force=options.force)
    with logged_in(device_of(options.device, options.key), mobile=options.mobile) as hem:
        key = named_key(hem, options.key)
        made = request(key, subject, names)
        document = {
            "device": hem.config.name,
            "kid": key.kid,
            "subject": made.subject.rfc4514_string(),
            "names": list(names_of(made)),
        }
    _hand_over(options, pem_of(made), document)
    return 0


def make_self_signed(options: Given) -> int:
    """``hem certificate self-signed``: its exit status."""
    wish = _wish(options)
    check_target(options.output, force=options.force)
    with logged_in(device_of(options.device, options.key), mobile=options.mobile) as hem:
        key = named_key(hem, options.key)
        made = self_signed(key, wish)
        document = {"device": hem.config.name, "kid": key.kid}
    _hand_over(options, pem_of(made), document, tell(made))
    return 0


def sign_request(options: Given) -> int:
    """``hem certificate issue``: its exit status. What a request asks for is shown before it is signed."""
    wish = _wish(options)
    check_can_ask(yes=options.yes)
    asked = _read(options.request, "certificate request", read_request)
    issuer = _read(options.issuer, "certificate", read_certificate)
    check_target(options.output, force=options.force)
    check_not_itself(options.output, options.request, "signed")
    check_not_itself(options.output, options.issuer, "signed with")
    subject, names = named(asked, wish)
    if not options.yes:
        say(f"A certificate of profile {options.profile} for:")
        for name, value in (
            ("subject", subject.rfc4514_string() or "none"),
            *(("name", told(n)) for n in names),
        ):
            say(line_of(name, value))
        confirm("Is it to be signed?", yes=False)
    with logged_in(device_of(options.device, options.key), mobile=options.mobile) as hem:
        key = named_key(hem, options.key)
        made = issue(key, issuer, asked, wish)
        document = {"device": hem.config.name, "kid": key.kid}
    _hand_over(options, pem_of(made), document, tell(made))
    return 0


def show(options: Given) -> int:
    """``hem certificate show``: its exit status. No login."""
    config = load_config().device(options.device)
    shown = shown_certificate(config)
    try:
        told = tell(shown.der)
    except ValueError as error:
        raise HemTLSError(
            f"{config.name}: what it shows is no certificate that can be read: {error}"
        ) from None
    pin = pin_of(shown.der)
    if options.json:
        document = {"device": config.name, "url": config.url, **_document(told)}
        print_json(
            {
                **document,
                "pin_sha256": pin,
                "days_left": told.days_left(),
                "accepted": shown.problem is None if shown.verified else None,
                "problem": shown.problem,
            }
        )
        return 0
    accepted = "yes" if shown.verified else "it is not verified: insecure = true"
    _print_lines(
        ("device", f"{config.name} ({config.url})"),
        *lines_of(told),
        ("pin", pin),
        ("accepted", accepted if shown.problem is None else f"no: {shown.problem}"),
    )
    return 0


def _wish(options: Given) -> Wish:
    return Wish(
        options.profile,
        _subject(options),
        tuple(_names(options.san)),
        options.days,
        options.path_length,
    )


def _subject(options: Given) -> x509.Name | None:
    return None if options.subject is None else _typed("--subject", read_subject, options.subject)


def _names(typed: Sequence[str]) -> list[x509.GeneralName]:
    return [_typed("--san", read_name, each) for each in typed]


def _typed(option: str, read: Callable[[str], T], text: str) -> T:
    try:
        return read(text)
    except ValueError as error:
        raise UsageFault(f"{option}: {error}") from None


def _read(path: Path, what: str, read: Callable[[bytes], T]) -> T:
    data = read_file(path, f"the {what}", limit=MOST, trusted=False)
    if len(data) > MOST:
        raise HemConfigError(f"{path}: it has more than {MOST} bytes, and is no {what}")
    try:
        return read(data)
    except ValueError as error:
        raise HemConfigError(f"{path}: {error}") from None


def _hand_over(options: Given, pem: bytes, document: dict[str, Any], told: Told | None = None) -> None:
    """Write the result to where it is wanted; what it says goes to standard error, or is the document."""
    if options.output is not None:
        write(pem, options.output, force=options.force)
    if options.json:
        more = {} if told is None else {"profile": options.profile, **_document(told)}
        output = None if options.output is None else str(options.output)
        print_json({**document, **more, "output": output, "pem": pem.decode("ascii")})
        return
    if options.output is None:
        write(pem, None, force=False)
    elif told is not None:
        _print_lines(("file", printable(str(options.output))), *lines_of(told))


def _document(told: Told) -> dict[str, Any]:
    return {
        "subject": told.subject,
        "issuer": told.issuer,
        "names": list(told.names),
        "serial": told.serial,
        "not_before": timestamp(told.not_before.timestamp()),
        "not_after": timestamp(told.not_after.timestamp()),
        "ca": told.ca,
        "path_length": told.path_length,
        "sha256": told.sha256,
    }


def lines_of(told: Told) -> Iterable[tuple[str, str]]:
    """What a certificate says, as pairs of a word and text."""
    yield "subject", told.subject or "none"
    if told.names:
        yield "names", ", ".join(told.names)
    yield "issuer", told.issuer
    ends = told.not_after.timestamp()
    yield "until", f"{timestamp(ends)}, {until(ends - time.time())}"
    if told.ca:
        below = "any number of" if told.path_length is None else (str(told.path_length or "no"))
        yield "authority", f"yes, with {below} others below it"
    yield "serial", told.serial
    yield "SHA-256", told.sha256


def _print_lines(*lines: tuple[str, str]) -> None:
    for name, value in lines:
        print(line_of(name, value))


def line_of(name: str, value: str) -> str:
    """A pair of ``lines_of`` as people read it."""
    return f"{name:11}{printable(value)}"  # names are others', and may act on a terminal
