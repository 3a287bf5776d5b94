"""Signatures, secrets and public keys that cannot be true are faults of the device, never results."""

from __future__ import annotations

import base64
import json
import re

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from hem_provider import ecdsa
from hem_provider.device.creation import kid_of
from hem_provider.errors import HemAnswerFault, HemDeviceFault, HemOperationFailed, HemProtocolError
from hem_provider.keytypes import KEY_TYPES
from hem_provider.publickeys import device_form
from hem_provider.rest import keymgmt
from hem_provider.rest.fields import Asked, read_fields

MESSAGE = b"message"
ORDERS = ecdsa.ORDERS


def answering(**values):
    """Replace these fields wherever an answer has them; bytes become base64."""

    def alter(_, body):
        document = json.loads(body) if body.strip() else {}
        for name, value in values.items():
            if name in document:
                document[name] = base64.b64encode(value).decode() if isinstance(value, bytes) else value
        return json.dumps(document).encode() if document else body

    return alter


UNTRUE = [
    *((name, "Ed25519" if name == "ED25519" else "Ed448", bytes(size))
      for name in ("ED25519", "ED448") for size in (0, 1, 63, 65, 113, 115, 60_000)),
    *((name, "SHA256WithECDSA", encode_dss_signature(r, s))
      for name, order in ORDERS.items()
      for r, s in ((0, 1), (1, 0), (order, 1), (1, order), (2**600, 1))),
    ("SECP256R1", "SHA256WithECDSA", encode_dss_signature(2**300, 2**300)),  # of a larger curve
    ("SECP256R1", "SHA256WithECDSA", encode_dss_signature(5, 7) + b"\0"),
    ("SECP256R1", "SHA256WithECDSA", bytes(64)),
]  # fmt: skip


@pytest.mark.parametrize("public_known", [True, False])
@pytest.mark.parametrize("verify", [True, False])
def test_a_signature_of_a_wrong_size_or_range_is_never_handed_out(rig, public_known, verify):
    with rig.connect(verify_signatures=verify) as hem:
        made = {name: hem.keys.create(name, label=name) for name in {each[0] for each in UNTRUE}}
        for name, algorithm, signature in UNTRUE:
            if public_known:
                made[name].public_key()
            rig.alter = answering(sign=signature)
            with pytest.raises(HemAnswerFault, match=r"exdsa/sign: the answer's field 'sign': \d+ bytes"):
                hem.sign(made[name].kid, MESSAGE, algorithm)
            rig.alter = None


def test_where_the_type_is_not_known_ecdsa_signatures_are_still_whole(rig, hem):
    kid = hem.keys.create("SECP256R1", label="k").kid
    with rig.connect() as other:
        for signature in (encode_dss_signature(0, 1), encode_dss_signature(2**600, 1), b"", bytes(70)):
            rig.alter = answering(sign=signature)
            with pytest.raises(HemAnswerFault):
                other.sign(kid, MESSAGE, "SHA256WithECDSA")


@pytest.mark.parametrize("name", [*ORDERS, "ED25519", "ED448", "MLDSA44"])
def test_a_signature_that_does_not_verify_is_not_handed_out(hem, rig, name):
    private = hem.keys.create(name, label=name).private_key()
    arguments = (ec.ECDSA(hashes.SHA256()),) if name.startswith("SECP") else ()
    other = private.sign(b"another message", *arguments)
    private.public_key()
    rig.alter = answering(sign=other)
    with pytest.raises(HemAnswerFault, match="does not verify under the key's public half"):
        private.sign(MESSAGE, *arguments)
    rig.alter = None
    private.public_key().verify(private.sign(MESSAGE, *arguments), MESSAGE, *arguments)


def test_verifying_can_be_turned_off_and_costs_no_call(rig, hem):
    kid = hem.keys.create("ED25519", label="k").kid
    hem.keys.get(kid).public_key()
    other = hem.sign(kid, b"another message", "Ed25519")
    for verify in (True, False):
        with rig.connect(verify_signatures=verify) as client:
            key = client.keys.get(kid)
            client.sign(kid, MESSAGE, "Ed25519")
            before = client.statistics.calls
            client.sign(kid, MESSAGE, "Ed25519")
            assert client.statistics.calls == before + 1
            rig.alter = answering(sign=other)
            if verify:  # the public half is known from the disk
                with pytest.raises(HemAnswerFault):
                    client.sign(kid, MESSAGE, "Ed25519")
            else:
                assert client.sign(kid, MESSAGE, "Ed25519") == other
            rig.alter = None
            assert key.kid == kid


def test_signatures_by_kid_alone_are_verified_with_a_public_half_known_from_earlier(rig, hem):
    for name in ("SECP256R1", "SECP256K1"):  # points of one size: both are tried
        key = hem.keys.create(name, label=name)
        key.public_key()
        with rig.connect() as other:
            signature = other.sign(key.kid, MESSAGE, "SHA256WithECDSA")
            key.public_key().verify(signature, MESSAGE, ec.ECDSA(hashes.SHA256()))
            rig.alter = answering(sign=signature)
            with pytest.raises(HemAnswerFault, match="does not verify"):
                other.sign(key.kid, b"another message", "SHA256WithECDSA")
            rig.alter = None


@pytest.mark.parametrize("size", [0, 1, 31, 33, 48, 66])
def test_an_agreed_secret_of_another_size_is_no_secret(hem, rig, size):
    keys = {name: hem.keys.create(name, label=name) for name in ("SECP256R1", "SECP521R1", "CURVE25519")}
    rig.alter = answering(ecdh=b"\1" * size)
    for key in keys.values():
        with pytest.raises(HemAnswerFault, match=f"'ecdh': {size} bytes; accepted: 32"):
            hem.ecdh(key.kid, key.kid)
        if size != 48:
            with pytest.raises(HemAnswerFault, match=f"'ecdh': {size} bytes; accepted: 48"):
                hem.ecdh(key.kid, key.kid, algorithm="SHA3-384")


def test_a_secret_or_mac_of_zeros_is_no_secret(hem, rig):
    curve, mac = hem.keys.create("CURVE25519", label="c"), hem.keys.create("SHA2-256", label="m")
    rig.alter = answering(ecdh=bytes(32), mac=bytes(32))
    for use in (
        lambda: hem.ecdh(curve.kid, curve.kid),
        lambda: hem.ecdh(curve.kid, curve.kid, algorithm="SHA2-256"),
        lambda: hem.hmac(mac.kid, MESSAGE),
    ):
        with pytest.raises(HemAnswerFault, match="all of them zero"):
            use()


def forged(name):
    if name.startswith("SECP"):
        return device_form(ec.generate_private_key(getattr(ec, name)()).public_key())
    return ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw()


@pytest.mark.parametrize("name", ["SECP256R1", "SECP384R1", "ED25519", "CURVE25519", "MLKEM768"])
def test_a_public_key_that_does_not_match_its_kid_is_neither_used_nor_kept(hem, rig, name):
    key = hem.keys.create(name, label=name)
    size = KEY_TYPES[name].public_size
    for public in (forged(name), bytes(size), b"", b"\2" * size, b"\1" * (size + 1)):
        rig.alter = answering(pubkey=public)
        for use in (key.public_bytes, key.public_key):
            with pytest.raises(HemDeviceFault, match=f"'pubkey': {len(public)} bytes"):
                use()
    rig.alter = None
    with rig.connect() as other:
        assert kid_of(other.keys.get(key.kid).public_bytes()) == key.kid
    assert kid_of(key.public_bytes()) == key.kid


def test_a_point_off_the_curve_is_no_public_key_whatever_its_kid():
    """The KID is the hash of any bytes: only the curve tells that these are no key."""
    off = next(each for each in (b"\2" + bytes([n]) * 32 for n in range(256)) if not on_p256(each))
    kid = kid_of(off)
    material = {"type": "SECP256R1", "pubkey": base64.b64encode(off).decode(), "updated": 1}
    with pytest.raises(ValueError, match="'pubkey': 33 bytes that are no SECP256R1 public key"):
        read_fields(material, keymgmt.get(kid).answer, Asked(kid=kid))


def on_p256(point):
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        return False
    return True


def test_a_key_never_changes_its_type(hem, rig):
    key = hem.keys.create("SECP256R1", label="k")
    rig.alter = lambda _, body: body.replace(b"SECP256R1", b"SECP256K1")
    with pytest.raises(HemAnswerFault, match="SECP256K1"):
        key.public_key()
    with pytest.raises(HemAnswerFault, match="SECP256K1"):
        list(hem.keys)
    rig.alter = None
    assert [each.type.name for each in hem.keys] == ["SECP256R1"]
    assert key.public_key().curve.name == "secp256r1"


def test_an_imported_key_has_the_kid_of_its_bytes(hem, rig):
    public = ed25519.Ed25519PrivateKey.generate().public_key()
    true = kid_of(public.public_bytes_raw())
    hem.session.bearer(("keymgmt:imp",))
    rig.alter = answering(kid="00" * 16)
    with pytest.raises(HemAnswerFault, match="'kid': 0{32}; accepted: " + true):
        hem.session.run(keymgmt.import_public(public.public_bytes_raw(), type="ED25519", label="peer"))
    rig.alter = None
    hem.keys.delete(true)
    rig.alter = lambda line, body: answering(kid="00" * 16)(line, body) if "/import" in line else body
    assert hem.keys.import_public(public, label="peer").kid == true  # looked for by its mark


def test_what_a_search_did_not_ask_for_is_no_answer(hem, rig):
    hem.keys.create("ED25519", label="k")
    rig.alter = lambda _, body: re.sub(rb'"descr":"[^"]+"', b'"descr":"b3RoZXI="', body)
    with pytest.raises(HemAnswerFault, match="'descr': 5 bytes that were not searched for"):
        hem.keys.search_anonymous()


def test_counts_of_a_page_fit_together(hem, rig):
    for number in range(3):
        hem.keys.create("AES128", label=f"k{number}")
    hem.keys.refresh()
    for wrong in ({"total": 2}, {"listed": 4}, {"offset": 1}, {"total": 10**9}):
        rig.alter = answering(**wrong)
        with pytest.raises(HemAnswerFault, match=f"'{next(iter(wrong))}'"):
            list(hem.keys)
    rig.alter = None
    assert len(hem.keys) == 3


def test_a_fault_of_an_answer_is_a_device_fault_and_a_protocol_error(hem, rig):
    rig.alter = lambda *_: b"<html>"
    with pytest.raises(HemDeviceFault) as raised:
        hem.status()
    assert isinstance(raised.value, HemProtocolError)
    before = hem.statistics.calls
    with pytest.raises(HemAnswerFault):
        list(hem.keys)
    assert hem.statistics.calls == before + 1  # no status is asked for, which would be as untrue


def test_a_refusal_is_still_explained(hem):
    key = hem.keys.create("ED25519", label="k")
    with pytest.raises(HemOperationFailed, match="ED25519"):
        hem.sign(key.kid, MESSAGE, "SHA256WithECDSA")


@given(st.integers(1, 2**521), st.integers(1, 2**521))
def test_ecdsa_signatures_are_read_as_they_are_written(r, s):
    assert ecdsa.numbers(encode_dss_signature(r, s)) == (r, s)


@given(st.binary(max_size=80))
def test_there_is_one_encoding_of_an_ecdsa_signature(data):
    try:
        r, s = ecdsa.numbers(data)
    except ValueError:
        return
    assert encode_dss_signature(r, s) == data
