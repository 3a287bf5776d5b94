"""A day of a device in an hour: eight processes use it at once while all that happens in a day happens."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence

from campaign.outcome import Effort, Figure, Outcome, Series, Table
from campaign.soak.growth import CONNECTIONS, Sample, Watch, growth
from campaign.soak.stage import Stage, available
from campaign.soak.timetable import HAPPENINGS, Attempt, Event, Planned, judged, plan, play, read_attempts

__all__ = ["KINDS", "run", "soak"]

KINDS = ("nginx", "java", "python", "keyring", "ssh", "pkcs11-tool", "python-pkcs11", "openssl")
_TITLE = "A day of mixed load"
#: Seconds of the whole campaign, and of the device's world in that time: with a clock 8 % fast, 24 h of it.
_SECONDS, _DAY = 3600, 80_000
#: The longest that a device's time is pressed.
_FASTEST = 3600.0


def run(effort: Effort) -> Outcome:
    """An hour, in which the device's clock counts 24."""
    return soak(effort, KINDS, effort.times(_SECONDS, least=10))


def soak(
    effort: Effort,
    kinds: Sequence[str],
    seconds: float,
    *,
    planned: Planned | None = None,
    growing: bool = True,
) -> Outcome:
    """These workers for so long, with everything that happens unless ``planned`` says less. ``growing``:
    promise that nothing grows, which a few seconds cannot show."""
    outcome = Outcome("soak", _TITLE, _WHAT)
    found = list(available(kinds))
    outcome.failures += [f"not run: {each} (its programs are missing)" for each in kinds if each not in found]
    rate = min(_FASTEST, _DAY / seconds)
    with Stage(effort.folder, found, rate) as stage:
        stage.start()
        stage.workers_begin()
        with Watch(stage.processes, max(0.1, seconds / 240)) as watch:
            began = time.time()
            events = play(plan(seconds) if planned is None else planned, stage.happenings(), seconds)
            passed = time.time() - began
        outcome.failures += stage.end_workers()
        attempts = read_attempts(stage.logs)
        try:
            uses = stage.uses_in_the_log()
        except RuntimeError as error:
            uses = -1
            outcome.failures.append(f"the log: {error}")
    _tell_attempts(outcome, attempts, events)
    wanted = sum(each.uses for each in attempts if each.right)
    outcome.figures += [
        Figure("time of the device", round(passed * rate * 1.08 / 3600, 1), "h"),
        Figure("uses of keys in the verified log", uses, "", f"at least the {wanted} that were answered",
               kept=uses >= wanted > 0),
    ]  # fmt: skip
    _tell_growth(outcome, watch.longest(), promised=growing)
    outcome.series += [
        Series("soak-memory", "Resident memory", "minutes", "MiB", _memory(watch, began)),
        Series("soak-operations", "Operations a minute", "minutes", "operations", _pace(attempts, began)),
    ]
    return outcome


_WHAT = (
    "Eight kinds of processes use one device at once, over TLS, for an hour in which the device lives a day: "
    "its time is pressed, and its clock goes 8 % fast on top. Each result is verified by the process that "
    "got it (signatures by other software than made them). Meanwhile tokens expire, the device restarts, is "
    "unplugged, cut off, loses its clock, its cloud and connections, gets new certificates, the agent is "
    "restarted, and the log is collected. An error is explained when it meets an event for which the "
    "documents state it; all others count."
)


def _tell_attempts(outcome: Outcome, attempts: Sequence[Attempt], events: Sequence[Event]) -> None:
    verdicts = judged(attempts, events)
    wrong = [each for each in verdicts if each.error == "wrong"]
    unexplained = [each for each, event in verdicts.items() if event is None and each.error != "wrong"]
    outcome.failures += [
        f"{each.kind}: {each.error} at {_clock(each.began)}, for {each.ended - each.began:.1f} s: {each.text}"
        for each in (*wrong, *unexplained)
    ][:40]
    right = sum(each.right for each in attempts)
    outcome.figures += [
        Figure("operations", len(attempts)),
        Figure("of them right", right, "", "some", kept=right > 0),
        Figure("errors that an event explains", sum(event is not None for event in verdicts.values())),
        Figure("wrong results", len(wrong), "", "0", kept=not wrong),
        Figure("unexplained errors", len(unexplained), "", "0", kept=not unexplained),
    ]
    by_kind = Counter(each.kind for each in attempts)
    failed = Counter(each.kind for each in verdicts)
    slowest = {
        kind: max(each.ended - each.began for each in attempts if each.kind == kind) for kind in by_kind
    }
    rows = [
        (kind, str(by_kind[kind]), str(failed[kind]), f"{slowest[kind]:.1f} s") for kind in sorted(by_kind)
    ]
    outcome.tables.append(Table("By process", ("process", "operations", "errors", "longest"), rows))
    happened = Counter(event.name for event in events)
    explained = Counter(event.name for event in verdicts.values() if event is not None)
    outcome.tables.append(
        Table(
            "By event", ("event", "times", "errors in it", "what the documents allow"),
            [(name, str(happened[name]), str(explained[name]), HAPPENINGS[name].because)
             for name in HAPPENINGS if happened[name]],
        )
    )  # fmt: skip


def _clock(when: float) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(when)) + f".{int(when % 1 * 10)}"


def _tell_growth(outcome: Outcome, samples: Mapping[str, Sequence[Sample]], *, promised: bool) -> None:
    for name, taken in sorted(samples.items()):
        found = growth(taken)
        if found is None:
            continue
        ours = name != "emulator" and promised
        outcome.figures += [
            Figure(f"growth of {name}", round(found.memory / 1024, 2), "MiB",
                   f"at most {found.bound / 1024:.1f} MiB" if ours else "",
                   kept=found.memory <= found.bound if ours else None),
            Figure(f"more descriptors of {name}", found.descriptors, "",
                   f"at most {CONNECTIONS}" if ours else "",
                   kept=found.descriptors <= CONNECTIONS if ours else None),
        ]  # fmt: skip


def _memory(watch: Watch, began: float) -> dict[str, list[tuple[float, float]]]:
    lines: dict[str, list[tuple[float, float]]] = {}
    for (name, _), samples in sorted(watch.samples.items(), key=lambda each: (each[0][0], each[1][0].when)):
        points = [(round((each.when - began) / 60, 2), round(each.resident / 1024, 2)) for each in samples]
        lines.setdefault(name, []).extend(points[:: max(1, len(points) // 120)])
    return lines


def _pace(attempts: Sequence[Attempt], began: float) -> dict[str, list[tuple[float, float]]]:
    minutes: dict[str, Counter[int]] = {}
    for each in attempts:
        if each.right and each.began >= began:
            minutes.setdefault(each.kind, Counter())[int((each.began - began) // 60)] += 1
    # The last one is not whole, and would show a fall that there was not.
    whole = int((max((each.ended for each in attempts), default=began) - began) // 60)
    return {kind: [(n, counts[n]) for n in range(max(1, whole))] for kind, counts in sorted(minutes.items())}
