"""What is kept on disk between processes, and what it is trusted for."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hem_provider.device.cache import DiskCache, _parse_public
from hem_provider.device.creation import kid_of
from hem_provider.errors import HemKeyNotFound
from hem_provider.rest.encoding import b64
from hem_provider.rest.keymgmt import KeyRecord

URL = "https://my.ence.do"


def files() -> list[Path]:
    return sorted((Path(os.environ["XDG_CACHE_HOME"]) / "hem").glob("*"))


def cost(hem, action):
    before = (hem.statistics.calls, hem.statistics.logins)
    action()
    return hem.statistics.calls - before[0], hem.statistics.logins - before[1]


@pytest.fixture
def listed(hem):
    """Two keys, listed and read by an earlier process."""
    web = hem.keys.create("SECP256R1", label="web")
    mail = hem.keys.create("ED25519", label="mail")
    hem.keys.refresh()
    for key in hem.keys:
        key.public_bytes()
    return web, mail


def test_a_cached_key_got_by_kid_signs_with_three_calls_and_one_login(listed, rig):
    cold = rig.connect()
    key = listed[1].kid

    def sign():
        private = cold.keys.get(key).private_key()
        private.public_key().verify(private.sign(b"data"), b"data")

    assert cost(cold, sign) == (3, 1)


def test_a_cached_label_signs_with_four_calls_and_one_login(listed, rig):
    cold = rig.connect()
    assert cost(cold, lambda: cold.keys.find(label="mail").private_key().sign(b"data")) == (4, 1)


def test_where_anonymous_search_is_refused_a_label_takes_the_listing(listed, rig):
    rig.configure(allow_keysearch=False)
    cold = rig.connect()
    assert cold.keys.find(label="mail").kid == listed[1].kid


def test_a_cached_label_that_moved_to_another_key_is_not_believed(listed, rig, monkeypatch, tmp_path):
    web = listed[0]
    here = os.environ["XDG_CACHE_HOME"]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))  # another machine
    elsewhere = rig.connect()
    elsewhere.keys.update(web.kid, label="web-old")
    new = elsewhere.keys.create("SECP256R1", label="web")
    monkeypatch.setenv("XDG_CACHE_HOME", here)
    assert rig.connect().keys.find(label="web").kid == new.kid


def test_a_cached_key_deleted_elsewhere_is_not_found_at_its_use(listed, rig, monkeypatch, tmp_path):
    key = listed[1].kid
    here = os.environ["XDG_CACHE_HOME"]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    rig.connect().keys.delete(key)
    monkeypatch.setenv("XDG_CACHE_HOME", here)
    cold = rig.connect()
    with pytest.raises(HemKeyNotFound):
        cold.keys.get(key).private_key().sign(b"data")
    with pytest.raises(HemKeyNotFound):
        cold.keys.find(label="mail")


def test_what_may_have_changed_is_asked_for(listed, rig, monkeypatch, tmp_path):
    key = listed[0].kid
    here = os.environ["XDG_CACHE_HOME"]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    rig.connect().keys.update(key, label="renamed")
    monkeypatch.setenv("XDG_CACHE_HOME", here)
    cold = rig.connect()
    recalled = cold.keys.get(key)
    assert cost(cold, lambda: recalled.attributes) == (0, 0)
    assert recalled.label == "renamed"


def test_the_list_of_another_identity_is_not_used(listed, rig):
    cold = rig.connect()
    cold.probe()
    listing = cold.keys._listing.cache.listing()
    cold.keys._listing.cache.keep_listing("another eid", listing.records)
    assert cost(cold, lambda: cold.keys.get(listed[0].kid)) == (2, 1)  # a login and a question


@pytest.mark.parametrize("change", ["create", "delete", "update", "refresh"])
def test_a_change_made_here_is_not_hidden_by_the_list(listed, hem, rig, change):
    if change == "create":
        hem.keys.create("ED25519", label="third")
    elif change == "delete":
        hem.keys.delete(listed[0])
    elif change == "update":
        hem.keys.update(listed[0], label="other")
    else:
        hem.keys.refresh()
    assert rig.connect().keys._listing.cache.listing() is None


def test_files_are_the_users_alone(listed):
    assert [each.suffix for each in files()] == [".eid", ".keys", ".list"]
    for each in files():
        assert stat.S_IMODE(each.stat().st_mode) == 0o600
    assert stat.S_IMODE(files()[0].parent.stat().st_mode) == 0o700


def test_no_secret_is_on_disk(listed, hem):
    from support.passphrases import PASSPHRASE

    token = hem.session._tokens.find(["keymgmt:list"]).text
    for each in files():
        content = each.read_bytes()
        assert PASSPHRASE.encode() not in content
        assert token.encode() not in content


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o602])
def test_a_file_that_others_may_touch_counts_as_absent(listed, mode):
    for each in files():
        each.chmod(mode)
    cache = DiskCache("x")
    cache._name = files()[0].stem
    assert cache.listing() is None
    assert cache.public(listed[0].kid) is None


def test_a_symbolic_link_counts_as_absent(listed, tmp_path):
    for each in files():
        target = tmp_path / each.name
        each.rename(target)
        each.symlink_to(target)
    cache = DiskCache("x")
    cache._name = files()[0].stem
    assert cache.listing() is None
    assert cache.public(listed[0].kid) is None


def test_without_a_place_for_it_everything_works_uncached(hem, rig, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    key = hem.keys.create("ED25519", label="k")
    hem.keys.refresh()
    assert [each.kid for each in hem.keys] == [key.kid]
    key.public_bytes()


def test_a_public_key_that_does_not_match_its_kid_is_neither_kept_nor_read():
    cache = DiskCache(URL)
    cache.keep_public("00" * 16, b"forged")
    assert cache.public("00" * 16) is None
    good = kid_of(b"public")
    cache.keep_public(good, b"public")
    assert DiskCache(URL).public(good) == b"public"
    path = next(each for each in files() if each.suffix == ".keys")
    path.write_text(path.read_text().replace(b64(b"public"), b64(b"forged")))
    assert DiskCache(URL).public(good) is None


@given(st.lists(st.binary(min_size=1, max_size=70), max_size=5), st.binary(max_size=30), st.integers(0, 30))
def test_a_torn_file_gives_what_is_whole_and_nothing_else(publics, noise, cut):
    text = b"".join(f"{kid_of(each)} {b64(each)}\n".encode() for each in publics)
    found = _parse_public(text[: len(text) - cut] + noise)
    assert all(kid_of(public) == kid for kid, public in found.items())
    assert _parse_public(text) == {kid_of(each): each for each in publics}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=60)
    | st.sampled_from([b"{}", b"[]", b'{"format":1}', b'{"format":1,"records":[1]}'])
)
def test_any_damaged_list_counts_as_absent(content):
    cache = DiskCache(URL)
    cache.keep_listing("eid", [])
    path = next(each for each in files() if each.suffix == ".list")
    path.write_bytes(content)
    assert cache.listing() is None


@given(
    st.builds(
        KeyRecord,
        kid=st.binary(min_size=16, max_size=16).map(bytes.hex),
        type=st.text(max_size=20),
        label=st.text(max_size=32),
        descr=st.binary(max_size=64),
        created=st.integers(0, 2**32),
        updated=st.integers(0, 2**32),
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_list_is_read_back_as_it_was_kept(record):
    cache = DiskCache(URL)
    cache.keep_listing("eid", [record])
    assert cache.listing().records == (record,)


@pytest.mark.long
def test_a_hundred_thousand_keys_are_remembered():
    records = [
        KeyRecord(f"{each:032x}", "PKEY,ECDH,ExDSA,SECP256R1", f"key {each:>28}", bytes(64), each, each)
        for each in range(100_000)
    ]
    DiskCache(URL).keep_listing("eid", records)
    kept = DiskCache(URL).listing()
    assert kept is not None
    assert kept.records == tuple(records)
