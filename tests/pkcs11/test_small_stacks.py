"""The real library on threads with any size of stack, down to the smallest that there is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hem_pkcs11.constants import CKF, CKR
from support.hosts import Host

ROOT = Path(__file__).parents[2]
#: KiB that a call has at least, of the thread's own stack or of one of ours.
NEEDED = int(re.findall(r"NEEDED = (\d+) \* 1024", (ROOT / "shim/src/stack.c").read_text())[0])
pytestmark = pytest.mark.usefixtures("key")


def everything(pin: str) -> tuple[str, ...]:
    return (
        "init",
        "open",
        f"login:{pin}",
        "find",
        "sign",
        f"operations:{pin}",
        "finalize",
        "init",
        "finalize",
    )


@pytest.mark.parametrize("size", [16, 24, 64, NEEDED])
def test_everything_works_on_a_small_stack(runs: Host, pin: str, size: int) -> None:
    commands = (f"stack:{size}", *everything(pin))
    assert set(runs.run(*commands)) == {0}, runs.said


@pytest.mark.parametrize("forking", ["fork-sign", "fork-threads-sign"])
@pytest.mark.parametrize("size", [16, 4096])
def test_a_child_of_any_thread_starts_anew(runs: Host, pin: str, size: int, forking: str) -> None:
    """The thread that forks is not the one that Python was started on, and Python's hooks run on it."""
    ready = ("init", "open", f"login:{pin}", "find", "sign")
    commands = (*ready, f"stack:{size}", f"{forking}:{pin}", "sign")
    assert set(runs.run(*commands)) == {0}, runs.said


def test_calls_take_at_most_half_of_what_they_are_given(runs: Host, pin: str) -> None:
    commands = ("stack:4096", *everything(pin), f"stack-used:{NEEDED // 2}")
    assert set(runs.run(*commands)) == {0}, runs.said


def test_threads_are_made_for_small_stacks_alone(runs: Host) -> None:
    # One reads code, within C_Initialize; the others are of it, C_GetSlotList and C_OpenSession.
    for size, made in ((0, 1), (NEEDED + 32, 1), (16, 4)):
        commands = (f"stack:{size}", "count-threads", "init", "open", f"threads-made:{made}")
        assert set(runs.run(*commands)) == {0}, runs.said


def test_a_call_is_refused_where_no_thread_can_be_made(runs: Host) -> None:
    commands = ("stack:16", "sandbox-init", "open", "init")
    answers = [0, CKR.HOST_MEMORY, CKR.CRYPTOKI_NOT_INITIALIZED, 0]  # the sandbox is of one thread
    assert runs.run(*commands) == answers, runs.said
    assert f"less than {NEEDED} KiB left, and no thread can be made" in runs.said


def test_a_call_is_refused_where_the_program_forbids_threads(runs: Host) -> None:
    forbidding = f"init-flags:{int(CKF.LIBRARY_CANT_CREATE_OS_THREADS)}"
    assert runs.run("stack:16", forbidding) == [0, CKR.HOST_MEMORY], runs.said
    assert "C_Initialize: this thread has too small a stack, and this program forbids" in runs.said
    until = runs.run(
        forbidding, "stack:16", "open", "stack:0", "open", "finalize", "init", "stack:16", "open"
    )
    assert until == [0, 0, CKR.HOST_MEMORY, 0, 0, 0, 0, 0, 0], runs.said


PYTHON_HOST = """
import ctypes, sys, threading
library, = sys.argv[1:]
count = ctypes.c_ulong()
def small(work):
    threading.stack_size(64 * 1024)
    thread = threading.Thread(target=lambda: print(hex(work())))
    thread.start(); thread.join()
    threading.stack_size(0)
def slots(kind):
    return kind(library).C_GetSlotList(0, None, ctypes.byref(count))
small(lambda: ctypes.CDLL(library).C_Initialize(None))
print(hex(ctypes.CDLL(library).C_Initialize(None)))
small(lambda: slots(ctypes.CDLL))
small(lambda: slots(ctypes.PyDLL))  # which keeps the interpreter's lock
print(hex(slots(ctypes.PyDLL)))
"""


def test_a_thread_that_runs_python_keeps_its_calls(library: Path, environment: dict[str, str]) -> None:
    """Another one would wait for the interpreter's lock, and it for the other, without end."""
    done = subprocess.run(
        [sys.executable, "-c", PYTHON_HOST, library],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    refused = hex(CKR.HOST_MEMORY)
    assert done.stdout.split() == [refused, "0x0", "0x0", refused, "0x0"], done.stderr
    assert done.stderr.count("too small a stack, and runs Python itself (threading.stack_size)") == 2
