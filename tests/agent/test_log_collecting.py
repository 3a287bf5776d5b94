"""Collecting the log by way of an agent: its login, and no call more than there is to fetch."""

from __future__ import annotations

import json
import subprocess
import sys

from support.agent import RunningAgent
from support.emulator import client_of

HEM = [sys.executable, "-m", "hem_provider.cli.main"]


def test_a_day_of_collecting_takes_one_login_and_a_call_for_each_list_and_file(own_device, tmp_path):
    with client_of(own_device) as hem:
        hem.admin.reboot()
    command = [*HEM, "log", "collect", "--json", "--to", str(tmp_path / "copy")]
    with RunningAgent(own_device, "--allow", "admin") as agent:
        agent.unlock()

        def collect():
            before = len(own_device.calls())
            done = subprocess.run(
                command, env=agent.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                timeout=120, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            made = [each for each in own_device.calls()[before:] if "/auth/" not in each["path"]]
            return json.loads(done.stdout)["files"], made, own_device.logins(before)

        assert collect()[0] == 1
        for _ in range(3):
            files, made, logins = collect()
            assert (files, len(made), logins) == (0, 1, 0), made
