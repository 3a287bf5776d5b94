"""What the endpoints answer: the JSON Schema of each body (device API §5 to §17, and the list in §23)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hem_provider.emulator.http import JSON
from hem_provider.emulator.keytypes import CERTIFICATE, DER_KEY, KEY_TYPES, MODES, Family
from hem_provider.emulator.schema import (
    Schema,
    base64_text,
    enumeration,
    listed,
    matching,
    number,
    record,
    string,
)

__all__ = [
    "ATTESTATION",
    "AUTHREQ",
    "CHALLENGE",
    "CHECK",
    "CHECKED",
    "CIPHERTEXT",
    "CONFIG",
    "CONFIG_FAULT",
    "CONFIG_UPDATE",
    "DECAPSULATED",
    "ELEMENT_FAULT",
    "EMPTY",
    "ENCAPSULATED",
    "EXT_INIT",
    "EXT_MAC",
    "EXT_VALIDATE",
    "INITIALISED",
    "INIT_CHALLENGE",
    "KEY",
    "KID",
    "LOG",
    "LOGGER_KEY",
    "LOG_LIST",
    "MAC",
    "MLDSA_SIGNATURE",
    "PAGE",
    "PLAINTEXT",
    "SECRET",
    "SELFTEST",
    "SIGNATURE",
    "STATUS",
    "TOKEN",
    "UNWRAPPED",
    "VERSION",
    "WRAPPED",
    "Answer",
]


@dataclass(frozen=True, slots=True)
class Answer:
    """A body. ``schema``: of it, ``None`` where there is none; ``maybe_empty``: there may be none."""

    schema: Schema | None = None
    maybe_empty: bool = False
    content_type: str = JSON


EMPTY: Final = Answer()

_FLAG: Final[Schema] = {"type": "boolean"}
_TRUE: Final[Schema] = {"type": "boolean", "const": True}
_TIME: Final = {**number(0), "description": "Unix seconds"}
_FLS: Final = number(0, 0xFF)
_JWT: Final = {**matching(r"[\w-]+\.[\w-]+\.[\w-]+"), "contentMediaType": "application/jwt"}
_GENUINE: Final = matching(r"[\w+/=]+\.[\w+/=]+\.[\w+/=]+")
_PEM: Final = {"type": "string", "contentMediaType": "application/x-pem-file"}
_HEX_KID: Final = matching("[0-9a-f]{32}")
_DIGEST: Final = base64_text(32, 64)
_32: Final = base64_text(32, 32)
_16: Final = base64_text(16, 16)
_64: Final = base64_text(64, 64)


def _types(*families: Family) -> Schema:
    return enumeration(*(name for name, row in KEY_TYPES.items() if not families or row.family in families))


_ATTRIBUTES: Final = matching(
    f"(?:(?:ATT|PKEY|PQC|CERT|{'|'.join(MODES)}),)*(?:GENERIC_DER|{'|'.join(KEY_TYPES)})"
)
_ENTRY: Final = record(
    {"kid": _HEX_KID, "created": _TIME, "type": _ATTRIBUTES, "label": string(1), "updated": _TIME},
    {"descr": base64_text(1)},
)

TOKEN: Final = Answer(record({"token": _JWT}))
CHALLENGE: Final = Answer(record({"exp": _TIME, "spk": _32, "jti": _32, "lbl": string(1), "eid": _32}))
INIT_CHALLENGE: Final = Answer(
    record({"exp": _TIME, "spk": _32, "jti": _32, "eid": _32}, {"genuine": _GENUINE})
)
INITIALISED: Final = Answer(
    record(
        {"instanceid": {**string(36, 36), "format": "uuid"}, "token": _JWT},
        {"genuine": _GENUINE, "csr": _PEM, "reboot_required": _TRUE},
    )
)
EXT_INIT: Final = Answer(record({"request": _JWT, "eid": _32}))
EXT_VALIDATE: Final = Answer(record({"kid": _HEX_KID, "code": _32}))
EXT_MAC: Final = Answer(record({"nonce": _32, "mac": _32, "eid": _32}))
AUTHREQ: Final = Answer(record({"authreq": _JWT, "epk": base64_text(32, 32, lenient=True)}))

STATUS: Final = Answer(
    record(
        {"ctx": number(0), "uptime": number(0), "temp": {"type": "number"}, "fls_state": _FLS},
        {
            "inited": _FLAG, "https": _FLAG, "hostname": string(1), "tts": _FLAG,
            "ts": {**string(20, 20), "format": "date-time"}, "time": _TIME,
            "storage": listed(matching("[0-9]+:(?:rw|ro|-)"), 2), "format": matching("status[0-9]+|done"),
            "humidity": {"type": "number", "minimum": 0, "maximum": 100}, "fw_upgrade": _FLAG,
        },
    )
)  # fmt: skip
VERSION: Final = Answer(
    record(
        {
            "hwv": string(1),
            "fwv": string(1),
            "fwk": _32,
            "fws": _64,
            "blv": string(1),
            "blk": _32,
            "bls": _64,
        },
        {"uis": _32, "sd_csd": _HEX_KID, "sd_cid": _HEX_KID},
    )
)
CHECK: Final = Answer(record({"check": _JWT}))
CHECKED: Final = Answer(
    record(
        {"status": enumeration("OK", "L", "W", "R", "B", "U", "???")},
        {"newcrt": enumeration("OK", "ERROR"), "newfws": {}, "newuis": {}},
    )
)
CONFIG: Final = Answer(
    record(
        {
            "iat": _TIME, "uts": _TIME, "devid": matching("[0-9a-f]{16}"), "instanceid": string(36, 36),
            "eid": _32, "eid_sign": _32, "user": string(1), "email": string(), "hostname": string(1),
            "dnsd": _FLAG, "trusted_ts": _FLAG, "trusted_backend": _FLAG, "allow_keysearch": _FLAG,
            "origin": string(1), "ctx": number(0), "http_option_hsts": _FLAG,
            "http_option_dosprot_mode": number(0, 4), "ip": string(1), "spk": _32, "nonce": _32,
        },
        {
            "genuine_id": matching("[0-9a-f]{18}"), "storage_mode": number(0, 0xFF),
            "storage_disk0size": number(0), "storage_capacity": number(0),
        },
    )
)  # fmt: skip
CONFIG_UPDATE: Final = Answer(
    record({"updated": _FLAG}, {"csr": _PEM, "genuine": _GENUINE, "reboot_required": _TRUE}), maybe_empty=True
)
CONFIG_FAULT: Final = Answer(record({"updated": {"type": "boolean", "const": False}}), maybe_empty=True)
ATTESTATION: Final = Answer(
    record({"genuine": _GENUINE}, {"crt": base64_text(1), "csr": _PEM, "key": base64_text(1)})
)
ELEMENT_FAULT: Final = Answer(
    {**matching("atecc_[1-4]"), "description": "plain text, whatever its content type says (Q33)"}
)
_REPOSITORY: Final = ("total", "deleted", "invalid", "fragmented", "freeslots")
SELFTEST: Final = Answer(
    record(
        {
            "fls_state": _FLS, "selftest_ts": _TIME,
            "repo_stats": record({name: number(0) for name in _REPOSITORY}),
        },
        {
            "last_selftest_ts": _TIME, "last_fls_state": _FLS, "last_entropytest_ts": _TIME,
            "last_kat_ts": _TIME, "kat_busy": _TRUE, "se_state": number(0),
        },
    )
)  # fmt: skip

PAGE: Final = Answer(
    record(
        {
            "offset": number(0), "deleted": number(0), "total": number(0), "listed": number(0),
            "list": listed(_ENTRY),
        }
    )
)  # fmt: skip
KEY: Final = Answer(
    record(
        {"type": {"anyOf": [_ATTRIBUTES, enumeration(CERTIFICATE, DER_KEY)]}, "updated": _TIME},
        {"pubkey": base64_text(32), "der": base64_text(1), "label": string(1), "descr": base64_text(1)},
    )
)
KID: Final = Answer(record({"kid": _HEX_KID}))

MAC: Final = Answer(record({"mac": _DIGEST}))
SIGNATURE: Final = Answer(record({"sign": base64_text(1)}))
CIPHERTEXT: Final = Answer(record({"ciphertext": base64_text(1)}, {"iv": _16, "tag": _16}))
PLAINTEXT: Final = Answer(record({"plaintext": {"anyOf": [base64_text(1), string(0, 0)]}}))
WRAPPED: Final = Answer(record({"wrapped": base64_text(24)}))
UNWRAPPED: Final = Answer(record({"unwrapped": base64_text(16)}))
SECRET: Final = Answer(record({"ecdh": base64_text(32, 66)}))
ENCAPSULATED: Final = Answer(record({"alg": _types(Family.MLKEM), "ss": _32, "ct": base64_text(768, 1568)}))
DECAPSULATED: Final = Answer(record({"alg": string(1), "ss": _32}))
MLDSA_SIGNATURE: Final = Answer(record({"alg": _types(Family.MLDSA), "sign": base64_text(2420, 4627)}))

LOGGER_KEY: Final = Answer(record({"key": _32, "nonce": _32, "nonce_signed": _64}))
LOG_LIST: Final = Answer(record({"total": number(0), "id": listed(matching("[0-9a-f]{8}"), 128)}))
LOG: Final = Answer({"type": "string"}, maybe_empty=True, content_type="text/plain")
