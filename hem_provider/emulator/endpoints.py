"""The endpoint table: device API §3 as data. Everything an endpoint demands stands in its row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from hem_provider.emulator import answers
from hem_provider.emulator.audit import Event
from hem_provider.emulator.call import Access, Endpoint, Handler, Life, Role, Rtc, Status
from hem_provider.emulator.fields import (
    DESCR,
    EXT_KID,
    KID,
    LABEL,
    MODE,
    MSG,
    PEER,
    Field,
    body,
    choice,
    context,
    derivation,
    integer,
    jwt,
    message,
    needle,
    octets,
    text,
    text_bytes,
    text_matching,
)
from hem_provider.emulator.handlers import (
    attestation,
    auth,
    checkin,
    cipher,
    config,
    ecdh,
    exdsa,
    ext,
    hmac,
    init,
    keymgmt,
    logger,
    pqc,
    storage,
    system,
    upgrade,
)
from hem_provider.emulator.handlers.peers import unknown_kid
from hem_provider.emulator.keytypes import DIGESTS
from hem_provider.emulator.quirks import Q
from hem_provider.emulator.signatures import ALGORITHMS

__all__ = ["ENDPOINTS"]

_USER = frozenset({Role.USER})
_INSIDE = frozenset({Role.USER, Role.MASTER})
_NOT_MASTER = frozenset({Role.USER, Role.EXTERNAL})
_LOCKED = 0x40

_JWT = jwt(body)
_INIT = jwt(body, cfg=init.FIELDS)
_TYPE = Field("type", text(1, 16))
_EPK = Field("epk", octets(32, 32))
_CTX = Field("ctx", octets(1, context), required=False)
_UPDATED_LABEL = replace(LABEL, required=Q.UPDATE_ERASES_DESCR)


#: What any operation with a key may answer.
_WITH_KEY: Final[tuple[Status, ...]] = (unknown_kid, 406)


def _keymgmt(
    method: str,
    path: str,
    handler: Handler,
    *scopes: str,
    fields: tuple[Field, ...] | None = None,
    **more: Any,
) -> Endpoint:
    row = {"access": Access.BEARER, "tls": 418, **more}
    return Endpoint(
        method, f"/api/keymgmt/{path}", handler, scopes=scopes, roles=_NOT_MASTER, life=Life.INITIALISED,
        tolerates=0, fields=fields, **row,
    )  # fmt: skip


def _crypto(
    path: str,
    handler: Handler,
    event: Event,
    *fields: Field,
    tls: int = 418,
    answer: answers.Answer = answers.EMPTY,
    statuses: tuple[Status, ...] = _WITH_KEY,
    **more: Any,
) -> Endpoint:
    return Endpoint(
        "POST", f"/api/crypto/{path}", handler, Access.BEARER, ("=keymgmt:use:{kid}",), _NOT_MASTER, tls,
        life=Life.INITIALISED, tolerates=0, fields=(KID, *fields), event=event,
        answer=answer, statuses=statuses, **more,
    )  # fmt: skip


def _ext(path: str, handler: Handler, *fields: Field, **more: Any) -> Endpoint:
    """An endpoint of pairing: the user's alone, and authorised before its body is read."""
    return Endpoint(
        "POST", f"/api/auth/ext/{path}", handler, Access.BEARER, ("auth:ext:pair", "system:config"), _USER,
        life=Life.INITIALISED, tolerates=0, fields=fields, auth_first=True, **more,
    )  # fmt: skip


def _anonymous_ext(path: str, handler: Handler, *fields: Field, **more: Any) -> Endpoint:
    """An endpoint of login by phone: without bearer, but the clock must be set."""
    return Endpoint(
        "POST", f"/api/auth/ext/{path}", handler, life=Life.INITIALISED, rtc=Rtc.ALWAYS, tolerates=0,
        fields=fields, **more,
    )  # fmt: skip


_AUTH: Final = (
    Endpoint(
        "GET", "/api/auth/token", auth.challenge, life=Life.INITIALISED, rtc=Rtc.IF_TRUSTED,
        answer=answers.CHALLENGE,
    ),
    Endpoint(
        "POST", "/api/auth/token", auth.login, life=Life.INITIALISED, rtc=Rtc.IF_TRUSTED, tolerates=_LOCKED,
        fields=(Field("auth", _JWT),), answer=answers.TOKEN, statuses=(401,),
    ),
    Endpoint(
        "GET", "/api/auth/init", init.challenge, life=Life.FRESH, rtc=Rtc.ALWAYS, tolerates=0,
        answer=answers.INIT_CHALLENGE,
    ),
    Endpoint(
        "POST", "/api/auth/init", init.initialise, life=Life.FRESH, rtc=Rtc.ALWAYS, tolerates=0,
        fields=(Field("init", _INIT),), answer=answers.INITIALISED, statuses=(401,),
    ),
    _ext("init", ext.initiate, _EPK, answer=answers.EXT_INIT),
    _ext(
        "validate", ext.validate, Field("pid", octets(1, 64)), Field("reply", _JWT),
        event=Event.AUTH_PAIRED_EXTERNAL, answer=answers.EXT_VALIDATE, statuses=(401, 406),
    ),
    _ext("mac", ext.prove, _EPK, answer=answers.EXT_MAC),
    _anonymous_ext(
        "request", ext.request, _EPK, Field("scope", text_bytes(1, 1023)), own=ext.OPTIONAL,
        answer=answers.AUTHREQ, statuses=(ext.nobody_paired,),
    ),
    _anonymous_ext(
        "token", ext.token, Field("authreply", _JWT), answer=answers.TOKEN, statuses=(401, 406)
    ),
)  # fmt: skip

_SYSTEM: Final = (
    Endpoint("GET", "/api/system/status", system.status, answer=answers.STATUS),
    Endpoint("GET", "/api/system/version", system.version, Access.OPTIONAL, answer=answers.VERSION),
    Endpoint("GET", "/api/system/checkin", checkin.prove, answer=answers.CHECK),
    Endpoint(
        "POST", "/api/system/checkin", checkin.accept, fields=(Field("checked", _JWT),),
        answer=answers.CHECKED, statuses=(401,),
    ),
    Endpoint(
        "GET", "/api/system/config", config.read, Access.BEARER,
        ("system:config", "logger:get", "auth:ext:pair"), answer=answers.CONFIG,
    ),
    Endpoint(
        "POST", "/api/system/config", config.write, Access.UNLESS_FRESH, ("system:config",), _INSIDE,
        tolerates=_LOCKED, busy=("install",), fields=(), own=config.FIELDS, answer=answers.CONFIG_UPDATE,
        statuses=(400, 406), bodies={400: answers.CONFIG_FAULT},
    ),
    Endpoint(
        "GET", "/api/system/config/attestation", attestation.attest, Access.UNLESS_FRESH, msc=True,
        tolerates=0, busy=("install",), answer=answers.ATTESTATION,
        statuses=(attestation.attestation_failure,), bodies={500: answers.ELEMENT_FAULT},
    ),
    Endpoint(
        "POST", "/api/system/config/provisioning", attestation.provision, msc=True, life=Life.FRESH,
        initialised_status=403, fields=(Field("genuine", text(1, 512)), Field("crt", text(1, body))),
        statuses=(406,),
    ),
    Endpoint("GET", "/api/system/selftest", system.selftest, Access.UNLESS_FRESH, answer=answers.SELFTEST),
    Endpoint(
        "GET", "/api/system/reboot", system.reboot, Access.UNLESS_FRESH,
        ("system:config", "system:upgrade", "system:shutdown"), busy=("install",),
    ),
    Endpoint(
        "GET", "/api/system/shutdown", system.shutdown, Access.BEARER, ("system:config", "system:shutdown"),
        busy=("install",), epa_switch=Q.EPA_SHUTDOWN,
    ),
)  # fmt: skip


def _upgrade(method: str, path: str, handler: Handler, **more: Any) -> Endpoint:
    scopes = ("system:upgrade",) if method == "POST" else ("system:upgrade", "system:config")
    return Endpoint(
        method, f"/api/system/upgrade/{path}", handler, Access.UNLESS_FRESH, scopes, msc=True, tolerates=0,
        busy=("install",), **more,
    )  # fmt: skip


_LOGGED_UPGRADE: Final = {"event": Event.UPGRADE, "results": {406: 2, 409: 2}}

_UPGRADE: Final = (
    Endpoint(
        "GET",
        "/api/system/upgrade",
        upgrade.bare,
        Access.BEARER,
        msc=True,
        statuses=(Q.BARE_UPGRADE_STATUS,),
    ),
    _upgrade(
        "POST",
        "upload_fw",
        upgrade.upload_fw,
        upload=upgrade.UPLOAD_LIMIT,
        statuses=(406,),
        **_LOGGED_UPGRADE,
    ),
    _upgrade("GET", "check_fw", upgrade.check_fw, statuses=(201, 202, 404, 406)),
    _upgrade("GET", "install_fw", upgrade.install_fw, statuses=(406,), **_LOGGED_UPGRADE),
    _upgrade("GET", "usbmode", upgrade.usb_mode),
    _upgrade(
        "POST",
        "upload_ui",
        upgrade.upload_ui,
        upload=upgrade.UPLOAD_LIMIT,
        statuses=(406,),
        **_LOGGED_UPGRADE,
    ),
    _upgrade("GET", "check_ui", upgrade.check_ui, statuses=(201, 202, 406, 409)),
    _upgrade("GET", "install_ui", upgrade.install_ui, statuses=(406,), **_LOGGED_UPGRADE),
)


def _logger(path: str, handler: Handler, **more: Any) -> Endpoint:
    return Endpoint(
        "GET", f"/api/logger/{path}", handler, Access.BEARER, ("logger:get",), life=Life.INITIALISED,
        tolerates=0, **more,
    )  # fmt: skip


_LISTED: Final = {
    "msc": True,
    "event": Event.LOGGER_LIST_LOG,
    "results": {404: 1},
    "answer": answers.LOG_LIST,
}

_LOGGER: Final = (
    _logger("key", logger.key, answer=answers.LOGGER_KEY),
    _logger("list", logger.listing, **_LISTED),
    _logger("list/{offset}", logger.listing, statuses=(406,), **_LISTED),
    _logger(
        "{id}", logger.read, msc=True, event=Event.LOGGER_READ_LOG, answer=answers.LOG, statuses=(404, 406)
    ),
)


def _storage(path: str, handler: Handler) -> Endpoint:
    return Endpoint(
        "GET", f"/api/storage/{path}", handler, Access.BEARER, ("storage:disk",), msc=True,
        life=Life.INITIALISED, tolerates=0, busy=("format",), statuses=(406,),
    )  # fmt: skip


_STORAGE: Final = (
    _storage("unlock", storage.unlock),
    _storage("unlock/rw", storage.unlock_read_write),
    _storage("unlock/ro", storage.unlock_read_only),
    _storage("lock", storage.lock),
)

_PAGED: Final[dict[str, Any]] = {"answer": answers.PAGE, "statuses": (406,)}
_MADE: Final[dict[str, Any]] = {"answer": answers.KID, "statuses": (400, 406, Q.MODE_CONTRADICTS)}
_NAMED: Final[dict[str, Any]] = {"statuses": (unknown_kid,)}

_KEYMGMT: Final = (
    _keymgmt("GET", "list", keymgmt.listing, "keymgmt:list", answer=answers.PAGE),
    _keymgmt("GET", "list/{offset}", keymgmt.listing, "keymgmt:list", **_PAGED),
    _keymgmt("GET", "list/{offset}/{count}", keymgmt.listing, "keymgmt:list", **_PAGED),
    _keymgmt(
        "POST", "search", keymgmt.search, "keymgmt:search", "keymgmt:list", "auth:ext:pair",
        access=Access.OPTIONAL, answer=answers.PAGE,
        statuses=(401, 406, Q.EMPTY_NEEDLE_STATUS, Q.SEARCH_NO_HIT),
        fields=(
            Field("descr", needle), Field("offset", integer(0, 10**9), required=False),
            Field("limit", integer(0, 10**9), required=False),
        ),
    ),
    _keymgmt(
        "GET", "get/{kid}", keymgmt.get, "keymgmt:get", "keymgmt:gen", "=keymgmt:use:{kid}",
        answer=answers.KEY, **_NAMED,
    ),
    _keymgmt(
        "DELETE", "delete/{kid}", keymgmt.delete, "keymgmt:del", tls=409, event=Event.KEY_DELETE, **_NAMED
    ),
    _keymgmt(
        "POST", "create", keymgmt.create, "keymgmt:gen", fields=(LABEL, _TYPE, MODE, DESCR),
        event=Event.KEY_GENERATION, **_MADE,
    ),
    _keymgmt(
        "POST", "update", keymgmt.update, "keymgmt:upd", fields=(KID, _UPDATED_LABEL, DESCR),
        event=Event.KEY_ATTRIBUTES_CHANGED, **_NAMED,
    ),
    _keymgmt(
        "POST", "import", keymgmt.import_key, "keymgmt:imp", event=Event.KEY_IMPORT, **_MADE,
        fields=(LABEL, _TYPE, Field("pubkey", octets(1, 70, dead=Q.DEAD_LIMITS)), MODE, DESCR),
    ),
    _keymgmt(
        "POST", "derive", keymgmt.derive, "keymgmt:derive", "keymgmt:gen",
        event=Event.KEY_DERIVE, results={406: 2}, answer=answers.KID,
        statuses=(400, 406, unknown_kid, Q.MODE_CONTRADICTS),
        fields=(KID, LABEL, _TYPE, EXT_KID, PEER, MODE, replace(DESCR, dropped=True)),
    ),
)  # fmt: skip

_SIGN_ALG = Field("alg", choice(*sorted(ALGORITHMS)))
_SIGNATURE = Field("sign", octets(1, 148))
_HASH_ALG = Field("alg", choice(*DIGESTS), required=False)
_PEERS = (EXT_KID, PEER)
_HMAC = (MSG, _HASH_ALG, *_PEERS)
_SUFFIX = Field("ctx", octets(1, derivation), required=False)
_AAD = Field("aad", octets(1, 16, dead=Q.LONG_AAD), required=False)
_BYTES_IV = Field("iv", octets(1, body), required=False)
_CIPHER = (Field("alg", text_matching(cipher.CIPHER_ALGORITHM)), _AAD, *_PEERS, _SUFFIX)
_WRAP = (Field("alg", choice("AES128", "AES192", "AES256"), required=False), _BYTES_IV, *_PEERS, _SUFFIX)

_CRYPTO: Final = (
    _crypto("hmac/hash", hmac.make, Event.CRYPTO_HMAC_HASH, *_HMAC, tls=409, answer=answers.MAC),
    _crypto("hmac/verify", hmac.verify, Event.CRYPTO_HMAC_VERIFY, *_HMAC, Field("mac", octets(1, 64))),
    _crypto(
        "exdsa/sign", exdsa.sign, Event.CRYPTO_EXDSA_SIGN, MSG, _SIGN_ALG, _CTX, answer=answers.SIGNATURE,
        statuses=(*_WITH_KEY, Q.CTX_MISSING_STATUS),
    ),
    _crypto(
        "exdsa/verify", exdsa.verify, Event.CRYPTO_EXDSA_VERIFY, MSG, _SIGN_ALG, _CTX, _SIGNATURE,
        statuses=(*_WITH_KEY, Q.CTX_MISSING_STATUS),
    ),
    _crypto(
        "cipher/encrypt", cipher.encrypt, Event.CRYPTO_ENCRYPT, MSG, *_CIPHER, answer=answers.CIPHERTEXT
    ),
    _crypto(
        "cipher/decrypt", cipher.decrypt, Event.CRYPTO_DECRYPT,
        Field("msg", octets(1, message(16))), *_CIPHER, _BYTES_IV,
        Field("tag", octets(1, body), required=False), answer=answers.PLAINTEXT,
    ),
    _crypto(
        "cipher/wrap", cipher.wrap, Event.CRYPTO_WRAP, MSG, *_WRAP, answer=answers.WRAPPED,
        statuses=(*_WITH_KEY, cipher.wrap_length),
    ),
    _crypto(
        "cipher/unwrap", cipher.unwrap, Event.CRYPTO_UNWRAP, Field("msg", octets(1, message(8))), *_WRAP,
        answer=answers.UNWRAPPED,
    ),
    _crypto(
        "ecdh", ecdh.ecdh, Event.CRYPTO_ECDH, *_PEERS, replace(_HASH_ALG, read=choice("", *DIGESTS)),
        answer=answers.SECRET,
    ),
    _crypto(
        "pqc/mlkem/encaps", pqc.encapsulate, Event.CRYPTO_PQC_MLKEM_ENCAPS, answer=answers.ENCAPSULATED
    ),
    _crypto(
        "pqc/mlkem/decaps", pqc.decapsulate, Event.CRYPTO_PQC_MLKEM_DECAPS, Field("ct", octets(1, body)),
        answer=answers.DECAPSULATED,
    ),
    _crypto(
        "pqc/mldsa/sign", pqc.sign, Event.CRYPTO_PQC_MLDSA_SIGN, MSG, _CTX, answer=answers.MLDSA_SIGNATURE
    ),
    _crypto(
        "pqc/mldsa/verify", pqc.verify, Event.CRYPTO_PQC_MLDSA_VERIFY, MSG, _CTX,
        Field("sign", octets(1, 4627)), results=dict.fromkeys((795, 100, 65307), 1),
        statuses=(Q.MLDSA_FAILURE_STATUS,),
    ),
)  # fmt: skip

ENDPOINTS: Final = (*_AUTH, *_SYSTEM, *_UPGRADE, *_KEYMGMT, *_CRYPTO, *_LOGGER, *_STORAGE)
