"""Fixtures: an emulated device on the bench, and one over real TLS."""

from __future__ import annotations

import pytest
from device.laboratory import bench as open_bench
from device.laboratory import make_template


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        return make_template(tmp_path_factory.mktemp("hem") / "template.hem", patch)


@pytest.fixture
def bench(monkeypatch, template, tmp_path):
    with open_bench(monkeypatch, template, tmp_path / "device.hem") as table:
        yield table


@pytest.fixture
def hem(bench):
    with bench.connect() as device:
        yield device
