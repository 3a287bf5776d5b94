"""Secret bytes with several users: overwritten with the last, never read as zeros."""

from __future__ import annotations

import copy
import pickle
import sys
import threading

import pytest

from hem_provider.errors import HemLoginRequired
from hem_provider.rest.credential import Credential, Role
from hem_provider.secret import Lease, SecretGone, hold

VALUE = bytes(range(32))


def buffer_of(lease: Lease) -> bytearray:
    buffer = lease._secret.buffer
    assert buffer is not None
    return buffer


def test_the_last_users_end_overwrites() -> None:
    first = hold(VALUE)
    second, buffer = first.share(), buffer_of(first)
    first.end()
    first.end()
    assert second.read() == VALUE
    second.end()
    assert bytes(buffer) == bytes(32)


def test_a_lease_that_has_ended_reads_nothing() -> None:
    first = hold(VALUE)
    second = first.share()
    first.end()
    for refused in (first.read, first.share):
        with pytest.raises(SecretGone):
            refused()
    second.overwrite()
    with pytest.raises(SecretGone):
        second.read()
    assert first.ended
    assert second.ended


def test_overwriting_ends_every_lease() -> None:
    first = hold(VALUE)
    second, buffer = first.share(), buffer_of(first)
    first.overwrite()
    assert bytes(buffer) == bytes(32)
    for refused in (second.read, second.share):
        with pytest.raises(SecretGone):
            refused()


def test_a_lease_that_is_dropped_has_ended() -> None:
    lease = hold(VALUE)
    buffer = buffer_of(lease)
    del lease
    assert bytes(buffer) == bytes(32)


def test_a_lease_neither_shows_nor_gives_away_its_secret() -> None:
    lease = hold(b"very secret")
    assert "secret!" not in repr(lease)
    assert repr(lease) == "<Lease of 11 secret bytes>"
    for leaving in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled or copied"):
            leaving(lease)
    lease.end()
    assert repr(lease) == "<Lease of 11 secret bytes, ended>"


def race(read: object, end: object, seen: set[object]) -> None:
    """``read`` in a thread until it refuses, ``end`` in this one."""
    started = threading.Event()

    def reader() -> None:
        started.set()
        while True:
            try:
                seen.add(read())  # type: ignore[operator]
            except (SecretGone, HemLoginRequired):
                return

    thread = threading.Thread(target=reader)
    thread.start()
    started.wait()
    end()  # type: ignore[operator]
    thread.join()


def test_a_reader_sees_the_secret_or_nothing_while_another_thread_overwrites() -> None:
    before, seen = sys.getswitchinterval(), set[object]()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(300):
            lease = hold(VALUE)
            race(lease.read, lease.overwrite, seen)
    finally:
        sys.setswitchinterval(before)
    assert seen <= {VALUE}


def test_a_credential_agrees_truly_or_not_at_all_while_it_is_wiped() -> None:
    peer = Credential(bytes([5]) * 32, eid="peer", role=Role.USER).public
    true = Credential(VALUE, eid="eid", role=Role.USER).agree(peer)
    seen = set[object]()
    for _ in range(50):
        credential = Credential(VALUE, eid="eid", role=Role.USER)
        race(lambda: credential.agree(peer), credential.wipe, seen)  # noqa: B023 - joined in each round
    assert seen <= {true}


def test_a_shared_credential_outlives_the_first() -> None:
    credential = Credential(VALUE, eid="eid", role=Role.USER)
    other = credential.share()
    assert (other.eid, other.role, other.public) == ("eid", Role.USER, credential.public)
    buffer = buffer_of(credential._seed)
    credential.wipe()
    with pytest.raises(HemLoginRequired):
        credential.share()
    assert other.agree(other.public)
    other.wipe()
    assert bytes(buffer) == bytes(32)
