"""What ``hem certificate request``, ``install`` and ``renew`` do: the device's own certificate."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from hem_provider.adapters.x509.telling import names_of, read_request, tell
from hem_provider.cli.certificate_actions import MOST, line_of, lines_of
from hem_provider.cli.confirming import check_can_ask, confirm
from hem_provider.cli.confirming import show as say
from hem_provider.cli.login import login_at_hand
from hem_provider.cli.output import check_target, print_json, timestamp, write
from hem_provider.cli.shape import Given
from hem_provider.device import checkin
from hem_provider.device.certificate import NewCertificate, der_chain
from hem_provider.errors import HemConfigError
from hem_provider.files import read_file
from hem_provider.printable import printable

__all__ = ["install", "renew", "request"]


def request(options: Given) -> int:
    """``hem certificate request``: its exit status."""
    check_target(options.output, force=options.force)
    with login_at_hand(options.device, mobile=options.mobile) as hem:
        pem = hem.certificate.request()
        name = hem.config.name
    if options.output is not None:
        write(pem, options.output, force=options.force)
    if options.json:
        asked = read_request(pem)
        print_json(
            {
                "device": name,
                "subject": asked.subject.rfc4514_string(),
                "names": list(names_of(asked)),
                "output": None if options.output is None else str(options.output),
                "pem": pem.decode("ascii"),
            }
        )
    elif options.output is None:
        write(pem, None, force=False)
    return 0


def install(options: Given) -> int:
    """``hem certificate install``: its exit status."""
    check_can_ask(yes=options.yes)
    file = printable(str(options.file))
    data = read_file(options.file, "the certificate", limit=MOST, trusted=False)
    if len(data) > MOST:
        raise HemConfigError(f"{file}: it has more than {MOST} bytes, and is no certificate")
    try:
        chain = _chain(data)
        leaf = tell(chain[0])
    except (ValueError, HemConfigError) as error:
        raise HemConfigError(f"{file}: {error}") from None
    if not options.yes:
        for name, value in lines_of(leaf):
            say(line_of(name, value))
        confirm(_question(restarts=not options.no_restart), yes=False)
    der = b"".join(each.public_bytes(Encoding.DER) for each in chain)
    with login_at_hand(options.device, mobile=options.mobile) as hem:
        new = hem.certificate.install(der, reboot=not options.no_restart)
        config = hem.config
    if options.json:
        print_json({"installed": True, **_document(config.name, new, restarted=not options.no_restart)})
        return 0
    _tell(config.name, new, restarted=not options.no_restart)
    if config.pin_sha256 not in (None, new.pin):
        print(f"It is for another key than the configured pin_sha256: set that to {new.pin}")
    return 0


def renew(options: Given) -> int:
    """``hem certificate renew``: its exit status."""
    restarts = not options.no_restart
    if restarts:
        check_can_ask(yes=options.yes)
        confirm(_question(restarts=True), yes=options.yes)
    with login_at_hand(options.device, mobile=options.mobile) as hem:
        new = hem.certificate.renew(reboot=restarts)
        name = hem.config.name
    if options.json:
        done = new is not None
        print_json({"renewed": done, **_document(name, new, restarted=done and restarts)})
    elif new is None:
        print(f"{name}: the cloud offers no new certificate yet, as long before the end of this one.")
    else:
        _tell(name, new, restarted=restarts)
    return 0


def _question(*, restarts: bool) -> str:
    if not restarts:
        return "Is it to be installed?"
    return "A new certificate is in force after the device has restarted, which ends all logins. Go on?"


def _chain(data: bytes) -> list[x509.Certificate]:
    """What a file holds, the device's certificate first. ``ValueError`` for what is no certificate;
    ``HemConfigError`` for an answer that holds none."""
    start = data.lstrip()[:5]
    if start.startswith(b"{"):
        offered = checkin.offered_in(data)
        if offered is None:
            raise ValueError("the cloud offers no certificate in this answer")
        return der_chain(offered)
    try:
        return x509.load_pem_x509_certificates(data) if start == b"-----" else der_chain(data)
    except (ValueError, IndexError):
        raise ValueError(f"{len(data)} bytes that are no certificate in PEM or DER") from None


def _document(name: str, new: NewCertificate | None, *, restarted: bool) -> dict[str, object]:
    return {
        "device": name,
        "restarted": restarted,
        "not_after": None if new is None else timestamp(new.not_after.timestamp()),
        "pin_sha256": None if new is None else new.pin,
    }


def _tell(name: str, new: NewCertificate, *, restarted: bool) -> None:
    until = timestamp(new.not_after.timestamp())
    when = "in force now" if restarted else "in force when the device restarts: 'hem device reboot'"
    print(f"{name}: a certificate until {until} is installed, {when}.")
