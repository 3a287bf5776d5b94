"""Fixtures: one initialised device for tests that leave it as it is, and a maker for the others."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.rig import Rig


@pytest.fixture(scope="session")
def _template(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An initialised state file per model; initialising costs two slow key derivations."""
    folder = tmp_path_factory.mktemp("template")
    for model in ("ppa", "epa"):
        Rig(folder / model, model=model).close()
    return {model: folder / model for model in ("ppa", "epa")}


@pytest.fixture
def make_rig(_template: dict[str, Path], tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    """Make devices: `make_rig()` is initialised, `make_rig(init=False)` factory-fresh."""
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
