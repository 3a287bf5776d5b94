"""Starting an agent in the background, and in it or in one that runs unlocking the devices."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from hem_provider.agent.listeners import own_socket
from hem_provider.agent.options import Options
from hem_provider.agent.readiness import READY_HANDLE
from hem_provider.errors import HemConfigError, HemTimeout

__all__ = ["start_agent"]

#: Seconds for the sockets to listen.
_PATIENCE = 20.0


def start_agent(
    options: Options, environment: Mapping[str, str], *, handles: tuple[int, ...] = ()
) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    """The running agent and its first status. What it has to say goes to ``agent.log`` beside its socket.

    ``environment``: of the agent; ``handles``: descriptors that it keeps. ``HemConfigError`` with its last
    words when it does not start.
    """
    log = own_socket().with_suffix(".log")
    reader, writer = os.pipe()
    try:
        log.unlink(missing_ok=True)
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as told:
            process = subprocess.Popen(
                [sys.executable, "-m", "hem_provider.agent", *options.arguments()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=told,
                cwd="/",
                env={**environment, READY_HANDLE: str(writer)},
                pass_fds=(writer, *handles),
                start_new_session=True,
            )
        os.close(writer)
        line = _first_line(reader)
    finally:
        os.close(reader)
    if line is not None:
        return process, json.loads(line)
    with suppress(OSError):
        process.terminate()
    process.wait()
    words = log.read_text(errors="replace").strip().splitlines()
    raise HemConfigError(words[-1].removeprefix("hem agent: ") if words else "the agent did not start")


def _first_line(handle: int) -> bytes | None:
    """What the agent tells; ``None`` when it ends before that."""
    data = b""
    with selectors.DefaultSelector() as selector:
        selector.register(handle, selectors.EVENT_READ)
        while not data.endswith(b"\n"):
            if not selector.select(_PATIENCE):
                raise HemTimeout(f"the agent does not listen after {_PATIENCE:g} s")
            more = os.read(handle, 65536)
            if not more:
                return None
            data += more
    return data
