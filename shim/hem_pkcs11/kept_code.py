"""All code that calls may need later, read from ``C_Initialize`` on.

A host may change its root directory, or give up the rights to read our code, or have the package
upgraded under it, once the module is initialised. Importing everything at once would take the start
five times as long, though, as most of it is for the first request to a device. So modules in Python are
read, and executed when somebody imports them; those in C are loaded. In an interpreter that is the
host's own, where importing is the host's affair, they are imported as usual.

What is listed here is tried by the tests: in another root directory all operations must work.
"""

from __future__ import annotations

import importlib
import importlib.util
import marshal
import os
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ExtensionFileLoader, ModuleSpec, PathFinder, SourceFileLoader
from typing import TYPE_CHECKING, NamedTuple

from hem_pkcs11.host import hosted
from hem_pkcs11.log import log

if TYPE_CHECKING:
    from types import CodeType, ModuleType

    from hem_provider.config import Config

__all__ = ["keep_code", "needed_modules"]

#: Packages of which every module is needed, and what is not (by beginnings). The emulator is for trying
#: things out: its code is read when it is used.
PACKAGES = (
    "hem_pkcs11", "hem_provider",
    "certifi", "charset_normalizer", "cryptography", "idna", "mnemonic", "requests", "urllib3",
)  # fmt: skip
NOT_NEEDED = tuple(
    """
    certifi.__main__ certifi.tests charset_normalizer.__main__ charset_normalizer.cli
    cryptography.hazmat.asn1 cryptography.hazmat.primitives.serialization.pkcs cryptography.utils_
    hem_pkcs11.lib hem_provider._moved. hem_provider.adapters hem_provider.agent hem_provider.cli
    hem_provider.emulator hem_provider.measuring
    idna.__main__ idna.cli
    idna.codec idna.compat requests.help urllib3.contrib urllib3.http2.connection
    """.split()  # noqa: SIM905 - a list of quoted names would be twice as long
)
#: What they import later than at the start, for a device.
LATER = tuple(
    f"hem_provider.{name}"
    for name in (
        "device.hem", "device.mobile", "rest.broker", "rest.http", "rest.tls", "rest.unixsocket"
    )
)  # fmt: skip
#: What these and we use of the standard library. A name that this Python has not is left out.
STANDARD = tuple(
    """
    __future__ _bisect _blake2 _collections_abc _colorize _compat_pickle _compression _contextvars _csv
    _datetime _hashlib _heapq _json _opcode_metadata _pickle _posixsubprocess _queue _random _sha1 _sha2
    _sha256 _sha3 _sha512 _socket _ssl _struct _weakrefset abc annotationlib argparse array ast atexit
    base64 binascii bisect calendar codecs codeop collections collections.abc concurrent concurrent.futures
    concurrent.futures._base contextlib contextvars copy copyreg csv dataclasses datetime dis email
    email._encoded_words email._parseaddr email._policybase email.base64mime email.charset email.encoders
    email.errors email.feedparser email.header email.iterators email.message email.parser email.quoprimime
    email.utils encodings.ascii encodings.idna encodings.latin_1 encodings.utf_8 enum errno fcntl fnmatch
    functools genericpath getpass gettext glob grp gzip hashlib heapq hmac html html.entities http
    http.client http.cookiejar http.cookies importlib importlib._abc importlib._adapters importlib._common
    importlib.abc importlib.metadata importlib.metadata._adapters importlib.metadata._collections
    importlib.metadata._functools importlib.metadata._itertools importlib.metadata._meta
    importlib.metadata._text importlib.metadata._typing importlib.metadata.diagnose importlib.readers
    importlib.resources importlib.resources._adapters importlib.resources._common
    importlib.resources._functional importlib.resources._itertools importlib.resources._legacy
    importlib.resources.abc importlib.resources.readers inspect io ipaddress json json.decoder json.encoder
    json.scanner keyword linecache locale logging marshal math mimetypes netrc ntpath numbers opcode
    operator os pathlib pathlib._abc pathlib._local pickle platform posixpath pwd queue quopri random re
    re._casefix re._compiler re._constants re._parser reprlib resource secrets select selectors shlex shutil
    signal socket ssl stat string stringprep struct subprocess tempfile termios textwrap threading time
    token tokenize tomllib tomllib._parser tomllib._re tomllib._types traceback types typing unicodedata
    urllib urllib.error urllib.parse urllib.request urllib.response warnings weakref zipfile zipfile._path
    zipfile._path.glob zipimport zlib
    """.split()  # noqa: SIM905 - a list of quoted names would be twice as long
)


def keep_code(config: Config) -> None:
    """Have all code at hand that the configured devices can need; once per process."""
    if not config.devices or _Finder.of_this_process is not None:
        return
    finder = _Finder.of_this_process = _Finder()
    if hosted():
        for name in LATER:
            importlib.import_module(name)
        return
    in_c = [each.name for each in _needed() if finder.keep(each)]
    sys.meta_path.insert(0, finder)
    for name in in_c:
        try:
            importlib.import_module(name)
        except ImportError as error:
            log.info(f"{name} cannot be loaded: {error}")


def needed_modules() -> Iterator[str]:
    """The names, packages before what is in them."""
    return (each.name for each in _needed())


class _Needed(NamedTuple):
    """A module, and where it is unless that has to be looked for: its file, a package's folders."""

    name: str
    file: str = ""
    folders: list[str] | None = None


def _needed() -> Iterator[_Needed]:
    yield from map(_Needed, STANDARD)
    for package in PACKAGES:
        yield from _modules_of(package)


def _modules_of(package: str) -> Iterator[_Needed]:
    """What lies in the folders of a package was seen there: looking for it again takes as long as reading."""
    spec = importlib.util.find_spec(package)
    pending = [] if spec is None else [(_Needed(package), list(spec.submodule_search_locations or ()))]
    while pending:
        needed, folders = pending.pop()
        yield needed
        for folder in folders:
            with os.scandir(folder) as entries:
                found = {each.name: each for each in entries}
            for file, entry in found.items():
                own, _, kind = file.partition(".")
                name = f"{needed.name}.{own}"
                if file.startswith(("__init__", "__pycache__")) or name.startswith(NOT_NEEDED):
                    continue
                if entry.is_dir():
                    start = f"{entry.path}/__init__.py"
                    if os.path.isfile(start):  # noqa: PTH113 - else it holds data, as lists of words
                        pending.append((_Needed(name, start, [entry.path]), [entry.path]))
                elif kind == "py":
                    yield _Needed(name, entry.path)
                elif file.endswith(".so") and f"{own}.py" not in found:  # else compiled for speed alone
                    yield _Needed(name)


def _cached(path: str) -> str:
    """Where the bytecode of a file is (PEP 3147)."""
    if sys.pycache_prefix is not None:
        return importlib.util.cache_from_source(path)
    folder, _, file = path.rpartition("/")
    return f"{folder}/__pycache__/{file.removesuffix('.py')}.{sys.implementation.cache_tag}.pyc"


class _Loader(SourceFileLoader):
    """Has read its file: the bytecode where that is good, else the source."""

    def __init__(self, name: str, path: str) -> None:
        super().__init__(name, path)
        self._bytecode = self._good_bytecode()
        self._source = b"" if self._bytecode else super().get_data(path)

    def _good_bytecode(self) -> bytes:
        """Of a file that belongs to the source as it is (PEP 552); empty when there is none."""
        try:
            content = super().get_data(_cached(self.path))
            status = os.stat(self.path)  # noqa: PTH116 - a Path takes as long to make as a file to read
        except (OSError, NotImplementedError):
            return b""
        stamp = b"".join(n.to_bytes(4, "little") for n in (0, int(status.st_mtime), status.st_size))
        return content[16:] if content[:16] == importlib.util.MAGIC_NUMBER + stamp else b""

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002 - the import system's signature
        if self._bytecode:
            code: CodeType = marshal.loads(self._bytecode)  # noqa: S302 - as the import system itself does
            return code
        return compile(self._source, self.path, "exec", dont_inherit=True)


class _Finder:
    """Gives what was read ahead; first in ``sys.meta_path``."""

    of_this_process: _Finder | None = None

    def __init__(self) -> None:
        self._specs: dict[str, ModuleSpec] = {}
        self._folders: dict[str, Sequence[str] | None] = {}

    def keep(self, needed: _Needed) -> bool:
        """Read the module's file; whether it is one in C, to be imported instead."""
        name = needed.name
        if name in sys.modules:
            return False
        if needed.file:
            self._read(name, needed.file, needed.folders)
            return False
        parent, _, own = name.rpartition(".")
        folder = self._folder(parent)
        spec = None if folder == [] else PathFinder.find_spec(name, folder)
        if spec is None or spec.origin is None:
            return False
        source = os.path.join(os.path.dirname(spec.origin), f"{own}.py")  # noqa: PTH118, PTH120
        in_c = isinstance(spec.loader, ExtensionFileLoader)
        if in_c and os.path.exists(source):  # noqa: PTH110 - compiled for speed alone
            self._read(name, source, None)
            return False
        if isinstance(spec.loader, SourceFileLoader):
            self._read(name, spec.origin, spec.submodule_search_locations)
        return in_c

    def _read(self, name: str, file: str, folders: list[str] | None) -> None:
        spec = ModuleSpec(name, _Loader(name, file), origin=file, is_package=folders is not None)
        spec.submodule_search_locations = folders
        spec.has_location = True
        self._specs[name], self._folders[name] = spec, folders

    def _folder(self, package: str) -> Sequence[str] | None:
        """Where the modules of a package are; empty where it is none, ``None`` for no package at all."""
        if not package:
            return None
        if package in sys.modules:
            return list(getattr(sys.modules[package], "__path__", ()))
        return self._folders.get(package) or []

    def left(self) -> list[str]:
        """The names that nobody has imported."""
        return list(self._specs)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As the import system asks; each module is given once."""
        del path, target
        return self._specs.pop(name, None)
