"""Public data of a device, kept on disk between processes: public keys, the list of keys, what the last
login was needed for, and when it last checked in.

A public key never changes and proves itself: its KID is its hash. The list is a hint: whoever uses
it lets the device confirm. Files are this user's alone (0600, in ``$XDG_CACHE_HOME/hem``, else
``~/.cache/hem``); a file that is not, or cannot be read, counts as absent. A process with raised
privileges keeps none. Losing the files costs calls, nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from hem_provider.files import cache_home, make_private, open_own, read_own, replace_file, sweep
from hem_provider.keytypes import KID_FORM
from hem_provider.publickeys import kid_of
from hem_provider.records import asdict, frozen
from hem_provider.rest.encoding import b64, unb64
from hem_provider.rest.keyfields import check_kid
from hem_provider.rest.keymgmt import KeyRecord

__all__ = ["REMEMBERED_FOR", "CachedList", "DiskCache", "Glimpse", "entry_of", "record_of"]

#: For so long, in seconds, an agent remembers what was listed through it, and what is on disk is as good.
REMEMBERED_FOR = 30.0

_FORMAT = 1
#: Bytes of an identity.
_EID = 32
_SCOPE = re.compile(f"keymgmt:(list|use:{KID_FORM})")
#: Larger files are not read, in bytes: 100 000 keys make 25 MB.
_MAX_FILE = 64 * 1024 * 1024


@frozen
class CachedList:
    """A complete listing, and the identity of the device it is of.

    ``listed``: when the device itself was asked for it, in Unix seconds of this machine's clock; 0 where that
    is not known.
    """

    eid: str
    records: tuple[KeyRecord, ...]
    listed: float = 0.0

    def is_recent(self, seconds: float) -> bool:
        """Whether it is younger than that."""
        return 0 <= time.time() - self.listed < seconds


@frozen
class Glimpse:
    """A device that answered lately: its identity, and whether it was the emulator."""

    eid: str
    emulator: bool


class DiskCache:
    """The files of the device at ``url``. Constructing does no I/O."""

    def __init__(self, url: str) -> None:
        self._name = hashlib.sha256(url.encode("utf-8")).hexdigest()[:32]
        self._public: dict[str, bytes] | None = None
        self._list: CachedList | None = None
        self._read_at: tuple[int, ...] | None = None

    def public(self, kid: str) -> bytes | None:
        """The public key with this KID, checked against it."""
        if self._public is None:
            self._public = _parse_public(self.read("keys"))
        return self._public.get(kid)

    def keep_public(self, kid: str, public: bytes) -> None:
        """Remember a public key; one that does not match its KID is not kept."""
        if kid_of(public) != kid or self.public(kid) is not None:
            return
        assert self._public is not None  # noqa: S101 - public() has just read it
        self._public[kid] = public
        path = self.place("keys")
        if path is None:
            return
        line = f"{kid} {b64(public)}\n".encode("ascii")
        sweep(path.parent)
        with suppress(OSError):
            handle = open_own(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
            try:
                size = os.fstat(handle).st_size
                if size and os.pread(handle, 1, size - 1) != b"\n":  # the disk was full within a line
                    line = b"\n" + line
                os.write(handle, line)  # one write: whole among other processes' lines
            finally:
                os.close(handle)

    def listing(self) -> CachedList | None:
        """The list kept last, or ``None``."""
        seen = self._stamp("list")
        if seen is None or seen != self._read_at:  # reading 100 000 records takes a second
            self._list, self._read_at = self._listed("list"), seen
        return self._list

    def own(self) -> CachedList | None:
        """As ``listing``, of the keys made by this package alone, as everybody may see them."""
        return self._listed("own")

    def _listed(self, kind: str) -> CachedList | None:
        try:
            document = json.loads(self.read(kind) or b"null")
            if document["format"] != _FORMAT:
                return None
            records = tuple(map(record_of, document["records"]))
            return CachedList(_text(document["eid"]), records, float(_time(document.get("listed", 0))))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None

    @property
    def has_listing(self) -> bool:
        """Whether a list is kept, good or not."""
        path = self.place("list")
        return path is not None and path.is_file()

    def keep_listing(self, eid: str, records: Iterable[KeyRecord], *, listed: float = 0.0) -> None:
        """Replace the list, whole or not at all. ``listed``: as ``CachedList`` has it."""
        self._keep("list", eid, records, listed)

    def keep_own(self, eid: str, records: Iterable[KeyRecord]) -> None:
        """The same for the keys made by this package alone."""
        self._keep("own", eid, records, 0.0)

    def _keep(self, kind: str, eid: str, records: Iterable[KeyRecord], listed: float) -> None:
        entries = list(map(entry_of, records))
        self._replace(kind, {"format": _FORMAT, "eid": eid, "listed": int(listed), "records": entries})

    def forget_listing(self) -> None:
        """The lists are known to be wrong."""
        for kind in ("list", "own", "part"):
            path = self.place(kind)
            if path is not None:
                sweep(path.parent)
                with suppress(OSError):
                    path.unlink()

    def note_change(self) -> None:
        """Something was changed on the device which no agent knows of."""
        self._replace("changed", {"format": _FORMAT})

    def changed_within(self, seconds: float) -> bool:
        """Whether that was so lately."""
        path = self.place("changed")
        try:
            return path is not None and time.time() - path.stat().st_mtime < seconds
        except OSError:
            return False

    def note_seen(self, seen: Glimpse) -> None:
        """The device has just answered."""
        self._replace("seen", {"format": _FORMAT, "at": int(time.time()), **asdict(seen)})

    def forget_seen(self) -> None:
        """It does not answer, or not as it did."""
        path = self.place("seen")
        if path is not None:
            with suppress(OSError):
                path.unlink()

    def seen(self) -> Glimpse | None:
        """The device, if it answered a process of this user within ``REMEMBERED_FOR`` seconds."""
        try:
            document = json.loads(self.read("seen") or b"null")
            age = time.time() - _time(document["at"])
            eid, emulator = _text(document["eid"]), document["emulator"]
            if document["format"] != _FORMAT or len(unb64(eid)) != _EID or not isinstance(emulator, bool):
                return None
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        return Glimpse(eid, emulator) if 0 <= age < REMEMBERED_FOR else None

    def identity(self) -> str | None:
        """Of the device that the last login was to; it is another one after that was initialised anew."""
        try:
            document = json.loads(self.read("eid") or b"null")
            eid = _text(document["eid"])
            known = document["format"] == _FORMAT and len(unb64(eid)) == _EID
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        return eid if known else None

    def keep_identity(self, eid: str) -> None:
        """Remember it."""
        if eid != self.identity():
            self._replace("eid", {"format": _FORMAT, "eid": eid})

    def note_check_in(self) -> None:
        """The device has just checked in from here."""
        self._replace("checkin", {"format": _FORMAT})

    def checked_in(self) -> float | None:
        """When that was last, in Unix seconds; ``None`` where it is not known."""
        path = self.place("checkin")
        try:
            return None if path is None else path.stat().st_mtime
        except OSError:
            return None

    def scope(self) -> str | None:
        """What the process that logged in last needed first: a guess at what the next one needs."""
        try:
            document = json.loads(self.read("scope") or b"null")
            scope = document["scope"]
            known = document["format"] == _FORMAT and isinstance(scope, str) and _SCOPE.fullmatch(scope)
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        return scope if known else None

    def keep_scope(self, scope: str) -> None:
        """Remember it, if it lists or uses keys; what changes or destroys them is never guessed at."""
        if _SCOPE.fullmatch(scope) and scope != self.scope():
            self._replace("scope", {"format": _FORMAT, "scope": scope})

    def _replace(self, kind: str, document: Mapping[str, object]) -> None:
        path = self.place(kind)
        if path is None:
            return
        with suppress(OSError):
            sweep(path.parent)  # all of it is ours, and not every file is written often
            replace_file(path, json.dumps(document, separators=(",", ":")).encode("ascii"))

    def read(self, kind: str) -> bytes:
        """What is in it; nothing where it is absent, or not this user's alone."""
        path = self.place(kind)
        if path is None:
            return b""
        try:
            return read_own(path, _MAX_FILE)
        except OSError:
            return b""

    def _stamp(self, kind: str) -> tuple[int, ...] | None:
        """What is another when the file is, all of which are replaced whole; ``None`` where there is none."""
        path = self.place(kind)
        try:
            seen = None if path is None else path.stat(follow_symlinks=False)
        except OSError:
            return None
        return None if seen is None else (seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)

    def place(self, kind: str) -> Path | None:
        """The file of this kind; ``None`` where there can be none."""
        directory = _directory()
        return None if directory is None else directory / f"{self._name}.{kind}"


def _directory() -> Path | None:
    place = cache_home()
    if place is None:
        return None
    try:
        make_private(place / "hem")
    except OSError:
        return None
    return place / "hem"


def entry_of(record: KeyRecord) -> dict[str, object]:
    """A record in JSON's types."""
    return {**asdict(record), "descr": b64(record.descr)}


def record_of(entry: Mapping[str, object]) -> KeyRecord:
    """The record of an entry. Raises ``ValueError``, ``TypeError`` or ``KeyError`` where there is none."""
    return KeyRecord(
        kid=check_kid(_text(entry["kid"])),
        type=sys.intern(_text(entry["type"])),  # there are few
        label=_text(entry["label"]),
        descr=unb64(_text(entry["descr"])),
        created=_time(entry["created"]),
        updated=_time(entry["updated"]),
    )


def _text(value: object) -> str:
    """What can be sent to a device or compared with what it sends. Raises ``ValueError``."""
    if not isinstance(value, str):
        raise ValueError("not a text")  # noqa: TRY004 - a file's fault, not a caller's
    value.encode("utf-8")
    return value


def _time(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not -(2**63) <= value < 2**63:
        raise ValueError("not a time")
    return value


def _parse_public(text: bytes) -> dict[str, bytes]:
    """Lines of KID and base64; what is torn or does not match is left out."""
    found: dict[str, bytes] = {}
    for line in text.split(b"\n"):
        kid, _, data = line.partition(b" ")
        try:
            public = unb64(data.decode("ascii"))
        except ValueError:
            continue
        if kid_of(public) == kid.decode("ascii", "replace"):
            found[kid_of(public)] = public
    return found
