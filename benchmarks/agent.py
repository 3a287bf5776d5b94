"""What an agent takes: signatures, many clients, memory, its start. What it saves, the commands show."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import hem_provider
from benchmarks.agentlab import LabAgent
from benchmarks.commands import THROUGH, run_command
from benchmarks.crowd import crowd_of_processes, processes
from benchmarks.laboratory import GROWN, Fact, Laboratory, watch
from benchmarks.memory import growth
from benchmarks.startup import BARE_PYTHON, compile_packages
from hem_provider.device.hem import Hem
from hem_provider.measuring.cases import MESSAGE
from hem_provider.measuring.figures import Figure, figures_of
from hem_provider.measuring.measure import Case, Result, interleave

__all__ = ["AGENT", "BY_MANY", "MEMORY", "measure_agent"]

AGENT = "agent"
_KEPT = "connection kept"
_SIGN = "sign SECP256R1"
BY_MANY = f"{_SIGN} by many"
MEMORY = "memory of the agent, after its signatures"
_CROWDS = (1, 16)


def measure_agent(folder: Path, rounds: int, facts: list[Fact]) -> Iterator[list[Figure]]:
    """Signatures of this process, of many processes, and how the agent starts; adds what it takes of memory
    in 1000 signatures a round, and by how much a signature is slower, to ``facts``."""
    with ExitStack() as stack:
        lab = stack.enter_context(Laboratory(folder / "kept", keep_alive=True))
        own = stack.enter_context(lab.connect())
        agent = stack.enter_context(LabAgent(lab))
        kid = own.keys.create("SECP256R1", label="web", usage={"sign"}).kid
        other = stack.enter_context(hem_provider.connect(f"unix:{agent.socket}#{lab.name}"))
        figures = _signatures(lab, {_KEPT: own, THROUGH: other}, kid, rounds)
        yield figures
        kept, through = (each.median for each in figures)
        facts.append(Fact("a signature through the agent takes longer by", (through - kept) * 1e6, "µs"))
        yield _by_many(agent.environment(folder / "cache"), kid, rounds)
        facts += _memory(agent, lambda: other.sign(kid, MESSAGE, "SHA256WithECDSA"), 1000 * rounds)
    with Laboratory(folder / "start") as lab:
        yield _starts(lab, max(2, rounds // 4))


def _signatures(lab: Laboratory, ways: Mapping[str, Hem], kid: str, rounds: int) -> list[Figure]:
    """Settled as in ``benchmarks.operations``: the same once more, untimed, before each."""

    def case(layer: str, hem: Hem) -> Case:
        def sign() -> None:
            hem.sign(kid, MESSAGE, "SHA256WithECDSA")

        return Case(_SIGN, layer, sign, prepare=sign)

    cases = [case(layer, hem) for layer, hem in ways.items()]
    return figures_of(AGENT, interleave(cases, rounds, lab.count, watch=watch(_SIGN)), _KEPT)


def _by_many(environment: Mapping[str, str], kid: str, rounds: int) -> list[Figure]:
    """One process, and a crowd of which all want the device at once."""
    results = [
        Result(
            Case(BY_MANY, crowd_of_processes(crowd), lambda: None),
            processes(environment, kid, rounds * 4 if crowd == 1 else rounds, crowd),
            calls=1,
        )
        for crowd in _CROWDS
    ]
    return figures_of(AGENT, results, crowd_of_processes(1))


def _memory(agent: LabAgent, sign: Callable[[], object], times: int) -> Iterator[Fact]:
    what = f"{GROWN} {times:,} signatures by the agent"
    sizes = list(growth(sign, times, what, lambda: agent.resident))
    yield Fact(MEMORY, float(sizes[-1]), "KiB")
    yield Fact(what, float(sizes[-1] - sizes[0]), "KiB")


def _starts(lab: Laboratory, rounds: int) -> list[Figure]:
    """From its command until its sockets listen, beside bare Python."""
    compile_packages()
    agent, python = LabAgent(lab), [sys.executable, "-I", "-c", "pass"]
    cases = [
        Case("start", BARE_PYTHON, lambda: run_command(python, os.environ)),
        Case("start", "hem agent", agent.start, prepare=agent.stop),
    ]
    try:
        results = interleave(cases, rounds, lambda: (0, 0), watch=watch("start of the agent"))
    finally:
        agent.stop()
    return figures_of(AGENT, results, BARE_PYTHON)
