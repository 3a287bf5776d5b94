"""The floors are what they say: resumed, kept, or neither; and nothing passes for an answer that is none."""

from __future__ import annotations

import ssl

import pytest

from benchmarks.floor import Floor, Kind
from benchmarks.laboratory import HARDWARE, Laboratory, on_hardware
from hem_provider.emulator.tls import make_authority
from hem_provider.measuring.bare import BareClient
from hem_provider.measuring.figures import Figure

STATUS = ("GET", "/api/system/status")


@pytest.fixture(scope="module", params=[False, True], ids=["closing", "keeping"])
def lab(request, tmp_path_factory):
    with Laboratory(tmp_path_factory.mktemp("device"), keep_alive=request.param) as device:
        device.keeps = request.param
        yield device


@pytest.mark.parametrize("kind", Kind)
def test_a_floor_makes_the_connections_of_its_kind(lab, kind):
    with lab.floor(kind) as floor:
        answers = [floor.request(*STATUS) for _ in range(4)]
        made, resumed = floor.handshakes
    assert all(each.startswith(b"{") and each.endswith(b"}") for each in answers)
    assert made == (1 if kind is Kind.KEPT and lab.keeps else 4)
    assert resumed == (3 if kind is Kind.RESUMED else 0)
    assert floor.calls == 4


def test_the_usual_floor_has_the_connections_of_the_device(lab):
    with lab.floor() as floor:
        for _ in range(3):
            floor.request(*STATUS)
        assert floor.handshakes == ((1, 0) if lab.keeps else (3, 2))


def test_what_is_refused_is_an_error(lab):
    with lab.floor() as floor, pytest.raises(OSError, match="HTTP 40"):
        floor.request("GET", "/api/keymgmt/list/0/15", token="none")


def test_a_floor_believes_only_the_ca_that_it_is_given(lab, tmp_path):
    other = tmp_path / "other.pem"
    other.write_text(make_authority().chain)
    with Floor(lab.emulator.https, other, Kind.FULL) as floor:
        with pytest.raises(OSError, match="certificate verify failed"):
            floor.request(*STATUS)
    with pytest.raises(OSError, match="no CA file"):
        Floor(lab.emulator.https, tmp_path / "none.pem", Kind.FULL)


def test_a_floor_believes_no_certificate_of_another_host(lab):
    url = lab.emulator.https.replace("127.0.0.1", "127.0.0.2")
    with Floor(url, lab.emulator.ca_file, Kind.FULL) as floor:
        with pytest.raises(OSError, match=r"certificate verify failed|no connection"):
            floor.request(*STATUS)


def test_the_floor_of_hem_bench_keeps_what_the_device_keeps_and_asks_again_when_that_ended(lab):
    context = ssl.create_default_context(cafile=str(lab.emulator.ca_file))
    bare = BareClient(lab.emulator.https, context)
    assert bare.request(*STATUS).startswith(b"{")
    kept = bare._connection.sock
    assert (kept is not None) == lab.keeps
    bare.request(*STATUS)
    assert bare._connection.sock is kept
    if kept is not None:
        kept.shutdown(2)
        assert bare.request(*STATUS).startswith(b"{")
    bare._connection.close()


def test_seconds_on_hardware_are_ours_and_those_of_each_call_and_login():
    figure = Figure("commands", "sign", "cold", 0.5, 0.5, 0.5, None, 3, 1)
    assert on_hardware(figure) == pytest.approx(0.5 + 2 * HARDWARE["call"] + HARDWARE["login"])
