"""Calls are counted by endpoint and time, and failures by kind."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest
from support.documented import STATUSES
from support.traffic import LostReply, LostRequest

from hem_provider.device.tally import BUCKETS, ENDPOINTS, KINDS, OTHER, Tally, tally_of, template
from hem_provider.errors import HemError, HemTimeout, HemTLSError, HemUnreachable
from hem_provider.rest.wire import ConnectionLostError

KID = "00112233445566778899aabbccddeeff"


def test_every_endpoint_of_the_device_api_has_its_template():
    for _, path in STATUSES:
        filled = path.format(offset=15, count=15, kid=KID, id="0000000a")
        found = template(filled)
        assert found in ENDPOINTS - {OTHER}, path
        assert KID not in found
        assert not any(each.isdigit() for each in found)


@pytest.mark.parametrize(
    "path",
    [
        "", "/", "/api", "/api/", f"/api/keymgmt/{KID}", "/api/system/status/", f"/api/crypto/{KID}/x",
        "/api/diag/memdump/0/1",
    ],
)  # fmt: skip
def test_what_is_none_is_other(path):
    assert template(path) == OTHER


def test_nothing_of_a_path_that_others_choose_becomes_a_name():
    counts = Tally()
    for number in range(1000):
        counts.answered(f"METHOD{number}", f"/api/keymgmt/get/{number:032x}", 0.1, 200)
        counts.answered("GET", f"/api/mine/{number}", 0.1, 404)
    assert [(each["method"], each["endpoint"]) for each in counts.document()["endpoints"]] == [
        ("GET", OTHER), (OTHER, "/api/keymgmt/get/{kid}"),
    ]  # fmt: skip


def test_answers_are_counted_by_the_time_that_they_took():
    counts = Tally()
    for seconds in (0.0, 0.05, 0.051, 0.3, 60.0, 60.1, 4000.0):
        counts.answered("GET", "/api/system/status", seconds, 200)
    [found] = counts.document()["endpoints"]
    assert found["buckets"] == [2, 1, 0, 1, 0, 0, 0, 0, 0, 1, 2]
    assert len(found["buckets"]) == len(BUCKETS) + 1
    assert found["seconds"] == pytest.approx(4120.501)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectionLostError("x"), "connection-lost"),
        (HemTLSError("x"), "certificate-refused"),
        (HemTimeout("x"), "no-answer"),
        (HemUnreachable("x"), "unreachable"),
        (HemError("x"), "failed"),
    ],
)
def test_errors_have_their_kinds(error, kind):
    counts = Tally()
    counts.failed(error)
    assert counts.document()["failures"] == {kind: 1}
    assert kind in KINDS


@pytest.mark.parametrize(
    ("status", "kind"),
    [(200, None), (302, None), (401, "status-401"), (418, "status-418"), (599, "status-other")],
)
def test_statuses_have_their_kinds(status, kind):
    counts = Tally()
    counts.answered("GET", "/api/system/status", 0.1, status)
    assert counts.document()["failures"] == ({} if kind is None else {kind: 1})
    assert kind is None or kind in KINDS


def test_requests_of_a_device_are_counted_as_they_are_made(rig):
    with rig.connect() as hem:
        counts = tally_of(hem)
        hem.keys.create("ED25519", label="one")
        list(hem.keys)
        for lost in (LostReply, LostRequest):
            rig.fault("GET /api/system/status", lost)
            with suppress(HemError):  # or it is asked again
                hem.status()
        rig.fault("GET /api/system/version", 503)
        with pytest.raises(HemError):
            hem.version()
        told = counts.document()
        answered = sum(sum(each["buckets"]) for each in told["endpoints"])
        lost = sum(count for kind, count in told["failures"].items() if not kind.startswith("status-"))
        assert answered + lost == hem.statistics.calls == len(rig.requests)
        assert lost >= 1
        assert told["failures"]["status-503"] == 1


def test_many_threads_lose_no_count():
    counts = Tally()

    def count():
        for _ in range(500):
            counts.answered("GET", "/api/system/status", 0.1, 500)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    told = counts.document()
    assert sum(told["endpoints"][0]["buckets"]) == told["failures"]["status-500"] == 4000


def test_a_device_that_is_not_counted_pays_nothing(rig):
    with rig.connect() as hem:
        assert hem.rest.channel.watch is None
        hem.status()
