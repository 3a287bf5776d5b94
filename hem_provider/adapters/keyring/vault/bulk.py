"""What works through many entries: it saves as it goes, so that nothing done is lost.

Each function yields after every entry, for progress bars; abandoning one leaves a whole vault.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from hem_provider.adapters.keyring.vault.errors import VaultDamaged, VaultError
from hem_provider.adapters.keyring.vault.format import Contents, Header, Record
from hem_provider.adapters.keyring.vault.sealing import Content, rewrap_record
from hem_provider.adapters.keyring.vault.vault import Vault
from hem_provider.records import frozen, replace

__all__ = ["Checked", "check", "put_all", "rewrap", "waiting"]

#: Written together at most: entries, and seconds of work. What is lost if the process is killed.
_BATCH, _SECONDS = 100, 5.0


@frozen
class Checked:
    """One entry's name as the file has it, and what is wrong with it (``None``: nothing)."""

    name: str
    fault: VaultDamaged | None


def check(vault: Vault) -> Iterator[Checked]:
    """Open every entry. One device call each; a device error ends it."""
    contents = vault.load()
    for name in contents.lines:
        fault = None
        try:
            record = vault.record(contents, name)
            vault.open(contents.header, record)
            if contents.header.names_key is None:
                vault.shown(contents.header, record)
        except VaultDamaged as error:
            fault = error
        yield Checked(name.decode("ascii", "replace"), fault)


def put_all(vault: Vault, contents: Iterable[Content]) -> Iterator[Content]:
    """Write many entries, a batch at a time; yields each as it is sealed.

    What was sealed is written also when the iteration ends early.
    """
    header = vault.load().header
    with _Batch(vault, header) as batch:
        for content in contents:
            batch.add(vault.seal(header, content))
            yield content


def waiting(contents: Contents) -> list[bytes]:
    """The entries that are not under the vault's present key."""
    kid = contents.header.key.encode("ascii") + b" "
    return [name for name, rest in contents.lines.items() if not rest.startswith(kid)]


def rewrap(vault: Vault, kid: str) -> Iterator[Checked]:
    """Move the vault to the key ``kid`` of its device: new entries use it at once, then each
    older one is wrapped anew. Two device calls each, and one for each key to make sure that it is
    there (``HemKeyNotFound``: nothing is changed); sealed contents are not touched.

    An entry that does not open is told and stays as it is. Interrupted, the vault is whole, some
    entries under the one key, some under the other; the same call goes on. Entries changed by
    others meanwhile are left as they are now.
    """
    header = vault.load().header
    source = vault.source(header)
    for each in {header.key, kid}:  # both on this device, or nothing is begun
        source.wrapping(each).confirm()
    with vault.changing(header) as change:
        if change.contents.header.key != kid:
            change.contents = replace(change.contents, header=replace(header, key=kid))
    contents = vault.load()
    header = contents.header
    with _Batch(vault, header) as batch:
        for name in waiting(contents):
            fault = None
            try:
                old = vault.record(contents, name)
                new = rewrap_record(source.wrapping(old.kid), header.vault, old, source.wrapping(kid), kid)
                batch.add(new, instead_of=old)
            except VaultDamaged as error:
                fault = error
            yield Checked(name.decode("ascii", "replace"), fault)


class _Batch:
    """Records to be written together."""

    def __init__(self, vault: Vault, header: Header) -> None:
        self._vault = vault
        self._header = header
        self._records: list[tuple[Record, Record | None]] = []
        self._since = time.monotonic()

    def add(self, record: Record, *, instead_of: Record | None = None) -> None:
        """``instead_of``: written only if the vault still has this one."""
        self._records.append((record, instead_of))
        if len(self._records) >= _BATCH or time.monotonic() - self._since >= _SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what was added."""
        records, self._records = self._records, []
        self._since = time.monotonic()
        if records:
            with self._vault.changing(self._header) as change:
                if change.contents.header.key != self._header.key:
                    raise VaultError(f"{self._vault.path}: moved to another key meanwhile; start again")
                lines = change.contents.lines
                change.contents = change.contents.with_records(
                    new for new, old in records if old is None or lines.get(old.name) == old.encode_rest()
                )

    def __enter__(self) -> _Batch:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()
