"""Two devices, for seconds; and a client whose devices wait for each other is found out."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from campaign.devices import Setting, try_devices
from campaign.outcome import Effort

PROCESS, SET = "one process", "one set of keys"


@pytest.fixture
def setting(tmp_path):
    latency = tmp_path / "latency.json"
    latency.write_text(json.dumps({"crypto": 0.15}))
    return Setting(
        (1, 2), 1.0, latency=str(latency), outage_devices=2, timeout=2, patience=0.6, outages=(),
        queue=False, slots=False,
    )  # fmt: skip


def test_two_devices_sign_twice_as_much_and_one_that_hangs_fails_no_call(setting, tmp_path):
    outcome = try_devices(
        Effort(tmp_path / "effort"),
        replace(setting, outages=("hangs",), outage_ways=("set",), ways=(PROCESS, SET)),
    )
    assert outcome.failures == []
    values = {each.name: each.value for each in outcome.figures}
    for name in (PROCESS, SET):
        assert values[f"2 devices, {name}: signatures, by those of one device"] > 1.5
    assert values["failed calls of a set of 2 keys, one of whose devices hangs"] == 0
    assert values["longest call of it, where a device hangs"] <= 2
    assert {each.title for each in outcome.tables} >= {"Throughput", "A set of keys: one of 2 hangs"}


def test_devices_that_wait_for_each_other_are_found_out(setting, tmp_path):
    outcome = try_devices(Effort(tmp_path / "effort"), replace(setting, ways=(PROCESS,), one_at_a_time=True))
    assert "2 devices, one process: signatures, by those of one device" in " ".join(outcome.problems())
