"""Makes the compiled PKCS#11 module (named in ``pyproject.toml``), the OpenSSL engine, the manual pages and
the pages of the documentation part of the wheel, and a source release of the same bytes each time
(``SOURCE_DATE_EPOCH``)."""

from __future__ import annotations

import gzip
import os
import sys
import tarfile
from pathlib import Path
from typing import Any

from setuptools import Extension
from setuptools.command.build import build
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

import build_module
from openssl import build_engine

__all__ = ["BuildManual", "BuildModule", "BuildPages", "BuildSource"]

#: Where the compiled libraries of a checkout are.
_PACKAGE = Path(__file__).parent / "hem_pkcs11"
#: The pages that ``hem help`` shows, and where it has them in the package. Pictures and data stay behind.
_DOCS, _PAGES = Path(__file__).parents[1] / "docs", Path("hem_provider", "_docs")
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


class BuildPages(build_py):
    """Builds the packages, and puts the pages beside the code; a checkout has them where they are."""

    def run(self) -> None:
        """As setuptools' own, and the pages."""
        super().run()
        if not self.editable_mode:
            for page, target in self._pages():
                self.mkpath(str(target.parent))
                self.copy_file(str(page), str(target), preserve_mode=False)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """As setuptools' own, and the pages."""
        pages = [] if self.editable_mode else [str(target) for _, target in self._pages()]
        return [*super().get_outputs(include_bytecode), *pages]

    def _pages(self) -> list[tuple[Path, Path]]:
        place = Path(self.build_lib) / _PAGES
        return [(each, place / each.relative_to(_DOCS)) for each in sorted(_DOCS.rglob("*.md"))]


class BuildModule(build_ext):
    """Builds ``libhem_pkcs11.so`` where setuptools wants extensions, and its other half and
    ``libhem_engine.so`` beside it; for an editable installation all of them beside the sources."""

    def run(self) -> None:
        """As setuptools' own, which would bring one file for each extension beside the sources."""
        if self.inplace or self.editable_mode:
            self._build(_PACKAGE, in_place=True)
        else:
            super().run()

    def get_ext_filename(self, fullname: str) -> str:
        """The file's name has no interpreter tag: programs that are not Python load it."""
        return "/".join(fullname.split(".")) + ".so"

    def build_extension(self, ext: Extension) -> None:
        """Compile into the wheel."""
        self._build(Path(self.get_ext_fullpath(ext.name)).resolve().parent, in_place=False)

    def _build(self, target: Path, *, in_place: bool) -> None:
        try:
            build_module.build(target, in_place=in_place)
            if build_engine.has_engines():
                build_engine.build(target, in_place=in_place)
            else:
                print("left out: the engine, since this OpenSSL has none (docs/openssl.md)", file=sys.stderr)
        except build_module.BuildError as error:
            sys.exit(f"error: {error}")


class BuildSource(sdist):
    """Packs the sources with nothing of the machine in it: sorted, owned by root, of one moment."""

    def make_archive(
        self,
        base_name: Any,
        format: str,
        root_dir: Any = None,
        base_dir: str | None = None,
        owner: str | None = None,
        group: str | None = None,
    ) -> str:
        """As setuptools' own, with the moment of ``SOURCE_DATE_EPOCH``, where that is set."""
        moment = os.environ.get("SOURCE_DATE_EPOCH")
        if moment is None or format != "gztar" or base_dir is None:
            return super().make_archive(base_name, format, root_dir, base_dir, owner, group)
        target = Path(f"{os.fspath(base_name)}.tar.gz")
        with (
            target.open("wb") as file,
            gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=int(moment)) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            for path in sorted((each for each in Path(base_dir).rglob("*") if each.is_file()), key=str):
                archive.add(path, recursive=False, filter=lambda each: _of_nobody(each, int(moment)))
        return str(target)


def _of_nobody(member: tarfile.TarInfo, moment: int) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mtime = moment
    member.mode = 0o755 if member.mode & 0o100 else 0o644
    return member
