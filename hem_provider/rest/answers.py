"""What each endpoint may answer: endpoint × field → type, size, range, and what it must agree with.

This table is the only place where answers are judged. ``Channel`` applies it to every answer before
anybody sees a value of it; a field that is not in its endpoint's row cannot be read at all. Sizes are in
bytes, times in Unix seconds; sections are those of the device API. Fields that nobody reads are not
here: the device may add some (§20.1).
"""

from __future__ import annotations

from collections.abc import Mapping

from hem_provider.keytypes import MAX_LABEL
from hem_provider.rest.agreements import (
    BLOCK,
    HALF_BLOCK,
    LAST,
    MAX_CERTIFICATE,
    MOST_DATA,
    bundle_or_order,
    decided,
    echo,
    encapsulation,
    encrypted,
    expiry,
    granted_scope,
    how_many,
    kid_of_sent,
    lattice_signature,
    log_files,
    longer_by,
    mac,
    material,
    offered,
    page,
    plain,
    secret,
    signature,
)
from hem_provider.rest.fields import (
    Field,
    Reader,
    Shape,
    data,
    data_text,
    flag,
    integer,
    jwt,
    kid,
    list_of,
    number,
    object_of,
    objects,
    text,
)

__all__ = ["ANSWERS", "BEARER", "CLOUD", "shape_of"]

#: Prefix of the endpoints of the cloud service.
CLOUD = "CLOUD "

_TIME = integer(0, LAST)
#: X25519 public keys, nonces and MACs, used as the text they came in.
_B32 = data_text(32)
#: Longest ``descr`` of any firmware (§24).
_MAX_DESCR = 128
#: More records than any device has slots for (§18).
_MOST_RECORDS = 100_000
_WORD = r"[A-Za-z0-9_-]+"
#: A firmware's type string: known and unknown tokens (§11.1).
_TYPE = text(0, 128, pattern=r"[A-Za-z0-9_,\- ]*", accepted="tokens with commas between them")
_GENUINE = text(
    1, 512, pattern=r"[A-Za-z0-9+/=_-]+(\.[A-Za-z0-9+/=_-]+){2}", accepted="three parts in base64"
)
_HANDLE = text(1, 128, pattern=_WORD, accepted="letters, digits, '-' and '_'")
_HEX = text(0, 64, pattern="[0-9A-Fa-f]*", accepted="hex digits")
_CSR = text(1, 7300, lines=True)


#: The claims of a bearer that a client reads (§5.4).
BEARER = Shape((Field("scope", granted_scope), Field("sub", text(1, 64)), Field("exp", expiry)))


_CHALLENGE = (Field("exp", integer(60, LAST)), Field("spk", _B32), Field("jti", _B32), Field("eid", _B32))

#: ``authreq`` (§10.4): at most eight phones are paired.
_APPROVAL = Shape(
    (
        Field("iat", _TIME),
        Field("exp", _TIME),
        Field("scope", how_many(8)),
    )
)


_AUTH = {
    "GET /api/auth/token": Shape((*_CHALLENGE, Field("lbl", text(0, 128), needed=False))),
    "POST /api/auth/token": Shape((Field("token", jwt(BEARER)),)),
    "GET /api/auth/init": Shape((*_CHALLENGE, Field("genuine", _GENUINE, needed=False))),
    "POST /api/auth/init": Shape(
        (
            Field("instanceid", text(1, 64)),
            Field("token", jwt(BEARER)),
            Field("genuine", _GENUINE, needed=False),
            Field("csr", _CSR, needed=False),
            Field("reboot_required", flag, needed=False),
        )
    ),
    "POST /api/auth/ext/init": Shape((Field("request", jwt()), Field("eid", _B32))),
    "POST /api/auth/ext/validate": Shape((Field("kid", kid), Field("code", _B32)), kid_of_sent),
    "POST /api/auth/ext/mac": Shape((Field("nonce", _B32), Field("mac", _B32), Field("eid", _B32))),
    "POST /api/auth/ext/request": Shape((Field("authreq", jwt(_APPROVAL)), Field("epk", echo))),
    "POST /api/auth/ext/token": Shape((Field("token", jwt(BEARER)),)),
}

_SIZE = integer(0, 2**40)
_REPOSITORY = Shape(
    tuple(
        Field(name, integer(0, 2**31), needed=False)
        for name in ("total", "deleted", "invalid", "fragmented", "freeslots")
    )
)
_SYSTEM = {
    "GET /api/system/status": Shape(
        (
            Field("inited", flag, needed=False),
            Field("fls_state", integer(0, 0xFFFF)),
            Field("uptime", _SIZE),
            Field("time", _TIME, needed=False),
            Field("temp", number(-273.15, 1000), needed=False),
            Field("hostname", text(0, 255), needed=False),
            Field("ctx", integer(-(2**31), 2**32 - 1)),
            Field("tts", flag, needed=False),
            Field(
                "storage",
                list_of(text(1, 32, pattern=r"\d+:(rw|ro|-)", accepted="SECTORS:MODE"), 8),
                needed=False,
            ),
            Field("format", text(1, 32), needed=False),
            Field("fw_upgrade", flag, needed=False),
        )
    ),
    "GET /api/system/version": Shape(
        (
            Field("hwv", text(1, 128)),
            Field("fwv", text(1, 128)),
            Field("blv", text(1, 128), needed=False),
            Field("uis", data(32), needed=False),
            Field("sd_csd", _HEX, needed=False),
            Field("sd_cid", _HEX, needed=False),
        )
    ),
    "GET /api/system/checkin": Shape((Field("check", jwt()),)),
    "POST /api/system/checkin": Shape(
        (Field("status", text(1, 64), needed=False), Field("newcrt", text(1, 64), needed=False))
    ),
    "GET /api/system/selftest": Shape(
        (
            Field("fls_state", integer(0, 0xFFFF)),
            Field("selftest_ts", _TIME, needed=False),
            Field("kat_busy", flag, needed=False),
            Field("se_state", integer(-(2**31), 2**32 - 1), needed=False),
            Field("repo_stats", object_of(_REPOSITORY), needed=False),
        )
    ),
    "GET /api/system/config": Shape(
        (
            Field("eid", _B32),
            Field("spk", _B32),
            Field("nonce", _B32),
            *(Field(name, text(0, 255), needed=False) for name in ("user", "email", "hostname", "origin")),
            *(Field(name, text(0, 64), needed=False) for name in ("ip", "instanceid")),
            *(Field(name, _HEX, needed=False) for name in ("devid", "genuine_id")),
            Field("iat", _TIME, needed=False),
            Field("uts", _TIME, needed=False),
            Field("ctx", integer(-(2**31), 2**32 - 1), needed=False),
            *(
                Field(name, flag, needed=False)
                for name in ("trusted_ts", "trusted_backend", "allow_keysearch", "http_option_hsts", "dnsd")
            ),
            Field("http_option_dosprot_mode", integer(0, 4), needed=False),
            Field("eid_sign", data(32), needed=False),
            Field("storage_mode", integer(0, 0xFF), needed=False),
            Field("storage_disk0size", _SIZE, needed=False),
            Field("storage_capacity", _SIZE, needed=False),
        )
    ),
    "POST /api/system/config": Shape(
        (
            Field("updated", flag, needed=False),
            Field("reboot_required", flag, needed=False),
            Field("csr", _CSR, needed=False),
            Field("genuine", _GENUINE, needed=False),
        )
    ),
    "GET /api/system/config/attestation": Shape(
        (
            Field("crt", data(most=MAX_CERTIFICATE), needed=False),
            Field("csr", _CSR, needed=False),
            Field("key", data(most=512), needed=False),
            Field("genuine", _GENUINE, needed=False),
        )
    ),
    "GET /api/logger/key": Shape(
        (Field("key", data(32)), Field("nonce", data(32)), Field("nonce_signed", data(64)))
    ),
    "GET /api/logger/list/{}": Shape(
        (
            Field("total", integer(0, _MOST_RECORDS)),
            Field("id", list_of(text(8, 8, pattern="[0-9a-fA-F]{8}", accepted="8 hex digits"), 128)),
        ),
        log_files,
    ),
}


_RECORD = Shape(
    (
        Field("kid", kid),
        Field("type", _TYPE),
        Field("label", text(0, MAX_LABEL)),
        Field("descr", data(most=_MAX_DESCR), needed=False),
        Field("created", _TIME),
        Field("updated", _TIME),
    )
)


_PAGE = Shape(
    (
        Field("offset", integer(0, 2**31), needed=False),
        Field("total", integer(0, _MOST_RECORDS)),
        Field("listed", integer(0, _MOST_RECORDS), needed=False),
        Field("list", objects(_RECORD, _MOST_RECORDS)),
    ),
    page,
)


_NEW = Shape((Field("kid", kid),))
_KEYMGMT = {
    "GET /api/keymgmt/list/{}": _PAGE,
    "POST /api/keymgmt/search": _PAGE,
    "GET /api/keymgmt/get/{}": Shape(
        (
            Field("type", _TYPE, needed=False),
            Field("pubkey", data(most=4096), needed=False),
            Field("der", data(most=MAX_CERTIFICATE), needed=False),
            Field("updated", _TIME, needed=False),
        ),
        material,
    ),
    "POST /api/keymgmt/create": _NEW,
    "POST /api/keymgmt/derive": _NEW,
    "POST /api/keymgmt/import": Shape(_NEW.fields, kid_of_sent),
}


_SHARED: Reader = data(32, never_zero=True)
_CRYPTO = {
    "POST /api/crypto/exdsa/sign": Shape((Field("sign", signature),)),
    "POST /api/crypto/ecdh": Shape((Field("ecdh", secret),)),
    "POST /api/crypto/hmac/hash": Shape((Field("mac", mac),)),
    "POST /api/crypto/cipher/encrypt": Shape(
        (
            Field("ciphertext", data(most=MOST_DATA)),
            Field("iv", data(BLOCK, never_zero=True), needed=False),
            Field("tag", data(BLOCK), needed=False),
        ),
        encrypted,
    ),
    "POST /api/crypto/cipher/decrypt": Shape((Field("plaintext", data(most=MOST_DATA)),), plain),
    "POST /api/crypto/cipher/wrap": longer_by("wrapped", HALF_BLOCK),
    "POST /api/crypto/cipher/unwrap": longer_by("unwrapped", -HALF_BLOCK),
    "POST /api/crypto/pqc/mlkem/encaps": Shape((Field("ct", encapsulation), Field("ss", _SHARED))),
    # The answer's ``alg`` is not meaningful (Q5).
    "POST /api/crypto/pqc/mlkem/decaps": Shape((Field("ss", _SHARED),)),
    "POST /api/crypto/pqc/mldsa/sign": Shape((Field("sign", lattice_signature),)),
}


_CHAIN = data(most=MAX_CERTIFICATE)
_LINK = text(8, 2048, pattern=r"https://[!-~]+", accepted="an https:// address")
_BROKER_AND_REGISTER = {
    "POST /checkin": Shape((Field("checked", jwt(Shape((Field("newcrt", offered, needed=False),)))),)),
    "GET /notify/session": Shape((Field("epk", _B32),)),
    "POST /notify/session": Shape((Field("epk", _B32),)),
    "POST /notify/register/init": Shape((Field("rid", _HANDLE), Field("link", _LINK))),
    "GET /notify/register/check/{}": Shape((Field("pid", _B32), Field("reply", jwt()))),
    "POST /notify/event/new": Shape(
        (Field("eventid", _HANDLE), Field("sentcnt", integer(0, 1000), needed=False))
    ),
    "GET /notify/event/check/{}": Shape(
        (Field("deny", flag, needed=False), Field("authreply", jwt(), needed=False)), decided
    ),
    "POST /domain/register/my": Shape((Field("crt", _CHAIN),)),
    "POST /domain/register/{}": Shape(
        (Field("crt", _CHAIN, needed=False), Field("id", _HANDLE, needed=False)), bundle_or_order
    ),
    "GET /domain/register/{}": Shape((Field("crt", _CHAIN),)),
}

#: Endpoint → what it answers with status 200. ``{}``: what follows in the path. An endpoint that is not
#: here answers nothing that anybody reads.
ANSWERS: Mapping[str, Shape] = {
    **_AUTH,
    **_SYSTEM,
    **_KEYMGMT,
    **_CRYPTO,
    **{CLOUD + endpoint: shape for endpoint, shape in _BROKER_AND_REGISTER.items()},
}
_OPEN = sorted((each.removesuffix("{}") for each in ANSWERS if each.endswith("/{}")), key=len, reverse=True)


def shape_of(endpoint: str) -> tuple[str, Shape]:
    """The row for ``METHOD /path`` (with ``CLOUD`` before it for the cloud service), and its name.

    >>> shape_of("GET /api/keymgmt/list/15/15")[0]
    'GET /api/keymgmt/list/{}'
    """
    if endpoint not in ANSWERS:
        start = next((each for each in _OPEN if endpoint.startswith(each)), None)
        endpoint = endpoint if start is None else start + "{}"
    return endpoint, ANSWERS.get(endpoint, Shape())
