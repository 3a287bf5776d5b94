"""The real library in programs that are Python, or have one of their own: whose it is, and when it ends."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from hem_pkcs11.constants import CKR
from support.emulator import ServedEmulator

COMPILER = [*os.environ.get("CC", "cc").split(), "-std=gnu11"]
NONE, FAILED = int(CKR.CRYPTOKI_NOT_INITIALIZED), int(CKR.GENERAL_ERROR)

#: Interpreters to be hosts: the one of these tests, and Debian's, which has no libpython but is one.
DEBIAN = Path("/usr/bin/python3")
PREAMBLE = """
import atexit, ctypes, os, sys, threading, time
module = ctypes.CDLL(os.environ["MODULE"], int(os.environ["FLAGS"]))
def slots(module=module, count=(ctypes.c_ulong * 1)()):
    return module.C_GetSlotList(0, None, count)
def say(*values, write=os.write):
    write(1, b"".join(b"%#x\\n" % value for value in values))
"""


def debian_python() -> Path:
    """Skips where it is not the version that the module is built for."""
    if not DEBIAN.exists():
        pytest.skip(f"not run: there is no {DEBIAN}")
    said = subprocess.run([DEBIAN, "-V"], capture_output=True, text=True, check=True).stdout
    if not said.startswith(f"Python {sysconfig.get_python_version()}."):
        pytest.skip(f"not run: {DEBIAN} is {said.strip()}, and the module is built for another Python")
    return DEBIAN


@pytest.fixture(params=["this Python", "Debian's Python"])
def python(request: pytest.FixtureRequest) -> Path:
    return Path(sys.executable) if request.param == "this Python" else debian_python()


@pytest.fixture(params=["plain", "RTLD_DEEPBIND"])
def flags(request: pytest.FixtureRequest) -> int:
    return os.RTLD_NOW | (0 if request.param == "plain" else os.RTLD_DEEPBIND)


class PythonHost:
    """Runs a script in an interpreter that has the module loaded; the numbers it prints."""

    def __init__(self, python: Path, library: Path, environment: dict[str, str], flags: int) -> None:
        self.python = python
        #: Debian's own packages may be too old: then ours are taken where there are none.
        self.options = ("-S",) if python == DEBIAN else ()
        self.environment = environment | {"MODULE": str(library), "FLAGS": str(flags)}
        self.said = ""

    def run(self, script: str) -> list[int]:
        done = subprocess.run(
            [self.python, *self.options, "-c", PREAMBLE + script],
            env=self.environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        self.said = done.stderr
        assert done.returncode == 0, f"ended with {done.returncode}: {done.stdout}{done.stderr}"
        return [int(value, 16) for value in done.stdout.split()]


@pytest.fixture
def runs(python: Path, library: Path, environment: dict[str, str], flags: int) -> PythonHost:
    return PythonHost(python, library, environment, flags)


# --- which Python ---------------------------------------------------------------------------------


def test_the_interpreter_of_the_process_serves_however_the_module_is_loaded(runs: PythonHost) -> None:
    script = "say(module.C_Initialize(None), slots()); say('hem_pkcs11.bridge' in sys.modules)"
    assert runs.run(script) == [0, 0, 1], runs.said


def test_a_host_whose_packages_are_too_old_is_refused_in_words(runs: PythonHost) -> None:
    before = "import types; sys.modules['cryptography'] = old = types.ModuleType('old')"
    script = f"{before}; old.__version__ = '38.0'; say(module.C_Initialize(None), slots())"
    assert runs.run(script) == [FAILED, NONE]
    assert "cryptography 38.0" in runs.said


def test_a_host_of_python_2_is_refused_in_words(
    library: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    source, program = tmp_path / "two.c", tmp_path / "two"
    source.write_text("""
        #include <dlfcn.h>
        #include <stdio.h>
        #include <stdlib.h>
        const char *Py_GetVersion(void) { return "2.7.18 (default)"; }
        int Py_IsInitialized(void) { return 1; }
        int PyGILState_Ensure(void) { abort(); }
        void *PyEval_SaveThread(void) { abort(); }
        void *PyThreadState_Get(void) { abort(); }
        int main(int count, char **words) {
            void *module = dlopen(words[1], RTLD_NOW | (count > 2 ? RTLD_DEEPBIND : 0));
            unsigned long (*initialize)(void *) = dlsym(module, "C_Initialize");
            unsigned long (*finalize)(void *) = dlsym(module, "C_Finalize");
            printf("%#lx %#lx\\n", initialize(NULL), finalize(NULL));
            return 0;
        }
    """)
    subprocess.run([*COMPILER, "-w", "-rdynamic", str(source), "-o", str(program), "-ldl"], check=True)
    for more in ([], ["deep"]):
        done = subprocess.run(
            [program, library, *more], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == [hex(FAILED), hex(NONE)]
        assert "runs Python 2.7.18" in done.stderr
        assert "p11-kit server" in done.stderr


def test_a_libpython_of_another_version_that_a_plug_in_has_loaded_is_seen(
    library: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    source, other, program = tmp_path / "py.c", tmp_path / "libpython3.99.so.1.0", tmp_path / "host"
    source.write_text('const char *Py_GetVersion(void) { return "3.99.1 (x)"; }')
    subprocess.run([*COMPILER, "-shared", "-fPIC", str(source), "-o", str(other)], check=True)
    (tmp_path / "host.c").write_text("""
        #include <dlfcn.h>
        #include <stdio.h>
        int main(int count, char **words) {
            dlopen(words[2], RTLD_NOW | RTLD_LOCAL);
            unsigned long (*initialize)(void *) = dlsym(dlopen(words[1], RTLD_NOW), "C_Initialize");
            return printf("%#lx\\n", initialize(NULL)) < 0;
        }
    """)
    subprocess.run([*COMPILER, "-w", str(tmp_path / "host.c"), "-o", str(program), "-ldl"], check=True)
    done = subprocess.run(
        [program, library, other], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == hex(FAILED)
    assert "runs Python 3.99.1" in done.stderr


STATE = """
import gc, locale, logging, signal, socket, warnings
def state():
    umask = os.umask(0); os.umask(umask)
    logger = logging.getLogger("hem_provider")
    return {
        "signals": [signal.getsignal(number) for number in range(1, 32)],
        # Those of requests and cryptography come with importing them.
        "warnings": [each for each in warnings.filters if each[2].__module__.startswith("hem_")],
        "show": warnings.showwarning, "umask": umask,
        "locale": locale.setlocale(locale.LC_ALL), "meta path": list(sys.meta_path),
        "logging": (logger.propagate, logger.level, logging.root.level, list(logging.root.handlers)),
        "time-out": socket.getdefaulttimeout(), "hooks": (sys.excepthook, threading.excepthook),
        "environment": dict(os.environ), "collector": (gc.isenabled(), gc.get_threshold()),
        "recursion": sys.getrecursionlimit(), "switching": sys.getswitchinterval(), "cwd": os.getcwd(),
        "standard": (sys.stdin, sys.stdout, sys.stderr),
    }
"""


def test_the_hosts_python_is_left_as_it_is(runs: PythonHost, emulator: ServedEmulator) -> None:
    script = (
        STATE
        + """
handler = logging.NullHandler()
logging.root.addHandler(handler)
before = state()
say(module.C_Initialize(None), slots())
session = ctypes.c_ulong()
say(module.C_OpenSession(0, 6, None, None, ctypes.byref(session)))
say(module.C_Login(session, 1, PIN, len(PIN)))
template = (ctypes.c_ulong * 3)()
say(module.C_FindObjectsInit(session, None, 0))
found, count = (ctypes.c_ulong * 50)(), ctypes.c_ulong()
say(module.C_FindObjects(session, found, 50, ctypes.byref(count)))
say(module.C_FindObjectsFinal(session), module.C_Finalize(None))
after = state()
say(*(before[name] == after[name] or sys.stderr.write(name) for name in before))
"""
    )
    answers = runs.run(f"PIN = {emulator.passphrase.encode()!r}\n{script}")
    assert answers[:8] == [0] * 8, runs.said
    assert set(answers[8:]) == {1}, runs.said


def test_a_namespace_of_its_own_is_refused_in_words(
    library: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "host.c").write_text("""
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <stdio.h>
        int main(int count, char **words) {
            void *module = dlmopen(LM_ID_NEWLM, words[1], RTLD_NOW);
            unsigned long (*initialize)(void *) = dlsym(module, "C_Initialize");
            unsigned long (*finalize)(void *) = dlsym(module, "C_Finalize");
            return printf("%#lx %#lx\\n", initialize(NULL), finalize(NULL)) < 0;
        }
    """)
    program = tmp_path / "host"
    subprocess.run([*COMPILER, "-w", str(tmp_path / "host.c"), "-o", str(program), "-ldl"], check=True)
    done = subprocess.run([program, library], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, [hex(FAILED), hex(NONE)]), done.stderr
    assert "dlmopen" in done.stderr


# --- its end --------------------------------------------------------------------------------------


def test_a_finalise_at_exit_before_ours_and_after_ours_is_answered(runs: PythonHost) -> None:
    script = """
atexit.register(lambda: say(module.C_Finalize(None)))   # runs last: the module has ended by then
say(module.C_Initialize(None), slots())
if os.environ.get("AGAIN"):
    atexit.register(lambda: say(module.C_Finalize(None)))
"""
    assert runs.run(script) == [0, 0, NONE], runs.said
    runs.environment["AGAIN"] = "1"
    assert runs.run(script) == [0, 0, 0, NONE], runs.said


def test_calls_while_and_after_python_ends_are_not_initialised(runs: PythonHost) -> None:
    # The last objects go, and the C library's exit handlers run, when Python is as good as gone.
    script = """
class Last:
    def __del__(self, module=module, say=say, slots=slots):
        say(module.C_Initialize(None), slots(), module.C_Finalize(None))
say(module.C_Initialize(None))
sys.kept = Last()
"""
    assert runs.run(script) == [0, FAILED, NONE, NONE]
    assert "this program's Python has ended" in runs.said


def test_a_module_first_used_while_python_ends_is_refused_or_served_but_ends_in_order(
    runs: PythonHost,
) -> None:
    script = """
class Last:
    def __del__(self, module=module, say=say, slots=slots):
        say(module.C_Initialize(None), slots())
sys.kept = Last()
atexit.register(lambda: say(module.C_Initialize(None), slots()))
"""
    assert runs.run(script) == [0, 0, FAILED, NONE], runs.said


def test_threads_that_call_while_python_ends_do_not_crash_it(runs: PythonHost) -> None:
    script = """
say(module.C_Initialize(None))
def call():
    while True:
        slots()
for _ in range(8):
    threading.Thread(target=call, daemon=True).start()
time.sleep(0.2)
"""
    for _ in range(2):
        assert runs.run(script) == [0], runs.said


@pytest.fixture(scope="session")
def embedding(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A C program that embeds the Python of these tests."""
    program = tmp_path_factory.mktemp("embedding") / "embedding"
    paths, libdir = sysconfig.get_paths(), sysconfig.get_config_var("LIBDIR")
    subprocess.run(
        [*COMPILER, "-g", f"-I{paths['include']}", str(Path(__file__).with_name("embedding.c")), "-o",
         str(program), f"-L{libdir}", f"-Wl,-rpath,{libdir}",
         f"-lpython{sysconfig.get_config_var('LDVERSION')}", "-ldl"],
        check=True,
    )  # fmt: skip
    return program


@pytest.mark.parametrize(
    ("commands", "answers"),
    [
        # The host's Python ends: nothing is initialised, in exit handlers either.
        ("start C_Initialize C_GetSlotList at-exit end C_GetSlotList C_Finalize",
         [0, 0, 0, 0, 0, NONE, NONE, NONE]),
        # It starts again: it works, without us.
        ("start C_Initialize end start python C_Initialize C_GetSlotList end C_Initialize C_Finalize",
         [0, 0, 0, 0, 0, FAILED, NONE, 0, FAILED, NONE]),
        # Ours is first, and the host takes it for its own, and ends it.
        ("C_Initialize C_GetSlotList start python end C_GetSlotList C_Initialize",
         [0, 0, 0, 0, 0, NONE, FAILED]),
        # The host was through with Python before us.
        ("start python end C_Initialize C_GetSlotList C_Finalize", [0, 0, 0, FAILED, NONE, NONE]),
        ("C_Initialize at-exit C_GetSlotList", [0, 0, 0, 0]),
    ],
)  # fmt: skip
def test_a_host_that_ends_its_python_is_answered_and_never_aborted(
    embedding: Path, library: Path, environment: dict[str, str], commands: str, answers: list[int]
) -> None:
    done = subprocess.run(
        [embedding, library, *commands.split()],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.returncode}: {done.stdout}{done.stderr}"
    assert [int(line.split()[1], 16) for line in done.stdout.splitlines()] == answers, done.stderr
    assert ("Python has ended" in done.stderr) == (FAILED in answers)


# --- subinterpreters ------------------------------------------------------------------------------

SUBINTERPRETER = """
import {interpreters} as interpreters
inner = PREAMBLE + '''
say(module.C_Initialize(None), slots())
'''
threaded = PREAMBLE + '''
thread = threading.Thread(target=lambda: say(module.C_Initialize(None), slots()))
thread.start(); thread.join()
'''
def run(script):
    one = interpreters.create(isolated=False) if sys.version_info < (3, 13) else interpreters.create("legacy")
    interpreters.run_string(one, script)
    interpreters.destroy(one)
"""


@pytest.fixture
def interpreters(python: Path) -> str:
    for name in ("_interpreters", "_xxsubinterpreters"):
        if subprocess.run([python, "-c", f"import {name}"], capture_output=True, check=False).returncode == 0:
            return name
    pytest.skip("not run: this Python offers no subinterpreters")


def test_a_subinterpreter_is_refused_in_words_and_the_main_one_is_served(
    runs: PythonHost, interpreters: str
) -> None:
    script = f"PREAMBLE = {PREAMBLE!r}" + SUBINTERPRETER.format(interpreters=interpreters)
    answers = runs.run(f"{script}run(threaded); say(module.C_Initialize(None), slots())")
    assert answers == [FAILED, NONE, 0, 0]
    assert "called from a subinterpreter" in runs.said
    answers = runs.run(f"{script}say(module.C_Initialize(None), slots()); run(threaded); say(slots())")
    assert answers == [0, 0, FAILED, FAILED, 0]


def test_a_subinterpreter_in_the_main_thread_neither_aborts_nor_hangs(
    runs: PythonHost, interpreters: str
) -> None:
    script = f"PREAMBLE = {PREAMBLE!r}" + SUBINTERPRETER.format(interpreters=interpreters)
    first, second, third, fourth = runs.run(f"{script}run(inner); say(module.C_Initialize(None), slots())")
    # CPython to 3.11 takes such a call for one of the main interpreter.
    assert (first, second) in ((FAILED, NONE), (0, 0))
    assert (third, fourth) in ((0, 0), (int(CKR.CRYPTOKI_ALREADY_INITIALIZED), 0))
