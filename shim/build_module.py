"""Compile ``libhem_pkcs11.so``: the C entry layer and cffi's embedding of ``hem_pkcs11.bridge``.

``python shim/build_module.py --in-place`` builds into ``shim/hem_pkcs11/`` for work in a
checkout and writes the file ``search-path`` there, which tells the library where to find the
packages. ``build()`` is what packaging calls. The interpreter that runs this is the one the
library embeds; it must have been built with a shared ``libpython``.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

__all__ = ["BuildError", "build", "check_interpreter", "command_line"]

LIBRARY = "libhem_pkcs11.so"
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
#: Only the standard's names leave the library.
_EXPORTS = "{ global: C_*; local: *; };\n"
_DECLARATION = "void hem_dispatch(unsigned long *rv, const char *function, const uintptr_t *words);"
_START = "from _hem_pkcs11 import ffi\nfrom hem_pkcs11 import bridge\n\nbridge.install(ffi)\n"
_EMBEDDING = """
#include "structures.h"
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
    header = Path(sysconfig.get_paths()["include"]) / "Python.h"
    if not header.exists():
        raise BuildError(f"{header} is missing: install the interpreter's headers (Debian: python3-dev)")


def build(target_dir: Path, *, in_place: bool, build_dir: Path | None = None) -> Path:
    """Build the library into ``target_dir`` and return its path; nothing is done when it is current.

    ``in_place`` also writes ``search-path`` beside it. Raises ``BuildError``.
    """
    check_interpreter()
    build_dir = build_dir or _SHIM.parent / "build" / f"shim-{sys.implementation.cache_tag}"
    build_dir.mkdir(parents=True, exist_ok=True)
    target_dir.mkdir(parents=True, exist_ok=True)
    library = target_dir / LIBRARY
    commands = _commands(build_dir, library)
    stamp, wanted = build_dir / f"{LIBRARY}.{_digest([str(library)])[:8]}.stamp", _state(commands)
    if not (library.exists() and stamp.exists() and stamp.read_text() == wanted):
        _generate(build_dir)
        for command in commands:
            _run(command)
        stamp.write_text(wanted)
    if in_place:
        _write_search_path(target_dir / "search-path")
    return library


def _generate(build_dir: Path) -> None:
    from cffi import FFI

    ffi = FFI()
    ffi.embedding_api(_DECLARATION)
    ffi.cdef((_SOURCES / "structures.h").read_text())
    ffi.set_source("_hem_pkcs11", _EMBEDDING)
    ffi.embedding_init_code(_START)
    ffi.emit_c_code(str(build_dir / "embedding.c"))
    (build_dir / "exports.map").write_text(_EXPORTS)


def _commands(build_dir: Path, library: Path) -> list[list[str]]:
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    extra = shlex.split(os.environ.get("CFLAGS", ""))
    paths = sysconfig.get_paths()
    include = [f"-I{_SOURCES}", f"-I{paths['include']}", f"-I{paths['platinclude']}"]
    base = Path(sysconfig.get_config_var("prefix") or sys.base_prefix)
    stdlib = Path(paths["stdlib"])
    dynload = Path(sysconfig.get_config_var("DESTSHARED") or stdlib / "lib-dynload")
    places = [
        f'-DHEM_{name}="{place}"'
        for name, place in (("PREFIX", base), ("STDLIB", stdlib), ("DYNLOAD", dynload))
    ]
    ours = sorted(_SOURCES.glob("*.c"))
    commands = [
        [*compiler, *_COMPILE, *_WARNINGS, *extra, *include, *places, "-c", str(source), "-o",
         str(build_dir / f"{source.stem}.o")]
        for source in ours
    ]  # fmt: skip
    # cffi's own code is not ours to warn about.
    embedding = build_dir / "embedding"
    commands.append(
        [*compiler, *_COMPILE, *extra, "-w", *include, "-c", f"{embedding}.c", "-o", f"{embedding}.o"]
    )
    objects = [str(build_dir / f"{each}.o") for each in [*(source.stem for source in ours), "embedding"]]
    libdir = sysconfig.get_config_var("LIBDIR")
    temporary = library.with_name(f".{library.name}.new")
    python = [f"-L{libdir}", f"-Wl,-rpath,{libdir}", f"-lpython{sysconfig.get_config_var('LDVERSION')}"]
    exports = f"-Wl,--version-script={build_dir / 'exports.map'}"
    commands.append([*compiler, *extra, *objects, "-o", str(temporary), *_LINK, exports, *python, "-ldl"])
    # A process that has the old library mapped keeps it.
    commands.append(["mv", "-f", str(temporary), str(library)])
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
    lines = dict.fromkeys([str(_SHIM.parent), str(_SHIM), site["purelib"], site["platlib"]])
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
    print(library)
    return 0


if __name__ == "__main__":
    sys.exit(command_line(build, "Build the PKCS#11 module."))
