"""Servers that are killed while several clients are in the middle of their calls: the agent, and the emulated
device itself. What counts is what is on the device: each key that a client was told of exactly once, and each
that it was not told of at most once."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import socket
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.passphrases import PASSPHRASE

from campaign.device_subjects import copy_state
from campaign.tally import Tally
from hem_provider.agent.calls import AgentCalls
from hem_provider.agent.options import Options
from hem_provider.agent.rights import Right
from hem_provider.device import connect
from hem_provider.emulator import EmulatedDevice
from hem_provider.emulator.server import EmulatorServer, Ports
from hem_provider.errors import HemConnectionError, HemError, HemLoginRequired

__all__ = ["kill_agents", "kill_emulators"]

CLIENTS = 3
#: Kills after which the device is a new one, for it not to become full.
_LIFE = 40
#: How many of all are killed while they start.
_YOUNG = 0.25
#: Seconds for a server to be ready again, and for what a killed one has kept busy.
_PATIENCE = 30.0


#: Nobody is there; the answer did not come; and no other login than that of an agent that was.
_OF_A_DEAD_SERVER = (HemConnectionError, HemLoginRequired)


class _Crowd:
    """Clients in threads of a process of their own, each making keys and taking some away, until their server
    fails them. This process has one thread: one that had ended just now might hold a lock of OpenSSL, which a
    child would wait for in vain."""

    def __init__(self, connected: Callable[[], Any], chance: random.Random) -> None:
        self.made: dict[str, bool] = {}  #: label → whether it was acknowledged
        self.gone: dict[str, bool] = {}
        self.calls = 0
        self.strange: list[str] = []  #: errors that a dead server does not explain
        seeds = [chance.getrandbits(40) for _ in range(CLIENTS)]
        self._told, told = os.pipe()
        stopping, self._stop = os.pipe()
        self._process = os.fork()
        if self._process == 0:
            try:
                os.close(self._stop)
                self._live(connected, seeds, stopping, told)
            finally:
                os._exit(0)
        os.close(told)
        os.close(stopping)

    def _live(self, connected: Callable[[], Any], seeds: list[int], stopping: int, told: int) -> None:
        self._ended = False
        threads = [threading.Thread(target=self._work, args=(connected, each), daemon=True) for each in seeds]
        for each in threads:
            each.start()
        os.read(stopping, 1)
        self._ended = True
        ends = time.monotonic() + _PATIENCE
        for each in threads:
            each.join(max(0.0, ends - time.monotonic()))
        hanging = any(each.is_alive() for each in threads)
        found = {"made": self.made, "gone": self.gone, "calls": self.calls, "strange": self.strange}
        with os.fdopen(told, "w") as pipe:
            json.dump({**found, "hanging": hanging}, pipe)

    def _work(self, connected: Callable[[], Any], seed: int) -> None:
        try:
            with connected() as hem:
                self._make(hem, seed)
        except _OF_A_DEAD_SERVER:
            pass
        except Exception as error:
            self.strange.append(f"{type(error).__name__}: {error}")

    def _make(self, hem: Any, seed: int) -> None:
        number = 0
        while not self._ended:
            label = f"{seed:x}-{number}"
            number += 1
            self.made[label] = False
            key = hem.keys.create("AES128", label=label)
            self.made[label] = True
            self.calls += 1
            if number % 2:
                self.gone[label] = False
                hem.keys.delete(key)
                self.gone[label] = True
                self.calls += 1

    def join(self) -> bool:
        """Whether all have ended in time; what they have done is known then."""
        os.write(self._stop, b"s")  # closing is not enough: a server that was forked meanwhile has it too
        os.close(self._stop)
        with os.fdopen(self._told) as pipe:
            found = json.load(pipe)
        os.waitpid(self._process, 0)
        self.made, self.gone, self.calls = found["made"], found["gone"], found["calls"]
        self.strange = found["strange"]
        return not found["hanging"]


def _hold_against(tally: Tally, crowd: _Crowd, labels: list[str]) -> None:
    tally.acknowledged += crowd.calls
    for words in crowd.strange:
        tally.failures.append(f"{tally.name}: {tally.kills}: {words}")
    for label, told in crowd.made.items():
        count = labels.count(label)
        if count > 1:
            tally.tell("doubled", f"{label} was made {count} times")
        deleted = crowd.gone.get(label)
        if deleted and count:
            tally.tell("lost", f"{label} was deleted, and is there")
        if deleted is None and told and not count:
            tally.tell("lost", f"{label} was made, and is not there")
        tally.in_flight += not told and count == 1


def _labels(state: Path) -> list[str]:
    with EmulatedDevice(state) as device, device.model.transaction():
        repository = device.model.repository
        return [each.label for each in repository.read(repository.slots())]


def _forked(serve: Callable[[Callable[[], None]], None], log: Path) -> tuple[int, float]:
    """A child that serves, once it says that it is ready; its process id, and how long that took."""
    began = time.monotonic()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reader)
            output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(output, 1)
            os.dup2(output, 2)
            serve(lambda: os.write(writer, b"r") and None)
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    try:
        if os.read(reader, 1) != b"r":
            os.waitpid(child, 0)
            raise RuntimeError(f"a server did not start: {log.read_text()[-500:]}")
    finally:
        os.close(reader)
    return child, time.monotonic() - began


def _stillborn(serve: Callable[[Callable[[], None]], None], log: Path, seconds: float) -> None:
    """One that is killed while it starts."""
    child = os.fork()
    if child == 0:
        try:
            output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(output, 1)
            os.dup2(output, 2)
            serve(lambda: None)
        finally:
            os._exit(1)
    time.sleep(seconds)
    _kill(child)


def _let_an_hour_pass(folder: Path) -> int:
    found = [*folder.rglob("*.tmp")]
    for each in found:
        os.utime(each, (time.time() - 3700,) * 2)
    return len(found)


def _kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


def _free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def kill_emulators(template: Path, kills: int, chance: random.Random, folder: Path) -> Tally:
    """The emulated device behind TLS, killed and started anew on the same ports at once, while clients make
    and delete keys over it."""
    tally = Tally("emulator, served", "3 clients over TLS: create, delete", bound=10.0)
    folder.mkdir(mode=0o700)
    state = copy_state(template, folder / "device.hem")
    ports = Ports(*_free_ports(3))

    def serve(ready: Callable[[], None]) -> None:
        server = EmulatorServer(EmulatedDevice(state), ports=ports)
        server.start()
        ready()
        while True:
            signal.pause()

    process, _ = _forked(serve, folder / "log")
    url, authority = f"https://127.0.0.1:{ports.https}", f"{state}.ca.pem"

    def connected() -> Any:
        return connect(
            url, passphrase=PASSPHRASE, ca_file=authority, cloud_url=f"https://127.0.0.1:{ports.cloud}",
            cloud_ca_file=authority, agent="never", timeout=10, connect_timeout=5,
        )  # fmt: skip

    try:
        for round_ in itertools.count():
            if tally.kills >= kills or len(tally.failures) >= 20:
                break
            crowd = _Crowd(connected, chance)
            time.sleep(chance.uniform(0.05, 0.8))
            _kill(process)
            tally.kills += 1
            if chance.random() < _YOUNG:
                _stillborn(serve, folder / "log", chance.uniform(0, 0.06))
                tally.kills += 1
                tally.temporary += _let_an_hour_pass(folder)
            began = time.monotonic()
            process, _ = _forked(serve, folder / "log")
            time.sleep(chance.uniform(0, 0.1))
            if not crowd.join():
                tally.failures.append(f"{tally.name}: {tally.kills}: a client hangs")
                break
            if not _next(tally, connected, began):
                break
            _hold_against(tally, crowd, _labels(state))
            for each in sorted(folder.iterdir()):
                if each.name not in _OF_EMULATOR:
                    tally.tell("left_over", f"{each.name} is left over")
            if round_ % _LIFE == _LIFE - 1:
                _kill(process)
                copy_state(template, state)
                process, _ = _forked(serve, folder / "log")
    finally:
        _kill(process)
    return tally


_OF_EMULATOR = {"device.hem", "device.hem-wal", "device.hem-shm", "device.hem.ca.pem", "log"}


def _next(tally: Tally, connected: Callable[[], Any], began: float) -> bool:
    """Whether the next client gets what it asks for; how long that takes, from the start of the server on."""
    try:
        with connected() as hem:
            hem.keys.delete(hem.keys.create("AES128", label="next"))
    except HemError as error:
        tally.failures.append(f"{tally.name}: {tally.kills}: the next client fails: {error}")
        return False
    waited = time.monotonic() - began
    tally.wait = max(tally.wait, waited)
    if waited > tally.bound:
        tally.failures.append(f"{tally.name}: {tally.kills}: the next client waited {waited:.1f} s")
    return True


def kill_agents(template: Path, kills: int, chance: random.Random, folder: Path) -> Tally:
    """The agent, with clients making and deleting keys by its login; then another takes its place."""
    tally = Tally("agent", "3 clients by its socket: create, delete", bound=10.0)
    folder.mkdir(mode=0o700)
    run = folder / "run"
    run.mkdir(mode=0o700)
    state = copy_state(template, folder / "device.hem")
    ports = Ports(*_free_ports(3))

    def serve_device(ready: Callable[[], None]) -> None:
        server = EmulatorServer(EmulatedDevice(state), ports=ports)
        server.start()
        ready()
        while True:
            signal.pause()

    url, authority = f"https://127.0.0.1:{ports.https}", f"{state}.ca.pem"
    config = folder / "config.toml"
    config.touch(mode=0o600)
    config.write_text(
        f'[[device]]\nname = "k"\nurl = "{url}"\nca_file = "{authority}"\n'
        f'cloud_url = "https://127.0.0.1:{ports.cloud}"\ncloud_ca_file = "{authority}"\ntimeout = 10\n'
    )
    os.environ["HEM_CONFIG"] = str(config)
    os.environ["XDG_RUNTIME_DIR"] = str(run)

    def serve_agent(ready: Callable[[], None]) -> None:
        from hem_provider.agent.daemon import run

        options = Options(allowed=frozenset(Right), idle=0)
        run(options, lambda _: ready())

    device, _ = _forked(serve_device, folder / "device.log")
    agent = 0
    try:
        for round_ in itertools.count():
            if tally.kills >= kills or len(tally.failures) >= 20:
                break
            if chance.random() < _YOUNG:
                _stillborn(serve_agent, folder / "agent.log", chance.uniform(0, 0.06))
                tally.kills += 1
            began = time.monotonic()
            agent, _ = _forked(serve_agent, folder / "agent.log")
            if not _next(tally, _unlocked, began):
                break
            _look_over(tally, run)
            crowd = _Crowd(_by_agent, chance)
            time.sleep(chance.uniform(0.05, 0.6))
            _kill(agent)
            agent = 0
            tally.kills += 1
            if not crowd.join():
                tally.failures.append(f"{tally.name}: {tally.kills}: a client hangs")
                break
            _hold_against(tally, crowd, _labels(state))
            if round_ % _LIFE == _LIFE - 1:
                _kill(device)
                copy_state(template, state)
                device, _ = _forked(serve_device, folder / "device.log")
    finally:
        for each in filter(None, (agent, device)):
            _kill(each)
    return tally


def _unlocked() -> Any:
    AgentCalls().unlock("k", PASSPHRASE)
    return _by_agent()


def _by_agent() -> Any:
    return connect(name="k")


def _look_over(tally: Tally, run: Path) -> None:
    """What is in the runtime folder behind a start, and for whom."""
    for each in sorted((run / "hem").iterdir()):
        seen = each.lstat()
        if each.name not in _OF_AGENT and not each.name.endswith(".line"):
            tally.tell("left_over", f"{each.name} is left over")
        if seen.st_mode & 0o077:
            tally.tell("open_to_others", f"{each.name} ({stat.S_IMODE(seen.st_mode):o}) is open to others")


_OF_AGENT = {"agent.sock", "ssh-agent.sock", "agent.lock"}
