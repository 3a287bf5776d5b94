"""C_GenerateRandom with ``device_random``: what the device adds, costs, and cannot take away."""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hem_pkcs11 import entropy
from hem_pkcs11.constants import CKA, CKM, CKR
from hem_pkcs11.entropy import DeviceEntropy
from hem_pkcs11.module import Module
from hem_pkcs11.values import Mechanism, pack_bool, pack_ulong

from hem_provider.config import Config, Pkcs11Config


@pytest.fixture
def core(make_device_core: Any, device_state: Any) -> Iterator[Any]:
    core = make_device_core(device_state)
    core.config = Config(devices=core.config.devices, pkcs11=Pkcs11Config(device_random=True))
    core.module = Module(load_config=lambda: core.config)
    core.ok("C_Initialize", None)
    yield core
    if core.module.initialized_in is not None:
        core.ok("C_Finalize", False)


@pytest.fixture
def aes(core: Any) -> Iterator[int]:
    session = core.user_session()
    template = [(CKA.VALUE_LEN, pack_ulong(16)), (CKA.TOKEN, pack_bool(True))]
    key = core.ok("C_GenerateKey", session, Mechanism(CKM.AES_KEY_GEN), template)
    yield session
    core.ok("C_DestroyObject", session, key)


def calls(core: Any) -> int:
    return int(core.module.slot(0).device_calls)


def test_the_device_is_asked_once_and_what_it_says_changes_the_result(
    core: Any, aes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    hem = core.module.slot(0).hem
    real = hem.encrypt

    def encrypt(kid: str, data: bytes, algorithm: str) -> Any:
        asked.append(algorithm)
        return real(kid, data, algorithm)

    monkeypatch.setattr(hem, "encrypt", encrypt)
    monkeypatch.setattr(os, "urandom", bytes)  # of the host: zeros
    first, second = (core.ok("C_GenerateRandom", aes, 64) for _ in range(2))
    assert asked == ["AES128-CBC"] * 2
    assert len({first, second, bytes(64)}) == 3
    before = calls(core)
    for _ in range(20):
        core.ok("C_GenerateRandom", aes, 1000)
    assert calls(core) == before


def test_a_mebibyte_later_the_device_is_asked_again(core: Any, aes: int) -> None:
    core.ok("C_GenerateRandom", aes, 8)
    before = calls(core)
    core.ok("C_GenerateRandom", aes, entropy.RESEED_AFTER)
    assert calls(core) == before
    core.ok("C_GenerateRandom", aes, 8)
    assert 2 <= calls(core) - before <= 4


def test_without_a_login_the_host_alone_serves_and_it_is_said_once(
    core: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("hem_pkcs11.log.log.level", entropy.log.level.WARNING)
    session = core.session()
    before = calls(core)
    assert len({core.ok("C_GenerateRandom", session, 32) for _ in range(3)}) == 3
    assert calls(core) == before
    assert capfd.readouterr().err.count("takes a login") == 1


def test_without_an_aes_key_the_host_alone_serves_and_it_is_said_once(
    core: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    session = core.user_session()
    monkeypatch.setattr("hem_pkcs11.log.log.level", entropy.log.level.WARNING)
    core.ok("C_GenerateRandom", session, 32)
    before = calls(core)
    assert len(core.ok("C_GenerateRandom", session, 32)) == 32
    assert calls(core) == before
    assert capfd.readouterr().err.count("no AES key") == 1


def slot_of(answer: Any) -> Any:
    """A slot with one AES key whose device answers what ``answer`` gives."""
    from hem_pkcs11.constants import CKK, CKO, CKU
    from hem_pkcs11.objects.device_keys import DeviceKey

    item = DeviceKey.__new__(DeviceKey)
    item.object_class = CKO.SECRET_KEY
    item.kind = SimpleNamespace(key_type=CKK.AES)  # type: ignore[assignment]
    item.key = SimpleNamespace(kid="00", family_mark=None, type=SimpleNamespace(name="AES256"))  # type: ignore[assignment]
    return SimpleNamespace(
        name="first",
        login=SimpleNamespace(user=CKU.USER),
        refresh_objects=lambda: None,
        objects=SimpleNamespace(find=lambda *_, **__: [item]),
        hem=SimpleNamespace(encrypt=answer),
    )


def test_a_device_that_fails_is_left_alone_for_a_minute_and_then_asked_again() -> None:
    from hem_provider.errors import HemDeviceFault

    now, asked = [0.0], []

    def encrypt(*_: Any) -> Any:
        asked.append(now[0])
        if now[0] < 100:
            raise HemDeviceFault("broken")
        return SimpleNamespace(iv=bytes(16))

    pool, slot = DeviceEntropy(clock=lambda: now[0]), slot_of(encrypt)
    for moment in (0.0, 10.0, 59.0):
        now[0] = moment
        assert pool.mix(slot, b"host") == b"host"
    assert asked == [0.0]
    now[0] = 100.0
    assert pool.mix(slot, bytes(16)) != bytes(16)


def test_an_evil_device_takes_nothing_from_the_host() -> None:
    """With a seed that the device knows whole, the result still is the host's up to a constant."""

    def encrypt(*_: Any) -> Any:
        return SimpleNamespace(iv=bytes(16))

    results = []
    for host in (bytes(32), bytes(range(32))):
        pool, slot = DeviceEntropy(), slot_of(encrypt)
        results.append(pool.mix(slot, host))
    difference = bytes(a ^ b for a, b in zip(*results, strict=True))
    assert difference == bytes(range(32))


def test_by_default_the_device_is_not_asked(device_core: Any) -> None:
    assert device_core.module.slot(0).entropy is None
    session = device_core.user_session()
    before = calls(device_core)
    assert device_core.rv("C_GenerateRandom", session, 32) == CKR.OK
    assert calls(device_core) == before
