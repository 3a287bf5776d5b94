"""Status, check-in, configuration, life cycle, attestation, storage and upgrade (device API §6, §8, §9,
§15–17)."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from hem_provider.emulator import control, setup, tls
from hem_provider.emulator.cloud.backend import _PRIVATE as BACKEND
from hem_provider.emulator.device import x25519_public, x25519_secret
from hem_provider.emulator.dispatch import DeviceUnreachable
from hem_provider.emulator.encodings import from_b64, to_b64
from hem_provider.emulator.jwt import CLIENT_HEADER, decode_jwt, encode_jwt


def status(rig, **options):
    return rig.call("GET", "/api/system/status", **options).json()


def config(rig, body, scope="system:config", token=None):
    return rig.call("POST", "/api/system/config", body, token=token or rig.token(scope))


def test_status_of_an_operational_ppa(rig):
    assert status(rig) == {
        "ctx": 0,
        "uptime": 0,
        "ts": "2023-11-14T22:13:20Z",
        "time": 1_700_000_000,
        "storage": ["8388607:ro", "7135233:-"],
        "temp": 41.5,
        "fls_state": 0,
    }
    assert status(rig, secure=False)["https"] is False
    assert status(rig, headers=[("Host", "127.0.0.1:4433")])["hostname"] == "my.ence.do"


def test_a_fresh_device_says_so_and_has_no_clock(make_rig):
    body = status(make_rig(init=False))
    assert body["inited"] is False
    assert "time" not in body
    assert "ts" not in body


def test_version_names_the_model_and_shows_the_card_to_bearers_only(make_rig, rig):
    body = rig.call("GET", "/api/system/version").json()
    assert body["hwv"] == "PPA rev 2.2 EMULATOR"
    assert body["fwv"] == "Encedo nGINE FW v1.2.2"
    assert [len(from_b64(body[name])) for name in ("fwk", "fws", "blk", "bls", "uis")] == [32, 64, 32, 64, 32]
    assert "sd_cid" not in body
    assert "sd_cid" in rig.call("GET", "/api/system/version", token=rig.token("any")).json()
    assert "sd_cid" in make_rig(init=False).call("GET", "/api/system/version").json()
    assert "EPA" in make_rig(model="epa").call("GET", "/api/system/version").json()["hwv"]


def test_check_in_sets_the_clock_to_the_backends_time(rig):
    control.run(rig.device, "fault", {"name": "clock-error", "seconds": 4620.0})
    assert status(rig)["time"] == 1_700_004_620
    assert rig.check_in() == "OK"
    assert status(rig)["time"] == 1_700_000_000
    control.run(rig.device, "backend", {"offset": -100})
    rig.check_in()
    assert status(rig)["time"] == 1_699_999_900


def check_claims(rig):
    token = decode_jwt(rig.call("GET", "/api/system/checkin").json()["check"])
    return token.claims


def test_the_check_has_the_documented_claims(make_rig, rig):
    assert list(check_claims(rig)) == ["jti", "iss", "qid", "aud", "fws", "bls", "uis", "csn"]
    assert "uis" not in check_claims(make_rig(model="epa"))


def reply(rig, *, private=BACKEND, **changes):
    claims = check_claims(rig)
    session = from_b64(claims["iss"])
    secret = x25519_secret(private, session)
    body = {
        "jti": claims["jti"],
        "iat": 1_700_000_500,
        "iss": to_b64(x25519_public(private)),
        "aud": claims["iss"],
        "status": to_b64(bytes(32)),
        **changes,
    }
    return rig.call("POST", "/api/system/checkin", {"checked": encode_jwt(CLIENT_HEADER, body, secret)})


def test_a_check_in_reply_is_taken_from_trusted_backends_and_fresh_nonces_only(rig):
    assert reply(rig, private=bytes(range(32))).status == 401
    assert reply(rig, jti=to_b64(bytes(32))).status == 401
    assert reply(rig, aud=to_b64(bytes(32))).status == 401
    assert reply(rig, iat="now").status == 401
    assert reply(rig, iat=-1).status == 401
    assert rig.call("POST", "/api/system/checkin", {"checked": "x.y.z"}).status == 401
    assert rig.call("POST", "/api/system/checkin", {"checked": 5}).status == 400
    assert status(rig)["time"] == 1_700_000_000
    answer = reply(rig)
    assert answer.json() == {"status": "???"}  # an action of no known code
    assert status(rig)["time"] == 1_700_000_500


def test_action_l_locks_the_user_out_until_the_master_comes(rig):
    private = rig.private()
    control.run(rig.device, "backend", {"action": "L"})
    assert rig.check_in() == "L"
    assert status(rig)["fls_state"] == 0x40
    with pytest.raises(setup.SetupError, match="401"):
        setup.log_in(rig.device, private, "keymgmt:list")
    token = rig.master("system:config")
    assert rig.call("POST", "/api/keymgmt/search", {"descr": "^QUFBQUFB"}).status == 409
    assert config(rig, {"wipeout": True}, token=token).status == 200
    assert status(rig)["inited"] is False


def test_action_w_wipes_and_action_b_stops(make_rig):
    wiped, stopped = make_rig(), make_rig()
    control.run(wiped.device, "backend", {"action": "W"})
    assert wiped.check_in() == "W"
    assert status(wiped)["inited"] is False
    control.run(stopped.device, "backend", {"action": "B"})
    assert stopped.check_in() == "B"
    with pytest.raises(DeviceUnreachable):
        status(stopped)
    control.run(stopped.device, "reset", {"how": "power-cycle"})
    assert status(stopped)["fls_state"] == 0


def test_actions_are_ignored_without_trusted_backend(rig):
    config(rig, {"trusted_backend": False})
    control.run(rig.device, "backend", {"action": "W", "offset": 5})
    assert rig.check_in() == "W"
    assert "inited" not in status(rig)
    assert status(rig)["time"] == 1_700_000_005


def test_a_new_certificate_reaches_the_device_by_config_only(rig):
    control.run(rig.device, "fault", {"name": "expired-certificate"})
    control.run(rig.device, "backend", {"newcrt": True})
    check = rig.call("GET", "/api/system/checkin").json()
    checked = rig.cloud("POST", "/checkin", check).json()
    chain = decode_jwt(checked["checked"]).claims["newcrt"]
    answer = rig.call("POST", "/api/system/checkin", checked).json()
    assert answer == {"status": "OK", "newcrt": "OK"}
    served = rig.device.model.store.load  # noqa: F841 - the state is read below, inside a transaction
    with rig.device.model.transaction():
        before = rig.device.model.boot.tls.chain
    assert expired(before)
    answer = config(rig, {"tls": {"crt": chain}})
    assert answer.json() == {"updated": True, "reboot_required": True}
    rig.call("GET", "/api/system/reboot", token=rig.token("system:config"))
    with rig.device.model.transaction():
        after = rig.device.model.boot.tls.chain
    assert not expired(after)


def expired(chain):
    import datetime

    leaf = x509.load_pem_x509_certificate(chain.encode())
    return leaf.not_valid_after_utc < datetime.datetime.now(datetime.UTC)


CONFIG_FIELDS = [
    "iat",
    "uts",
    "devid",
    "instanceid",
    "eid",
    "eid_sign",
    "user",
    "email",
    "hostname",
    "dnsd",
    "trusted_ts",
    "trusted_backend",
    "allow_keysearch",
    "origin",
    "ctx",
    "http_option_hsts",
    "http_option_dosprot_mode",
    "ip",
    "genuine_id",
    "storage_mode",
    "storage_disk0size",
    "storage_capacity",
    "spk",
    "nonce",
]


def read_config(rig):
    return rig.call("GET", "/api/system/config", token=rig.token("system:config")).json()


def test_config_has_all_fields_and_its_signing_key_is_the_logs(make_rig, rig):
    body = read_config(rig)
    assert list(body) == CONFIG_FIELDS
    key = rig.call("GET", "/api/logger/key", token=rig.token("logger:get")).json()["key"]
    assert body["eid_sign"] == key
    ppa_only = {"genuine_id", "storage_mode", "storage_disk0size", "storage_capacity"}
    assert set(read_config(make_rig(model="epa"))) == set(CONFIG_FIELDS) - ppa_only


def test_a_partial_update_changes_what_it_names_and_ignores_the_unknown(rig):
    before = read_config(rig)
    rig.clock.advance(5)
    assert config(rig, {"useR": "x", "hostname": "other.ence.do", "ip": "10.0.0.1"}).json() == {
        "updated": False
    }
    assert config(rig, {"user": before["user"]}).json() == {"updated": False}
    assert read_config(rig)["uts"] == before["uts"]
    assert config(rig, {"email": "a@b.c", "ctx": 7, "http_option_hsts": True}).json() == {"updated": True}
    after = read_config(rig)
    assert (after["email"], after["ctx"], after["uts"]) == ("a@b.c", 7, before["uts"] + 5)
    assert (after["hostname"], after["ip"]) == (before["hostname"], before["ip"])
    answer = rig.call("GET", "/api/system/status")
    assert "strict-transport-security" in answer.headers
    assert answer.json()["ctx"] == 7


@pytest.mark.parametrize(
    "body",
    [
        {"user": "x" * 65},
        {"trusted_ts": "yes"},
        {"ctx": -1},
        {"http_option_dosprot_mode": 5},
        {"storage_mode": 1},
        {"tls": {}},
        {"tls": {"crt": "AAAA"}},
        {"tls": 5},
        {"gen_csr": 1},
        {"userkey": "AAAA"},
    ],
    ids=str,
)
def test_a_faulty_update_is_400_with_a_json_body(rig, body):
    answer = config(rig, body)
    assert answer.status == 400
    assert answer.json() == {"updated": False}


def test_a_faulty_field_does_not_hinder_the_others(rig):
    assert config(rig, {"ctx": 9, "trusted_ts": "x"}).json() == {"updated": True}
    assert read_config(rig)["ctx"] == 9


def rotation(rig, passphrase):
    body = read_config(rig)
    private = setup.derive_private(passphrase, body["eid"])
    secret = x25519_secret(private, from_b64(body["spk"]))
    mac = hmac.digest(secret, from_b64(body["nonce"]), hashlib.sha256)
    return {
        "userkey": to_b64(x25519_public(private)),
        "userkey_nonce": body["nonce"],
        "userkey_hmac": to_b64(mac),
    }


def test_the_passphrase_changes_by_a_proven_key_and_old_tokens_live_on(rig):
    old = rig.token("keymgmt:list")
    change = rotation(rig, "new passphrase")
    wrong = {**change, "userkey_hmac": to_b64(bytes(32))}
    assert config(rig, wrong).status == 400
    assert config(rig, change).json() == {"updated": True}
    with pytest.raises(setup.SetupError, match="401"):
        rig.token("keymgmt:list")
    new = rig.token("keymgmt:list", passphrase="new passphrase")
    assert [rig.call("GET", "/api/keymgmt/list", token=token).status for token in (old, new)] == [200, 200]
    assert config(rig, change, token=rig.master("system:config")).status == 400  # the nonce is used


def test_wipe_out_answers_closes_and_leaves_a_fresh_device(rig):
    kid = rig.create("AES128")
    before = read_config(rig)
    answer = config(rig, {"wipeout": False})
    assert answer.status == 406
    answer = config(rig, {"wipeout": True})
    assert (answer.status, answer.body, answer.headers["connection"]) == (200, b"", "close")
    body = status(rig)
    assert body["inited"] is False
    assert "time" not in body
    rig.initialise()
    after = read_config(rig)
    assert after["eid"] != before["eid"]
    assert after["eid_sign"] != before["eid_sign"]
    token = rig.token("keymgmt:get")
    assert rig.call("GET", f"/api/keymgmt/get/{kid}", token=token).status == 406


def test_reboot_ends_tokens_changes_the_session_key_and_unsets_the_clock(rig):
    token = rig.token("system:config")
    spk = rig.call("GET", "/api/auth/token").json()["spk"]
    answer = rig.call("GET", "/api/system/reboot", token=token)
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert rig.call("GET", "/api/system/config", token=token).status == 401
    assert rig.call("GET", "/api/auth/token").status == 403
    rig.check_in()
    assert rig.call("GET", "/api/auth/token").json()["spk"] != spk


def test_reboot_wants_its_scopes_except_on_a_fresh_device(make_rig, rig):
    assert rig.call("GET", "/api/system/reboot").status == 401
    assert rig.call("GET", "/api/system/reboot", token=rig.token("system:reboot")).status == 403
    assert make_rig(init=False).call("GET", "/api/system/reboot").status == 200


def test_shutdown_silences_the_device_until_a_power_cycle(rig):
    assert rig.call("GET", "/api/system/shutdown").status == 401
    assert rig.call("GET", "/api/system/shutdown", token=rig.token("system:shutdown")).status == 200
    with pytest.raises(DeviceUnreachable):
        status(rig)
    control.run(rig.device, "reset", {"how": "power-cycle"})
    assert "time" not in status(rig)


def test_a_restarting_device_does_not_answer_until_it_is_up(rig, tmp_path):
    profile = tmp_path / "latency.json"
    profile.write_text('{"restart": 12}')
    control.run(rig.device, "latency", {"profile": str(profile)})
    rig.call("GET", "/api/system/reboot", token=rig.token("system:config"))
    with pytest.raises(DeviceUnreachable):
        status(rig)
    rig.clock.advance(12)
    assert status(rig)["uptime"] == 12


FAILED_WORKS = [
    ("GET", "/api/system/status", 200),
    ("GET", "/api/system/version", 200),
    ("GET", "/api/system/checkin", 200),
    ("GET", "/api/auth/token", 200),
    ("GET", "/api/system/config", 200),
    ("GET", "/api/system/selftest", 200),
    ("POST", "/api/auth/token", 409),
    ("GET", "/api/keymgmt/list", 409),
    ("POST", "/api/crypto/ecdh", 409),
    ("POST", "/api/system/config", 409),
    ("GET", "/api/logger/key", 409),
    ("GET", "/api/storage/unlock", 409),
    ("POST", "/api/auth/ext/request", 409),
    ("GET", "/api/system/config/attestation", 409),
    ("GET", "/api/system/upgrade/check_fw", 409),
]


@pytest.mark.parametrize("bit", [1, 2, 4, 8, 16, 32])
def test_each_fail_state_bit_blocks_all_but_the_documented_calls_until_reboot(rig, bit):
    token = rig.token("system:config")
    control.run(rig.device, "fault", {"name": "fls", "status": bit})
    assert status(rig)["fls_state"] == bit
    for method, path, expected in FAILED_WORKS:
        body = {} if method == "POST" else None
        assert rig.call(method, path, body, token=token).status == expected, path
    assert rig.call("GET", "/api/system/reboot", token=token).status == 200
    assert status(rig)["fls_state"] == 0


def test_selftest_counts_the_repository(rig):
    kid = rig.create("AES128")
    rig.call("DELETE", f"/api/keymgmt/delete/{kid}", token=rig.token("keymgmt:del"))
    body = rig.call("GET", "/api/system/selftest", token=rig.token("x")).json()
    assert body["repo_stats"] == {"total": 2, "deleted": 1, "invalid": 0, "fragmented": 1, "freeslots": 16381}
    assert (body["fls_state"], body["se_state"], body["selftest_ts"]) == (0, 0, 1_700_000_000)
    again = rig.call("GET", "/api/system/selftest", token=rig.token("x")).json()
    assert again["last_selftest_ts"] == 1_700_000_000
    assert rig.call("GET", "/api/system/selftest").status == 401


def test_an_epa_has_no_ppa_only_endpoints_and_fields(make_rig):
    rig = make_rig(model="epa")
    token = rig.token("system:config")
    for path in (
        "config/attestation", "upgrade/check_fw", "upgrade/install_fw", "upgrade/usbmode", "upgrade/check_ui",
        "upgrade/install_ui",
    ):  # fmt: skip
        assert rig.call("GET", f"/api/system/{path}", token=token).status == 404
    for path in ("logger/list", "logger/00000000", "storage/unlock", "storage/lock"):
        assert rig.call("GET", f"/api/{path}", token=token).status == 404
    assert "storage" not in status(rig)
    assert "se_state" not in rig.call("GET", "/api/system/selftest", token=token).json()
    assert rig.call("GET", "/api/logger/key", token=rig.token("logger:get")).status == 200


def test_attestation_proves_the_secure_element(rig):
    body = rig.call("GET", "/api/system/config/attestation", token=rig.token("any")).json()
    certificate = x509.load_der_x509_certificate(base64.b64decode(body["crt"]))
    key_id, digits, signature = (base64.b64decode(part) for part in body["genuine"].split("."))
    certificate.public_key().verify(signature, digits, ec.ECDSA(hashes.SHA256()))
    ski = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert key_id == ski.digest
    assert digits == b"1700000000"
    name = certificate.subject.get_attributes_for_oid(x509.oid.NameOID.COMMON_NAME)[0].value
    assert name == "#" + read_config(rig)["genuine_id"]
    assert rig.call("GET", "/api/system/config/attestation").status == 401


def test_a_fresh_chip_is_provisioned_once(make_rig):
    rig = make_rig(init=False)
    certificate = rig.call("GET", "/api/system/config/attestation").json()["crt"]
    body = {"genuine": "x", "crt": certificate}
    path = "/api/system/config/provisioning"
    assert rig.call("POST", path, body).status == 406
    control.run(rig.device, "fault", {"name": "unprovisioned"})
    fresh = rig.call("GET", "/api/system/config/attestation").json()
    assert list(fresh) == ["csr", "key", "genuine"]
    assert x509.load_pem_x509_csr(fresh["csr"].encode()).is_signature_valid
    other = make_rig(init=False).call("GET", "/api/system/config/attestation").json()["crt"]
    assert rig.call("POST", path, {**body, "crt": other}).status == 406
    assert rig.call("POST", path, {**body, "crt": "AAAA"}).status == 406
    assert rig.call("POST", path, body).status == 200
    rig.initialise()
    assert rig.call("POST", path, body).status == 403


def test_a_device_without_tls_recovers_through_plain_http(rig):
    token = rig.token("system:config")
    control.run(rig.device, "fault", {"name": "lost-certificate"})
    with pytest.raises(DeviceUnreachable):
        status(rig)
    proof = rig.call("GET", "/api/system/config/attestation", token=token, secure=False).json()["genuine"]
    bundle = rig.cloud("POST", "/domain/register/my", {"genuine": proof, "ip": "192.168.7.1"}).json()
    assert len(bundle["key"]) == 113
    answer = rig.call("POST", "/api/system/config", {"tls": bundle}, token=token, secure=False)
    assert answer.json() == {"updated": True, "reboot_required": True}
    rig.call("GET", "/api/system/reboot", token=token, secure=False)
    assert status(rig)["fls_state"] == 0


def test_a_fresh_device_takes_a_tls_bundle_at_once(make_rig):
    rig = make_rig(init=False)
    control.run(rig.device, "fault", {"name": "lost-certificate"})
    proof = rig.call("GET", "/api/system/config/attestation", secure=False).json()["genuine"]
    bundle = rig.cloud("POST", "/domain/register/my/authkey", {"genuine": proof}).json()
    assert rig.call("POST", "/api/system/config", {"user": "x"}, secure=False).status == 406
    answer = rig.call("POST", "/api/system/config", {"tls": bundle}, secure=False)
    assert (answer.status, answer.body) == (200, b"")
    assert status(rig)["inited"] is False


def test_a_bundle_for_another_device_is_refused(make_rig):
    rig, other = make_rig(), make_rig(init=False)
    control.run(other.device, "reset", {"how": "factory"})
    proof = other.call("GET", "/api/system/config/attestation").json()["genuine"]
    bundle = other.cloud("POST", "/domain/register/my", {"genuine": proof}).json()
    assert config(rig, {"tls": bundle}).status == 400
    assert rig.cloud("POST", "/domain/register/my", {"genuine": proof}).status == 401


def test_a_name_of_ones_own_is_registered_by_request_and_poll(rig):
    assert rig.cloud("GET", "/domain/check/acme").status == 404
    made = config(rig, {"gen_csr": True}).json()
    assert list(made) == ["csr", "genuine", "updated"]
    order = {"csr": made["csr"], "genuine": made["genuine"], "ip": "192.168.7.1"}
    answer = rig.cloud("POST", "/domain/register/acme", order)
    assert answer.status == 201
    path = f"/domain/register/{answer.json()['id']}"
    assert rig.cloud("GET", path).status == 202
    bundle = rig.cloud("GET", path).json()
    assert rig.cloud("GET", "/domain/check/acme").status == 200
    assert config(rig, {"tls": bundle}).json()["reboot_required"] is True
    with rig.device.model.transaction():
        assert "acme.ence.do" in tls.certificate_names(rig.device.model.state.tls.chain)


def test_storage_follows_the_scope_not_the_path(rig):
    def call(path, scope):
        return rig.call("GET", f"/api/storage/{path}", token=rig.token(scope)).status

    def disks():
        return [text.split(":")[1] for text in status(rig)["storage"]]

    assert call("unlock", "storage:disk1:rw") == 200
    assert disks() == ["ro", "rw"]
    assert call("unlock/ro", "storage:disk1:rw") == 200
    assert disks() == ["ro", "ro"]
    assert call("unlock/rw", "storage:disk1") == 406
    assert call("unlock/rw", "storage:disk1:rw") == 200
    assert call("lock", "storage:disk1") == 200
    assert call("lock", "storage:disk0:rw") == 200
    assert disks() == ["-", "-"]
    assert call("unlock", "storage:disk0") == 200
    assert disks() == ["ro", "-"]
    assert call("unlock", "storage:disk2") == 406
    assert call("unlock", "storage:disk") == 406


IMAGE = b"hem-provider emulator image 1.3.0\n" + bytes(100)


def upload(rig, part, content, filename, **headers):
    given = [("Content-Type", "application/octet-stream"), *headers.items()]
    if filename is not None:
        given.append(("Content-Disposition", f'attachment; filename="{filename}"'))
    token = rig.token("system:upgrade")
    return rig.call("POST", f"/api/system/upgrade/upload_{part}", content, token=token, headers=given)


def test_firmware_is_uploaded_checked_and_installed(rig):
    token = rig.token("system:upgrade")

    def get(path):
        return rig.call("GET", f"/api/system/upgrade/{path}", token=token).status

    assert get("check_fw") == 404
    assert get("install_fw") == 406
    assert upload(rig, "fw", IMAGE, "firmware.bin").status == 200
    assert get("install_fw") == 406
    assert [get("check_fw"), get("check_fw"), get("check_fw")] == [201, 200, 200]
    assert get("install_fw") == 200
    assert rig.call("GET", "/api/system/version").json()["fwv"] == "Encedo nGINE FW v1.3.0"
    assert status(rig)["fw_upgrade"] is True
    assert "fw_upgrade" not in status(rig)
    assert get("check_fw") == 401  # the token ended with the restart


def test_a_check_runs_in_the_background_for_as_long_as_the_profile_says(rig, tmp_path):
    (tmp_path / "slow.json").write_text('{"image": 8}')
    control.run(rig.device, "latency", {"profile": str(tmp_path / "slow.json")})
    token = rig.token("system:upgrade")
    upload(rig, "ui", IMAGE, "webroot.tar")

    def check():
        return rig.call("GET", "/api/system/upgrade/check_ui", token=token).status

    assert [check(), check()] == [201, 202]
    rig.clock.advance(8)
    assert check() == 200
    assert rig.call("GET", "/api/system/upgrade/install_ui", token=token).status == 200
    assert check() == 409


def test_faulty_uploads_have_their_ends(rig):
    assert upload(rig, "fw", IMAGE, None).status == 413
    for name, content in (("firmware.exe", IMAGE), ("firmware.bin", bytes((3 << 20) + 1))):
        with pytest.raises(ConnectionError):
            upload(rig, "fw", content, name)
    assert upload(rig, "fw", bytes((16 << 20) + 1), "firmware.bin").status == 413
    short = upload(rig, "fw", IMAGE, "firmware.bin", **{"Content-Length": str(len(IMAGE) + 1)})
    assert short.status == 406
    assert upload(rig, "fw", b"not an image", "firmware.hex").status == 200
    token = rig.token("system:upgrade")
    checks = [rig.call("GET", "/api/system/upgrade/check_fw", token=token).status for _ in range(3)]
    assert checks == [201, 406, 404]


def test_usb_mode_takes_the_device_off_the_network(rig):
    assert rig.call("GET", "/api/system/upgrade/usbmode", token=rig.token("system:config")).status == 200
    with pytest.raises(DeviceUnreachable):
        status(rig)


def test_an_installation_in_progress_is_409(rig):
    token = rig.token("system:config")
    control.run(rig.device, "fault", {"name": "install-busy"})
    for path in ("reboot", "shutdown", "upgrade/install_fw", "config/attestation"):
        assert rig.call("GET", f"/api/system/{path}", token=token).status == 409
    assert config(rig, {"ctx": 1}, token=token).status == 409
    control.run(rig.device, "clear", {"name": "install-busy"})
    assert config(rig, {"ctx": 1}, token=token).status == 200


@pytest.mark.parametrize(
    ("allowed", "origin", "status"),
    [
        ("*", "https://any.example", 200),
        ("https://a.example", "https://a.example", 200),
        ("https://a.example", "https://b.example", 412),
        ("*.encedo.com", "https://my.encedo.com", 200),
        ("*.encedo.com", "https://encedo.com.evil.example", 412),
        ("*.encedo.com", "https://evilencedo.com", 412),
    ],
)
def test_origins_are_checked_against_the_allow_list(rig, allowed, origin, status):
    config(rig, {"origin": allowed})
    for method in ("GET", "OPTIONS"):
        answer = rig.call(method, "/api/system/status", headers=[("Origin", origin)])
        expected = 204 if (method, status) == ("OPTIONS", 200) else status
        assert answer.status == expected
        assert answer.body == b"" or status == 200


def test_preflight_answers_on_any_path(rig):
    answer = rig.call("OPTIONS", "/api/nowhere")
    assert answer.status == 204
    assert answer.headers["access-control-allow-methods"] == "GET, POST, DELETE, OPTIONS"
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["access-control-max-age"] == "86400"
    assert "Authorization" in answer.headers["access-control-allow-headers"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/api/system/nowhere"),
        ("POST", "/api/system/status"),
        ("DELETE", "/api/logger/0"),
        ("POST", "/api/keymgmt/list"),
        ("GET", "/api/system/status/"),
        ("PUT", "/api/system/config"),
    ],
)
def test_unknown_paths_and_methods_are_404(rig, method, path):
    answer = rig.call(method, path, {} if method == "POST" else None)
    assert (answer.status, answer.body, answer.headers["content-type"]) == (404, b"", "application/json")
