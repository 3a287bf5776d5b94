"""The published vectors of the device API replay on the emulated device."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import replace

import pytest
from support.rig import Clock

from hem_provider.emulator import keys
from hem_provider.emulator.device import x25519_public, x25519_secret
from hem_provider.emulator.encodings import to_b64
from hem_provider.emulator.jwt import CLIENT_HEADER, encode_jwt
from hem_provider.emulator.keytypes import KEY_TYPES
from hem_provider.emulator.nonces import Nonces
from hem_provider.emulator.repository import Record
from hem_provider.emulator.setup import derive_private
from hem_provider.emulator.state import Identity

SESSION = bytes(range(1, 33))
IDENTITY = bytes(range(0x41, 0x61))
NOW = 1_700_000_000
JTI = "APFTZQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhs="
SPK = "B6N8vBQgk8i3VdwbEOhstCY3StFqqFPtC9/AsrhtHHw="
EID = "ZLEBsdC+WocEvQePmJUAH8A+jp+VIvGI3RKNmEbUhGY="
SEED = "849927e055c9ea2cfe3aca3d54695debad97cb2665c842e09fc555d68b87f947"


class VectorNonces(Nonces):
    """Issues the nonces of the vectors: LE32(time) and counting bytes, from 00 for the first, 20 for the
    next."""

    issued = 0

    def issue(self, key, now):  # noqa: ARG002
        self.issued += 1
        start = 0 if self.issued == 1 else 0x20
        return now.to_bytes(4, "little") + bytes(range(start, start + 28))

    def genuine(self, key, nonce):  # noqa: ARG002
        return len(nonce) == 32 and nonce[4:] in (bytes(range(28)), bytes(range(0x20, 0x3C)))


@pytest.fixture
def vector_rig(make_rig):
    """The device of vector B: fixed session, identity and bearer keys, and its clock."""
    rig = make_rig(clock=Clock(NOW), nonces=VectorNonces)
    model = rig.open.model
    with model.transaction():
        config = replace(model.config, user_key=x25519_public(bytes.fromhex(SEED)))
        model.state = replace(
            model.state, identity=Identity(IDENTITY, bytes(32)), config=config, rtc_device=NOW, rtc_host=NOW
        )
        model.change_boot(
            session_private=SESSION, bearer_key=bytes(range(0x80, 0xA0)), rtc_set=True, started=NOW
        )
    return rig


def test_vector_a_derives_the_published_key_and_proof():
    seed = derive_private("correct horse battery staple", "d4ad81b06b1d493ab2b6f9b1a3e2c7f0")
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
    assert derive_private("correct horse battery staple", EID).hex() == SEED
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


def test_vector_c_rotation_proof(vector_rig):
    seed = derive_private("new passphrase", EID)
    assert seed.hex() == "a71d22f6527416f4175ae3679d75c9633ae89a2c8a9ab6f0b027b1e7349ff712"
    assert to_b64(x25519_public(seed)) == "u/x4bih5CwBftWHU5kKBHf8PRAEaP2tUMz499lwlng4="
    secret = x25519_secret(seed, base64.b64decode(SPK))
    assert secret.hex() == "63aa66c376bb763a2374accf9ac86e3d14704b6e2bee8750b65a22d382111c25"
    mac = hmac.digest(secret, base64.b64decode(JTI), hashlib.sha256)
    assert to_b64(mac) == "dWh3zMiNxarFgxavM5Ab/vSRKqJSsNI8IXOPHlQKm/4="


E_PEER = "V9tLNZ8jrl4Ubk4lEgVnBHIlBjSMFQwUdT0Mkz0E1CE="
E_KID = "06a04f25cc20b81824a897540c9485b4"


@pytest.fixture
def e_rig(rig):
    """A device that holds the private key of vector E."""
    kind = KEY_TYPES["CURVE25519"]
    material = keys.from_secret(kind, SESSION)
    model = rig.open.model
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
