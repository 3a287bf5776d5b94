"""Compile ``libhem_engine.so``, the OpenSSL engine, which is a client of the PKCS#11 module.

``python shim/openssl/build_engine.py --in-place`` builds into ``shim/hem_pkcs11/``, beside the module
that the engine loads by default. ``build()`` is what packaging calls. Compiler, flags and the check
whether anything changed are those of ``build_module``.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_SHIM = _HERE.parent
if str(_SHIM) not in sys.path:
    sys.path.insert(0, str(_SHIM))

from build_module import _COMPILE, _LINK, _WARNINGS, BuildError, _digest, _run, command_line, same_names  # noqa: E402  # noqa: E402
from build_module import LIBRARY as MODULE  # noqa: E402

__all__ = ["LIBRARY", "BuildError", "build", "has_engines"]

LIBRARY = "libhem_engine.so"
_SOURCES = _SHIM / "src"
#: What OpenSSL looks up in an engine.
_EXPORTS = "{ global: bind_engine; v_check; local: *; };\n"


def build(target_dir: Path, *, in_place: bool = False, build_dir: Path | None = None) -> Path:
    """Build the engine into ``target_dir`` and return its path; nothing is done when it is current.

    ``in_place`` is for symmetry with ``build_module.build``: an engine needs nothing beside it.
    Raises ``BuildError``.
    """
    del in_place
    build_dir = build_dir or _SHIM.parent / "build" / "engine"
    build_dir.mkdir(parents=True, exist_ok=True)
    target_dir.mkdir(parents=True, exist_ok=True)
    library = target_dir / LIBRARY
    commands = _commands(build_dir, library)
    stamp, wanted = build_dir / f"{LIBRARY}.{_digest([str(library)])[:8]}.stamp", _state(commands)
    if not (library.exists() and stamp.exists() and stamp.read_text() == wanted):
        _check_headers()
        (build_dir / "exports.map").write_text(_EXPORTS)
        for command in commands:
            _run(command)
        stamp.write_text(wanted)
    return library


def has_engines() -> bool:
    """``False`` where OpenSSL's headers are of version 4 or newer, which has no engines. Missing headers are
    told by ``build``."""
    version = "#include <openssl/opensslv.h>\n"
    old = "#if OPENSSL_VERSION_NUMBER >= 0x40000000L\n#error no engines\n#endif\n"
    return not _preprocess(version) or _preprocess(version + old)


def _compiler() -> list[str]:
    return shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")


def _preprocess(source: str) -> bool:
    """Whether the preprocessor takes it."""
    command = [*_compiler(), *shlex.split(os.environ.get("CFLAGS", "")), "-E", "-"]
    try:
        done = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise BuildError(f"there is no C compiler {command[0]!r}: install gcc, or set CC") from None
    return done.returncode == 0


def _commands(build_dir: Path, library: Path) -> list[list[str]]:
    compiler = _compiler()
    extra = shlex.split(os.environ.get("CFLAGS", ""))
    # Entries in the error queue name the source file: by its name, wherever it was compiled.
    include = [f"-I{_HERE}", f"-I{_SOURCES}", *same_names({_SHIM: "shim"}), f"-fmacro-prefix-map={_HERE}/="]
    sources = sorted(_HERE.glob("*.c"))
    commands = [
        [*compiler, *_COMPILE, *_WARNINGS, *extra, *include, "-c", str(source), "-o",
         str(build_dir / f"{source.stem}.o")]
        for source in sources
    ]  # fmt: skip
    objects = [str(build_dir / f"{source.stem}.o") for source in sources]
    temporary = library.with_name(f".{library.name}.new")
    link = [each.replace(MODULE, LIBRARY) for each in _LINK]
    exports = f"-Wl,--version-script={build_dir / 'exports.map'}"
    commands.append([*compiler, *extra, *objects, "-o", str(temporary), *link, exports, "-lcrypto", "-ldl"])
    # A process that has the old engine mapped keeps it.
    commands.append(["mv", "-f", str(temporary), str(library)])
    return commands


def _check_headers() -> None:
    if not _preprocess("#include <openssl/engine.h>\n"):
        raise BuildError(
            "OpenSSL's header openssl/engine.h is missing: install it (Debian: libssl-dev). "
            "OpenSSL 4 has no engines; use pkcs11-provider there"
        )


def _state(commands: Sequence[Sequence[str]]) -> str:
    """What the result depends on: the commands, the sources and both build scripts."""
    folders = (*_HERE.iterdir(), *_SOURCES.glob("*.h"), _SHIM / "build_module.py")
    sources = sorted(each for each in folders if each.suffix in (".c", ".h", ".py"))
    return _digest([*map(" ".join, commands), *(each.read_text() for each in sources)])


if __name__ == "__main__":
    if not has_engines():
        print("setup: no engine is built, since this OpenSSL has none (docs/openssl.md)")
        sys.exit(0)
    sys.exit(command_line(build, "Build the OpenSSL engine."))
