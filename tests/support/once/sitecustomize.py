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
MODULES = ("hem_provider.rest.credential", "hem_provider.emulator.setup")
_MANY = 100_000


class _Hashlib:
    """``hashlib`` as these modules use it."""

    def __init__(self, user: str) -> None:
        self._user = user

    def __getattr__(self, name):
        import hashlib

        return getattr(hashlib, name)

    def pbkdf2_hmac(self, name, password, salt, rounds, size=None):
        import hashlib  # what tests have put there meanwhile, and not loaded by who does not derive

        folder = os.environ.get(FOLDER)
        if rounds < _MANY or not folder or not os.path.isdir(folder):  # noqa: PTH112 - pathlib is slow to load
            return hashlib.pbkdf2_hmac(name, password, salt, rounds, size)
        asked = repr((self._user, name, bytes(password), bytes(salt), rounds, size)).encode()
        path = f"{folder}/{hashlib.sha256(asked).hexdigest()}"
        try:
            with open(path, "rb") as kept:  # noqa: PTH123
                found = kept.read()
        except OSError:  # nobody has derived it, or this process may not open more files
            found = hashlib.pbkdf2_hmac(name, password, salt, rounds, size)
            _keep(path, found)
            return found
        hashlib.pbkdf2_hmac(name, password, salt, 1, size)  # refused as ever where the arguments are wrong
        return found


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
    """Finds the modules as all others do, and gives them this ``hashlib`` when they have run."""

    def find_spec(self, name, path=None, target=None):
        if name not in MODULES:
            return None
        specs = (each.find_spec(name, path, target) for each in sys.meta_path if each is not self)
        spec = next((each for each in specs if each is not None), None)
        if spec is not None:
            run = spec.loader.exec_module

            def exec_module(module):
                run(module)
                module.hashlib = _Hashlib(name)

            spec.loader.exec_module = exec_module
        return spec


def environment() -> dict[str, str]:
    """What a process needs, where its environment is not that of the test."""
    return {name: os.environ[name] for name in (FOLDER, "PYTHONPATH") if name in os.environ}


def install() -> None:
    """From now on in this process."""
    for name in MODULES:
        if name in sys.modules:
            sys.modules[name].hashlib = _Hashlib(name)
    sys.meta_path.insert(0, _Finder())


if __name__ == "sitecustomize" and FOLDER in os.environ:
    install()
