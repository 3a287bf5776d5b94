"""Fixtures: an emulated device, and keys on it."""

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


@pytest.fixture
def calls(hem):
    """Count the device calls of one operation, the login apart."""

    used = set()

    def count(key, operation, *arguments):
        if key.kid not in used:
            used.add(key.kid)
            hem.login(scope=f"keymgmt:use:{key.kid}")
        before = hem.statistics.calls
        result = operation(*arguments)
        return result, hem.statistics.calls - before

    return count
