"""Asking a person for a signature by the program in ``SSH_ASKPASS``, as OpenSSH's agent does (ssh-add -c)."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from hem_provider.errors import HemConfigError
from hem_provider.trust import check_not_writable_by_others, privileges_raised

__all__ = ["AskPass", "Confirm"]

_log = logging.getLogger("hem_provider.agent.ssh")

#: Where Debian and OpenSSH have the program that is chosen for the system.
_USUAL = "/usr/bin/ssh-askpass"
#: Seconds until no answer is a no.
_PATIENCE = 120.0
#: Bytes of the answer that are looked at.
_ANSWER = 64


class Confirm(Protocol):
    """Asks a person."""

    async def __call__(self, question: str) -> bool:
        """Whether the answer is yes. Raises nothing but cancellation."""


class AskPass:
    """One question at a time. Without a program, or where others may write it, the answer is no, and the log
    says why. ``program``: instead of the one in ``SSH_ASKPASS``; ``patience`` in seconds."""

    def __init__(self, program: str | None = None, *, patience: float = _PATIENCE) -> None:
        self._program = program
        self._patience = patience
        self._one = asyncio.Lock()

    async def __call__(self, question: str) -> bool:
        """Whether the answer is yes: the program ends with 0 and prints nothing, or ``yes``."""
        async with self._one:
            try:
                program = self._found()
                return await self._asked(program, question)
            except (HemConfigError, OSError) as error:
                _log.warning("nobody can be asked for a signature, so it is refused: %s", error)
            return False

    def _found(self) -> str:
        given = None if privileges_raised() else os.environ.get("SSH_ASKPASS")
        program = self._program or given or _USUAL
        if not os.path.isabs(program):  # noqa: PTH117 - the program is not looked for in PATH
            raise HemConfigError(f"SSH_ASKPASS: {program!r}; accepted: an absolute path")
        check_not_writable_by_others(Path(program), "the program that asks for signatures (SSH_ASKPASS)")
        return program

    async def _asked(self, program: str, question: str) -> bool:
        process = await asyncio.create_subprocess_exec(
            program,
            question,
            env=os.environ | {"SSH_ASKPASS_PROMPT": "confirm"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        try:
            async with asyncio.timeout(self._patience):
                answer = await process.stdout.read(_ANSWER)
                status = await process.wait()
        except TimeoutError:
            _log.warning(
                "nobody answered %s within %.0f s; the signature is refused", program, self._patience
            )
            return False
        finally:
            if process.returncode is None:  # late, or whoever asked has gone
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        return status == 0 and (answer[:1] in (b"", b"\n") or answer.strip().lower() == b"yes")
