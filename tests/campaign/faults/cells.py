"""One cell: an operation, a mishap, and when it comes; what came of it, and whether that may be."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from campaign.faults.mishaps import Mishap
from campaign.faults.operations import Operation, may_be_made
from campaign.faults.world import World
from hem_provider.emulator.audit import Event

__all__ = ["LIMIT", "MOMENTS", "Result", "Worker", "tried", "usual_of"]

T = TypeVar("T")

#: Seconds after which a call counts as hung. Nothing in the process waits that long, even on a busy machine.
LIMIT = 20.0
#: Number of the request that is struck, 0 for all from the first on; and whether a login is held by then.
_NUMBERS = tuple(range(1, 9))
MOMENTS = {
    "before": (1, False),
    **{f"at request {number}": (number, False) for number in _NUMBERS[1:]},
    "from then on": (0, False),
    "with a login held": (1, True),
    "from then on, with a login held": (0, True),
}
#: Its operations change the device as a whole: neither keys nor entries are counted.
_DEVICE = "administration"
#: Entries that what is told as done must have left, as often as without a mishap.
_WORK = frozenset(each for each in Event if each.name.startswith(("CRYPTO_", "KEY_"))) - {
    Event.KEY_INIT, Event.KEY_INTEGRITY_CHECK,
}  # fmt: skip
#: Entries of changes: none may be there of what is told as not made.
_CHANGES = frozenset({Event.KEY_GENERATION, Event.KEY_DELETE, Event.KEY_IMPORT, Event.KEY_DERIVE,
                      Event.KEY_ATTRIBUTES_CHANGED})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Result:
    """``outcome``: ``right`` or how the error is called. ``troubles``: kind → what must not be."""

    operation: Operation
    mishap: Mishap
    moment: str
    outcome: str
    troubles: dict[str, str]
    seconds: float

    def lines(self) -> list[str]:
        return [
            f"{self.operation}, {self.mishap.name} {self.moment}: {kind}: {text}"
            for kind, text in self.troubles.items()
        ]


class Worker:
    """A thread in which calls are made, so that one that hangs is left behind."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            what, done, box = call
            try:
                box.append((what(), None))
            except BaseException as error:
                box.append((None, error))
            done.set()

    def call(self, what: Callable[[], T], limit: float) -> tuple[T | None, BaseException | None]:
        """Result and error; ``TimeoutError`` where there was neither in time."""
        done, box = threading.Event(), list[Any]()
        self._calls.put((what, done, box))
        if not done.wait(limit):
            raise TimeoutError(f"nothing within {limit:g} s")
        return box[0][0], box[0][1]

    def close(self) -> None:
        self._calls.put(None)


def tried(
    world: World,
    operation: Operation,
    mishap: Mishap,
    moment: str,
    usual: Counter[int],
    *,
    limit: float = LIMIT,
) -> Result | None:
    """``None`` where the operation has no such moment. ``usual``: its entries without a mishap."""
    worker = Worker()
    try:
        return _tried(world, operation, mishap, moment, usual, worker, limit)
    finally:
        world.disarm()
        worker.close()


def _tried(
    world: World, operation: Operation, mishap: Mishap, moment: str, usual: Counter[int], worker: Worker,
    limit: float,
) -> Result | None:  # fmt: skip
    number, held = MOMENTS[moment]
    world.restore()
    troubles: dict[str, str] = {}
    before = time.monotonic()
    with operation.opened(world) as user:

        def mustered(what: Callable[[], T]) -> T:
            result, error = worker.call(what, 3 * limit)
            if error is not None:
                raise error
            return result  # type: ignore[return-value]

        if held and operation.warm is None:
            mustered(lambda: _warm(operation, user, world))
        given = mustered(lambda: operation.prepare(world, user))
        if held and operation.warm is not None:
            mustered(lambda: operation.warm(user, world))  # type: ignore[misc]
        kids, entries = world.kids(), world.entries()
        was_made = operation.made is not None and operation.made(world, given)
        world.arm(mishap, number)
        before = time.monotonic()
        try:
            result, error = worker.call(lambda: operation.do(user, world, given), limit)
        except TimeoutError as hung:
            world.cure()
            return Result(operation, mishap, moment, "hung", {"hang": str(hung)}, limit)
        seconds = time.monotonic() - before
        world.disarm()
        if not world.struck:
            return None
        asked = world.asked()
        its_made = (
            error is not None and mishap.strikes_requests and operation.made is not None
            and operation.made(world, given)
        )  # fmt: skip
        right = error is not None or (operation.early and operation.true(result, world, given))
        world.cure()
        change = _changed(kids, world.kids())
        logged = world.entries() - entries
        outcome = "right"
        if error is not None:
            name = operation.name_of(error)
            outcome = name or type(error).__name__
            if name is None:
                troubles["foreign exception"] = f"{type(error).__name__}: {error}"
        elif not operation.early:
            right = mustered(lambda: operation.true(result, world, given))
        if not right:
            outcome, troubles["wrong answer"] = "wrong", f"{result!r:.200}"
        _judge_keys(operation, change, error, troubles)
        _judge_entries(operation, logged, asked, usual, error, troubles)
        if its_made and not was_made and not may_be_made(error):
            troubles["made, told as not made"] = outcome
        _recover(operation, user, world, worker, limit, troubles)
    return Result(operation, mishap, moment, outcome, troubles, seconds)


def _warm(operation: Operation, user: Any, world: World) -> None:
    given = operation.prepare(world, user)
    assert operation.true(operation.do(user, world, given), world, given), (
        f"{operation}: wrong without a mishap"
    )


def _changed(before: Counter[str], after: Counter[str]) -> tuple[int, int]:
    """Keys more and keys fewer."""
    return (after - before).total(), (before - after).total()


def _judge_keys(
    operation: Operation, change: tuple[int, int], error: BaseException | None, troubles: dict[str, str]
) -> None:
    if operation.layer == _DEVICE:
        return
    whole = (max(operation.change, 0), max(-operation.change, 0))
    allowed = {whole} if error is None else {(0, 0)} | ({whole} if may_be_made(error) else set())
    if change in allowed:
        return
    told = "done" if error is None else type(error).__name__
    kind = "keys lost" if change[1] > whole[1] or (error and change[1]) else "keys doubled"
    troubles[kind] = f"{change[0]} more, {change[1]} fewer, told: {told}: {error}"


def _judge_entries(
    operation: Operation,
    logged: Counter[int],
    asked: Counter[int],
    usual: Counter[int],
    error: BaseException | None,
    troubles: dict[str, str],
) -> None:
    """No entry without a request; every call that is told as done has its entries; what is told as not made
    has none."""
    if operation.layer == _DEVICE:
        return
    more = {Event(each).name for each in _WORK if logged[each] > asked[each]}
    if more:
        troubles["entries unexplained"] = f"more than were asked for: {', '.join(sorted(more))}"
    fewer = {Event(each).name for each in _WORK if logged[each] < usual[each]} if error is None else set()
    if fewer:
        troubles["entries unexplained"] = f"told as done, and not in the log: {', '.join(sorted(fewer))}"
    if error is not None and not may_be_made(error):
        made = {Event(each).name for each in _CHANGES if logged[each]}
        if made:
            troubles["entries unexplained"] = f"told as not made, and in the log: {', '.join(sorted(made))}"


def _recover(
    operation: Operation, user: Any, world: World, worker: Worker, limit: float, troubles: dict[str, str]
) -> None:
    """The same client does the same again, and is right."""

    def again() -> bool:
        if operation.again is not None:
            return operation.again(user, world)
        given = operation.prepare(world, user)
        return operation.true(operation.do(user, world, given), world, given)

    try:
        right, error = worker.call(again, limit)
    except TimeoutError as hung:
        troubles["hang"] = f"afterwards: {hung}"
        return
    if error is not None or not right:
        troubles["not well afterwards"] = f"{type(error).__name__}: {error}" if error else "wrong"


def usual_of(world: World, operation: Operation) -> tuple[Counter[int], int]:
    """The entries of the log that an operation leaves when nothing happens to it, and the number of its
    requests."""
    world.restore()
    with operation.opened(world) as user:
        given = operation.prepare(world, user)
        before = world.entries()
        world.rig.requests.clear()
        result = operation.do(user, world, given)
        requests = [each for each in world.rig.requests if not each.startswith("CLOUD")]
        after = world.entries()
        assert operation.true(result, world, given), f"{operation}: wrong without a mishap"
    return after - before, len(requests)
