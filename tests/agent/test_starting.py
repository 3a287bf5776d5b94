"""Who starts the agent, who ends it, and what makes it forget by itself."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from support.agent import RunningAgent

from hem_provider.agent.options import Options
from hem_provider.agent.rights import Right
from hem_provider.agent.sleep import SleptClock
from hem_provider.cli.agent_units import unit_files
from hem_provider.config.agentplace import Word
from hem_provider.installation import install_command

LOGIND = "org.freedesktop.login1"
LIST = "/devices/k/api/keymgmt/list/0/15"


def ended(pid):
    """Whether the process is over, reaped or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def hem(running, *arguments, **options):
    """The command, as this user would run it."""
    return subprocess.run(
        [sys.executable, "-m", "hem_provider.cli.main", "agent", *arguments],
        env={**running.environment, **options.pop("environment", {})},
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        check=False,
        **options,
    )


def started(running, script, **options):
    """``hem agent run`` of a Python program, going on."""
    command = [sys.executable, "-m", "hem_provider.cli.main", "agent", "run", "--"]
    return subprocess.Popen(
        [*command, sys.executable, "-c", script],
        env=running.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        **options,
    )


def test_start_status_lock_unlock_and_stop_by_the_command(device, keys):
    with RunningAgent(device).made() as running:
        done = hem(running, "status")
        assert done.returncode == 3
        assert "no agent runs" in done.stderr
        assert "hem agent start" in done.stderr
        done = hem(running, "start", "--idle", "100")
        assert done.returncode == 0, done.stderr
        assert "k: unlocked." in done.stderr
        pid = running.status()["pid"]
        try:
            assert "runs already" in hem(running, "start", "--idle", "100").stderr
            other = hem(running, "start", "--allow", "make")
            assert other.returncode == 1
            assert "with other options" in other.stderr
            told = hem(running, "status").stdout
            assert f"process {pid}" in told
            assert "k (https://127.0.0.1" in told
            assert "programs may: use" in told
            assert hem(running, "lock").returncode == 0
            running.wait_until(lambda: running.status() is not None)
            assert "locked: on request" in hem(running, "status").stdout
            assert hem(running, "unlock").returncode == 0
            assert running.client()("GET", LIST, scope="keymgmt:list")[0] == 200
            lines = hem(running, "env", "--shell", "sh").stdout
            assert f"export HEM_AGENT_SOCK={running.socket}" in lines
            assert f"export SSH_AUTH_SOCK={running.ssh_socket}" in lines
            assert (
                f"set -gx SSH_AUTH_SOCK {running.ssh_socket};"
                in hem(running, "env", "--shell", "fish").stdout
            )
        finally:
            assert hem(running, "stop").returncode == 0
        assert running.status() is None
        running.wait_until(lambda: ended(pid))


def test_start_without_a_device_says_what_is_missing(device):
    with RunningAgent(device).made() as running:
        running.config.write_text("")
        done = hem(running, "start")
        assert done.returncode == 1
        assert "no HEM is configured" in done.stderr


def test_start_for_another_kind_of_url_says_so(device, tmp_path):
    with RunningAgent(device, url="http://127.0.0.1:1").made() as running:
        done = hem(running, "start")
        assert done.returncode == 1
        assert "https://" in done.stderr


@pytest.mark.parametrize("missing", ["h11", "sdnotify"])
def test_without_its_libraries_it_says_what_to_install(device, tmp_path, missing):
    (tmp_path / f"{missing}.py").write_text(f"raise ModuleNotFoundError(name={missing!r})")
    with RunningAgent(device).made() as running:
        running.environment["PYTHONPATH"] = str(tmp_path)
        done = hem(running, "start")
        assert done.returncode == 1
        assert f"(no package {missing!r})" in done.stderr
        assert "needs the extra 'agent'" in done.stderr
        assert install_command("agent") in done.stderr


def test_start_where_the_passphrase_is_wrong(device, tmp_path):
    wrong = tmp_path / "wrong"
    wrong.write_text("not it")
    wrong.chmod(0o600)
    with RunningAgent(device, source=False, settings=f'passphrase_file = "{wrong}"').made() as running:
        done = hem(running, "start")
        try:
            assert done.returncode == 4
            assert "does not accept the passphrase" in done.stderr
            assert running.device["state"] == "waiting"
        finally:
            hem(running, "stop")


def test_without_a_terminal_nobody_is_asked(device):
    with RunningAgent(device, source=False).made() as running:
        done = hem(running, "start")
        try:
            assert done.returncode == 4
            assert "no terminal" in done.stderr
        finally:
            hem(running, "stop")


def test_run_gives_a_command_an_agent_of_its_own(device, keys):
    script = (
        "import os, sys; from hem_provider.agent.calls import AgentCalls;"
        "told = AgentCalls().status(); print(told['pid'], told['socket'], os.environ['SSH_AUTH_SOCK']);"
        "sys.exit(0 if told['devices'][0]['state'] == 'unlocked' else 5)"
    )
    with RunningAgent(device).made() as running:
        done = hem(running, "run", "--", sys.executable, "-c", script)
        assert done.returncode == 0, done.stderr
        pid, path, ssh = done.stdout.split()
        assert Path(path).parent == Path(ssh).parent
        assert not Path(path).parent.exists()
        assert ended(int(pid))
        assert hem(running, "run", "--", "sh", "-c", "exit 7").returncode == 7
        missing = hem(running, "run", "--", "no-such-program")
        assert missing.returncode == 1
        assert "no-such-program" in missing.stderr


def test_what_ends_the_command_of_an_agent_ends_the_command(device, keys):
    with RunningAgent(device).made() as running:
        script = "import os, signal; print(os.getpid(), flush=True); signal.pause()"
        runner = started(running, script)
        pid = int(runner.stdout.readline())
        runner.terminate()
        assert runner.wait(30) == 128 + signal.SIGTERM
        assert ended(pid)
        runner.stdout.close()


def test_only_the_device_that_the_agent_serves_is_unlocked(device, tmp_path):
    """Whatever the caller's configuration calls so."""
    with RunningAgent(device, source=False) as running:
        text = running.config.read_text()
        running.config.write_text(text.replace(device.https, "https://127.0.0.1:9"))
        done = hem(running, "unlock")
        assert done.returncode == 4
        assert "no terminal" in done.stderr
        running.config.write_text(f'{text}passphrase_file = "{device.passphrase_file}"\n')
        done = hem(running, "unlock")  # the agent has no source of its own: the caller's
        assert done.returncode == 0, done.stderr
        assert running.device["state"] == "unlocked"


def test_an_agent_whose_own_source_is_out_of_date_takes_the_callers(device, tmp_path):
    old = tmp_path / "old"
    old.write_text("what it was before\n")
    old.chmod(0o600)
    with RunningAgent(device, source=False).made() as running:
        text = running.config.read_text()
        running.config.write_text(f'{text}passphrase_file = "{old}"\n')
        running.start()
        done = hem(running, "unlock")
        assert done.returncode == 4
        assert "the agent's own source does not unlock it" in done.stderr
        running.config.write_text(f'{text}passphrase_file = "{device.passphrase_file}"\n')
        done = hem(running, "unlock")
        assert done.returncode == 0, done.stderr
        assert running.device["state"] == "unlocked"


def test_an_agent_ends_with_who_runs_it(device, keys):
    with RunningAgent(device).made() as running:
        script = "import os; from hem_provider.agent.calls import AgentCalls;"
        script += "told = AgentCalls().status(); print(told['pid'], told['socket'], flush=True);"
        script += "import time; time.sleep(60)"
        runner = started(running, script, start_new_session=True)
        try:
            number, path = runner.stdout.readline().split()
            pid = int(number)
            runner.kill()
            runner.wait()

            running.wait_until(lambda: ended(pid))
            assert not Path(path).parent.exists()
        finally:
            os.killpg(runner.pid, signal.SIGKILL)
            runner.stdout.close()


def activated(running, *options):
    """Started as a service manager does, on the first connection."""
    sockets = [f"--listen={running.socket}", f"--listen={running.ssh_socket}"]
    running.socket.parent.mkdir(mode=0o700, exist_ok=True)
    passed = [
        f"--setenv={name}" for name in ("HEM_CONFIG", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "NOTIFY_SOCKET")
    ]
    command = ["systemd-socket-activate", *sockets, *passed, *options]
    command += [sys.executable, "-m", "hem_provider.cli.main", "agent", "start", "--foreground"]
    with running.log.open("ab") as log:
        return subprocess.Popen(command, env=running.environment, stdout=log, stderr=log, cwd=Path.cwd())


@pytest.mark.skipif(shutil.which("systemd-socket-activate") is None, reason="needs systemd-socket-activate")
def test_socket_activation(device, keys):
    with RunningAgent(device).made() as running:
        notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notified.bind(str(running.home / "notify"))
        notified.settimeout(30)
        running.environment["NOTIFY_SOCKET"] = str(running.home / "notify")
        running.process = activated(running)
        running.wait_until(running.socket.exists)
        assert running.client()("GET", LIST, scope="keymgmt:list")[0] == 200
        assert notified.recv(1000).startswith(b"READY=1\n")
        notified.close()
        assert running.calls.status()["ssh_socket"] == str(running.ssh_socket)
        # Locked, it keeps the sockets that it was given.
        running.calls.lock()
        running.wait_until(lambda: (running.status() or {}).get("devices", [{}])[0].get("state") == "locked")
        assert running.stop() == 0
        assert running.socket.exists()  # the manager's


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_the_units_are_good_units(tmp_path):
    for name, text in unit_files("/bin/true").items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", "--man=no", *map(str, sorted(tmp_path.iterdir()))],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if "hem-agent" in line]
    assert ours == []
    assert done.returncode == 0, done.stderr


def test_units_are_written_for_this_installation(device, tmp_path):
    with RunningAgent(device).made() as running:
        done = hem(running, "units", "--directory", str(tmp_path / "units"))
        assert done.returncode == 0, done.stderr
        service = (tmp_path / "units" / "hem-agent.service").read_text()
        assert f"ExecStart={sys.executable} -m hem_provider.cli.main agent start --foreground\n" in service
        assert "systemctl --user" in done.stderr
        assert "ListenStream=%t/hem/agent.sock" in hem(running, "units", "--directory", "-").stdout


def test_packages_ship_the_same_units():
    folder = Path(__file__).parents[2] / "packaging" / "systemd"
    shipped = {each.name: each.read_text() for each in folder.glob("hem-agent*")}
    assert shipped == unit_files("/usr/bin/hem")


@pytest.mark.skipif(shutil.which("dbus-daemon") is None, reason="needs dbus-daemon")
@pytest.mark.parametrize(
    ("signal_", "reason"),
    [
        (("Manager.PrepareForSleep", "/org/freedesktop/login1", "boolean:true"), "the machine went to sleep"),
        (("Session.Lock", "/org/freedesktop/login1/session/_31"), "the session was locked"),
    ],
)
def test_logind_makes_it_forget(device, keys, signal_, reason):
    with tempfile.TemporaryDirectory(prefix="hem-bus-") as folder:
        address = f"unix:path={folder}/bus"
        bus = subprocess.Popen(
            [
                "dbus-daemon",
                "--session",
                "--nofork",
                "--nopidfile",
                f"--address={address}",
                "--print-address",
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            bus.stdout.readline()
            environment = {"DBUS_SYSTEM_BUS_ADDRESS": address}
            with RunningAgent(device, source=False, environment=environment) as running:
                running.calls.unlock("k", device.passphrase)
                name, path, *values = signal_

                def told():
                    subprocess.run(
                        ["dbus-send", f"--bus={address}", "--type=signal", path, f"{LOGIND}.{name}", *values],
                        check=True,
                        timeout=20,
                    )
                    return reason in running.log.read_text()

                running.wait_until(told)
                running.wait_until(lambda: running.status() is not None)
                assert running.device["state"] == "locked"
                assert running.device["reason"] == reason
        finally:
            bus.terminate()
            bus.wait()
            bus.stdout.close()


def test_a_sleep_is_found_out_afterwards(monkeypatch):
    clock = SleptClock()
    assert not clock.slept()
    from hem_provider.agent import sleep

    apart = sleep._apart()
    monkeypatch.setattr(sleep, "_apart", lambda: apart + 30)
    assert clock.slept()
    assert not clock.slept()


def test_options_are_handed_on_whole():
    from types import SimpleNamespace

    import click

    from hem_provider.agent.options import add_options, options_from

    @click.command()
    @add_options
    def command(**given):
        return options_from(SimpleNamespace(**given))

    given = Options(
        devices=("a b", "-c"),
        allowed=frozenset({Right.USE, Right.DELETE}),
        keys=("-x*",),
        idle=0.0,
        ssh=False,
        ssh_prefix="ssh:",
        ssh_confirm=True,
        ssh_lifetime=60.0,
        until_closed=5,
    )
    for options in (given, Options()):
        assert command.main(options.arguments(), standalone_mode=False) == options


def test_a_sleep_is_found_out_before_anything_is_done_for_a_client(device, keys, tmp_path):
    """Where no logind says so: neither socket serves the request by which it is found out."""
    apart = tmp_path / "apart"
    apart.write_text("0")
    (tmp_path / "sitecustomize.py").write_text(
        "import os, pathlib, time\n"
        "real = time.clock_gettime\n"
        "def gettime(which):\n"
        f"    more = float(pathlib.Path({str(apart)!r}).read_text()) if which == time.CLOCK_BOOTTIME else 0\n"
        "    return real(which) + more\n"
        "time.clock_gettime = gettime\n"
    )
    environment = {"PYTHONPATH": str(tmp_path), "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nowhere"}
    for by_ssh in (False, True):
        apart.write_text("0")
        with RunningAgent(device, source=False, environment=environment) as running:
            running.calls.unlock("k", device.passphrase)
            ask = running.client()
            assert ask("GET", LIST, scope="keymgmt:list")[0] == 200
            with socket.socket(socket.AF_UNIX) as ssh:
                ssh.settimeout(30)
                ssh.connect(str(running.ssh_socket))
                ssh.sendall(b"\0\0\0\1\x0b")  # SSH_AGENTC_REQUEST_IDENTITIES
                assert ssh.recv(5)[4:] == b"\x0c"
            before = len(device.calls())
            apart.write_text("60")
            if by_ssh:
                with socket.socket(socket.AF_UNIX) as ssh:
                    ssh.settimeout(30)
                    ssh.connect(str(running.ssh_socket))
                    ssh.sendall(b"\0\0\0\1\x0b")
                    assert ssh.recv(100) == b"\0\0\0\1\5"  # SSH_AGENT_FAILURE
            else:
                status, headers, _ = ask("GET", LIST, scope="keymgmt:list")
                assert (status, headers["hem-agent"]) == (503, Word.STOPPING)
            assert len(device.calls()) == before
            running.wait_until(lambda: "the machine slept" in running.log.read_text())
