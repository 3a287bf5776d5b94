"""What an operation costs: device calls and logins, asserted."""

from __future__ import annotations


def cost(hem, action):
    before = (hem.statistics.calls, hem.statistics.logins)
    action()
    return hem.statistics.calls - before[0], hem.statistics.logins - before[1]


def test_constructing_and_asking_what_is_known_does_no_io(rig):
    hem = rig.connect()
    assert hem.identity is None
    assert hem.is_emulator
    assert hem.logged_in
    assert not rig.connect(None).logged_in
    hem.logout()
    assert not hem.logged_in
    assert rig.requests == []


def test_signing_with_a_warm_token_is_one_call(hem):
    key = hem.keys.create("SECP256R1", label="web")
    hem.sign(key.kid, b"first", "SHA256WithECDSA")
    assert cost(hem, lambda: hem.sign(key.kid, b"second", "SHA256WithECDSA")) == (1, 0)


def test_cold_signing_by_kid_is_three_calls_and_one_login(hem, rig):
    kid = hem.keys.create("SECP256R1", label="web").kid
    cold = rig.connect()
    assert cost(cold, lambda: cold.sign(kid, b"data", "SHA256WithECDSA")) == (3, 1)


def test_cold_signing_with_a_key_object_got_by_kid_is_four_calls_and_one_login(hem, rig):
    kid = hem.keys.create("ED25519", label="web").kid
    cold = rig.connect()

    def sign():
        private = cold.keys.get(kid).private_key()
        private.public_key().verify(private.sign(b"data"), b"data")

    assert cost(cold, sign) == (4, 1)


def test_cold_signing_by_label_is_six_calls_and_two_logins(hem, rig):
    hem.keys.create("ED25519", label="web")
    cold = rig.connect()
    assert cost(cold, lambda: cold.keys.find(label="web").private_key().sign(b"data")) == (6, 2)


def test_a_probe_gives_its_challenge_to_the_login_that_follows(rig):
    hem = rig.connect()
    assert cost(hem, hem.probe) == (1, 0)
    assert cost(hem, hem.login) == (1, 1)
    assert hem.identity is not None
    assert hem.identity.label == "Emulator"


def test_an_old_challenge_is_not_used(rig, monkeypatch):
    hem = rig.connect()
    hem.probe()
    monkeypatch.setattr("hem_provider.device.proving._KEEP_CHALLENGE", 0.0)
    assert cost(hem, hem.login) == (2, 1)


def test_creating_costs_a_login_and_a_call_and_knows_its_attributes(hem):
    made = []
    assert cost(hem, lambda: made.append(hem.keys.create("SECP384R1", label="a", usage={"sign"}))) == (3, 1)

    def known():
        assert made[0].label == "a"
        assert made[0].attributes.exdsa
        assert not made[0].attributes.ecdh
        assert not made[0].hidden

    assert cost(hem, known) == (0, 0)


def test_a_created_keys_public_half_uses_the_token_of_the_creation(hem):
    key = hem.keys.create("SECP256R1", label="web")
    assert cost(hem, key.public_key) == (1, 0)
    assert cost(hem, key.public_key) == (0, 0)


def test_listing_costs_a_call_per_fifteen_keys_and_is_kept(hem):
    for number in range(16):
        hem.keys.create("ED25519", label=f"key {number}")
    hem.keys.refresh()
    assert cost(hem, lambda: len(hem.keys)) == (4, 1)  # challenge, login, two pages
    assert cost(hem, lambda: hem.keys.find(label="key 3")) == (0, 0)
    hem.keys.refresh()
    assert cost(hem, lambda: next(iter(hem.keys))) == (1, 0)  # one page is enough for one key


def test_anonymous_search_needs_no_login(hem, rig):
    for number in range(16):
        hem.keys.create("ED25519", label=f"key {number}")
    cold = rig.connect(None)
    found = []
    assert cost(cold, lambda: found.extend(cold.keys.search_anonymous())) == (2, 0)
    assert [each.label for each in found] == [f"key {number}" for number in range(16)]


def test_a_message_too_long_or_empty_is_refused_before_the_network(hem, rig):
    import pytest

    from hem_provider.errors import MessageTooLong

    with pytest.raises(MessageTooLong) as caught:
        hem.sign("00" * 16, bytes(2049), "Ed25519")
    assert (caught.value.size, caught.value.limit) == (2049, 2048)
    assert isinstance(caught.value, ValueError)
    with pytest.raises(ValueError, match="0 bytes"):
        hem.sign("00" * 16, b"", "Ed25519")
    assert rig.requests == []


def test_the_largest_message_is_signed(hem):
    key = hem.keys.create("ED25519", label="web")
    private = key.private_key()
    private.public_key().verify(private.sign(bytes(2048)), bytes(2048))
