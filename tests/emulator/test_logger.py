"""The audit log: files, key records, MACs, event numbers (device API §14)."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from support.logs import BadLog, verify
from support.pages import taken

from hem_provider.emulator import control
from hem_provider.emulator.encodings import from_b64, to_b64, to_b64url

SAMPLE_KEY = "T61jY1AgV5XUW++eAcQibRDFOl5KjKwLGdo+U0def8A="
PAGE = Path(__file__).parents[2] / "docs" / "development" / "device-api.md"


def test_the_published_sample_verifies_and_a_changed_one_does_not():
    assert SAMPLE_KEY in PAGE.read_text("utf-8")
    [sample] = taken(PAGE, "text", "|62310ba5|")
    public = from_b64(SAMPLE_KEY)
    assert [record[0] for record in verify(sample, public)] == [0, 1, 7, 0x13, 0x1D, 0x12, 2]
    with pytest.raises(BadLog):
        verify(sample.replace("|M|", "|U|"), public)
    with pytest.raises(BadLog):
        verify(sample, bytes(32))


def finished_log(rig):
    """End the current file by a restart; its records."""
    token = rig.token("logger:get")
    public = from_b64(rig.call("GET", "/api/logger/key", token=token).json()["key"])
    files = rig.call("GET", "/api/logger/list", token=token).json()["id"]
    control.run(rig.device, "reset", {"how": "reboot"})
    rig.check_in()
    answer = rig.call("GET", f"/api/logger/{files[-1]}", token=rig.token("logger:get"))
    assert answer.headers["content-type"] == "text/plain"
    text = answer.body.decode()
    assert text.startswith("# Encedo nGINE FW v1.2.2\r\n0|")
    assert text.count("\r\n") == text.count("\n")
    return verify(text, public)


def test_a_life_from_the_factory_is_logged_and_verifies(make_rig):
    rig = make_rig(init=False)
    rig.initialise()
    rig.call("POST", "/api/system/config", {"ctx": 1}, token=rig.token("system:config"))
    records = finished_log(rig)
    assert [(event, actor) for event, _, actor, _ in records[1:]] == [
        (1, ""),
        (7, ""),
        (0x13, ""),
        (0x1D, "M"),
        (13, "U"),
        (18, "U"),
        (13, "U"),
        (9, "U"),
    ]
    assert records[3][3] == to_b64url((1_700_000_000).to_bytes(4, "little"))


def test_each_operation_has_its_event_and_each_outcome_its_result(rig):
    kid = rig.create("SECP256R1", mode="ECDH,ExDSA")
    ed, aes, mac = rig.create("ED25519"), rig.create("AES128"), rig.create("SHA2-256")
    kem, dsa = rig.create("MLKEM768"), rig.create("MLDSA44")
    message = to_b64(bytes(16))
    expected = [(20, 0)] * 6

    def expect(event, *results):
        expected.extend((event, result) for result in results)

    for alg, msg in (("Ed25519", message), ("Ed448", message), ("Ed25519", "")):
        rig.crypto("exdsa/sign", ed, msg=msg, alg=alg)
    expect(32, 0, 1, 2)
    rig.crypto("exdsa/verify", ed, msg=message, alg="Ed25519", sign=to_b64(bytes(64)))
    expect(33, 1)
    rig.crypto("hmac/hash", mac, msg=message)
    rig.crypto("hmac/verify", mac, msg=message, mac=to_b64(bytes(32)))
    expect(30, 0)
    expect(31, 1)
    wrapped = rig.crypto("cipher/wrap", aes, msg=message, alg="AES128").json()["wrapped"]
    rig.crypto("cipher/unwrap", aes, msg=wrapped, alg="AES128")
    expect(34, 0)
    expect(35, 0)
    rig.crypto("cipher/encrypt", aes, msg=message, alg="AES128-ECB")
    rig.crypto("cipher/decrypt", aes, msg=message, alg="AES128-ECB")
    expect(36, 0)
    expect(37, 0)
    rig.crypto("ecdh", kid, ext_kid=kid)
    expect(38, 0)
    ct = rig.crypto("pqc/mlkem/encaps", kem).json()["ct"]
    rig.crypto("pqc/mlkem/decaps", kem, ct=ct)
    expect(39, 0)
    expect(40, 0)
    rig.crypto("pqc/mldsa/sign", dsa, msg=message)
    rig.crypto("pqc/mldsa/verify", dsa, msg=message, sign=to_b64(bytes(2420)))
    expect(41, 0)
    expect(42, 1)
    derive = {"kid": kid, "label": "d", "type": "AES128", "ext_kid": kid}
    for _ in range(2):
        rig.call("POST", "/api/keymgmt/derive", derive, token=rig.token("keymgmt:gen"))
    expect(26, 0, 2)  # derive logs 406 as an error
    public = {"label": "i", "type": "ED25519", "pubkey": to_b64(bytes(range(32)))}
    for _ in range(2):
        rig.call("POST", "/api/keymgmt/import", public, token=rig.token("keymgmt:imp"))
    expect(22, 0, 1)
    update = {"kid": aes, "label": "new"}
    rig.call("POST", "/api/keymgmt/update", update, token=rig.token("keymgmt:upd"))
    expect(25, 0)
    for _ in range(2):
        rig.call("DELETE", f"/api/keymgmt/delete/{aes}", token=rig.token("keymgmt:del"))
    expect(21, 0, 1)
    rig.call("GET", "/api/keymgmt/list", token=rig.token("wrong"))
    expect(12, 1)
    rig.call("GET", f"/api/keymgmt/get/{kid}", token=rig.token("keymgmt:get"))  # public reads leave no record
    rig.call("GET", "/api/logger/list", token=rig.token("logger:get"))
    expect(9, 0)
    rig.call("GET", "/api/logger/00000000", token=rig.token("logger:get"))
    found = [record[:2] for record in finished_log(rig) if record[0] not in (0, 1, 7, 13, 0x13, 0x1D)]
    assert found[:-1] == expected
    assert found[-1] == (9, 0)  # the listing of finished_log itself


def test_a_request_without_bearer_leaves_no_record(rig):
    for _ in range(3):
        rig.call("POST", "/api/keymgmt/create", b"nonsense")
        rig.call("POST", "/api/crypto/exdsa/sign", {})
    assert 20 not in [record[0] for record in finished_log(rig)]


def test_the_key_endpoint_signs_its_nonce(rig):
    body = rig.call("GET", "/api/logger/key", token=rig.token("logger:get")).json()
    key = ed25519.Ed25519PublicKey.from_public_bytes(from_b64(body["key"]))
    key.verify(from_b64(body["nonce_signed"]), from_b64(body["nonce"]))


def test_files_are_one_per_power_up_sorted_and_paged_by_128(rig):
    for _ in range(130):
        control.run(rig.device, "reset", {"how": "power-cycle"})
    rig.check_in()
    token = rig.token("logger:get")
    first = rig.call("GET", "/api/logger/list", token=token).json()
    rest = rig.call("GET", "/api/logger/list/128", token=token).json()
    assert first["total"] == rest["total"] == 131
    assert (len(first["id"]), len(rest["id"])) == (128, 3)
    ids = first["id"] + rest["id"]
    assert ids == sorted(set(ids))
    assert all(len(name) == 8 for name in ids)
    assert rig.call("GET", "/api/logger/list/x", token=token).status == 406
    assert rig.call("GET", f"/api/logger/{ids[-1]}", token=token).status == 406
    assert rig.call("GET", "/api/logger/00000000", token=token).status == 404
    assert rig.call("GET", "/api/logger/xyz", token=token).status == 404


def test_the_log_key_is_replaced_by_a_wipe_only(rig):
    def key():
        return rig.call("GET", "/api/logger/key", token=rig.token("logger:get")).json()["key"]

    before = key()
    control.run(rig.device, "reset", {"how": "reboot"})
    rig.check_in()
    assert key() == before
    control.run(rig.device, "reset", {"how": "wipe"})
    rig.initialise()
    assert key() != before
