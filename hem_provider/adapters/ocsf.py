"""Events of the Open Cybersecurity Schema Framework, version 1.5.0, as JSON lines.

Written here: libraries for it bring models of all classes (and pydantic), of which seven are needed; the
tests hold each event against the published schema instead. What the device's log does not tell, the address
of the caller, is said not to be recorded where a class asks for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from hem_provider.auditlog.facts import Facts, Severity
from hem_provider.printable import printable

__all__ = ["CLASSES", "NUMBER", "SCHEMA", "line"]

#: Version of the schema that is kept to.
SCHEMA: Final = "1.5.0"
#: Finds the number of the copy in a line, from the end of the line before.
NUMBER = re.compile(rb'\n\{"metadata":\{"sequence":(\d+),[^\n]*\}$')

_BASE, _FINDING, _LOGON, _ENTITY, _CONFIG, _LIFECYCLE, _API = 0, 2004, 3002, 3004, 5019, 6002, 6003
_OTHER = 99
#: Name of an event → its class and activity there; what is not here is a base event.
CLASSES: Mapping[str, tuple[int, int]] = {
    "AUTH_PAIRED_EXTERNAL": (_ENTITY, 6),  # Enroll
    "AUTH_SUCCESS_EXTERNAL": (_LOGON, 1),  # Logon
    "AUTH_SUCCESS_INTERNAL": (_LOGON, 1),
    "bad-line": (_FINDING, 1),  # Create
    "clock-jump": (_FINDING, 1),
    "CONFIG_UPDATED": (_CONFIG, 1),  # Log
    "CRYPTO_ECDH": (_API, _OTHER),
    "CRYPTO_DECRYPT": (_API, _OTHER),
    "CRYPTO_ENCRYPT": (_API, _OTHER),
    "CRYPTO_EXDSA_SIGN": (_API, _OTHER),
    "CRYPTO_EXDSA_VERIFY": (_API, _OTHER),
    "CRYPTO_HMAC_HASH": (_API, _OTHER),
    "CRYPTO_HMAC_VERIFY": (_API, _OTHER),
    "CRYPTO_PQC_MLDSA_SIGN": (_API, _OTHER),
    "CRYPTO_PQC_MLDSA_VERIFY": (_API, _OTHER),
    "CRYPTO_PQC_MLKEM_DECAPS": (_API, _OTHER),
    "CRYPTO_PQC_MLKEM_ENCAPS": (_API, _OTHER),
    "CRYPTO_UNWRAP": (_API, _OTHER),
    "CRYPTO_WRAP": (_API, _OTHER),
    "DEVICE_INITED": (_CONFIG, 1),
    "device-replaced": (_FINDING, 1),
    "device-wiped": (_FINDING, 1),
    "FAILED_SCOPE_CHECK": (_API, _OTHER),
    "file-altered": (_FINDING, 1),
    "gap": (_FINDING, 1),
    "KEY_ATTRIBUTES_CHANGED": (_ENTITY, 3),  # Update
    "KEY_DELETE": (_ENTITY, 4),  # Delete
    "KEY_DERIVE": (_ENTITY, 1),  # Create
    "KEY_GENERATION": (_ENTITY, 1),
    "KEY_IMPORT": (_ENTITY, 1),
    "KEY_INTEGRITY_ERROR": (_CONFIG, 1),
    "KEY_USAGE_PKEY": (_API, _OTHER),
    "log-key-changed": (_FINDING, 1),
    "LOGGER_DELETE_LOG": (_API, 4),  # Delete
    "LOGGER_LIST_LOG": (_API, 2),  # Read
    "LOGGER_READ_LOG": (_API, 2),
    "NON_SECURE_STATE": (_CONFIG, 1),
    "REBOOT": (_LIFECYCLE, 5),  # Restart
    "RTC_SET": (_CONFIG, 1),
    "SELFTEST_PASSED": (_CONFIG, 1),
    "SHUTDOWN": (_LIFECYCLE, 4),  # Stop
    "STARTUP": (_LIFECYCLE, 3),  # Start
    "TRNG_FAILED": (_CONFIG, 1),
    "UPGRADE": (_LIFECYCLE, 8),  # Update
}
_SEVERITIES: Mapping[Severity, int] = {
    Severity.INFORMATIONAL: 1,
    Severity.NOTICE: 2,
    Severity.WARNING: 3,
    Severity.ERROR: 4,
    Severity.CRITICAL: 5,
    Severity.ALERT: 6,
}
_STATUSES = {"ok": 1, "failed": 2, "error": 2}


def line(facts: Facts) -> bytes:
    """One event, in ASCII, without a line break."""
    class_uid, activity = CLASSES.get(facts.name, (_BASE, _OTHER))
    document: dict[str, Any] = {
        "metadata": _metadata(facts),
        "category_uid": class_uid // 1000,
        "class_uid": class_uid,
        "activity_id": activity,
        "activity_name": facts.name,
        "type_uid": class_uid * 100 + activity,
        "time": facts.time * 1000,
        "severity_id": _SEVERITIES[facts.severity],
        "message": facts.text,
        "device": {"type_id": 99, "type": "HSM", "uid": facts.device, "hostname": facts.host},
        "actor": {"user": _user(facts)},
    }
    if class_uid == _FINDING:
        document["status_id"] = 1  # New
    elif facts.result:
        document["status_id"] = _STATUSES.get(facts.result, _OTHER)
        document["status"] = facts.result
    document |= _PARTS.get(class_uid, _nothing)(facts)
    if facts.raw:
        document["raw_data"] = printable(facts.raw)
    unmapped = {
        "clock": facts.clock,
        "data": printable(facts.data) or None,
        "file": facts.file or None,
        "line": facts.line or None,
        "number": facts.number,
        "genuine": facts.genuine,
        "kid": facts.kid,
        "own": facts.own,
        "cut": facts.cut or None,
    }
    document["unmapped"] = {name: value for name, value in unmapped.items() if value is not None}
    return json.dumps(document, separators=(",", ":")).encode("ascii")


def _metadata(facts: Facts) -> dict[str, Any]:
    """The number comes first, by which the end of a file is known."""
    found: dict[str, Any] = {
        "sequence": facts.entry,
        "version": SCHEMA,
        "profiles": ["host"],
        "product": {"name": "HEM", "vendor_name": "Encedo"},
        "uid": f"{facts.device}:{facts.entry}",
        "logged_time": facts.collected * 1000,
        "log_name": facts.file or "collector",
    }
    if facts.event is not None:
        found["event_code"] = str(facts.event)
    return found


def _user(facts: Facts) -> dict[str, Any]:
    if facts.phone is not None:
        return {"name": f"phone {facts.phone}", "uid": facts.phone}
    names = {"U": "user", "M": "administrator", "": "collector" if facts.ours else "device"}
    return {"name": names.get(facts.actor, printable(facts.actor))}


def _key(facts: Facts) -> dict[str, Any]:
    what = "phone" if facts.name == "AUTH_PAIRED_EXTERNAL" else "key"
    found = facts.kid or printable(facts.data)
    return {"type": what, "name": found or what, **({"uid": found} if found else {})}


def _nothing(_: Facts) -> dict[str, Any]:
    return {}


def _finding(facts: Facts) -> dict[str, Any]:
    title = f"audit log: {facts.name}"
    return {"finding_info": {"uid": f"{facts.device}:{facts.entry}", "title": title, "desc": facts.text}}


def _logon(facts: Facts) -> dict[str, Any]:
    return {"user": _user(facts), "service": {"name": "HEM", "uid": facts.device}}


def _entity(facts: Facts) -> dict[str, Any]:
    return {"entity": _key(facts)}


def _lifecycle(facts: Facts) -> dict[str, Any]:
    return {"app": {"name": "HEM firmware", "uid": facts.device}}


def _api(facts: Facts) -> dict[str, Any]:
    found: dict[str, Any] = {"api": {"operation": facts.name}, "src_endpoint": {"name": "not recorded"}}
    if facts.kid is not None:
        found["resources"] = [_key(facts)]
    return found


#: Class → what it has beside the attributes of all.
_PARTS = {_FINDING: _finding, _LOGON: _logon, _ENTITY: _entity, _LIFECYCLE: _lifecycle, _API: _api}
