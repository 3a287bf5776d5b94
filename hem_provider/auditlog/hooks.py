"""A command that is told of events: one run for each, with one JSON document on its standard input."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

from hem_provider.auditlog.rules import Rule
from hem_provider.auditlog.telling import Telling
from hem_provider.errors import HemConfigError
from hem_provider.logs import WARNING, Logger

__all__ = ["Hook"]

_log = Logger("hem_provider.auditlog")


class Hook:
    """Runs a command. ``command``: as it is typed, taken apart as a shell does, and without one unless
    ``shell``; ``seconds``: how long it may take, after which it is killed with what it has started, but for
    what has a session of its own.

    What it prints goes to standard error. ``failures``: how often it has failed; a failure is logged and
    changes nothing else. ``HemConfigError`` for a command that is none.
    """

    def __init__(self, command: str, *, shell: bool = False, seconds: float = 30.0) -> None:
        self._words: Sequence[str] = ["/bin/sh", "-c", command] if shell else _words(command)
        self._seconds = seconds
        self.runs = 0
        self.failures = 0

    def run(self, rule: Rule, left_out: int, event: Telling) -> None:
        """Tell it of an event that ``rule`` is of, after so many that were ``left_out``."""
        document = {"rule": rule.name, "left_out": left_out, "event": event.document()}
        self.runs += 1
        problem = self._run(json.dumps(document).encode("ascii") + b"\n")
        if problem is not None:
            self.failures += 1
            _log.log(
                WARNING, "the command of rule %r %s (%s failures so far)", rule.name, problem, self.failures
            )

    def _run(self, document: bytes) -> str | None:
        """What went wrong."""
        try:
            process = subprocess.Popen(
                self._words, stdin=subprocess.PIPE, stdout=_stderr(), start_new_session=True
            )
        except OSError as error:
            return f"cannot be run: {error.strerror}"
        try:
            process.communicate(document, timeout=self._seconds)  # it need not read
        except subprocess.TimeoutExpired:
            _kill(process)
            return f"was killed after {self._seconds:g} s"
        except BaseException:  # we are stopped
            _kill(process)
            raise
        status = process.returncode
        return None if status == 0 else f"ended with {status}"


def _kill(process: subprocess.Popen[bytes]) -> None:
    """It, and what it has started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _stderr() -> int:
    try:
        return sys.stderr.fileno()
    except (OSError, AttributeError, ValueError):
        return subprocess.DEVNULL


def _words(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise HemConfigError(f"--exec: {command!r}: {error}") from None
    if not words:
        raise HemConfigError("--exec: an empty command")
    return words
