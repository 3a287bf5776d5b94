"""Importing, deriving and updating keys."""

from __future__ import annotations

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, mldsa, mlkem, x25519
from support.traffic import LostReply, LostRequest

from hem_provider.emulator import control
from hem_provider.errors import (
    HemConnectionError,
    HemDuplicateKey,
    HemKeyNotFound,
    HemOperationFailed,
)
from hem_provider.rest import keymgmt

PUBLIC = [
    lambda: ec.generate_private_key(ec.SECP256R1()).public_key(),
    lambda: ec.generate_private_key(ec.SECP521R1()).public_key(),
    lambda: ec.generate_private_key(ec.SECP256K1()).public_key(),
    lambda: ed25519.Ed25519PrivateKey.generate().public_key(),
    lambda: x25519.X25519PrivateKey.generate().public_key(),
    lambda: mldsa.MLDSA44PrivateKey.generate().public_key(),
    lambda: mlkem.MLKEM768PrivateKey.generate().public_key(),
]


@pytest.mark.parametrize("make", PUBLIC)
def test_a_public_key_is_stored_under_the_kid_that_follows_from_it(hem, rig, make):
    public = make()
    key = hem.keys.import_public(public, label="peer", application_id=b"p")
    before = hem.statistics.calls
    assert key.public_key() == public
    assert hem.statistics.calls == before
    [listed] = rig.connect().keys
    assert listed.kid == key.kid
    assert listed.public_key() == public
    assert not listed.attributes.private
    with pytest.raises(UnsupportedAlgorithm, match="is a public key"):
        key.private_key()
    with pytest.raises(UnsupportedAlgorithm, match="is a public key"):
        listed.private_key()


def test_a_key_imported_twice_is_a_duplicate(hem):
    public = ed25519.Ed25519PrivateKey.generate().public_key()
    hem.keys.import_public(public, label="peer")
    with pytest.raises(HemDuplicateKey, match="stored already"):
        hem.keys.import_public(public, label="again")


@pytest.mark.parametrize("loss", [LostReply, LostRequest])
def test_a_lost_reply_to_import_is_no_duplicate(hem, rig, loss):
    rig.fault("POST /api/keymgmt/import", loss)
    key = hem.keys.import_public(ed25519.Ed25519PrivateKey.generate().public_key(), label="peer")
    assert [each.kid for each in rig.connect().keys] == [key.kid]


def test_what_cannot_be_imported_is_refused_before_the_network(hem, rig):
    foreign = dsa.generate_private_key(2048).public_key()
    for wrong, kind, message in (
        (foreign, UnsupportedAlgorithm, "no keys of the kind"),
        (("MLKEM512", bytes(799)), ValueError, "799 bytes; MLKEM512 has 800"),
        (("AES256", bytes(32)), ValueError, "no public keys"),
        (("DSA", bytes(32)), ValueError, "accepted: SECP256R1"),
    ):
        with pytest.raises(kind, match=message):
            hem.keys.import_public(wrong, label="x")
    assert rig.requests == []


def test_a_stored_peer_is_agreed_with_by_kid(hem):
    own = hem.keys.create("CURVE25519", label="own")
    local = x25519.X25519PrivateKey.generate()
    peer = hem.keys.import_public(local.public_key(), label="peer")
    assert hem.ecdh(own.kid, peer.kid) == local.exchange(own.public_key())


@pytest.mark.parametrize("name", ["AES256", "SHA2-256", "ED25519", "CURVE25519"])
def test_a_key_is_derived_from_an_agreement_once(hem, rig, name):
    own = hem.keys.create("CURVE25519", label="own")
    public = x25519.X25519PrivateKey.generate().public_key()
    peer = hem.keys.import_public(public, label="peer")
    derived = hem.keys.derive(own, peer, type=name, label="derived", application_id=b"d")
    assert derived.kid not in (own.kid, peer.kid)
    again = rig.connect().keys.get(derived.kid)
    assert (again.label, again.application_id, again.type.name) == ("derived", b"d", name)
    assert derived.attributes == again.attributes
    if name != "AES256":  # asymmetric and MAC keys collide; for others the device's rule is unknown
        with pytest.raises(HemOperationFailed):
            hem.keys.derive(own.kid, public, type=name, label="again")


def test_what_cannot_be_derived_is_refused_before_the_network(hem, rig):
    kid = "ab" * 16
    with pytest.raises(ValueError, match="cannot be derived"):
        hem.keys.derive(kid, "cd" * 16, type="MLDSA44", label="x")
    with pytest.raises(ValueError, match="32 hex digits"):
        hem.keys.derive(kid, "cd", type="AES256", label="x")
    assert rig.requests == []


def test_a_lost_reply_to_derive_is_found_by_its_mark(hem, rig):
    own = hem.keys.create("CURVE25519", label="own")
    peer = x25519.X25519PrivateKey.generate().public_key()
    rig.fault("POST /api/keymgmt/derive", LostReply)
    derived = hem.keys.derive(own, peer, type="AES128", label="derived")
    assert derived.type.name == "AES128"
    assert rig.count("POST /api/keymgmt/derive") == 1
    assert len(rig.connect().keys) == 2


def test_an_update_changes_what_was_given_and_keeps_the_rest(hem, rig):
    key = hem.keys.create("AES256", label="old", usage={"wrap"}, application_id=b"id")
    mark = key.descr[10:18]
    hem.keys.update(key, label="new")
    seen = rig.connect().keys.get(key.kid)
    assert (seen.label, seen.application_id, seen.family_mark) == ("new", b"id", {"wrap"})
    hem.keys.update(key.kid, application_id=b"other")
    seen = rig.connect().keys.get(key.kid)
    assert (seen.label, seen.application_id, seen.family_mark) == ("new", b"other", {"wrap"})
    assert seen.descr[10:18] == mark
    assert (key.label, key.application_id) == ("new", b"other")


def test_an_update_keeps_what_another_program_changed_meanwhile(hem, rig):
    key = hem.keys.create("ED25519", label="old", application_id=b"id")
    assert key.label == "old"
    rig.connect().keys.update(key.kid, application_id=b"theirs")
    hem.keys.update(key, label="ours")
    seen = rig.connect().keys.get(key.kid)
    assert (seen.label, seen.application_id) == ("ours", b"theirs")


def make_foreign(hem, descr):
    return hem.session.run(keymgmt.create(type="ED25519", label="f", descr=descr))


@pytest.mark.parametrize("descr", [b"their own", b""])
def test_a_foreign_descr_is_never_lost(hem, rig, descr):
    kid = make_foreign(hem, descr)
    hem.keys.update(kid, label="renamed")
    assert rig.connect().keys.get(kid).descr == descr
    if descr:
        with pytest.raises(ValueError, match="another application's"):
            hem.keys.update(kid, application_id=b"x")
    else:
        hem.keys.update(kid, application_id=b"x")
        assert rig.connect().keys.get(kid).application_id == b"x"


def test_a_descr_of_128_bytes_as_newer_firmware_has_it_is_never_lost(hem, rig):
    control.run(rig.device, "quirk", {"name": "U29", "value": "128"})
    descr = bytes(range(1, 129))
    kid = make_foreign(hem, descr)
    assert rig.connect().keys.get(kid).descr == descr
    hem.keys.update(kid, label="renamed")
    [seen] = rig.connect().keys
    assert (seen.label, seen.descr) == ("renamed", descr)
    hem.keys.update(seen.kid, label="again")
    assert rig.connect().keys.get(kid).descr == descr


def test_an_update_of_a_deleted_key_says_so(hem, rig):
    key = hem.keys.create("ED25519", label="k")
    rig.connect().keys.delete(key.kid)
    with pytest.raises(HemKeyNotFound, match="was deleted"):
        hem.keys.update(key, label="new")


def test_a_lost_update_is_repeated(hem, rig):
    key = hem.keys.create("ED25519", label="k")
    rig.fault("POST /api/keymgmt/update", LostReply)
    hem.keys.update(key, label="new")
    assert rig.connect().keys.get(key.kid).label == "new"


def test_a_device_that_stays_away_during_a_derivation_is_a_connection_error(hem, rig):
    own = hem.keys.create("CURVE25519", label="own")
    rig.fault("POST /api/keymgmt/derive", LostReply)
    rig.fault("POST /api/keymgmt/search", LostRequest)
    rig.fault("POST /api/keymgmt/search", LostRequest)
    with pytest.raises(HemConnectionError, match="creation mark"):
        hem.keys.derive(own, own, type="AES128", label="derived")


@pytest.mark.parametrize(
    ("private", "kid"),
    [  # vectors D and E of the device API §10.7, §13.7
        (bytes([3]) * 32, "28fa8f122e253585da7e11b37b616ed1"),
        (bytes(range(1, 33)), "06a04f25cc20b81824a897540c9485b4"),
        (bytes([9]) * 32, "a943db0e99f08653f7d6105b9d4ff9f9"),
    ],
)
def test_kids_follow_from_public_keys_as_published(private, kid):
    from hem_provider.device.creation import kid_of
    from hem_provider.rest.ejwt import public_key_of

    assert kid_of(public_key_of(private)) == kid
