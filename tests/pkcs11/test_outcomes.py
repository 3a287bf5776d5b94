"""What the module says after a change equals what the device has done, whatever happens to the request
or its answer; a PIN that may be the former one never logs in from memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hem_pkcs11.constants import CKA, CKM, CKO, CKR, CKU
from hem_pkcs11.values import Mechanism, pack_bool, pack_ulong
from support.passphrases import ADMIN, PASSPHRASE
from support.rig import Rig

from hem_provider.emulator import EmulatedDevice, control, setup
from hem_provider.rest import credential

#: With the client's own second try, twice: nothing gets through.
FAULTS: dict[str, dict[str, Any]] = {
    "request lost": {"name": "reset-before"},
    "answer lost": {"name": "reset-after"},
    "answer cut short": {"name": "truncate"},
    "a proxy lost the request": {"name": "status", "status": 502},
    "a proxy gave up after": {"name": "status-after", "status": 504},
    "an answer without a body": {"name": "empty"},
    "an answer that is not JSON": {"name": "garbage"},
    "an answer without fields": {"name": "fieldless"},
}


@dataclass
class World:
    """A device of its own, steered from outside, and the module over it with a key pair."""

    rig: Rig
    core: Any
    session: int
    private: int

    def labels(self) -> list[str]:
        return [each for each in self.rig.labels() if not each.startswith("TLS")]


@pytest.fixture(autouse=True)
def _quick_passphrases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credential, "PBKDF2_ITERATIONS", 2)
    monkeypatch.setattr(setup, "ITERATIONS", 2)


@pytest.fixture
def world(make_device_core: Callable[[Path], Any], tmp_path: Path) -> Iterator[World]:
    rig = Rig(tmp_path / "device.hem", clock=time.time)
    core = make_device_core(rig.path)
    core.ok("C_Initialize", None)
    session = core.user_session()
    _, private = core.pair(session, LABEL=b"there")
    yield World(rig, core, session, private)
    rig.clear()
    core.ok("C_Finalize", False)
    rig.close()


def secret(world: World, **more: Any) -> CKR:
    template = [(CKA.TOKEN, pack_bool(True)), (CKA.LABEL, b"new"), (CKA.VALUE_LEN, pack_ulong(32))]
    return world.core.rv("C_GenerateKey", world.session, Mechanism(CKM.AES_KEY_GEN), template)


def pair(world: World) -> CKR:
    from hem_pkcs11.keykinds import KINDS

    kind = KINDS["SECP256R1"]
    both = [(CKA.TOKEN, pack_bool(True)), (CKA.LABEL, b"new")]
    return world.core.rv(
        "C_GenerateKeyPair",
        world.session,
        Mechanism(kind.generation),
        [*both, (CKA.EC_PARAMS, kind.ec_params)],
        both,
    )


def destroy(world: World) -> CKR:
    return world.core.rv("C_DestroyObject", world.session, world.private)


def rename(world: World) -> CKR:
    return world.core.rv("C_SetAttributeValue", world.session, world.private, [(CKA.LABEL, b"new")])


@dataclass(frozen=True)
class Operation:
    """``act`` gives the return value; ``labels`` are on the device when it has happened."""

    endpoint: str
    act: Callable[[World], CKR]
    labels: tuple[str, ...]


OPERATIONS = {
    "C_GenerateKey": Operation("POST /api/keymgmt/create", secret, ("there", "new")),
    "C_GenerateKeyPair": Operation("POST /api/keymgmt/create", pair, ("there", "new")),
    "C_DestroyObject": Operation("DELETE /api/keymgmt/delete", destroy, ()),
    "C_SetAttributeValue": Operation("POST /api/keymgmt/update", rename, ("new",)),
}


def shown(world: World) -> list[str]:
    """The keys that a host sees, by label; the module lists again when it says it should."""
    core = world.core
    found = [
        *core.private(world.session),
        *core.find(world.session, (CKA.CLASS, pack_ulong(CKO.SECRET_KEY))),
    ]
    return sorted(core.value(world.session, each, CKA.LABEL).decode() for each in found)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", OPERATIONS)
def test_ckr_ok_is_told_if_and_only_if_it_happened(world: World, name: str, fault: str) -> None:
    operation = OPERATIONS[name]
    world.rig.order(endpoint=operation.endpoint, count=1, **FAULTS[fault])
    rv = operation.act(world)
    world.rig.clear()
    assert (rv == CKR.OK) == (world.labels() == list(operation.labels)), (rv, world.labels())
    if rv != CKR.OK:
        assert world.labels() == ["there"]
    assert shown(world) == sorted(world.labels())


def blind_after(world: World, endpoint: str) -> None:
    """The answer to this request is lost, and no look at the keys works after it."""
    channel = world.core.module.slot(0).hem.rest.channel
    device = channel.device

    class Watched:
        def send(self, request: Any) -> Any:
            if f"{request.method} {request.path}".startswith(endpoint):
                world.rig.clear()
                world.rig.order(endpoint=endpoint, name="status-after", status=502)
                world.rig.order(endpoint="POST /api/keymgmt/search", name="status", status=503)
                world.rig.order(endpoint="GET /api/keymgmt/", name="status", status=503)
            return device().send(request)

    channel.device = Watched


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_unknown_outcome_is_a_device_error_and_the_next_search_asks_the_device(
    world: World, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    operation = OPERATIONS[name]
    assert shown(world) == ["there"]
    blind_after(world, operation.endpoint)
    assert operation.act(world) == CKR.DEVICE_ERROR
    world.rig.clear()
    assert " is unknown (" in capfd.readouterr().err
    assert shown(world) == sorted(world.labels()) == sorted(operation.labels)


@pytest.mark.parametrize("fault", FAULTS)
def test_after_c_setpin_the_pin_that_the_device_accepts_logs_in_and_the_other_does_not(
    world: World, fault: str
) -> None:
    core, session, before = world.core, world.session, world.rig.user_key()
    world.rig.order(endpoint="POST /api/system/config", count=1, **FAULTS[fault])
    rv = core.rv("C_SetPIN", session, PASSPHRASE.encode(), b"new words")
    changed = world.rig.user_key() != before
    assert (rv == CKR.OK) == changed
    assert len(core.sign(session, world.private, b"still logged in")) == 64
    core.ok("C_Logout", session)
    good, bad = (b"new words", PASSPHRASE.encode()) if changed else (PASSPHRASE.encode(), b"new words")
    assert core.rv("C_Login", session, CKU.USER, bad) == CKR.PIN_INCORRECT
    core.ok("C_Login", session, CKU.USER, good)


@pytest.mark.parametrize("who", ["user", "nobody"])
def test_after_a_c_setpin_of_unknown_outcome_no_pin_logs_in_from_memory(world: World, who: str) -> None:
    core, session = world.core, world.session
    if who == "nobody":
        core.ok("C_Logout", session)
    world.rig.order(endpoint="POST /api/system/config", count=1, name="reset-after")
    proven = core.module.slot(0).hem.session.proves

    def blind(*given: Any) -> Any:
        world.rig.order(endpoint="GET /api/auth/token", name="status", status=503)
        return proven(*given)

    core.module.slot(0).hem.session.proves = blind
    rv = core.rv("C_SetPIN", session, PASSPHRASE.encode(), b"new words")
    world.rig.clear()
    assert rv == CKR.DEVICE_ERROR
    assert core.rv("C_SignInit", session, Mechanism(CKM.ECDSA_SHA256), world.private) != CKR.OK
    assert core.rv("C_Login", session, CKU.USER, PASSPHRASE.encode()) == CKR.PIN_INCORRECT
    core.ok("C_Login", session, CKU.USER, b"new words")


def test_after_a_c_initpin_of_unknown_outcome_the_officer_is_logged_out(world: World) -> None:
    core, session = world.core, world.session
    core.ok("C_Logout", session)
    core.ok("C_Login", session, CKU.SO, ADMIN.encode())
    world.rig.order(endpoint="POST /api/system/config", count=1, name="reset-after")
    core.module.slot(0).hem.session._prover._kept = None
    world.rig.order(endpoint="GET /api/auth/token", name="status", status=503)
    assert core.rv("C_InitPIN", session, b"given") == CKR.DEVICE_ERROR
    world.rig.clear()
    core.ok("C_Login", session, CKU.USER, b"given")


@pytest.mark.parametrize("fault", ["reset-after", "garbage", "fieldless"])
def test_c_inittoken_is_told_as_done_when_it_was(
    make_device_core: Callable[[Path], Any], tmp_path: Path, fault: str
) -> None:
    core = make_device_core(tmp_path / "device.hem")
    core.ok("C_Initialize", None)
    with EmulatedDevice(tmp_path / "device.hem") as device:
        control.run(device, "fault", {"name": fault, "endpoint": "POST /api/auth/init", "count": 1})
        core.ok("C_InitToken", 0, b"officer secret", b"my device".ljust(32))
    session = core.session()
    core.ok("C_Login", session, CKU.SO, b"officer secret")
    core.ok("C_Finalize", False)
