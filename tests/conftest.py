"""What every test shares: one hypothesis profile, and no configuration from outside."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# Busy build machines are slow, not wrong. Runs repeat exactly; campaigns (make test-long) search on.
settings.register_profile(
    "fixed", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "search", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))


@pytest.fixture(autouse=True)
def _no_configuration_from_outside(monkeypatch, tmp_path_factory):
    for name in list(os.environ):
        if name.startswith(("HEM_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.getbasetemp() / "no-config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
