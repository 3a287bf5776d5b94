"""What can be found of a device, by name: causes and advice as tables. ``device/health.py`` finds it.

A name never changes its meaning, so that programs can rely on it.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from hem_provider.device.contact import Trust
from hem_provider.errors import (
    HemApprovalDenied,
    HemApprovalTimeout,
    HemAuthenticationError,
    HemClockError,
    HemConfigError,
    HemDeviceFault,
    HemError,
    HemLoginRequired,
    HemNotInitialized,
    HemProtocolError,
    HemScopeDenied,
    HemTimeout,
    HemTLSError,
    HemUnreachable,
)
from hem_provider.records import frozen

__all__ = [
    "ANSWERED",
    "ERRORS",
    "FAIL_STATES",
    "KNOWN_DEFECTS",
    "LOST",
    "MISSHAPEN",
    "REPAIR",
    "REPLUG",
    "RESTART",
    "TRUSTS",
    "WORKED_AROUND",
    "Finding",
    "Level",
]

#: What is advised where a restart may help, and where the command itself does.
RESTART = "hem device reboot; if it comes back, no key of this device is to be relied on: ask the vendor"
REPAIR = "hem doctor --fix"
#: What helps where no command reaches it.
REPLUG = "unplug the device and plug it in again"


class Level(enum.StrEnum):
    """How much a finding matters: ``WARNING`` works still, ``FAULT`` does not, or must not be used."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@frozen
class Finding:
    """``cause``: what is the matter, in a sentence; ``advice``: the next command, or what else to do;
    ``fix``: what ``hem doctor --fix`` can do about it, as it calls that."""

    level: Level
    name: str
    cause: str
    advice: str = ""
    fix: str = ""


#: Bit of ``fls_state`` → name and advice (device API §17.1).
FAIL_STATES: Mapping[int, tuple[str, str]] = {
    0x01: ("known-answer-test-failed", RESTART),
    0x02: ("entropy-failed", RESTART),
    0x04: ("too-hot", "let it cool down, with air around it; then: hem device reboot"),
    0x08: ("integrity-lost", RESTART),
    0x10: ("out-of-memory", "hem device reboot"),
    0x20: ("stack-overflow", "hem device reboot"),
    0x40: ("locked-by-check-in", "ask whoever manages the device at the cloud service why it was locked"),
    0x80: ("shut-down-by-check-in", "ask whoever manages the device; then unplug it and plug it in again"),
}

#: Firmware up to and including this → what is known to be wrong with it, and what to do.
KNOWN_DEFECTS: tuple[tuple[tuple[int, ...], Level, str, str, str], ...] = (
    (
        (1, 2, 1),
        Level.WARNING,
        "firmware-old",
        "firmware before 1.2.2 is known to answer otherwise than this software was tried with",
        "hem device upgrade FILE",
    ),
)
#: What firmware 1.2.2 does wrong and this software makes good: no findings, since nothing is to be done.
WORKED_AROUND: Mapping[str, tuple[str, ...]] = {
    "1.2.2": (
        "a renewed certificate is acknowledged and not taken over",
        "its clock runs up to 8 % fast",
        "raw ECDH is cut to 32 bytes",
    ),
}

#: Why a certificate is not trusted → name, cause and advice.
TRUSTS: Mapping[Trust, tuple[str, str, str, str]] = {
    Trust.EXPIRED: ("certificate-expired", "the certificate has expired", f"{REPAIR} renews it", "renew"),
    Trust.NOT_YET: (
        "certificate-not-yet-valid",
        "the certificate is not valid yet",
        "check this machine's clock: date",
        "",
    ),
    Trust.WRONG_NAME: (
        "certificate-wrong-name",
        "the certificate is for another name",
        "configure the device by the name that its certificate is for: hem config set",
        "",
    ),
    Trust.FOREIGN_CA: (
        "certificate-foreign-ca",
        "the certificate is from an authority that is not trusted here",
        "give the right one: ca_file or HEM_CA_FILE, or pin_sha256; if there is none to expect, "
        "somebody else may be answering",
        "",
    ),
    Trust.OTHER_KEY: (
        "certificate-other-key",
        "the certificate is for another key than the pinned one",
        "somebody else may be answering; if the device was given a new key, set pin_sha256 anew",
        "",
    ),
    Trust.OLD_TLS: (
        "tls-too-old",
        "the peer speaks no TLS 1.3, which every device does",
        "look what stands between: a proxy, or another server at this address",
        "",
    ),
    Trust.NONE: (
        "certificate-lost",
        "a connection is taken, but no certificate is shown: the device has lost it, or it is another server",
        "put one in by its plain HTTP port: docs/owner/status.md",
        "",
    ),
    Trust.OTHERWISE: (
        "certificate-refused",
        "the certificate is not acceptable",
        "hem certificate show",
        "",
    ),
}

#: Error → name and advice; the first row that fits counts.
ERRORS: tuple[tuple[type[HemError], str, str], ...] = (
    (HemApprovalTimeout, "approval-missing", "look at the phone, and try again"),
    (HemApprovalDenied, "approval-denied", "hem phones list tells which phones are paired"),
    (HemLoginRequired, "login-unavailable", "name a passphrase_file or passphrase_command: hem config set"),
    (HemAuthenticationError, "login-refused", "check the passphrase, and by which software it was set"),
    (HemScopeDenied, "scope-denied", "log in as the user; a phone may have granted less"),
    (HemClockError, "clock-unset", f"hem checkin, or: {REPAIR}"),
    (HemNotInitialized, "not-initialised", "hem init"),
    (HemUnreachable, "unreachable", "is it plugged in and switched on?"),
    (HemTimeout, "no-answer", f"is the network slow or a firewall between? If it stays so, {REPLUG}"),
    (HemTLSError, "certificate-refused", "hem certificate show"),
    (
        HemProtocolError,
        "answer-untrue",
        f"what answers is no HEM, or it is damaged: look at the address; if it is right, {REPLUG}",
    ),
    (HemDeviceFault, "device-error", "if it stays so: hem device reboot"),
    (HemConfigError, "not-usable", "hem config check"),
    (HemError, "failed", ""),
)
#: What came in the place of a status → what to do. It is told without a login, so that neither passphrase nor
#: phone is the matter.
MISSHAPEN: Mapping[str, str] = {
    "device-busy": f"wait, and try again: it may be formatting or upgrading; if it stays so, {REPLUG}",
    "device-error": f"if it stays so: hem device reboot; where that fails, {REPLUG}",
    "status-refused": "look what is at this address: another server, or a proxy before the device; if it is "
    f"the device, {REPLUG}",
}
#: Findings of a device that answers, though not as it should. Without an answer it was not reached.
ANSWERED = frozenset(
    {
        "answer-cut-short",
        "answer-empty",
        "answer-not-json",
        "answer-of-wrong-types",
        "answer-untrue",
        "answer-without-fields",
        *MISSHAPEN,
    }
)
#: What is amiss with an answer → name.
LOST = {False: "connection-reset", True: "answer-cut-short"}
