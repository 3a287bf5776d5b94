"""What the actions of ``hem keyring`` do. Answers go to standard output, the rest to standard error."""

from __future__ import annotations

import json
import secrets
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from keyring.core import get_keyring

from hem_provider.adapters.keyring import HemKeyring, sources
from hem_provider.adapters.keyring.vault import bulk, store
from hem_provider.adapters.keyring.vault.errors import VaultError, VaultExists
from hem_provider.adapters.keyring.vault.format import Header
from hem_provider.adapters.keyring.vault.keys import NAMES_TYPE, WRAP_TYPE, check_names_key, check_wrap_key
from hem_provider.adapters.keyring.vault.opening import Opener, configured_device
from hem_provider.adapters.keyring.vault.sealing import Content
from hem_provider.adapters.keyring.vault.vault import Vault
from hem_provider.cli.progress import progress
from hem_provider.cli.shape import Given
from hem_provider.device.hem import Hem, Key
from hem_provider.errors import HemConfigError, HemError
from hem_provider.files import read_file
from hem_provider.printable import printable

__all__ = ["ACTIONS", "keyring_uses_us"]

#: Largest file of names to import, in bytes.
_MAX_NAMES = 16 * 1024 * 1024
_BACKEND = f"{HemKeyring.__module__}.{HemKeyring.__name__}"


class _Open:
    """The vault and device an action is about."""

    def __init__(self, options: Given) -> None:
        self.path: Path = options.vault or store.default_path()
        self.name: str | None = options.device
        self.opener = Opener()
        self.vault = Vault(self.path, self.opener.unlock(self.name))

    def device(self, fallback: str | None = None) -> Hem:
        """Logged in when it is used for the first time."""
        return self.opener.device(self.name, fallback)

    def close(self) -> None:
        """Drop connections and logins."""
        self.opener.close()


def _init(options: Given) -> int:
    with closing(_Open(options)) as here:
        if here.path.is_symlink() or here.path.exists():
            raise VaultExists(
                f"{here.path}: there is a vault already; 'hem keyring list' shows what is in it"
            )
        name = configured_device(here.name, None).name
        hem = here.device()
        names = _given(hem, options.names_key, check_names_key)
        key = _wrap_key(hem, options)
        again = f"--key {key.kid}"
        try:
            if names is None and options.hide_names:
                names = hem.keys.create(NAMES_TYPE, label=f"{options.label[:26]} names")
            if names is not None:
                again += f" --names-key {names.kid}"
            header = Header(secrets.token_hex(16), name, key.kid, None if names is None else names.kid)
            Vault.create(here.path, header, here.opener.unlock(here.name))
        except HemError as error:
            raise VaultError(
                f"{error}; what was made is not lost, go on with: hem keyring init {again}"
            ) from error
        _say(f"{here.path}: made; key {key.kid} ({key.label!r}) on {name} opens it")
        if names is not None:
            _say(f"names are hidden with key {names.kid} ({names.label!r})")
        _say(_choice(here.path))
    return 0


def _list(options: Given) -> int:
    with closing(_Open(options)) as here:
        contents = here.vault.load()
        hidden = contents.header.names_key is not None
        names = here.vault.names()
        found = sorted(progress(names, len(contents), "opening names") if hidden else names)
        for service, user in found:
            print(json.dumps([service, user]) if options.json else f"{printable(service)}\t{printable(user)}")
    return 0


def _check(options: Given) -> int:
    with closing(_Open(options)) as here:
        contents = here.vault.load()
        hem = here.device(contents.header.device)
        check_wrap_key(hem.keys.get(contents.header.key))
        if contents.header.names_key is not None:
            check_names_key(hem.keys.get(contents.header.names_key))
        faults = 0
        for each in progress(bulk.check(here.vault), len(contents), "checking"):
            if each.fault is not None:
                faults += 1
                _say(str(each.fault))
        waiting = len(bulk.waiting(contents))
        if waiting:
            _say(f"{waiting} entries are still under a former key; 'hem keyring rewrap' goes on with them")
        print(f"{len(contents) - faults} of {len(contents)} entries open")
    return 1 if faults else 0


def _rewrap(options: Given) -> int:
    with closing(_Open(options)) as here:
        contents = here.vault.load()
        hem = here.device(contents.header.device)
        if bulk.waiting(contents) and options.key is None:
            key = hem.keys.get(contents.header.key)
            check_wrap_key(key)
            _say(f"going on with the move to key {key.kid} ({key.label!r})")
        else:
            key = _wrap_key(hem, options)
            _say(f"moving to key {key.kid} ({key.label!r})")
        former = {contents.header.key} | {here.vault.record(contents, name).kid for name in contents.lines}
        former.discard(key.kid)
        total = len(contents) if contents.header.key != key.kid else len(bulk.waiting(contents))
        faults = moved = 0
        for each in progress(bulk.rewrap(here.vault, key.kid), total, "moving"):
            faults, moved = faults + bool(each.fault), moved + (not each.fault)
            if each.fault is not None:
                _say(str(each.fault))
        print(f"{moved} of {total} entries moved to key {key.kid}")
        if faults:
            raise VaultError(
                f"{here.path}: {faults} entries do not open and stay as they are; no key is destroyed"
            )
        for kid in sorted(former):
            _retire(hem, kid, delete=options.delete_old_key)
    return 0


def _retire(hem: Hem, kid: str, *, delete: bool) -> None:
    if delete:
        hem.keys.delete(kid)
        _say(f"key {kid} is destroyed")
    else:
        _say(f"key {kid} is no longer used by this vault; older copies of it still need the key")


def _import(options: Given) -> int:
    with closing(_Open(options)) as here:
        source = _VaultSource(options, here.opener) if options.from_vault else _BackendSource(options)
        wanted = _wanted(options)
        names = source.names() if wanted is None else wanted
        contents = here.vault.load()
        kept: list[tuple[str, str]] = []
        failed: list[str] = []

        def entries() -> Iterator[Content]:
            for service, user in progress(names, len(names), "importing"):
                if not options.overwrite and here.vault.contains(contents, service, user):
                    kept.append((service, user))
                    continue
                try:
                    content = Content(service, user, source.password(service, user))
                    content.encode()
                except (sources.SourceError, ValueError) as error:
                    failed.append(str(error))
                    continue
                yield content

        brought = sum(1 for _ in bulk.put_all(here.vault, entries()))
        for line in failed:
            _say(f"not imported: {line}")
        print(f"{brought} imported, {len(kept)} there already, {len(failed)} failed")
        if brought:
            _say("the other side keeps its entries; delete them there once 'hem keyring check' is content")
    return 1 if failed else 0


class _BackendSource:
    """Entries of another backend of ``keyring``."""

    def __init__(self, options: Given) -> None:
        if options.backend is None:
            raise HemConfigError("import: say from where: a BACKEND, or --from-vault FILE")
        self._name: str = options.backend
        self._backend = sources.load_backend(options.backend)
        if isinstance(self._backend, HemKeyring):
            raise HemConfigError(
                "import: that is this backend; bring in another vault with --from-vault FILE"
            )

    def names(self) -> list[tuple[str, str]]:
        """All there are."""
        found = sources.listed_names(self._backend)
        if found is None:
            raise sources.SourceError(
                f"{self._name} does not tell its entries; name them: hem keyring import {self._name} "
                "SERVICE USER …, or --names FILE"
            )
        return found

    def password(self, service: str, user: str) -> str:
        """One of them. ``SourceError``."""
        return sources.read_password(self._backend, service, user)


class _VaultSource:
    """Entries of another vault, perhaps on another device."""

    def __init__(self, options: Given, opener: Opener) -> None:
        if options.backend is not None:
            raise HemConfigError("import: give a BACKEND or --from-vault, not both")
        self._vault = Vault(options.from_vault, opener.unlock(None))

    def names(self) -> list[tuple[str, str]]:
        """All there are."""
        return list(self._vault.names())

    def password(self, service: str, user: str) -> str:
        """One of them. ``SourceError``."""
        try:
            password = self._vault.get(service, user)
        except VaultError as error:
            raise sources.SourceError(str(error)) from error
        if password is None:
            raise sources.SourceError(f"{service!r}, {user!r}: the other vault has no such entry")
        return password


def _wanted(options: Given) -> list[tuple[str, str]] | None:
    """The entries that the user named, or ``None``."""
    if options.names:
        if options.file or len(options.names) % 2:
            raise HemConfigError("import: give SERVICE USER in pairs, or --names FILE")
        return list(zip(options.names[::2], options.names[1::2], strict=True))
    if options.file is None:
        return None
    try:
        text = sys.stdin.read() if options.file == "-" else _names_file(Path(options.file))
    except OSError as error:
        raise HemConfigError(f"import: --names {options.file}: {error.strerror or error}") from error
    except UnicodeError as error:
        raise HemConfigError(f"import: --names {options.file}: {error}") from error
    lines = [line.removesuffix("\r") for line in text.split("\n")]  # others' ends of lines may be in a name
    return [_pair(line, number) for number, line in enumerate(lines, 1) if line]


def _names_file(file: Path) -> str:
    data = read_file(file, "the list of names", limit=_MAX_NAMES, trusted=False)
    if len(data) > _MAX_NAMES:
        raise HemConfigError(f"import: --names {file}: over {_MAX_NAMES} bytes")
    return data.decode("utf-8")


def _pair(line: str, number: int) -> tuple[str, str]:
    service, tab, user = line.partition("\t")
    if not tab or "\t" in user:
        raise HemConfigError(f"import: --names, line {number}: not SERVICE<tab>USER")
    return service, user


def _wrap_key(hem: Hem, options: Given) -> Key:
    given = _given(hem, options.key, check_wrap_key)
    if given is not None:
        return given
    with _usage_errors():
        return hem.keys.create(WRAP_TYPE, label=options.label, usage={"wrap"})


def _given(hem: Hem, kid: str | None, check: Callable[[Key], None]) -> Key | None:
    """The key that the user named, if it is fit."""
    if kid is None:
        return None
    with _usage_errors():
        key = hem.keys.get(kid)
    check(key)
    return key


@contextmanager
def _usage_errors() -> Iterator[None]:
    """A label or KID that the device could not have, told as any other error."""
    try:
        yield
    except ValueError as error:
        raise HemConfigError(str(error)) from error


def _choice(path: Path) -> str:
    """What is left to do until ``keyring`` uses this vault."""
    if path == store.default_path():
        if keyring_uses_us():
            return "keyring uses it from now on: keyring set SERVICE USER"
        exports = []
    else:
        exports = [f"  export KEYRING_PROPERTY_VAULT={shlex.quote(str(path.absolute()))}"]
    return "\n".join(["for keyring to use it:", *exports, f"  export PYTHON_KEYRING_BACKEND={_BACKEND}"])


def keyring_uses_us() -> bool:
    """Whether ``keyring``, as it is configured here, keeps passwords in a vault of ours."""
    try:
        backend = get_keyring()
        first = next(iter(getattr(backend, "backends", ())), backend)  # of a chain
    except Exception:  # whatever another backend, or what somebody configured, raises
        return False
    return isinstance(first, HemKeyring)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


ACTIONS: Mapping[str, Callable[[Given], int]] = {
    "init": _init,
    "list": _list,
    "import": _import,
    "rewrap": _rewrap,
    "check": _check,
}
