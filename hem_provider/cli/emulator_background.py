"""``hem emulator start`` and ``stop``: a device in the background, and what a shell needs to use it.

Beside the state file lie ``.passphrase`` and ``.admin-passphrase``; ``.lock``, which the process holds for as
long as it runs; ``.running``, what it told when it was ready; ``.log``, what else it says.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hem_provider.cli.emulator_actions import Failure, opened
from hem_provider.cli.emulator_serving import WARNING, settings_of
from hem_provider.cli.exports import as_typed, exported, to_be_typed
from hem_provider.cli.shape import Given
from hem_provider.config.load import ENVIRONMENT
from hem_provider.files import replace_file, take_lock
from hem_provider.waiting import CLOCK

__all__ = ["start", "stop"]

#: Seconds for another command that is starting it, and for the process to end; between two looks.
_PATIENCE, _LOOK = 30.0, 0.05
_LOCK = "the lock of the emulator"
#: What the process has before its words, as this command has it, too.
_SAYS = re.compile(r"^(hem( emulator)?: )+")


def start(arguments: Given) -> int:
    """``hem emulator start``: its exit status."""
    state = Path(arguments.state).absolute()
    if state.exists():
        with opened(arguments, existing=True):
            pass  # refused before anything is written beside it
    try:
        handle = take_lock(_beside(state, "lock"), _LOCK, 0)
    except TimeoutError:
        told = _told(state)
        _check_running(arguments, state, told)
        print(f"{state}: its emulator runs already (process {told['pid']}).", file=sys.stderr)
        _show(told, arguments.shell)
        return 0
    try:
        process, told = _started(arguments, state, handle)
    finally:
        os.close(handle)  # the process has its own
    with _ended_unless_told(process):
        print(WARNING, file=sys.stderr)
        print(f"{state}: served at {told['HEM_URL']} (process {process.pid}).", file=sys.stderr)
        _show(told, arguments.shell)
    return 0


def stop(arguments: Given) -> int:
    """``hem emulator stop``: its exit status."""
    state = Path(arguments.state).absolute()
    lock = _beside(state, "lock")
    if not state.exists() and not lock.exists():
        raise Failure(f"there is no state file {state}")
    try:
        os.close(take_lock(lock, _LOCK, 0))
    except TimeoutError:
        pid = _told(state)["pid"]
        os.kill(pid, signal.SIGTERM)
        try:
            os.close(take_lock(lock, _LOCK, _PATIENCE))
        except TimeoutError:
            raise Failure(f"process {pid} still runs after {_PATIENCE:g} s") from None
        print(f"{state}: its emulator is stopped; the device keeps its state.", file=sys.stderr)
    else:
        print(f"{state}: no emulator that 'hem emulator start' started runs.", file=sys.stderr)
    _beside(state, "running").unlink(missing_ok=True)
    return 0


def _check_running(arguments: Given, state: Path, told: Mapping[str, Any]) -> None:
    """Whoever asks for something is not led to something else."""
    if not state.exists():
        raise Failure(f"{state} is gone, and its emulator (process {told['pid']}) runs: 'hem emulator stop'")
    for name, url in (("https", "HEM_URL"), ("http", "http"), ("cloud", "HEM_CLOUD_URL")):
        port, running = getattr(arguments, f"{name}_port"), urlsplit(told[url]).port
        if port not in (None, 0, running):
            raise Failure(
                f"{state}: its emulator runs already, with --{name}-port {running}: 'hem emulator stop' first"
            )


def _beside(state: Path, what: str) -> Path:
    return Path(f"{state}.{what}")


def _started(arguments: Given, state: Path, lock: int) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    """The process, which listens and holds the lock, and what is to be told of it."""
    running, log = _beside(state, "running"), _beside(state, "log")
    running.unlink(missing_ok=True)  # of one that was killed
    user, master = _passphrases(arguments, state)
    command = [sys.executable, "-m", "hem_provider.emulator", "serve", "--init", "--state", str(state)]
    for option, path in (("--passphrase-file", user), ("--admin-passphrase-file", master)):
        command += [option, str(path)] if path.exists() else []
    for name in ("https", "http", "cloud"):
        port = getattr(arguments, f"{name}_port")
        command += [] if port is None else [f"--{name}-port", str(port)]
    replace_file(log, b"")
    with log.open("ab") as said:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, text=True, cwd="/",
            pass_fds=(lock,), start_new_session=True,
        )  # fmt: skip
    with _ended_unless_told(process):
        line = process.stdout.readline() if process.stdout else ""
        ready = re.match(r"ready https=(\S+) http=(\S+) cloud=(\S+) ca=", line)
        if ready is None:
            words = log.read_text(errors="replace").strip().splitlines()
            raise Failure(_SAYS.sub("", words[-1]) if words else "it did not start")
        passphrase = user if user.exists() else None
        settings = settings_of(ready[1], ready[3], _beside(state, "ca.pem"), passphrase)
        told = {"pid": process.pid, "http": ready[2], **settings}
        replace_file(running, json.dumps(told).encode())
    return process, told


@contextmanager
def _ended_unless_told(process: subprocess.Popen[str]) -> Iterator[None]:
    """Nothing is left running that nobody was told of."""
    try:
        yield
        sys.stdout.flush()
    except BaseException:
        process.terminate()
        process.wait()
        raise


def _passphrases(arguments: Given, state: Path) -> tuple[Path, Path]:
    """Their files; made up where the device is to be initialised and has none."""
    files = _beside(state, "passphrase"), _beside(state, "admin-passphrase")
    if not all(each.exists() for each in files) and not (state.exists() and _initialised(arguments)):
        for each in files:
            if not each.exists():
                replace_file(each, f"{secrets.token_hex(8)}\n".encode(), replace=False)
    return files


def _initialised(arguments: Given) -> bool:
    from hem_provider.emulator import control

    with opened(arguments, existing=True) as device:
        return bool(control.run(device, "state")["initialised"])


def _told(state: Path) -> dict[str, Any]:
    """What the process that holds the lock told; one that another command is starting is waited for."""
    running = _beside(state, "running")
    for _ in CLOCK.looks(_PATIENCE, _LOOK):
        if running.exists():
            return dict(json.loads(running.read_bytes()))
    raise Failure(f"{running} is missing, and a process holds {_beside(state, 'lock')}")


def _show(told: dict[str, Any], shell: str | None) -> None:
    settings = {name: value for name, value in told.items() if name.startswith("HEM_")}
    for line in exported(settings | _path(), shell):
        print(line)
    others = sorted({"HEM_CONFIG", *ENVIRONMENT} & os.environ.keys() - settings.keys())
    if others:
        print(f"Set here as well: {', '.join(others)}; unset what is for another device.", file=sys.stderr)
    if sys.stdout.isatty():
        typed = to_be_typed(f"{as_typed()} emulator start", shell)
        print(f"For a shell to use it: {typed}", file=sys.stderr)


def _path() -> dict[str, str]:
    """``PATH`` with this installation's programs, where a shell finds others or none."""
    folder = Path(sys.executable).parent
    found = [shutil.which(program) for program in ("hem", "python")]
    if not (folder / "hem").exists() or all(each and Path(each).parent.samefile(folder) for each in found):
        return {}
    return {"PATH": os.pathsep.join(filter(None, (str(folder), os.environ.get("PATH"))))}
