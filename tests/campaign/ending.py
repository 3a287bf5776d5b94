"""Children that are ended by ``kill -9``: just before their n-th system call, or after a time.

A child is forked from this process, which has all of its modules loaded, so that a thousand of them take
seconds. Kills at system calls go by ptrace(2): between two calls a process changes nothing that anybody else
sees, so a kill before each of them is a kill at every moment that matters.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Ending", "Tell", "can_trace", "ended"]

_TRACEME, _SYSCALL, _SETOPTIONS = 0, 24, 0x4200
#: Calls are told from signals; the child ends with its tracer.
_OPTIONS = 0x1 | 0x100000
_CALL = signal.SIGTRAP | 0x80
#: Seconds that a child may take by itself.
_LONGEST = 60
_READY = b"ready\n"

#: Tells the parent, by a pipe, one line.
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Ending:
    """``told``: what the child had said; ``calls``: system calls that it had made, where they were counted;
    ``words``: of an error of its own, by which it ended; ``seconds``: that it lived."""

    killed: bool
    told: tuple[str, ...]
    calls: int
    words: str
    seconds: float


def ended(
    work: Callable[[Tell], None],
    log: Path,
    *,
    before: Callable[[], None] = lambda: None,
    call: int | None = None,
    seconds: float | None = None,
) -> Ending:
    """Run ``work`` in a child until it ends by itself, or is killed before its system call number ``call``
    (from 1) or after ``seconds``. ``before`` is run first, and not counted. ``log``: where its standard
    output and error go."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _live(work, before, log, writer, traced=call is not None)
    os.close(writer)
    try:
        _await(reader)
        began = time.monotonic()
        status, calls = _traced(child, call) if call is not None else (_timed(child, seconds), 0)
        lived = time.monotonic() - began
        with os.fdopen(reader, "rb", closefd=False) as pipe:
            lines = pipe.read().decode().splitlines()
    finally:
        os.close(reader)
    words = next((each.removeprefix("error ") for each in lines if each.startswith("error ")), "")
    told = tuple(each for each in lines if not each.startswith("error "))
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) != signal.SIGKILL:
        words = words or f"ended by signal {os.WTERMSIG(status)}"
    return Ending(os.WIFSIGNALED(status) and not words, told, calls, words, lived)


def _await(reader: int) -> None:
    """Until the child has done what comes before, or has failed at it."""
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    if poll.poll(_LONGEST * 1000) and os.read(reader, len(_READY)) not in (_READY, b""):
        raise RuntimeError("a child told something before it was to begin")


def _live(
    work: Callable[[Tell], None], before: Callable[[], None], log: Path, writer: int, *, traced: bool
) -> None:
    """What the child does; never returns."""
    status = 1
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        sys.stdout, sys.stderr = (open(each, "w", buffering=1, closefd=False) for each in (1, 2))  # noqa: SIM115
        before()
        os.write(writer, _READY)
        if traced:
            _ptrace(_TRACEME, 0)
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)  # this thread, of perhaps several
        work(lambda line: os.write(writer, f"{line}\n".encode()) and None)
        status = 0
    except BaseException as error:
        traceback.print_exc()
        os.write(writer, f"error {type(error).__name__}: {error}".replace("\n", " ").encode() + b"\n")
    finally:
        os._exit(status)


def _timed(child: int, seconds: float | None) -> int:
    ends = time.monotonic() + (_LONGEST if seconds is None else seconds)
    pause = 0.0002
    while time.monotonic() < ends:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return status
        time.sleep(min(pause, max(0.0, ends - time.monotonic())))
        pause = min(pause * 1.5, 0.02)
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def _traced(child: int, call: int) -> tuple[int, int]:
    """Wait status, and how many calls it had begun."""
    status = os.waitpid(child, 0)[1]
    if not os.WIFSTOPPED(status):
        return status, 0
    _ptrace(_SETOPTIONS, child, _OPTIONS)
    calls, within, passed = 0, False, 0
    while True:
        _ptrace(_SYSCALL, child, passed)
        status = os.waitpid(child, 0)[1]
        if not os.WIFSTOPPED(status):
            return status, calls
        stopped, passed = os.WSTOPSIG(status), 0
        if stopped != _CALL:
            passed = stopped if stopped not in (signal.SIGTRAP, signal.SIGSTOP) else 0
            continue
        within = not within
        calls += within
        if within and calls == call:
            os.kill(child, signal.SIGKILL)
            return os.waitpid(child, 0)[1], calls - 1


def _ptrace(request: int, child: int, data: int = 0) -> None:
    if _libc().ptrace(request, child, None, ctypes.c_void_p(data)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"ptrace: {os.strerror(number)}")


def _libc() -> ctypes.CDLL:
    if not _loaded:
        library = ctypes.CDLL(None, use_errno=True)
        library.ptrace.restype = ctypes.c_long
        library.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
        _loaded.append(library)
    return _loaded[0]


_loaded: list[ctypes.CDLL] = []


def can_trace(log: Path) -> bool:
    """Whether children may be traced here, which some containers forbid."""
    try:
        return ended(lambda _: os.getppid() and None, log, call=1).killed
    except OSError:
        return False
