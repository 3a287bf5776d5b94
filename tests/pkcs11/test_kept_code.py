"""All code is at hand once the module is initialised: what is imported later needs no file."""

from __future__ import annotations

import importlib.util
import marshal
import os
import shlex
import subprocess
import sys
import sysconfig
import textwrap
import time
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

SOURCES = Path(__file__).parents[2] / "shim" / "src"
SEARCH_PATH = Path(__file__).parents[2] / "shim" / "hem_pkcs11" / "search-path"

#: Files in a reading, before and after: so many that a thread helps.
MANY = 40
#: In an interpreter as the module starts it: everything that is kept is executed, without the file system.
SCRIPT = """
import sys
del sys.path[0]  # a ZIP file, where the module's interpreter has the standard library
sys.path += {paths!r}
import _cffi_backend  # as the C layer has it
from hem_pkcs11 import kept_code

before = list(sys.meta_path)
kept_code.read_at_start()
finder = sys.meta_path[0]
assert [finder, *before] == sys.meta_path and len(finder.left()) > 200
from hem_pkcs11 import bridge
from hem_provider.config import Config, DeviceConfig

configured = Config(devices=(DeviceConfig(url="https://127.0.0.1:1", name="x"),))
if {configured}:
    kept_code.keep_code(configured)
    kept_code.keep_code(configured)
else:
    kept_code.keep_code(Config(devices=()))
    assert not finder.left()
    kept_code.keep_code(configured)
assert "requests" not in sys.modules and "hem_provider.device.hem" not in sys.modules
assert {{"http.client", "_ssl", "cryptography.hazmat.bindings._rust"}} <= set(finder.left())

class Nothing:
    def find_spec(self, name, path=None, target=None):
        print(name)

from importlib import import_module
from importlib.machinery import BuiltinImporter, FrozenImporter
names = list(kept_code.needed_modules())
sys.meta_path[:] = [finder, BuiltinImporter, FrozenImporter, Nothing()]
import hem_provider.device.hem, hem_provider.rest.http, hem_provider.rest.tls
for name in names:
    if name in finder.left():
        import_module(name)
assert not finder.left(), finder.left()
assert sys.modules["_ssl"].__file__
import cryptography
assert cryptography.__file__.endswith("/cryptography/__init__.py") and cryptography.__spec__.cached
print("done")
"""
#: What others try to import and do without: of other systems, or for features that we do not use.
DISPENSABLE = {
    "_interpreters", "_winapi", "_wmi", "backports", "bcrypt", "brotli", "brotlicffi", "bz2", "chardet",
    "compression.zstd", "decimal", "lzma", "msvcrt", "nturl2path", "org", "pywintypes", "simplejson", "socks",
    "urllib3.contrib", "winreg", "zstandard",
}  # fmt: skip


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of ``_hem_code`` as a module of its own, which in our interpreter is built in."""
    folder = tmp_path_factory.mktemp("code")
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
    include = [f"-I{SOURCES}", f"-I{sysconfig.get_paths()['include']}"]
    target = folder / "_hem_code.so"
    subprocess.run(
        [
            *compiler,
            "-shared",
            "-fPIC",
            "-Wall",
            "-Wextra",
            "-Werror",
            *include,
            SOURCES / "code.c",
            "-o",
            target,
        ],
        check=True,
    )
    return folder


@pytest.mark.parametrize("configured", [True, False], ids=["at once", "after none"])
def test_no_module_that_is_kept_needs_another_that_is_not(
    library: Path, reader: Path, configured: bool
) -> None:
    assert library.exists()
    folders = [line for line in SEARCH_PATH.read_text().splitlines() if line.startswith("/")]
    paths = [*folders, str(reader)]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-W", "ignore", "-c", SCRIPT.format(paths=paths, configured=configured)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    *wanted, last = done.stdout.split()
    assert last == "done"
    assert set(wanted) <= DISPENSABLE


@pytest.mark.parametrize(
    ("settings", "loaded"),
    [
        ({"url": "https://my.ence.do"}, []),
        ({"url": "https://my.ence.do", "cloud_proxy": "http://127.0.0.1:1"}, ["requests", "urllib3"]),
        ({"url": "https://straße.example"}, ["requests", "urllib3"]),
    ],
    ids=["direct", "by a proxy", "a name that is not ASCII"],
)
def test_what_a_proxy_needs_is_loaded_at_the_start_and_only_for_one(
    library: Path, reader: Path, settings: dict[str, str], loaded: list[str]
) -> None:
    assert library.exists()
    folders = [line for line in SEARCH_PATH.read_text().splitlines() if line.startswith("/")]
    script = f"""
    import sys
    del sys.path[0]
    sys.path += {[*folders, str(reader)]!r}
    import _cffi_backend
    from hem_pkcs11 import kept_code
    kept_code.read_at_start()
    from hem_provider.config import Config, DeviceConfig
    kept_code.keep_code(Config(devices=(DeviceConfig(name="x", **{settings!r}),)))
    print(*sorted({{"requests", "urllib3"}} & (set(sys.modules) | set(sys.meta_path[0].left()))))
    """
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-W", "ignore", "-c", textwrap.dedent(script)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.stderr, done.stdout.split()) == ("", loaded)


@pytest.fixture
def code(reader: Path) -> ModuleType:
    """``_hem_code``."""
    place = str(reader / "_hem_code.so")
    loader = ExtensionFileLoader("_hem_code", place)
    module = importlib.util.module_from_spec(ModuleSpec("_hem_code", loader, origin=place))
    loader.exec_module(module)
    return module


@pytest.fixture
def compiled(tmp_path: Path) -> tuple[Path, Path]:
    """A module and its byte code."""
    source = tmp_path / "module.py"
    source.write_text("answer = 42\n")
    cached = tmp_path / "module.pyc"
    status = source.stat()
    stamp = b"".join(n.to_bytes(4, "little") for n in (0, int(status.st_mtime), status.st_size))
    code = marshal.dumps(compile("answer = 42\n", str(source), "exec"))
    cached.write_bytes(importlib.util.MAGIC_NUMBER + stamp + code)
    return source, cached


def read_one(code: ModuleType, source: Path, cached: Path) -> bytes | None:
    """What is read of one module, among others that are not there."""
    others = [("/none.py", "/none.pyc")] * MANY
    reading = code.Reading([*others, (str(source), str(cached)), *others])
    assert reading.finish([]) == []
    found = [reading.code(place) for place in range(2 * MANY + 1)]
    assert [each for place, each in enumerate(found) if place != MANY] == [None] * 2 * MANY
    return None if found[MANY] is None else bytes(found[MANY])


def test_good_byte_code_is_read(code: ModuleType, compiled: tuple[Path, Path]) -> None:
    found: dict[str, int] = {}
    exec(marshal.loads(read_one(code, *compiled) or b""), found)  # noqa: S102, S302 - our own
    assert found["answer"] == 42


@pytest.mark.parametrize("place", range(16))
def test_byte_code_with_another_header_is_not(
    code: ModuleType, compiled: tuple[Path, Path], place: int
) -> None:
    source, cached = compiled
    data = bytearray(cached.read_bytes())
    data[place] ^= 1
    cached.write_bytes(data)
    assert read_one(code, source, cached) == b""


@pytest.mark.parametrize("length", [0, 8, 15, 16])
def test_cut_byte_code_is_not(code: ModuleType, compiled: tuple[Path, Path], length: int) -> None:
    source, cached = compiled
    cached.write_bytes(cached.read_bytes()[:length])
    assert read_one(code, source, cached) == b""


def test_without_byte_code_there_is_the_source_and_without_that_nothing(
    code: ModuleType, compiled: tuple[Path, Path]
) -> None:
    source, cached = compiled
    cached.unlink()
    assert read_one(code, source, cached) == b""
    cached.mkdir()
    assert read_one(code, source, cached) == b""
    source.unlink()
    assert read_one(code, source, cached) is None
    assert read_one(code, source.parent, cached) is None


def test_what_is_no_pair_of_paths_is_refused(code: ModuleType) -> None:
    for wrong in (5, [5], ["ab"], [("a",)], [("a", b"b")], [("a\0", "b")]):
        with pytest.raises((TypeError, ValueError)):
            code.Reading(wrong)
    for wrong in (5, [5], [b"a"], [None]):
        with pytest.raises(TypeError):
            code.Reading([]).finish(wrong)
    with pytest.raises(TypeError):
        code.Reading()


@pytest.fixture
def many(tmp_path: Path) -> list[tuple[str, str]]:
    """200 modules of different sizes; each knows its place."""
    pairs = []
    for number in range(200):
        source = tmp_path / f"m{number}.py"
        source.write_text(f"answer = {number}" + "#" * number * 50)
        status = source.stat()
        stamp = b"".join(n.to_bytes(4, "little") for n in (0, int(status.st_mtime), status.st_size))
        compiled = marshal.dumps(compile(source.read_text(), str(source), "exec"))
        (tmp_path / f"m{number}.pyc").write_bytes(importlib.util.MAGIC_NUMBER + stamp + compiled)
        pairs.append((str(source), f"{source}c"))
    return pairs


def answer_of(code: bytes) -> int:
    names: dict[str, int] = {}
    exec(marshal.loads(code), names)  # noqa: S102, S302 - our own
    return names["answer"]


@pytest.mark.parametrize("order", [1, -1, 7], ids=["as they are read", "backwards", "mixed"])
@pytest.mark.parametrize("finished", [True, False])
def test_many_files_are_read_each_in_its_place(
    code: ModuleType, many: list[tuple[str, str]], order: int, finished: bool
) -> None:
    reading = code.Reading(many)
    if finished:
        reading.finish([])
    for number in [number * order % 200 for number in range(200)]:
        each = reading.code(number)
        assert answer_of(each) == number
        with pytest.raises(TypeError):
            memoryview(each)[0] = 0
    assert reading.finish([]) == []


def test_each_is_given_once(code: ModuleType, many: list[tuple[str, str]]) -> None:
    reading = code.Reading(many)
    assert answer_of(reading.code(3)) == 3
    for wrong in (3, 200, 2**40):
        with pytest.raises(IndexError, match="of 200 files"):
            reading.code(wrong)
    with pytest.raises(OverflowError):
        reading.code(-1)
    assert answer_of(reading.code(4)) == 4


def test_one_that_is_given_up_ends_its_thread(code: ModuleType, many: list[tuple[str, str]]) -> None:
    before = len(list(Path("/proc/self/task").iterdir()))
    for _ in range(50):
        reading = code.Reading(many)
        kept = reading.code(199)
        del reading
        assert answer_of(kept) == 199
    assert len(list(Path("/proc/self/task").iterdir())) == before


def test_what_the_thread_has_begun_is_waited_for(code: ModuleType, many: list[tuple[str, str]]) -> None:
    cached = Path(many[0][1])
    cached.unlink()
    os.mkfifo(cached)  # which nobody can open before somebody writes to it
    reading = code.Reading(many)
    writer = subprocess.Popen(["/bin/sh", "-c", 'sleep 0.3; : > "$0"', cached])
    time.sleep(0.1)  # by then the thread is at it
    assert reading.code(0) == b""
    assert [answer_of(reading.code(place)) for place in range(1, 200)] == list(range(1, 200))
    assert writer.wait(10) == 0


#: A child is forked while the thread reads.
FORKING = """
import os, sys, importlib.machinery, importlib.util
place, *pairs = sys.argv[1:]
loader = importlib.machinery.ExtensionFileLoader("_hem_code", place)
code = importlib.util.module_from_spec(importlib.machinery.ModuleSpec("_hem_code", loader, origin=place))
loader.exec_module(code)
reading = code.Reading([*zip(pairs[::2], pairs[1::2])])
child = os.fork()
found = [reading.code(place) for place in range(len(pairs) // 2)]
assert reading.finish([]) == []
assert all(found), found
if child:
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


def test_a_child_that_is_forked_meanwhile_has_all_of_it(reader: Path, many: list[tuple[str, str]]) -> None:
    for _ in range(20):
        command = [sys.executable, "-I", "-c", FORKING, reader / "_hem_code.so", *sum(many, ())]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr


def test_libraries_are_loaded_and_those_that_cannot_be_are_told(
    code: ModuleType, reader: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.so"
    copy.write_bytes((reader / "_hem_code.so").read_bytes())
    wrong = tmp_path / "wrong.so"
    wrong.write_bytes(b"no library")
    assert code.Reading([]).finish([str(copy), str(wrong), "/none.so"]) == [str(wrong), "/none.so"]
    assert str(copy) in Path("/proc/self/maps").read_text()


def test_byte_code_is_made_by_reading_alone(code: ModuleType, compiled: tuple[Path, Path]) -> None:
    source, cached = map(str, compiled)
    found = code.Reading([(source, cached)]).code(0)
    with pytest.raises(TypeError):
        type(found)()
