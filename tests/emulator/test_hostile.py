"""Malformed and hostile requests at every endpoint: a documented status each time, and a sound state."""

from __future__ import annotations

import socket
import urllib.request

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.documented import COMMON, STATUSES
from support.emulator import ServedEmulator
from support.rig import Rig

from hem_provider.emulator.encodings import to_b64
from hem_provider.emulator.endpoints import ENDPOINTS
from hem_provider.emulator.keytypes import KEY_TYPES


def test_the_endpoint_table_is_the_documented_one():
    assert {(row.method, row.path) for row in ENDPOINTS} == set(STATUSES)


SCOPES = (
    "system:config",
    "system:upgrade",
    "system:shutdown",
    "logger:get",
    "auth:ext:pair",
    "keymgmt:list",
    "keymgmt:get",
    "keymgmt:gen",
    "keymgmt:imp",
    "keymgmt:upd",
    "keymgmt:del",
    "storage:disk0",
    "storage:disk9",
)


class Target:
    """A device with a key of every family, and tokens for all of it."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.kids = [rig.create(kind) for kind in ("SECP521R1", "ED25519", "CURVE448", "SHA3-384", "AES192")]
        self.kids += [
            rig.create("SECP256R1", mode="ECDH,ExDSA"),
            rig.create("MLKEM512"),
            rig.create("MLDSA44"),
        ]
        self.tokens = [rig.token(scope) for scope in SCOPES] + [rig.master("system:config")]
        self.use = {kid: rig.token(f"keymgmt:use:{kid}") for kid in self.kids}

    def call(self, *arguments, **options):
        """A call whose effects are undone, so that each example meets the same device."""

        class Undone(Exception):
            pass

        try:
            with self.rig.device.model.transaction():
                answer = self.rig.call(*arguments, **options)
                raise Undone
        except Undone:
            return answer


@pytest.fixture(scope="module")
def target(session_rig):
    return Target(session_rig)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
BASE64 = st.one_of(
    st.binary(max_size=80).map(to_b64),
    st.sampled_from(
        [16, 32, 33, 57, 64, 65, 66, 67, 68, 113, 114, 148, 149, 256, 768, 2048, 2049, 2064, 4627]
    ).map(lambda size: to_b64(bytes(size))),
    st.binary(min_size=1, max_size=80).map(
        lambda data: to_b64(data).replace("+", "-").replace("/", "_").rstrip("=")
    ),
    st.sampled_from(["", "=", "A", "AA=A", "A===", "äöü", "AAAA\n", " AAAA", "\ud800"]),
)
WORDS = st.sampled_from(
    [
        *KEY_TYPES,
        "ECDH",
        "ExDSA",
        "ECDH,ExDSA",
        "SHA256WithECDSA",
        "Ed25519",
        "Ed25519ph",
        "Ed448",
        "AES256-GCM",
        "AES128-CBC",
        "AES192-ECB",
        "AES192",
        "AES256",
        "",
        "x",
        "\x00",
        "\ud800",
        "x" * 33,
        "𝔘" * 10,
        "NULL",
        "^QUFB",
        "QUFB$",
        "^QUFBQUFB$",
        "eyJhbGciOiJIUzI1NiJ9.e30.AA",
        "a.b.c",
    ]
)
NUMBERS = st.sampled_from([0, 1, -1, 2**31, 2**63, 2**64, 10**30, 1.5, 1e308, True, False, None])
FIELDS = sorted(
    {field.name for row in ENDPOINTS for field in row.fields or ()} | {"tls", "userkey", "user", "ctx"}
)


def bodies(kids):
    value = st.one_of(
        BASE64, WORDS, NUMBERS, JSON, st.sampled_from(kids), st.sampled_from([kid.upper() for kid in kids])
    )
    likely = {
        "kid": st.sampled_from(kids),
        "ext_kid": st.sampled_from(kids),
        "label": st.just("label"),
        "type": st.sampled_from(list(KEY_TYPES)),
        "msg": st.binary(min_size=1, max_size=40).map(to_b64),
        "tls": st.fixed_dictionaries({"crt": BASE64}, optional={"key": WORDS, "emp": BASE64}),
    }
    return st.fixed_dictionaries(
        {}, optional={name: st.one_of(likely[name], value) if name in likely else value for name in FIELDS}
    )


RAW = st.one_of(
    st.binary(max_size=200),
    st.sampled_from(
        [
            b"[" * 5000,
            b'{"a":' * 1400,
            b"{" + b'"kid":1,' * 500 + b'"kid":2}',
            b'"text"',
            b"null",
            b"[]",
            b"\xff\xfe{",
            b"{}" + bytes(10),
            b'{"kid":NaN}',
            b'{"kid":1e999}',
            b"9" * 7000,
            b"\xef\xbb\xbf{}",
            b'{"\\ud800":1}',
            b" ",
        ]
    ),
)
HEADERS = st.lists(
    st.sampled_from(
        [
            ("Authorization", "Bearer ."),
            ("Authorization", "Bearer " + "A" * 4000),
            ("Origin", "https://evil.example"),
            ("Origin", ""),
            ("Content-Type", "text/plain"),
            ("Content-Length", "-5"),
            ("Content-Length", "9" * 12),
            ("Content-Length", "1e3"),
            ("Transfer-Encoding", "chunked"),
            ("Content-Disposition", 'filename="a.bin"'),
            ("Content-Disposition", "filename=../../etc/passwd"),
            ("Host", ""),
            ("Host", "a:b:c"),
            ("Expect", "x"),
        ]
    ),
    max_size=2,
)
SEGMENTS = st.one_of(
    st.sampled_from(
        ["0", "15", "99999999", "-1", "0x10", "", "%", "..", "٣", "a" * 32, "A" * 300, "62310b2b", "\xff"]
    ),
    st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="/"), max_size=40),
)


def attack(target, row, data):
    """One drawn request at one endpoint; its answer must be a documented one."""
    path = row.path
    for name in ("offset", "count", "kid", "id"):
        if f"{{{name}}}" in path:
            given_kid = st.sampled_from(target.kids) if name == "kid" else SEGMENTS
            path = path.replace(f"{{{name}}}", data.draw(st.one_of(given_kid, SEGMENTS)))
    body = data.draw(st.one_of(bodies(target.kids), RAW)) if row.method == "POST" else None
    own = (
        target.use.get(body.get("kid"))
        if isinstance(body, dict) and isinstance(body.get("kid"), str)
        else None
    )
    tokens = [own, own, own] if own else []
    token = data.draw(st.sampled_from([None, *target.tokens, *tokens]))
    headers = data.draw(HEADERS)
    secure = data.draw(st.sampled_from([True, True, True, False]))
    documented = STATUSES[row.method, row.path] | COMMON["ANY"] | COMMON.get(row.method, set())
    if any(name in ("Content-Length", "Transfer-Encoding") for name, _ in headers):
        documented = documented | COMMON["POST"]  # framing that no GET needs is refused as a POST's is
    try:
        answer = target.call(row.method, path, body, token=token, headers=headers, secure=secure)
    except ConnectionError:
        assert row.upload, "only uploads may end without an answer"
        return
    if path != row.path and answer.status == 404:
        return  # the drawn segment made it another path
    assert answer.status in documented
    assert answer.headers["content-type"] == (
        "text/plain" if row.path == "/api/logger/{id}" and answer.body else "application/json"
    )
    if answer.status >= 400 and row.path != "/api/system/config":
        assert answer.body == b""
    elif answer.body and answer.headers["content-type"] == "application/json":
        answer.json()


_QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


@pytest.mark.parametrize("row", ENDPOINTS, ids=lambda row: f"{row.method} {row.path}")
@settings(max_examples=20, suppress_health_check=_QUIET, deadline=None)
@given(data=st.data())
def test_hostile_requests_get_documented_answers(target, row, data):
    attack(target, row, data)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("row", ENDPOINTS, ids=lambda row: f"{row.method} {row.path}")
@settings(max_examples=300, suppress_health_check=_QUIET, deadline=None)
@given(data=st.data())
def test_many_hostile_requests_get_documented_answers(target, row, data):
    attack(target, row, data)


@settings(max_examples=60, deadline=None)
@given(method=st.sampled_from(["GET", "POST", "DELETE"]), path=st.text(max_size=60), body=RAW)
def test_hostile_paths_at_device_and_cloud_are_answered(target, method, path, body):
    answer = target.call(method, "/" + path, body or None)
    assert answer.status in (200, 400, 401, 403, 404, 406, 409, 411, 413)


CLOUD = [
    ("POST", "/checkin"),
    ("POST", "/domain/register/x"),
    ("GET", "/domain/check/x"),
    ("POST", "/notify/session"),
    ("POST", "/notify/register/init"),
    ("GET", "/notify/register/check/x"),
    ("POST", "/notify/register/finalise/x"),
    ("POST", "/notify/register/challenge/x"),
    ("POST", "/notify/event/new"),
    ("GET", "/notify/event/check/x"),
    ("POST", "/notify/event/data/allbypid"),
    ("POST", "/notify/event/data/x/y"),
    ("DELETE", "/notify/event/x"),
    ("POST", "/notify/subscribers/list"),
    ("POST", "/notify/subscribers/delete"),
    ("POST", "/notify/subscribers/token"),
]
CLOUD_FIELDS = [
    "check",
    "epk",
    "eid",
    "aid",
    "request",
    "authreq",
    "authreply",
    "reply",
    "fid",
    "mac",
    "pid",
    "nonce",
    "code",
    "csr",
    "genuine",
    "ip",
]


@pytest.mark.parametrize(("method", "path"), CLOUD, ids=[path for _, path in CLOUD])
@settings(max_examples=25, deadline=None)
@given(body=st.dictionaries(st.sampled_from(CLOUD_FIELDS), st.one_of(BASE64, WORDS, JSON), max_size=6))
def test_the_cloud_answers_hostile_requests(target, method, path, body):
    answer = target.rig.cloud(method, path, body if method == "POST" else None)
    assert answer.status in (200, 400, 401, 404, 406)


def test_the_state_is_sound_afterwards(target):
    """Runs after the attacks of this module: the database is whole and the keys still work."""
    rig = target.rig
    with rig.device.model.transaction():
        assert rig.device.model.store.database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    for kid in target.kids:
        assert rig.call("GET", f"/api/keymgmt/get/{kid}", token=rig.token("keymgmt:get")).status == 200
        rig.call("DELETE", f"/api/keymgmt/delete/{kid}", token=rig.token("keymgmt:del"))


@pytest.fixture(scope="module")
def own_served(tmp_path_factory):
    """An emulator to attack; it must not have stumbled."""
    with ServedEmulator(tmp_path_factory.mktemp("hostile")) as emulator:
        yield emulator
    assert "Traceback" not in (emulator.folder / "emulator.err").read_text()


LINES = st.sampled_from(
    [
        b"GET /api/system/status HTTP/1.1",
        b"POST /api/auth/token HTTP/1.1",
        b"GET / HTTP/1.0",
        b"GET /%zz%00 HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"PRI * HTTP/2.0",
        b"GET  /  HTTP/1.1",
        b"\x00",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1",
    ]
)
FIELD_LINES = st.sampled_from(
    [
        b"Host: x",
        b"Host: y",
        b"Content-Length: 5",
        b"Content-Length: +5",
        b"Content-Length: 5, 5",
        b"Content-Length: 0",
        b"Content-Length: 99999999999999999999",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding : chunked",
        b": empty",
        b"No-Colon",
        b" folded: x",
        b"X: \x00",
        b"X: \xff",
        b"Connection: close",
        b"Connection: keep-alive",
        b"Expect: 100-continue",
        b"Authorization: Bearer \xff",
        b"X-Long: " + b"y" * 17000,
    ]
)


@settings(max_examples=150, deadline=None)
@given(
    line=st.one_of(LINES, st.binary(max_size=60)),
    fields=st.lists(FIELD_LINES, max_size=5),
    body=st.one_of(
        st.binary(max_size=30), st.sampled_from([b"5\r\nhello\r\n0\r\n\r\n", b"zz\r\n", b"-1\r\n"])
    ),
)
def test_header_tricks_are_answered_or_closed_never_hung(own_served, line, fields, body):
    host, port = own_served.http.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        try:
            connection.sendall(b"\r\n".join([line, *fields]) + b"\r\n\r\n" + body)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while data := connection.recv(65536):
                answer += data
        except (ConnectionResetError, BrokenPipeError):
            return
    assert answer == b"" or answer.startswith(b"HTTP/1.1 ")


def test_the_server_still_serves_afterwards(own_served):
    with urllib.request.urlopen(own_served.http + "/api/system/status", timeout=5) as answer:
        assert answer.status == 200
