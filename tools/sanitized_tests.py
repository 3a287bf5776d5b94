"""The C layer under AddressSanitizer and UndefinedBehaviorSanitizer: ``make test-asan``.

``python tools/sanitized_tests.py [PYTEST ARGUMENT…]`` builds module and engine with both into
``build/asan`` and runs the tests that touch them. The programs that load them (python, openssl, nginx,
pkcs11-tool, our own hosts) are not built so: the sanitizers' libraries are preloaded, into pytest too.

Left out are leaks, since CPython and OpenSSL keep what they have until the process ends (valgrind looks
for the engine's own in ``test_engine.py``), and what cannot be had together with a preloaded library.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FLAGS = "-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"
TESTS = (
    "tests/pkcs11/test_library.py", "tests/pkcs11/test_hosts.py", "tests/pkcs11/test_surroundings.py",
    "tests/pkcs11/test_python_hosts.py", "tests/pkcs11/test_tools.py", "tests/pkcs11/test_fuzz.py",
    "tests/pkcs11/test_campaigns.py", "tests/pkcs11/test_raw.py", "tests/pkcs11/test_gnutls.py",
    "tests/pkcs11/test_java.py", "tests/pkcs11/test_small_stacks.py",
    "tests/openssl/test_engine.py", "tests/openssl/test_uri.py",
    "tests/openssl/test_commands.py", "tests/openssl/test_engine_names.py", "tests/openssl/test_tls.py",
    "tests/tools/test_python_programs.py", "tests/tools/test_nginx.py", "tests/tools/test_p11_kit.py",
)  # fmt: skip
#: Why tests cannot run so → parts of their names, as pytest's -k takes them.
IMPOSSIBLE = {
    "a child of a fork hangs when another thread was in the sanitizer's allocator, whose locks no fork takes":
        "busy_parent or forks_under_threads or children_of_a_fork or forks_with_it or fork-threads",
    "p11tool hangs at its end with the library preloaded, whatever its module": "many_logins_of_a_listing",
    "the sanitizer refuses RTLD_DEEPBIND": "DEEPBIND",
    "nothing is preloaded into a set-group-id program": "set_group_id",
    "it has an address space of its own": "valgrind",
    "it is a sanitizer's run itself": "address_sanitizer",
    "a program of the test's own stands for Python, and is no such program": "python_2",
    "a library of the test's own is preloaded before the sanitizer's": "another_python_version",
    "the sanitizer's library cannot be in a second namespace": "namespace",
    "memory that the sanitizer keeps in quarantine counts as growth": "reload",
}  # fmt: skip


def built() -> Path:
    """The folder with module and engine, built with the sanitizers when they are not current."""
    folder, objects = ROOT / "build" / "asan" / "hem_pkcs11", ROOT / "build" / "asan" / "objects"
    sys.path.insert(0, str(ROOT / "shim"))
    try:
        import build_module
        from openssl import build_engine
    finally:
        sys.path.pop(0)
    before, os.environ["CFLAGS"] = os.environ.get("CFLAGS", ""), FLAGS
    undefined = "-Wl,-z,defs"  # the sanitizers' own symbols come from the process
    for script in (build_module, build_engine):
        script._LINK = [each for each in script._LINK if each != undefined]  # type: ignore[attr-defined]
    build_module.build(folder, in_place=True, build_dir=objects / "module")
    build_engine.build(folder, build_dir=objects / "engine")
    os.environ["CFLAGS"] = before
    return folder


def main(arguments: list[str]) -> int:
    folder = built()
    compiler = os.environ.get("CC", "cc").split()
    libraries = [
        subprocess.run([*compiler, f"-print-file-name={each}"], capture_output=True, text=True, check=True)
        for each in ("libasan.so", "libubsan.so")
    ]
    environment = os.environ | {
        "HEM_TEST_LIBRARIES": str(folder),
        "LD_PRELOAD": ":".join(each.stdout.strip() for each in libraries),
        "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1:allocator_may_return_null=1",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    }
    left_out = " or ".join(IMPOSSIBLE.values())
    command = [sys.executable, "-m", "pytest", "-q", "-k", f"not ({left_out})", *(arguments or TESTS)]
    return subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
