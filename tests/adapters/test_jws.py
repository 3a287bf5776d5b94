"""JSON Web Signatures: those that PyJWT and joserfc read and write, damaged ones, and headers of others."""

from __future__ import annotations

import base64
import json

import jwt
import pytest
from cryptography.exceptions import InvalidSignature
from hypothesis import given, strategies
from joserfc import jws as jose
from joserfc.jwk import ECKey, OKPKey
from support.signing import flipped, signer

from hem_provider.adapters.jws import Draft, Jws, is_jws
from hem_provider.keys.publicforms import JOSE_SIGNING

CONTENT = b'{"sub":"ada"}\n'
ATTACHED = pytest.mark.parametrize("attached", [True, False], ids=["attached", "detached"])
#: EdDSA, which RFC 9864 has two names for.
pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
KINDS = pytest.mark.parametrize("kind", JOSE_SIGNING)


def made(kind, attached, content=CONTENT):
    by = signer(kind)
    return Draft(by.kind, by.kid, content, attached).document(by.sign)


def checked(data, kind, content=CONTENT):
    read = Jws.read(data)
    read.check(signer(kind).public, signer(kind).kind, content)
    return read


def jose_key(kind, private=False):
    by = signer(kind)
    return (ECKey if kind.startswith("SECP") else OKPKey).import_key(by.private if private else by.public)


@KINDS
@ATTACHED
def test_pyjwt_verifies_what_is_made(kind, attached):
    token = made(kind, attached).decode().strip()
    decoded = jwt.api_jws.PyJWS().decode_complete(
        token, signer(kind).public, algorithms=[JOSE_SIGNING[kind]],
        detached_payload=None if attached else CONTENT,
    )  # fmt: skip
    assert decoded["payload"] == CONTENT
    assert decoded["header"]["kid"] == signer(kind).kid


@KINDS
@ATTACHED
def test_joserfc_verifies_what_is_made(kind, attached):
    registry = jose.JWSRegistry(algorithms=[JOSE_SIGNING[kind]])
    token = made(kind, attached).strip()
    payload = None if attached else CONTENT
    found = jose.deserialize_compact(token, jose_key(kind), payload=payload, registry=registry)
    assert found.payload == CONTENT


@KINDS
@ATTACHED
def test_what_pyjwt_makes_is_verified(kind, attached):
    token = jwt.api_jws.PyJWS().encode(
        CONTENT, signer(kind).private, algorithm=JOSE_SIGNING[kind], is_payload_detached=not attached
    )
    assert (checked(token.encode(), kind).payload is None) is not attached
    with pytest.raises(InvalidSignature):
        checked(token.encode(), kind, b"x")


@KINDS
def test_what_joserfc_makes_is_verified(kind):
    registry = jose.JWSRegistry(algorithms=[JOSE_SIGNING[kind]])
    header = {"alg": JOSE_SIGNING[kind]}
    token = jose.serialize_compact(header, CONTENT, jose_key(kind, private=True), registry=registry)
    checked(token.encode(), kind)
    header |= {"b64": False, "crit": ["b64"]}
    token = jose.serialize_compact(header, CONTENT, jose_key(kind, private=True), registry=registry)
    detached = jose.detach_content(token) if token.count(".") == 2 else token
    checked(detached.encode(), kind)


@pytest.mark.parametrize("kind", ["ED25519", "ED448"])
def test_newer_names_of_eddsa_are_read(kind):
    name = {"ED25519": "Ed25519", "ED448": "Ed448"}[kind]
    registry = jose.JWSRegistry(algorithms=[name])
    token = jose.serialize_compact({"alg": name}, CONTENT, jose_key(kind, private=True), registry=registry)
    assert checked(token.encode(), kind).told == f"alg {name}, payload attached"


@pytest.mark.parametrize("bits", [0x01, 0x20, 0x80])
@pytest.mark.parametrize("kind", ["ED25519", "SECP256R1"])
@ATTACHED
def test_each_damaged_byte_is_found(kind, attached, bits):
    good = made(kind, attached)
    checked(good, kind)
    for bad in flipped(good[:-1], bits):
        with pytest.raises((ValueError, InvalidSignature)):
            checked(bad, kind)
    for size in range(len(good) - 1):
        with pytest.raises((ValueError, InvalidSignature)):
            checked(good[:size], kind)


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def with_header(header, kind="ED25519", payload=CONTENT):
    """Truly signed, whatever its header says."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    message = encoded(text) + b"." + encoded(payload)
    return message + b"." + encoded(signer(kind).private.sign(message))


@pytest.mark.parametrize("alg", ["none", "HS256", "ES256", "RS256", "eddsa", "Ed448", ""])
def test_the_key_says_the_algorithm_and_never_the_header(alg):
    checked(with_header({"alg": "EdDSA"}), "ED25519")
    with pytest.raises(InvalidSignature, match="its header says"):
        checked(with_header({"alg": alg}), "ED25519")


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "EdDSA", "crit": ["exp"], "exp": 1},
        {"alg": "EdDSA", "crit": []},
        {"alg": "EdDSA", "crit": ["b64"]},
        {"alg": "EdDSA", "crit": ["b64", "exp"], "b64": True},
        {"alg": "EdDSA", "crit": "b64", "b64": True},
        {"alg": "EdDSA", "b64": True},
        {"alg": "EdDSA", "b64": False},
        {"alg": "EdDSA", "b64": 0, "crit": ["b64"]},
        {"alg": "EdDSA", "b64": False, "crit": ["b64"]},
        {"alg": 1},
        {},
        [],
        b'{"alg":"EdDSA","alg":"EdDSA"}',
        b'{"alg":"EdDSA"',
        b"[" * 100_000,
        b"\xff",
    ],
    ids=lambda header: str(header)[:40],
)
def test_a_header_that_is_not_understood_whole_is_refused(header):
    with pytest.raises(ValueError):
        checked(with_header(header), "ED25519")


def test_an_empty_file_is_one_in_both_forms():
    for attached in (True, False):
        checked(made("ED25519", attached, b""), "ED25519", b"")
        with pytest.raises(InvalidSignature):
            checked(made("ED25519", attached, b""), "ED25519", b"x")


def test_another_type_of_key_is_told():
    for attached in (True, False):
        with pytest.raises(InvalidSignature, match="SECP256R1"):
            Jws.read(made("ED25519", attached)).check(
                signer("SECP256R1").public, signer("SECP256R1").kind, CONTENT
            )


@ATTACHED
def test_sizes_are_those_that_go_to_the_device(attached):
    by = signer("ED25519")
    by.messages.clear()
    draft = Draft(by.kind, by.kid, CONTENT, attached)
    draft.document(by.sign)
    assert draft.sizes == tuple(map(len, by.messages))


@given(strategies.binary(max_size=200))
def test_anything_else_is_no_signature(data):
    with pytest.raises((ValueError, InvalidSignature)):
        checked(data, "ED25519")


@given(strategies.dictionaries(strategies.text(max_size=5), strategies.integers() | strategies.text()))
def test_any_header_is_read_or_refused(header):
    data = with_header(header)
    assert is_jws(data)
    with pytest.raises((ValueError, InvalidSignature)):
        checked(data, "ED25519")
