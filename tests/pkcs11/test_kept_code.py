"""All code is at hand once the module is initialised: what is imported later needs no file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SEARCH_PATH = Path(__file__).parents[2] / "shim" / "hem_pkcs11" / "search-path"

#: In an interpreter as the module starts it: everything that is kept is executed, without the file system.
SCRIPT = """
import sys
sys.path += {paths!r}
from hem_pkcs11 import bridge, kept_code
from hem_provider.config import Config, DeviceConfig

before = list(sys.meta_path)
kept_code.keep_code(Config(devices=()))
assert sys.meta_path == before
kept_code.keep_code(Config(devices=(DeviceConfig(url="https://127.0.0.1:1", name="x"),)))
kept_code.keep_code(Config(devices=(DeviceConfig(url="https://127.0.0.1:1", name="x"),)))
finder = sys.meta_path.pop(0)
assert sys.meta_path == before
assert "requests" not in sys.modules and "hem_provider.device.hem" not in sys.modules

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
import cryptography
assert cryptography.__file__.endswith("/cryptography/__init__.py") and cryptography.__spec__.cached
print("done")
"""
#: What others try to import and do without: of other systems, or for features that we do not use.
DISPENSABLE = {
    "_winapi", "_wmi", "backports", "bcrypt", "brotli", "brotlicffi", "bz2", "chardet", "decimal", "lzma",
    "msvcrt", "nturl2path", "org", "pywintypes", "simplejson", "socks", "urllib3.contrib",
    "winreg", "zstandard",
}  # fmt: skip


def test_no_module_that_is_kept_needs_another_that_is_not(library: Path) -> None:
    assert library.exists()
    script = SCRIPT.format(paths=SEARCH_PATH.read_text().split("\n")[:-1])
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-W", "ignore", "-c", script],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    *wanted, last = done.stdout.split()
    assert last == "done"
    assert set(wanted) <= DISPENSABLE
