"""The switches: every firmware quirk of device API §19 and every unknown of §21 that the emulator had to
decide.

A switch off gives the documented or sane behaviour instead of the observed one, so that a client can be tried
against both. ``hem emulator quirks`` lists this table.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hem_provider.emulator.firmware import FIRMWARE_1_2_2, Limits

__all__ = ["QUIRKS", "Q", "Quirk", "QuirkValue", "Switches", "parse_quirk"]

QuirkValue = bool | int | float | str


class Q(enum.StrEnum):
    """Names of the switches."""

    PLAIN_HTTP_409 = "Q1"
    EMPTY_ERRORS = "Q2"
    BEARER_CHECKED_FIRST = "Q3"
    MLDSA_FAILURE_STATUS = "Q4"
    DECAPS_ALG_IS_SCOPE = "Q5"
    UPDATE_ERASES_DESCR = "Q6"
    DESCR_CUT_ON_READ = "Q7"
    GET_BARE = "Q8"
    DERIVE_UNKNOWN_TYPE = "Q9"
    DERIVE_UNDISCLOSED = "Q10"
    ECDH_CUT = "Q11"
    DEFAULT_MODE_ECDH = "Q12"
    HMAC_ALG_IGNORED = "Q13"
    STORAGE_MASTER = "Q14"
    SCOPE_UNCHECKED = "Q15"
    EXP_UNBOUNDED = "Q16"
    BOOT_ENDS_TOKENS = "Q17"
    NEWCRT_IGNORED = "Q18"
    RTC_GAIN = "Q19"
    NONCE_ONCE = "Q20"
    LOGIN_THROTTLE = "Q21"
    PAGE_CLAMP = "Q22"
    SEARCH_NO_HIT = "Q23"
    DUPLICATE_DELETED = "Q24"
    LONG_AAD = "Q25"
    LENIENT_BASE64 = "Q26"
    DEAD_LIMITS = "Q27"
    EXT_REQUEST_LENIENT = "Q28"
    EXT_TOKEN_SILENT = "Q29"  # noqa: S105 - a name
    UNKNOWN_KID_406 = "Q30"
    CLOSE_CONNECTION = "Q31"
    ANSWER_FIRST = "Q32"
    ATTESTATION_FAILURE = "Q33"
    LENGTH_STATUSES = "Q34"
    WRAP_DEFAULT_AES256 = "Q35"
    WIPE_KEEPS_TLS = "Q36"
    CURRENT_LOG_406 = "Q37"
    STATUS_OMITS = "Q38"
    CHUNKED_411 = "Q39"
    BODY_LIMIT = "Q40"
    MODEL_RULES = "Q41"
    STATUS_HTTPS = "Q42"
    SYMMETRIC_KID = "U1"
    DERIVED_ATTESTED = "U2"
    CTX_MISSING_STATUS = "U3"
    AAD_AUTHENTICATED = "U4"
    HMAC_SECRET_BYTES = "U5"  # noqa: S105 - a name
    IAT_SLACK = "U6"
    LOCAL_CTX = "U7"
    REBOOT_CLEARS_RTC = "U8"
    ROTATION_FAILURE_STATUS = "U12"
    AUTH_BEFORE_BODY = "U13"
    TLS_1_2 = "U14"
    ECDSA_DETERMINISTIC = "U15"
    CAPACITY = "U16"
    USER_LIMIT = "U17"
    DER_PKEY_EXPORT = "U18"
    USE_SCOPE_CASE = "U19"
    EPA_SHUTDOWN = "U20"
    TEMPERATURE_BLOCKS = "U22"
    LOG_SEQUENCE_BASE = "U23"
    EMPTY_NEEDLE_STATUS = "U24"
    LIST_BEYOND_END = "U25"
    MODE_CONTRADICTS = "U26"
    MODE_IS_TYPE = "U27"
    BARE_UPGRADE_STATUS = "U28"
    DESCR_LIMIT = "U29"
    COOLING_CLEARS = "U30"


@dataclass(frozen=True, slots=True)
class Quirk:
    """One switch. ``accepts`` lists the values of a choice; empty for booleans and free numbers."""

    name: Q
    default: QuirkValue
    summary: str
    accepts: tuple[QuirkValue, ...] = ()


_TABLE = (
    Quirk(Q.PLAIN_HTTP_409, True, "keymgmt/delete and hmac/hash over plain HTTP answer 409 instead of 418"),
    Quirk(Q.EMPTY_ERRORS, True, "errors have empty bodies; off: a small JSON body"),
    Quirk(Q.BEARER_CHECKED_FIRST, True, "a bad Authorization header is 401 on public endpoints too"),
    Quirk(
        Q.MLDSA_FAILURE_STATUS,
        795,
        "status of a failed mldsa/verify; 406 is what the documentation says",
        (795, 100, 65307, 406),
    ),
    Quirk(Q.DECAPS_ALG_IS_SCOPE, True, "alg of mlkem/decaps is the caller's scope text"),
    Quirk(Q.UPDATE_ERASES_DESCR, True, "update without descr erases it; without label 400"),
    Quirk(Q.DESCR_CUT_ON_READ, True, "a descr over the limit (U29) is accepted and read back cut to it"),
    Quirk(Q.GET_BARE, True, "get gives neither label nor descr, and the bare algorithm of asymmetric keys"),
    Quirk(
        Q.DERIVE_UNKNOWN_TYPE, True, "derive with an unknown type answers 200 with the source kid; off: 400"
    ),
    Quirk(Q.DERIVE_UNDISCLOSED, True, "a derived key is not the documented HKDF output"),
    Quirk(Q.ECDH_CUT, True, "raw ecdh is cut to 32 bytes"),
    Quirk(Q.DEFAULT_MODE_ECDH, True, "SECP keys without mode can only do ECDH; off: both"),
    Quirk(Q.HMAC_ALG_IGNORED, True, "alg is ignored with a stored HMAC key; off: another alg is 406"),
    Quirk(Q.STORAGE_MASTER, "pass", "what the storage handlers do to role M", ("pass", "403", "crash")),
    Quirk(
        Q.SCOPE_UNCHECKED, True, "any scope is issued and compared by prefix; off: exact known scopes only"
    ),
    Quirk(Q.EXP_UNBOUNDED, True, "bearer exp is copied from the proof; off: at most 8 h"),
    Quirk(Q.BOOT_ENDS_TOKENS, True, "tokens and session keys end at reboot"),
    Quirk(Q.NEWCRT_IGNORED, True, "newcrt is acknowledged but not installed on an initialised device"),
    Quirk(Q.RTC_GAIN, 0.0, "fraction by which the device clock runs fast; hardware 0.08"),
    Quirk(Q.NONCE_ONCE, True, "a nonce is good once and for 60 s"),
    Quirk(Q.LOGIN_THROTTLE, False, "login answers take at least 0.5 s, 1.5 s after three failures"),
    Quirk(Q.PAGE_CLAMP, True, "a list page has at most 15 entries"),
    Quirk(Q.SEARCH_NO_HIT, 200, "status of a search without hits; 404 on older firmware", (200, 404)),
    Quirk(Q.DUPLICATE_DELETED, True, "after a reboot, deleted imports still count as duplicates"),
    Quirk(Q.LONG_AAD, True, "aad over 16 bytes is accepted"),
    Quirk(Q.LENIENT_BASE64, True, "both base64 alphabets, padding optional; off: standard and padded only"),
    Quirk(Q.DEAD_LIMITS, True, "decoded lengths of pubkey, descr, aad are not enforced"),
    Quirk(Q.EXT_REQUEST_LENIENT, True, "ext/request drops what is out of range and works without pairings"),
    Quirk(Q.EXT_TOKEN_SILENT, True, "ext/token failures are neither delayed nor logged"),
    Quirk(Q.UNKNOWN_KID_406, True, "an unknown key is 406; off: 404"),
    Quirk(Q.CLOSE_CONNECTION, True, "the connection is closed after each response"),
    Quirk(Q.ANSWER_FIRST, True, "400 of a config write has a JSON body; off: empty"),
    Quirk(
        Q.ATTESTATION_FAILURE,
        "none",
        "attestation answers 500 with this text",
        ("none", "atecc_1", "atecc_2", "atecc_3", "atecc_4"),
    ),
    Quirk(Q.LENGTH_STATUSES, True, "wrong lengths: ECB 400, wrap 406, unwrap 400; off: 400 throughout"),
    Quirk(
        Q.WRAP_DEFAULT_AES256, True, "wrap without alg means AES256, whatever the key; off: the key's width"
    ),
    Quirk(Q.WIPE_KEEPS_TLS, True, "TLS key and certificate survive a wipe"),
    Quirk(Q.CURRENT_LOG_406, True, "the log file being written cannot be read (406)"),
    Quirk(Q.STATUS_OMITS, True, "status omits fields instead of sending defaults"),
    Quirk(Q.CHUNKED_411, True, "a chunked body is 411; off: accepted"),
    Quirk(Q.BODY_LIMIT, 7300, "largest JSON body in bytes; one more is 413 and close"),
    Quirk(Q.MODEL_RULES, True, "EPA: 404 on PPA-only paths, their fields absent"),
    Quirk(Q.STATUS_HTTPS, False, "status has the https field over HTTPS too"),
    Quirk(
        Q.SYMMETRIC_KID, "random", "kid of AES and HMAC keys: random, or SHA-1 of the key", ("random", "sha1")
    ),
    Quirk(Q.DERIVED_ATTESTED, False, "derived keys carry the ATT token"),
    Quirk(Q.CTX_MISSING_STATUS, 406, "Ed25519ctx without ctx; 200: an empty context", (406, 400, 200)),
    Quirk(Q.AAD_AUTHENTICATED, True, "aad beyond 16 bytes is authenticated"),
    Quirk(Q.HMAC_SECRET_BYTES, 0, "bytes of the ECDH secret that key a derived HMAC; 0: all", (0, 32)),
    Quirk(Q.IAT_SLACK, -1, "seconds a proof's iat may lie ahead of the clock; -1: iat is not checked"),
    Quirk(Q.LOCAL_CTX, True, "ctx of a local login appears in the bearer"),
    Quirk(Q.REBOOT_CLEARS_RTC, True, "a reboot without power loss clears the clock too"),
    Quirk(Q.ROTATION_FAILURE_STATUS, 400, "status of a failed passphrase rotation", (400, 406)),
    Quirk(Q.AUTH_BEFORE_BODY, False, "a missing token is 401 before the body is looked at"),
    Quirk(Q.TLS_1_2, False, "the device port accepts TLS 1.2 as well"),
    Quirk(Q.ECDSA_DETERMINISTIC, False, "ECDSA nonces as in RFC 6979"),
    Quirk(Q.CAPACITY, 16384, "slots of the key repository, deleted ones included until compaction"),
    Quirk(Q.USER_LIMIT, 64, "longest user label in characters", (64, 32)),
    Quirk(
        Q.DER_PKEY_EXPORT,
        "public",
        "der of a TLS key record: the public key, or no field",
        ("public", "none"),
    ),
    Quirk(Q.USE_SCOPE_CASE, True, "the key id in keymgmt:use:<kid> is compared case-sensitively"),
    Quirk(Q.EPA_SHUTDOWN, True, "shutdown exists on EPA"),
    Quirk(Q.TEMPERATURE_BLOCKS, True, "the temperature bit blocks operations like every other fail state"),
    Quirk(Q.LOG_SEQUENCE_BASE, 16, "number base of the log's sequence field", (16, 10)),
    Quirk(Q.EMPTY_NEEDLE_STATUS, 400, "status of a search with an empty needle", (400, 406)),
    Quirk(Q.LIST_BEYOND_END, 200, "status of a list beyond the end", (200, 406)),
    Quirk(
        Q.MODE_CONTRADICTS,
        400,
        "status of a mode that a single-use type does not have (ED25519 + ECDH); 200: it is ignored",
        (400, 406, 200),
    ),
    Quirk(Q.MODE_IS_TYPE, True, "a mode equal to a single-use type (AES256 + AES256) is accepted"),
    Quirk(
        Q.BARE_UPGRADE_STATUS, 200, "status of a bare GET upgrade with a token; 401 without", (200, 403, 404)
    ),
    Quirk(Q.DESCR_LIMIT, 64, "bytes of descr that are kept and searched; 128 from 2026-08 on"),
    Quirk(Q.COOLING_CLEARS, True, "the temperature bit goes when a PPA has cooled; off: with a restart only"),
)

QUIRKS: Final[Mapping[str, Quirk]] = {row.name.value: row for row in _TABLE}


@dataclass(frozen=True, slots=True)
class Switches:
    """The values in force: the overrides of one device over the defaults, and its firmware's limits."""

    overrides: Mapping[str, QuirkValue]
    limits: Limits = FIRMWARE_1_2_2.limits

    def value(self, name: Q) -> QuirkValue:
        """What a switch is set to, or its default."""
        return self.overrides.get(name.value, QUIRKS[name.value].default)

    def on(self, name: Q) -> bool:
        """A switch that is on or off."""
        return bool(self.value(name))

    def number(self, name: Q) -> int:
        """A switch with a number."""
        return int(self.value(name))

    def text(self, name: Q) -> str:
        """A switch with one of several words."""
        return str(self.value(name))


def parse_quirk(name: str, text: str) -> tuple[str, QuirkValue]:
    """Read ``name`` (``Q4`` or ``MLDSA_FAILURE_STATUS``) and a value as typed by a person; ``ValueError``
    says what is accepted."""
    wanted = name.upper()
    quirk = next((row for row in _TABLE if wanted in (row.name.value, row.name.name)), None)
    if quirk is None:
        raise ValueError(f"no quirk {name!r}; 'hem emulator quirks' lists them")
    return quirk.name.value, _parse_value(quirk, text)


def _parse_value(quirk: Quirk, text: str) -> QuirkValue:
    if isinstance(quirk.default, bool):
        words = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}
        if text.lower() not in words:
            raise ValueError(f"{quirk.name.value} is on or off, not {text!r}")
        return words[text.lower()]
    value: QuirkValue
    try:
        value = type(quirk.default)(text)
    except ValueError:
        raise ValueError(f"{quirk.name.value} takes a number, not {text!r}") from None
    if quirk.accepts and value not in quirk.accepts:
        raise ValueError(f"{quirk.name.value} is one of {', '.join(map(str, quirk.accepts))}, not {text!r}")
    return value
