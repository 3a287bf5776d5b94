"""Keys made by this package, which a device tells without a login: found by an anonymous search."""

from __future__ import annotations

from collections.abc import Callable

from hem_provider.device.criteria import matches, means
from hem_provider.device.description import PREFIX
from hem_provider.device.key import Key, is_own
from hem_provider.device.listing import FEW, GLANCES, Listing
from hem_provider.errors import HemAuthenticationError, HemDeviceFault, HemOperationFailed
from hem_provider.rest import keymgmt
from hem_provider.rest.keyfields import use_of

__all__ = ["OwnKeys"]

_LIST = "keymgmt:list"
#: What is no answer to an anonymous search: the device does not allow it, or answers with a fault.
_NO_ANSWER = (HemAuthenticationError, HemOperationFailed, HemDeviceFault)


class OwnKeys:
    """What ``KeyInventory`` asks without a login. ``shown``, ``label_shown``: whether the configuration shows
    a key, or keys of a label."""

    def __init__(
        self, listing: Listing, shown: Callable[[Key], bool], label_shown: Callable[[str], bool]
    ) -> None:
        self._listing = listing
        self._shown = shown
        self._label_shown = label_shown

    def all(self) -> list[Key]:
        """See ``KeyInventory.search_anonymous``."""
        found = self._listing.gather(
            lambda offset: self._listing.ask(keymgmt.search_anonymously(PREFIX, offset=offset))
        )
        self._listing.keep_own(found)
        return found

    def find(self, label: str | None, type: str | None, application_id: bytes | None) -> list[Key]:
        """All as they are now; keys of other software only where they were listed before. None where nothing
        was listed, where too many are ours, and where the device is listed without a login."""
        if self._listing.costs_no_login:
            return []
        cached = self._listing.cached()
        others = [(at, each) for at, each in enumerate(cached) if not each.descr.startswith(PREFIX)]
        if not cached or len(cached) - len(others) > FEW:
            return []
        try:
            found = self.all()
        except _NO_ANSWER:
            return []
        ours = [each for each in found if matches(each, label, type, application_id) and self._shown(each)]
        if application_id is not None:  # only our own keys have one
            return ours
        sought = [
            (record, place)
            for place, record in others
            if means(record, label, type, None)
            and not is_own(record.label, record.descr)
            and self._label_shown(record.label)
        ]
        if len(sought) > GLANCES:
            return []
        there = [self._listing.glance(*each) for each in sought]
        return ours + [each for each in filter(None, there) if matches(each, label, type, None)]

    def likely_scope(self) -> str:
        """See ``KeyInventory.likely_scope``."""
        listing = self._listing
        scope = listing.cache.scope()
        if scope is not None or listing.cache.has_listing or listing.costs_no_login:
            return scope or _LIST
        own = listing.own()
        if own is None:
            try:
                own = self._few()
            except _NO_ANSWER:
                own = []
        only = [each for each in own if self._shown(each)]
        if len(only) == 1:
            return use_of(only[0].kid)
        listing.cache.keep_scope(_LIST)  # so that the next process does not ask again
        return _LIST

    def _few(self) -> list[Key]:
        """As ``all``, by one call: none where there are more keys than one call tells."""
        page = self._listing.ask(keymgmt.search_anonymously(PREFIX))
        if len(page.records) < page.total:
            return []
        found = self._listing.absorb(page)
        self._listing.keep_own(found)
        return found
