"""Key management (device API §11)."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hem_provider.emulator.encodings import to_b64
from hem_provider.emulator.keys import generate
from hem_provider.emulator.keytypes import KEY_TYPES

LIST_TYPES = {
    **{name: f"ATT,PKEY,ECDH,{name}" for name in ("SECP256R1", "SECP384R1", "SECP521R1", "SECP256K1")},
    **{name: f"ATT,PKEY,ExDSA,{name}" for name in ("ED25519", "ED448")},
    **{name: f"ATT,PKEY,ECDH,{name}" for name in ("CURVE25519", "CURVE448")},
    **{name: f"ATT,{name}" for name in KEY_TYPES if name.startswith(("SHA", "AES"))},
    **{name: f"ATT,PKEY,PQC,{name}" for name in KEY_TYPES if name.startswith("ML")},
}


def listed(rig):
    """All entries but the TLS records, walked page by page."""
    token, entries, offset = rig.token("keymgmt:list"), [], 0
    while True:
        page = rig.call("GET", f"/api/keymgmt/list/{offset}", token=token).json()
        entries += page["list"]
        offset += page["listed"]
        if not page["list"] or offset >= page["total"]:
            return [entry for entry in entries if not entry["label"].startswith("TLS ")]


def get(rig, kid):
    return rig.call("GET", f"/api/keymgmt/get/{kid}", token=rig.token("keymgmt:get"))


@pytest.mark.parametrize("kind", KEY_TYPES)
def test_every_type_is_created_listed_and_read_with_its_strings_and_sizes(rig, kind):
    kid = rig.create(kind, descr=to_b64(b"APP001:web"))
    (entry,) = listed(rig)
    now = 1_700_000_000
    assert entry == {
        "kid": kid,
        "created": now,
        "type": LIST_TYPES[kind],
        "label": "test",
        "descr": to_b64(b"APP001:web"),
        "updated": now,
    }
    body = get(rig, kid).json()
    if KEY_TYPES[kind].symmetric:
        assert body == {"type": f"ATT,{kind}", "updated": now}
    else:
        assert list(body) == ["type", "pubkey", "updated"]
        assert body["type"] == kind
        public = base64.b64decode(body["pubkey"])
        assert len(public) == KEY_TYPES[kind].public
        assert kid == hashlib.sha1(public).hexdigest()[:32]


@pytest.mark.parametrize("mode", ["ECDH", "ExDSA", "ECDH,ExDSA"])
def test_modes_of_secp_keys_show_in_the_list(rig, mode):
    rig.create("SECP384R1", mode=mode)
    assert listed(rig)[0]["type"] == f"ATT,PKEY,{mode},SECP384R1"


@pytest.mark.parametrize(
    "fields",
    [
        {"label": ""}, {"label": "x" * 33}, {"label": "ü"}, {"label": "tab\t"}, {"label": 5}, {"label": None},
        {"type": "RSA2048"}, {"type": ""}, {"type": "X" * 17}, {"type": None}, {"mode": "ecdh"}, {"mode": ""},
        {"mode": "ExDSA,ECDH"}, {"descr": ""}, {"descr": "*"}, {"descr": 7}, {"descr": "A"},
    ],
    ids=str,
)  # fmt: skip
def test_a_faulty_create_is_400_and_stores_nothing(rig, fields):
    body = {"label": "x", "type": "SECP256R1", **fields}
    assert rig.call("POST", "/api/keymgmt/create", body, token=rig.token("keymgmt:gen")).status == 400
    assert listed(rig) == []


def test_a_label_of_32_characters_passes(rig):
    rig.create("AES128", label="~" * 32)
    assert listed(rig)[0]["label"] == "~" * 32


def test_pages_hold_15_and_iterate_in_storage_order(rig):
    kids = [rig.create("AES128", label=f"k{number}") for number in range(33)]
    assert [entry["kid"] for entry in listed(rig)] == kids
    token = rig.token("keymgmt:list")

    def page(path):
        body = rig.call("GET", f"/api/keymgmt/list{path}", token=token).json()
        return body["offset"], body["total"], body["listed"], len(body["list"])

    assert page("") == (0, 35, 15, 15)
    assert page("/30") == (30, 35, 5, 5)
    assert page("/0/4") == (0, 35, 4, 4)
    assert page("/2/100") == (2, 35, 15, 15)
    assert page("/35") == (35, 35, 0, 0)
    assert page("/4000") == (4000, 35, 0, 0)


@pytest.mark.parametrize("path", ["/x", "/-1", "/0/x", "/1e3", "/99999999999"])
def test_a_malformed_list_offset_is_406(rig, path):
    assert rig.call("GET", f"/api/keymgmt/list{path}", token=rig.token("keymgmt:list")).status == 406


def test_deleted_keys_are_gone_and_counted(rig):
    kid = rig.create("ED25519")
    token = rig.token("keymgmt:del")
    answer = rig.call("DELETE", f"/api/keymgmt/delete/{kid}", token=token)
    assert (answer.status, answer.body) == (200, b"")
    assert rig.call("DELETE", f"/api/keymgmt/delete/{kid}", token=token).status == 406
    assert get(rig, kid).status == 406
    page = rig.call("GET", "/api/keymgmt/list", token=rig.token("keymgmt:list")).json()
    assert (page["deleted"], page["total"]) == (1, 2)


@pytest.mark.parametrize("kid", ["abc", "g" * 32, "0" * 31, "0" * 33])
def test_a_malformed_kid_is_400(rig, kid):
    assert get(rig, kid).status == 400
    assert rig.call("DELETE", f"/api/keymgmt/delete/{kid}", token=rig.token("keymgmt:del")).status == 400


def test_kids_are_accepted_in_upper_case(rig):
    kid = rig.create("ED448")
    assert get(rig, kid.upper()).status == 200
    token = rig.use(kid)
    assert rig.call("GET", f"/api/keymgmt/get/{kid.upper()}", token=token).status == 200


PUBLIC = {
    name: generate(KEY_TYPES[name]).public for name in KEY_TYPES if not KEY_TYPES[name].symmetric
}  # 14 asymmetric types
IMPORT_TYPES = {
    **{name: f"ECDH,{name}" for name in ("SECP256R1", "SECP384R1", "SECP521R1", "SECP256K1")},
    **{name: f"ExDSA,{name}" for name in ("ED25519", "ED448")},
    **{name: f"ECDH,{name}" for name in ("CURVE25519", "CURVE448")},
    **{name: f"PQC,{name}" for name in KEY_TYPES if name.startswith("ML")},
}


def import_key(rig, kind, public, **more):
    body = {"label": "imported", "type": kind, "pubkey": to_b64(public), **more}
    return rig.call("POST", "/api/keymgmt/import", body, token=rig.token("keymgmt:imp"))


@pytest.mark.parametrize("kind", PUBLIC)
def test_public_keys_of_14_types_are_imported_once(rig, kind):
    answer = import_key(rig, kind, PUBLIC[kind])
    assert answer.json() == {"kid": hashlib.sha1(PUBLIC[kind]).hexdigest()[:32]}
    assert listed(rig)[0]["type"] == IMPORT_TYPES[kind]
    assert import_key(rig, kind, PUBLIC[kind]).status == 406


@pytest.mark.parametrize(
    ("kind", "public"),
    [
        ("RSA", b"x" * 32), ("AES256", b"x" * 32), ("SHA2-256", b"x" * 32), ("ED25519", b"x" * 31),
        ("SECP256R1", b"\x05" + b"x" * 32), ("SECP256R1", b"\x02" + b"\xff" * 32), ("MLKEM512", b"x" * 801),
    ],
)  # fmt: skip
def test_an_import_of_wrong_type_length_or_point_is_406(rig, kind, public):
    assert import_key(rig, kind, public).status == 406


def test_ml_kem_material_is_not_looked_at(rig):
    assert import_key(rig, "MLKEM768", b"\xff" * 1184).status == 200


def test_update_rewrites_label_and_descr(rig):
    kid = rig.create("AES128", descr=to_b64(b"first"))
    rig.clock.advance(10)
    body = {"kid": kid, "label": "new", "descr": to_b64(b"second")}
    answer = rig.call("POST", "/api/keymgmt/update", body, token=rig.token("keymgmt:upd"))
    assert (answer.status, answer.body) == (200, b"")
    (entry,) = listed(rig)
    assert (entry["label"], entry["descr"]) == ("new", to_b64(b"second"))
    assert entry["updated"] == entry["created"] + 10
    unknown = {"kid": "0" * 32, "label": "x"}
    assert rig.call("POST", "/api/keymgmt/update", unknown, token=rig.token("keymgmt:upd")).status == 406


def search(rig, needle, token=None, **more):
    return rig.call("POST", "/api/keymgmt/search", {"descr": needle, **more}, token=token)


def test_search_matches_decoded_bytes_at_start_end_or_anywhere(rig):
    first = rig.create("AES128", descr=to_b64(b"APP001:web"))
    second = rig.create("AES128", descr=to_b64(b"APP001:mail"))
    token = rig.token("keymgmt:search")

    def found(needle):
        body = search(rig, needle, token).json()
        assert body["total"] == len(body["list"]) == body["listed"]
        return [entry["kid"] for entry in body["list"]]

    for size in range(1, 8):  # also lengths whose base64 is no textual prefix
        assert found("^" + to_b64(b"APP001:"[:size])) == [first, second]
    assert found(to_b64(b"web") + "$") == [first]
    assert found(to_b64(b"1:m")) == [second]
    assert found("^" + to_b64(b"APP001:web") + "$") == [first]
    assert found("^" + to_b64(b"APP001") + "$") == []
    assert found("^" + to_b64(b"web")) == []


def test_anonymous_search_needs_an_anchor_and_six_bytes(make_rig):
    rig = make_rig(init=False)
    rig.initialise()
    kid = rig.create("AES128", descr=to_b64(b"APP001:web"))
    assert search(rig, "^" + to_b64(b"APP001")).json()["list"][0]["kid"] == kid
    assert search(rig, "^" + to_b64(b"APP00")).status == 401
    assert search(rig, to_b64(b"APP001")).status == 401
    assert search(rig, to_b64(b"APP001") + "$").status == 401
    closed = make_rig(init=False)
    closed.initialise(allow_keysearch=False)
    assert search(closed, "^" + to_b64(b"APP001")).status == 401


def test_search_pages_its_matches_and_limits_its_needle(rig):
    for _ in range(20):
        rig.create("AES128", descr=to_b64(b"paged"))
    token = rig.token("keymgmt:list")
    needle = "^" + to_b64(b"paged")
    page = search(rig, needle, token, offset=15).json()
    assert (page["offset"], page["total"], page["listed"]) == (15, 20, 5)
    assert search(rig, needle, token, limit=3).json()["listed"] == 3
    assert search(rig, "^" + to_b64(b"x" * 64), token).status == 200
    assert search(rig, "^" + to_b64(b"x" * 65), token).status == 406
    assert search(rig, needle, token, offset=-1).status == 400


PAIRS = [
    ("SECP256R1", "AES256"), ("SECP384R1", "SHA2-384"), ("SECP521R1", "SHA3-512"), ("SECP256K1", "ED25519"),
    ("CURVE25519", "CURVE25519"), ("CURVE448", "CURVE448"), ("SECP521R1", "SECP521R1"),
    ("SECP521R1", "ED448"),
    ("CURVE25519", "SECP256R1"),
]  # fmt: skip


def derive(rig, kid, kind, **more):
    body = {"kid": kid, "label": "derived", "type": kind, **more}
    return rig.call("POST", "/api/keymgmt/derive", body, token=rig.token("keymgmt:gen"))


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_derivation_is_deterministic_and_agrees_from_both_sides(rig, source, target):
    one, two = rig.create(source), rig.create(source)
    answer = derive(rig, one, target, ext_kid=two)
    assert answer.status == 200
    assert derive(rig, one, target, ext_kid=two).status == 406
    assert derive(rig, two, target, ext_kid=one).status == 406  # the same secret from the other side
    entry = next(entry for entry in listed(rig) if entry["kid"] == answer.json()["kid"])
    assert "ATT" not in entry["type"].split(",")
    assert ("PKEY" in entry["type"]) is (not KEY_TYPES[target].symmetric)


def test_derivation_is_refused_for_too_large_a_target_and_for_post_quantum_types(rig):
    kid = rig.create("CURVE25519")
    for kind in ("SECP521R1", "SHA2-512", "MLKEM768", "MLDSA44", "ED448"):
        assert derive(rig, kid, kind, ext_kid=kid).status == 406


def test_derivation_needs_a_private_ecdh_key_and_a_peer_of_its_family(rig):
    kid, other = rig.create("CURVE25519"), rig.create("CURVE448")
    imported = import_key(rig, "CURVE25519", PUBLIC["CURVE25519"]).json()["kid"]
    signer = rig.create("SECP256R1", mode="ExDSA")
    assert derive(rig, kid, "AES128").status == 406
    assert derive(rig, kid, "AES128", ext_kid=other).status == 406
    assert derive(rig, imported, "AES128", ext_kid=kid).status == 406
    assert derive(rig, signer, "AES128", ext_kid=signer).status == 406
    assert derive(rig, "0" * 32, "AES128", ext_kid=kid).status == 406
    assert derive(rig, kid, "AES128", ext_kid=imported).status == 200
    assert derive(rig, kid, "AES192", pubkey=to_b64(PUBLIC["CURVE25519"])).status == 200


def test_a_malformed_descr_is_dropped_by_derive(rig):
    kid = rig.create("CURVE25519")
    assert derive(rig, kid, "AES128", ext_kid=kid, descr="***").status == 200
    assert "descr" not in listed(rig)[1]


@given(descr=st.binary(min_size=1, max_size=200))
def test_any_descr_is_read_back_cut_to_64_bytes(session_rig, descr):
    kid = session_rig.create("AES128", descr=to_b64(descr))
    token = session_rig.token("keymgmt:list")
    needle = "^" + to_b64(descr[:64])
    found = search(session_rig, needle, token).json()["list"]
    entry = next((entry for entry in found if entry["kid"] == kid), None)
    session_rig.call("DELETE", f"/api/keymgmt/delete/{kid}", token=session_rig.token("keymgmt:del"))
    assert entry is not None
    assert base64.b64decode(entry["descr"]) == descr[:64]
