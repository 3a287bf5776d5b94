"""All code that calls may need later, read from the start on, and whole from ``C_Initialize`` on.

A host may change its root directory, or give up the rights to read our code, or have the package
upgraded under it, once the module is initialised. Importing everything at once would take the start
five times as long, though, as most of it is for the first request to a device. So modules in Python are
read, by C and a thread of it, while the start goes on, and executed when somebody imports them; those in C
are loaded. What the start itself imports comes the same way, since it is the faster one. In an interpreter
that is the host's own, where importing is the host's affair, modules are imported as usual.

What is listed here is tried by the tests: in another root directory all operations must work.
"""

from __future__ import annotations

import gc
import marshal
import os
import sys
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    ExtensionFileLoader,
    ModuleSpec,
    PathFinder,
    SourceFileLoader,
)

from hem_pkcs11.host import hosted

TYPE_CHECKING = False  # importing typing for it would cost as much as reading all this
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import CodeType, ModuleType

    from _hem_code import Reading

    from hem_provider.config import Config

__all__ = ["keep_code", "needed_modules", "read_at_start"]

#: Objects that an interpreter of ours makes before it looks for those that hold each other. While modules are
#: loaded it does not look at all, since that takes a tenth of the start, nor later at those.
_YOUNG = 10_000
#: Packages of which every module is needed, and what is not (by beginnings). The emulator is for trying
#: things out: its code is read when it is used.
OURS = ("hem_pkcs11", "hem_provider")
OF_OTHERS = ("certifi", "cryptography", "mnemonic")
NOT_NEEDED = tuple(
    """
    certifi.__main__ certifi.tests
    cryptography.hazmat.asn1 cryptography.hazmat.primitives.serialization.pkcs cryptography.utils_
    hem_pkcs11.lib hem_provider._moved. hem_provider.adapters hem_provider.agent hem_provider.auditlog
    hem_provider.cli hem_provider.device.naming hem_provider.emulator hem_provider.exporter
    hem_provider.measuring hem_provider.rest.adapter
    """.split()  # noqa: SIM905 - a list of quoted names would be twice as long
)
#: What they import later than at the start, for a device.
LATER = tuple(
    f"hem_provider.{name}"
    for name in (
        "device.hem", "device.mobile", "rest.broker", "rest.fullanswer", "rest.http", "rest.tls",
        "rest.unixsocket",
    )
)  # fmt: skip
#: What a device, or its cloud service, needs that is not asked over a connection of ours: with ``requests``
#: and what that brings it is much, so that it is loaded at the start, and for those alone.
NOT_DIRECT = ("hem_provider.rest.adapter", "idna")
#: What these and we use of the standard library. A name that this Python has not is left out.
STANDARD = tuple(
    """
    __future__ _bisect _blake2 _collections_abc _colorize _compat_pickle _compression _contextvars _csv
    _datetime _hashlib _heapq _json _opcode _opcode_metadata _pickle _posixsubprocess _queue _random _sha1
    _sha2 _sha256 _sha3 _sha512 _socket _ssl _struct _weakrefset abc annotationlib argparse array ast atexit
    base64 binascii bisect calendar codecs codeop collections collections.abc compression
    compression._common compression._common._streams concurrent concurrent.futures concurrent.futures._base
    contextlib contextvars copy copyreg csv dataclasses datetime difflib dis email email._encoded_words
    email._parseaddr email._policybase email.base64mime email.charset email.encoders email.errors
    email.feedparser email.header email.iterators email.message email.parser email.quoprimime email.utils
    encodings.ascii encodings.idna encodings.latin_1 encodings.utf_8 enum errno fcntl fnmatch functools
    genericpath getpass gettext glob grp gzip hashlib heapq hmac http http.client importlib importlib._abc
    importlib._adapters importlib._common importlib.abc importlib.metadata importlib.metadata._adapters
    importlib.metadata._collections importlib.metadata._functools importlib.metadata._itertools
    importlib.metadata._meta importlib.metadata._text importlib.metadata._typing importlib.metadata.diagnose
    importlib.readers importlib.resources importlib.resources._adapters importlib.resources._common
    importlib.resources._functional importlib.resources._itertools importlib.resources._legacy
    importlib.resources.abc importlib.resources.readers inspect io ipaddress json json.decoder json.encoder
    json.scanner keyword linecache locale logging marshal math ntpath numbers opcode operator os pathlib
    pathlib._abc pathlib._local pickle platform posixpath pwd queue quopri random re re._casefix
    re._compiler re._constants re._parser reprlib resource secrets select selectors shlex shutil signal
    socket ssl stat string stringprep struct subprocess tempfile termios textwrap threading time token
    tokenize tomllib tomllib._parser tomllib._re tomllib._types traceback types typing unicodedata urllib
    urllib.parse warnings weakref zipfile zipfile._path zipfile._path.glob zipimport zlib
    """.split()  # noqa: SIM905 - a list of quoted names would be twice as long
)


def read_at_start() -> None:
    """Begin to read all code that may be wanted.

    Only in an interpreter of ours, where ``_hem_code`` is; once per process."""
    if not hosted():
        gc.disable()
        finder = _Finder.of_this_process = _Finder()
        finder.begin()
        sys.meta_path.insert(0, finder)


def keep_code(config: Config) -> None:
    """Have all code at hand that the configured devices can need; without a device none is kept."""
    finder = _Finder.of_this_process
    if finder is None:
        for name in LATER if config.devices and hosted() else ():
            __import__(name)
        if hosted():
            _load_what_is_not_direct(config)
        return
    if config.devices:
        finder.finish()
        _load_what_is_not_direct(config)
    else:
        finder.forget()
    gc.freeze()
    gc.set_threshold(_YOUNG)
    gc.enable()


def _load_what_is_not_direct(config: Config) -> None:
    from hem_provider.config.direct import all_direct

    if not all(map(all_direct, config.devices)):
        for name in NOT_DIRECT:
            __import__(name)


def needed_modules() -> Iterator[str]:
    """The names of all that are there."""
    for each in (*_in_packages(OURS), *_standard(), *_standard_in_c(), *_in_packages(OF_OTHERS)):
        if os.path.exists(each.file):  # noqa: PTH110 - a Path takes longer to load than all else here
            yield each.name


class _Module:
    """Where a module would be; ``folder`` is that of a package."""

    __slots__ = ("file", "folder", "name")

    def __init__(self, name: str, file: str, folder: str = "") -> None:
        self.name = name
        self.file = file
        self.folder = folder

    @property
    def in_c(self) -> bool:
        """Whether it is compiled."""
        return not self.file.endswith(".py")


def _standard() -> Iterator[_Module]:
    """Each may be a module or a package; what is neither is in C, or not in this Python."""
    library = sys.path[0]  # as the C layer has it; those in C are in the next folder
    for name in STANDARD:
        place = f"{library}/{name.replace('.', '/')}"
        yield _Module(name, f"{place}.py")
        yield _Module(name, f"{place}/__init__.py", place)


def _standard_in_c() -> Iterator[_Module]:
    """Those that are in the next folder."""
    for file in os.listdir(sys.path[1]):  # noqa: PTH208
        name, _, kind = file.partition(".")
        if f".{kind}" in EXTENSION_SUFFIXES and name in STANDARD:
            yield _Module(name, f"{sys.path[1]}/{file}")


def _in_packages(packages: Iterable[str]) -> Iterator[_Module]:
    for package in packages:
        spec = PathFinder.find_spec(package)
        for folder in () if spec is None else spec.submodule_search_locations or ():
            yield from _in_folder(package, folder)


def _in_folder(package: str, folder: str) -> Iterator[_Module]:
    """Packages before what is in them."""
    yield _Module(package, f"{folder}/__init__.py", folder)
    with os.scandir(folder) as entries:
        found = {each.name: each for each in entries}
    for file, entry in found.items():
        own, _, kind = file.partition(".")
        name = f"{package}.{own}"
        if file.startswith(("__init__", "__pycache__")) or name.startswith(NOT_NEEDED):
            continue
        if kind == "py" or (f".{kind}" in EXTENSION_SUFFIXES and f"{own}.py" not in found):
            yield _Module(name, entry.path)
        elif not kind and os.path.isfile(f"{entry.path}/__init__.py"):  # noqa: PTH113 - else it holds data
            yield from _in_folder(name, entry.path)


def _cached(path: str) -> str:
    """Where the bytecode of a file is (PEP 3147)."""
    folder, _, file = path.rpartition("/")
    return f"{folder}/__pycache__/{file.removesuffix('.py')}.{sys.implementation.cache_tag}.pyc"


class _Loader(SourceFileLoader):
    """Has its bytecode, or its source where that is not good."""

    def __init__(self, name: str, path: str, bytecode: bytes, source: bytes) -> None:
        super().__init__(name, path)
        self._bytecode = bytecode
        self._source = source

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002 - the import system's signature
        if self._bytecode:
            code: CodeType = marshal.loads(self._bytecode)  # noqa: S302 - as the import system itself does
            return code
        return compile(self._source, self.path, "exec", dont_inherit=True)


class _Finder:
    """Gives what was read ahead; first in ``sys.meta_path``."""

    of_this_process: _Finder | None = None

    def __init__(self) -> None:
        self._reading: Reading | None = None
        #: By name, until all is read: where a module may be, and the number of that file in the reading.
        self._sought: dict[str, list[tuple[_Module, int]]] = {}
        self._in_c: list[_Module] = []
        #: By name, from then on: a module, its byte code, and its source where that is not good.
        self._kept: dict[str, tuple[_Module, bytes, bytes]] = {}
        self._complete = False

    def begin(self) -> Reading:
        """Begin to read the modules in Python. Who imports one meanwhile does not wait for the others."""
        from _hem_code import Reading

        found = [
            each
            for each in (*_in_packages(OURS), *_standard(), *_in_packages(OF_OTHERS))
            if each.name not in sys.modules
        ]
        wanted = [each for each in found if not each.in_c]
        for place, each in enumerate(wanted):
            self._sought.setdefault(each.name, []).append((each, place))
        self._in_c = [each for each in found if each.in_c]
        self._reading = Reading([(each.file, _cached(each.file)) for each in wanted])
        return self._reading

    def finish(self) -> None:
        """Have all of them read, and load those in C."""
        if self._complete:
            return
        reading = self._reading or self.begin()
        in_c = {each.file: each for each in (*self._in_c, *_standard_in_c()) if each.name not in sys.modules}
        failed = reading.finish(list(in_c))
        for name, places in self._sought.items():
            for module, place in places:
                code = reading.code(place)
                if code is not None:
                    self._kept[name] = module, code, b"" if code else _content(module.file)
        self._kept |= {each.name: (each, b"", b"") for each in in_c.values() if each.file not in failed}
        self._complete = True
        self._reading = None
        self._sought.clear()
        for path in failed:
            from hem_pkcs11.log import log

            log.info(f"{in_c[path].name} cannot be loaded")

    def forget(self) -> None:
        """Nothing of it is needed now."""
        self._reading = None
        self._sought.clear()

    def left(self) -> list[str]:
        """The names that nobody has imported."""
        return [*self._sought, *self._kept]

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As the import system asks; each module is given once."""
        del path, target
        if name in self._kept:
            return _spec(*self._kept.pop(name))
        for module, place in self._sought.pop(name, ()):
            code = self._reading.code(place) if self._reading is not None else None
            if code is not None:
                return _spec(module, code, b"" if code else _content(module.file))
        return None


def _spec(module: _Module, bytecode: bytes, source: bytes) -> ModuleSpec:
    loader = (
        ExtensionFileLoader(module.name, module.file)
        if module.in_c
        else _Loader(module.name, module.file, bytecode, source)
    )
    spec = ModuleSpec(module.name, loader, origin=module.file, is_package=bool(module.folder))
    if module.folder:
        spec.submodule_search_locations = [module.folder]
    if not module.in_c:
        spec.cached = _cached(module.file)
    spec.has_location = True
    return spec


def _content(path: str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123
        return file.read()
