"""``Vault``: one file of secrets and the way to its keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hem_provider.adapters.keyring.vault import store
from hem_provider.adapters.keyring.vault.errors import EntryRejected, VaultDamaged, VaultError, VaultVersion
from hem_provider.adapters.keyring.vault.format import Contents, Header, Record
from hem_provider.adapters.keyring.vault.keys import KeySource
from hem_provider.adapters.keyring.vault.names import ClearNames, HiddenNames, Names, readable
from hem_provider.adapters.keyring.vault.sealing import Content, open_record, seal_record
from hem_provider.errors import HemKeyNotFound

__all__ = ["Change", "Unlock", "Vault"]

_TRIES = 5

#: Gives the keys that a header names; called when one is needed for the first time.
Unlock = Callable[[Header], KeySource]


class Change:
    """``contents`` is the present one; whoever puts another in its place has it written."""

    def __init__(self, contents: Contents) -> None:
        self.contents = contents


class Vault:
    """Constructing does no I/O; every method reads the file afresh. Safe for threads and processes.

    Device calls: with readable names none to find out that an entry is not there, one to read or
    to write one; with hidden names one more. All methods raise ``VaultError``'s children, for the
    device other ``HemError``s, and ``HemConfigError`` for a file that others may write.
    """

    def __init__(self, path: Path, unlock: Unlock) -> None:
        self.path = path
        self._unlock = unlock
        self._keys: dict[str, KeySource] = {}

    @classmethod
    def create(cls, path: Path, header: Header, unlock: Unlock) -> Vault:
        """Write an empty vault. ``VaultExists``, ``VaultUnwritable``. No device call."""
        store.write_new(path, Contents(header).encode())
        return cls(path, unlock)

    def load(self) -> Contents:
        """The file as it is now; whole or an error."""
        data = store.read(self.path)
        with self._placed():
            return Contents.decode(data)

    def get(self, service: str, user: str) -> str | None:
        """The password, or ``None`` when there is no such entry."""
        contents = self.load()
        name = self._name(contents.header, service, user)
        if name not in contents.lines:
            return None
        return self.open(contents.header, self.record(contents, name)).password

    def first(self, service: str) -> Content | None:
        """The entry of a service that comes first in the file, or ``None``. With readable names
        that is the first user name in the order of its bytes."""
        contents = self.load()
        with self._keyed(contents.header):
            names = contents.of_service(self._names(contents.header).service_word(service))
        return self.open(contents.header, self.record(contents, names[0])) if names else None

    def set(self, service: str, user: str, password: str) -> None:
        """Write an entry, in place of one of the same name. ``ValueError`` for a name or password
        that is no text or too long."""
        content = Content(service, user, password)
        content.encode()  # refuses what cannot be stored before any request
        for _ in range(_TRIES):
            header = self.load().header
            record = self.seal(header, content)
            with self.changing(header) as change:
                # Sealed while the vault moved to another key: an entry under the old one might be lost.
                if change.contents.header.key == header.key:
                    change.contents = change.contents.with_records([record])
                    return
        raise VaultError(f"{self.path}: the vault's key changes all the time; nothing was written")

    def contains(self, contents: Contents, service: str, user: str) -> bool:
        """Whether ``contents`` has the entry. With hidden names one device call."""
        return self._name(contents.header, service, user) in contents.lines

    def delete(self, service: str, user: str) -> bool:
        """Remove an entry; ``False`` when there is none."""
        header = self.load().header
        name = self._name(header, service, user)
        with self.changing(header) as change:
            found = name in change.contents.lines
            if found:
                change.contents = change.contents.without(name)
        return found

    def names(self) -> Iterator[tuple[str, str]]:
        """Every entry's service and user name, in the file's order; a hidden one costs a device call."""
        contents = self.load()
        for name in contents.lines:
            record = self.record(contents, name)
            yield self.shown(contents.header, record)

    def shown(self, header: Header, record: Record) -> tuple[str, str]:
        """Service and user name of an entry; a hidden one costs a device call."""
        if header.names_key is None:
            with self._placed(record):
                return readable(record.service), readable(record.user)
        content = self.open(header, record)
        return content.service, content.user

    def record(self, contents: Contents, name: bytes) -> Record:
        """One entry of ``contents``, which has it. ``VaultDamaged``."""
        with self._placed():
            return Record.decode(name, contents.lines[name])

    def seal(self, header: Header, content: Content) -> Record:
        """A new entry, not yet written. One device call; with hidden names two."""
        names, key = self._names(header), self.source(header).wrapping(header.key)
        with self._keyed(header):
            words = names.words(content.service, content.user)
            return seal_record(key, header.key, header.vault, words, content)

    def open(self, header: Header, record: Record) -> Content:
        """What an entry holds. One device call. ``EntryRejected``."""
        key = self.source(header).wrapping(record.kid)
        with self._keyed(header), self._placed(record):
            return open_record(key, header.vault, record)

    @contextmanager
    def changing(self, header: Header) -> Iterator[Change]:
        """The present content under the lock; a changed one is written on leaving.

        ``VaultError`` when it is another vault than ``header``'s by now.
        """
        with store.locked(self.path):
            contents = self.load()
            if (contents.header.vault, contents.header.names_key) != (header.vault, header.names_key):
                raise VaultError(f"{self.path}: another vault was put in its place meanwhile; try again")
            change = Change(contents)
            yield change
            if change.contents is not contents:
                store.write(self.path, change.contents.encode())

    def source(self, header: Header) -> KeySource:
        """The keys that ``header`` names."""
        if header.device not in self._keys:
            self._keys[header.device] = self._unlock(header)
        return self._keys[header.device]

    def _names(self, header: Header) -> Names:
        if header.names_key is None:
            return ClearNames()
        return HiddenNames(self.source(header).naming(header.names_key), header.vault)

    def _name(self, header: Header, service: str, user: str) -> bytes:
        with self._keyed(header):
            return b" ".join(self._names(header).words(service, user))

    @contextmanager
    def _keyed(self, header: Header) -> Iterator[None]:
        """Say which device should have had a key that is not there."""
        try:
            yield
        except HemKeyNotFound as error:
            raise HemKeyNotFound(
                f"{error}; the vault {self.path} was made with the device called {header.device!r}: this is "
                "another one, it was wiped, or the key was deleted"
            ) from error

    @contextmanager
    def _placed(self, record: Record | None = None) -> Iterator[None]:
        """Say in errors which file it is, and which entry."""
        try:
            yield
        except (VaultDamaged, VaultVersion) as error:
            if record is None:
                raise type(error)(f"{self.path}: this vault cannot be trusted: {error}") from None
            name = record.name.decode("ascii", "replace")
            raise EntryRejected(f"{self.path}: entry {name}: {error}") from None

    def __repr__(self) -> str:
        return f"<Vault {self.path}>"
