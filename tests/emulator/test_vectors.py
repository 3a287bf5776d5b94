"""The published vectors of the device API replay on the emulated device."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import ECB
from support.passphrases import PASSPHRASE

from hem_provider.emulator import keys
from hem_provider.emulator.device import x25519_public, x25519_secret
from hem_provider.emulator.encodings import to_b64
from hem_provider.emulator.jwt import CLIENT_HEADER, encode_jwt
from hem_provider.emulator.keytypes import KEY_TYPES
from hem_provider.emulator.repository import Record
from hem_provider.emulator.setup import derive_private

SESSION = bytes(range(1, 33))
NOW = 1_700_000_000
JTI = "APFTZQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhs="
SPK = "B6N8vBQgk8i3VdwbEOhstCY3StFqqFPtC9/AsrhtHHw="
EID = "ZLEBsdC+WocEvQePmJUAH8A+jp+VIvGI3RKNmEbUhGY="
SEED = "849927e055c9ea2cfe3aca3d54695debad97cb2665c842e09fc555d68b87f947"


def test_vector_a_derives_the_published_key_and_proof():
    seed = derive_private(PASSPHRASE, "d4ad81b06b1d493ab2b6f9b1a3e2c7f0")
    assert seed.hex() == "6a0bac730fe27e1fa8b55c49790e3d94436ecee976a9efdeeeb326e7e5b36d29"
    spk = bytes([1]) * 32
    secret = x25519_secret(seed, spk)
    assert secret.hex() == "ef921919b80e68924fc0f454e11c4409b7a2cce484387a9c1d8a6bf5d151f740"
    claims = {
        "jti": "0123456789abcdef",
        "aud": to_b64(spk),
        "exp": 1700003600,
        "iat": 1700000000,
        "iss": to_b64(x25519_public(seed)),
        "scope": "keymgmt:gen",
    }
    token = encode_jwt(CLIENT_HEADER, claims, secret)
    assert token.startswith(
        "eyJlY2RoIjoieDI1NTE5IiwiYWxnIjoiSFMyNTYiLCJ0eXAiOiJKV1QifQ.eyJqdGkiOiIwMTIzNDU2Nzg5"
    )
    assert token.endswith(".oPm7pWzqB9VImg5OpTllCqbQAO-xkdgoRfdzyLj09qE")


def test_vector_b_challenge_proof_and_bearer(vector_rig):
    challenge = vector_rig.call("GET", "/api/auth/token").json()
    assert challenge == {"exp": NOW + 60, "spk": SPK, "jti": JTI, "lbl": "Emulator", "eid": EID}
    assert derive_private(PASSPHRASE, EID).hex() == SEED
    claims = {
        "jti": JTI,
        "aud": SPK,
        "exp": 1700028800,
        "iat": NOW,
        "iss": "jV4ATslq6dlt5QqMxRY4MQwZh6DM5gelLm5GcryVpiM=",
        "scope": "keymgmt:use:00112233445566778899aabbccddeeff",
    }
    secret = x25519_secret(bytes.fromhex(SEED), base64.b64decode(SPK))
    assert secret.hex() == "57facf9108089adffaff5e8108ae5deee75102a6824a62b59cca04d5d395d22c"
    proof = encode_jwt(CLIENT_HEADER, claims, secret)
    assert proof.endswith(".CQ8sk-J8w4DCJUQY5e_H3BK8Q5C1w665SKhCNYhqDdY")
    vector_rig.clock.advance(1)
    answer = vector_rig.call("POST", "/api/auth/token", {"auth": proof})
    assert answer.json() == {
        "token": "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9."
        "eyJzY29wZSI6ImtleW1nbXQ6dXNlOjAwMTEyMjMzNDQ1NTY2Nzc4ODk5YWFiYmNjZGRlZWZmIiwic3ViIjoiVSIsImlhdCI6MTcwMDAwMDAw"
        "MSwiZXhwIjoxNzAwMDI4ODAwLCJqdGkiOiJBZkZUWlNBaElpTWtKU1luS0NrcUt5d3RMaTh3TVRJek5EVTJOemc1T2pzPSJ9."
        "TE_xEJqtyu3YPDwnPDCD2KSPKLBoq-Qn0fcESqHsQpU"
    }


def test_vector_c_rotates_the_user_key(vector_rig):
    token = vector_rig.token("system:config")
    vector_rig.device.model.nonces.issued = 0
    with vector_rig.device.model.transaction():  # the login above has used up the nonce of the vector
        vector_rig.device.model.store.database.execute("DELETE FROM nonce")
    config = vector_rig.call("GET", "/api/system/config", token=token).json()
    assert (config["spk"], config["nonce"], config["eid"]) == (SPK, JTI, EID)
    seed = derive_private("new passphrase", EID)
    assert seed.hex() == "a71d22f6527416f4175ae3679d75c9633ae89a2c8a9ab6f0b027b1e7349ff712"
    assert to_b64(x25519_public(seed)) == "u/x4bih5CwBftWHU5kKBHf8PRAEaP2tUMz499lwlng4="
    secret = x25519_secret(seed, base64.b64decode(SPK))
    assert secret.hex() == "63aa66c376bb763a2374accf9ac86e3d14704b6e2bee8750b65a22d382111c25"
    mac = to_b64(hmac.digest(secret, base64.b64decode(JTI), hashlib.sha256))
    assert mac == "dWh3zMiNxarFgxavM5Ab/vSRKqJSsNI8IXOPHlQKm/4="
    body = {"userkey": to_b64(x25519_public(seed)), "userkey_nonce": JTI, "userkey_hmac": mac}
    answer = vector_rig.call("POST", "/api/system/config", body, token=token)
    assert answer.json() == {"updated": True}
    with vector_rig.device.model.transaction():
        assert vector_rig.device.model.config.user_key == x25519_public(seed)


E_PEER = "V9tLNZ8jrl4Ubk4lEgVnBHIlBjSMFQwUdT0Mkz0E1CE="
E_KID = "06a04f25cc20b81824a897540c9485b4"


@pytest.fixture
def e_rig(rig):
    """A device that holds the private key of vector E."""
    kind = KEY_TYPES["CURVE25519"]
    material = keys.from_secret(kind, SESSION)
    model = rig.device.model
    with model.transaction():
        kid = keys.kid_of(material.public)
        record = Record(
            kid, kind.name, "e", b"", 1, 1, ("ECDH",), True, True, material.secret, material.public
        )
        model.repository.add(record, capacity=100)
    assert kid.hex() == E_KID
    return rig


def test_vector_e_agreement(e_rig):
    raw = e_rig.crypto("ecdh", E_KID, pubkey=E_PEER).json()["ecdh"]
    assert base64.b64decode(raw).hex() == "8ec6b6ce150d556afc5f16c743ce7b0464b7bb1aba51bc5131fe917ee5fc3711"
    hashed = e_rig.crypto("ecdh", E_KID, pubkey=E_PEER, alg="SHA2-256").json()["ecdh"]
    assert (
        base64.b64decode(hashed).hex() == "613c0b89a9e47f3f80eac872933fd420f0c97329637d65dba0e31598e0e9023d"
    )


def test_vector_e_derived_modes(e_rig):
    def field(path, name, **fields):
        return base64.b64decode(e_rig.crypto(path, E_KID, pubkey=E_PEER, **fields).json()[name])

    mac = field("hmac/hash", "mac", msg=to_b64(b"abc"), alg="SHA2-256")
    assert mac.hex() == "0dc63f688c494bd88a940c945c0106736a77e70cd46f09e3324c877225ceb9ac"
    for suffix, key in (
        ({}, "503f5828bd42faf6f30c0e90c01d6fdd90532251a29eb958c9af3d721ca93834"),
        ({"ctx": to_b64(b"ctx")}, "2f7c8a5f3371c622fccd71549f993439a71032f3e33bcb1beee4b3c9fb04bb1f"),
    ):
        ciphertext = field("cipher/encrypt", "ciphertext", msg=to_b64(bytes(16)), alg="AES256-ECB", **suffix)
        cipher = Cipher(AES256(bytes.fromhex(key)), ECB())  # noqa: S305 - one block
        assert ciphertext == cipher.encryptor().update(bytes(16))
    wrapped = field("cipher/wrap", "wrapped", msg=to_b64(bytes(range(32))))
    assert wrapped.hex() == "91205d81c543cb1f516ec9d86fa4008d807614136dd4d058b592b542e9b5f0de4328bcbdee19f398"
    gcm = {
        "msg": to_b64(bytes.fromhex("1e8cba45b7")),
        "tag": to_b64(bytes.fromhex("26af004074bfdcf3a691efa67356ba62")),
        "iv": to_b64(bytes(range(16))),
        "aad": to_b64(b"aad"),
        "alg": "AES256-GCM",
    }
    assert field("cipher/decrypt", "plaintext", **gcm) == b"hello"
