"""Each switch, on and off: Q1–Q42 of device API §19, and the unknowns of §21 as U1–U30.

A test's name starts with the switch it covers; ``docs/development/emulator.md`` lists them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from support.rig import proof

from hem_provider.emulator import control, setup
from hem_provider.emulator.encodings import from_b64url, to_b64
from hem_provider.emulator.quirks import QUIRKS, Q, parse_quirk

DEFAULTS = {
    **{f"Q{number}": True for number in range(1, 43)},
    "Q4": 795, "Q14": "pass", "Q19": 0.0, "Q21": False, "Q23": 200, "Q33": "none", "Q40": 7300, "Q42": False,
}  # fmt: skip
MESSAGE = to_b64(b"message")


def test_every_quirk_is_a_switch_with_the_documented_default():
    assert {name: row.default for name, row in QUIRKS.items() if name.startswith("Q")} == DEFAULTS
    assert set(QUIRKS) == {member.value for member in Q}


def test_switches_are_set_by_name_or_number_and_refuse_what_they_do_not_take():
    assert parse_quirk("q1", "off") == ("Q1", False)
    assert parse_quirk("RTC_GAIN", "0.08") == ("Q19", 0.08)
    for name, value in (("Q99", "on"), ("Q1", "maybe"), ("Q4", "800"), ("Q19", "fast"), ("Q14", "explode")):
        with pytest.raises(ValueError, match=name):
            parse_quirk(name, value)


def status_of(answer):
    return answer.status


def post(rig, path, body, scope=None, **options):
    return rig.call("POST", path, body, token=rig.token(scope) if scope else None, **options)


def derive(rig, kid, kind, **more):
    body = {"kid": kid, "label": "d", "type": kind, "ext_kid": kid, **more}
    return post(rig, "/api/keymgmt/derive", body, "keymgmt:gen")


def listed(rig, path=""):
    return rig.call("GET", f"/api/keymgmt/list{path}", token=rig.token("keymgmt:list")).json()


def entry_of(rig, kid):
    return next(entry for entry in listed(rig)["list"] if entry["kid"] == kid)


def get(rig, kid):
    return rig.call("GET", f"/api/keymgmt/get/{kid}", token=rig.token("keymgmt:get"))


def reboot(rig):
    control.run(rig.device, "reset", {"how": "reboot"})


def test_q1_plain_http(rig):
    kid = "0" * 32
    calls = [("DELETE", f"/api/keymgmt/delete/{kid}"), ("POST", "/api/crypto/hmac/hash"),
             ("GET", "/api/keymgmt/list"), ("POST", "/api/crypto/hmac/verify")]  # fmt: skip

    def statuses():
        return [rig.call(*call, {} if call[0] == "POST" else None, secure=False).status for call in calls]

    assert statuses() == [409, 409, 418, 418]
    rig.quirk("Q1", "off")
    assert statuses() == [418] * 4


def test_q2_empty_bodies(rig):
    answer = rig.call("GET", "/api/keymgmt/list")
    assert (answer.status, answer.body, answer.headers["content-type"]) == (401, b"", "application/json")
    assert answer.headers["content-length"] == "0"
    rig.quirk("Q2", "off")
    assert rig.call("GET", "/api/keymgmt/list").json() == {"error": 401}


def test_q3_stale_bearers_on_public_endpoints(rig):
    assert rig.call("GET", "/api/system/status", token="stale").status == 401
    rig.quirk("Q3", "off")
    assert rig.call("GET", "/api/system/status", token="stale").status == 200
    assert rig.call("GET", "/api/keymgmt/list", token="stale").status == 401


@pytest.mark.parametrize("code", [795, 100, 65307, 406])
def test_q4_mldsa_failure_status(rig, code):
    rig.quirk("Q4", str(code))
    kid = rig.create("MLDSA44")
    answer = rig.crypto("pqc/mldsa/verify", kid, msg=MESSAGE, sign=to_b64(bytes(2420)))
    assert answer.status == code


def test_q5_decaps_alg(rig):
    kid = rig.create("MLKEM768")
    ct = rig.crypto("pqc/mlkem/encaps", kid).json()["ct"]
    assert rig.crypto("pqc/mlkem/decaps", kid, ct=ct).json()["alg"] == f"keymgmt:use:{kid}"
    rig.quirk("Q5", "off")
    assert rig.crypto("pqc/mlkem/decaps", kid, ct=ct).json()["alg"] == "MLKEM768"


def test_q6_update_erases(rig):
    kid = rig.create("AES128", descr=MESSAGE)
    update = "/api/keymgmt/update"
    assert post(rig, update, {"kid": kid, "descr": MESSAGE}, "keymgmt:upd").status == 400
    assert post(rig, update, {"kid": kid, "label": "x"}, "keymgmt:upd").status == 200
    assert "descr" not in entry_of(rig, kid)
    rig.quirk("Q6", "off")
    assert post(rig, update, {"kid": kid, "descr": MESSAGE}, "keymgmt:upd").status == 200
    assert post(rig, update, {"kid": kid, "label": "y"}, "keymgmt:upd").status == 200
    assert entry_of(rig, kid)["descr"] == MESSAGE


def test_q7_long_descr(rig):
    kid = rig.create("AES128", descr=to_b64(bytes(65)))
    assert entry_of(rig, kid)["descr"] == to_b64(bytes(64))
    rig.quirk("Q7", "off")
    assert entry_of(rig, kid)["descr"] == to_b64(bytes(65))


def test_q8_get_is_bare(rig):
    kid = rig.create("SECP256R1", descr=MESSAGE)
    assert set(get(rig, kid).json()) == {"type", "pubkey", "updated"}
    rig.quirk("Q8", "off")
    body = get(rig, kid).json()
    assert (body["type"], body["label"], body["descr"]) == ("ATT,PKEY,ECDH,SECP256R1", "test", MESSAGE)


def test_q9_derive_of_an_unknown_type(rig):
    kid = rig.create("CURVE25519")
    assert derive(rig, kid, "AES512").json() == {"kid": kid}
    assert listed(rig)["total"] == 3
    rig.quirk("Q9", "off")
    assert derive(rig, kid, "AES512").status == 400


def test_q10_derive_is_not_the_documented_hkdf(rig):
    kid = rig.create("CURVE25519")
    secret = base64.b64decode(rig.crypto("ecdh", kid, ext_kid=kid).json()["ecdh"])

    def documented(kind, size, name):
        key = HKDF(hashes.SHA256(), size, None, b"encedo-" + name).derive(secret)
        return to_b64(hmac.digest(key, b"message", hashlib.sha256))

    expected = documented("SHA2-256", 32, b"sha256")
    hidden = derive(rig, kid, "SHA2-256").json()["kid"]
    assert rig.crypto("hmac/hash", hidden, msg=MESSAGE).json()["mac"] != expected
    assert derive(rig, kid, "SHA2-256").status == 406
    rig.quirk("Q10", "off")
    plain = derive(rig, kid, "SHA2-256").json()["kid"]
    assert rig.crypto("hmac/hash", plain, msg=MESSAGE).json()["mac"] == expected


def test_q11_raw_ecdh_is_cut(rig):
    kid = rig.create("SECP521R1")

    def size():
        return len(base64.b64decode(rig.crypto("ecdh", kid, ext_kid=kid).json()["ecdh"]))

    assert size() == 32
    rig.quirk("Q11", "off")
    assert size() == 66


def test_q12_default_mode(rig):
    kid = rig.create("SECP256R1")
    assert rig.crypto("exdsa/sign", kid, msg=MESSAGE, alg="SHA256WithECDSA").status == 406
    rig.quirk("Q12", "off")
    kid = rig.create("SECP256R1")
    assert rig.crypto("exdsa/sign", kid, msg=MESSAGE, alg="SHA256WithECDSA").status == 200


def test_q13_alg_of_a_direct_hmac(rig):
    kid = rig.create("SHA2-256")
    mac = rig.crypto("hmac/hash", kid, msg=MESSAGE).json()
    assert rig.crypto("hmac/hash", kid, msg=MESSAGE, alg="SHA3-512").json() == mac
    rig.quirk("Q13", "off")
    assert rig.crypto("hmac/hash", kid, msg=MESSAGE, alg="SHA3-512").status == 406
    assert rig.crypto("hmac/hash", kid, msg=MESSAGE, alg="SHA2-256").json() == mac


def test_q14_the_master_in_storage_calls(rig):
    token = rig.master("storage:disk0")
    assert rig.call("GET", "/api/storage/unlock", token=token).status == 200
    rig.quirk("Q14", "403")
    assert rig.call("GET", "/api/storage/unlock", token=token).status == 403
    rig.quirk("Q14", "crash")
    with pytest.raises(ConnectionResetError):
        rig.call("GET", "/api/storage/unlock", token=token)


def test_q15_scopes_are_unchecked_and_compared_by_prefix(rig):
    assert rig.call("GET", "/api/keymgmt/list", token=rig.token("keymgmt:listing")).status == 200
    assert rig.call("GET", "/api/system/config", token=rig.token("system:wrong")).status == 403
    rig.quirk("Q15", "off")
    with pytest.raises(setup.SetupError, match="401"):
        rig.token("system:wrong")
    assert rig.call("GET", "/api/keymgmt/list", token=rig.token("keymgmt:list")).status == 200


def lifetime(rig, seconds):
    claims = json.loads(from_b64url(rig.token("x", seconds=seconds).split(".")[1]))
    return claims["exp"] - claims["iat"]


def test_q16_lifetimes_are_unbounded(rig):
    challenge = rig.call("GET", "/api/auth/token").json()
    assert challenge["exp"] == rig.clock.now + 60
    assert lifetime(rig, 10**7) == 10**7
    rig.quirk("Q16", "off")
    rig.quirk("Q15", "on")
    assert lifetime(rig, 10**7) == 8 * 3600


def test_q17_a_reboot_ends_tokens(rig):
    token = rig.token("keymgmt:list")
    rig.quirk("Q17", "off")
    reboot(rig)
    assert rig.call("GET", "/api/keymgmt/list", token=token).status == 200
    rig.quirk("Q17", "on")
    reboot(rig)
    assert rig.call("GET", "/api/keymgmt/list", token=token).status == 401
    assert "time" not in rig.call("GET", "/api/system/status").json()


def test_q18_newcrt_is_acknowledged_only(rig):
    def installed():
        with rig.device.model.transaction():
            return rig.device.model.state.tls

    control.run(rig.device, "backend", {"newcrt": True})
    before = installed()
    rig.check_in()
    assert installed() == before
    rig.quirk("Q18", "off")
    rig.check_in()
    assert installed().key == before.key
    assert installed().chain != before.chain


def test_q19_the_clock_gains(rig):
    def device_time():
        return rig.call("GET", "/api/system/status").json()["time"]

    rig.clock.advance(1000)
    assert device_time() == rig.clock.now
    rig.quirk("Q19", "0.08")
    assert device_time() == rig.clock.now
    rig.clock.advance(4800)
    assert device_time() - rig.clock.now == 384  # about 380 s in 80 min were observed
    reboot(rig)
    rig.check_in()
    assert device_time() == rig.clock.now


def test_q20_nonces(rig):
    text = proof(rig)
    assert post(rig, "/api/auth/token", {"auth": text}).status == 200
    assert post(rig, "/api/auth/token", {"auth": text}).status == 401
    rig.quirk("Q20", "off")
    assert post(rig, "/api/auth/token", {"auth": text}).status == 200


def test_q21_login_throttle(rig, monkeypatch):
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    post(rig, "/api/auth/token", {"auth": proof(rig)})
    assert slept == []
    rig.quirk("Q21", "on")
    post(rig, "/api/auth/token", {"auth": proof(rig)})
    assert 0.4 < sum(slept) <= 0.5


def test_q22_page_clamp(rig):
    for _ in range(20):
        rig.create("AES128")
    assert listed(rig, "/0/20")["listed"] == 15
    rig.quirk("Q22", "off")
    assert listed(rig, "/0/20")["listed"] == 20


def test_q23_search_without_hit(rig):
    body = {"descr": "^" + to_b64(b"nothing")}
    answer = post(rig, "/api/keymgmt/search", body)
    assert answer.json() == {"offset": 0, "deleted": 0, "total": 0, "listed": 0, "list": []}
    rig.quirk("Q23", "404")
    assert post(rig, "/api/keymgmt/search", body).status == 404


def test_q24_duplicates_include_imports_deleted_before_a_reboot(rig):
    body = {"label": "i", "type": "ED25519", "pubkey": to_b64(bytes(range(32)))}

    def load():
        return post(rig, "/api/keymgmt/import", body, "keymgmt:imp")

    kid = load().json()["kid"]
    assert load().status == 406
    path = f"/api/keymgmt/delete/{kid}"
    assert rig.call("DELETE", path, token=rig.token("keymgmt:del")).status == 200
    assert load().status == 200
    assert rig.call("DELETE", path, token=rig.token("keymgmt:del")).status == 200
    reboot(rig)
    rig.check_in()
    assert load().status == 406
    rig.quirk("Q24", "off")
    assert load().status == 200


def test_q25_long_aad(rig):
    kid = rig.create("AES256")

    def encrypt(size):
        aad = to_b64(bytes(size))
        return rig.crypto("cipher/encrypt", kid, msg=MESSAGE, alg="AES256-GCM", aad=aad).status

    assert [encrypt(16), encrypt(32)] == [200, 200]
    rig.quirk("Q25", "off")
    assert [encrypt(16), encrypt(17)] == [200, 400]


@pytest.mark.parametrize("text", ["_-8", "/+8", "_-8=", "/+8="])
def test_q26_base64_dialects(rig, text):
    kid = rig.create("SHA2-256")
    assert rig.crypto("hmac/hash", kid, msg=text).status == 200
    assert rig.crypto("hmac/hash", kid, msg="").status == 400
    rig.quirk("Q26", "off")
    assert rig.crypto("hmac/hash", kid, msg=text).status == (200 if text == "/+8=" else 400)


def test_q27_dead_limits(rig):
    def create(size):
        body = {"label": "x", "type": "AES128", "descr": to_b64(bytes(size))}
        return post(rig, "/api/keymgmt/create", body, "keymgmt:gen").status

    def load(size):
        body = {"label": "x", "type": "MLKEM512", "pubkey": to_b64(bytes(size))}
        return post(rig, "/api/keymgmt/import", body, "keymgmt:imp").status

    assert [create(65), load(800)] == [200, 200]
    rig.quirk("Q27", "off")
    assert [create(64), create(65), load(800)] == [200, 400, 400]


def test_q28_lenient_login_requests(rig):
    epk = rig.cloud("GET", "/notify/session").json()["epk"]
    body = {"epk": epk, "scope": "x", "exp": 5, "ctx": "", "note": "n" * 129}
    answer = post(rig, "/api/auth/ext/request", body)
    claims = json.loads(from_b64url(answer.json()["authreq"].split(".")[1]))
    assert claims["scope"] == {}
    assert not {"ctx", "note"} & set(claims)
    assert claims["exp"] == rig.clock.now + 3600
    good = post(rig, "/api/auth/ext/request", {**body, "ctx": "c" * 64, "note": "n" * 128}).json()["authreq"]
    assert {"ctx", "note"} <= set(json.loads(from_b64url(good.split(".")[1])))
    rig.quirk("Q28", "off")
    assert post(rig, "/api/auth/ext/request", body).status == 400
    assert post(rig, "/api/auth/ext/request", {"epk": epk, "scope": "x"}).status == 406


def test_q29_silent_failures_of_login_by_phone(rig, monkeypatch):
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)

    def fail():
        assert post(rig, "/api/auth/ext/token", {"authreply": "x"}).status == 401
        with rig.device.model.transaction():
            log = rig.device.model.log_files.read(rig.device.model.boot.log_file).decode()
        return log.splitlines()[-1].split("|")[2:4] == ["e", "1"]

    assert not fail()
    assert slept == []
    rig.quirk("Q29", "off")
    assert fail()
    assert sum(slept) > 0.4


def test_q30_unknown_keys(rig):
    assert get(rig, "0" * 32).status == 406
    assert get(rig, "xyz").status == 400
    rig.quirk("Q30", "off")
    assert get(rig, "0" * 32).status == 404


def test_q31_connections_close(rig):
    assert rig.call("GET", "/api/system/status").headers["connection"] == "close"
    rig.quirk("Q31", "off")
    assert "connection" not in rig.call("GET", "/api/system/status").headers
    assert rig.call("POST", "/api/auth/token", b"x" * 7301).headers["connection"] == "close"


def test_q32_config_errors_have_a_body_and_restarts_answer_first(rig):
    token = rig.token("system:config")
    answer = rig.call("POST", "/api/system/config", {"user": 5}, token=token)
    assert (answer.status, answer.json()) == (400, {"updated": False})
    rig.quirk("Q32", "off")
    answer = rig.call("POST", "/api/system/config", {"user": 5}, token=token)
    assert (answer.status, answer.body) == (400, b"")
    answer = rig.call("GET", "/api/system/reboot", token=token)
    assert (answer.status, answer.headers["connection"]) == (200, "close")


def test_q33_attestation_failure(rig):
    token = rig.token("x")
    assert rig.call("GET", "/api/system/config/attestation", token=token).status == 200
    rig.quirk("Q33", "atecc_3")
    answer = rig.call("GET", "/api/system/config/attestation", token=token)
    assert (answer.status, answer.body) == (500, b"atecc_3")
    assert answer.headers["content-type"] == "application/json"


def test_q34_length_statuses(rig):
    kid = rig.create("AES256")
    fifteen, eight = to_b64(bytes(15)), to_b64(bytes(8))

    def statuses():
        return [
            rig.crypto("cipher/encrypt", kid, msg=fifteen, alg="AES256-ECB").status,
            rig.crypto("cipher/wrap", kid, msg=fifteen).status,
            rig.crypto("cipher/unwrap", kid, msg=fifteen).status,
            rig.crypto("cipher/wrap", kid, msg=eight).status,
        ]

    assert statuses() == [400, 406, 400, 406]
    rig.quirk("Q34", "off")
    assert statuses() == [400, 400, 400, 400]


def test_q35_wrap_default(rig):
    kid = rig.create("AES128")
    assert rig.crypto("cipher/wrap", kid, msg=to_b64(bytes(16))).status == 406
    rig.quirk("Q35", "off")
    assert rig.crypto("cipher/wrap", kid, msg=to_b64(bytes(16))).status == 200


@pytest.mark.parametrize("value", ["on", "off"])
def test_q36_tls_after_a_wipe(rig, value):
    rig.quirk("Q36", value)
    control.run(rig.device, "reset", {"how": "wipe"})
    if value == "on":
        assert rig.call("GET", "/api/system/status").status == 200
    else:
        with pytest.raises(ConnectionRefusedError):
            rig.call("GET", "/api/system/status")
        assert rig.call("GET", "/api/system/status", secure=False).status == 200


def test_q37_the_current_log_file(rig):
    token = rig.token("logger:get")
    current = rig.call("GET", "/api/logger/list", token=token).json()["id"][-1]
    assert rig.call("GET", f"/api/logger/{current}", token=token).status == 406
    rig.quirk("Q37", "off")
    answer = rig.call("GET", f"/api/logger/{current}", token=token)
    assert answer.body.startswith(b"# Encedo")


def test_q38_status_omits(rig):
    assert not {"inited", "https", "hostname", "tts", "format", "fw_upgrade"} & set(
        rig.call("GET", "/api/system/status").json()
    )
    rig.quirk("Q38", "off")
    body = rig.call("GET", "/api/system/status").json()
    assert (body["inited"], body["https"], body["tts"], body["fw_upgrade"]) == (True, True, True, False)
    assert body["format"] == "done"


def test_q39_chunked_bodies(rig):
    headers = [("Transfer-Encoding", "chunked"), ("Content-Length", "")]
    assert rig.call("POST", "/api/auth/token", b"{}", headers=headers).status == 411
    rig.quirk("Q39", "off")
    assert rig.call("POST", "/api/auth/token", b"{}", headers=headers).status == 400


def test_q40_body_limit(rig):
    def status(size):
        return rig.call("POST", "/api/auth/token", b"x" * size).status

    assert [status(7300), status(7301)] == [400, 413]
    rig.quirk("Q40", "8000")
    assert [status(8000), status(8001)] == [400, 413]


def test_q41_model_rules(make_rig):
    rig = make_rig(model="epa")
    token = rig.token("system:config")
    assert rig.call("GET", "/api/storage/lock", token=token).status == 404
    assert "storage_capacity" not in rig.call("GET", "/api/system/config", token=token).json()
    rig.quirk("Q41", "off")
    assert rig.call("GET", "/api/storage/lock", token=token).status == 403
    assert "storage_capacity" in rig.call("GET", "/api/system/config", token=token).json()


def test_q42_https_flag_over_https(rig):
    assert "https" not in rig.call("GET", "/api/system/status").json()
    assert rig.call("GET", "/api/system/status", secure=False).json()["https"] is False
    rig.quirk("Q42", "on")
    assert rig.call("GET", "/api/system/status").json()["https"] is False


def test_u1_kids_of_symmetric_keys(rig):
    one, two = rig.create("AES128"), rig.create("AES128")
    assert one != two
    source = rig.create("CURVE25519")
    rig.quirk("U1", "sha1")
    kid = derive(rig, source, "AES128").json()["kid"]
    with rig.device.model.transaction():
        record = rig.device.model.repository.find(bytes.fromhex(kid))
    assert kid == hashlib.sha1(record.secret).hexdigest()[:32]


def test_u2_derived_keys_attested(rig):
    source = rig.create("CURVE25519")
    assert entry_of(rig, derive(rig, source, "AES128").json()["kid"])["type"] == "AES128"
    rig.quirk("U2", "on")
    assert entry_of(rig, derive(rig, source, "AES192").json()["kid"])["type"] == "ATT,AES192"


@pytest.mark.parametrize("status", [406, 400, 200])
def test_u3_missing_context(rig, status):
    rig.quirk("U3", str(status))
    kid = rig.create("ED25519")
    assert rig.crypto("exdsa/sign", kid, msg=MESSAGE, alg="Ed25519ctx").status == status
    assert rig.crypto("exdsa/sign", kid, msg=MESSAGE, alg="Ed25519ph").status == 200


def test_u4_aad_beyond_16_bytes(rig):
    kid = rig.create("AES256")

    def opened():
        body = rig.crypto(
            "cipher/encrypt", kid, msg=MESSAGE, alg="AES256-GCM", aad=to_b64(bytes(16) + b"one")
        ).json()
        given = {"msg": body["ciphertext"], "iv": body["iv"], "tag": body["tag"], "alg": "AES256-GCM"}
        return rig.crypto("cipher/decrypt", kid, **given, aad=to_b64(bytes(16) + b"two")).status

    assert opened() == 406
    rig.quirk("U4", "off")
    assert opened() == 200


def test_u5_secret_bytes_of_derived_hmac(rig):
    kid = rig.create("SECP384R1")
    rig.quirk("Q11", "off")
    secret = base64.b64decode(rig.crypto("ecdh", kid, ext_kid=kid).json()["ecdh"])
    assert len(secret) == 48

    def mac():
        answer = rig.crypto("hmac/hash", kid, msg=MESSAGE, ext_kid=kid, alg="SHA2-256")
        return base64.b64decode(answer.json()["mac"])

    assert mac() == hmac.digest(secret, b"message", hashlib.sha256)
    rig.quirk("U5", "32")
    assert mac() == hmac.digest(secret[:32], b"message", hashlib.sha256)


def test_u6_iat_of_a_proof(rig):
    future = int(rig.clock.now) + 100
    assert post(rig, "/api/auth/token", {"auth": proof(rig, iat=future)}).status == 200
    rig.quirk("U6", "10")
    assert post(rig, "/api/auth/token", {"auth": proof(rig, iat=future)}).status == 401
    assert post(rig, "/api/auth/token", {"auth": proof(rig)}).status == 200


def test_u7_context_of_a_local_login(rig):
    def bearer():
        token = post(rig, "/api/auth/token", {"auth": proof(rig, ctx="mine")}).json()["token"]
        return json.loads(from_b64url(token.split(".")[1]))

    assert bearer()["ctx"] == "mine"
    rig.quirk("U7", "off")
    assert "ctx" not in bearer()


def test_u8_clock_after_a_soft_reboot(rig):
    rig.quirk("U8", "off")
    reboot(rig)
    assert "time" in rig.call("GET", "/api/system/status").json()
    rig.quirk("U8", "on")
    reboot(rig)
    assert "time" not in rig.call("GET", "/api/system/status").json()


def test_u12_status_of_a_failed_rotation(rig):
    token = rig.token("system:config")
    body = {"userkey": to_b64(bytes(range(1, 33))), "userkey_nonce": "AAAA", "userkey_hmac": "AAAA"}
    assert rig.call("POST", "/api/system/config", body, token=token).status == 400
    rig.quirk("U12", "406")
    assert rig.call("POST", "/api/system/config", body, token=token).status == 406


def test_u13_body_or_token_first(rig):
    assert rig.call("POST", "/api/keymgmt/create", b"nonsense").status == 400
    rig.quirk("U13", "on")
    assert rig.call("POST", "/api/keymgmt/create", b"nonsense").status == 401


def test_u15_deterministic_ecdsa(rig):
    kid = rig.create("SECP256R1", mode="ExDSA")

    def sign():
        return rig.crypto("exdsa/sign", kid, msg=MESSAGE, alg="SHA256WithECDSA").body

    assert sign() != sign()
    rig.quirk("U15", "on")
    assert sign() == sign()


def test_u16_capacity_and_compaction(rig):
    rig.quirk("U16", "4")  # two of them are the TLS records
    kid = rig.create("AES128")
    rig.create("AES128")
    body = {"label": "x", "type": "AES128"}
    assert post(rig, "/api/keymgmt/create", body, "keymgmt:gen").status == 406
    assert rig.call("DELETE", f"/api/keymgmt/delete/{kid}", token=rig.token("keymgmt:del")).status == 200
    assert listed(rig)["deleted"] == 1
    assert post(rig, "/api/keymgmt/create", body, "keymgmt:gen").status == 200
    assert listed(rig)["deleted"] == 0


def test_u17_length_of_user_labels(rig):
    token = rig.token("system:config")

    def write(size):
        return rig.call("POST", "/api/system/config", {"user": "u" * size}, token=token).status

    assert [write(64), write(65)] == [200, 400]
    rig.quirk("U17", "32")
    assert [write(32), write(33)] == [200, 400]


def test_u18_export_of_the_tls_key_record(rig):
    kid = next(entry["kid"] for entry in listed(rig)["list"] if entry["label"] == "TLS PrivateKey")
    body = get(rig, kid).json()
    assert body["type"] == "DER_PKEY"
    assert "der" in body
    with rig.device.model.transaction():
        assert rig.device.model.state.tls.key not in base64.b64decode(body["der"]).decode("latin-1")
    rig.quirk("U18", "none")
    assert "der" not in get(rig, kid).json()


def test_u19_case_of_a_use_scope(rig):
    kid = rig.create("CURVE25519")
    token = rig.token(f"keymgmt:use:{kid.upper()}")
    body = {"kid": kid, "ext_kid": kid}
    upper = kid != kid.upper()
    assert rig.call("POST", "/api/crypto/ecdh", body, token=token).status == (403 if upper else 200)
    rig.quirk("U19", "off")
    assert rig.call("POST", "/api/crypto/ecdh", body, token=token).status == 200


def test_u20_shutdown_of_an_epa(make_rig):
    rig = make_rig(model="epa")
    rig.quirk("U20", "off")
    assert rig.call("GET", "/api/system/shutdown", token=rig.token("system:shutdown")).status == 404
    rig.quirk("U20", "on")
    assert rig.call("GET", "/api/system/shutdown", token=rig.token("system:shutdown")).status == 200


def test_u22_temperature_blocks(rig):
    token = rig.token("keymgmt:list")
    control.run(rig.device, "fault", {"name": "fls", "status": 4})
    assert rig.call("GET", "/api/keymgmt/list", token=token).status == 409
    rig.quirk("U22", "off")
    assert rig.call("GET", "/api/keymgmt/list", token=token).status == 200


@pytest.mark.parametrize(("base", "eleventh"), [("16", "a"), ("10", "10")])
def test_u23_sequence_base(rig, base, eleventh):
    rig.quirk("U23", base)
    reboot(rig)
    rig.check_in()
    for _ in range(10):
        rig.token("x")
    with rig.device.model.transaction():
        log = rig.device.model.log_files.read(rig.device.model.boot.log_file).decode()
    assert log.splitlines()[11].split("|")[0] == eleventh


@pytest.mark.parametrize("needle", ["", "^", "$", "^$"])
def test_u24_empty_needles(rig, needle):
    assert post(rig, "/api/keymgmt/search", {"descr": needle}, "keymgmt:list").status == 400
    rig.quirk("U24", "406")
    assert post(rig, "/api/keymgmt/search", {"descr": needle}, "keymgmt:list").status == 406


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("ED25519", "ECDH"), ("ED448", "ECDH,ExDSA"), ("CURVE25519", "ExDSA"), ("AES256", "ECDH"),
        ("SHA2-256", "ExDSA"), ("MLKEM768", "ECDH"), ("MLDSA44", "ExDSA"), ("AES256", "AES128"),
    ],
)  # fmt: skip
def test_u26_modes_that_contradict_the_type(rig, kind, mode):
    body = {"label": "x", "type": kind, "mode": mode}
    before = listed(rig)["total"]
    for value, status in (("400", 400), ("406", 406), ("200", 200)):
        rig.quirk("U26", value)
        assert post(rig, "/api/keymgmt/create", body, "keymgmt:gen").status == status
        assert listed(rig)["total"] == before + (status == 200)
    assert entry_of(rig, rig.create("ED25519", mode="ExDSA"))["type"].endswith("ExDSA,ED25519")


@pytest.mark.parametrize("kind", ["AES256", "ED25519", "SHA3-512", "MLDSA65"])
def test_u27_a_mode_that_is_the_type(rig, kind):
    body = {"label": "x", "type": kind, "mode": kind}
    assert post(rig, "/api/keymgmt/create", body, "keymgmt:gen").status == 200
    rig.quirk("U27", "off")
    assert post(rig, "/api/keymgmt/create", body, "keymgmt:gen").status == 400
    assert post(rig, "/api/keymgmt/create", {**body, "mode": "nonsense"}, "keymgmt:gen").status == 400
    body = {"label": "x", "type": "SECP256R1", "mode": "SECP256R1"}
    assert post(rig, "/api/keymgmt/create", body, "keymgmt:gen").status == 400


def test_u28_a_bare_upgrade_call(rig):
    token = rig.token("system:upgrade")
    assert rig.call("GET", "/api/system/upgrade").status == 401
    answer = rig.call("GET", "/api/system/upgrade", token=token)
    assert (answer.status, answer.body) == (200, b"")
    rig.quirk("U28", "404")
    assert rig.call("GET", "/api/system/upgrade", token=token).status == 404
    assert rig.call("GET", "/api/system/upgrade").status == 401


@pytest.mark.parametrize("limit", [63, 64, 128])
def test_u29_the_limit_of_descr(rig, limit):
    rig.quirk("U29", str(limit))
    long = bytes(range(1, 130))
    kid = rig.create("AES128", descr=to_b64(long))
    assert entry_of(rig, kid)["descr"] == to_b64(long[:limit])
    for size, status in ((limit, 200), (limit + 1, 406)):
        needle = f"^{to_b64(long[:size])}$"
        answer = post(rig, "/api/keymgmt/search", {"descr": needle}, "keymgmt:list")
        assert answer.status == status
        assert status == 406 or answer.json()["total"] == 1
    rig.quirk("Q27", "off")
    for size, status in ((limit, 200), (limit + 1, 400)):
        body = {"label": "x", "type": "AES128", "descr": to_b64(long[:size])}
        assert post(rig, "/api/keymgmt/create", body, "keymgmt:gen").status == status


def test_u30_a_device_that_cooled(make_rig):
    def bits(rig, degrees):
        control.run(rig.device, "climate", {"temperature": degrees})
        return rig.call("GET", "/api/system/status").json()["fls_state"]

    rig = make_rig()
    assert [bits(rig, each) for each in (86.9, 87, 85.1, 85)] == [0, 4, 4, 0]
    rig.quirk("U30", "off")
    assert [bits(rig, each) for each in (87, 20)] == [4, 4]
    epa = make_rig(model="epa")
    assert [bits(epa, each) for each in (87, 20)] == [4, 4]
    reboot(epa)
    assert bits(epa, 20) == 0


def test_u25_lists_beyond_the_end(rig):
    token = rig.token("keymgmt:list")
    assert rig.call("GET", "/api/keymgmt/list/99", token=token).json()["list"] == []
    rig.quirk("U25", "406")
    assert rig.call("GET", "/api/keymgmt/list/99", token=token).status == 406
