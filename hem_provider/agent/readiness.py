"""Telling whoever started the agent that it listens: the service manager, or the command that waits."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

__all__ = ["READY_HANDLE", "tell_ready"]

#: Names the descriptor on which the command that started the agent waits for its first status.
READY_HANDLE = "HEM_AGENT_READY"


def tell_ready(status: Mapping[str, Any]) -> None:
    """``READY=1`` for systemd (sd_notify(3)), one line of JSON for ``hem agent start``."""
    from sdnotify import SystemdNotifier

    SystemdNotifier().notify(f"READY=1\nSTATUS=listening at {status['socket']}")
    handle = os.environ.pop(READY_HANDLE, None)
    if handle is not None:
        with suppress(OSError):
            os.write(int(handle), json.dumps(status).encode() + b"\n")
            os.close(int(handle))
