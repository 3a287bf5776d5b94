"""The external authenticator: pairing and login through broker and phone (device API §10)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest

from hem_provider.emulator import control
from hem_provider.emulator.cloud import phone
from hem_provider.emulator.device import x25519_public, x25519_secret
from hem_provider.emulator.encodings import from_b64, from_b64url, to_b64
from hem_provider.emulator.handlers.ext import EXTAID
from hem_provider.emulator.jwt import CLIENT_HEADER, DEVICE_HEADER, decode_jwt, encode_jwt
from hem_provider.emulator.repository import Record
from hem_provider.emulator.sealing import seal, sealing_key, unseal


def pair(rig, *, finalise=True):
    """The client's side of pairing, with the simulated phone; returns the device's answer and the pairing
    id."""
    token = rig.token("auth:ext:pair")
    eid = rig.call("GET", "/api/system/config", token=token).json()["eid"]
    session = rig.cloud("POST", "/notify/session", {"eid": eid}).json()
    request = rig.call("POST", "/api/auth/ext/init", {"epk": session["epk"]}, token=token).json()
    body = {"epk": session["epk"], **request}
    started = rig.cloud("POST", "/notify/register/init", body).json()
    check = f"/notify/register/check/{started['rid']}"
    assert rig.cloud("GET", check).status == 202
    qr = json.dumps({"link": started["link"], "hash": "not_implemented_yet"})
    control.run(rig.device, "pair", {"link": qr})
    reply = rig.cloud("GET", check).json()
    stored = rig.call("POST", "/api/auth/ext/validate", reply, token=token)
    if finalise and stored.status == 200:
        done = rig.cloud("POST", f"/notify/register/finalise/{started['rid']}", stored.json())
        assert done.status == 200
    return stored, reply["pid"]


def request_login(rig, scope, **more):
    epk = rig.cloud("GET", "/notify/session").json()["epk"]
    answer = rig.call("POST", "/api/auth/ext/request", {"epk": epk, "scope": scope, **more})
    assert answer.status == 200
    assert answer.json()["epk"] == epk
    return answer.json()


def approve(rig, scope, **more):
    """The whole login by phone: returns the bearer."""
    event = rig.cloud("POST", "/notify/event/new", request_login(rig, scope, **more)).json()
    assert event["sentcnt"] == 1
    answer = rig.cloud("GET", f"/notify/event/check/{event['eventid']}").json()
    return rig.call("POST", "/api/auth/ext/token", {"authreply": answer["authreply"]})


def claims_of(token):
    return json.loads(from_b64url(token.split(".")[1]))


def test_a_phone_is_paired_and_found_by_anonymous_search(rig):
    stored, pid = pair(rig)
    kid = stored.json()["kid"]
    found = rig.call("POST", "/api/keymgmt/search", {"descr": "^RVhUQUlE"}).json()["list"]
    assert [(entry["kid"], entry["type"], entry["label"]) for entry in found] == [
        (kid, "ECDH,CURVE25519", "Emulated phone")
    ]
    assert base64.b64decode(found[0]["descr"]) == b"EXTAID" + base64.b64decode(pid)
    eid = rig.call("GET", "/api/auth/token").json()["eid"]
    assert rig.cloud("POST", "/notify/session", {"eid": eid}).json()["paired"] is True


def test_a_phone_approves_a_login_for_fifteen_minutes(rig):
    stored, _ = pair(rig)
    token = approve(rig, "keymgmt:list", ctx="context", note="please").json()["token"]
    claims = claims_of(token)
    assert claims["scope"] == "keymgmt:list"
    assert claims["sub"] == to_b64(bytes.fromhex(stored.json()["kid"]))
    assert claims["exp"] == 1_700_000_000 + 900
    assert rig.call("GET", "/api/keymgmt/list", token=token).status == 200


def test_a_phones_bearer_uses_keys_but_neither_configures_nor_pairs(rig):
    pair(rig)
    kid = rig.create("AES128")
    use = approve(rig, f"keymgmt:use:{kid}").json()["token"]
    assert claims_of(use)["scope"] == f"keymgmt:use:{kid}"
    body = {"kid": kid, "msg": "AA==", "alg": "AES128-CBC"}
    assert rig.call("POST", "/api/crypto/cipher/encrypt", body, token=use).status == 200
    config = approve(rig, "system:config").json()["token"]
    assert rig.call("GET", "/api/system/config", token=config).status == 200
    assert rig.call("POST", "/api/system/config", {"ctx": 1}, token=config).status == 403
    epk = to_b64(x25519_public(bytes(range(32))))
    assert rig.call("POST", "/api/auth/ext/init", {"epk": epk}, token=config).status == 403


def test_a_request_for_one_key_names_it_to_the_phone_and_lives_shorter(rig):
    kid = rig.create("ED25519", label="my key")
    _, pid = pair(rig)
    short = decode_jwt(request_login(rig, f"keymgmt:use:{kid}")["authreq"])
    long = decode_jwt(request_login(rig, "keymgmt:list")["authreq"])
    assert short.claims["exp"] - short.claims["iat"] == 900
    assert long.claims["exp"] - long.claims["iat"] == 3600
    with rig.device.model.transaction():
        private = from_b64(rig.device.cloud_service.records.get("pairing", pid)["private"])
    secret = x25519_secret(private, from_b64(short.claims["iss"]))
    scope = unseal(secret, from_b64(short.claims["jti"]), short.claims["scope"][pid]).decode()
    note = json.loads(base64.b64decode(scope.partition("#")[2]))
    assert scope.startswith(f"keymgmt:use:{kid}#")
    assert note["l"] == "my key"


def test_an_approval_is_good_once(rig):
    pair(rig)
    event = rig.cloud("POST", "/notify/event/new", request_login(rig, "keymgmt:list")).json()
    reply = rig.cloud("GET", f"/notify/event/check/{event['eventid']}").json()["authreply"]
    assert rig.call("POST", "/api/auth/ext/token", {"authreply": reply}).status == 200
    assert rig.call("POST", "/api/auth/ext/token", {"authreply": reply}).status == 401


@pytest.mark.parametrize(("period", "write"), [(3600, False), (86400, True)])
def test_the_user_chooses_period_and_writing(rig, period, write):
    pair(rig)
    control.run(rig.device, "phone", {"period": period, "write": write})
    claims = claims_of(approve(rig, "storage:disk0:rw").json()["token"])
    assert claims["exp"] == 1_700_000_000 + period
    assert claims["scope"] == ("storage:disk0:rw" if write else "storage:disk0")


def test_a_phone_refuses_ignores_or_answers_late(rig):
    pair(rig)

    def ask():
        event = rig.cloud("POST", "/notify/event/new", request_login(rig, "keymgmt:list")).json()
        return f"/notify/event/check/{event['eventid']}", f"/notify/event/{event['eventid']}"

    control.run(rig.device, "phone", {"answer": "refuse"})
    check, _ = ask()
    assert rig.cloud("GET", check).json() == {"deny": True}
    control.run(rig.device, "phone", {"answer": "ignore"})
    check, cancel = ask()
    assert rig.cloud("GET", check).status == 202
    assert rig.cloud("DELETE", cancel).status == 200
    assert rig.cloud("GET", check).status == 404
    control.run(rig.device, "phone", {"answer": "approve", "after": 90.0})
    check, _ = ask()
    assert rig.cloud("GET", check).status == 202
    rig.clock.advance(90)
    assert "authreply" in rig.cloud("GET", check).json()
    assert "authreply" in rig.cloud("GET", check).json()  # repeatable
    control.run(rig.device, "phone", {"after": 4000.0})
    check, _ = ask()
    rig.clock.advance(4000)
    assert rig.cloud("GET", check).status == 404  # too late: the event has expired


def test_without_pairings_a_request_has_an_empty_scope_map(rig):
    body = request_login(rig, "keymgmt:list")
    assert decode_jwt(body["authreq"]).claims["scope"] == {}
    assert rig.cloud("POST", "/notify/event/new", body).json()["sentcnt"] == 0


@pytest.mark.parametrize(
    ("body", "status"),
    [({"epk": "AAAA"}, 400), ({"epk": None}, 400), ({"scope": ""}, 400), ({"scope": "x" * 1024}, 400)],
)
def test_a_faulty_login_request_is_400(rig, body, status):
    epk = to_b64(x25519_public(bytes(range(32))))
    given = {"epk": epk, "scope": "keymgmt:list", **body}
    assert rig.call("POST", "/api/auth/ext/request", given).status == status


def test_the_clock_must_be_set_for_a_login_by_phone(rig):
    control.run(rig.device, "fault", {"name": "clock-unset"})
    for path in ("request", "token"):
        assert rig.call("POST", f"/api/auth/ext/{path}", {}).status == 403


def test_the_broker_refuses_requests_from_its_future(rig):
    pair(rig)
    control.run(rig.device, "fault", {"name": "clock-error", "seconds": 14.0})
    answer = rig.cloud("POST", "/notify/event/new", request_login(rig, "keymgmt:list"))
    assert answer.status == 401
    assert answer.json()["err"].startswith("Cannot handle token prior to 2023-11-14T22:13:34")


def test_the_broker_tells_anonymous_keys_from_bound_ones(rig):
    pair(rig)
    eid = rig.call("GET", "/api/auth/token").json()["eid"]
    bound = rig.cloud("POST", "/notify/session", {"eid": eid}).json()["epk"]
    request = rig.call("POST", "/api/auth/ext/request", {"epk": bound, "scope": "keymgmt:list"}).json()
    assert rig.cloud("POST", "/notify/event/new", request).status == 404
    anonymous = rig.cloud("GET", "/notify/session").json()["epk"]
    token = rig.token("auth:ext:pair")
    started = rig.call("POST", "/api/auth/ext/init", {"epk": anonymous}, token=token).json()
    assert rig.cloud("POST", "/notify/register/init", {"epk": anonymous, **started}).status == 401


def test_nine_phones_are_one_too_many(rig):
    for _ in range(8):
        assert pair(rig)[0].status == 200
    assert pair(rig)[0].status == 406


def test_unpairing_is_deleting_the_record(rig):
    stored, pid = pair(rig)
    event = rig.cloud("POST", "/notify/event/new", request_login(rig, "keymgmt:list")).json()
    reply = rig.cloud("GET", f"/notify/event/check/{event['eventid']}").json()["authreply"]
    path = f"/api/keymgmt/delete/{stored.json()['kid']}"
    assert rig.call("DELETE", path, token=rig.token("keymgmt:del")).status == 200
    assert rig.call("POST", "/api/auth/ext/token", {"authreply": reply}).status == 406
    assert decode_jwt(request_login(rig, "keymgmt:list")["authreq"]).claims["scope"] == {}
    assert pid


def test_a_refused_pairing_disappears(rig):
    token = rig.token("auth:ext:pair")
    eid = rig.call("GET", "/api/auth/token").json()["eid"]
    epk = rig.cloud("POST", "/notify/session", {"eid": eid}).json()["epk"]
    request = rig.call("POST", "/api/auth/ext/init", {"epk": epk}, token=token).json()
    started = rig.cloud("POST", "/notify/register/init", {"epk": epk, **request}).json()
    control.run(rig.device, "refuse", {"link": started["link"]})
    assert rig.cloud("GET", f"/notify/register/check/{started['rid']}").status == 404
    with pytest.raises(phone.PhoneError, match="404"):
        control.run(rig.device, "pair", {"link": started["link"]})
    with pytest.raises(phone.PhoneError, match="not a pairing link"):
        control.run(rig.device, "pair", {"link": "https://example.com"})


def test_subscribers_are_listed_and_removed_with_the_devices_proof(rig):
    _, pid = pair(rig)
    token = rig.token("auth:ext:pair")
    eid = rig.call("GET", "/api/auth/token").json()["eid"]
    epk = rig.cloud("POST", "/notify/session", {"eid": eid}).json()["epk"]

    def proof():
        return {**rig.call("POST", "/api/auth/ext/mac", {"epk": epk}, token=token).json(), "epk": epk}

    listed = rig.cloud("POST", "/notify/subscribers/list", proof()).json()["list"]
    assert listed == [{"pid": pid, "label": "Emulated phone"}]
    wrong = {**proof(), "mac": to_b64(bytes(32))}
    assert rig.cloud("POST", "/notify/subscribers/list", wrong).status == 401
    assert rig.cloud("POST", "/notify/subscribers/delete", {**proof(), "pid": pid}).status == 200
    assert rig.cloud("POST", "/notify/subscribers/list", proof()).json()["list"] == []


def test_a_phone_finds_its_open_events_and_changes_its_push_token(rig):
    _, pid = pair(rig)
    control.run(rig.device, "phone", {"answer": "ignore"})
    ask = {"pid": [pid]}
    assert rig.cloud("POST", "/notify/event/data/allbypid", ask).json() == {"eventid": []}
    event = rig.cloud("POST", "/notify/event/new", request_login(rig, "keymgmt:list")).json()["eventid"]
    assert rig.cloud("POST", "/notify/event/data/allbypid", ask).json() == {"eventid": {event: [pid]}}
    with rig.device.model.transaction():
        private = from_b64(rig.device.cloud_service.records.get("pairing", pid)["private"])
    aid = to_b64(x25519_public(private))
    epk = rig.cloud("POST", "/notify/session", {"aid": aid}).json()["epk"]
    nonce = bytes(32)
    secret = x25519_secret(private, from_b64(epk))
    mac = hmac.digest(secret, nonce + b"new-token", hashlib.sha256)
    body = {
        "pid": pid,
        "aid": aid,
        "fid": "new-token",
        "nonce": to_b64(nonce),
        "mac": to_b64(mac),
        "epk": epk,
    }
    assert rig.cloud("POST", "/notify/subscribers/token", body).status == 200
    assert rig.cloud("POST", "/notify/subscribers/token", {**body, "fid": "other"}).status == 401


# Vector D of the device API, on the device of vector B.
NOW = 1_700_000_000
IDENTITY = bytes(range(0x41, 0x61))
AID, BROKER, PID = bytes([3]) * 32, bytes([9]) * 32, bytes([5]) * 32
JTI = NOW.to_bytes(4, "little") + bytes(range(28))
S1 = x25519_secret(IDENTITY, x25519_public(AID))


def test_vector_d_shared_secrets_and_sealed_scope():
    assert to_b64(x25519_public(AID)) == "Xf7dO2vUf2+ijuFdlp1bsOpTd01Ii9r53xxuASSz7yI="
    assert S1.hex() == "d99369e4cce13be639e9c0728e49763e840b52a11fb72a85d9db4744fe5c435b"
    broker = x25519_secret(IDENTITY, x25519_public(BROKER))
    assert broker.hex() == "ae51eb9cfdf7d609a375cd1e7c0db5e1b74681628417c0cb944bbc64acdae65e"
    key = sealing_key(S1, JTI)
    assert key.hex() == "d9bdb9415ffcf4100caee2241d8cc36cea47923fef7ddb4d90b977aed3247395"
    sealed = seal(S1, JTI, b"keymgmt:list")
    assert sealed == "Ai5DHjdC1uHcPObLHuQgflxU126gzbqfvuf0ol758rorYRD/vHsTUcidPLtXE6tPY"
    assert unseal(S1, JTI, sealed) == b"keymgmt:list"


def test_vector_d_pairing_and_login_on_the_device(vector_rig):
    rig = vector_rig
    epk, eid, aid = (to_b64(x25519_public(private)) for private in (BROKER, IDENTITY, AID))
    token = rig.token("auth:ext:pair")
    rig.device.model.nonces.issued = 0
    request = rig.call("POST", "/api/auth/ext/init", {"epk": epk}, token=token).json()["request"]
    assert request.startswith("eyJlY2RoIjoieDI1NTE5IiwidHlwIjoiSldUIiwiYWxnIjoiSFMyNTYifQ.")
    assert request.endswith(".zerd54O4PZU2hg-2GW9vbmTZIPkx-Gu1lGzzxdQ7B-Y")
    assert decode_jwt(request).claims == {"jti": to_b64(JTI), "exp": NOW + 86400, "aud": epk, "iss": eid}
    with rig.device.model.transaction():  # the login above has used up this nonce
        rig.device.model.store.database.execute("DELETE FROM nonce")
    claims = {"jti": to_b64(JTI), "iss": aid, "aud": eid, "epk": epk, "label": "Test phone"}
    reply = encode_jwt(CLIENT_HEADER, claims, S1)
    assert reply.endswith(".-vsFhhUNUpyDZGfijDeBeEqWR6YZ14l6bFzkdPMtFbY")
    stored = rig.call(
        "POST", "/api/auth/ext/validate", {"pid": to_b64(PID), "reply": reply}, token=token
    ).json()
    assert stored == {
        "kid": "28fa8f122e253585da7e11b37b616ed1",
        "code": "+wgnsBzCW3zL9Pg1Aj2lfe5HrPE/wE1yRZOhyxlXNDw=",
    }
    found = rig.call("POST", "/api/keymgmt/search", {"descr": "^RVhUQUlE"}).json()["list"][0]
    assert found["descr"] == "RVhUQUlEBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU="
    with rig.device.model.transaction():
        rig.device.model.store.database.execute("DELETE FROM nonce")
    claims = {
        "aud": eid,
        "jti": to_b64(JTI),
        "exp": NOW + 900,
        "iat": NOW,
        "pid": to_b64(PID),
        "iss": aid,
        "scope": seal(S1, JTI, b"keymgmt:list"),
    }
    authreply = encode_jwt(CLIENT_HEADER, claims, S1)
    assert authreply.endswith(".0Wfl1yRdaz1D7V62BxH5d1JNYemNCwy1u2cFKtyxFp4")
    secret = x25519_secret(AID, x25519_public(BROKER))
    mac = hmac.digest(secret, authreply.encode(), hashlib.sha256)
    assert to_b64(mac) == "jwf1a/DNLov3m8ckE0TsVra33N4TVxrN3dAP/iULNWk="
    bearer = rig.call("POST", "/api/auth/ext/token", {"authreply": authreply}).json()["token"]
    assert claims_of(bearer)["exp"] == NOW + 900


def paired_by_hand(rig, pid):
    """Store an authenticator with any pairing id; returns what signs its replies."""
    with rig.device.model.transaction():
        model = rig.device.model
        public = x25519_public(AID)
        record = Record(
            hashlib.sha1(public).digest()[:16],
            "CURVE25519",
            "p",
            EXTAID + pid,
            1,
            1,
            ("ECDH",),
            public=public,
        )
        model.repository.add(record, capacity=100)
        nonce, eid = model.new_nonce(), model.eid
    secret = x25519_secret(AID, eid)
    claims = {
        "aud": to_b64(eid),
        "jti": to_b64(nonce),
        "exp": NOW + 900,
        "iat": NOW,
        "pid": to_b64(pid),
        "iss": to_b64(public),
        "scope": seal(secret, nonce, b"keymgmt:list"),
    }
    return claims, secret, nonce


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 200), ({"exp": 0}, 200), ({"exp": NOW}, 401), ({"pid": to_b64(bytes(32))}, 406),
        ({"iss": to_b64(x25519_public(BROKER))}, 406), ({"jti": to_b64(bytes(32))}, 406), ({"pid": 5}, 401),
        ({"scope": "B" + "A" * 64}, 406), ({"scope": "A"}, 406), ({"scope": "A" + "A" * 64}, 406),
        ({"key": bytes(32)}, 401), ({"header": DEVICE_HEADER}, 200), ({"header": '{"alg":"HS256"}'}, 401),
    ],
    ids=str,
)  # fmt: skip
def test_each_fault_of_an_approval_has_its_status(rig, changes, status):
    claims, secret, _ = paired_by_hand(rig, PID)
    changes = dict(changes)
    key, header = changes.pop("key", secret), changes.pop("header", CLIENT_HEADER)
    text = encode_jwt(header, {**claims, **changes}, key)
    answer = rig.call("POST", "/api/auth/ext/token", {"authreply": text})
    assert answer.status == status
    if changes.get("exp") == 0:
        assert claims_of(answer.json()["token"])["exp"] == NOW + 8 * 3600


def test_a_pairing_id_of_another_length_can_never_log_in(rig):
    claims, secret, _ = paired_by_hand(rig, bytes([5]) * 31)
    text = encode_jwt(CLIENT_HEADER, claims, secret)
    assert rig.call("POST", "/api/auth/ext/token", {"authreply": text}).status == 406


def test_scope_and_role_are_checked_before_the_body_of_pairing_calls(rig):
    for path in ("init", "validate", "mac"):
        assert rig.call("POST", f"/api/auth/ext/{path}", b"nonsense").status == 401
        assert rig.call("POST", f"/api/auth/ext/{path}", b"nonsense", token=rig.token("x")).status == 403
        assert rig.call("POST", f"/api/auth/ext/{path}", b"x", token=rig.token("auth:ext:pair")).status == 400
