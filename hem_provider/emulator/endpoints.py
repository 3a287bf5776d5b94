"""The endpoint table: device API §3 as data. Everything an endpoint demands stands in its row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from .audit import Event
from .call import Access, Endpoint, Handler, Life, Role, Rtc
from .fields import DESCR, EXT_KID, KID, LABEL, MODE, MSG, PEER, Field, choice, integer, needle, octets, text
from .handlers import auth, checkin, ecdh, exdsa, init, keymgmt, system
from .keytypes import DIGESTS
from .quirks import Q
from .signatures import ALGORITHMS

__all__ = ["ENDPOINTS", "Router"]

_USER = frozenset({Role.USER})
_NOT_MASTER = frozenset({Role.USER, Role.EXTERNAL})
_LOCKED = 0x40

_JWT = text(1, 7300)
_TYPE = Field("type", text(1, 16))
_HASH_ALG = choice(*DIGESTS)
_CTX = Field("ctx", octets(1, 255), required=False)
_OPTIONAL_LABEL = replace(LABEL, required=False)


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


def _crypto(path: str, handler: Handler, event: Event, *fields: Field, tls: int = 418) -> Endpoint:
    return Endpoint(
        "POST", f"/api/crypto/{path}", handler, Access.BEARER, ("=keymgmt:use:{kid}",), _NOT_MASTER, tls,
        life=Life.INITIALISED, tolerates=0, fields=(KID, *fields), event=event,
    )  # fmt: skip


_AUTH: Final = (
    Endpoint("GET", "/api/auth/token", auth.challenge, life=Life.INITIALISED, rtc=Rtc.IF_TRUSTED),
    Endpoint(
        "POST", "/api/auth/token", auth.login, life=Life.INITIALISED, rtc=Rtc.IF_TRUSTED, tolerates=_LOCKED,
        fields=(Field("auth", _JWT),),
    ),
    Endpoint("GET", "/api/auth/init", init.challenge, life=Life.FRESH, rtc=Rtc.ALWAYS, tolerates=0),
    Endpoint(
        "POST", "/api/auth/init", init.initialise, life=Life.FRESH, rtc=Rtc.ALWAYS, tolerates=0,
        fields=(Field("init", _JWT),),
    ),
)  # fmt: skip

_SYSTEM: Final = (
    Endpoint("GET", "/api/system/status", system.status),
    Endpoint("GET", "/api/system/version", system.version, Access.OPTIONAL),
    Endpoint("GET", "/api/system/checkin", checkin.prove),
    Endpoint("POST", "/api/system/checkin", checkin.accept, fields=(Field("checked", _JWT),)),
    Endpoint("GET", "/api/system/selftest", system.selftest, Access.UNLESS_FRESH),
    Endpoint(
        "GET", "/api/system/reboot", system.reboot, Access.UNLESS_FRESH,
        ("system:config", "system:upgrade", "system:shutdown"), busy=("install",),
    ),
    Endpoint(
        "GET", "/api/system/shutdown", system.shutdown, Access.BEARER, ("system:config", "system:shutdown"),
        busy=("install",),
    ),
)  # fmt: skip

_KEYMGMT: Final = (
    _keymgmt("GET", "list", keymgmt.listing, "keymgmt:list"),
    _keymgmt("GET", "list/{offset}", keymgmt.listing, "keymgmt:list"),
    _keymgmt("GET", "list/{offset}/{count}", keymgmt.listing, "keymgmt:list"),
    _keymgmt(
        "POST", "search", keymgmt.search, "keymgmt:search", "keymgmt:list", "auth:ext:pair",
        access=Access.OPTIONAL,
        fields=(
            Field("descr", needle), Field("offset", integer(0, 10**9), required=False),
            Field("limit", integer(0, 10**9), required=False),
        ),
    ),
    _keymgmt("GET", "get/{kid}", keymgmt.get, "keymgmt:get", "keymgmt:gen", "=keymgmt:use:{kid}"),
    _keymgmt("DELETE", "delete/{kid}", keymgmt.delete, "keymgmt:del", tls=409, event=Event.KEY_DELETE),
    _keymgmt(
        "POST", "create", keymgmt.create, "keymgmt:gen", fields=(LABEL, _TYPE, MODE, DESCR),
        event=Event.KEY_GENERATION,
    ),
    _keymgmt(
        "POST", "update", keymgmt.update, "keymgmt:upd", fields=(KID, _OPTIONAL_LABEL, DESCR),
        event=Event.KEY_ATTRIBUTES_CHANGED,
    ),
    _keymgmt(
        "POST", "import", keymgmt.import_key, "keymgmt:imp", event=Event.KEY_IMPORT,
        fields=(LABEL, _TYPE, Field("pubkey", octets(1, 70, dead=Q.DEAD_LIMITS)), MODE, DESCR),
    ),
    _keymgmt(
        "POST", "derive", keymgmt.derive, "keymgmt:derive", "keymgmt:gen",
        event=Event.KEY_DERIVE, results={406: 2},
        fields=(KID, LABEL, _TYPE, EXT_KID, PEER, MODE, replace(DESCR, dropped=True)),
    ),
)  # fmt: skip

_SIGN_ALG = Field("alg", choice(*sorted(ALGORITHMS)))
_SIGNATURE = Field("sign", octets(1, 148))

_CRYPTO: Final = (
    _crypto("exdsa/sign", exdsa.sign, Event.CRYPTO_EXDSA_SIGN, MSG, _SIGN_ALG, _CTX),
    _crypto("exdsa/verify", exdsa.verify, Event.CRYPTO_EXDSA_VERIFY, MSG, _SIGN_ALG, _CTX, _SIGNATURE),
    _crypto(
        "ecdh",
        ecdh.ecdh,
        Event.CRYPTO_ECDH,
        EXT_KID,
        PEER,
        Field("alg", choice("", *DIGESTS), required=False),
    ),
)

ENDPOINTS: Final = (*_AUTH, *_SYSTEM, *_KEYMGMT, *_CRYPTO)


@dataclass(slots=True)
class Router:
    """Finds the row of a request; literal paths win over patterns."""

    literal: dict[tuple[str, str], Endpoint]
    patterns: tuple[tuple[str, tuple[str, ...], Endpoint], ...]

    @classmethod
    def of(cls, endpoints: tuple[Endpoint, ...]) -> Router:
        literal = {(row.method, row.path): row for row in endpoints if "{" not in row.path}
        patterns = tuple(
            (row.method, tuple(row.path.split("/")), row) for row in endpoints if "{" in row.path
        )
        return cls(literal, patterns)

    def find(self, method: str, path: str) -> tuple[Endpoint, dict[str, str]] | None:
        """The endpoint and its path parameters; None for an unknown path or another method."""
        row = self.literal.get((method, path))
        if row is not None:
            return row, {}
        parts = path.split("/")
        for wanted, pattern, candidate in self.patterns:
            if wanted == method and len(pattern) == len(parts):
                pairs = list(zip(pattern, parts, strict=True))
                if all(part == text or (part.startswith("{") and text) for part, text in pairs):
                    return candidate, {part[1:-1]: text for part, text in pairs if part.startswith("{")}
        return None
