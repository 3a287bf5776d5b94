"""Keys and signatures of the agent's devices, for the ssh-agent: in the devices' turns, with the agent's
rights."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from hem_provider.agent.door import Door
from hem_provider.agent.rights import allows_label
from hem_provider.agent.ssh.identities import SshKey, is_for_ssh, ssh_key
from hem_provider.device.hem import Hem, Key
from hem_provider.errors import (
    HemAnswerFault,
    HemApprovalDenied,
    HemAuthenticationError,
    HemError,
    HemKeyNotFound,
    HemLoginRequired,
    HemOperationFailed,
)
from hem_provider.records import field, mutable

__all__ = ["DoorKeys"]

_log = logging.getLogger("hem_provider.agent.ssh")

T = TypeVar("T")

#: Seconds for which a device's keys are offered as they were listed, unless something was changed by way of
#: the agent. Longer than other lists are kept: a login by ssh begins with this list, and a signature finds
#: out what is not true any more.
_GOOD_FOR = 600.0


@mutable
class _Listed:
    """``changes``: of the device's answers when it was listed."""

    keys: tuple[SshKey, ...]
    changes: int
    since: float = field(default_factory=time.monotonic)


class DoorKeys:
    """``doors``: by the names of the devices. ``patterns``: of the labels of the keys that may be used."""

    def __init__(self, doors: Mapping[str, Door], patterns: Sequence[str]) -> None:
        self._doors = doors
        self._patterns = tuple(patterns)
        self._listed: dict[str, _Listed] = {}

    async def keys(self, *, fresh: bool = False) -> Sequence[SshKey]:
        """Of all devices that are unlocked and answer; what is wrong with the others is in the log. Raises
        what is wrong with the first where it is so with all."""
        found: list[SshKey] = []
        failed: list[HemError] = []
        for door in self._doors.values():
            try:
                found += await self._of(door, fresh=fresh)
            except HemError as error:
                failed.append(error)
        if failed and len(failed) == len(self._doors):
            raise failed[0]
        for each in failed:
            _log.warning("keys are left out: %s", each)
        return found

    async def sign(self, key: SshKey, data: bytes, algorithm: str) -> bytes:
        """One call of the key's device, when it is its turn."""
        door = self._doors[key.device]
        await door.check_keys(frozenset({key.kid}))  # its label may be another one than when it was listed
        try:
            return await self._done(door, lambda: door.hem.sign(key.kid, data, algorithm))
        except HemKeyNotFound:
            self._listed.pop(door.name, None)
            raise

    async def _of(self, door: Door, *, fresh: bool) -> tuple[SshKey, ...]:
        known = self._listed.get(door.name)
        is_true = known is not None and known.changes == door.answers.changes and door.is_unlocked
        if known is not None and is_true and not fresh and time.monotonic() - known.since < _GOOD_FOR:
            return known.keys
        await _unlock(door)
        changes = door.answers.changes
        there = [each for each in await self._done(door, lambda: _list(door.hem)) if self._is_served(each)]
        keys: list[SshKey] = []
        for key in there:
            try:
                if key.known_public is None:
                    await self._done(door, key.public_bytes)
                made = ssh_key(key, door.name)
            except (HemAnswerFault, HemKeyNotFound, HemOperationFailed) as error:
                _log.warning("a key is left out: %s", error)
                continue
            keys += [] if made is None else [made]
        self._listed[door.name] = _Listed(tuple(keys), changes)
        return tuple(keys)

    def _is_served(self, key: Key) -> bool:
        return is_for_ssh(key) and allows_label(key.label, self._patterns)

    async def _done(self, door: Door, work: Callable[[], T]) -> T:
        """``HemLoginRequired`` while the device is locked."""
        await _unlock(door)
        try:
            return await door.in_turn(work)
        except HemApprovalDenied:  # by the person with the phone, this time
            raise
        except HemAuthenticationError as refused:
            if isinstance(refused, HemLoginRequired) or not door.hem.logged_in:
                door.lock(str(refused))
                raise _locked(door) from None
            raise


def _list(hem: Hem) -> list[Key]:
    hem.keys.refresh()
    return list(hem.keys)


async def _unlock(door: Door) -> None:
    if not door.is_unlocked:
        await door.try_source()
    if not door.is_unlocked:
        raise _locked(door)


def _locked(door: Door) -> HemLoginRequired:
    return HemLoginRequired(
        f"{door.name}: the agent is locked for this device ({door.reason}): hem agent unlock"
    )
