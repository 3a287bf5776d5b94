"""Loading the PKCS#11 module as any program does, in a process of its own: what crashes there ends nothing
here.

    python -m hem_provider.cli.doctor.loading MODULE [ask]
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from hem_provider.records import frozen

__all__ = ["Loaded", "load_module"]

_SECONDS = 120.0


@frozen
class Loaded:
    """``slots``: label of the token, ``None`` where there is none, and why. ``problem``: why it does not
    load."""

    slots: tuple[tuple[str | None, str], ...] = ()
    problem: str = ""


def load_module(path: Path, *, ask: bool) -> Loaded:
    """Load it; with ``ask`` also look for tokens, one call or two to each device."""
    command = [
        sys.executable,
        "-m",
        __spec__.name if __spec__ else __name__,
        str(path),
        *(["ask"] if ask else []),
    ]
    try:
        done = subprocess.run(
            command,
            cwd="/",  # where nobody has put modules of his own
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Loaded(problem=f"{path}: no answer within {_SECONDS:g} s")
    if done.returncode < 0:
        return Loaded(problem=f"{path}: the process ended by signal {-done.returncode}")
    try:
        told = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
        return Loaded(problem=f"{path}: {last}")
    if "problem" in told:
        return Loaded(problem=f"{path}: {told['problem']}")
    return Loaded(tuple((label, problem) for label, problem in told["slots"]))


def _main(path: str, *ask: str) -> int:
    from hem_provider.cli.cryptoki import CryptokiError, Library

    try:
        library = Library(Path(path))
        library.call("C_Initialize", None)
        slots = [_token(library, number) if ask else (None, "") for number in library.slots()]
        library.call("C_Finalize", None)
    except (OSError, CryptokiError) as error:
        print(json.dumps({"problem": str(error)}))
        return 1
    print(json.dumps({"slots": slots}))
    return 0


def _token(library: object, number: int) -> tuple[str | None, str]:
    from hem_provider.cli.cryptoki import CryptokiError, Library

    assert isinstance(library, Library)  # noqa: S101 - which is loaded late
    try:
        return library.token_label(number), ""
    except CryptokiError as error:
        return None, f"slot {number}: {error}"


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
