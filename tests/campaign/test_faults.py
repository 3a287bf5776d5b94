"""Faults × operations in short: a sample of all cells holds what is promised, nothing is left out, and what
is broken is told."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from campaign.faults import OPERATIONS, chosen, in_process, told
from campaign.faults.cells import MOMENTS, tried, usual_of
from campaign.faults.mishaps import MISHAPS
from campaign.faults.operations import Told
from campaign.faults.programs import PROGRAMS
from campaign.faults.world import World
from campaign.outcome import Effort
from hem_provider.device.auditlog import AuditLog
from hem_provider.device.hem import Hem
from hem_provider.emulator.faults import FAULTS
from hem_provider.symmetric import AESGCM

#: Of about 40 000 cells.
SHARE = 0.001


def operation(name):
    return next(each for each in OPERATIONS if str(each) == name)


def mishap(name):
    return next(each for each in MISHAPS if each.name == name)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with World.made(tmp_path_factory.mktemp("world")) as made:
        yield made


def test_a_sample_of_all_cells_holds_what_is_promised(tmp_path):
    results = list(in_process(Effort(tmp_path, SHARE)))
    assert {each.operation.layer for each in results} >= {each.layer for each in OPERATIONS}
    outcome = told(results)
    assert outcome.problems() == [], outcome.problems()
    assert outcome.figures[0].value == len(results) > 30


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_sample_has_every_layer_and_every_fault_of_the_emulator(tmp_path, seed):
    cells = chosen(Effort(tmp_path, 0.0001, seed))
    assert {row.layer for row, _, _ in cells} == {each.layer for each in OPERATIONS}
    assert {each.row for _, each, _ in cells} >= set(FAULTS)
    assert chosen(Effort(tmp_path, 0.0001, seed)) == cells
    assert len(chosen(Effort(tmp_path, 1.0, seed))) == len(OPERATIONS) * len(MISHAPS) * len(MOMENTS)


def test_no_layer_is_left_out():
    assert {each.layer for each in OPERATIONS} == {
        "REST client", "keys", "symmetric", "administration", "PKCS#11 module", "keyring", "age", "scdaemon",
        "ssh-agent",
    }  # fmt: skip
    assert {each.layer for each in PROGRAMS} == {
        "REST over TLS", "hem (program)", "engine (openssl)", "PKCS#11 library", "age (program)",
        "keyring (program)", "scdaemon (program)", "agent",
    }  # fmt: skip
    assert len({str(each) for each in OPERATIONS}) == len(OPERATIONS)


#: What needs no device, or is tried under another name.
_ELSEWHERE = {
    "abandon": "no call", "close": "no call", "logout": "no call", "login": "'log in'",
    "recall": "no call",
}  # fmt: skip


def test_no_call_of_the_client_is_left_out(world, monkeypatch):
    called = set()
    wanted = {
        (kind, name)
        for kind in (Hem, AuditLog)
        for name, each in vars(kind).items()
        if not name.startswith("_") and callable(each) and name not in _ELSEWHERE
    }
    for kind, name in wanted:
        plain = getattr(kind, name)

        def noted(self, *given, which=(kind, name), plain=plain, **named):
            called.add(which)
            return plain(self, *given, **named)

        monkeypatch.setattr(kind, name, noted)
    for each in OPERATIONS:
        if each.layer in ("REST client", "keys", "symmetric"):
            usual_of(world, each)
    assert called == wanted


def broken(world, row, strikes, moment="before", **changes):
    """What is told of an operation that is broken so."""
    plain = operation(row)
    entries, _ = usual_of(world, plain)
    result = tried(world, replace(plain, **changes), mishap(strikes), moment, entries, limit=3.0)
    assert result is not None
    return set(result.troubles)


def swallowed(plain):
    """One whose errors nobody hears of."""

    def do(user, world, given):
        try:
            return plain.do(user, world, given)
        except Exception:
            return b""

    return do


def repeated(plain):
    """One that is done again when it is told as not done."""

    def do(user, world, given):
        try:
            return plain.do(user, world, given)
        except Exception:
            world.rig.clear()
            return plain.do(user, world, given)

    return do


def test_an_error_that_is_swallowed_is_a_wrong_answer(world):
    row = "symmetric: unwrap"
    assert broken(world, row, "status", "from then on", do=swallowed(operation(row))) >= {"wrong answer"}


def test_a_create_that_is_repeated_is_a_key_doubled(world):
    row = "REST client: create AES128"
    moment = "from then on, with a login held"
    assert broken(world, row, "status-after", moment) == set()
    assert "keys doubled" in broken(world, row, "status-after", moment, do=repeated(operation(row)))


def test_a_key_that_is_gone_is_a_key_lost(world):
    def do(hem, world, _):
        hem.keys.delete(world.keys.kids["AES128"])

    found = broken(world, "REST client: version", "slow", do=do, true=lambda *_: True)
    assert "keys lost" in found


def test_a_foreign_exception_a_hang_and_a_client_that_stays_broken_are_told(world):
    def foreign(*_):
        world.rig.connect().version()
        raise KeyError("kid")

    def hangs(*_):
        world.rig.connect().version()
        time.sleep(8)

    version = "REST client: version"
    assert broken(world, version, "slow", do=foreign) == {"foreign exception", "not well afterwards"}
    assert broken(world, version, "slow", do=hangs) == {"hang"}


def test_a_change_that_is_made_and_told_as_not_made_is_told(world):
    row = "REST client: create AES128"

    def do(hem, world, given):
        operation(row).do(hem, world, given)
        raise Told("not made")

    found = broken(world, row, "slow", do=do, again=lambda *_: True)
    assert found == {"keys doubled", "entries unexplained"}


def test_work_that_nobody_asked_for_is_an_entry_unexplained(world):
    row = "symmetric: AES-GCM"

    def local(_, world, __):
        world.rig.connect().version()
        own = AESGCM(world.keys.hem.keys.get(world.keys.kids["AES256"]))
        sealed = own.encrypt(bytes(12), bytes(range(48)), b"aad")
        world.rig.requests.clear()
        return sealed

    assert "entries unexplained" in broken(world, row, "slow", do=local, again=lambda *_: True)
