"""Local login: proofs, nonces, roles, scopes, expiry, throttling (device API §4, §5)."""

from __future__ import annotations

import base64
import time

import pytest
from support.rig import proof

from hem_provider.emulator import setup
from hem_provider.emulator.device import x25519_public, x25519_secret
from hem_provider.emulator.encodings import from_b64, from_b64url, to_b64, to_b64url
from hem_provider.emulator.jwt import CLIENT_HEADER, encode_jwt


def post(rig, text):
    return rig.call("POST", "/api/auth/token", {"auth": text})


def claims_of(token):
    import json

    return json.loads(from_b64url(token.split(".")[1]))


def test_the_bearer_carries_scope_role_and_requested_expiry(rig):
    token = rig.token("keymgmt:gen", seconds=8 * 3600)
    claims = claims_of(token)
    assert list(claims) == ["scope", "sub", "iat", "exp", "jti"]
    assert claims["scope"] == "keymgmt:gen"
    assert claims["sub"] == "U"
    assert claims["exp"] == claims["iat"] + 8 * 3600
    assert claims_of(rig.master("system:config"))["sub"] == "M"


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 0},
        {"exp": 1_700_000_000},
        {"exp": "soon"},
        {"aud": to_b64(bytes(32))},
        {"jti": to_b64(bytes(32))},
        {"jti": None},
        {"iss": None},
        {"iss": to_b64(bytes(32))},
        {"iss": "not base64!"},
        {"scope": "x" * 128},
        {"scope": 5},
        {"ctx": "x" * 64},
        {"header": '{"ecdh":"x25519","typ":"JWT"}'},
        {"header": '{"alg":"HS256","typ":"JWT"}'},
    ],
)
def test_a_faulty_proof_is_401(rig, changes):
    assert post(rig, proof(rig, **changes)).status == 401


def test_an_unknown_key_is_401(rig):
    assert post(rig, proof(rig, private=bytes(range(32)))).status == 401


@pytest.mark.parametrize("text", ["x", "a.b", "a.b.c", "!.!.!", ".." * 50])
def test_what_is_no_jwt_is_401(rig, text):
    assert post(rig, text).status == 401


@pytest.mark.parametrize("body", [b"{}", b"[]", b"nonsense", b'{"auth":5}', b'{"auth":null}', b"\xff\xfe"])
def test_what_is_no_request_is_400(rig, body):
    answer = rig.call("POST", "/api/auth/token", body)
    assert (answer.status, answer.body) == (400, b"")


def test_a_proof_is_good_once(rig):
    text = proof(rig)
    assert post(rig, text).status == 200
    assert post(rig, text).status == 401


def test_a_proof_is_good_for_a_minute(rig):
    early, late = proof(rig), proof(rig)
    rig.clock.advance(60)
    assert post(rig, early).status == 200
    rig.clock.advance(1)
    assert post(rig, late).status == 401


def test_scope_of_127_characters_passes(rig):
    assert post(rig, proof(rig, scope="x" * 127)).status == 200


def test_a_tampered_or_expired_bearer_is_401(rig):
    token = rig.token("keymgmt:list", seconds=10)
    head, claims, mac = token.split(".")
    forged = to_b64url(from_b64url(claims).replace(b"list", b"gen!"))
    assert rig.call("GET", "/api/keymgmt/list", token=token).status == 200
    assert rig.call("GET", "/api/keymgmt/list", token=f"{head}.{forged}.{mac}").status == 401
    rig.clock.advance(10)
    assert rig.call("GET", "/api/keymgmt/list", token=token).status == 401


def test_an_ejwt_is_no_bearer(rig):
    assert rig.call("GET", "/api/keymgmt/list", token=proof(rig)).status == 401


@pytest.mark.parametrize("header", ["", "Basic dTpw", "Bearer", "Bearer x", "bearer a.b.c"])
def test_a_bad_authorization_header_is_401_even_where_none_is_needed(rig, header):
    for path in ("/api/system/status", "/api/system/version", "/api/system/checkin", "/api/auth/token"):
        assert rig.call("GET", path, headers=[("Authorization", header)]).status == 401


SCOPES = [
    ("GET", "/api/keymgmt/list", None, ["keymgmt:list", "keymgmt:listing"], ["keymgmt", "keymgmt:search"]),
    ("POST", "/api/keymgmt/search", {"descr": "^QUFB"}, ["keymgmt:search", "keymgmt:list", "auth:ext:pair"],
     ["keymgmt:get", "system:config"]),
    ("GET", "/api/keymgmt/get/{kid}", None, ["keymgmt:get", "keymgmt:gen", "keymgmt:use:{kid}"],
     ["keymgmt:list", "keymgmt:use:" + "0" * 32]),
    ("POST", "/api/keymgmt/derive",
     {"kid": "{kid}", "label": "d", "type": "AES128", "ext_kid": "{kid}"},
     ["keymgmt:derive"], ["keymgmt:ecdh", "keymgmt:use:{kid}", "keymgmt:list"]),
    ("POST", "/api/keymgmt/update", {"kid": "{kid}", "label": "x"}, ["keymgmt:upd"], ["keymgmt:gen"]),
    ("POST", "/api/crypto/ecdh", {"kid": "{kid}", "ext_kid": "{kid}"}, ["keymgmt:use:{kid}"],
     ["keymgmt:use", "keymgmt:gen", "keymgmt:use:{kid}0"]),
    ("GET", "/api/system/config", None, ["system:config", "logger:get", "auth:ext:pair"], ["system:upgrade"]),
    ("POST", "/api/system/config", {}, ["system:config"], ["logger:get", "system:reboot"]),
    ("GET", "/api/logger/key", None, ["logger:get"], ["logger:del", "system:config"]),
    ("GET", "/api/storage/lock", None, ["storage:disk0", "storage:disk1:rw"], ["storage", "system:config"]),
    ("GET", "/api/system/selftest", None, ["anything", ""], []),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "good", "bad"), SCOPES, ids=[row[1] for row in SCOPES])
def test_scopes_open_what_the_device_api_says(rig, method, path, body, good, bad):
    kid = rig.create("CURVE25519")

    def fill(value):
        if isinstance(value, dict):
            return {name: fill(item) for name, item in value.items()}
        return value.replace("{kid}", kid) if isinstance(value, str) else value

    for scope in good:
        assert rig.call(method, fill(path), fill(body), token=rig.token(fill(scope))).status == 200, scope
    for scope in bad:
        assert rig.call(method, fill(path), fill(body), token=rig.token(fill(scope))).status == 403, scope
    if path != "/api/keymgmt/search":
        assert rig.call(method, fill(path), fill(body)).status == 401


def test_the_master_may_not_touch_keys_but_may_configure(rig):
    kid = rig.create("AES256")
    use = rig.master(f"keymgmt:use:{kid}")
    assert rig.call("GET", "/api/keymgmt/list", token=rig.master("keymgmt:list")).status == 403
    body = {"kid": kid, "msg": "AA==", "alg": "AES256-CBC"}
    assert rig.call("POST", "/api/crypto/cipher/encrypt", body, token=use).status == 403
    for path in ("init", "mac"):
        body = {"epk": base64.b64encode(x25519_public(bytes(range(32)))).decode()}
        answer = rig.call("POST", f"/api/auth/ext/{path}", body, token=rig.master("auth:ext:pair"))
        assert answer.status == 403
    assert rig.call("GET", "/api/system/config", token=rig.master("system:config")).status == 200
    assert rig.call("POST", "/api/system/config", {"ctx": 3}, token=rig.master("system:config")).status == 200


def test_three_failures_slow_the_login_down_and_successes_cure_it(rig, monkeypatch):
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    rig.quirk("Q21", "on")

    def attempt(private=None):
        slept.clear()
        status = post(rig, proof(rig, private=private)).status
        return status, round(sum(slept), 1)

    wrong = bytes(range(32))
    assert attempt() == (200, 0.5)
    assert [attempt(wrong) for _ in range(4)] == [(401, 0.5)] * 3 + [(401, 1.5)]
    assert attempt() == (200, 1.5)
    rig.clock.advance(16)
    assert attempt() == (200, 0.5)


def test_logging_in_is_refused_with_403_until_the_clock_is_set_and_409_before_initialisation(make_rig):
    rig = make_rig(init=False)
    assert rig.call("GET", "/api/auth/token").status == 409
    assert rig.call("POST", "/api/auth/token", {"auth": "x"}).status == 409
    assert rig.call("GET", "/api/auth/init").status == 403
    rig.initialise()
    with rig.device.model.transaction():
        rig.device.model.change_boot(rtc_set=False)
    assert rig.call("GET", "/api/auth/token").status == 403
    assert rig.call("POST", "/api/auth/token", {"auth": "x"}).status == 403
    rig.check_in()
    assert rig.call("GET", "/api/auth/token").status == 200


def test_without_trusted_ts_a_login_needs_no_clock(make_rig):
    rig = make_rig(init=False)
    rig.initialise(trusted_ts=False)
    with rig.device.model.transaction():
        rig.device.model.change_boot(rtc_set=False)
    assert rig.call("GET", "/api/auth/token").status == 200
    assert rig.call("GET", "/api/system/status").json()["tts"] is False


def test_setup_says_why_a_second_initialisation_fails(rig):
    with pytest.raises(setup.SetupError, match="initialised already"):
        rig.initialise()


INIT = {
    "user": "u", "email": "", "hostname": "my.ence.do", "origin": "*", "trusted_ts": True,
    "trusted_backend": True, "allow_keysearch": True, "ip": "192.168.7.1", "storage_mode": 0x51,
    "storage_disk0size": 8388608, "dnsd": False,
}  # fmt: skip


def init_call(rig, *, iss=None, header=CLIENT_HEADER, **cfg):
    rig.check_in()
    challenge = rig.call("GET", "/api/auth/init").json()
    master = bytes(range(32))
    key = to_b64(x25519_public(master))
    wanted = {**INIT, "masterkey": key, "userkey": to_b64(x25519_public(bytes(range(1, 33)))), **cfg}
    claims = {
        "jti": challenge["jti"],
        "aud": challenge["spk"],
        "exp": challenge["exp"],
        "iat": challenge["exp"] - 60,
        "iss": iss or key,
        "cfg": {name: value for name, value in wanted.items() if value is not None},
    }
    text = encode_jwt(header, claims, x25519_secret(master, from_b64(challenge["spk"])))
    return rig.call("POST", "/api/auth/init", {"init": text}, secure=False)


def test_initialisation_gives_an_instance_a_token_and_a_certificate_request(make_rig):
    rig = make_rig(init=False)
    answer = init_call(rig, gen_csr=True)
    body = answer.json()
    assert list(body) == ["instanceid", "token", "genuine", "csr"]
    assert body["csr"].startswith("-----BEGIN CERTIFICATE REQUEST-----")
    assert claims_of(body["token"])["scope"] == "system:config"
    config = rig.call("GET", "/api/system/config", token=body["token"]).json()
    assert config["ip"] == "192.168.7.1/24"
    assert config["storage_disk0size"] == 8388607
    assert rig.call("GET", "/api/auth/init").status == 406
    assert rig.call("POST", "/api/auth/init", {"init": "x"}).status == 406


def test_a_changed_address_needs_a_reboot(make_rig):
    assert init_call(make_rig(init=False), ip="192.168.9.1/24").json()["reboot_required"] is True


@pytest.mark.parametrize(
    "cfg",
    [{name: None} for name in INIT]
    + [{"user": "x" * 75}, {"user": 5}, {"storage_mode": 0x52}, {"trusted_ts": 1}, {"ip": "300.1.1.1"}]
    + [{"hostname": ""}, {"masterkey": "AAAA"}, {"userkey": None}, {"masterkey": None}, {"dnsd": "no"}],
    ids=str,
)
def test_an_incomplete_or_faulty_configuration_is_400_and_changes_nothing(make_rig, cfg):
    rig = make_rig(init=False)
    assert init_call(rig, **cfg).status == 400
    assert rig.call("GET", "/api/system/status").json()["inited"] is False


def test_an_epa_needs_no_storage_fields(make_rig):
    rig = make_rig(init=False, model="epa")
    answer = init_call(rig, ip=None, storage_mode=None, storage_disk0size=None, dnsd=None)
    assert list(answer.json()) == ["instanceid", "token"]


def test_an_initialisation_by_another_key_than_the_master_is_401(make_rig):
    assert init_call(make_rig(init=False), iss=to_b64(x25519_public(bytes(range(2, 34))))).status == 401
    assert init_call(make_rig(init=False), header='{"ecdh":"x25519"}').status == 401
