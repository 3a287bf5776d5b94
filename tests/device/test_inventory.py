"""``hem.keys`` as a collection."""

from __future__ import annotations

import pytest

from hem_provider.errors import (
    HemKeyAmbiguous,
    HemKeyNotFound,
    HemLoginRequired,
    HemOperationFailed,
    HemRequestRefused,
    MessageTooLong,
)
from hem_provider.keytypes import KEY_TYPES, Family
from hem_provider.rest import crypto, keymgmt

SIGNING = ["SECP256R1", "SECP384R1", "SECP521R1", "SECP256K1", "ED25519"]


@pytest.mark.parametrize("name", sorted(KEY_TYPES))
def test_every_type_is_made_and_predicted_as_the_listing_shows_it(hem, rig, name):
    made = hem.keys.create(name, label="k")
    predicted = made.attributes
    [listed] = rig.connect().keys
    assert listed.kid == made.kid
    assert listed.attributes == predicted
    assert (listed.created, listed.updated) == (made.created, made.updated)
    assert listed.descr == made.descr
    assert not listed.hidden
    assert made.type is KEY_TYPES[name]


def test_lookups_by_kid_label_type_and_own_id(hem, rig):
    web = hem.keys.create("SECP256R1", label="web", application_id=b"\x01")
    hem.keys.create("ED25519", label="mail", application_id=b"\x02")
    keys = rig.connect().keys
    assert keys.get(web.kid.upper()).kid == web.kid
    assert keys[web.kid] is keys.get(web.kid)
    assert keys.find(label="web").kid == web.kid
    assert keys.find(type="ED25519").label == "mail"
    assert keys.find(application_id=b"\x01").kid == web.kid
    assert keys.find(label="web", type="SECP256R1", application_id=b"\x01").kid == web.kid
    assert keys.search(label="web", type="ED25519") == []
    assert web.kid in keys
    assert "0" * 32 not in keys
    assert len(keys) == 2


def test_no_key_and_several_keys_are_distinct_errors_that_name_them(hem):
    first = hem.keys.create("SECP256R1", label="web")
    second = hem.keys.create("SECP256R1", label="web")
    with pytest.raises(HemKeyAmbiguous, match=f"(?s){first.kid}.*{second.kid}"):
        hem.keys.find(label="web")
    with pytest.raises(HemKeyNotFound, match="label 'nope'"):
        hem.keys.find(label="nope")


@pytest.mark.parametrize("listed", [False, True])
def test_an_unknown_kid_is_not_found_listed_or_not(hem, rig, listed):
    keys = rig.connect().keys
    if listed:
        list(keys)
    with pytest.raises(HemKeyNotFound):
        keys.get("ab" * 16)


@pytest.mark.parametrize("kid", ["", "ab", "zz" * 16, "ab" * 17])
def test_a_malformed_kid_is_refused_before_the_network(hem, rig, kid):
    with pytest.raises(ValueError, match="32 hex digits"):
        hem.keys.get(kid)
    assert rig.requests == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"type": "RSA2048", "label": "x"}, "type: 'RSA2048'; accepted: SECP256R1"),
        ({"type": "SECP256R1", "label": ""}, "label: 0 characters"),
        ({"type": "SECP256R1", "label": "x" * 33}, "label: 33 characters"),
        ({"type": "SECP256R1", "label": "ł"}, "printable ASCII"),
        ({"type": "SECP256R1", "label": "x", "usage": {"aead"}}, "usage"),
        ({"type": "SECP256R1", "label": "x", "usage": ()}, "usage"),
        ({"type": "ED25519", "label": "x", "usage": {"derive"}}, "usage"),
        ({"type": "SECP256R1", "label": "x", "application_id": bytes(41)}, "application id: 41"),
    ],
)
def test_what_cannot_be_made_is_refused_before_the_network(hem, rig, wrong, message):
    with pytest.raises(ValueError, match=message):
        hem.keys.create(wrong.pop("type"), **wrong)
    assert rig.requests == []


def test_usage_becomes_the_devices_mode(hem):
    for usage, ecdh, exdsa in (({"sign"}, False, True), ({"derive"}, True, False), (None, True, True)):
        attributes = hem.keys.create("SECP256R1", label="k", usage=usage).attributes
        assert (attributes.ecdh, attributes.exdsa) == (ecdh, exdsa)


def test_symmetric_keys_carry_their_mode_family(hem, rig):
    for usage in ({"aead"}, {"cipher", "mac"}, {"wrap"}):
        key = hem.keys.create("AES256", label="k", usage=usage)
        assert rig.connect().keys.get(key.kid).family_mark == usage
    assert hem.keys.create("AES256", label="k").family_mark == {"aead"}
    assert hem.keys.create("SECP256R1", label="k").family_mark == frozenset()


def test_symmetric_keys_have_no_public_half(hem):
    key = hem.keys.create("AES256", label="k")
    with pytest.raises(HemOperationFailed, match="no public half"):
        key.public_bytes()


@pytest.mark.parametrize("name", SIGNING)
def test_public_halves_have_the_size_and_kid_of_their_type(hem, name):
    import hashlib

    key = hem.keys.create(name, label="k")
    public = key.public_bytes()
    assert len(public) == key.type.public_size
    assert hashlib.sha1(public).hexdigest()[:32] == key.kid
    assert (key.type.family is Family.EC) == (public[0] in (2, 3) and name != "ED25519")


def test_deleting_is_seen_by_the_listing_and_by_others_after_refresh(hem, rig):
    keys = [hem.keys.create("ED25519", label=f"k{n}") for n in range(17)]
    other = rig.connect()
    assert len(other.keys) == 17
    iterator = iter(hem.keys)
    next(iterator)
    hem.keys.delete(keys[0])
    hem.keys.delete(keys[16].kid)
    assert [each.label for each in hem.keys] == [f"k{n}" for n in range(1, 16)]
    assert len(other.keys) == 17
    other.keys.refresh()
    assert len(other.keys) == 15


def test_creating_during_a_listing_shows_each_key_once(hem):
    for n in range(20):
        hem.keys.create("ED25519", label=f"k{n}")
    hem.keys.refresh()
    seen = []
    for key in hem.keys:
        seen.append(key.label)
        if len(seen) == 3:
            hem.keys.create("ED25519", label="new")
    assert sorted(seen) == sorted({*seen})
    assert {"k0", "k19", "new"} <= set(seen)


def test_a_key_known_by_kid_alone_learns_its_label_when_asked(hem, rig):
    made = hem.keys.create("SECP256R1", label="web", application_id=b"me")
    cold = rig.connect()
    key = cold.keys.get(made.kid)
    assert "label" not in repr(key)
    assert (key.label, key.application_id, key.created) == ("web", b"me", made.created)
    assert key.attributes == made.attributes


def test_the_devices_own_records_are_hidden_unless_asked_for(hem, rig):
    from hem_provider.emulator.lifecycle import store_tls_records

    with rig.device.model.transaction():
        store_tls_records(rig.device.model)
    key = hem.keys.create("SECP256R1", label="web")
    assert [each.kid for each in rig.connect().keys] == [key.kid]
    shown = list(rig.connect(show_hidden=True).keys)
    assert len(shown) == 3
    own = [each for each in shown if each.hidden]
    assert {each.label for each in own} == {"TLS PrivateKey", "TLS Certificate"}
    with pytest.raises(HemOperationFailed, match="not a key"):
        _ = own[0].type


@pytest.mark.parametrize("listed", [False, True])
def test_a_key_filter_shows_the_keys_whose_label_matches(hem, rig, listed):
    web = hem.keys.create("ED25519", label="web-1")
    other = hem.keys.create("ED25519", label="Web-1")
    hem.keys.create("ED25519", label="mail")
    if listed:
        hem.keys.refresh()
        list(hem.keys)
    keys = rig.connect(key_filter=("web-*", "db-?")).keys
    with pytest.raises(HemKeyNotFound):
        keys.find(label="mail")
    assert [each.label for each in keys] == ["web-1"]
    assert keys.find(type="ED25519").kid == web.kid
    assert keys.get(other.kid).label == "Web-1"


def test_anonymous_search_that_the_device_refuses_wants_a_login(hem, rig):
    rig.configure(allow_keysearch=False)
    with pytest.raises(HemLoginRequired, match="without a login"):
        rig.connect(None).keys.search_anonymous()


def test_foreign_descr_is_left_alone(hem, rig):
    kid = hem.session.run(keymgmt.create(type="ED25519", label="other", descr=b"their own"))
    key = rig.connect().keys.get(kid)
    assert key.descr == b"their own"
    assert key.application_id is None
    assert key.family_mark is None
    assert rig.connect(None).keys.search_anonymous() == []


def test_keys_are_never_used_over_plain_http():
    from hem_provider.device import connect

    plain = connect("http://127.0.0.1:1", passphrase="x")
    with pytest.raises(HemRequestRefused, match="plain HTTP"):
        plain.session.run(keymgmt.list_keys())
    with pytest.raises(HemRequestRefused, match="nothing was sent"):
        plain.session.run(crypto.ecdh("00" * 16, "00" * 16))
    assert plain.statistics.calls == 0  # not for a login either


def test_what_is_too_large_to_be_sent_is_refused_before_a_login():
    from hem_provider.device import connect

    away = connect("https://127.0.0.1:1", passphrase="x")
    with pytest.raises(MessageTooLong, match=r"\d bytes.*nothing was sent") as told:
        away.session.run(crypto.mldsa_verify("00" * 16, bytes(2000), bytes(4627)))
    assert told.value.size > told.value.limit == away.limits.body
    assert away.statistics.calls == 0


def test_a_key_is_the_same_by_every_connection_to_its_device(hem, rig):
    key = hem.keys.create("SECP256R1", label="web")
    other = rig.connect()
    assert key == hem.keys.get(key.kid)
    assert key == other.keys.get(key.kid)
    assert key.private_key() == other.keys.get(key.kid).private_key()
    assert len({key, hem.keys.get(key.kid), other.keys.get(key.kid)}) == 1
    assert key != hem.keys.create("SECP256R1", label="web")


def test_keys_of_two_devices_differ_even_with_one_kid(hem, tmp_path):
    from hem_provider.device import connect

    kid, one, two = "00" * 16, connect("https://one.example"), connect("https://two.example")
    here = [each.keys._listing.new(kid) for each in (one, one, two)]  # not asked, so no device is needed
    assert here[0] == here[1]
    assert here[0] != here[2]
    assert here[0] != kid


def test_the_repr_of_a_key_tells_what_is_known(hem):
    key = hem.keys.create("SECP256R1", label="web")
    assert repr(key) == f"<Key {key.kid} SECP256R1 'web'>"


def test_nothing_that_holds_a_login_is_pickled_and_copies_of_a_key_are_the_key(hem):
    import copy
    import pickle

    key = hem.keys.create("SECP256R1", label="web")
    assert copy.deepcopy([key])[0] is key
    assert copy.copy(key) is key
    for thing in (hem, key, hem.keys):
        with pytest.raises(TypeError, match="pickle"):
            pickle.dumps(thing)


def test_listing_many_keys_is_linear_in_pages(hem, monkeypatch):
    import time

    from hem_provider.rest.keymgmt import KeyRecord, Page

    def page(call):
        offset = call.asked.offset
        records = tuple(
            KeyRecord(f"{number:032x}", "ATT,PKEY,ExDSA,ED25519", f"key {number}", b"", 1, 1)
            for number in range(offset, min(offset + 15, 10_000))
        )
        return Page(records, offset, 10_000)

    hem.probe()
    monkeypatch.setattr(hem.session, "run", page)
    started = time.process_time()
    assert len(hem.keys) == 10_000
    assert hem.keys.find(label="key 9999").kid == f"{9999:032x}"
    assert time.process_time() - started < 5


def test_a_key_that_is_known_from_elsewhere_is_used_without_being_looked_for(rig):
    with rig.connect() as hem:
        made = hem.keys.create("SECP256R1", label="web", usage={"derive"})
        kid, public = made.kid, made.public_bytes()
    with rig.connect() as hem:
        rig.requests.clear()
        key = hem.keys.told_of(kid, "SECP256R1", public)
        assert (key.type.name, key.public_bytes(), key.kid) == ("SECP256R1", public, kid)
        assert hem.keys.told_of(kid.upper(), "SECP256R1") is key
        assert rig.requests == []
        for wrong, told in (
            ((kid, "SECP256R9"), "type: 'SECP256R9'; accepted: SECP256R1"),
            (("0" * 32, "SECP256R1", public), "33 bytes that are not the public half of key 000"),
            ((kid, "SECP256R1", public[:-1]), "32 bytes"),
            (("x", "SECP256R1"), "kid"),
        ):
            with pytest.raises(ValueError, match=told):
                hem.keys.told_of(*wrong)
