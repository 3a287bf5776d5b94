"""Which keys clients may use, by the labels that the keys have on the device."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Sequence

from hem_provider.agent.answers import GOOD_FOR
from hem_provider.agent.rights import allows_label
from hem_provider.device.hem import Hem
from hem_provider.errors import HemScopeDenied

__all__ = ["AllowedKeys"]


class AllowedKeys:
    """Of one device. ``patterns``: of the labels, none for every key. ``in_turn`` runs what asks the
    device."""

    def __init__(
        self,
        hem: Hem,
        patterns: Sequence[str],
        in_turn: Callable[[Callable[[], dict[str, str]]], Awaitable[dict[str, str]]],
    ) -> None:
        self._hem = hem
        self._patterns = tuple(patterns)
        self._in_turn = in_turn
        self._labels: dict[str, str] = {}
        self._read = -math.inf

    def doubt(self) -> None:
        """Labels may have changed."""
        self._read = -math.inf

    async def check(self, kids: frozenset[str]) -> None:
        """``HemScopeDenied`` unless all of these keys may be used, by their labels as they were a little
        while ago at most; of a key that is not there the device says so itself."""
        if not self.judge(kids):
            self._labels = await self._in_turn(self._listed)
            self._read = time.monotonic()
            self._look(kids)

    def judge(self, kids: frozenset[str]) -> bool:
        """As ``check``, without asking the device: whether that is enough."""
        if not self._patterns or not kids:
            return True
        if kids - self._labels.keys() or time.monotonic() - self._read >= GOOD_FOR:
            return False
        self._look(kids)
        return True

    def _look(self, kids: frozenset[str]) -> None:
        for kid in kids & self._labels.keys():
            label = self._labels[kid]
            if not allows_label(label, self._patterns):
                raise HemScopeDenied(
                    f"{self._hem.config.name}: the agent lets nobody use key {label!r}; it was started for "
                    f"the keys {', '.join(self._patterns)} (hem agent start --keys)"
                )

    def _listed(self) -> dict[str, str]:
        self._hem.keys.refresh()
        return {each.kid: each.label for each in self._hem.keys}
