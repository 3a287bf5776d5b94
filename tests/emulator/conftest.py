"""Fixtures: one initialised device for tests that leave it as it is, and a maker for the others."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.clocks import Clock
from support.contract import Contract
from support.rig import Rig

from hem_provider.emulator.device import x25519_public
from hem_provider.emulator.dispatch import Dispatcher
from hem_provider.emulator.http import Refusal, Request, Response
from hem_provider.emulator.nonces import Nonces
from hem_provider.emulator.openapi import document
from hem_provider.emulator.state import Identity

_NOW = 1_700_000_000
_VECTOR_SEED = bytes.fromhex("849927e055c9ea2cfe3aca3d54695debad97cb2665c842e09fc555d68b87f947")


@pytest.fixture(scope="session")
def _template(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An initialised state file per model; initialising costs two slow key derivations."""
    folder = tmp_path_factory.mktemp("template")
    for model in ("ppa", "epa"):
        Rig(folder / model, model=model).close()
    return {model: folder / model for model in ("ppa", "epa")}


@pytest.fixture
def make_rig(_template: dict[str, Path], tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    """Make devices: ``make_rig()`` is initialised, ``make_rig(init=``False``)`` factory-fresh."""
    rigs: list[Rig] = []

    def make(*, init: bool = True, model: str = "ppa", **options: Any) -> Rig:
        path = tmp_path / f"device-{len(rigs)}"
        if init:
            shutil.copy(_template[model], path)
        rigs.append(Rig(path, init=False, model=model, **options))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.close()


@pytest.fixture
def rig(make_rig: Callable[..., Rig]) -> Rig:
    """An initialised PPA of the test's own."""
    return make_rig()


@pytest.fixture(scope="session")
def session_rig(_template: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """An initialised PPA that tests share: they leave it as they found it."""
    path = tmp_path_factory.mktemp("session") / "device"
    shutil.copy(_template["ppa"], path)
    rig = Rig(path, init=False)
    yield rig
    rig.close()


class VectorNonces(Nonces):
    """Issues the nonces of the vectors: LE32(time) and counting bytes, from 00 for the first, 20 for the
    next."""

    issued = 0

    def issue(self, key, now):  # noqa: ARG002
        self.issued += 1
        start = 0 if self.issued == 1 else 0x20
        return now.to_bytes(4, "little") + bytes(range(start, start + 28))

    def genuine(self, key, nonce):  # noqa: ARG002
        return len(nonce) == 32 and nonce[4:] in (bytes(range(28)), bytes(range(0x20, 0x3C)))


@pytest.fixture
def vector_rig(make_rig):
    """The device of vector B: fixed session, identity and bearer keys, and its clock."""
    rig = make_rig(clock=Clock(_NOW), nonces=VectorNonces)
    model = rig.device.model
    with model.transaction():
        config = replace(model.config, user_key=x25519_public(_VECTOR_SEED))
        model.state = replace(
            model.state,
            identity=Identity(bytes(range(0x41, 0x61)), bytes(32)),
            config=config,
            rtc_device=_NOW,
            rtc_host=_NOW,
        )
        model.change_boot(
            session_private=bytes(range(1, 33)),
            bearer_key=bytes(range(0x80, 0xA0)),
            rtc_set=True,
            started=_NOW,
        )
    return rig


@pytest.fixture(scope="session")
def undeclared() -> Iterator[list[str]]:
    """What answers had that the document of their device at that moment does not say."""
    found: list[str] = []
    respond = Dispatcher.respond
    contracts: dict[object, Contract] = {}

    def held(self: Dispatcher, request: Request, *, framing: Refusal | None = None) -> Response:
        with self.device.transaction():
            switches, ppa = self.device.switches, self.device.is_ppa
        response = respond(self, request, framing=framing)
        if framing is not None and request.method != "POST":
            return response  # a body that nobody sends: no part of the document
        key = (tuple(sorted(switches.overrides.items())), switches.limits, ppa)
        if key not in contracts:
            contracts[key] = Contract(document(switches, ppa=ppa))
        answer = (response.status, response.content_type, response.body)
        found.extend(contracts[key].problems(request.method, request.path, *answer))
        return response

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Dispatcher, "respond", held)
        yield found


@pytest.fixture(autouse=True)
def _every_answer_is_as_the_document_says(undeclared: list[str]) -> Iterator[None]:
    """Hold every answer of every test in this folder to the document."""
    undeclared.clear()
    yield
    assert not undeclared
