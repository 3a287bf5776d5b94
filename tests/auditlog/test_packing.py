"""What the page says of packing: by logrotate itself, as its settings there are."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support.pages import taken

from hem_provider.auditlog.checking import verify_copy

PAGE = Path(__file__).parents[2] / "docs" / "owner" / "log.md"


@pytest.mark.skipif(shutil.which("logrotate", path="/usr/sbin:/usr/bin") is None, reason="needs logrotate")
def test_logrotate_packs_the_days_that_are_past(device, copy, collect, tmp_path):
    (settings,) = taken(PAGE, "text")
    for _ in range(3):
        device.start()
        collect()
        device.now += 86400
    device.start()
    collect()
    *past, _ = (each.path for each in copy.days())
    for each in past:
        os.utime(each, (1_700_000_000, 1_700_000_000))
    config = tmp_path / "logrotate.conf"
    config.write_text(re.sub(r"^/\S+/\*\.jsonl", f"{copy.folder}/*.jsonl", settings) + "\n")
    config.chmod(0o600)
    state = tmp_path / "state"
    seen = [f'"{each.path}" 2023-1-1-0:0:0\n' for each in copy.days()]
    for _ in range(2):  # as on two days
        state.write_text("".join(["logrotate state -- version 2\n", *seen]))
        done = subprocess.run(
            ["logrotate", "--state", str(state), str(config)],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    names = [each.path.name for each in copy.days()]
    assert names[:-1] == [f"{each.name}.1.gz" for each in past]
    assert names[-1].endswith(".jsonl")
    report = verify_copy(copy)
    assert (report.problems, report.missing) == ((), ())
    assert collect() == []
