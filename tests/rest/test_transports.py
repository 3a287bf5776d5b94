"""Which transport a URL leads to, and what its way says of the device."""

from __future__ import annotations

import pytest
from support.statuses import STATUS

from hem_provider.config import DeviceConfig
from hem_provider.device import connect
from hem_provider.errors import HemConfigError
from hem_provider.rest.transports import WAYS, Carriers, way_of
from hem_provider.rest.wire import Reply


@pytest.mark.parametrize(
    ("url", "plain", "network"),
    [
        ("https://my.ence.do", False, True),
        ("http://192.168.7.1", True, True),
        ("emulator:/tmp/device.hem", False, False),
        ("unix:/run/hem", False, False),
    ],
)
def test_a_scheme_says_whether_others_read_along_and_whether_other_processes_share_the_device(
    url, plain, network
):
    assert (way_of(url).plain, way_of(url).network) == (plain, network)


@pytest.mark.parametrize("end", ["device", "cloud"])
def test_what_an_agent_does_not_carry_has_no_way_where_there_is_only_an_agent(end):
    with pytest.raises(HemConfigError, match="unix:/run/hem#office: an agent carries no logins, check-ins"):
        getattr(Carriers(DeviceConfig(url="unix:/run/hem#office")), end)()


class Recorded:
    """A way and its transport in one: answers from memory."""

    plain, network = False, False
    closed = 0

    def __init__(self, config):
        self.config = config

    def device(self):
        return self

    cloud = device

    def send(self, request):
        assert request.path == "/api/system/status"
        return Reply(200, {}, STATUS)

    def close(self):
        type(self).closed += 1


def test_another_transport_is_a_row(monkeypatch):
    monkeypatch.setitem(WAYS, "http", Recorded)
    with connect("http://hem.example") as hem:
        assert hem.status().uptime == 1
    assert Recorded.closed == 2  # as transport and as way
