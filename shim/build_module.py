"""Compile ``libhem_pkcs11.so``, the C entry layer, and ``libhem_python.so``, its half that knows Python.

The second starts Python and holds cffi's embedding of ``hem_pkcs11.bridge``. Neither is linked with
libpython: the first finds the process's own, or loads ours, before it loads the second.

``python shim/build_module.py --in-place`` builds into ``shim/hem_pkcs11/`` for work in a
checkout and writes the file ``search-path`` there, which tells the library where to find the
packages. ``build()`` is what packaging calls. The interpreter that runs this is the one the
library embeds; it must have been built with a shared ``libpython``.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import os
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

__all__ = ["BuildError", "build", "check_interpreter", "command_line", "same_names"]

LIBRARY = "libhem_pkcs11.so"
PYTHON_HALF = "libhem_python.so"
_SHIM = Path(__file__).resolve().parent
_SOURCES = _SHIM / "src"
_WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wstrict-prototypes", "-Wshadow")
_COMPILE = (
    "-std=gnu11", "-O2", "-g", "-fPIC", "-fvisibility=hidden", "-fstack-protector-strong",
    "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2", "-pthread",
)  # fmt: skip
_LINK = (
    "-shared", "-pthread", "-Wl,-z,nodelete", "-Wl,-z,relro", "-Wl,-z,now", "-Wl,-z,noexecstack",
    "-Wl,-z,defs", f"-Wl,-soname,{LIBRARY}",
)  # fmt: skip
#: What each source belongs to; the others are of the entry layer alone.
_OF_PYTHON, _OF_BOTH = ("python", "code"), ("say", "places", "stack")
#: Only these names leave the libraries.
_EXPORTS = {LIBRARY: "C_*", PYTHON_HALF: "hem_python_table"}
_DECLARATION = "void hem_dispatch(unsigned long *rv, const char *function, const uintptr_t *words);"
_CALLED = "int hem_python_leave(int milliseconds);"
_START = """
from _hem_pkcs11 import ffi, lib
from hem_pkcs11 import kept_code

kept_code.read_at_start()
from hem_pkcs11 import bridge

bridge.install(ffi, lib)
"""
_EMBEDDING = """
#include "structures.h"
int hem_python_leave(int milliseconds);
int hem_load_bridge(void);
int hem_load_bridge(void) { return cffi_start_python(); }
"""


class BuildError(Exception):
    """The library cannot be built here; the text says why and what to do."""


def check_interpreter() -> None:
    """Raise ``BuildError`` unless this interpreter can be embedded."""
    if not sysconfig.get_config_var("Py_ENABLE_SHARED"):
        raise BuildError(
            f"{sys.executable} (Python {sys.version.split()[0]}) has no shared libpython, which the "
            "PKCS#11 module embeds. Use Debian's own python3, or a Python that was configured with "
            "--enable-shared (pyenv: PYTHON_CONFIGURE_OPTS=--enable-shared)."
        )
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        raise BuildError(
            f"{sys.executable} (Python {sys.version.split()[0]}) is built without the global lock, which the "
            "PKCS#11 module relies on: use the interpreter that has it"
        )
    header = Path(sysconfig.get_paths()["include"]) / "Python.h"
    if not header.exists():
        raise BuildError(f"{header} is missing: install the interpreter's headers (Debian: python3-dev)")


def build(target_dir: Path, *, in_place: bool, build_dir: Path | None = None) -> Path:
    """Build both halves into ``target_dir`` and return the path of the one that programs load.

    Nothing is done when they are current.
    ``in_place`` also writes ``search-path`` beside them. Raises ``BuildError``.
    """
    check_interpreter()
    build_dir = build_dir or _SHIM.parent / "build" / f"shim-{sys.implementation.cache_tag}"
    build_dir.mkdir(parents=True, exist_ok=True)
    target_dir.mkdir(parents=True, exist_ok=True)
    library = target_dir / LIBRARY
    commands = _commands(build_dir, library)
    stamp, wanted = build_dir / f"{LIBRARY}.{_digest([str(library)])[:8]}.stamp", _state(commands)
    there = library.exists() and library.with_name(PYTHON_HALF).exists()
    if not (there and stamp.exists() and stamp.read_text() == wanted):
        _generate(build_dir)
        for command in commands:
            _run(command)
        stamp.write_text(wanted)
    if in_place:
        _write_search_path(target_dir / "search-path")
    return library


def same_names(folders: Mapping[Path, str]) -> list[str]:
    """Options of the compiler that put a name in place of each folder's own, for the same bytes wherever
    they are. Of two that fit a file, the last counts."""
    return [f"-ffile-prefix-map={folder}={name}" for folder, name in {Path.cwd(): ".", **folders}.items()]


def _generate(build_dir: Path) -> None:
    from cffi import FFI

    ffi = FFI()
    ffi.embedding_api(_DECLARATION)
    ffi.cdef((_SOURCES / "structures.h").read_text())
    ffi.cdef(_CALLED)
    ffi.set_source("_hem_pkcs11", _EMBEDDING)
    ffi.embedding_init_code(_START)
    with contextlib.redirect_stdout(io.StringIO()):  # it tells of each file
        ffi.emit_c_code(str(build_dir / "embedding.c"))
    for name, exported in _EXPORTS.items():
        _export_map(build_dir, name).write_text(f"{{ global: {exported}; local: *; }};\n")


def _export_map(build_dir: Path, library: str) -> Path:
    return build_dir / f"{library}.map"


def _commands(build_dir: Path, library: Path) -> list[list[str]]:
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    extra = shlex.split(os.environ.get("CFLAGS", ""))
    paths = sysconfig.get_paths()
    include = [f"-I{_SOURCES}", f"-I{paths['include']}", f"-I{paths['platinclude']}"]
    # Names alone: where things are is found out at run time, from the place of the library.
    definitions = {
        "LIBPYTHON_NAME": sysconfig.get_config_var("INSTSONAME"),
        "PYTHON_VERSION": sysconfig.get_python_version(),
        "MULTIARCH": sysconfig.get_config_var("MULTIARCH") or "",
    }
    defined = [f'-DHEM_{name}="{value}"' for name, value in definitions.items()]
    include += same_names({_SHIM: "shim", build_dir: "build", Path(paths["include"]): "python"})
    ours = sorted(_SOURCES.glob("*.c"))
    commands = [
        [*compiler, *_COMPILE, *_WARNINGS, *extra, *include, *defined, "-c", str(source), "-o",
         str(build_dir / f"{source.stem}.o")]
        for source in ours
    ]  # fmt: skip
    # cffi's own code is not ours to warn about.
    embedding = build_dir / "embedding"
    commands.append(
        [*compiler, *_COMPILE, *extra, "-w", *include, "-c", f"{embedding}.c", "-o", f"{embedding}.o"]
    )
    entry_layer = [each.stem for each in ours if each.stem not in _OF_PYTHON]
    halves = {LIBRARY: entry_layer, PYTHON_HALF: [*_OF_PYTHON, *_OF_BOTH, "embedding"]}
    for name, stems in halves.items():
        objects = [str(build_dir / f"{each}.o") for each in stems]
        temporary = library.with_name(f".{name}.new")
        link = [each.replace(LIBRARY, name) for each in _LINK]
        if name == PYTHON_HALF:  # Python's symbols come from the process
            link = [each for each in link if each != "-Wl,-z,defs"]
        exports = f"-Wl,--version-script={_export_map(build_dir, name)}"
        commands.append([*compiler, *extra, *objects, "-o", str(temporary), *link, exports, "-ldl"])
    # A process that has the old libraries mapped keeps them.
    for name in reversed(halves):
        commands.append(["mv", "-f", str(library.with_name(f".{name}.new")), str(library.with_name(name))])
    return commands


def _state(commands: Sequence[Sequence[str]]) -> str:
    """What the result depends on: the commands, the sources, this script and cffi's version."""
    import cffi

    sources = sorted([*_SOURCES.iterdir(), Path(__file__)])
    return _digest([*map(" ".join, commands), cffi.__version__, *(each.read_text() for each in sources)])


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def _run(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(command, check=False)
    except FileNotFoundError:
        raise BuildError(f"there is no C compiler {command[0]!r}: install gcc, or set CC") from None
    if done.returncode != 0:
        raise BuildError(f"failed: {shlex.join(command)}")


def _write_search_path(path: Path) -> None:
    site = sysconfig.get_paths()
    home = f"home = {Path(sys.base_prefix) / 'bin'}"
    lines = dict.fromkeys([home, str(_SHIM.parent), str(_SHIM), site["purelib"], site["platlib"]])
    path.unlink(missing_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    path.chmod(0o644)


def command_line(build: Callable[..., Path], description: str, arguments: Sequence[str] | None = None) -> int:
    """What the build scripts do when they are run; ``build(target, in_place=…)`` gives the library."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--in-place", action="store_true", help="build into shim/hem_pkcs11 for development")
    parser.add_argument("--target", type=Path, help="directory to build into")
    options = parser.parse_args(arguments)
    if not options.in_place and options.target is None:
        parser.error("say --in-place or --target DIRECTORY")
    try:
        library = build(options.target or _SHIM / "hem_pkcs11", in_place=options.in_place)
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"setup: {library} is ready")
    return 0


if __name__ == "__main__":
    sys.exit(command_line(build, "Build the PKCS#11 module."))
