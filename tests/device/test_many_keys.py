"""Looking for one of many keys in a new process, where others change the device meanwhile."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from benchmarks.filling import application_id, label, records
from hem_provider.device.cache import DiskCache
from hem_provider.device.keyuri import uri_of
from hem_provider.device.naming import key_meant
from hem_provider.errors import HemKeyAmbiguous, HemKeyNotFound
from hem_provider.rest import keymgmt, system

LIST = "keymgmt:list"
COUNT = 90
WANTED = label(40)


def foreign(hem, label, descr=b""):
    return hem.session.run(keymgmt.create(type="SECP256R1", label=label, mode="ExDSA", descr=descr))


@pytest.fixture
def many(rig, hem):
    """Keys that an earlier process listed, those of other software last; by label."""
    with rig.device.model.transaction():
        rig.device.model.repository.fill(records(COUNT, rig.device.model.now()))
    for name, descr in (("theirs", b"THEIRS:1"), ("short", b"x"), ("bare", b"")):
        foreign(hem, name, descr)
    return {each.label: each for each in rig.connect().keys}


@pytest.fixture
def elsewhere(rig, monkeypatch, tmp_path, many):
    """Another machine, which changes the device behind the back of this one."""

    @contextmanager
    def other():
        with monkeypatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
            yield rig.connect()

    return other


def cost(hem, action):
    before = hem.statistics.calls, hem.statistics.logins
    return action(), (hem.statistics.calls - before[0], hem.statistics.logins - before[1])


def by_label(hem):
    return hem.keys.find(label=WANTED)


def by_id(hem):
    return hem.keys.find(application_id=application_id(40))


def by_uri_of_label(hem):
    return key_meant(hem, uri_of(object=WANTED, type="private"))


def by_uri_of_id(hem):
    return key_meant(hem, uri_of(id=application_id(40)))


def by_uri_of_kid(hem):
    [kid] = [each.kid for each in hem.keys.recalled() if each.label == WANTED]
    return key_meant(hem, uri_of(id=bytes.fromhex(kid)))


@pytest.mark.parametrize("find", [by_label, by_id, by_uri_of_label, by_uri_of_id, by_uri_of_kid])
def test_one_of_many_is_found_by_two_calls_and_without_a_login(rig, many, find):
    found, (calls, logins) = cost(cold := rig.connect(), lambda: find(cold))
    assert (found, calls, logins) == (many[WANTED], 2, 0)


def test_a_signature_with_it_takes_one_login(rig, many):
    cold = rig.connect()
    made, (calls, logins) = cost(cold, lambda: cold.sign(by_label(cold).kid, b"data", "SHA256WithECDSA"))
    assert (bool(made), calls, logins) == (True, 5, 1)


def test_where_searching_needs_a_login_it_takes_one(rig, many):
    rig.configure(allow_keysearch=False)
    cold = rig.connect()
    found, (calls, logins) = cost(cold, lambda: by_label(cold))
    assert (found, calls, logins) == (many[WANTED], 5, 1)  # two were refused


def test_where_nothing_is_remembered_the_device_itself_looks_for_an_id(rig, many):
    DiskCache(rig.connect().config.url).forget_listing()
    cold = rig.connect()
    found, (calls, logins) = cost(cold, lambda: by_id(cold))
    assert (found, calls, logins) == (
        many[WANTED],
        4,
        1,
    )  # two of them log in, and one tells how many there are
    assert cold.keys.search(application_id=bytes(41)) == []


def test_a_token_for_listing_lists_no_hundred_pages_for_one_key(rig, many):
    cold = rig.connect()
    cold.session.bearer([LIST])
    assert cost(cold, lambda: cold.keys.get(many[WANTED].kid)) == (many[WANTED], (0, 0))
    assert cost(cold, lambda: by_label(cold)) == (many[WANTED], (2, 0))


@pytest.mark.parametrize("find", [by_label, by_id])
def test_a_name_that_moved_to_a_new_key_is_followed(rig, many, elsewhere, find):
    with elsewhere() as other:
        other.keys.update(many[WANTED].kid, label="old", application_id=b"old")
        new = other.keys.create("SECP256R1", label=WANTED, application_id=application_id(40))
    cold = rig.connect()
    assert find(cold) == new


def test_a_name_that_moved_to_an_older_key_is_looked_for_in_all(rig, many, elsewhere):
    with elsewhere() as other:
        other.keys.update(many[WANTED].kid, label="old")
        other.keys.update(many[label(7)].kid, label=WANTED)
    cold = rig.connect()
    assert by_label(cold).kid == many[label(7)].kid


@pytest.mark.parametrize("gone", [(40,), (2, 40), tuple(range(20, 60))])
def test_a_key_that_is_gone_is_not_found(rig, many, elsewhere, gone):
    with elsewhere() as other:
        for number in gone:
            other.keys.delete(many[label(number)].kid)
    cold = rig.connect()
    with pytest.raises(HemKeyNotFound):
        by_label(cold)


@pytest.mark.parametrize("gone", [(2,), (89,), range(10, 30), range(60, 90)])
def test_others_that_are_gone_cost_no_listing(rig, many, elsewhere, gone):
    with elsewhere() as other:
        for number in gone:
            other.keys.delete(many[label(number)].kid)
        new = other.keys.create("SECP256R1", label="new")
    cold = rig.connect()
    found, (calls, logins) = cost(cold, lambda: by_label(cold))
    assert found == many[WANTED]
    assert calls <= 4
    assert not logins
    assert cold.keys.find(label="new") == new


def test_two_keys_of_one_name_are_told_apart_by_none_of_them(rig, many, elsewhere):
    with elsewhere() as other:
        second = other.keys.create("SECP256R1", label=WANTED)
    cold = rig.connect()
    with pytest.raises(HemKeyAmbiguous, match=f"(?s){many[WANTED].kid}.*{second.kid}"):
        by_label(cold)
    assert cold.statistics.calls == 2
    list(rig.connect().keys)
    cold = rig.connect()
    with pytest.raises(HemKeyAmbiguous, match=f"(?s){many[WANTED].kid}.*{second.kid}"):
        by_label(cold)
    assert cold.statistics.calls == 3


def test_who_may_list_sees_new_keys_of_other_software_too(rig, many, elsewhere):
    with elsewhere() as other:
        foreign(other, WANTED)
    cold = rig.connect()
    assert by_label(cold) == many[WANTED]
    cold.session.bearer([LIST])
    with pytest.raises(HemKeyAmbiguous):
        by_label(cold)


@pytest.mark.parametrize("name", ["theirs", "short", "bare"])
def test_keys_of_other_software_are_confirmed_too(rig, many, elsewhere, name):
    assert rig.connect().keys.find(label=name) == many[name]
    with elsewhere() as other:
        kid = many[name].kid
        descr = many[name].descr
        other.session.run(keymgmt.update(kid, label="old", descr=descr))
        new = foreign(other, name, descr)
    assert rig.connect().keys.find(label=name).kid == new


@pytest.mark.parametrize("name", ["theirs", "short", "bare"])
def test_so_they_are_among_few(rig, hem, monkeypatch, tmp_path, name):
    hem.keys.create("SECP256R1", label="web")
    kid = foreign(hem, name, descr := {"theirs": b"THEIRS:1", "short": b"x", "bare": b""}[name])
    list(rig.connect().keys)
    with monkeypatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
        other = rig.connect()
        other.session.run(keymgmt.update(kid, label="old", descr=descr))
        new = foreign(other, name)
    assert rig.connect().keys.find(label=name).kid == new


def test_what_the_configuration_hides_is_not_found(rig, many):
    with pytest.raises(HemKeyNotFound):
        rig.connect(key_filter=("web*",)).keys.find(label=WANTED)


def test_a_new_name_of_an_older_key_shows_nowhere_but_in_its_record(rig, many, elsewhere):
    """Why one of many is confirmed and not proven to be the only one: nothing else that the device tells is
    another afterwards, and a page tells of 15 keys."""
    cold = rig.connect()

    def told():
        """The pages and, of the last one of those found without a login and of the self-test, all."""
        run = cold.session.run
        pages = [run(keymgmt.list_keys(offset)) for offset in range(0, COUNT, 15)]
        ours = run(keymgmt.search_anonymously(b"PKCS11:h:", offset=COUNT - 1))
        return pages, ours, run(system.selftest()).repository

    before = told()
    assert before[2] is not None
    with elsewhere() as other:
        other.keys.update(many[label(7)].kid, label=WANTED)
    after = told()
    [changed] = [
        set(page.records) ^ set(was.records)
        for page, was in zip(after[0], before[0], strict=True)
        if page != was
    ]
    assert {each.kid for each in changed} == {many[label(7)].kid}
    assert after[1:] == before[1:]
    assert by_label(rig.connect()) == many[WANTED]
    cold.keys.refresh()
    with pytest.raises(HemKeyAmbiguous):
        by_label(cold)


def test_where_new_keys_stand_before_older_ones_all_are_listed(rig, many, elsewhere):
    with rig.device.model.transaction():
        database = rig.device.model.repository._database
        database.execute("UPDATE slot SET slot = slot + 1000")
    with elsewhere() as other:
        new = other.keys.create("SECP256R1", label=WANTED)
    with rig.device.model.transaction():
        database.execute("UPDATE slot SET slot = 1 WHERE kid = ?", (bytes.fromhex(new.kid),))
        rig.device.model.repository._changed()
    cold = rig.connect()
    with pytest.raises(HemKeyAmbiguous):
        by_label(cold)


def test_many_keys_of_other_software_are_listed_and_not_asked_for_one_by_one(rig, hem):
    for number in range(25):
        foreign(hem, f"theirs {number}")
    hem.keys.create("ED25519", label="ours")
    list(rig.connect().keys)

    def ambiguous(cold):
        with pytest.raises(HemKeyAmbiguous):
            cold.keys.find(type="SECP256R1")

    _, (calls, logins) = cost(cold := rig.connect(), lambda: ambiguous(cold))
    assert (calls <= 5, logins) == (True, 1), calls  # a search of ours, a login, two pages
