"""Makes the compiled PKCS#11 module (named in ``pyproject.toml``), the OpenSSL engine and the manual pages
part of the wheel."""

from __future__ import annotations

import sys
from pathlib import Path

from setuptools import Extension
from setuptools.command.build import build
from setuptools.command.build_ext import build_ext

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

import build_module
from openssl import build_engine

__all__ = ["BuildManual", "BuildModule"]

#: Where manual pages are below the prefix of an installation.
_MANUAL = "share/man/man1"


class BuildManual(build):
    """Builds all, and then the pages of ``man hem``, from the commands that are built."""

    def run(self) -> None:
        """As setuptools' own; what is installed as data is said only now, when it is there."""
        super().run()
        from tools.make_manual import write

        files = write(Path(self.build_base) / "man1")
        self.distribution.data_files = [
            *(self.distribution.data_files or ()),
            (_MANUAL, [str(each) for each in files]),
        ]


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
