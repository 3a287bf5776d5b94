"""Processes of the tests derive the key of a passphrase once for each device, and read it from then on.

600 000 rounds take a quarter of a second of processor time, more than all else that most commands do. Python
imports this when it starts, where this folder is in ``PYTHONPATH`` and ``DERIVED_ONCE`` names a folder for
keys.

The client and the emulator derive each for itself, so that one that derives wrongly is found by the other.
What is derived with few rounds, or by another way, is left alone.
"""

from __future__ import annotations

import os
import sys

#: Variable that names the folder.
FOLDER = "DERIVED_ONCE"
#: Module → the function of passphrase and device that derives, and the number of its rounds.
FUNCTIONS = {
    "hem_provider.rest.credential": ("pbkdf2_seed", "PBKDF2_ITERATIONS"),
    "hem_provider.emulator.setup": ("derive_private", "ITERATIONS"),
}
_MANY = 100_000


def _derived_once(module):
    name, rounds = FUNCTIONS[module.__name__]
    derive = getattr(module, name)

    def derived(passphrase, eid):
        folder, many = os.environ.get(FOLDER), getattr(module, rounds)
        if many < _MANY or not folder or not os.path.isdir(folder):  # noqa: PTH112 - pathlib is slow to load
            return derive(passphrase, eid)
        import hashlib  # not loaded by who does not derive

        asked = repr((module.__name__, name, passphrase, eid, many)).encode()
        path = f"{folder}/{hashlib.sha256(asked).hexdigest()}"
        try:
            with open(path, "rb") as kept:  # noqa: PTH123
                return kept.read()
        except OSError:  # nobody has derived it, or this process may not open more files
            found = derive(passphrase, eid)
            _keep(path, found)
            return found

    setattr(module, name, derived)


def _keep(path: str, found: bytes) -> None:
    """Whole, or not at all: disks that are full, or other users' folders, are what some tests are about."""
    part = f"{path}.{os.getpid()}"
    try:
        with open(part, "wb") as kept:  # noqa: PTH123
            kept.write(found)
        os.replace(part, path)  # noqa: PTH105
    except OSError:
        pass  # contextlib is slow to load


class _Finder:
    """Finds the modules as all others do, and changes them when they have run."""

    def find_spec(self, name, path=None, target=None):
        if name not in FUNCTIONS:
            return None
        specs = (each.find_spec(name, path, target) for each in sys.meta_path if each is not self)
        spec = next((each for each in specs if each is not None), None)
        if spec is not None:
            run = spec.loader.exec_module

            def exec_module(module):
                run(module)
                _derived_once(module)

            spec.loader.exec_module = exec_module
        return spec


def environment() -> dict[str, str]:
    """What a process needs, where its environment is not that of the test."""
    return {name: os.environ[name] for name in (FOLDER, "PYTHONPATH") if name in os.environ}


def install() -> None:
    """From now on in this process."""
    for name in FUNCTIONS:
        if name in sys.modules:
            _derived_once(sys.modules[name])
    sys.meta_path.insert(0, _Finder())


if __name__ == "sitecustomize" and FOLDER in os.environ:
    install()
