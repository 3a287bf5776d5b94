"""What the subcommands of ``hem agent`` do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hem_provider.cli.exports import exported
from hem_provider.cli.shape import Given
from hem_provider.cli.statuses import DONE, NOT_REACHED, status_of
from hem_provider.cli.stopping import signalled
from hem_provider.cli.wording import counted
from hem_provider.config import device_from_url
from hem_provider.config.agentplace import SOCKET_VARIABLE
from hem_provider.config.login_source import ask_passphrase, can_ask, read_passphrase
from hem_provider.errors import HemAuthenticationError, HemConfigError, HemError, HemTimeout, HemUnreachable
from hem_provider.waiting import CLOCK

__all__ = ["env", "lock", "run", "start", "status", "stop", "units", "unlock"]

#: Seconds between two looks at an agent that unlocks itself, and for how long.
_LOOK, _PATIENCE = 0.05, 30.0
_SSH = "SSH_AUTH_SOCK"


def start(arguments: Given) -> int:
    """``hem agent start``."""
    from hem_provider.agent.options import options_from
    from hem_provider.agent.start import start_agent

    options = options_from(arguments)
    if arguments.foreground:
        from hem_provider.agent.__main__ import serve

        return serve(options)
    running = _running()
    if running is not None:
        if running["options"] != options.arguments():
            raise HemConfigError(
                f"an agent runs already (process {running['pid']}) with other options "
                f"({running['command']}): hem agent stop"
            )
        print(f"The agent runs already (process {running['pid']}).", file=sys.stderr)
    else:
        _, running = start_agent(options, os.environ)
        print(f"The agent runs (process {running['pid']}); its socket: {running['socket']}", file=sys.stderr)
    return 0 if arguments.locked else _unlock_all(running["devices"])


def stop(_: Given) -> int:
    """``hem agent stop``."""
    from hem_provider.agent.calls import AgentCalls

    AgentCalls().stop()
    if all(_running() is not None for _look in CLOCK.looks(_PATIENCE, _LOOK)):
        raise HemTimeout(f"the agent still runs after {_PATIENCE:g} s: hem agent status")
    print("The agent is stopped.", file=sys.stderr)
    return 0


def lock(_: Given) -> int:
    """``hem agent lock``."""
    from hem_provider.agent.calls import AgentCalls

    AgentCalls().lock()
    print("The agent is locked; to go on: hem agent unlock", file=sys.stderr)
    return 0


def unlock(arguments: Given) -> int:
    """``hem agent unlock``."""
    from hem_provider.agent.calls import AgentCalls

    devices = AgentCalls().status()["devices"]
    if arguments.device is not None:
        devices = [each for each in devices if each["name"] == arguments.device]
        if not devices:
            raise HemConfigError(f"the agent serves no device {arguments.device!r}: hem agent status")
    return _unlock_all(devices, kdf=arguments.kdf)


def status(arguments: Given) -> int:
    """``hem agent status``."""
    from hem_provider.agent.calls import AgentCalls

    try:
        told = AgentCalls().status()
    except HemUnreachable as error:
        if arguments.json:
            print(json.dumps({"running": False, "message": str(error)}))
            return NOT_REACHED
        raise
    if arguments.json:
        print(json.dumps({"running": True, **told}, indent=2, ensure_ascii=False))
        return 0
    for line in _described(told):
        print(line)
    return 0


def env(arguments: Given) -> int:
    """``hem agent env``."""
    from hem_provider.agent.calls import AgentCalls

    told = AgentCalls().status()
    for line in exported(_environment(told["socket"], told["ssh_socket"]), arguments.shell):
        print(line)
    return 0


def units(arguments: Given) -> int:
    """``hem agent units``."""
    from hem_provider.cli.agent_units import unit_files
    from hem_provider.files import config_home, replace_file

    started = Path(sys.argv[0]).absolute()
    by_name = os.access(started, os.X_OK) and started.suffix != ".py"
    program = (str(started),) if by_name else (sys.executable, "-m", "hem_provider.cli.main")
    files = unit_files(*program)
    if arguments.directory == "-":
        for name, text in files.items():
            print(f"# {name}\n{text}")
        return 0
    home = config_home()
    if arguments.directory is None and home is None:
        raise HemConfigError("no home is known: give --directory")
    folder = Path(arguments.directory) if arguments.directory else Path(str(home), "systemd", "user")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        replace_file(folder / name, text.encode(), mode=0o644)
        print(folder / name)
    sockets = " ".join(name for name in files if name.endswith(".socket"))
    print(f"systemctl --user daemon-reload && systemctl --user enable --now {sockets}", file=sys.stderr)
    return 0


def run(arguments: Given) -> int:
    """``hem agent run``: the exit status of the command."""
    from hem_provider.agent.options import options_from
    from hem_provider.agent.start import start_agent
    from hem_provider.records import replace

    with tempfile.TemporaryDirectory(prefix="hem-agent-", ignore_cleanup_errors=True) as folder:
        os.environ[SOCKET_VARIABLE] = f"{folder}/agent.sock"
        # The agent ends with this process, however that ends.
        ends, kept = os.pipe()
        options = replace(options_from(arguments), until_closed=ends)
        agent, told = start_agent(options, os.environ, handles=(ends,))
        os.close(ends)
        try:
            problem = _unlock_all(told["devices"])
            if problem:
                return problem
            environment = {**os.environ, **_environment(told["socket"], told["ssh_socket"])}
            try:
                return _run_to_the_end(list(arguments.command), environment)
            except FileNotFoundError:
                raise HemConfigError(f"{arguments.command[0]}: there is no such program") from None
        finally:
            os.close(kept)
            agent.wait()


def _run_to_the_end(command: list[str], environment: dict[str, str]) -> int:
    """The command's exit status, as a shell gives it; what ends this process ends the command first."""
    handed_on = (signal.SIGTERM, signal.SIGHUP)
    # What the terminal says to end it, it says to the command as well.
    with signalled(signal.SIGCHLD, signal.SIGINT, *handed_on) as wait:
        process = subprocess.Popen(command, env=environment)
        while (status := process.poll()) is None:
            number = wait()
            if number in handed_on:
                process.send_signal(number)
    return status if status >= 0 else 128 - status


def _running() -> dict[str, Any] | None:
    from hem_provider.agent.calls import AgentCalls

    try:
        return AgentCalls().status()
    except HemUnreachable:
        return None


def _unlock_all(devices: Iterable[dict[str, Any]], kdf: str = "pbkdf2") -> int:
    """Unlock each that is not; the exit status, of the first that could not be."""
    statuses = []
    for told in devices:
        if told["state"] == "unlocked" and told["login"] != "mobile":
            continue
        try:
            how = _unlock(told, kdf)
            print(f"{told['name']}: unlocked{how}.", file=sys.stderr)
        except HemError as error:
            statuses.append(status_of(error))
            name = f"{told['name']}: "
            text = f"{name}{str(error).removeprefix(name)}"
            print(f"hem: {text.removeprefix('hem: ')}", file=sys.stderr)
    return statuses[0] if statuses else DONE


def _unlock(told: dict[str, Any], kdf: str) -> str:
    """By the phone or the source that the agent has; else by what is configured here for the very device that
    the agent serves, or by a prompt that names it."""
    from hem_provider.agent.calls import AgentCalls, kdf_called

    name, calls = told["name"], AgentCalls()
    if told["login"] == "mobile":
        print(f"{name}: approve the login on the phone.", file=sys.stderr)
        calls.unlock_by_phone(name)
        return " by phone"
    device = device_from_url(told["url"], name=name)
    if told["source"] and kdf == "pbkdf2":
        try:
            calls.unlock_by_source(name)
        except HemAuthenticationError as refused:
            # The passphrase was changed, or is in another file by now, which the agent learns when it starts.
            print(f"{name}: the agent's own source does not unlock it: {refused}", file=sys.stderr)
        else:
            return ""
    passphrase = read_passphrase(device)
    if passphrase is not None:
        try:
            calls.unlock(name, passphrase, kdf_called(kdf))
        except HemAuthenticationError:
            if not can_ask():
                raise
        else:
            return ""
    calls.unlock(name, ask_passphrase(device), kdf_called(kdf))
    return ""


def _environment(socket: str, ssh_socket: str | None) -> dict[str, str]:
    found = {SOCKET_VARIABLE: socket}
    if ssh_socket is not None:
        found[_SSH] = ssh_socket
    return found


def _described(told: dict[str, Any]) -> Iterable[str]:
    """For people."""
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(told["since"]))
    idle = (
        f"forgets after {told['idle']:g} s without a request" if told["idle"] else "never forgets when idle"
    )
    yield f"hem agent {told['version']}, process {told['pid']}, since {since}; {idle}"
    yield f"  programs may: {', '.join(told['allowed'])}"
    yield f"  keys: {', '.join(told['keys']) or 'all'}"
    yield f"  socket: {told['socket']}"
    yield f"  ssh-agent: {told['ssh_socket'] or 'no'}"
    yield f"  memory: {'closed to other processes' if told['memory_hidden'] else 'OPEN to other processes'}"
    for device in told["devices"]:
        yield f"{device['name']} ({device['url']}): {_STATES[device['state']]}" + (
            f": {device['reason']}" if device["reason"] else ""
        )
        if device["label"] is not None:
            yield f"  device of {device['label']}, identity {device['eid']}"
        costs = (counted(device["calls"], "call"), counted(device["logins"], "login"))
        yield f"  {', '.join(costs)}, waiting: {counted(device['waiting'], 'request')}"
        if device["memory_locked"] is not None:
            yield f"  its key is in memory that {'is' if device['memory_locked'] else 'COULD NOT be'} locked"
        if device["wrong_pins"]:
            yield f"  {device['wrong_pins']} wrong PINs in a row"


_STATES = {
    "unlocked": "unlocked",
    "locked": "locked",
    "waiting": "unlocked when it is wanted",
}
