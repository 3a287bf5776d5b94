"""``max_calls``: bulk data that would keep a device busy for hours are refused before the first call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import modes
from hypothesis import given
from hypothesis import strategies as st
from symmetric.double import LocalAesKey

from hem_provider import connect
from hem_provider.config import DeviceConfig, load_config
from hem_provider.errors import HemConfigError, MessageTooLong
from hem_provider.symmetric import AESGCM, CMAC, Cipher

IV, N12, N16 = bytes(16), bytes(12), bytes(range(16))


class Limited(LocalAesKey):
    """A key that may be called ``max_calls`` times in one operation."""

    def __init__(self, max_calls: int) -> None:
        super().__init__(bytes(32))
        self.max_calls = max_calls


def encryptor(key: Any, mode: modes.Mode) -> Any:
    return Cipher(key, mode).encryptor()


def decryptor(key: Any, mode: modes.Mode) -> Any:
    return Cipher(key, mode).decryptor()


#: What begins an operation, and the bytes that ``calls`` calls serve.
STREAMS: dict[str, tuple[Callable[[Any], Any], Callable[[int], int]]] = {
    "CBC encryption": (lambda key: encryptor(key, modes.CBC(IV)), lambda calls: 16 * calls),
    "CBC decryption": (lambda key: decryptor(key, modes.CBC(IV)), lambda calls: 2048 * calls),
    "ECB encryption": (lambda key: encryptor(key, modes.ECB()), lambda calls: 2048 * calls),  # noqa: S305
    "ECB decryption": (lambda key: decryptor(key, modes.ECB()), lambda calls: 2048 * calls),  # noqa: S305
    "CTR": (lambda key: encryptor(key, modes.CTR(IV)), lambda calls: 2048 * calls),
    "GCM encryption": (lambda key: encryptor(key, modes.GCM(N12)), lambda calls: 2048 * calls - 32),
    "GCM, another nonce": (lambda key: encryptor(key, modes.GCM(N16)), lambda calls: 2048 * (calls - 1) - 16),
    "GCM decryption": (lambda key: decryptor(key, modes.GCM(N12)), lambda calls: 2048 * calls - 32),
    "CMAC": (CMAC, lambda calls: 16 * calls),
}


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("calls", [3, 10])
def test_what_just_fits_is_done_and_one_byte_more_is_refused_before_the_first_call(
    name: str, calls: int
) -> None:
    begin, most = STREAMS[name]
    key = Limited(calls)
    begin(key).update(bytes(most(calls)))
    assert len(key.calls) <= calls
    key.calls.clear()
    more = 1 if name in ("CTR", "CMAC") or "GCM" in name else 16
    with pytest.raises(MessageTooLong, match=rf"max_calls permits {calls}\b") as caught:
        begin(key).update(bytes(most(calls) + (17 if name == "CMAC" else more)))
    assert key.calls == []
    assert caught.value.limit < caught.value.size


@pytest.mark.parametrize("name", STREAMS)
@given(pieces=st.lists(st.integers(0, 5000), max_size=12))
def test_in_pieces_the_one_that_crosses_the_limit_is_refused_and_makes_no_call(
    name: str, pieces: list[int]
) -> None:
    begin, _ = STREAMS[name]
    key = Limited(4)
    context = begin(key)
    for size in pieces:
        before = len(key.calls)
        try:
            context.update(bytes(size))
        except MessageTooLong:
            assert len(key.calls) == before
        assert len(key.calls) <= 4


def test_a_context_goes_on_after_a_refusal_as_if_nothing_had_been_asked() -> None:
    key = Limited(4)
    context = encryptor(key, modes.CBC(IV))
    first = context.update(bytes(32))
    with pytest.raises(MessageTooLong):
        context.update(bytes(48))
    result = first + context.update(bytes(32)) + context.finalize()
    assert result == encryptor(LocalAesKey(bytes(32)), modes.CBC(IV)).update(bytes(64))


@pytest.mark.parametrize("nonce", [N12, N16])
def test_one_shot_gcm_is_held_to_it_both_ways(nonce: bytes) -> None:
    sealed = AESGCM(LocalAesKey(bytes(32))).encrypt(nonce, bytes(5000), b"aad")
    key = Limited(3 if nonce == N12 else 4)
    assert AESGCM(key).decrypt(nonce, sealed, b"aad") == bytes(5000)
    assert len(key.calls) == key.max_calls
    key = Limited(len(key.calls) - 1)
    for operation in (AESGCM(key).encrypt, AESGCM(key).decrypt):
        with pytest.raises(MessageTooLong):
            operation(nonce, sealed if operation.__name__ == "decrypt" else bytes(5000), b"aad")
    assert key.calls == []


def test_a_key_that_is_on_no_device_has_no_limit() -> None:
    key = LocalAesKey(bytes(32))
    encryptor(key, modes.CBC(IV)).update(bytes(16 * 5000))
    assert len(key.calls) == 5000


def test_the_devices_setting_limits_its_keys(rig: Any) -> None:
    with rig.connect(max_calls=2) as hem:
        key = hem.keys.create("AES256", label="bulk", usage={"cipher"})
        assert len(encryptor(key, modes.CBC(IV)).update(bytes(32))) == 32
        before = hem.statistics.calls
        with pytest.raises(MessageTooLong, match="3 calls to it, and its max_calls permits 2, 32 bytes"):
            encryptor(key, modes.CBC(IV)).update(bytes(48))
        assert hem.statistics.calls == before
    assert DeviceConfig(url="https://my.ence.do").max_calls == 4096


@pytest.mark.parametrize("value", ["0", "2147483648", "-1", "1.5", "many", "9" * 5000])
def test_the_environment_may_say_it(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("HEM_URL", "https://my.ence.do")
    monkeypatch.setenv("HEM_MAX_CALLS", "100000")
    assert load_config().device().max_calls == 100000
    monkeypatch.setenv("HEM_MAX_CALLS", value)
    with pytest.raises(HemConfigError, match="HEM_MAX_CALLS.*a whole number from 1"):
        load_config()


@pytest.mark.parametrize("value", [0, -1, 2**31, True, 1.5, "many", "5"])
def test_another_value_than_a_whole_number_is_refused(value: Any) -> None:
    with pytest.raises(HemConfigError, match="max_calls.*a whole number from 1 to 2147483647"):
        connect("https://my.ence.do", max_calls=value)
