"""What an agent saves and what it takes: commands with one and without, signatures, many clients, memory,
its start."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import hem_provider
from benchmarks.agentlab import LabAgent, served_ssh
from benchmarks.commands import SCRIPT, run_command
from benchmarks.crowd import crowd_of_processes, processes
from benchmarks.laboratory import GROWN, Fact, Laboratory, watch
from benchmarks.memory import growth
from benchmarks.startup import BARE_PYTHON, compile_packages
from hem_provider.cli.built import module_path
from hem_provider.cli.openssl_files import configuration, engine_path
from hem_provider.device.hem import Hem
from hem_provider.measuring.cases import MESSAGE
from hem_provider.measuring.figures import Figure, figures_of
from hem_provider.measuring.measure import FLOOR, Case, Result, interleave
from hem_provider.measuring.subject import Subject

__all__ = ["AGENT", "BY_MANY", "MEMORY", "AgentCommands", "measure_agent"]

AGENT = "agent"
#: The layers of a command, and of a signature in this process.
_THROUGH, _WITHOUT, _KEPT = "through the agent", "without it", "connection kept"
_SIGN = "sign SECP256R1"
BY_MANY = f"{_SIGN} by many"
MEMORY = "memory of the agent, after its signatures"
_ID = "11"
_CROWDS = (1, 16)


class AgentCommands:
    """Commands on one device with latency profile ``latency`` and a P-256 key, in their second run."""

    def __init__(self, folder: Path, latency: str) -> None:
        self._folder = folder
        self._lab = Laboratory(folder, latency=latency)
        self._latency = latency

    def measure(self, rounds: int) -> list[Figure]:
        """Each command with an agent and without. On a device that answers at once the floor is the command
        without; on a slow one it is one bare call, measured beside them."""
        compile_packages()
        at_once = self._latency == "none"
        group = AGENT if at_once else f"{AGENT} {self._latency}"
        with ExitStack() as stack:
            lab = stack.enter_context(self._lab)
            hem = stack.enter_context(lab.connect())
            hem.keys.create("SECP256R1", label="web", usage={"sign"}, application_id=bytes.fromhex(_ID))
            subject = stack.enter_context(Subject(hem, lab.bare(), ("SECP256R1",)))
            agent = stack.enter_context(LabAgent(lab))
            self._prepare(agent)
            login = stack.enter_context(served_ssh(self._folder / "sshd", self._folder / "web.pub"))
            cases = [*self._cases(agent), *self._ssh_cases(agent, login)]
            bare = subject.bare_use(
                subject.keys["SECP256R1"], "exdsa/sign", msg=MESSAGE, alg="SHA256WithECDSA"
            )
            if not at_once and bare is not None:
                cases.insert(0, Case("one call", FLOOR, bare))
            results = interleave(cases, rounds, lab.count, warm_up=1, watch=watch(group))
        if at_once:
            return figures_of(group, results, _WITHOUT)
        figures = figures_of(group, results)
        return [each.compared(figures[0].median) for each in figures]

    def _prepare(self, agent: LabAgent) -> None:
        (self._folder / "data").write_bytes(b"a message to sign")
        (self._folder / "openssl.cnf").write_text(configuration(engine_path()))
        environment = self._environment(None, "preparing")
        hem = Path(sys.executable).with_name("hem")
        run_command([hem, "keyring", "init", "--label", "vault"], environment)
        program = "import keyring; keyring.set_password('mail', 'ada', 'secret')"
        run_command([sys.executable, "-c", program], environment)
        environment = self._environment(agent, "preparing")
        public = run_command([hem, "ssh", "keys", "web"], environment)
        (self._folder / "web.pub").write_text(public)

    def _cases(self, agent: LabAgent) -> Iterator[Case]:
        tool: list[str | Path] = ["pkcs11-tool", "--module", module_path()]
        pin: list[str | Path] = ["--login", "--pin", self._lab.passphrase]
        data, out = self._folder / "data", self._folder / "signature"
        signing: list[str | Path] = ["--sign", "-m", "ECDSA-SHA256", "--id", _ID, "-i", data, "-o", out]
        engine: list[str | Path] = ["openssl", "dgst", "-sha256", "-engine", "hem", "-keyform", "engine"]
        engine += ["-sign", "pkcs11:object=web", "-out", out, data]
        keyring = Path(sys.executable).with_name("keyring")
        # With an agent nobody gives a PIN.
        yield from self._both(agent, "pkcs11-tool --sign --id", [*tool, *signing], [*tool, *pin, *signing])
        yield from self._both(agent, "pkcs11-tool -O", [*tool, "-O"])
        yield from self._both(agent, "pkcs11-tool -L", [*tool, "-L"])
        yield from self._both(agent, "openssl dgst -engine hem", engine)
        yield from self._both(agent, "keyring get", [keyring, "get", "mail", "ada"])
        yield from self._both(agent, "python: connect, find, sign", [sys.executable, "-c", SCRIPT])

    def _both(
        self,
        agent: LabAgent,
        name: str,
        command: Sequence[str | Path],
        without: Sequence[str | Path] | None = None,
    ) -> Iterator[Case]:
        place = name.replace(" ", "-").replace(":", "")
        alone = self._environment(None, place)
        yield Case(name, _WITHOUT, lambda: run_command(without or command, alone))
        yield _second(name, command, self._environment(agent, f"{place}-agent"))

    def _ssh_cases(self, agent: LabAgent, login: Sequence[str | Path] | None) -> Iterator[Case]:
        """What there is with an agent alone."""
        environment = self._environment(agent, "ssh")
        data, signature = self._folder / "data", self._folder / "data.sig"
        command: list[str | Path] = ["ssh-keygen", "-Y", "sign", "-f", self._folder / "web.pub"]

        def sign() -> None:
            signature.unlink(missing_ok=True)
            run_command([*command, "-n", "file", data], environment)

        yield Case("ssh-keygen -Y sign", _THROUGH, sign)
        if login is not None:
            yield _second("ssh", login, environment)

    def _environment(self, agent: LabAgent | None, cache: str) -> dict[str, str]:
        place = self._folder / "caches" / cache
        environment = {
            "OPENSSL_CONF": str(self._folder / "openssl.cnf"),
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHON_KEYRING_BACKEND": "hem_provider.adapters.keyring.HemKeyring",
            "XDG_DATA_HOME": str(self._folder / "data-home"),
        }
        if agent is not None:
            return agent.environment(place) | environment
        secret = {"HEM_PASSPHRASE_FILE": str(self._lab.emulator.passphrase_file)}
        return self._lab.environment(place) | environment | secret


def _second(name: str, command: Sequence[str | Path], environment: Mapping[str, str]) -> Case:
    """Through the agent, just after the same command: what an agent remembers it remembers for 30 s."""

    def run() -> None:
        run_command(command, environment)

    return Case(name, _THROUGH, run, prepare=run)


def measure_agent(folder: Path, rounds: int, facts: list[Fact]) -> Iterator[list[Figure]]:
    """Signatures of this process, of many processes, and how the agent starts; adds what it takes of memory
    in 1000 signatures a round, and by how much a signature is slower, to ``facts``."""
    with ExitStack() as stack:
        lab = stack.enter_context(Laboratory(folder / "kept", keep_alive=True))
        own = stack.enter_context(lab.connect())
        agent = stack.enter_context(LabAgent(lab))
        kid = own.keys.create("SECP256R1", label="web", usage={"sign"}).kid
        other = stack.enter_context(hem_provider.connect(f"unix:{agent.socket}#{lab.name}"))
        figures = _signatures(lab, {_KEPT: own, _THROUGH: other}, kid, rounds)
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
