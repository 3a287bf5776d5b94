"""IVs of AES-GCM that the module makes: none twice under a key."""

from __future__ import annotations

import threading
from itertools import pairwise
from typing import Any

import pytest
from hem_pkcs11.constants import CKA, CKG, CKK, CKM, CKR
from hem_pkcs11.module import Module
from hem_pkcs11.objects.secret_keys import SessionSecretKey
from hem_pkcs11.operations import ivs
from hem_pkcs11.operations.ivs import IvSource
from hem_pkcs11.returns import Pkcs11Error
from hem_pkcs11.values import GcmMessageParameters, Mechanism, pack_bool, pack_ulong
from hypothesis import given
from hypothesis import strategies as st
from support.keyops import template

KEY = bytes(range(32))
GENERATORS = [CKG.GENERATE, CKG.GENERATE_COUNTER, CKG.GENERATE_RANDOM]


def parameters(generator: int = CKG.GENERATE_COUNTER, iv: bytes = bytes(12), fixed: int = 0) -> Any:
    return GcmMessageParameters(iv=iv, fixed_bits=8 * fixed, generator=generator, tag=bytes(16), tag_bits=128)


def secret(value: bytes = KEY) -> SessionSecretKey:
    return SessionSecretKey(1, value, CKK.AES, flags=frozenset())


def refused(source: IvSource, item: Any, given: Any) -> CKR:
    with pytest.raises(Pkcs11Error) as error:
        source.next(item, given)
    return error.value.rv


def encrypt(core: Any, session: int, key: int, given: Any) -> bytes:
    """The IV of one message, with an operation of its own."""
    core.ok("C_MessageEncryptInit", session, Mechanism(CKM.AES_GCM), key)
    used, _ = core.ok("C_EncryptMessage", session, given, b"", b"x", 1)
    core.ok("C_MessageEncryptFinal", session)
    return used.iv


@pytest.mark.parametrize("generator", GENERATORS)
def test_the_counter_goes_on_over_operations_sessions_copies_and_keys_of_equal_value(
    core: Any, generator: int
) -> None:
    given = parameters(generator, b"fixed678" + bytes(4), 8)
    session, other = core.user_session(), core.session()
    made = []
    for _ in range(3):
        key = core.ok("C_CreateObject", session, template(CKK.AES, KEY, private=True))
        made += [encrypt(core, session, key, given) for _ in range(3)]
        made.append(encrypt(core, other, core.ok("C_CopyObject", other, key, []), given))
        core.ok("C_DestroyObject", session, key)
        core.ok("C_Logout", session)
        session = core.user_session()
    core.ok("C_Finalize", False)
    core.ok("C_Initialize", None)
    session = core.user_session()
    key = core.ok("C_CreateObject", session, template(CKK.AES, KEY, private=True))
    made.append(encrypt(core, session, key, given))
    assert {iv[:8] for iv in made} == {b"fixed678"}
    counters = [int.from_bytes(iv[8:], "big") for iv in made]
    assert all((after - before) % 2**32 == 1 for before, after in pairwise(counters))


@pytest.mark.parametrize("generator", GENERATORS)
def test_four_free_bytes_do_not_repeat_after_70_000_messages(generator: int) -> None:
    """As random numbers they would, with a chance of two in five."""
    source, item = IvSource(), secret()
    given = parameters(generator, b"fixed678" + bytes(4), 8)
    assert len({source.next(item, given) for _ in range(70_000)}) == 70_000


def test_a_key_is_exhausted_when_every_iv_with_the_fixed_part_was_made() -> None:
    made = ivs._Key()
    assert len({made.make(8, b"fixed67") for _ in range(256)}) == 256
    with pytest.raises(Pkcs11Error, match="every IV of 8 bytes with this fixed part of 7") as error:
        made.make(8, b"fixed67")
    assert error.value.rv == CKR.KEY_EXHAUSTED
    made.make(8, b"another")  # another part has its own


def test_a_key_is_exhausted_after_two_to_the_32_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ivs.MAX_MESSAGES == 2**32
    monkeypatch.setattr(ivs, "MAX_MESSAGES", 3)
    source = IvSource()
    for size in (12, 13, 16):
        source.next(secret(), parameters(iv=bytes(size)))
    assert refused(source, secret(), parameters()) == CKR.KEY_EXHAUSTED
    assert source.next(secret(bytes(32)), parameters())  # another key goes on


@given(st.lists(st.tuples(st.sampled_from([2, 3]), st.binary(max_size=2)), min_size=1, max_size=400))
def test_fixed_parts_that_continue_each_other_share_their_ivs(asked: list[tuple[int, bytes]]) -> None:
    """Short ones, so that they meet: never an IV twice, whatever the order."""
    key, made = ivs._Key(), set()
    for length, fixed in asked:
        fixed = bytes(each & 1 for each in fixed[: length - 1])
        for _ in range(5):
            try:
                iv = key.make(length, fixed)
            except Pkcs11Error:
                break
            assert iv.startswith(fixed)
            assert len(iv) == length
            assert iv not in made
            made.add(iv)


def test_nested_fixed_parts_use_up_all_their_ivs_together() -> None:
    key = ivs._Key()
    inner = {key.make(2, b"\7") for _ in range(256)}
    outer = {key.make(2, b"") for _ in range(65536 - 256)}
    assert not inner & outer
    with pytest.raises(Pkcs11Error, match="every IV"):
        key.make(2, b"")


def test_a_key_in_the_device_needs_96_free_bits(device_core: Any) -> None:
    """Other processes make IVs under the same key, before and after this one."""
    session = device_core.user_session()

    yes = pack_bool(True)
    wanted = [(CKA.TOKEN, pack_bool(False)), (CKA.VALUE_LEN, pack_ulong(32)), (CKA.LABEL, b"gcm")]
    key = device_core.ok(
        "C_GenerateKey",
        session,
        Mechanism(CKM.AES_KEY_GEN),
        [*wanted, (CKA.ENCRYPT, yes), (CKA.DECRYPT, yes)],
    )
    device_core.ok("C_MessageEncryptInit", session, Mechanism(CKM.AES_GCM), key)
    for short in (parameters(fixed=4), parameters(iv=bytes(15), fixed=4)):
        rv = device_core.rv("C_EncryptMessage", session, short, b"", b"x", 1)
        assert rv == CKR.MECHANISM_PARAM_INVALID
    first, second = (
        device_core.ok("C_EncryptMessage", session, enough, b"", b"x", 1)[0].iv
        for enough in (parameters(), parameters(iv=b"four" + bytes(12), fixed=4))
    )
    assert first != bytes(11) + b"\1"  # where another process would begin as well
    assert second[:4] == b"four"
    device_core.ok("C_MessageEncryptFinal", session)
    device_core.ok("C_DestroyObject", session, key)


def test_a_forked_child_begins_elsewhere() -> None:
    module = Module()
    before = module.ivs.next(secret(), parameters())
    module.abandon()
    after = module.ivs.next(secret(), parameters())
    assert abs(int.from_bytes(after, "big") - int.from_bytes(before, "big")) > 2**40


def test_threads_never_get_the_same_iv() -> None:
    source, made, lock = IvSource(), [], threading.Lock()

    def take() -> None:
        mine = [source.next(secret(), parameters(fixed=8)) for _ in range(2000)]
        with lock:
            made.extend(mine)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 8000


def test_what_is_remembered_of_keys_is_bounded_where_forgetting_is_safe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ivs, "MAX_KEYS", 10)
    source = IvSource()
    short = [source.next(secret(), parameters(fixed=8)) for _ in range(2)]  # 4 bytes: never forgotten
    for number in range(200):
        source.next(secret(number.to_bytes(32, "big")), parameters(fixed=4))
    assert len(source._keys) <= 11
    short.append(source.next(secret(), parameters(fixed=8)))
    counters = [int.from_bytes(iv[8:], "big") for iv in short]
    assert (counters[2] - counters[0]) % 2**32 == 2


def test_what_is_remembered_does_not_hold_the_key() -> None:
    source = IvSource()
    source.next(secret(), parameters())
    assert all(KEY not in name for name in source._keys)
