"""Records of the audit log as a person reads them: when, who, what, which key, how it went (device API §14).

Real devices write lines in which something else stands where a name or a number should be; those are told as
they are, without what would move a terminal's cursor.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from hem_provider.device.auditlog import Event, LogRecord, Result
from hem_provider.keytypes import KID_FORM
from hem_provider.printable import printable
from hem_provider.records import frozen
from hem_provider.rest.encoding import unb64

__all__ = ["Told", "actor_kid", "key_kid", "tell"]

_WHAT: Mapping[int, str] = {
    Event.KEY_INIT: "log begun under a signed key",
    Event.STARTUP: "started",
    Event.REBOOT: "restart asked for",
    Event.SHUTDOWN: "shut down",
    Event.UPGRADE: "upgrade",
    Event.TRNG_FAILED: "random number source failed",
    Event.TLS_ERROR: "TLS error",
    Event.SELFTEST_PASSED: "self-test passed",
    Event.NON_SECURE_STATE: "fail state entered",
    Event.LOGGER_LIST_LOG: "log files listed",
    Event.LOGGER_DELETE_LOG: "log file deleted",
    Event.LOGGER_READ_LOG: "log file read",
    Event.FAILED_SCOPE_CHECK: "refused: scope or role",
    Event.AUTH_SUCCESS_INTERNAL: "logged in by passphrase",
    Event.AUTH_SUCCESS_EXTERNAL: "logged in by phone",
    Event.AUTH_PAIRED_EXTERNAL: "phone paired",
    Event.CONFIG_UPDATED: "settings changed",
    Event.RTC_SET: "clock set",
    Event.KEY_GENERATION: "key made",
    Event.KEY_DELETE: "key deleted",
    Event.KEY_IMPORT: "public key stored",
    Event.KEY_USAGE_PKEY: "private key used",
    Event.KEY_INTEGRITY_ERROR: "key checked for integrity",
    Event.KEY_ATTRIBUTES_CHANGED: "key renamed or described anew",
    Event.KEY_DERIVE: "key derived",
    Event.DEVICE_INITED: "brought into use",
    Event.CRYPTO_HMAC_HASH: "MAC made",
    Event.CRYPTO_HMAC_VERIFY: "MAC verified",
    Event.CRYPTO_EXDSA_SIGN: "signed",
    Event.CRYPTO_EXDSA_VERIFY: "signature verified",
    Event.CRYPTO_WRAP: "wrapped",
    Event.CRYPTO_UNWRAP: "unwrapped",
    Event.CRYPTO_ENCRYPT: "encrypted",
    Event.CRYPTO_DECRYPT: "decrypted",
    Event.CRYPTO_ECDH: "shared secret agreed",
    Event.CRYPTO_PQC_MLKEM_ENCAPS: "secret encapsulated (ML-KEM)",
    Event.CRYPTO_PQC_MLKEM_DECAPS: "secret decapsulated (ML-KEM)",
    Event.CRYPTO_PQC_MLDSA_SIGN: "signed (ML-DSA)",
    Event.CRYPTO_PQC_MLDSA_VERIFY: "signature verified (ML-DSA)",
}
_WHO = {"": "the device", "U": "user", "M": "administrator"}
_HOW: Mapping[int, str] = {Result.OK: "ok", Result.FAILED: "failed", Result.ERROR: "error"}
#: Events whose data names a key, where it names anything.
_OF_KEYS = frozenset({*range(Event.KEY_GENERATION, Event.KEY_DERIVE + 1), *range(30, 43)})
_KID = re.compile(KID_FORM)


@frozen
class Told:
    """One record in words. ``time`` is UTC by the device's clock, ``YYYY-MM-DD HH:MM:SS``; ``key`` is a
    label, a KID where no key is known by it, or empty."""

    time: str
    who: str
    what: str
    key: str
    result: str


def tell(record: LogRecord, names: Mapping[str, str]) -> Told:
    """A record in words; ``names``: KID → label, of keys and phones."""
    phone, key = actor_kid(record), key_kid(record)
    if record.event == Event.KEY_INIT:  # its fields are a key and a signature
        who = _WHO[""]
    elif phone is not None:
        who = f"phone {names.get(phone, phone)}"
    else:
        who = _WHO.get(record.actor, record.actor)
    what = _WHAT.get(record.event, f"event {_number(record.event)}")
    return Told(
        time=_moment(record.time),
        who=printable(who, "?"),
        what=f"{what}{_detail(record)}",
        key=printable(names.get(key, key), "?") if key is not None else "",
        result=_HOW.get(record.result, f"result {_number(record.result)}"),
    )


def _moment(seconds: int) -> str:
    """A clock has 32 bits; anything else is told as what it is."""
    if not 0 <= seconds < 1 << 32:
        return f"time {_number(seconds)}"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _number(number: int) -> str:
    """A number that the device wrote, not at any length."""
    return str(int(number)) if abs(number) < 1 << 64 else "out of range"


def actor_kid(record: LogRecord) -> str | None:
    """The KID of the phone that acted, if one did."""
    return None if record.event == Event.KEY_INIT else _kid_in(record.actor)


def key_kid(record: LogRecord) -> str | None:
    """The KID of the key that the record is about, where it names one."""
    return _kid_in(record.data) if record.event in _OF_KEYS else None


def _kid_in(text: str) -> str | None:
    """A KID in hex, or its 16 bytes in base64."""
    if _KID.fullmatch(text.lower()):
        return text.lower()
    try:
        found = unb64(text)
    except ValueError:
        return None
    return found.hex() if len(found) == 16 else None


def _detail(record: LogRecord) -> str:
    """What else the data says."""
    if not record.data or record.event == Event.KEY_INIT or key_kid(record) is not None:
        return ""
    if record.event == Event.RTC_SET:
        try:
            data = unb64(record.data)
        except ValueError:
            data = b""
        if len(data) == 4:
            moment = datetime.fromtimestamp(int.from_bytes(data, "little"), UTC)
            return f" to {moment:%Y-%m-%d %H:%M:%S}"
    return f" ({printable(record.data, '?')})"
