"""The emulator's cryptography against published vectors and against a second implementation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hem_provider.emulator import keywrap, mldsa, mlkem, signatures
from hem_provider.emulator.keytypes import KEY_TYPES

VECTORS = Path(__file__).parents[1] / "vectors" / "wycheproof"


def cases(name):
    content = json.loads((VECTORS / f"{name}_test.json").read_text())
    return [(group, case) for group in content["testGroups"] for case in group["tests"]]


def test_key_wrap_agrees_with_wycheproof():
    checked = 0
    for _, case in cases("aes_wrap"):
        key, plain, wrapped = (bytes.fromhex(case[name]) for name in ("key", "msg", "ct"))
        if case["result"] == "valid":
            assert keywrap.wrap(key, plain) == wrapped
            assert keywrap.unwrap(key, wrapped) == plain
        elif case["result"] == "invalid":
            with pytest.raises(ValueError):
                keywrap.unwrap(key, wrapped)
        checked += 1
    assert checked > 100


def test_key_wrap_takes_another_initial_value():
    # RFC 5649 §6, first example: its alternative initial value over the padded key of 20 bytes.
    key = bytes.fromhex("5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8")
    plain = bytes.fromhex("c37b7e6492584340bed12207808941155068f738") + bytes(4)
    icv = bytes.fromhex("a65959a600000014")
    wrapped = bytes.fromhex("138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a")
    assert keywrap.wrap(key, plain, icv) == wrapped
    assert keywrap.unwrap(key, wrapped, icv) == plain
    with pytest.raises(ValueError, match="integrity"):
        keywrap.unwrap(key, wrapped)


@pytest.mark.parametrize(
    ("file", "kind", "algorithm"), [("ed25519", "ED25519", "Ed25519"), ("ed448", "ED448", "Ed448")]
)
def test_eddsa_verification_agrees_with_wycheproof(file, kind, algorithm):
    for group, case in cases(file):
        public = bytes.fromhex(group["publicKey"]["pk"])
        message, signature = bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"])
        valid = signatures.verify(KEY_TYPES[kind], public, algorithm, message, b"", signature)
        assert valid is (case["result"] == "valid"), case["tcId"]


# RFC 8032 §7.2 (Ed25519ctx, foo), §7.3 (Ed25519ph), §7.4 (Ed448, 1 octet with context), §7.5 (Ed448ph).
RFC_8032 = [
    (
        "ED25519",
        "Ed25519ctx",
        "0305334e381af78f141cb666f6199f57bc3495335a256a95bd2a55bf546663f6",
        "dfc9425e4f968f7f0c29f0259cf5f9aed6851c2bb4ad8bfb860cfee0ab248292",
        "f726936d19c800494e3fdaff20b276a8",
        "666f6f",
        "55a4cc2f70a54e04288c5f4cd1e45a7bb520b36292911876cada7323198dd87a8b36950b95130022907a7fb7c4e9b2d5"
        "f6cca685a587b4b21f4b888e4e7edb0d",
    ),
    (
        "ED25519",
        "Ed25519ph",
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "616263",
        "",
        "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae4131f85042463c2a355a2003d062adf5aa"
        "a10b8c61e636062aaad11c2a26083406",
    ),
    (
        "ED448",
        "Ed448",
        "c4eab05d357007c632f3dbb48489924d552b08fe0c353a0d4a1f00acda2c463afbea67c5e8d2877c5e3bc397a659949ef8021e954e0a1227"
        "4e",
        "43ba28f430cdff456ae531545f7ecd0ac834a55d9358c0372bfa0c6c6798c0866aea01eb00742802b8438ea4cb82169c235160627b4c3a94"
        "80",
        "03",
        "666f6f",
        "d4f8f6131770dd46f40867d6fd5d5055de43541f8c5e35abbcd001b32a89f7d2151f7647f11d8ca2ae279fb842d607217fce6e042f6815ea"
        "000c85741de5c8da1144a6a1aba7f96de42505d7a7298524fda538fccbbb754f578c1cad10d54d0d5428407e85dcbc98a49155c13764e66c"
        "3c00",
    ),
    (
        "ED448",
        "Ed448ph",
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42ef7822e0d5104127dc05d6dbefde69e3ab2cec7c867c6e2c"
        "49",
        "259b71c19f83ef77a7abd26524cbdb3161b590a48f7d17de3ee0ba9c52beb743c09428a131d6b1b57303d90d8132c276d5ed3d5d01c0f538"
        "80",
        "616263",
        "",
        "822f6901f7480f3d5f562c592994d9693602875614483256505600bbc281ae381f54d6bce2ea911574932f52a4e6cadd78769375ec3ffd1b"
        "801a0d9b3f4030cd433964b6457ea39476511214f97469b57dd32dbc560a9a94d00bff07620464a3ad203df7dc7ce360c3cd3696d9d9fab9"
        "0f00",
    ),
]


@pytest.mark.parametrize(
    ("kind", "algorithm", "secret", "public", "message", "context", "signature"),
    RFC_8032,
    ids=[row[1] for row in RFC_8032],
)
def test_eddsa_variants_agree_with_rfc_8032(kind, algorithm, secret, public, message, context, signature):
    row = KEY_TYPES[kind]
    secret, public, message, context, signature = map(
        bytes.fromhex, (secret, public, message, context, signature)
    )
    assert signatures.sign(row, secret, algorithm, message, context) == signature
    assert signatures.verify(row, public, algorithm, message, context, signature)
    assert not signatures.verify(row, public, algorithm, message, context + b"x", signature)
    assert not signatures.verify(row, public, algorithm, message + b"x", context, signature)


@pytest.mark.parametrize("name", ["MLKEM768", "MLKEM1024"])
def test_both_ml_kem_implementations_agree(name):
    """The package that does ML-KEM-512 is held against ``cryptography`` with the parameter sets both have."""
    seed = bytes(range(64))
    native, pure = mlkem._Native(name, seed), mlkem._PurePython(name, seed)
    assert native.public == pure.public
    for one, other in ((native, pure), (pure, native)):
        secret, ciphertext = one.encapsulate()
        assert len(ciphertext) == mlkem.CIPHERTEXT_BYTES[name]
        assert other.decapsulate(ciphertext) == secret


def test_ml_kem_512_agrees_with_wycheproof():
    checked = 0
    for _, case in cases("mlkem_512"):
        seed, ciphertext = bytes.fromhex(case["seed"]), bytes.fromhex(case["c"])
        if case["result"] == "valid":
            assert mlkem.public_key("MLKEM512", seed).hex() == case["ek"]
            assert mlkem.decapsulate("MLKEM512", seed, ciphertext).hex() == case["K"]
            checked += 1
        elif len(seed) == 64 and len(ciphertext) != 768:
            with pytest.raises(ValueError, match="768 bytes"):
                mlkem.decapsulate("MLKEM512", seed, ciphertext)
            checked += 1
    assert checked > 150


def test_ml_kem_512_round_trips_and_rejects_implicitly():
    seed = bytes(range(64))
    secret, ciphertext = mlkem.encapsulate("MLKEM512", seed)
    assert (len(secret), len(ciphertext), len(mlkem.public_key("MLKEM512", seed))) == (32, 768, 800)
    assert mlkem.decapsulate("MLKEM512", seed, ciphertext) == secret
    damaged = bytes([ciphertext[0] ^ 1]) + ciphertext[1:]
    assert mlkem.decapsulate("MLKEM512", seed, damaged) != secret
    with pytest.raises(ValueError, match="768 bytes"):
        mlkem.decapsulate("MLKEM512", seed, ciphertext[1:])


@pytest.mark.parametrize(("name", "size"), [("MLDSA44", 2420), ("MLDSA65", 3309), ("MLDSA87", 4627)])
def test_ml_dsa_signs_with_contexts(name, size):
    seed = bytes(range(32))
    signature = mldsa.sign(name, seed, b"message", b"context")
    assert len(signature) == size
    assert mldsa.verify(name, seed, b"message", b"context", signature)
    assert not mldsa.verify(name, seed, b"message", b"", signature)
