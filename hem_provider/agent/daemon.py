"""The agent itself: its sockets, its devices, and what ends or empties it.

To lock, it forgets what it knows and becomes itself anew by ``execve(2)`` with its sockets kept: Python and
the libraries below it copy secrets while they work, and this is the one way to leave nothing of them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from hem_provider._version import __version__
from hem_provider.agent.door import Door
from hem_provider.agent.http import HttpStream
from hem_provider.agent.listeners import KEPT, Listeners, open_listeners
from hem_provider.agent.memory import hide_process, raise_open_files
from hem_provider.agent.options import Options
from hem_provider.agent.rights import Right
from hem_provider.agent.service import Service
from hem_provider.agent.signals import ENDING, hold_back, let_through
from hem_provider.agent.sleep import SleptClock, watch_logind
from hem_provider.agent.ssh.askpass import AskPass
from hem_provider.agent.ssh.doors import DoorKeys
from hem_provider.agent.ssh.peers import SshPeer
from hem_provider.agent.ssh.protocol import SshAgent
from hem_provider.agent.ssh.stream import SshStream
from hem_provider.agent.streams import Doorkeeper
from hem_provider.config import DeviceConfig, load_config
from hem_provider.config.agentplace import SOCKET_VARIABLE
from hem_provider.config.login_source import LoginSource, login_source
from hem_provider.errors import HemConfigError

__all__ = ["run"]

_log = logging.getLogger("hem_provider.agent")

#: Tells the agent that starts anew that it was locked, and why; "for good" begins the text where it was
#: asked for.
_LOCKED = "HEM_AGENT_LOCKED"
_FOR_GOOD = "for good: "
#: Tells it that ``ssh-add -x`` locked it: the salt and hash of the passphrase.
_SSH_LOCKED = "HEM_AGENT_SSH_LOCKED"
#: Seconds that requests under way get when the agent is locked or stopped.
_PATIENCE = 5.0
#: Seconds for a signal to reach who handles it.
_HEARING = 0.01
#: Seconds for threads to end, after the end of all else.
_FAREWELL = 1.0
#: Seconds between two tries to unlock from the configured source.
_BETWEEN_TRIES = 10.0


def run(options: Options, ready: Callable[[Mapping[str, Any]], None]) -> int:
    """Serve until told to stop; the exit status. ``ready`` is called once, when the sockets listen.

    ``HemConfigError`` when there is no device to serve, another agent runs, or no folder is safe.
    """
    hidden = hide_process()
    raise_open_files()
    devices = _devices(options)
    listeners = open_listeners(os.environ, ssh=options.ssh)
    os.environ.pop(KEPT, None)  # for this process alone
    os.environ[SOCKET_VARIABLE] = listeners.rest_path  # for the processes that unlock it
    agent = _Agent(options, devices, listeners, hidden=hidden)
    anew = asyncio.run(agent.serve(ready))
    if anew is not None:
        _become_anew(options, listeners, anew, agent.ssh.kept)
    listeners.close(for_one_command=options.until_closed is not None)
    _leave_threads()
    return 0


def _devices(options: Options) -> tuple[DeviceConfig, ...]:
    config = load_config()
    devices = tuple(config.device(name) for name in options.devices) or config.devices
    served = tuple(each for each in devices if each.url.startswith("https:"))
    if not served:
        config.device(options.devices[0] if options.devices else None)  # says what is missing
        raise HemConfigError("no device with an https:// URL is configured; the agent serves no others")
    return served


def _become_anew(options: Options, listeners: Listeners, reason: str, ssh_lock: str) -> None:
    environment = {**os.environ, **listeners.keep(), _LOCKED: reason, _SSH_LOCKED: ssh_lock}
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        environment.pop(name, None)
    if options.until_closed is not None:
        os.set_inheritable(options.until_closed, True)
    arguments = [sys.executable, "-m", "hem_provider.agent", *options.arguments()]
    os.execve(sys.executable, arguments, environment)  # noqa: S606 - ourselves


def _leave_threads() -> None:
    """End without those that wait for a device that does not answer: nobody waits for them any more."""
    ends = time.monotonic() + _FAREWELL
    others = [each for each in threading.enumerate() if each is not threading.current_thread()]
    for each in others:
        each.join(max(ends - time.monotonic(), 0))
    if any(each.is_alive() for each in others):
        logging.shutdown()
        os._exit(0)


class _Agent:
    """While it runs. ``hidden``: whether other processes are kept from its memory."""

    def __init__(
        self, options: Options, devices: tuple[DeviceConfig, ...], listeners: Listeners, *, hidden: bool
    ) -> None:
        self._options = options
        self._devices = devices
        self._listeners = listeners
        self._hidden = hidden
        self._since = time.time()
        self._slept = SleptClock()
        self._idle: asyncio.TimerHandle | None = None
        self._heard = time.monotonic()
        self._stopped = False

    async def serve(self, ready: Callable[[Mapping[str, Any]], None]) -> str | None:
        """Until the end: ``None`` when it was stopped, the reason when it is to start anew."""
        loop = self._loop = asyncio.get_running_loop()
        self._end: asyncio.Future[str | None] = loop.create_future()
        self._doors = {each.name: self._door(each) for each in self._devices}
        self._service = Service(
            self._doors,
            status=self.status,
            lock=self._lock_on_request,
            stop=self._stop,
            touched=self._touched,
            watched=self._look_for_sleep,
        )
        self.ssh = SshAgent(
            DoorKeys(self._doors, self._options.keys),
            confirm=AskPass(),
            prefix=self._options.ssh_prefix,
            confirm_all=self._options.ssh_confirm,
            lifetime=self._options.ssh_lifetime or None,
            kept=os.environ.pop(_SSH_LOCKED, ""),
        )
        self._lock_as_before()
        keepers = [
            Doorkeeper(
                self._listeners.rest,
                lambda connection, pid, gone: HttpStream(
                    connection, pid, gone, self._service.answer, self._service.answer_now
                ),
            )
        ]
        if self._listeners.ssh is not None:
            keepers.append(
                Doorkeeper(
                    self._listeners.ssh,
                    lambda connection, pid, gone: SshStream(connection, pid, gone, self._answer_ssh),
                )
            )
        for each in ENDING:
            loop.add_signal_handler(each, self._stop)
        let_through()
        if self._options.until_closed is not None:
            loop.add_reader(self._options.until_closed, self._stop)
        tasks = [loop.create_task(watch_logind(self._lock))]
        tasks += [loop.create_task(each.try_source()) for each in self._doors.values()]
        self._wait_for_idleness()
        ready(self.status())
        end = await self._end
        await asyncio.gather(*(each.close(_PATIENCE) for each in keepers))
        for door in self._doors.values():
            door.close()
        for task in tasks:
            task.cancel()
        hold_back()
        await asyncio.sleep(_HEARING)  # what came before that is heard
        return None if self._stopped else end

    async def _answer_ssh(self, message: bytes, peer: SshPeer) -> bytes:
        self._touched()
        return await self.ssh.answer(message, peer)

    def _door(self, config: DeviceConfig) -> Door:
        by_itself = login_source(config) in (LoginSource.FILE, LoginSource.COMMAND)
        return Door(config, self._options, self._unlock_door if by_itself else None, self._lock_if_empty)

    def _lock_as_before(self) -> None:
        reason = os.environ.pop(_LOCKED, None)
        if reason is not None:
            for_good = reason.startswith(_FOR_GOOD)
            for door in self._doors.values():
                door.lock(reason.removeprefix(_FOR_GOOD), for_good=for_good)

    async def _unlock_door(self, door: Door) -> None:
        """From the configured source, in a process of its own; tried again after a while at the earliest."""
        now = self._loop.time()
        if now - door.tried < _BETWEEN_TRIES:
            return
        door.tried = now
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "hem_provider.agent.unlock",
            door.name,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, told = await process.communicate()
        if process.returncode != 0 and not door.is_unlocked:
            door.reason = told.decode(errors="replace").strip().splitlines()[-1] if told else "it failed"
            _log.warning("%s: %s", door.name, door.reason)

    def _touched(self) -> None:
        self._heard = time.monotonic()
        self._look_for_sleep()

    def _look_for_sleep(self) -> None:
        if self._slept.slept():
            self._lock("the machine slept")

    def _wait_for_idleness(self) -> None:
        """One timer: at its end it looks when something was last heard, and waits for the rest."""
        idle = self._options.idle
        if idle:
            left = self._heard + idle - time.monotonic()
            if left <= 0:
                self._lock(f"idle for {idle:g} s")
                left = idle
            self._idle = self._loop.call_later(left, self._wait_for_idleness)

    def _lock(self, reason: str) -> None:
        """Forget; what the configuration can unlock is unlocked again when it is wanted."""
        if any(door.hem.logged_in or door.pins for door in self._doors.values()):
            self._finish(reason)

    def _lock_if_empty(self, reason: str) -> None:
        """Start anew where nothing is lost by it: what remains of a login in memory is worthless, but
        secret."""
        if not any(door.hem.logged_in or door.pins for door in self._doors.values()):
            self._finish(reason)

    def _lock_on_request(self, reason: str) -> None:
        self._finish(_FOR_GOOD + reason)

    def _stop(self) -> None:
        self._stopped = True  # also where it is about to start anew
        self._finish(None)

    def _finish(self, end: str | None) -> None:
        if self._service.stopping:
            return
        # From here on clients are told to go their own way, and nothing that is asked is done any more.
        self._service.stopping = True
        for door in self._doors.values():
            door.lock((end or "the agent is being stopped").removeprefix(_FOR_GOOD))
        self._end.set_result(end)

    def status(self) -> dict[str, Any]:
        """What ``hem agent status`` shows; no secrets."""
        options = self._options
        return {
            "version": __version__,
            "pid": os.getpid(),
            "since": int(self._since),
            "socket": self._listeners.rest_path,
            "ssh_socket": self._listeners.ssh_path,
            "allowed": [each.value for each in Right if each in options.allowed],
            "keys": list(options.keys),
            "idle": options.idle,
            "options": options.arguments(),
            "command": options.command(),
            "memory_hidden": self._hidden,
            "devices": [each.state() for each in self._doors.values()],
        }
