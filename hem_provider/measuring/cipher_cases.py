"""The operations of symmetric keys by size, beside as many bare requests as the device needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import modes

from hem_provider.device.hem import Key
from hem_provider.keytypes import MAX_MESSAGE
from hem_provider.measuring.cases import MESSAGE, layers
from hem_provider.measuring.measure import Case
from hem_provider.measuring.subject import Subject
from hem_provider.rest import ciphers

__all__ = ["CHAINED", "SIZES", "cipher_cases", "size_name"]

#: Bytes; the modes that chain cost one call a block and are measured at small sizes.
SIZES = (16, MAX_MESSAGE, 32 * MAX_MESSAGE)
CHAINED = (16, 256)
_BLOCK = 16
_NONCE = bytes(range(12))
_IV = bytes(16)


def cipher_cases(subject: Subject, sizes: tuple[int, ...] = SIZES) -> Iterator[Case]:
    """HMAC, AES in each mode, key wrap."""
    yield from _mac(subject)
    for size in sizes:
        yield from _aead(subject, size)
        yield from _ciphers(subject, size)
    for size in CHAINED:
        yield from _chained(subject, size)
    yield from _wrap(subject)


def _mac(subject: Subject) -> Iterator[Case]:
    from hem_provider.symmetric import HMAC

    key = subject.keys["SHA2-256"]

    def hmac() -> bytes:
        context = HMAC(key, hashes.SHA256())
        context.update(MESSAGE)
        return context.finalize()

    yield from layers(
        "HMAC-SHA256",
        subject.bare_use(key, "hmac/hash", msg=MESSAGE),
        REST=lambda: subject.hem.session.run(ciphers.hmac(key.kid, MESSAGE)),
        Hem=lambda: subject.hem.hmac(key.kid, MESSAGE),
        cryptography=hmac,
    )


def _aead(subject: Subject, size: int) -> Iterator[Case]:
    from hem_provider.symmetric import AESGCM

    key, data = subject.keys["AES256 aead"], bytes(size)
    # Hash subkey and tag mask take two blocks beside the keystream.
    calls = -(-(size + 2 * _BLOCK) // subject.hem.limits.message)
    yield from layers(
        f"AES-GCM {size_name(size)}",
        _blocks(subject, key, size + 2 * _BLOCK, calls),
        every=calls,
        symmetric=lambda: AESGCM(key).encrypt(_NONCE, data, None),
    )


def _ciphers(subject: Subject, size: int) -> Iterator[Case]:
    from hem_provider.symmetric import Cipher

    key, data = subject.keys["AES256 cipher"], bytes(size)
    calls = -(-size // subject.hem.limits.message)

    def ctr() -> bytes:
        context = Cipher(key, modes.CTR(_IV)).encryptor()
        return context.update(data) + context.finalize()

    def ecb() -> bytes:
        context = Cipher(key, modes.ECB()).encryptor()  # noqa: S305 - measured, not recommended
        return context.update(data) + context.finalize()

    def cbc() -> bytes:
        context = Cipher(key, modes.CBC(_IV)).decryptor()
        return context.update(data) + context.finalize()

    for name, run in (("AES-CTR", ctr), ("AES-ECB", ecb), ("AES-CBC decrypt", cbc)):
        floor = _blocks(subject, key, size, calls)
        yield from layers(f"{name} {size_name(size)}", floor, every=calls, symmetric=run)


def _chained(subject: Subject, size: int) -> Iterator[Case]:
    from hem_provider.symmetric import CMAC, Cipher

    cipher, mac, data = subject.keys["AES256 cipher"], subject.keys["AES256 mac"], bytes(size)
    blocks = size // _BLOCK

    def cbc() -> bytes:
        context = Cipher(cipher, modes.CBC(_IV)).encryptor()
        return context.update(data) + context.finalize()

    def cmac() -> bytes:
        context = CMAC(mac)
        context.update(data)
        return context.finalize()

    yield from layers(
        f"AES-CBC encrypt {size_name(size)}",
        _blocks(subject, cipher, _BLOCK, blocks),
        every=blocks,
        symmetric=cbc,
    )
    yield from layers(
        f"AES-CMAC {size_name(size)}",
        _blocks(subject, mac, _BLOCK, max(blocks, 2)),  # the subkeys come with a chain of two
        every=blocks,
        symmetric=cmac,
    )


def _wrap(subject: Subject) -> Iterator[Case]:
    from hem_provider.symmetric import aes_key_unwrap, aes_key_wrap

    key, clear = subject.keys["AES256 wrap"], bytes(32)
    wrapped = aes_key_wrap(key, clear)
    yield from layers(
        "wrap 32 B",
        subject.bare_use(key, "cipher/wrap", msg=clear, alg="AES256"),
        Hem=lambda: subject.hem.wrap(key.kid, clear, "AES256"),
        symmetric=lambda: aes_key_wrap(key, clear),
    )
    yield from layers(
        "unwrap 32 B",
        subject.bare_use(key, "cipher/unwrap", msg=wrapped, alg="AES256"),
        symmetric=lambda: aes_key_unwrap(key, wrapped),
    )


def _blocks(subject: Subject, key: Key, size: int, calls: int) -> Callable[[], bytes] | None:
    """The ECB requests that all modes are made of."""
    part = bytes(min(-(-size // _BLOCK) * _BLOCK, subject.hem.limits.message))
    return subject.bare_use(key, "cipher/encrypt", times=calls, msg=part, alg="AES256-ECB")


def size_name(size: int) -> str:
    """16 B, 2 KiB."""
    return f"{size // 1024} KiB" if size >= 1024 else f"{size} B"
