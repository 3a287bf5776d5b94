"""A little of the part ``contract``, and that it tells of a device that is not as its document says."""

from __future__ import annotations

import random

import pytest

from campaign import contract
from campaign.outcome import Effort
from hem_provider.emulator.process import ServedEmulator


def test_the_device_is_as_its_document_says(tmp_path):
    outcome = contract.run(Effort(tmp_path, share=0.001))
    assert outcome.problems() == []
    figures = {each.name: each.value for each in outcome.figures}
    assert figures["operations tried"] == figures["operations of the document"] == 59
    assert figures["requests"] >= 59
    assert len(outcome.tables[0].rows) == 59


@pytest.fixture(scope="module")
def subject(tmp_path_factory):
    with ServedEmulator(tmp_path_factory.mktemp("served"), arguments=("--openapi",)) as served:
        with contract.Subject(served) as subject:
            yield subject


def _only(document, *paths):
    """The document of these endpoints, which a test may spoil."""
    return {**document, "paths": {path: document["paths"][path] for path in paths}}


def test_a_document_that_leaves_out_what_the_device_answers_is_found_out(subject):
    document = _only(contract.fetch(subject.served), "/api/system/status", "/api/system/version")
    status = document["paths"]["/api/system/status"]["get"]["responses"]
    status["200"]["content"]["application/json"]["schema"]["properties"].pop("uptime")
    version = document["paths"]["/api/system/version"]["get"]["responses"]
    version.pop("200")
    findings = contract.Findings()
    with contract.Trial(subject, document, findings) as trial:
        contract.try_all(trial, 6, random.Random(1))  # noqa: S311
    assert findings.kinds["other than declared"]
    assert findings.kinds["undeclared status"]
    assert any("GET_system_version: 200 is not declared" in each for each in findings.failures.values())
    outcome = contract._outcome(findings, contract._declared(document))
    assert any("promised: 0" in each for each in outcome.problems())


def test_what_has_one_right_answer_gets_it_and_a_document_without_it_is_found_out(subject):
    whole = contract.fetch(subject.served)
    document = _only(whole, "/api/system/status", "/api/keymgmt/create", "/api/keymgmt/delete/{kid}")
    for spoilt in (False, True):
        if spoilt:
            document["paths"]["/api/keymgmt/create"]["post"]["responses"].pop("413")
        findings = contract.Findings()
        with contract.Trial(subject, document, findings) as trial:
            contract.edges(trial)
        statuses = {status for _, status in findings.cases}
        assert statuses == {401, 409, 411, 412, 413, 418}
        assert bool(findings.failures) is spoilt


def test_a_device_that_hangs_or_fails_is_found_out(subject, monkeypatch):
    monkeypatch.setattr(contract, "_PATIENCE", 2.0)
    document = _only(contract.fetch(subject.served), "/api/system/status", "/api/system/checkin")
    for fault in (
        {"name": "hang", "endpoint": "GET /api/system/status", "seconds": 5.0, "count": 1},
        {"name": "status", "endpoint": "GET /api/system/checkin", "status": 500, "count": 1},
    ):
        contract.control.run(subject.device, "fault", fault)
    findings = contract.Findings()
    with contract.Trial(subject, document, findings) as trial:
        contract.try_all(trial, 2, random.Random(1))  # noqa: S311
    contract.control.run(subject.device, "clear", {})
    assert findings.kinds["hang"]
    assert findings.kinds["server error"] == 1
    assert findings.kinds["undeclared status"] == 1


def test_a_device_that_was_switched_off_or_wiped_is_used_again(subject):
    from hem_provider.emulator.wsgiclient import call

    first = list(subject.kids)
    for method, path, body in (
        ("GET", "/api/system/shutdown", None),
        ("POST", "/api/system/config", {"wipeout": True}),
    ):
        device = subject.device.device
        assert call(device, method, path, body, token=subject.token("system:config")).status == 200
        subject.heal()
        kid = subject.kids[0]
        got = call(device, "GET", f"/api/keymgmt/get/{kid}", token=subject.token("keymgmt:get"))
        assert got.status == 200
    assert set(subject.kids).isdisjoint(first)
