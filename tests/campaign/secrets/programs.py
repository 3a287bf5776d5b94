"""What is done with the marked secrets: each function is a program, or a few that belong together."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from support.agent import RunningAgent
from support.emulator import ServedEmulator
from support.hosts import COMPILER
from support.libraries import module_library
from support.terminal import Terminal

from campaign.secrets.desk import Desk, Talk, talking
from campaign.secrets.marks import Tap, core_of, in_files
from campaign.secrets.table import MAY, NEVER, Finding, Promise

__all__ = ["PROGRAMS"]

_HERE = Path(__file__).parent
_AGENT = "agent.md: neither key nor token is found in its memory then"
_COPIES = Promise(
    False, "security.md: copies that Python or a library made are not overwritten; tokens are such"
)


def _never(because: str) -> Promise:
    return replace(NEVER, because=because)


def _may(because: str) -> Promise:
    return replace(MAY, because=because)


def commands(desk: Desk) -> None:
    """``hem``: what needs a login, what takes a passphrase, and what refuses."""
    letter = desk.home / "letter"
    desk.hem("status")
    desk.hem("doctor")
    desk.hem("keys", "list")
    desk.hem("log", "list", HEM_PASSPHRASE_FILE=str(desk.path("new passphrase")), status=4)
    desk.hem("config", "show")
    desk.hem("sign", _HERE / "host.c", "--key", "p256", "-o", letter.with_suffix(".sig"))
    sealed = desk.hem("seal", "aes", text=desk.marks["decrypted data"].value)
    desk.hem("open", "aes", text=sealed, answer=["decrypted data"])
    desk.hem("encrypt", "box", desk.path("decrypted data"), "-o", letter.with_suffix(".age"))
    desk.hem("decrypt", letter.with_suffix(".age"), "-o", letter.with_suffix(".out"))
    desk.hem("log", "list")
    desk.hem("exporter", "--once")
    master = ("--master-file", desk.path("master passphrase"))
    desk.hem("passphrase", *master, "--new-file", desk.path("new passphrase"))
    desk.hem("passphrase", *master, "--new-file", desk.path("passphrase"))
    desk.hem("emulator", "faults")


def initialising(desk: Desk) -> None:
    """``hem init`` of a fresh device."""
    place = desk.folder / "fresh"
    place.mkdir()
    with ServedEmulator(place, init=False) as fresh:
        desk.hem(
            "init", "--address", fresh.https, "--url", fresh.https, "--ca-file", fresh.ca_file,
            "--owner", "Ada", "--passphrase-file", desk.path("passphrase"),
            "--master-file", desk.path("master passphrase"),
            "--yes", "--no-phone", "--no-certificate", "--key", "first", "--weak",
            HEM_URL="", HEM_CONFIG="", HEM_PASSPHRASE_FILE="", HEM_CLOUD_URL=fresh.cloud,
            HEM_CA_FILE="", HEM_CLOUD_CA_FILE=str(fresh.ca_file),
        )  # fmt: skip


def terminal(desk: Desk) -> None:
    """A person who types the passphrase, wrongly at first."""
    asked = {name: value for name, value in desk.environment.items() if name != "HEM_PASSPHRASE_FILE"}
    for typed, status in (("new passphrase", 4), ("passphrase", 0)):
        with Terminal(["log", "list"], asked) as person:
            person.type(desk.marks[typed].value.decode(), after=": ")
            if person.end() != status:
                raise RuntimeError(f"hem log list at a terminal, with the {typed}: {person.shown}")
            desk.look("hem at a terminal", "screen", person.shown.encode())


_CLIENT = """
import logging, sys
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
import gc, hem_provider
from hem_provider.symmetric import open, seal
hem = key = None
for line in sys.stdin:
    if line == "work\\n":
        hem = hem_provider.connect()
        key = hem.keys.find(label="p256").private_key()
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        key.sign(b"message", ec.ECDSA(hashes.SHA256()))
    if line == "logout\\n":
        hem.logout()
    if line == "close\\n":
        hem.close()
        del hem, key
        gc.collect()
    print("0", flush=True)
"""
_FAULTY = """
import logging, sys
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
import hem_provider
hem = hem_provider.connect(passphrase=open(sys.argv[1]).read(), agent="never")
print(repr(hem), hem.config)
hem.keys.list()[0].nothing
"""


def python(desk: Desk) -> None:
    """A client that lives long; one whose exception nobody catches."""
    with talking(desk, sys.executable, "-c", _CLIENT) as client:
        client.tell("work")
        desk.look_into(
            "Python", "while logged in", client.pid, {"passphrase": _COPIES, "credential": MAY, "tokens": MAY}
        )
        client.tell("logout")
        desk.look_into(
            "Python",
            "after logout()",
            client.pid,
            {"passphrase": _COPIES, "credential": _COPIES, "tokens": _COPIES},
        )
        client.tell("close")
        desk.look_into(
            "Python",
            "after close()",
            client.pid,
            {"passphrase": _COPIES, "credential": _COPIES, "tokens": _COPIES},
        )
    for secret in ("passphrase", "new passphrase"):
        desk.run("Python's traceback", sys.executable, "-c", _FAULTY, desk.path(secret), status=1)


def module(desk: Desk) -> None:
    """pkcs11-tool, and a host in C that lives long."""
    library = module_library()
    if shutil.which("pkcs11-tool"):
        words = ("--module", library, "--login", "--sign", "-m", "ECDSA-SHA256", "--label", "p256")
        (desk.home / "message").write_bytes(b"message")
        desk.run(
            "pkcs11-tool", "pkcs11-tool", *words, "-i", desk.home / "message", "-o", desk.home / "tool.sig"
        )
    program = desk.folder / "host"
    flags = ["-w", "-O1", str(_HERE / "host.c"), "-o", str(program), "-ldl"]
    subprocess.run([*COMPILER, *flags], check=True)
    config = desk.home / "module.toml"
    config.write_text(
        f'[[device]]\nname = "office"\nurl = "{desk.url}"\nca_file = "{desk.served.ca_file}"\n'
        'agent = "never"\n'
        "[pkcs11]\nlogin_cache = 1\n"
    )
    config.chmod(0o600)
    with desk.only(HEM_CONFIG=str(config)), talking(desk, program, library, core=True) as host:
        _live(desk, host)
        host.tell("abort", "")
        host.process.wait(60)
        for core in desk.home.glob("core*"):
            content = core.read_bytes()
            core.unlink()
            desk.look(
                _HOST, "core after C_Finalize, by SIGABRT", content, _LOGIN_ENDS, only=_GONE, tokens=False
            )


_HOST = "the module in a C host"
_LOGIN_ENDS = _never("pkcs11.md: the credential is overwritten when the time is over, at C_Finalize")
_MAC = _never("pkcs11.md: only a MAC of the PIN is kept")
_SESSION_KEY = _never("security.md: overwritten at the end of the last operation")
_GONE = ("passphrase", "credential", "session key")


def _live(desk: Desk, host: Talk) -> None:
    """From C_Initialize to C_Finalize."""
    for step in ("open", f"login {desk.path('passphrase')}", "sign", f"make {desk.path('session key')}"):
        host.tell(step)
    host.tell(f"seal {desk.path('decrypted data')}")
    desk.look_into(
        _HOST, "while logged in", host.pid,
        {"passphrase": _MAC, "credential": MAY, "tokens": MAY, "session key": _may("it is in use")},
    )  # fmt: skip
    host.tell("destroy")
    desk.look_into(_HOST, "after C_DestroyObject", host.pid, {"session key": _SESSION_KEY})
    host.tell("logout")
    time.sleep(3)
    desk.look_into(
        _HOST, "after C_Logout and login_cache", host.pid,
        {"passphrase": _MAC, "credential": _LOGIN_ENDS, "tokens": _COPIES},
    )  # fmt: skip
    host.tell("finalize")
    desk.look_into(_HOST, "after C_Finalize", host.pid, dict.fromkeys(_GONE, _LOGIN_ENDS))


def keyring(desk: Desk) -> None:
    """``keyring set`` and ``get``; the vault."""
    desk.hem("keyring", "init")
    desk.run(
        "keyring set", "keyring", "set", "mail", "ada", text=desk.marks["keyring password"].value + b"\n"
    )
    desk.run("keyring get", "keyring", "get", "mail", "ada", answer=["keyring password"])
    desk.hem("keyring", "check")
    desk.hem("keyring", "list")


def age(desk: Desk) -> None:
    """age with its plugin, at its loudest."""
    if not shutil.which("age"):
        return
    identity = desk.home / "box.txt"
    desk.hem("age", "identity", "box", "-o", identity)
    out = desk.home / "age.out"
    desk.run(
        "age", "age", "--decrypt", "-i", identity, "-o", out, desk.home / "letter.age", AGEDEBUG="plugin"
    )


def scdaemon(desk: Desk) -> None:
    """The smart card daemon, as gpg-agent speaks to it."""
    said = b"SERIALNO\nLEARN --force\nGETINFO version\nBYE\n"
    desk.hem("scdaemon", "--server", "--log-file", desk.home / "scdaemon.log", text=said)


def kms(desk: Desk) -> None:
    """The plugin for Kubernetes: what it seals and unseals is not in its output."""
    try:
        import grpc
    except ImportError:
        return
    path = desk.home / "run" / "kms.sock"
    words = [
        sys.executable,
        "-m",
        "hem_provider.cli.main",
        "kms",
        "serve",
        "--socket",
        str(path),
        "--key",
        "aes",
    ]
    with (desk.home / "kms.log").open("wb") as log:
        process = subprocess.Popen(
            words, env=desk.environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
    try:
        _wait(path.exists)
        channel = grpc.insecure_channel(f"unix:{path}")
        secret = desk.marks["decrypted data"].value
        run = channel.unary_unary("/v2.KeyManagementService/Encrypt", lambda each: each, lambda each: each)
        sealed = run(b"\x0a" + bytes([len(secret)]) + secret + b"\x12\x01u", timeout=60)
        desk.look("kms", "what it sealed", sealed)
        channel.close()
    finally:
        process.terminate()
        process.wait(20)


def agent(desk: Desk) -> None:
    """The agent, unlocked and locked, its clients' traffic, and cores of it."""
    with RunningAgent(desk.served, source=False, environment={"HOME": str(desk.home)}) as running:
        running.calls.unlock("k", desk.marks["passphrase"].value.decode())
        tapped = running.run / "tap.sock"
        tap = Tap(running.socket, tapped)
        tapped.chmod(0o600)
        way = {"HEM_CONFIG": str(running.config), "HEM_AGENT": "always", "HEM_AGENT_SOCK": str(tapped)}
        with desk.only(**way):
            desk.hem("keys", "list")
            desk.hem("sign", _HERE / "host.c", "--key", "p256", "-o", desk.home / "agent.sig")
            if shutil.which("pkcs11-tool"):
                pin = ("--pin", "env:THE_PIN")
                words = ("--module", module_library(), "--login", *pin, "-O")
                desk.run(
                    "pkcs11-tool with a PIN", "pkcs11-tool", *words, THE_PIN="not the passphrase", status=1
                )
        desk.look("programs of the agent", "traffic with the agent", bytes(tap.traffic))
        tap.close()
        once = "agent.md: the passphrase is never in the agent"
        desk.look_into(
            "agent",
            "while unlocked",
            running.pid,
            {
                "passphrase": _never(once),
                "credential": _may("agent.md: in one page that is locked in memory"),
                "tokens": MAY,
            },
        )
        if (core := core_of(running.pid, desk.folder)) is not None:
            page = _never("agent.md: in one page that is left out of core files")
            desk.look(
                "agent", "core by root's gcore", core, page, only=["credential", "passphrase"], tokens=False
            )
        locked = re.search(r"VmLck:\s+(\d+)", Path(f"/proc/{running.pid}/status").read_text())
        held = running.device["memory_locked"]
        desk.findings.append(
            Finding(
                "agent",
                "credential",
                "swap (its page is not locked in memory)",
                not (held and locked and int(locked[1]) > 0),
                _never("agent.md: locked where RLIMIT_MEMLOCK allows"),
            )
        )
        running.calls.lock()
        _wait(lambda: (running.status() or {}).get("devices", [{}])[0].get("calls") == 0)
        after = {name: _never(_AGENT) for name in ("passphrase", "credential", "tokens")}
        desk.look_into("agent", "after hem agent lock", running.pid, after)
        running.signal(signal.SIGSEGV)
        dumped = os.WCOREDUMP(os.waitpid(running.pid, 0)[1])
        running.process.returncode = -signal.SIGSEGV
        dump = _never("agent.md: the process is not dumpable: no core file")
        desk.findings.append(Finding("agent", "all", "core by SIGSEGV", dumped, dump))
        for path, content in in_files([running.home]):
            desk.look("agent", f"file {path.name}", content)


def _wait(happened: Callable[[], object], seconds: float = 30) -> None:
    ends = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > ends:
            raise RuntimeError("it did not happen")
        time.sleep(0.05)


def leak(desk: Desk) -> None:
    """For the test of the part itself: a program that leaks on purpose, by each way."""
    script = (
        "import os, sys, time; s = open(sys.argv[1]).read(); print(s); sys.stderr.write(s.encode().hex())\n"
        "open('leaked', 'w').write(s); os.spawnlp(os.P_WAIT, 'sleep', s, '0.6')\n"
        "os.spawnlpe(os.P_WAIT, 'sleep', 'sleep', '0.6', {'A': s, 'PATH': os.environ['PATH']})\n"
        "import base64, socket; c = socket.create_connection(('127.0.0.1', int(sys.argv[2])))\n"
        "c.sendall(base64.b64encode(s.encode())); time.sleep(.2)"
    )
    desk.run("leak", sys.executable, "-c", script, desk.path("passphrase"), str(desk.tap.port))
    keeps = "import sys; s = open(sys.argv[1]).read()\nfor line in sys.stdin: print(0, flush=True)"
    with talking(desk, sys.executable, "-c", keeps, desk.path("passphrase")) as keeper:
        keeper.tell("")
        desk.look_into("leak", "of one that keeps it", keeper.pid, {"passphrase": NEVER})


PROGRAMS: Mapping[str, Callable[[Desk], None]] = {
    "commands": commands,
    "init": initialising,
    "terminal": terminal,
    "python": python,
    "module": module,
    "keyring": keyring,
    "age": age,
    "scdaemon": scdaemon,
    "kms": kms,
    "agent": agent,
    "leak": leak,
}
