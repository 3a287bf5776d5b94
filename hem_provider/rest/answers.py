"""What each endpoint may answer: endpoint × field → type, size, range, and what it must agree with.

This table is the only place where answers are judged. ``Channel`` applies it to every answer before
anybody sees a value of it; a field that is not in its endpoint's row cannot be read at all. Sizes are in
bytes, times in Unix seconds; sections are those of the device API. Fields that nobody reads are not
here: the device may add some (§20.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hem_provider.ecdsa import ORDERS, numbers
from hem_provider.keytypes import KEY_TYPES, MAX_DESCR, MAX_LABEL, MAX_MESSAGE, Family, parse_attributes
from hem_provider.publickeys import check_public, kid_of
from hem_provider.rest.fields import (
    Asked,
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
    within,
)

__all__ = ["ANSWERS", "BEARER", "CLOUD", "shape_of"]

#: Prefix of the endpoints of the cloud service.
CLOUD = "CLOUD "

#: The year 2242: no clock says more.
_LAST = 2**33
_TIME = integer(0, _LAST)
#: X25519 public keys, nonces and MACs, used as the text they came in.
_B32 = data_text(32)
#: Bytes of a raw ECDH secret that firmware 1.2.2 gives, whatever the curve (§13.6).
_RAW_SECRET = 32
_BLOCK, _HALF_BLOCK = 16, 8
#: Longest ``descr`` of any firmware (§24).
_MAX_DESCR = 128
#: More records than any device has slots for (§18).
_MOST_RECORDS = 100_000
_MAX_CERTIFICATE = 16 * 1024
_WORD = r"[A-Za-z0-9_-]+"
#: A firmware's type string: known and unknown tokens (§11.1).
_TYPE = text(0, 128, pattern=r"[A-Za-z0-9_,\- ]*", accepted="tokens with commas between them")
_GENUINE = text(
    1, 512, pattern=r"[A-Za-z0-9+/=_-]+(\.[A-Za-z0-9+/=_-]+){2}", accepted="three parts in base64"
)
_HANDLE = text(1, 128, pattern=_WORD, accepted="letters, digits, '-' and '_'")
_HEX = text(0, 64, pattern="[0-9A-Fa-f]*", accepted="hex digits")
_CSR = text(1, 7300, lines=True)
_MAC_SIZES = sorted({kind.signature_size or 0 for kind in KEY_TYPES.values() if kind.family is Family.HMAC})
_MLDSA = {name: kind for name, kind in KEY_TYPES.items() if kind.family is Family.MLDSA}
_MLKEM = {name: kind for name, kind in KEY_TYPES.items() if kind.family is Family.MLKEM}


def _scope(value: Any, asked: Asked) -> str:
    """The scope that was asked; a phone may have added the right to write to a disk (§10.5)."""
    found: str = text(0, 1100)(value, asked)
    if asked.scope is not None and found not in (asked.scope, f"{asked.scope}:rw"):
        raise ValueError(f"another scope, of {len(found)} characters; accepted: {asked.scope!r}")
    return found


def _expiry(value: Any, asked: Asked) -> int:
    """Never later than asked (§5.3), with a minute for whoever rounds."""
    return int(integer(1, _LAST if asked.until is None else asked.until + 60)(value, asked))


#: The claims of a bearer that a client reads (§5.4).
BEARER = Shape((Field("scope", _scope), Field("sub", text(1, 64)), Field("exp", _expiry)))


def _echo(value: Any, asked: Asked) -> str:
    if value != asked.echo:
        raise ValueError("not what was sent")
    return str(value)


_CHALLENGE = (Field("exp", integer(60, _LAST)), Field("spk", _B32), Field("jti", _B32), Field("eid", _B32))

#: ``authreq`` (§10.4): at most eight phones are paired.
_APPROVAL = Shape(
    (
        Field("iat", _TIME),
        Field("exp", _TIME),
        Field("scope", lambda value, _: within(len(_an_object(value)), 0, 8)),
    )
)


def _an_object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("no object; accepted: an object")  # noqa: TRY004 - one kind of error for all
    return value


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
    "POST /api/auth/ext/validate": Shape(
        (Field("kid", kid), Field("code", _B32)), lambda values, asked: _kid_of_sent(values, asked)
    ),
    "POST /api/auth/ext/mac": Shape((Field("nonce", _B32), Field("mac", _B32), Field("eid", _B32))),
    "POST /api/auth/ext/request": Shape((Field("authreq", jwt(_APPROVAL)), Field("epk", _echo))),
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
            Field("crt", data(most=_MAX_CERTIFICATE), needed=False),
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
        lambda values, asked: _log_files(values, asked),
    ),
}


def _log_files(values: Mapping[str, Any], asked: Asked) -> None:
    _total_covers(values["total"], asked.offset, len(values["id"]))


def _total_covers(total: int, offset: int, listed: int) -> None:
    if listed and total < offset + listed:
        raise ValueError(f"'total': {total}; accepted: at least {offset + listed}, which are listed")


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


def _page(values: Mapping[str, Any], asked: Asked) -> None:
    """Counts that fit together and the request (§11.6); each key once; what was searched for (§11.7)."""
    records = values["list"]
    if asked.count is not None and len(records) > asked.count:
        raise ValueError(f"'list': {len(records)} records; accepted: at most {asked.count}, as asked")
    if values["listed"] not in (None, len(records)):
        raise ValueError(f"'listed': {values['listed']}; accepted: {len(records)}, which are listed")
    if values["offset"] not in (None, asked.offset):
        raise ValueError(f"'offset': {values['offset']}; accepted: {asked.offset}, as asked")
    _total_covers(values["total"], asked.offset, len(records))
    if len({each["kid"] for each in records}) != len(records):
        raise ValueError("'list': a KID twice; accepted: each once")
    for place, each in enumerate(records):
        descr = each["descr"] or b""
        # The device searches what was stored and gives back no more than its limit (§11.3).
        whole = len(descr) < MAX_DESCR
        if not descr.startswith(asked.starts) or (whole and not descr.endswith(asked.ends)):
            raise ValueError(f"'list': {place}: 'descr': {len(descr)} bytes that were not searched for")


_PAGE = Shape(
    (
        Field("offset", integer(0, 2**31), needed=False),
        Field("total", integer(0, _MOST_RECORDS)),
        Field("listed", integer(0, _MOST_RECORDS), needed=False),
        Field("list", objects(_RECORD, _MOST_RECORDS)),
    ),
    _page,
)


def _material(values: Mapping[str, Any], asked: Asked) -> None:
    """A public key of the type (size, on the curve) whose hash is the KID (§11.2); the type that was
    listed."""
    kind = parse_attributes(values["type"] or "").key_type
    if kind is not None and asked.type is not None and kind is not asked.type:
        raise ValueError(f"'type': {kind.name}; accepted: {asked.type.name}, as listed")
    public = values["pubkey"]
    if public is None:
        return
    if kid_of(public) != asked.kid:
        raise ValueError(f"'pubkey': {len(public)} bytes that are not the public key of {asked.kid}")
    if kind is not None:
        try:
            check_public(kind, public)
        except ValueError as error:
            raise ValueError(f"'pubkey': {error}") from None


def _kid_of_sent(values: Mapping[str, Any], asked: Asked) -> None:
    """The KID of the public key that was sent: it is its hash."""
    if asked.public is not None and values["kid"] != kid_of(asked.public):
        raise ValueError(f"'kid': {values['kid']}; accepted: {kid_of(asked.public)}, of the key sent")


_NEW = Shape((Field("kid", kid),))
_KEYMGMT = {
    "GET /api/keymgmt/list/{}": _PAGE,
    "POST /api/keymgmt/search": _PAGE,
    "GET /api/keymgmt/get/{}": Shape(
        (
            Field("type", _TYPE, needed=False),
            Field("pubkey", data(most=4096), needed=False),
            Field("der", data(most=_MAX_CERTIFICATE), needed=False),
            Field("updated", _TIME, needed=False),
        ),
        _material,
    ),
    "POST /api/keymgmt/create": _NEW,
    "POST /api/keymgmt/derive": _NEW,
    "POST /api/keymgmt/import": Shape(_NEW.fields, _kid_of_sent),
}


def _signature(value: Any, asked: Asked) -> bytes:
    """EdDSA: as many bytes as RFC 8032 has. ECDSA: DER, ``r`` and ``s`` from 1 to the order of the curve
    less one; of a curve that is not known here, as large as the largest."""
    algorithm = asked.algorithm or ""
    if not algorithm.endswith("WithECDSA"):
        return bytes(data(114 if algorithm.startswith("Ed448") else 64)(value, asked))
    signature = bytes(data(most=148)(value, asked))
    order = max(ORDERS.values()) if asked.type is None else ORDERS.get(asked.type.name, 0)
    try:
        if not all(each < order for each in numbers(signature)):
            raise ValueError("r or s is beyond the order of the curve")
    except ValueError as error:
        raise ValueError(f"{len(signature)} bytes that are no ECDSA signature: {error}") from None
    return signature


def _secret(value: Any, asked: Asked) -> bytes:
    """A digest's size, or the raw secret's."""
    return bytes(data(*_digest_sizes(asked.algorithm, (_RAW_SECRET,)), never_zero=True)(value, asked))


def _mac(value: Any, asked: Asked) -> bytes:
    """The size of the digest: the algorithm's under a derived key, else the key type's."""
    name = asked.type.name if asked.type is not None else asked.algorithm
    return bytes(data(*_digest_sizes(name, tuple(_MAC_SIZES)), never_zero=True)(value, asked))


def _digest_sizes(name: str | None, otherwise: tuple[int, ...]) -> tuple[int, ...]:
    kind = KEY_TYPES.get(name or "")
    if kind is None or kind.family is not Family.HMAC or kind.signature_size is None:
        return otherwise if not name else tuple(_MAC_SIZES)
    return (kind.signature_size,)


def _mode(asked: Asked) -> str:
    return (asked.algorithm or "").rpartition("-")[2]


def _encrypted(values: Mapping[str, Any], asked: Asked) -> None:
    """ECB and GCM keep the length, CBC pads (PKCS#7); CBC and GCM have an IV, GCM a tag (§13.4)."""
    mode, size = _mode(asked), asked.size
    if mode == "CBC":
        size = size // _BLOCK * _BLOCK + _BLOCK
    for name, has in (("iv", mode in ("CBC", "GCM")), ("tag", mode == "GCM")):
        if (values[name] is not None) is not has:
            raise ValueError(f"{name!r}: {'missing' if has else f'present; accepted: none for {mode}'}")
    _sized("ciphertext", values["ciphertext"], size, size)


def _plain(values: Mapping[str, Any], asked: Asked) -> None:
    least, most = asked.size, asked.size
    if _mode(asked) == "CBC":
        least, most = asked.size - _BLOCK, asked.size - 1
    _sized("plaintext", values["plaintext"], least, most)


def _sized(name: str, value: bytes, least: int, most: int) -> None:
    if not least <= len(value) <= most:
        accepted = f"{least}" if least == most else f"{least} to {most}"
        raise ValueError(f"{name!r}: {len(value)} bytes; accepted: {accepted}")


def _longer_by(name: str, more: int) -> Shape:
    def agree(values: Mapping[str, Any], asked: Asked) -> None:
        _sized(name, values[name], asked.size + more, asked.size + more)

    return Shape((Field(name, data(most=MAX_MESSAGE + _HALF_BLOCK)),), agree)


def _encapsulation(value: Any, asked: Asked) -> bytes:
    sizes = {each.ciphertext_size or 0 for each in _of(asked, _MLKEM).values()}
    return bytes(data(*sorted(sizes))(value, asked))


def _lattice_signature(value: Any, asked: Asked) -> bytes:
    sizes = {each.signature_size or 0 for each in _of(asked, _MLDSA).values()}
    return bytes(data(*sorted(sizes))(value, asked))


def _of(asked: Asked, kinds: Mapping[str, Any]) -> Mapping[str, Any]:
    """The key's own type, or all of its family where it is not known."""
    if asked.type is not None and asked.type.name in kinds:
        return {asked.type.name: asked.type}
    return kinds


_SHARED: Reader = data(32, never_zero=True)
_CRYPTO = {
    "POST /api/crypto/exdsa/sign": Shape((Field("sign", _signature),)),
    "POST /api/crypto/ecdh": Shape((Field("ecdh", _secret),)),
    "POST /api/crypto/hmac/hash": Shape((Field("mac", _mac),)),
    "POST /api/crypto/cipher/encrypt": Shape(
        (
            Field("ciphertext", data(most=MAX_MESSAGE + _BLOCK)),
            Field("iv", data(_BLOCK, never_zero=True), needed=False),
            Field("tag", data(_BLOCK), needed=False),
        ),
        _encrypted,
    ),
    "POST /api/crypto/cipher/decrypt": Shape((Field("plaintext", data(most=MAX_MESSAGE + _BLOCK)),), _plain),
    "POST /api/crypto/cipher/wrap": _longer_by("wrapped", _HALF_BLOCK),
    "POST /api/crypto/cipher/unwrap": _longer_by("unwrapped", -_HALF_BLOCK),
    "POST /api/crypto/pqc/mlkem/encaps": Shape((Field("ct", _encapsulation), Field("ss", _SHARED))),
    # The answer's ``alg`` is not meaningful (Q5).
    "POST /api/crypto/pqc/mlkem/decaps": Shape((Field("ss", _SHARED),)),
    "POST /api/crypto/pqc/mldsa/sign": Shape((Field("sign", _lattice_signature),)),
}


def _offered(value: Any, asked: Asked) -> bytes | None:
    """A certificate that the cloud offers. An odd offer is none: the check-in, which the device judges,
    must not fail for it."""
    try:
        return bytes(data(most=_MAX_CERTIFICATE)(value, asked)) or None
    except ValueError:
        return None


def _bundle_or_order(values: Mapping[str, Any], _: Asked) -> None:
    if values["crt"] is None and values["id"] is None:
        raise ValueError("'crt', 'id': both missing")


def _decided(values: Mapping[str, Any], _: Asked) -> None:
    if not values["deny"] and values["authreply"] is None:
        raise ValueError("'authreply': missing")


_CHAIN = data(most=_MAX_CERTIFICATE)
_LINK = text(8, 2048, pattern=r"https://[!-~]+", accepted="an https:// address")
_BROKER_AND_REGISTER = {
    "POST /checkin": Shape((Field("checked", jwt(Shape((Field("newcrt", _offered, needed=False),)))),)),
    "GET /notify/session": Shape((Field("epk", _B32),)),
    "POST /notify/session": Shape((Field("epk", _B32),)),
    "POST /notify/register/init": Shape((Field("rid", _HANDLE), Field("link", _LINK))),
    "GET /notify/register/check/{}": Shape((Field("pid", _B32), Field("reply", jwt()))),
    "POST /notify/event/new": Shape(
        (Field("eventid", _HANDLE), Field("sentcnt", integer(0, 1000), needed=False))
    ),
    "GET /notify/event/check/{}": Shape(
        (Field("deny", flag, needed=False), Field("authreply", jwt(), needed=False)), _decided
    ),
    "POST /domain/register/my": Shape((Field("crt", _CHAIN),)),
    "POST /domain/register/{}": Shape(
        (Field("crt", _CHAIN, needed=False), Field("id", _HANDLE, needed=False)), _bundle_or_order
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
