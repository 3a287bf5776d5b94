"""The page about TLS servers with two devices, one of which is killed in the middle of it and comes back."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

import pytest
from support.pages import run_page
from support.tokenqueue import configure
from support.twodevices import two_devices

from tools.servers import free_port

PAGE = Path(__file__).parents[2] / "docs" / "recipes" / "nginx-two-devices.md"


def bring_back(device, asked, told, configurations):
    """Start the device again when it is asked for, at its new address, and tell."""
    while not asked.exists():
        time.sleep(0.1)
    device.kill()  # what the page has ended is waited for
    device.start()
    for path, devices in configurations.items():
        configure(path, devices)
    told.touch()


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="not run: haproxy is missing (Debian: haproxy)")
@pytest.mark.skipif(shutil.which("nginx") is None, reason="not run: nginx is missing")
@pytest.mark.timeout(400)
def test_a_site_goes_on_when_one_of_its_two_devices_is_gone(
    tmp_path, tmp_path_factory, bare_environment, way
):
    with two_devices(tmp_path, login=2.0) as (east, west, reader):  # as on hardware, or more
        assert east.process is not None
        both = {"east": east, "west": west}
        configurations = {tmp_path / "east.toml": {"east": east}, Path(reader["HEM_CONFIG"]): both}
        words = tmp_path_factory.mktemp("words")
        asked, told = words / "asked", words / "told"
        waiting = (east, asked, told, configurations)
        threading.Thread(target=bring_back, args=waiting, daemon=True).start()
        ours = {name: value for name, value in bare_environment.items() if not name.startswith("HEM_")}
        run_page(
            PAGE,
            environment={**ours, "HEM_CONFIG": reader["HEM_CONFIG"], "HEM_AGENT": "never"},
            folder=tmp_path,
            way=way,
            ordinary=True,
            replacements={
                "8441": str(free_port()),
                "8442": str(free_port()),
                "true # east is unplugged": f"kill -9 {east.process.pid}",
                "true # east is back": f"touch {asked}; until test -e {told}; do sleep 0.1; done",
            },
            seconds=300,
        )
    for name in ("east", "west"):  # an nginx that has ended takes its file with it
        file, until = tmp_path / f"{name}.pid", time.monotonic() + 10
        while file.exists() and time.monotonic() < until:
            time.sleep(0.05)
        assert not file.exists()
