"""Cryptographic operations through the API, checked with ``cryptography`` outside (device API §13)."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from hem_provider.emulator.encodings import to_b64
from hem_provider.emulator.keytypes import KEY_TYPES

SECP = {
    "SECP256R1": ec.SECP256R1(),
    "SECP384R1": ec.SECP384R1(),
    "SECP521R1": ec.SECP521R1(),
    "SECP256K1": ec.SECP256K1(),
}
HASHES = {"SHA256": hashes.SHA256(), "SHA384": hashes.SHA384(), "SHA512": hashes.SHA512()}
MESSAGE = to_b64(b"message")


def field(answer, name):
    assert answer.status == 200, answer
    return base64.b64decode(answer.json()[name])


def public_of(rig, kid):
    answer = rig.call("GET", f"/api/keymgmt/get/{kid}", token=rig.token("keymgmt:get"))
    return base64.b64decode(answer.json()["pubkey"])


@pytest.mark.parametrize("kind", SECP)
def test_every_digest_signs_on_every_secp_curve(rig, kind):
    kid = rig.create(kind, mode="ExDSA")
    public = ec.EllipticCurvePublicKey.from_encoded_point(SECP[kind], public_of(rig, kid))
    token = rig.use(kid)
    for digest, algorithm in HASHES.items():
        body = {"kid": kid, "msg": MESSAGE, "alg": f"{digest}WithECDSA"}
        signature = field(rig.call("POST", "/api/crypto/exdsa/sign", body, token=token), "sign")
        public.verify(signature, b"message", ec.ECDSA(algorithm))
        check = {**body, "sign": to_b64(signature)}
        answer = rig.call("POST", "/api/crypto/exdsa/verify", check, token=token)
        assert (answer.status, answer.body) == (200, b"")
        wrong = {**check, "msg": to_b64(b"other")}
        assert rig.call("POST", "/api/crypto/exdsa/verify", wrong, token=token).status == 406


@pytest.mark.parametrize(
    ("kind", "algorithm", "context", "size"),
    [
        ("ED25519", "Ed25519", None, 64),
        ("ED25519", "Ed25519ph", None, 64),
        ("ED25519", "Ed25519ph", b"c", 64),
        ("ED25519", "Ed25519ctx", b"c" * 255, 64),
        ("ED448", "Ed448", None, 114),
        ("ED448", "Ed448", b"c" * 32, 114),
        ("ED448", "Ed448ph", None, 114),
        ("ED448", "Ed448ph", b"c", 114),
    ],
)
def test_every_eddsa_variant_signs_and_verifies(rig, kind, algorithm, context, size):
    kid = rig.create(kind)
    body = {"msg": MESSAGE, "alg": algorithm}
    if context is not None:
        body["ctx"] = to_b64(context)
    signature = field(rig.crypto("exdsa/sign", kid, **body), "sign")
    assert len(signature) == size
    assert rig.crypto("exdsa/verify", kid, **body, sign=to_b64(signature)).status == 200
    other = {**body, "ctx": to_b64(b"other context")}
    expected = 406 if algorithm != "Ed25519" else 200  # plain Ed25519 ignores ctx
    assert rig.crypto("exdsa/verify", kid, **other, sign=to_b64(signature)).status == expected


def test_a_public_key_verifies_but_does_not_sign(rig):
    kid = rig.create("ED25519")
    public = public_of(rig, kid)
    signature = rig.crypto("exdsa/sign", kid, msg=MESSAGE, alg="Ed25519").json()["sign"]
    assert rig.call("DELETE", f"/api/keymgmt/delete/{kid}", token=rig.token("keymgmt:del")).status == 200
    body = {"label": "i", "type": "ED25519", "pubkey": to_b64(public)}
    assert rig.call("POST", "/api/keymgmt/import", body, token=rig.token("keymgmt:imp")).json()["kid"] == kid
    assert rig.crypto("exdsa/verify", kid, msg=MESSAGE, alg="Ed25519", sign=signature).status == 200
    assert rig.crypto("exdsa/sign", kid, msg=MESSAGE, alg="Ed25519").status == 406


@pytest.mark.parametrize(
    ("kind", "fields", "status"),
    [
        ("ED25519", {"alg": "SHA256WithECDSA"}, 406),
        ("SECP256R1", {"alg": "Ed25519"}, 406),
        ("ED25519", {"alg": "Ed448"}, 406),
        ("AES128", {"alg": "Ed25519"}, 406),
        ("ED25519", {"alg": "SHA1WithECDSA"}, 400),
        ("ED25519", {"alg": None}, 400),
        ("ED25519", {"msg": ""}, 400),
        ("ED25519", {"msg": to_b64(bytes(2049))}, 400),
        ("ED25519", {"msg": to_b64(bytes(2048))}, 200),
        ("ED25519", {"ctx": to_b64(bytes(256))}, 400),
        ("ED25519", {"alg": "Ed25519ctx"}, 406),
    ],
    ids=lambda value: str(value)[:40],
)
def test_signing_with_the_wrong_key_or_field_has_its_status(rig, kind, fields, status):
    mode = {"mode": "ExDSA"} if kind.startswith("SECP") else {}
    kid = rig.create(kind, **mode)
    body = {"msg": MESSAGE, "alg": "Ed25519", **fields}
    assert rig.crypto("exdsa/sign", kid, **body).status == status


def test_an_unknown_key_is_406(rig):
    assert rig.crypto("exdsa/sign", "0" * 32, msg=MESSAGE, alg="Ed25519").status == 406


AGREEING = ["SECP256R1", "SECP384R1", "SECP521R1", "SECP256K1", "CURVE25519", "CURVE448"]


@pytest.mark.parametrize("kind", AGREEING)
def test_agreement_is_symmetric_hashed_over_the_full_secret_and_raw_cut_to_32(rig, kind):
    one, two = rig.create(kind), rig.create(kind)
    full = {}
    for digest, name in (("SHA2-256", "sha256"), ("SHA2-512", "sha512"), ("SHA3-384", "sha3_384")):
        mine = field(rig.crypto("ecdh", one, ext_kid=two, alg=digest), "ecdh")
        yours = field(rig.crypto("ecdh", two, pubkey=to_b64(public_of(rig, one)), alg=digest), "ecdh")
        assert mine == yours
        full[name] = mine
    raw = field(rig.crypto("ecdh", one, ext_kid=two), "ecdh")
    assert len(raw) == 32
    if KEY_TYPES[kind].public in (32, 33):
        assert full["sha256"] == hashlib.sha256(raw).digest()
    else:
        rig.quirk("Q11", "off")
        whole = field(rig.crypto("ecdh", one, ext_kid=two), "ecdh")
        assert whole[:32] == raw
        assert full["sha512"] == hashlib.sha512(whole).digest()


def test_agreement_refuses_missing_foreign_and_signing_keys(rig):
    kid, other = rig.create("SECP256R1"), rig.create("SECP256K1")
    signer = rig.create("SECP256R1", mode="ExDSA")
    assert rig.crypto("ecdh", kid).status == 406
    assert rig.crypto("ecdh", kid, ext_kid=other).status == 406
    assert rig.crypto("ecdh", kid, ext_kid="0" * 32).status == 406
    assert rig.crypto("ecdh", kid, pubkey=to_b64(b"\x02" + b"\xff" * 32)).status == 406
    assert rig.crypto("ecdh", kid, pubkey=to_b64(b"\x02" * 68)).status == 400
    assert rig.crypto("ecdh", signer, ext_kid=signer).status == 406
    assert rig.crypto("ecdh", kid, ext_kid=kid).status == 200
    assert rig.crypto("ecdh", kid, ext_kid=kid, alg="").status == 200
    assert rig.crypto("ecdh", kid, ext_kid=kid, alg="MD5").status == 400


HMACS = {"SHA2-256": "sha256", "SHA2-384": "sha384", "SHA2-512": "sha512", "SHA3-256": "sha3_256",
         "SHA3-384": "sha3_384", "SHA3-512": "sha3_512"}  # fmt: skip


@pytest.mark.parametrize("kind", HMACS)
def test_hmac_by_key_type_makes_and_verifies(rig, kind):
    kid = rig.create(kind)
    mac = field(rig.crypto("hmac/hash", kid, msg=MESSAGE), "mac")
    assert len(mac) == hashlib.new(HMACS[kind]).digest_size
    answer = rig.crypto("hmac/verify", kid, msg=MESSAGE, mac=to_b64(mac))
    assert (answer.status, answer.body) == (200, b"")
    assert rig.crypto("hmac/verify", kid, msg=MESSAGE, mac=to_b64(mac[:-1])).status == 406
    assert rig.crypto("hmac/verify", kid, msg=to_b64(b"other"), mac=to_b64(mac)).status == 406
    assert rig.crypto("hmac/verify", kid, msg=MESSAGE, mac=to_b64(bytes(65))).status == 400


def test_derived_hmac_is_keyed_by_the_raw_secret(rig):
    kid = rig.create("CURVE25519")
    secret = field(rig.crypto("ecdh", kid, ext_kid=kid), "ecdh")
    mac = field(rig.crypto("hmac/hash", kid, msg=MESSAGE, ext_kid=kid, alg="SHA3-512"), "mac")
    assert mac == hmac.digest(secret, b"message", hashlib.sha3_512)
    assert rig.crypto("hmac/hash", kid, msg=MESSAGE, ext_kid=kid).status == 406
    assert rig.crypto("hmac/hash", kid, msg=MESSAGE).status == 406
    assert rig.crypto("hmac/hash", rig.create("AES128"), msg=MESSAGE).status == 406


def encrypt(rig, kid, alg, data, **more):
    return rig.crypto("cipher/encrypt", kid, msg=to_b64(data), alg=alg, **more)


@pytest.mark.parametrize("bits", [128, 192, 256])
@pytest.mark.parametrize("mode", ["ECB", "CBC", "GCM"])
def test_aes_round_trips_in_every_width_and_mode(rig, bits, mode):
    kid = rig.create(f"AES{bits}")
    for size in (16, 1, 2048) if mode != "ECB" else (16, 2048):
        data = bytes(range(256)) * 8
        body = encrypt(rig, kid, f"AES{bits}-{mode}", data[:size]).json()
        assert set(body) == {"ciphertext", *{"ECB": (), "CBC": ("iv",), "GCM": ("iv", "tag")}[mode]}
        fields = {name: value for name, value in body.items() if name != "ciphertext"}
        plain = rig.crypto("cipher/decrypt", kid, msg=body["ciphertext"], alg=f"AES{bits}-{mode}", **fields)
        assert field(plain, "plaintext") == data[:size]


def test_gcm_authenticates_data_and_tag(rig):
    kid = rig.create("AES256")
    body = encrypt(rig, kid, "AES256-GCM", b"secret", aad=to_b64(b"header")).json()
    given = {"msg": body["ciphertext"], "alg": "AES256-GCM", "iv": body["iv"], "tag": body["tag"]}
    assert field(rig.crypto("cipher/decrypt", kid, **given, aad=to_b64(b"header")), "plaintext") == b"secret"
    assert rig.crypto("cipher/decrypt", kid, **given, aad=to_b64(b"other")).status == 406
    assert rig.crypto("cipher/decrypt", kid, **given).status == 406
    assert rig.crypto("cipher/decrypt", kid, **{**given, "tag": to_b64(bytes(16))}).status == 406


@pytest.mark.parametrize(
    "fields",
    [
        {"alg": "AES256-GCM", "iv": to_b64(bytes(16))},
        {"alg": "AES256-GCM", "tag": to_b64(bytes(16))},
        {"alg": "AES256-GCM", "iv": to_b64(bytes(12)), "tag": to_b64(bytes(16))},
        {"alg": "AES256-CBC"},
        {"alg": "AES256-CBC", "iv": to_b64(bytes(15))},
        {"alg": "AES256-XTS"},
        {"alg": "AES-CBC"},
        {},
        {"alg": "AES256-ECB", "msg": to_b64(bytes(15))},
    ],
    ids=str,
)
def test_a_faulty_decrypt_is_400(rig, fields):
    kid = rig.create("AES256")
    assert rig.crypto("cipher/decrypt", kid, **{"msg": to_b64(bytes(16)), **fields}).status == 400


def test_a_larger_key_is_cut_and_a_smaller_one_refused(rig):
    large, small = rig.create("AES256"), rig.create("AES128")
    body = encrypt(rig, large, "AES128-ECB", bytes(16))
    assert body.status == 200
    assert body.body != encrypt(rig, large, "AES256-ECB", bytes(16)).body
    assert encrypt(rig, small, "AES256-ECB", bytes(16)).status == 406
    assert encrypt(rig, rig.create("ED25519"), "AES128-ECB", bytes(16)).status == 406


def test_bad_cbc_padding_is_406(rig):
    kid = rig.create("AES128")
    block = field(encrypt(rig, kid, "AES128-ECB", bytes(16)), "ciphertext")
    answer = rig.crypto("cipher/decrypt", kid, msg=to_b64(block), alg="AES128-CBC", iv=to_b64(bytes(16)))
    assert answer.status == 406


def wrap(rig, kid, data, **more):
    return rig.crypto("cipher/wrap", kid, msg=to_b64(data), **more)


def test_key_wrap_round_trips_with_either_initial_value(rig):
    kid = rig.create("AES256")
    for more in ({}, {"iv": to_b64(b"ABCDEFGH")}, {"alg": "AES128"}):
        for size in (16, 2048):
            wrapped = field(wrap(rig, kid, bytes(size), **more), "wrapped")
            assert len(wrapped) == size + 8
            answer = rig.crypto("cipher/unwrap", kid, msg=to_b64(wrapped), **more)
            assert field(answer, "unwrapped") == bytes(size)
    assert rig.crypto("cipher/unwrap", kid, msg=to_b64(wrapped)).status == 406
    assert wrap(rig, kid, bytes(16), iv=to_b64(bytes(7))).status == 406
    assert wrap(rig, kid, bytes(16), alg="AES512").status == 400
    assert wrap(rig, rig.create("AES128"), bytes(16), alg="AES192").status == 406
    assert wrap(rig, kid, b"").status == 400


@pytest.mark.parametrize("kind", ["MLKEM512", "MLKEM768", "MLKEM1024"])
def test_ml_kem_encapsulates_and_decapsulates(rig, kind):
    kid = rig.create(kind)
    body = rig.crypto("pqc/mlkem/encaps", kid).json()
    assert list(body) == ["alg", "ss", "ct"]
    assert body["alg"] == kind
    back = rig.crypto("pqc/mlkem/decaps", kid, ct=body["ct"]).json()
    assert back["ss"] == body["ss"]
    short = to_b64(base64.b64decode(body["ct"])[:-1])
    assert rig.crypto("pqc/mlkem/decaps", kid, ct=short).status == 406
    assert rig.crypto("pqc/mlkem/encaps", rig.create("ED25519")).status == 406


@pytest.mark.parametrize("kind", ["MLDSA44", "MLDSA65", "MLDSA87"])
def test_ml_dsa_signs_under_a_context(rig, kind):
    kid = rig.create(kind)
    given = {"msg": MESSAGE, "ctx": to_b64(b"context")}
    body = rig.crypto("pqc/mldsa/sign", kid, **given).json()
    assert (set(body), body["alg"]) == ({"alg", "sign"}, kind)
    assert rig.crypto("pqc/mldsa/verify", kid, **given, sign=body["sign"]).status == 200
    assert rig.crypto("pqc/mldsa/verify", kid, msg=MESSAGE, sign=body["sign"]).status == 795
    assert rig.crypto("pqc/mldsa/sign", rig.create("AES128"), msg=MESSAGE).status == 406


def test_imported_post_quantum_keys_do_nothing(rig):
    for kind, path, more in (("MLKEM768", "mlkem/encaps", {}), ("MLDSA44", "mldsa/sign", {"msg": MESSAGE})):
        body = {"label": "i", "type": kind, "pubkey": to_b64(bytes(KEY_TYPES[kind].public))}
        answer = rig.call("POST", "/api/keymgmt/import", body, token=rig.token("keymgmt:imp"))
        assert rig.crypto(f"pqc/{path}", answer.json()["kid"], **more).status == 406


def test_the_tls_records_are_no_keys_to_use(rig):
    page = rig.call("GET", "/api/keymgmt/list", token=rig.token("keymgmt:list")).json()["list"]
    kids = {entry["label"]: entry["kid"] for entry in page}
    assert set(kids) == {"TLS PrivateKey", "TLS Certificate"}
    for kid in kids.values():
        assert rig.crypto("exdsa/sign", kid, msg=MESSAGE, alg="SHA256WithECDSA").status == 406
        assert rig.crypto("ecdh", kid, ext_kid=kid).status == 406
        assert rig.crypto("hmac/hash", kid, msg=MESSAGE).status == 406
    got = rig.call(
        "GET", f"/api/keymgmt/get/{kids['TLS Certificate']}", token=rig.token("keymgmt:get")
    ).json()
    assert got["type"] == "CERT"
    assert base64.b64decode(got["der"])[:1] == b"\x30"
