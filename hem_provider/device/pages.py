"""Records page by page, none of which is skipped where others change the device meanwhile.

The device counts records from the start of its storage (device API §11.6), so that what is deleted before a
page's place moves all later ones. Each page therefore begins with the last record of the one before: where
another stands there, the pages go back until they meet what is known.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from hem_provider.errors import HemAnswerFault
from hem_provider.rest.keymgmt import PAGE, Page

__all__ = ["Course", "all_pages"]

#: Steps back in one listing: who changes the device can do no more in the time that this takes.
_MOST_BACK = 250


class Course:
    """How far a listing has come. ``next``: where its next page begins, ``None`` when it is complete;
    ``left``: how many records are to come, as far as is known."""

    def __init__(self, device: str, known: Collection[str] = (), place: int | None = None) -> None:
        """``device``: as messages name it. ``known``: KIDs in the device's order, of records that are not
        wanted again; it begins with the last of them, at ``place`` where that is not their number."""
        self.next: int | None = max(0, len(known) - 1) if place is None else place
        self.left: int | None = None
        self._device = device
        self._seen = set(known)
        self._back = 0

    def take(self, page: Page) -> bool:
        """Whether the ``next`` page follows those before; else it is to be left alone: ``next`` is another.

        ``HemAnswerFault`` where the device never lists the same twice.
        """
        if page.offset and (not page.records or page.records[0].kid not in self._seen):
            self._back += 1
            if self._back > _MOST_BACK:
                raise HemAnswerFault(f"{self._device}: records stand elsewhere each time: {_MOST_BACK} tries")
            self.next = max(0, min(page.offset, page.total) - PAGE + 1)  # behind the end nothing is met
            return False
        last = page.offset + len(page.records) - 1
        self.left = max(0, page.total - last - 1)
        if last > page.offset and last + 1 < page.total:
            self.next = last
            self._seen.update(each.kid for each in page.records)
        else:  # all, or nothing new: what is counted need not be listed
            self.next, self._seen = None, set()
        return True


def all_pages(device: str, ask: Callable[[int], Page]) -> Iterator[Page]:
    """What ``ask`` gives from an offset on, until there is no more; a record may be in two pages. ``device``:
    as messages name it."""
    course = Course(device)
    while course.next is not None:
        page = ask(course.next)
        if course.take(page):
            yield page
