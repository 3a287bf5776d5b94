"""What is known of a device's records: pages fetched when needed, kept in memory, recalled from disk."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from weakref import WeakSet

from hem_provider.device.cache import REMEMBERED_FOR, CachedList, DiskCache
from hem_provider.device.creation import NewKey
from hem_provider.device.key import Key
from hem_provider.device.login import LoginSession
from hem_provider.device.operations import Operations
from hem_provider.device.pages import Course, all_pages
from hem_provider.device.partlist import PartList
from hem_provider.device.verification import KnownKey
from hem_provider.errors import HemAnswerFault, HemAuthenticationError, HemKeyNotFound
from hem_provider.keytypes import parse_attributes
from hem_provider.perprocess import PerProcess
from hem_provider.rest import keymgmt
from hem_provider.rest.auth import Identity
from hem_provider.rest.call import Call
from hem_provider.rest.keymgmt import KeyRecord, Page

__all__ = ["FEW", "GLANCES", "Listing"]

_LIST = ("keymgmt:list",)
#: To list so many keys is a few calls, and no more trouble than to look for one.
FEW = 2 * keymgmt.PAGE
#: Keys that are worth to be asked for one by one (``glance``); of more, all are listed.
GLANCES = 8


class _Walk:
    """``place``: of the next key in the order, for who walks over it."""

    place = 0


class Listing:
    """One ``Key`` object per KID, in the device's storage order as far as it was listed.

    Safe for threads. Records of an earlier process come from ``cache``: only what cannot have
    changed is taken from there, the rest is asked for when it is needed. A listing may come from the memory
    of the user's agent, unless it is made anew after ``clear`` or ``renew``.
    """

    def __init__(self, session: LoginSession, operations: Operations) -> None:
        self._config = session.rest.channel.config
        self._session = session
        self._operations = operations
        self._lock: PerProcess[threading.RLock] = PerProcess(threading.RLock)
        self._keys: dict[str, Key] = {}
        self._order: list[str] = []
        self._placed: set[str] = set()  # the same, to ask
        self._walks: WeakSet[_Walk] = WeakSet()
        self._course = Course(self.device)  # where the listing goes on
        self._begun = 0.0  # when its first page was asked for, in Unix seconds; 0 where none was yet
        self._old: set[str] = set()  # keys as another process listed them that was interrupted
        self._anew = False  # no agent's memory will do
        self._own: CachedList | None = None  # what was found without a login
        self.aged = False  #: whether some of it came from an agent's memory, or from a listing interrupted
        self.cache = DiskCache(self._config.url)
        self._part = PartList(self.cache, self.device)
        operations.known = self._known
        operations.gone = self.forget
        session.note_need, session.memory = self._note_need, self.cache

    @property
    def at_hand(self) -> bool:
        """Whether listing (further) costs a few calls at most, and no login of our own, nor a question to the
        agent."""
        return self._course.next is None or (self._session.holds(_LIST) and not self.is_long)

    @property
    def is_long(self) -> bool:
        """Whether listing (further) takes more than a few calls, as far as is known. No I/O but the
        disk's."""
        if self._course.next is None:
            return False
        if self._course.left is not None:
            return self._course.left > FEW
        listing = self._last_listing()
        return listing is not None and len(listing.records) > FEW

    @property
    def costs_no_login(self) -> bool:
        """Whether the device can be listed without a login of our own."""
        return self._course.next is None or self._session.holds(_LIST) or self._session.agent_ready

    @property
    def device(self) -> str:
        """Its name, for messages."""
        return self._session.rest.channel.name

    def same_device(self, other: Listing) -> bool:
        """Whether ``other`` is of this device, by whatever connection: by the device's identity where
        both know it, else by the URL. No I/O."""
        mine, theirs = self._session.identity, other._session.identity
        if mine is not None and theirs is not None:
            return mine.eid == theirs.eid
        return self._config.url == other._config.url

    def known(self, kid: str) -> Key | None:
        """The key with this KID, if it was met."""
        return self._keys.get(kid)

    def keep(self, key: Key) -> Key:
        """Take in a key met by other means; the object to use for it."""
        return self._keys.setdefault(key.kid, key)

    def new(self, kid: str, **known: Any) -> Key:
        """A key object bound to this listing; not kept yet."""
        return Key(self, self._operations, kid, **known)

    def walk(self) -> Iterator[Key]:
        """All records in storage order, fetching a page whenever the known ones are used up."""
        walk = _Walk()
        with self._lock.get():
            self._walks.add(walk)
        while True:
            with self._lock.get():
                if walk.place >= len(self._order):
                    if self._course.next is None:
                        return
                    if not self._begun:
                        self._begun = time.time()
                        self._resume()
                    page = self.ask(keymgmt.list_keys(self._course.next))
                    if self._course.take(page):
                        self.absorb(page, listed=True)
                        self._part.note(page, self._begun, self._identified if self.is_long else None)
                        self._save()
                    continue
                key = self._keys.get(self._order[walk.place])
                walk.place += 1
            if key is not None:
                yield key

    def _resume(self) -> None:
        """Go on where another process was interrupted, if that was lately."""
        part = None if self._anew else self._part.resume()
        if part is None:
            return
        if self._identified().eid != part.eid:  # no call more than a login makes
            self._part.drop()
            return
        for record in part.records:
            key = self._keys.get(record.kid)
            if key is None or key.record() is None:  # else this process asked for it, later
                self._learn(record)
                self._old.add(record.kid)
        self._place([self._keys[each.kid] for each in part.records])
        self._course = Course(self.device, {each.kid for each in part.records}, part.next)
        self._begun, self.aged = part.begun, True

    def _identified(self) -> Identity:
        """Which device it is; through an agent that need not be known yet."""
        return self._session.identity or self._session.probe()

    def stands(self, key: Key) -> bool:
        """Whether ``key`` is there as it was listed; the device is asked only where another process listed
        it."""
        if key.kid not in self._old:
            return True
        self._old.discard(key.kid)
        return self.confirm(key)

    def ask(self, call: Call[Page]) -> Page:
        """What the device lists or finds; as an agent remembers it, where that will do."""
        statistics = self._session.rest.channel.statistics
        before = statistics.remembered
        anew = self._anew or self.cache.changed_within(REMEMBERED_FOR)
        page = self._session.run(call.kept(not anew))
        self.aged = self.aged or statistics.remembered != before
        return page

    def pages(self, ask: Callable[[int], Page]) -> Iterator[Page]:
        """See ``all_pages``."""
        return all_pages(self.device, ask)

    def gather(self, ask: Callable[[int], Page]) -> list[Key]:
        """The keys of all pages, each once."""
        found = [key for page in self.pages(ask) for key in self.absorb(page)]
        return list(dict.fromkeys(found))

    def absorb(self, page: Page, *, listed: bool = False) -> list[Key]:
        """Learn what a page says; ``listed`` when it is the listing's next."""
        with self._lock.get():
            found = [self._learn(record) for record in page.records]
            if listed:
                self._place(found)
            return found

    def add(self, new: NewKey) -> Key:
        """Take in a key that was just made."""
        self.changed()
        with self._lock.get():
            if new.record is not None:
                key = self._learn(new.record)
            else:
                attributes = None if new.attributes is None else parse_attributes(new.attributes)
                key = self.new(new.kid, label=new.label, descr=new.descr, attributes=attributes)
                self._keys[new.kid] = key
            self._place([key])
            return key

    def forget(self, kid: str) -> None:
        """A key is gone."""
        self.changed()
        with self._lock.get():
            self._keys.pop(kid, None)
            if kid in self._placed:
                place = self._order.index(kid)
                del self._order[place]
                self._placed.remove(kid)
                for walk in self._walks:  # which are to skip no other for it
                    walk.place -= walk.place > place

    def clear(self) -> None:
        """Forget everything, on disk too."""
        self.cache.forget_listing()
        with self._lock.get():
            self._keys, self._own = {}, None
            self._begin_anew()

    def renew(self) -> bool:
        """List the device anew, if what is known may be old (``aged``); whether it did."""
        with self._lock.get():
            if self._anew or not self.aged:
                return False
            self._begin_anew()
            return True

    def _begin_anew(self) -> None:
        self._order, self._placed, self._course = [], set(), Course(self.device)
        self._begun, self._old = 0.0, set()
        self._part.drop()
        self._anew, self.aged = True, False

    def changed(self) -> None:
        """A key was made, changed or deleted: what any process listed before is out of date. An agent knows
        of what went through it, other processes by a mark of the rest."""
        self._own = None
        self._part.drop()  # what this process changes is in what it lists
        self.cache.forget_listing()
        if self._session.passes_agent:
            self.cache.note_change()

    def complete(self, key: Key, *, kept: bool = False) -> None:
        """Read a key's record afresh: by its ``descr`` (one call), else from the listing. ``kept``: what an
        agent remembers will do.

        ``HemKeyNotFound`` when it is gone.
        """
        record = self.read(key.kid, key.known_descr or b"", kept=kept)
        if record is None:
            self.forget(key.kid)
            raise HemKeyNotFound(f"{self._config.name}: no key {key.kid}; it was deleted")
        key.learn(record)  # it need not be the one kept here: what was listed may have been forgotten

    def read(self, kid: str, descr: bytes, *, kept: bool = False) -> KeyRecord | None:
        """A key's record as it is now: looked for by ``descr``, where one is given, then in the listing.
        ``None`` when there is no such key. ``kept``: what an agent remembers will do."""
        searchable = 0 < len(descr) <= self._operations.limits.descr
        if searchable and not (kept and self._is_short and self._session.agent_ready):
            page = self._search(descr, kept)
            self.absorb(page)
            for record in page.records:
                if record.kid == kid:
                    return record
        for page in self.pages(lambda offset: self._session.run(keymgmt.list_keys(offset).kept(kept))):
            self.absorb(page)
            for record in page.records:
                if record.kid == kid:
                    return record
        return None

    @property
    def _is_short(self) -> bool:
        """Whether one call lists the device, as far as is known: an agent rather remembers that than a
        search for one key."""
        listing = self.cache.listing()
        return listing is not None and len(listing.records) <= keymgmt.PAGE

    def cached(self) -> tuple[KeyRecord, ...]:
        """What an earlier process listed of this very device; a hint. Empty where better is at hand."""
        listing = None if self.at_hand else self._last_listing()
        return () if listing is None else listing.records

    def remembered_many(self) -> tuple[KeyRecord, ...]:
        """The same, where nobody wanted the device to be listed anew."""
        return () if self._anew else self.cached()

    def glance(self, record: KeyRecord, place: int) -> Key | None:
        """The key of a record that was listed before, as it is now: one call looks for its ``descr`` or,
        without one, where it stood, from ``place`` down. ``None`` where it is not found so."""
        if 0 < len(record.descr) <= self._operations.limits.descr:
            page = self._search(record.descr, kept=True)
        else:
            page = self.ask(keymgmt.list_keys(max(0, place - keymgmt.PAGE + 1)))
        return next((each for each in self.absorb(page) if each.kid == record.kid), None)

    def recall(self, record: KeyRecord) -> Key:
        """A key with what cannot have changed since ``record`` was cached."""
        attributes = parse_attributes(record.type)
        return self.keep(self.new(record.kid, attributes=attributes, descr_hint=record.descr))

    def _known(self, kid: str) -> KnownKey:
        key = self._keys.get(kid)
        if key is None:
            return KnownKey(public=self.cache.public(kid))
        return KnownKey(key.known_type, key.known_attributes, key.known_public)

    def remembered(self, wanted: Callable[[KeyRecord], bool]) -> list[Key]:
        """The keys of the last complete listing that are ``wanted``, as they were listed then. No I/O
        but the disk's. ``confirm`` asks the device; using a key that is gone is a ``HemKeyNotFound``.
        """
        with self._lock.get():
            listing = self.cache.listing()
            seen = self._session.identity
            if listing is None or seen is None or seen.eid != listing.eid:
                return []
            return [self._learn(record) for record in listing.records if wanted(record)]

    def own(self, wanted: Callable[[KeyRecord], bool] = lambda _: True) -> list[Key] | None:
        """Our own keys that are ``wanted``, as they were found last by ``search_anonymously``, by whatever
        process; ``None`` where that is not remembered, or all keys are. No I/O but the disk's."""
        with self._lock.get():
            found, seen = self._own or self.cache.own(), self._session.identity
            if found is None or seen is None or seen.eid != found.eid or self.cache.has_listing:
                return None
            return [self._learn(record) for record in found.records if wanted(record)]

    def keep_own(self, keys: list[Key]) -> None:
        """Remember our own keys, all of them, where no list of all keys is remembered, which is better."""
        seen = self._session.identity
        if seen is not None and not self.cache.has_listing:
            records = [each.record() for each in keys]
            self._own = CachedList(seen.eid, tuple(each for each in records if each is not None))
            self.cache.keep_own(seen.eid, self._own.records)

    def recalled(self) -> list[Key]:
        """All keys of the last complete listing, as ``remembered``; also before the device was met, when
        it is not known yet whether they are its own."""
        with self._lock.get():
            listing = self._last_listing()
            return [] if listing is None else [self._learn(record) for record in listing.records]

    def recent(self) -> list[Key] | None:
        """All keys as a process of this user had them from the device within ``REMEMBERED_FOR`` seconds,
        where none has changed a key since; ``None`` where there is no such list, or better is at hand. No
        I/O but the disk's."""
        with self._lock.get():
            listing = self._last_listing()
            if listing is None or self._anew or not listing.is_recent(REMEMBERED_FOR):
                return None
            return [self._learn(record) for record in listing.records]

    def _last_listing(self) -> CachedList | None:
        """The last complete one on disk, unless it is known to be another device's."""
        listing, seen = self.cache.listing(), self._session.identity
        return listing if listing is None or seen is None or seen.eid == listing.eid else None

    def confirm(self, key: Key) -> bool:
        """Ask the device (one call as a rule) whether ``key`` is there and is still called so."""
        label, descr = key.label, key.descr
        try:
            self.complete(key, kept=True)
        except HemKeyNotFound:
            return False
        return (key.label, key.descr) == (label, descr)

    def _note_need(self, scope: str) -> bool:
        if (scope,) == _LIST and not self.cache.has_listing:
            return False  # the next process will have one: it starts with what comes after
        self.cache.keep_scope(scope)
        return True

    def _search(self, descr: bytes, kept: bool) -> Page:
        call = keymgmt.search(descr, ends=True)
        if not self._session.holds(call.scopes):
            try:
                anonymous = keymgmt.search_anonymously(descr, ends=True)
                return self.ask(anonymous) if kept else self._session.run(anonymous.kept(False))
            except HemAuthenticationError:  # not allowed on this device
                pass
        return self._session.run(call)

    def _place(self, keys: list[Key]) -> None:
        for key in keys:
            if key.kid not in self._placed:
                self._placed.add(key.kid)
                self._order.append(key.kid)

    def _learn(self, record: KeyRecord) -> Key:
        key = self._keys.get(record.kid)
        if key is None:
            key = self._keys[record.kid] = self.new(record.kid)
        try:
            key.learn(record)
        except HemAnswerFault:  # perhaps it is the kept list that is wrong: ask afresh the next time
            self.clear()
            raise
        return key

    def _save(self) -> None:
        if self._course.next is not None or not self._part.end():
            return
        # A few an agent remembers as well.
        seen = self._identified() if len(self._order) > FEW else self._session.identity
        if seen is not None:
            records = [self._keys[kid].record() for kid in self._order if kid in self._keys]
            kept = [each for each in records if each is not None]
            self.cache.keep_listing(seen.eid, kept, listed=0.0 if self.aged else self._begun)
