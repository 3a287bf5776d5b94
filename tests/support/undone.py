"""What a page leaves behind: a page with the heading "Undo" must leave neither a key nor a process.

Keys are compared with those that were there before, on each device that the reader has configured; processes
are known by the mark that a page's shell hands on.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

__all__ = ["has_undo", "keys_of", "processes_with", "without_undo"]

_HEADING = "\n## Undo\n"
_SECONDS = 5.0
_LISTING = """
import json
import hem_provider
from hem_provider.config.load import load_config

found = []
for device in load_config().devices:
    with hem_provider.connect(name=device.name) as hem:
        found += [f"{key.label} ({key.kid}) on {device.name}" for key in hem.keys]
print(json.dumps(found))
"""


def has_undo(text: str) -> bool:
    """Whether a page says how what it does is undone."""
    return _HEADING in text


def without_undo(text: str) -> str:
    """A page up to there, for tests that go on with what it made."""
    return text.partition(_HEADING)[0] + "\n"


def keys_of(environment: Mapping[str, str]) -> set[str]:
    """The keys of all devices that a reader with this environment has."""
    done = subprocess.run(
        [sys.executable, "-c", _LISTING],
        env={**environment, "HEM_AGENT": "never"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def processes_with(mark: str, *, ended_within: float = _SECONDS) -> list[str]:
    """The command lines of what runs with this in its environment; what is told to end gets a moment."""
    until = time.monotonic() + ended_within
    while found := _running(mark.encode()):
        if time.monotonic() > until:
            break
        time.sleep(0.05)
    return found


def _running(mark: bytes) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if command:  # a zombie has none
                    found.append(command.strip())
    return found
