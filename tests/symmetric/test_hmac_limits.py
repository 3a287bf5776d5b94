"""HMAC: what the device cannot take is told early."""

from __future__ import annotations

import pytest
from cryptography.exceptions import AlreadyFinalized
from cryptography.hazmat.primitives import hashes

from hem_provider.errors import MessageTooLong
from hem_provider.symmetric import HMAC


@pytest.fixture
def mac(hem):
    return HMAC(hem.keys.create("SHA2-256", label="mac"), hashes.SHA256())


def test_it_is_a_hash_context_of_cryptography(mac):
    assert isinstance(mac, hashes.HashContext)
    assert not HMAC.__abstractmethods__
    assert mac.algorithm.name == "sha256"


def test_the_update_that_crosses_the_limit_fails_and_adds_nothing(hem, mac):
    before = hem.statistics.calls
    mac.update(bytes(2048))
    with pytest.raises(MessageTooLong, match="2049 bytes; the device takes at most 2048") as refused:
        mac.update(b"x")
    assert (refused.value.size, refused.value.limit) == (2049, 2048)
    assert hem.statistics.calls == before
    assert len(mac.finalize()) == 32


def test_an_empty_message_is_refused_without_a_call(hem, mac):
    before = hem.statistics.calls
    for end in (mac.finalize, lambda: mac.verify(bytes(32))):
        with pytest.raises(ValueError, match="0 bytes; the device takes 1 to 2048"):
            end()
    assert hem.statistics.calls == before


def test_text_is_no_message(mac):
    with pytest.raises(TypeError, match="data: str"):
        mac.update("text")


def test_it_ends_once(mac):
    mac.update(b"data")
    mac.copy().finalize()
    mac.finalize()
    for step in (mac.finalize, mac.copy, lambda: mac.update(b""), lambda: mac.verify(bytes(32))):
        with pytest.raises(AlreadyFinalized):
            step()
