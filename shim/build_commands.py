"""Makes the compiled PKCS#11 module (named in ``pyproject.toml``) and OpenSSL engine part of the wheel."""

from __future__ import annotations

import sys
from pathlib import Path

from setuptools import Extension
from setuptools.command.build_ext import build_ext

sys.path.insert(0, str(Path(__file__).parent))

import build_module
from openssl import build_engine

__all__ = ["BuildModule"]


class BuildModule(build_ext):
    """Builds ``libhem_pkcs11.so`` where setuptools wants extensions, and ``libhem_engine.so`` beside it."""

    def get_ext_filename(self, fullname: str) -> str:
        """The file's name has no interpreter tag: programs that are not Python load it."""
        return "/".join(fullname.split(".")) + ".so"

    def build_extension(self, ext: Extension) -> None:
        """Compile into the wheel, or beside the sources for an editable installation."""
        target = Path(self.get_ext_fullpath(ext.name)).resolve().parent
        target.mkdir(parents=True, exist_ok=True)
        build_module.build(target, in_place=bool(self.inplace))
        build_engine.build(target, in_place=bool(self.inplace))
