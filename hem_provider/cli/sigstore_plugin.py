"""The program ``sigstore-kms-hem``, which cosign and other programs of sigstore's start by its name."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from hem_provider.cli import statuses
from hem_provider.cli.programs import PROGRAMS, run
from hem_provider.errors import HemError
from hem_provider.printable import printable

if TYPE_CHECKING:
    from hem_provider.device.hem import Hem

__all__ = ["main"]

_NAME = "sigstore-kms-hem"


def main(argv: Sequence[str] | None = None) -> int:
    """Answer one request; the exit status is that of ``hem``, 0 where it was answered without an error, and 2
    where it is no request. Who started it reads the response alone."""
    return run(_NAME, argv, _begin)


def _begin(arguments: list[str]) -> int:
    if len(arguments) != 2:
        print(PROGRAMS[_NAME].help(_NAME), end="", file=sys.stderr)
        return statuses.USAGE
    responses = sys.stdout
    sys.stdout = sys.stderr  # what else is printed is not of the protocol
    try:
        response, status = _answered(*arguments)
    finally:
        sys.stdout = responses
    print(json.dumps(response), flush=True)
    return status


def _answered(version: str, request: str) -> tuple[dict[str, Any], int]:
    """The response, and the exit status."""
    from hem_provider.adapters.sigstore.methods import answer
    from hem_provider.adapters.sigstore.protocol import read
    from hem_provider.device.naming import NameFault, device_meant

    try:
        with ExitStack() as stack:
            asked = read(version, request)

            def device() -> Hem:
                from hem_provider.cli.login import logged_in

                return stack.enter_context(logged_in(device_meant(None, asked.key)))

            return answer(asked, device, sys.stdin.buffer), statuses.DONE
    except (HemError, NameFault, OSError) as error:
        status = statuses.USAGE if isinstance(error, NameFault) else statuses.status_of(error)
        return {"errorMessage": printable(str(error))}, status
