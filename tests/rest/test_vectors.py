"""Test vectors A, B and C of the device API §5.7."""

from __future__ import annotations

import hmac
import json

import pytest
from support.passphrases import PASSPHRASE

from hem_provider.errors import HemLoginRequired, HemProtocolError
from hem_provider.rest.auth import Challenge, bearer_from, make_proof
from hem_provider.rest.credential import Credential, Role, pbkdf2_seed, rotation_fields
from hem_provider.rest.ejwt import claims_of, make_ejwt, public_key_of, shared_secret
from hem_provider.rest.encoding import b64, unb64

HEADER = "eyJlY2RoIjoieDI1NTE5IiwiYWxnIjoiSFMyNTYiLCJ0eXAiOiJKV1QifQ"
SEED_A = bytes.fromhex("6a0bac730fe27e1fa8b55c49790e3d94436ecee976a9efdeeeb326e7e5b36d29")
SEED_B = bytes.fromhex("849927e055c9ea2cfe3aca3d54695debad97cb2665c842e09fc555d68b87f947")
SESSION_B = bytes(range(1, 33))
IDENTITY_B = bytes(range(0x41, 0x61))
SPK_B = "B6N8vBQgk8i3VdwbEOhstCY3StFqqFPtC9/AsrhtHHw="
EID_B = "ZLEBsdC+WocEvQePmJUAH8A+jp+VIvGI3RKNmEbUhGY="
JTI_B = "APFTZQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhs="


def challenge(*, spk: str, jti: str, eid: str) -> Challenge:
    return Challenge(spk=spk, jti=jti, label="", eid=eid, exp=0, received=0.0, offset=0.0)


def test_vector_a_seed_comes_from_the_text_of_eid() -> None:
    assert pbkdf2_seed(PASSPHRASE, "d4ad81b06b1d493ab2b6f9b1a3e2c7f0") == SEED_A


def test_vector_a_proof_is_identical_byte_for_byte() -> None:
    spk = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
    credential = Credential(SEED_A, eid="d4ad81b06b1d493ab2b6f9b1a3e2c7f0", role=Role.USER)
    assert b64(credential.public) == "CdLq53eX780FeZR4/hOee5rTtcl7ajJdYwVwcjL5cxY="
    assert credential.agree(unb64(spk)).hex() == (
        "ef921919b80e68924fc0f454e11c4409b7a2cce484387a9c1d8a6bf5d151f740"
    )
    proof = make_proof(
        challenge(spk=spk, jti="0123456789abcdef", eid=credential.eid),
        credential,
        scope="keymgmt:gen",
        exp=1700003600,
        iat=1700000000,
    )
    assert proof == (
        f"{HEADER}."
        "eyJqdGkiOiIwMTIzNDU2Nzg5YWJjZGVmIiwiYXVkIjoiQVFFQkFRRUJBUUVCQVFFQkFRRUJBUUVCQVFFQkFRRUJBUUVCQVFF"
        "QkFRRT0iLCJleHAiOjE3MDAwMDM2MDAsImlhdCI6MTcwMDAwMDAwMCwiaXNzIjoiQ2RMcTUzZVg3ODBGZVpSNC9oT2VlNXJU"
        "dGNsN2FqSmRZd1Z3Y2pMNWN4WT0iLCJzY29wZSI6ImtleW1nbXQ6Z2VuIn0."
        "oPm7pWzqB9VImg5OpTllCqbQAO-xkdgoRfdzyLj09qE"
    )


def test_vector_b_keys_and_secret_agree_on_both_sides() -> None:
    assert b64(public_key_of(SESSION_B)) == SPK_B
    assert b64(public_key_of(IDENTITY_B)) == EID_B
    assert pbkdf2_seed(PASSPHRASE, EID_B) == SEED_B
    secret = shared_secret(SEED_B, unb64(SPK_B))
    assert secret == shared_secret(SESSION_B, public_key_of(SEED_B))
    assert secret.hex() == "57facf9108089adffaff5e8108ae5deee75102a6824a62b59cca04d5d395d22c"


def test_vector_b_proof_and_bearer() -> None:
    credential = Credential(SEED_B, eid=EID_B, role=Role.USER)
    scope = "keymgmt:use:00112233445566778899aabbccddeeff"
    proof = make_proof(
        challenge(spk=SPK_B, jti=JTI_B, eid=EID_B), credential, scope=scope, exp=1700028800, iat=1700000000
    )
    header, claims, mac = proof.split(".")
    assert header == HEADER
    assert claims == (
        "eyJqdGkiOiJBUEZUWlFBQkFnTUVCUVlIQ0FrS0N3d05EZzhRRVJJVEZCVVdGeGdaR2hzPSIsImF1ZCI6IkI2Tjh2QlFnazhp"
        "M1Zkd2JFT2hzdENZM1N0RnFxRlB0QzkvQXNyaHRISHc9IiwiZXhwIjoxNzAwMDI4ODAwLCJpYXQiOjE3MDAwMDAwMDAsImlz"
        "cyI6ImpWNEFUc2xxNmRsdDVRcU14Ulk0TVF3Wmg2RE01Z2VsTG01R2NyeVZwaU09Iiwic2NvcGUiOiJrZXltZ210OnVzZTow"
        "MDExMjIzMzQ0NTU2Njc3ODg5OWFhYmJjY2RkZWVmZiJ9"
    )
    assert mac == "CQ8sk-J8w4DCJUQY5e_H3BK8Q5C1w665SKhCNYhqDdY"
    bearer = bearer_from(
        "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJzY29wZSI6ImtleW1nbXQ6dXNlOjAwMTEyMjMzNDQ1NTY2Nzc4ODk5YWFi"
        "YmNjZGRlZWZmIiwic3ViIjoiVSIsImlhdCI6MTcwMDAwMDAwMSwiZXhwIjoxNzAwMDI4ODAwLCJqdGkiOiJBZkZUWlNBaElp"
        "TWtKU1luS0NrcUt5d3RMaTh3TVRJek5EVTJOemc1T2pzPSJ9.TE_xEJqtyu3YPDwnPDCD2KSPKLBoq-Qn0fcESqHsQpU",
    )
    assert (bearer.scope, bearer.subject, bearer.exp) == (scope, "U", 1700028800)


def test_vector_c_user_key_rotation() -> None:
    seed = pbkdf2_seed("new passphrase", EID_B)
    assert seed.hex() == "a71d22f6527416f4175ae3679d75c9633ae89a2c8a9ab6f0b027b1e7349ff712"
    assert shared_secret(seed, unb64(SPK_B)).hex() == (
        "63aa66c376bb763a2374accf9ac86e3d14704b6e2bee8750b65a22d382111c25"
    )
    assert rotation_fields(seed, spk=SPK_B, nonce=JTI_B) == {
        "userkey": "u/x4bih5CwBftWHU5kKBHf8PRAEaP2tUMz499lwlng4=",
        "userkey_nonce": JTI_B,
        "userkey_hmac": "dWh3zMiNxarFgxavM5Ab/vSRKqJSsNI8IXOPHlQKm/4=",
    }


def test_claims_are_compact_utf8_under_the_mac_of_the_whole_text() -> None:
    secret = bytes(32)
    token = make_ejwt({"a": "b/ü"}, secret)
    assert claims_of(token) == {"a": "b/ü"}
    head, claims, mac = token.split(".")
    assert json.loads(unb64(head)) == {"ecdh": "x25519", "alg": "HS256", "typ": "JWT"}
    assert unb64(claims) == '{"a":"b/ü"}'.encode()
    assert unb64(mac) == hmac.digest(secret, f"{head}.{claims}".encode(), "sha256")


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c.d", "a.!.c", "a.W10.c", "ü.ü.ü"])
def test_a_token_that_is_no_jwt_is_a_protocol_error(token) -> None:
    with pytest.raises(HemProtocolError):
        claims_of(token)


def test_a_credential_shows_and_pickles_no_secret_and_can_be_wiped() -> None:
    import copy
    import pickle

    credential = Credential(SEED_A, eid="x", role=Role.USER)
    assert SEED_A.hex() not in repr(credential)
    with pytest.raises(TypeError):
        pickle.dumps(credential)
    with pytest.raises(TypeError):
        copy.copy(credential)
    credential.wipe()
    with pytest.raises(HemLoginRequired, match="wiped"):
        credential.agree(unb64(SPK_B))
