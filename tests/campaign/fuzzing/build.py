"""Builds the C harnesses: by clang with libFuzzer or counters of lines, or by any compiler to replay files.

The names of the C library that a harness chooses the answers of are renamed in the layer under test alone
(``-Dfstat=fuzz_fstat``), so that the sanitizers keep theirs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from campaign.fuzzing.module import built_module
from campaign.fuzzing.tables import tables

__all__ = ["HARNESSES", "Harness", "build_harness", "fuzzing_compiler", "replay_compiler"]

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent
ENTRY, ENGINE = ROOT / "shim" / "src", ROOT / "shim" / "openssl"
_SANITIZERS = "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"
_WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter")


@dataclass(frozen=True, slots=True)
class Harness:
    """A program: ``own`` sources beside this file, and those of the project that it ``tries``."""

    name: str
    own: tuple[str, ...]
    tries: tuple[Path, ...]
    renamed: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    includes: tuple[Path, ...] = ()  # of the project's sources, by its own
    module: bool = False  # linked with libhem_pkcs11.so


HARNESSES = {
    each.name: each
    for each in (
        Harness(
            "entry",
            ("fuzz_entry.c", "calls.c"),
            tuple(ENTRY / f"{each}.c" for each in ("entry", "stack", "say")),
            renamed=(
                "dlopen",
                "dlsym",
                "pthread_create",
                "pthread_attr_init",
                "pthread_attr_setstacksize",
                "pthread_getattr_np",
                "pthread_attr_getstack",
                "fstat",
                "isatty",
                "getsockopt",
                "write",
            ),
        ),
        Harness("places", ("fuzz_places.c",), (), includes=(ENTRY / "places.c", ENTRY / "interpreter.c")),
        Harness("uri", ("fuzz_uri.c",), (ENGINE / "uri.c",)),
        Harness(
            "engine",
            ("fuzz_engine.c",),
            tuple(sorted(ENGINE.glob("*.c"))),
            renamed=("dlopen", "dlsym", "dlerror", "dlclose"),
            libraries=("-lcrypto",),
        ),
        Harness("module", ("fuzz_module.c", "calls.c"), (), module=True),
    )
}


def fuzzing_compiler() -> str | None:
    """A clang that has libFuzzer, or ``None``."""
    for name in ("clang", *(f"clang-{version}" for version in range(21, 13, -1))):
        if shutil.which(name) and _links(name, "-fsanitize=fuzzer"):
            return name
    return None


def replay_compiler() -> str | None:
    """Any compiler with the sanitizers, or ``None``."""
    compiler = (os.environ.get("CC") or "cc").split()[0]
    return next(
        (each for each in (compiler, "gcc") if shutil.which(each) and _links(each, *_SANITIZERS[:1])), None
    )


def _links(compiler: str, *flags: str) -> bool:
    source = (
        "#include <stdint.h>\n#include <stddef.h>\nint LLVMFuzzerTestOneInput(const uint8_t *, size_t);\n"
    )
    source += (
        "int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size) { return size > 0 && *at == 'x'; }\n"
    )
    if "-fsanitize=fuzzer" not in flags:
        source += "int main(void) { return 0; }\n"
    command = [compiler, *flags, "-x", "c", "-", "-o", os.devnull]
    return subprocess.run(command, input=source.encode(), capture_output=True, check=False).returncode == 0


def build_harness(name: str, folder: Path, *, compiler: str, way: str, sources: Sequence[Path] = ()) -> Path:
    """The program; nothing is done where it is newer than all that it is made of.

    ``way``: ``fuzz`` (libFuzzer and the sanitizers), ``replay`` (the sanitizers, with ``main.c``), ``lines``
    (clang's counters, with ``main.c``). ``sources`` stand in for the project's own of the same names.

    Raises:
        subprocess.CalledProcessError: it does not compile; the compiler's words are on standard error.
    """
    harness = HARNESSES[name]
    program = folder / f"fuzz-{name}-{way}"
    folder.mkdir(parents=True, exist_ok=True)
    header, text = folder / "tables.h", tables()
    if not header.exists() or header.read_text(encoding="utf-8") != text:
        header.write_text(text, encoding="utf-8")
    instead = {each.name: each for each in sources}
    tried = [instead.get(each.name, each) for each in harness.tries]
    own = [HERE / each for each in (*harness.own, *(() if way == "fuzz" else ("main.c",)))]
    inputs = [
        *tried,
        *own,
        *harness.includes,
        header,
        Path(__file__),
        HERE / "calls.h",
        *ENTRY.glob("*.h"),
        *ENGINE.glob("*.h"),
    ]
    if harness.module:
        module = built_module(folder, compiler=compiler, way=way)
        inputs.append(module / "libhem_pkcs11.so")
    if program.exists() and program.stat().st_mtime > max(each.stat().st_mtime for each in inputs):
        return program
    flags = [
        "-std=gnu11",
        "-g",
        "-O0" if way == "replay" else "-O2",
        "-pthread",
        *_WARNINGS,
        f"-I{folder}",
        f"-I{HERE}",
        f"-I{ENTRY}",
        f"-I{ENGINE}",
        f'-DHEM_PYTHON_VERSION="{sysconfig.get_python_version()}"',
        '-DHEM_LIBPYTHON_NAME="libpython.so"',
        '-DHEM_MULTIARCH="multiarch"',
    ]
    counted = ["-fprofile-instr-generate", "-fcoverage-mapping"] if way == "lines" else []
    flags += {"fuzz": [*_SANITIZERS, "-fsanitize=fuzzer-no-link"], "replay": [*_SANITIZERS], "lines": []}[way]
    renamed = [f"-D{each}=fuzz_{each}" for each in harness.renamed]
    objects = []
    for source in [*tried, *own]:
        object_file = folder / f"{name}-{way}-{source.stem}.o"
        extra = [*renamed, *counted] if source in tried else counted if harness.includes else []
        subprocess.run([compiler, *flags, *extra, "-c", str(source), "-o", str(object_file)], check=True)
        objects.append(str(object_file))
    link = [*flags, *(["-fsanitize=fuzzer"] if way == "fuzz" else counted), *objects, "-o", str(program)]
    libraries = [*harness.libraries, "-ldl"]
    if harness.module:
        libraries = [f"-L{module}", "-lhem_pkcs11", f"-Wl,-rpath,{module}", "-rdynamic", *libraries]
    subprocess.run([compiler, *link, *libraries], check=True)
    return program
