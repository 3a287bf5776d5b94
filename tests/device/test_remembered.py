"""Keys as they were listed last, and the scope that a login made ahead asks for."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.passphrases import PASSPHRASE

from hem_provider.device.cache import DiskCache, Glimpse
from hem_provider.errors import HemKeyNotFound, HemScopeDenied, HemUnreachable
from hem_provider.rest import crypto, keymgmt

LIST = "keymgmt:list"
PIN = PASSPHRASE


@pytest.fixture
def web(hem):
    """A key that an earlier process listed."""
    key = hem.keys.create("SECP256R1", label="web", application_id=b"\x11")
    hem.keys.create("SECP256R1", label="other", application_id=b"\x22")
    hem.keys.refresh()
    list(hem.keys)
    return key


@pytest.fixture
def cold(rig, web):
    """The next process, which knows which device it is."""
    device = rig.connect()
    device.probe()
    return device


def calls(hem, action):
    before = hem.statistics.calls
    return action(), hem.statistics.calls - before


def test_nothing_is_remembered_before_the_device_is_known(rig, web):
    assert rig.connect().keys.remembered(label="web") == []


@pytest.mark.parametrize("by", ["label", "kid", "application_id"])
def test_a_key_is_remembered_by_each_of_its_names_without_a_call(cold, web, by):
    (key,), made = calls(cold, lambda: cold.keys.remembered(**{by: getattr(web, by)}))
    assert (key.kid, key.label, key.application_id, made) == (web.kid, "web", b"\x11", 0)


def test_an_id_that_only_ends_another_is_not_the_same(cold, hem):
    hem.keys.create("SECP256R1", label="longer", application_id=b"\x33\x11")
    hem.keys.refresh()
    list(hem.keys)
    assert [key.label for key in cold.keys.remembered(application_id=b"\x11")] == ["web"]


def test_another_life_of_the_device_is_not_remembered(cold, web, monkeypatch):
    monkeypatch.setattr(type(cold.session.challenge), "eid", "other", raising=False)
    assert cold.keys.remembered(label="web") == []


def test_confirming_takes_one_call(cold, web):
    (key,) = cold.keys.remembered(label="web")
    assert calls(cold, lambda: cold.keys.confirm(key)) == (True, 1)


def test_a_key_renamed_since_is_not_confirmed_and_tells_its_new_name(cold, web, hem):
    (key,) = cold.keys.remembered(label="web")
    hem.keys.update(web, label="web-old")
    assert not cold.keys.confirm(key)
    assert key.label == "web-old"


def test_a_key_deleted_since_is_not_confirmed_nor_known(cold, web, hem):
    cold.login(PIN)
    (key,) = cold.keys.remembered(label="web")
    hem.keys.delete(web)
    assert not cold.keys.confirm(key)
    assert not cold.keys.knows(key)


def test_using_a_key_that_is_gone_forgets_it_and_the_listing(cold, web, hem, rig):
    (key,) = cold.keys.remembered(label="web")
    cached = DiskCache(cold.config.url)
    listing = cached.listing()
    hem.keys.delete(web)
    cached.keep_listing(listing.eid, listing.records)  # of a machine that has not heard of it
    with pytest.raises(HemKeyNotFound):
        cold.sign(key.kid, b"data", "SHA256WithECDSA")
    assert not cold.keys.knows(key)
    assert cold.keys.remembered(label="web") == []


def login(hem):
    hem.login(PIN, scope=hem.keys.likely_scope())


def test_a_process_that_uses_a_remembered_key_takes_one_login(rig, cold, web):
    login(cold)
    (key,) = cold.keys.remembered(label="web")
    cold.sign(key.kid, b"data", "SHA256WithECDSA")
    third = rig.connect()
    third.probe()
    login(third)
    third.sign(web.kid, b"data", "SHA256WithECDSA")
    assert (third.statistics.calls, third.statistics.logins) == (3, 1)


def test_a_process_that_lists_leaves_the_next_login_for_listing(rig, cold, web):
    login(cold)
    list(cold.keys)
    cold.sign(web.kid, b"data", "SHA256WithECDSA")
    assert cold.keys.likely_scope() == LIST


def test_where_nothing_was_listed_what_follows_the_listing_counts(rig, hem):
    key = hem.keys.create("SECP256R1", label="web")
    cold = rig.connect()
    login(cold)
    list(cold.keys)
    cold.sign(key.kid, b"data", "SHA256WithECDSA")
    assert cold.keys.likely_scope() == f"keymgmt:use:{key.kid}"


@pytest.mark.parametrize("scope", ["keymgmt:del", "system:config", "keymgmt:use:../x", "keymgmt:list\n"])
def test_only_listing_and_use_are_guessed_at(scope):
    cache = DiskCache("https://my.ence.do")
    cache.keep_scope(scope)
    assert cache.scope() is None


@given(st.binary(max_size=200))
def test_whatever_lies_in_the_file_a_scope_is_one_or_none(content):
    cache = DiskCache("https://fuzz.ence.do")
    cache.keep_scope(LIST)
    path = cache.place("scope")
    path.write_bytes(content)
    path.chmod(0o600)
    assert cache.scope() in (None, LIST)


def test_a_single_key_is_what_a_first_login_is_for(rig, hem):
    key = hem.keys.create("SECP256R1", label="web", application_id=b"\x11")
    cold = rig.connect()
    cold.probe()
    login(cold)
    assert [each.kid for each in cold.keys.remembered(application_id=b"\x11")] == [key.kid]
    cold.sign(key.kid, b"data", "SHA256WithECDSA")
    assert (cold.statistics.calls, cold.statistics.logins) == (4, 1)
    warm = rig.connect()
    warm.probe()
    login(warm)
    assert [each.kid for each in warm.keys.remembered(kid=key.kid)] == [key.kid]
    warm.sign(key.kid, b"data", "SHA256WithECDSA")
    assert (warm.statistics.calls, warm.statistics.logins) == (3, 1)


def test_what_was_found_without_a_login_does_not_answer_for_a_label(rig, hem):
    """Keys of other software are not among it."""
    hem.keys.create("SECP256R1", label="web")
    cold = rig.connect()
    cold.probe()
    cold.keys.search_anonymous()
    assert cold.keys.remembered(label="web") == []


def test_without_a_key_of_ours_it_is_for_listing_and_nobody_asks_again(rig):
    for made in (1, 0):
        cold = rig.connect()
        assert cold.keys.likely_scope() == LIST
        assert (cold.statistics.calls, cold.statistics.logins) == (made, 0)


def test_of_several_keys_the_one_is_guessed_that_the_configuration_shows(rig, hem):
    web, _ = (hem.keys.create("SECP256R1", label=label) for label in ("web", "mail"))
    filtered = rig.connect(key_filter=("web*",))
    assert filtered.keys.likely_scope() == f"keymgmt:use:{web.kid}"


def test_of_several_keys_none_is_guessed(rig, hem):
    for label in ("web", "mail"):
        hem.keys.create("SECP256R1", label=label)
    assert rig.connect().keys.likely_scope() == LIST


def test_among_many_keys_a_guess_costs_one_call(rig, hem):
    for number in range(40):
        hem.keys.create("AES128", label=f"k{number}")
    cold = rig.connect()
    assert cold.keys.likely_scope() == LIST
    assert (cold.statistics.calls, cold.statistics.logins) == (1, 0)


def test_where_nobody_may_search_without_a_login_it_is_for_listing(rig, hem):
    hem.keys.create("SECP256R1", label="web")
    rig.configure(allow_keysearch=False)
    cold = rig.connect()
    assert cold.keys.likely_scope() == LIST


def test_a_change_forgets_what_was_found_without_a_login(rig, hem):
    key = hem.keys.create("SECP256R1", label="web", application_id=b"\x11")
    cold = rig.connect()
    cold.probe()
    cold.keys.search_anonymous()
    hem.keys.delete(key)
    again = rig.connect()
    again.probe()
    assert again.keys.remembered(application_id=b"\x11") == []


def test_no_token_serves_both_to_list_and_to_use_a_key(rig, hem):
    """Whatever its scope: the device compares all of it for a key's use, and its beginning for a listing."""
    key = hem.keys.create("SECP256R1", label="web")
    use = f"keymgmt:use:{key.kid}"
    scopes = [use, LIST, "keymgmt:search", "keymgmt:get", "keymgmt:gen", "keymgmt", "keymgmt:use"]
    scopes += [f"{LIST},{use}", f"{LIST} {use}", f"{use} {LIST}", f"{use}{LIST}", f"{LIST}:use:{key.kid}"]
    served = {}
    for scope in scopes:
        bearer = hem.session.bearer([scope])
        served[scope] = set()
        for call in (keymgmt.list_keys(0), crypto.sign(key.kid, b"data", "SHA256WithECDSA")):
            try:
                hem.session.carry(call, bearer)
            except HemScopeDenied:
                continue
            served[scope].add(call.path.split("/")[2])
    assert {scope for scope, what in served.items() if "crypto" in what} == {use}
    assert {scope for scope, what in served.items() if "keymgmt" in what} >= {LIST, f"{LIST},{use}"}
    assert not any(len(what) == 2 for what in served.values())


def test_a_device_that_was_there_just_now_is_recalled_by_the_next_process_for_a_while(rig, hem, monkeypatch):
    cold = rig.connect()
    assert cold.recall() is None
    eid = cold.probe().eid
    again = rig.connect()
    assert (again.recall(), again.statistics.calls) == (Glimpse(eid, emulator=True), 0)
    assert again.identity is None
    now = time.time()
    for later, there in ((29, True), (31, False), (-2, False)):
        monkeypatch.setattr(time, "time", lambda later=later: now + later)
        assert (again.recall() is not None) is there


@pytest.mark.parametrize("goes", ["shutdown", "reboot", "wipe"])
def test_a_device_that_is_sent_away_is_not_recalled(hem, rig, goes):
    eid = hem.probe().eid
    assert hem.recall() is not None
    if goes == "wipe":
        hem.admin.wipe(confirm=eid)
    else:
        getattr(hem.admin, goes)()
    assert rig.connect().recall() is None


def test_a_device_that_does_not_answer_is_not_recalled(rig):
    cold = rig.connect()
    cold.probe()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(cold.session), "probe", _unreachable)
        with pytest.raises(HemUnreachable):
            cold.probe()
    assert rig.connect().recall() is None


def _unreachable(_):
    raise HemUnreachable("it is gone")


@given(st.one_of(st.binary(max_size=200), st.recursive(st.none() | st.integers() | st.text() | st.booleans(),
       lambda each: st.dictionaries(st.sampled_from(["format", "at", "eid", "emulator"]), each))
       .map(lambda value: json.dumps(value).encode())))  # fmt: skip
def test_whatever_lies_in_the_file_a_device_was_seen_or_not(content):
    cache = DiskCache("https://fuzz.ence.do")
    cache.note_seen(Glimpse("A" * 43 + "=", emulator=False))
    path = cache.place("seen")
    path.write_bytes(content)
    path.chmod(0o600)
    assert cache.seen() is None
