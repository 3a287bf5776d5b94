"""Which of the keys are shown, and on what conditions. Forgetting hides a key; nothing is deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from hem_provider.agent.ssh.certificates import read_certificate
from hem_provider.agent.ssh.constraints import Constraints
from hem_provider.agent.ssh.identities import SshKey
from hem_provider.records import frozen, replace
from hem_provider.sshwire import WireError

__all__ = ["Shelf", "Shown"]

#: Certificates of one key.
_MOST_CERTIFICATES = 16


@frozen
class Shown:
    """One row of a listing: a key, or a certificate of one. ``blob``: what it is asked for by."""

    blob: bytes
    key: SshKey


@frozen
class _Terms:
    """Of one row. ``until``: in the clock's seconds."""

    shown: bool = True
    confirm: bool = False
    until: float | None = None


_HIDDEN = _Terms(shown=False)


class Shelf:
    """``prefix``: of the labels of the keys that there are for SSH. ``confirm``: every signature is asked
    for, whatever a key was added with. ``lifetime``: seconds for which keys are shown that are added without
    one, and all keys from the first listing on. ``clock``: seconds."""

    def __init__(
        self, *, prefix: str, confirm: bool, lifetime: float | None, clock: Callable[[], float]
    ) -> None:
        self._prefix = prefix
        self._confirm = confirm
        self._lifetime = lifetime
        self._clock = clock
        self._terms: dict[bytes, _Terms] = {}
        self._certificates: dict[bytes, tuple[bytes, ...]] = {}  # of the key with this blob
        self._first = _HIDDEN  # of keys of which nothing was said
        self.renew()

    def renew(self) -> None:
        """Show every key, and no certificate, as after the start."""
        self._forget_terms(_Terms(confirm=self._confirm))
        self._is_new = True

    def served(self, keys: Iterable[SshKey]) -> list[SshKey]:
        """Those with the prefix, hidden or not."""
        return [each for each in keys if each.label.startswith(self._prefix)]

    def shown(self, keys: Iterable[SshKey]) -> list[Shown]:
        """What a listing has, each blob once."""
        if self._is_new:  # a device that was locked until now would have used its keys' time up
            self._is_new = False
            self._first = replace(self._first, until=self._ends(None))
        rows = {
            blob: Shown(blob, key)
            for key in self.served(keys)
            for blob in (key.blob, *self._certificates.get(key.blob, ()))
        }
        return [each for each in rows.values() if self.asks(each) is not None]

    def asks(self, row: Shown) -> bool | None:
        """Whether a person is asked before a signature; ``None`` where the row is not shown (any more)."""
        terms = self._terms.get(row.blob, self._first if row.blob == row.key.blob else _HIDDEN)
        is_over = terms.until is not None and self._clock() >= terms.until
        return terms.confirm if terms.shown and not is_over else None

    def add(self, keys: Sequence[SshKey], wanted: Constraints) -> list[Shown]:
        """Show keys and certificates of them on the conditions given now; what was added. ``WireError``,
        and nothing is added, for a certificate that is of none of the keys."""
        owners = {each.blob: each for each in keys}
        rows = [] if wanted.certificates_only else [Shown(each.blob, each) for each in keys]
        certificates = self._certificates.copy()
        for key in keys:
            there = certificates.pop(key.blob, ())
            certificates[key.blob] = tuple(each for each in there if self.asks(Shown(each, key)) is not None)
        for blob in dict.fromkeys(wanted.certificates):
            owner = owners.get(read_certificate(blob).public)
            if owner is None:
                raise WireError("a certificate is of none of the keys that are to be added")
            certificates[owner.blob] = tuple(dict.fromkeys((*certificates[owner.blob], blob)))
            if len(certificates[owner.blob]) > _MOST_CERTIFICATES:
                raise WireError(f"key {owner.comment!r} has more than {_MOST_CERTIFICATES} certificates")
            rows.append(Shown(blob, owner))
        self._certificates = certificates
        terms = _Terms(confirm=wanted.confirm or self._confirm, until=self._ends(wanted.lifetime))
        self._terms.update((each.blob, terms) for each in rows)
        return rows

    def forget(self, row: Shown) -> None:
        """Hide one row."""
        self._terms[row.blob] = _HIDDEN

    def forget_all(self) -> None:
        """Hide everything, also what is made on the device later."""
        self._forget_terms(_HIDDEN)
        self._is_new = False

    def _forget_terms(self, first: _Terms) -> None:
        self._terms, self._certificates, self._first = {}, {}, first

    def _ends(self, lifetime: float | None) -> float | None:
        seconds = self._lifetime if lifetime is None else lifetime
        return None if seconds is None else self._clock() + seconds
