"""The members of a set of keys: each a device, and a key that may have to be looked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm

from hem_provider.config import DeviceConfig
from hem_provider.device.criteria import matches
from hem_provider.device.hem import Hem
from hem_provider.device.key import Key
from hem_provider.errors import (
    HemClockError,
    HemConnectionError,
    HemDeviceFault,
    HemError,
    HemKeyNotFound,
    HemKeySetFailed,
    HemOperationFailed,
    HemTimeout,
)
from hem_provider.keys.capabilities import check_usage
from hem_provider.keys.publicforms import JOSE_SIGNING
from hem_provider.keytypes import Family, KeyType
from hem_provider.threads import begin_thread

__all__ = ["Member", "Members", "failed"]

#: A device that ends a question so may do better later; any other error is an answer.
_LATER: Final = (HemConnectionError, HemDeviceFault, HemClockError)


class Member:
    """A device, and its key once it is known. ``look``: asks the device for it."""

    def __init__(self, config: DeviceConfig, look: Callable[[], Key], key: Key | None = None) -> None:
        self.name = f"{config.name} ({config.url})"  #: of the device, as messages have it
        self.timeout = config.timeout  #: of a request, in seconds
        self.key = key
        self._look = look

    def found(self) -> Key:
        """The key, looked for where it is not known yet. Raises what the device layer does."""
        if self.key is None:
            self.key = self._look()
        return self.key

    def found_anew(self) -> Key:
        """As ``found``, where the key that was known is gone."""
        self.key = self._look()
        return self.key

    @property
    def is_public(self) -> bool:
        """Whether the key's public half is known. No I/O but the disk's."""
        return self.key is not None and self.key.known_public is not None

    def tell(self) -> Key:
        """The key, with a public half that is known now: one call where it was not."""
        key = self.found()
        key.public_bytes()
        return key


class Members:
    """All of a set, and the type that their keys have."""

    def __init__(self) -> None:
        self.all: Sequence[Member] = ()
        self._kind: KeyType | None = None

    @property
    def kind(self) -> KeyType:
        """The type; there is one as soon as there is a set."""
        assert self._kind is not None  # noqa: S101 - a set without a known key is not made
        return self._kind

    def take(self, keys: Sequence[Key]) -> None:
        """These are all. Raises as ``KeySet``."""
        self._keep([Member(each.operations.config, partial(_itself, each), each) for each in keys])
        for each in keys:
            self._settle(each)

    def meet(
        self, devices: Sequence[Hem], given: Mapping[str, Any], timeout: float | None
    ) -> Mapping[str, HemError]:
        """The members are what is found on these devices. Raises as ``KeySet.find``; gives the errors of
        those that cannot answer now: their keys are recalled where somebody listed them, else left for
        later."""
        self._keep([Member(each.config, partial(self._seek, each, given)) for each in devices])
        _, silent = self.tell(timeout or self.timeout)
        answers = {name: error for name, error in silent.items() if not isinstance(error, _LATER)}
        if answers:
            raise failed("be used by this name", answers)
        for member, hem in zip(self.all, devices, strict=True):
            if member.key is None:
                recalled = [each for each in hem.keys.recalled() if matches(each, **given)]
                member.key = recalled[0] if len(recalled) == 1 else None
            if member.key is not None:
                self._settle(member.key)
        if self._kind is None:
            raise failed("be asked for its key", silent)
        return silent

    def tell(self, seconds: float) -> tuple[list[Key], dict[str, HemError]]:
        """The keys whose public half is known, once those that lack it were asked, all at once; why the
        others are silent."""
        silent = _at_once({each.name: each.tell for each in self.all if not each.is_public}, seconds)
        return [each.key for each in self.all if each.key and each.name not in silent], silent

    @property
    def timeout(self) -> float:
        """Seconds: the longest of a request to one of the devices."""
        return max(each.timeout for each in self.all)

    def _keep(self, members: Sequence[Member]) -> None:
        if not members:
            raise ValueError("keys: none; accepted: one key on each of one or more devices")
        names = [each.name for each in members]
        twice = sorted({each for each in names if names.count(each) > 1})
        if twice:
            raise ValueError(f"keys: several of one device ({', '.join(twice)}); accepted: one of each")
        self.all = members

    def _seek(self, hem: Hem, given: Mapping[str, Any]) -> Key:
        try:
            key = hem.keys.find(**given)
        except HemKeyNotFound:  # as it was listed, which may be a while ago
            hem.keys.refresh()
            key = hem.keys.find(**given)
        if self._kind is not None and key.type is not self._kind:
            raise HemOperationFailed(
                f"{hem.config.name}: key {key.kid} is {key.type.name}, those of other devices are "
                f"{self._kind.name}"
            )
        return key

    def _settle(self, key: Key) -> None:
        """The first key settles the type."""
        kind = key.type
        if kind.family not in (Family.EC, Family.EDWARDS):
            accepted = ", ".join(JOSE_SIGNING)
            raise UnsupportedAlgorithm(f"key {key.kid} is {kind.name}; accepted in a set: {accepted}")
        check_usage(key, "sign")
        self._kind = self._kind or kind
        if kind is not self._kind:
            raise ValueError(
                f"keys: {key.kid} is {kind.name}, others are {self._kind.name}; accepted: one type"
            )


def failed(what: str, reasons: Mapping[str, HemError]) -> HemKeySetFailed:
    """The error that tells of all: ``what`` nobody could do."""
    told = "; ".join(f"{name}: {str(error).removeprefix(f'{name}: ')}" for name, error in reasons.items())
    return HemKeySetFailed(f"no device could {what}: {told}", reasons)


def _at_once(asked: Mapping[str, Callable[[], object]], seconds: float) -> dict[str, HemError]:
    """Ask several devices, each by a thread; the errors of those that failed. One that takes longer than
    ``seconds`` is a ``HemTimeout``. Any error that is not of this package is raised."""
    errors: dict[str, BaseException | None] = {}

    def ask(name: str, question: Callable[[], object]) -> None:
        try:
            question()
            errors[name] = None
        except BaseException as error:
            errors[name] = error

    threads = []
    for name, question in asked.items():
        thread = begin_thread(partial(ask, name, question), "hem key set")
        if thread is None:
            ask(name, question)
        else:
            threads.append(thread)
    ends = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, ends - time.monotonic()))
    answers = {name: errors.get(name, HemTimeout(f"no answer within {seconds:g} s")) for name in asked}
    for error in answers.values():
        if error is not None and not isinstance(error, HemError):
            raise error
    return {name: error for name, error in answers.items() if isinstance(error, HemError)}


def _itself(key: Key) -> Key:
    return key
