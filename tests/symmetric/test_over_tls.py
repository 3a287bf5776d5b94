"""The same over real TLS, from several threads and processes."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from cryptography.hazmat.primitives.ciphers import aead
from support.rawkeys import raw_key

from hem_provider.emulator import open_device
from hem_provider.symmetric import AESGCM, aes_key_unwrap_with_padding, aes_key_wrap_with_padding, open, seal


def test_the_calls_counted_are_the_requests_that_arrive(served, over_tls):
    key = over_tls.keys.create("AES256", label="tls", usage={"aead"})
    seal(key, b"warm")
    seen, counted = len(served.calls()), over_tls.statistics.calls
    sealed = AESGCM(key).encrypt(bytes(12), bytes(5000), b"aad")
    arrived = served.calls(seen)
    assert [call["path"] for call in arrived] == ["/api/crypto/cipher/encrypt"] * 3
    assert over_tls.statistics.calls - counted == 3
    with open_device(served.state) as device:
        raw = raw_key(device, key.kid)
    assert aead.AESGCM(raw).decrypt(bytes(12), sealed, b"aad") == bytes(5000)


def test_the_largest_inputs_fit_into_requests(over_tls):
    wrapping = over_tls.keys.create("AES256", label="tls wrap", usage={"wrap"})
    wrapped = aes_key_wrap_with_padding(wrapping, bytes(2048))
    assert aes_key_unwrap_with_padding(wrapping, wrapped) == bytes(2048)
    key = over_tls.keys.create("AES256", label="tls seal", usage={"aead"})
    assert open(key, seal(key, bytes(2032), bytes(10_000)), bytes(10_000)) == bytes(2032)


def test_threads_may_share_a_key(over_tls):
    key = over_tls.keys.create("AES256", label="threads", usage={"aead"})
    aead_key = AESGCM(key)

    def work(number):
        nonce, data = number.to_bytes(12), bytes([number]) * 3000
        return aead_key.decrypt(nonce, aead_key.encrypt(nonce, data, None), None) == data

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(12)))


def test_a_forked_child_goes_on_with_the_key(over_tls):
    key = over_tls.keys.create("AES256", label="fork", usage={"aead"})
    sealed = seal(key, b"data")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if open(key, sealed) == b"data" and AESGCM(key).encrypt(bytes(12), b"x", None) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert open(key, sealed) == b"data"
