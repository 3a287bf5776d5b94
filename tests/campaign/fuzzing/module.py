"""The whole module for its harness, built with the same compiler, and an emulated device in a folder."""

from __future__ import annotations

import os
import shutil
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hem_provider.cli.environment import surrounded

__all__ = ["built_module", "device_for"]

ROOT = Path(__file__).parents[3]
_FLAGS = {
    "fuzz": "-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer "
    "-fsanitize=fuzzer-no-link",
    "replay": "-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer",
    "lines": "-fprofile-instr-generate -fcoverage-mapping",
}


def built_module(folder: Path, *, compiler: str, way: str) -> Path:
    """The folder with ``libhem_pkcs11.so`` and its other half, of this Python's version."""
    import build_module

    target = folder / f"module-{way}" / "hem_pkcs11"
    changed = {"CC": compiler, "CFLAGS": _FLAGS[way]}
    with surrounded(changed), _without(build_module, "-Wl,-z,defs"):
        build_module.build(target, in_place=True, build_dir=folder / f"module-{way}" / "objects")
    return target


@contextmanager
def _without(script: object, flag: str) -> Iterator[None]:
    """The sanitizers' own symbols come from the program."""
    before = script._LINK  # type: ignore[attr-defined]
    script._LINK = tuple(each for each in before if each != flag)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        script._LINK = before  # type: ignore[attr-defined]


def device_for(folder: Path) -> dict[str, str]:
    """An initialised device with a P-256 and an Ed25519 key; the environment that tells a harness of it."""
    from support.passphrases import ADMIN, PASSPHRASE

    from hem_provider import connect
    from hem_provider.emulator import open_device
    from hem_provider.emulator.setup import initialise

    folder.mkdir(parents=True, exist_ok=True)
    template, state = folder / "template.hem", folder / "device.hem"
    if not template.exists():
        device = open_device(str(state))
        initialise(device, passphrase=PASSPHRASE, admin_passphrase=ADMIN)
        device.close()
        with connect(f"emulator:{state}", passphrase=PASSPHRASE) as hem:
            hem.keys.create("SECP256R1", label="first", usage={"sign", "derive"})
            hem.keys.create("ED25519", label="second", usage={"sign"})
        shutil.copy(state, template)
    shutil.copy(template, state)
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("HEM_", "PYTHON", "XDG_"))
    }
    return clean | {
        "HOME": str(folder),
        "XDG_RUNTIME_DIR": str(folder),
        "HEM_URL": f"emulator:{state}",
        "HEM_FUZZ_PIN": PASSPHRASE,
        "HEM_FUZZ_STATE": str(template),
        "HEM_PKCS11_LOG": "off",
        "LD_LIBRARY_PATH": sysconfig.get_config_var("LIBDIR") or "",
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
    }
