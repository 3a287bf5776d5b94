"""Passwords through the keyring backend's vault."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hem_provider.adapters.keyring.vault.format import Header
from hem_provider.adapters.keyring.vault.keys import DeviceKeys
from hem_provider.adapters.keyring.vault.vault import Vault
from hem_provider.measuring.cases import layers
from hem_provider.measuring.measure import Case
from hem_provider.measuring.subject import Subject

__all__ = ["keyring_cases"]

_SERVICE, _USER, _PASSWORD = "https://service.example.org/", "user", "a password"


def keyring_cases(subject: Subject, path: Path) -> Iterator[Case]:
    """Get and set in a vault of one entry; ``benchmarks.keyring_scale`` has the large ones."""
    key, keys = subject.keys["AES256 wrap"], DeviceKeys(subject.hem)
    vault = Vault.create(path, Header("0" * 32, "bench", key.kid, None), lambda _: keys)
    vault.set(_SERVICE, _USER, _PASSWORD)
    yield from layers(
        "keyring get",
        subject.bare_use(
            key, "cipher/unwrap", msg=subject.hem.wrap(key.kid, bytes(32), "AES256"), alg="AES256"
        ),
        vault=lambda: vault.get(_SERVICE, _USER),
    )
    yield from layers(
        "keyring set",
        subject.bare_use(key, "cipher/wrap", msg=bytes(32), alg="AES256"),
        vault=lambda: vault.set(_SERVICE, _USER, _PASSWORD),
    )
