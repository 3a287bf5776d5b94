"""What a soak plays on: a served device whose time is pressed, an agent, nginx, sshd, and the workers."""

from __future__ import annotations

import contextlib
import datetime
import getpass
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID
from support.agent import RunningAgent
from support.emulator import ServedEmulator, client_of
from support.libraries import module_library
from support.sshserver import running_sshd

from campaign.soak.timetable import Attempt, write_attempt
from campaign.soak.workers import class_of
from tools.servers import free_port, nginx_configuration, served

__all__ = ["PROGRAMS", "Stage"]

_WORK = "import sys; from campaign.soak.workers import main; main(*sys.argv[1:])"
_HEM = (sys.executable, "-m", "hem_provider.cli.main")
#: Label → type and usage.
_KEYS = {
    "web": ("SECP256R1", {"sign"}), "p256": ("SECP256R1", {"sign"}), "ed": ("ED25519", {"sign"}),
    "aes": ("AES256", {"aead"}),
}  # fmt: skip
#: Worker → programs that it needs, whether it goes its own way to the device, seconds between operations.
PROGRAMS: Mapping[str, tuple[tuple[str, ...], bool, float]] = {
    "nginx": (("nginx", "openssl"), True, 0.5),
    "java": (("java", "javac", "keytool"), True, 0.5),
    "python": ((), False, 0.4),
    "keyring": ((), False, 2.0),
    "ssh": (("ssh", "sshd"), False, 2.0),
    "pkcs11-tool": (("pkcs11-tool",), True, 2.0),
    "python-pkcs11": ((), False, 0.4),
    "openssl": (("openssl",), False, 2.0),
    "liar": ((), False, 0.05),
}
_PASSED = ("HEM_CONFIG", "HEM_AGENT", "OPENSSL_CONF", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_DATA_HOME")
_SERVER = 'location / { return 200 "signed by the device\\n"; }'


class Stage(contextlib.ExitStack):
    """Everything that runs; ends with it. ``rate``: seconds of the device in one of ours."""

    def __init__(self, folder: Path, kinds: Sequence[str], rate: float) -> None:
        super().__init__()
        self.folder, self.kinds, self.rate = folder, kinds, rate
        self.logs, self.own = folder / "attempts", folder / "attempts" / "owner.jsonl"
        self.logs.mkdir(parents=True)
        self.copy = folder / "copy"
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._nginx = 0

    # --- setting up ---

    def start(self) -> Stage:
        """Device, agent, programs."""
        (self.folder / "latency.json").write_text(json.dumps({"restart": min(3600.0, self.rate)}))
        self._ports = {name: free_port() for name in ("https", "http", "cloud")}
        self._device = self._new_device()
        self._device.start()
        self.callback(lambda: self._device.stop())
        with client_of(self._device, agent="never") as hem:
            for label, (kind, usage) in _KEYS.items():
                hem.keys.create(kind, label=label, usage=usage)
            self.public = {
                each: _pem(hem.keys.find(label=each).public_key()) for each in ("web", "p256", "ed")
            }
            self._kid = hem.keys.find(label="p256").kid
            ed = _openssh(hem.keys.find(label="ed").public_key())
            self._certify(hem)
        self.agent = RunningAgent(self._device, "--idle=0", "--ssh-prefix=ed")
        self.enter_context(self.agent.made())
        self.agent.start().unlock()
        self.environment = {
            **self.agent.environment,
            "HOME": str(self.folder),
            "XDG_DATA_HOME": str(self.folder / "data"),
            "PYTHON_KEYRING_BACKEND": "hem_provider.adapters.keyring.HemKeyring",
            "OPENSSL_CONF": str(self.folder / "openssl.cnf"),
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        self.module = str(module_library())
        (self.folder / "openssl.cnf").write_text(self.hem("openssl", "config", plain=True))
        for label in ("web", "p256"):
            (self.folder / f"{label}.key").write_text(self.hem("openssl", "pem", label, plain=True))
        settings = {
            "nginx": self._start_nginx, "java": self._start_java, "keyring": self._start_keyring,
            "ssh": lambda: self._start_ssh(ed), "pkcs11-tool": self._pin, "python-pkcs11": self._pin,
            "openssl": lambda: {"key_file": str(self.folder / "p256.key")},
        }  # fmt: skip
        for kind in self.kinds:
            self._start_worker(kind, settings.get(kind, dict)())
        return self

    def _new_device(self) -> ServedEmulator:
        ports = [word for name, port in self._ports.items() for word in (f"--{name}-port", str(port))]
        more = ("--clock-rate", str(self.rate), "--quirk", "Q19=0.08", "--control", f"{self.folder}/control")
        late = ("--latency", f"{self.folder}/latency.json", "--quirk", "Q21=off")
        (self.folder / "device").mkdir(exist_ok=True)
        return ServedEmulator(self.folder / "device", arguments=(*ports, *more, *late))

    def _certify(self, hem: Any) -> None:
        key = hem.keys.find(label="web").private_key()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(3))
        alternative = x509.SubjectAlternativeName([x509.DNSName("localhost")])
        signed = builder.add_extension(alternative, critical=False).sign(key, hashes.SHA256())
        (self.folder / "web.crt").write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def _pin(self) -> dict[str, str]:
        return {"module": self.module, "pin": self._device.passphrase, "id": self._kid}

    def _start_nginx(self) -> dict[str, Any]:
        port, folder = free_port(), self.folder / "nginx"
        folder.mkdir()
        (folder / "nginx.conf").write_text(nginx_configuration(
            folder, port, self.folder / "web.crt", self.folder / "web.key", server=_SERVER, passed=_PASSED
        ))  # fmt: skip
        command = ["nginx", "-p", folder, "-c", folder / "nginx.conf"]
        environment = {**self.environment, "HEM_AGENT": "never"}
        self._nginx = self.enter_context(served(command, port, environment=environment, folder=folder)).pid
        return {"port": port, "certificate": str(self.folder / "web.crt")}

    def _start_java(self) -> dict[str, Any]:
        folder = self.folder / "java"
        folder.mkdir()
        (folder / "java.cfg").write_text(f"name = hem\nlibrary = {self.module}\n")
        source = Path(__file__).with_name("Soak.java")
        pin = self._device.passphrase_file
        store = ["-keystore", "NONE", "-storetype", "PKCS11", "-storepass:file", str(pin), "-providerClass"]
        store += ["sun.security.pkcs11.SunPKCS11", "-providerArg", str(folder / "java.cfg")]
        made = ["-alias", "java", "-dname", "CN=java", "-keyalg", "EC", "-groupname", "secp256r1"]
        self._program("javac", "-d", str(folder), str(source))
        self._program("keytool", *store, "-genkeypair", *made, "-sigalg", "SHA256withECDSA")
        pem = self._program("keytool", *store, "-exportcert", "-rfc", "-alias", "java")
        self.public["java"] = _pem(x509.load_pem_x509_certificate(pem.encode()).public_key())
        heap = ["-Xms32m", "-Xmx32m", "-XX:+AlwaysPreTouch", "-XX:+UseSerialGC", "-cp", str(folder)]
        return {"java": ["java", *heap, "Soak", str(folder / "java.cfg"), str(pin)]}

    def _start_keyring(self) -> dict[str, Any]:
        self.hem("keyring", "init")
        return {}

    def _start_ssh(self, line: str) -> dict[str, Any]:
        force = 'command="echo hello from sshd" '
        server = self.enter_context(running_sshd(self.folder / "sshd", f"{force}{line}\n"))
        public, config = self.folder / "ed.pub", self.folder / "ssh_config"
        public.write_text(line + "\n")
        config.write_text(
            f"Host *\nPort {server.port}\nUser {getpass.getuser()}\nBatchMode yes\nIdentitiesOnly yes\n"
            f"IdentityFile {public}\nIdentityAgent {self.agent.ssh_socket}\nGlobalKnownHostsFile none\n"
            f"UserKnownHostsFile {server.known}\nConnectTimeout 30\n"
        )
        return {"ssh_config": str(config)}

    def _start_worker(self, kind: str, more: Mapping[str, Any]) -> None:
        _, alone, pause = PROGRAMS[kind]
        folder = self.folder / f"worker-{kind}"
        folder.mkdir()
        file = folder / "settings.json"
        common = {"folder": str(folder), "log": str(self.logs / f"{kind}.jsonl"), "pause": pause}
        file.write_text(json.dumps({**common, "public": self.public, **more}))
        environment = {**self.environment, "HEM_AGENT": "never" if alone else "auto"}
        with (folder / "said").open("wb") as said:
            process = subprocess.Popen(
                [sys.executable, "-c", _WORK, kind, str(file)],
                env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True,
            )  # fmt: skip
        self._running[kind] = process
        self.callback(_end, process)

    def workers_begin(self, seconds: float = 120) -> None:
        """Return when each worker has done something; ``RuntimeError`` with its words when one ended."""
        ends = time.monotonic() + seconds
        for kind, process in self._running.items():
            while not (self.logs / f"{kind}.jsonl").exists():
                if process.poll() is not None or time.monotonic() > ends:
                    raise RuntimeError(f"{kind} does nothing: {self.said(kind)}")
                time.sleep(0.05)

    def said(self, kind: str) -> str:
        """What a worker wrote on its output."""
        return (self.folder / f"worker-{kind}" / "said").read_text(errors="replace")[-2000:]

    def end_workers(self) -> list[str]:
        """Those that had ended by themselves, with what they said."""
        gone = [kind for kind, process in self._running.items() if process.poll() is not None]
        for process in self._running.values():
            _end(process)
        return [f"{kind} ended by itself: {self.said(kind)}" for kind in gone]

    # --- what is watched ---

    def processes(self) -> dict[str, int]:
        """Name → pid of what lives long."""
        found = {"emulator": self._device.process.pid} if self._device.process else {}
        if self.agent.process is not None:
            found["agent"] = self.agent.process.pid
        for kind in ("python", "python-pkcs11", "liar"):
            if kind in self._running:
                found[kind] = self._running[kind].pid
        if self._nginx:
            with contextlib.suppress(OSError):
                children = Path(f"/proc/{self._nginx}/task/{self._nginx}/children").read_text().split()
                found |= {f"nginx worker {place}": int(pid) for place, pid in enumerate(children, 1)}
        with contextlib.suppress(OSError):
            found["java"] = int((self.folder / "worker-java" / "java.pid").read_text())
        return found

    # --- what happens ---

    def happenings(self) -> dict[str, Callable[[float], None]]:
        """Name → what makes it happen, for so many seconds."""
        return {
            "log collect": lambda _: self.owner("log", "collect", "--to", str(self.copy)),
            # All tokens live 8 h; they end at once when the device's clock is that far ahead.
            "token expiry": lambda _: self._order("fault", name="clock-error", seconds=8 * 3600 + 120),
            "reboot": lambda _: self._order("reset", how="reboot", wait=True),
            "unplugged": self._unplug,
            "network cut": self._cut,
            "short cut": self._cut,
            "cloud down": self._cloud_down,
            "clock unset": lambda _: self._order("fault", name="clock-unset"),
            "certificate renewal": lambda _: self._renew(),
            "resets": self._resets,
            "agent restart": lambda _: self._restart_agent(),
        }

    def _order(self, command: str, *, wait: bool = False, **parameters: object) -> None:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(30)
            line.connect(f"{self.folder}/control")
            line.sendall(json.dumps({"command": command, **parameters}).encode() + b"\n")
            answer = json.loads(line.makefile("rb").readline())
        if "error" in answer:
            raise RuntimeError(f"{command}: {answer['error']}")
        if wait:
            time.sleep(1.0)  # the time of a restart

    def _unplug(self, seconds: float) -> None:
        """It loses its power: with what it knew until then; once it is back its clock is set by its host."""
        self._order("latency", profile="none")  # the outage is the restart
        self._order("reset", how="power-cycle")
        self._device.kill()
        time.sleep(seconds)
        self._device.start()

    def _cut(self, seconds: float) -> None:
        """Nothing of the device's comes through, while connections are taken by the kernel."""
        assert self._device.process is not None
        self._device.process.send_signal(signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            self._device.process.send_signal(signal.SIGCONT)

    def _cloud_down(self, seconds: float) -> None:
        self._order("fault", name="cloud-down")
        self._order("reset", how="reboot")
        time.sleep(seconds)
        self._order("clear", name="cloud-down")

    def _renew(self) -> None:
        self._order("backend", newcrt=True)
        self.owner("certificate", "renew", "--yes")
        self._order("backend", newcrt=False)

    def _resets(self, seconds: float) -> None:
        for name in ("reset-before", "reset-after"):
            self._order("fault", name=name, probability=0.15)
        time.sleep(seconds)
        self._order("clear")

    def _restart_agent(self) -> None:
        self.agent.stop()
        self.agent.start().unlock()

    # --- as the owner ---

    def hem(self, *words: str, plain: bool = False) -> str:
        """Standard output of a command of ``hem``, which goes its own way; ``RuntimeError`` with its words.
        ``plain``: without OpenSSL's configuration, which it makes."""
        environment = {**self.environment, "HEM_AGENT": "never"}
        if plain:
            del environment["OPENSSL_CONF"]
        return self._run([*_HEM, *words], environment)

    def owner(self, *words: str) -> None:
        """A command of the owner's, noted as an attempt."""
        began = time.time()
        try:
            self.hem(*words)
            attempt = Attempt("owner", " ".join(words[:2]), began, time.time(), right=True)
        except RuntimeError as error:
            attempt = Attempt(
                "owner", " ".join(words[:2]), began, time.time(), right=False,
                error=class_of(str(error)), text=str(error),
            )  # fmt: skip
        write_attempt(self.own, attempt)

    def _program(self, *words: str) -> str:
        return self._run(list(words), {**self.environment, "HEM_AGENT": "never"})

    def _run(self, words: list[str], environment: Mapping[str, str]) -> str:
        done = subprocess.run(
            words, env=dict(environment), cwd=self.folder, capture_output=True, text=True, timeout=180,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(words[:6])}: status {done.returncode}: {done.stderr}{done.stdout}")
        return done.stdout

    # --- the log ---

    def uses_in_the_log(self) -> int:
        """Close the file that is written, collect and verify all, and count uses of keys that went well."""
        self._order("reset", how="reboot", wait=True)
        self.hem("log", "collect", "--to", str(self.copy))
        self.hem("log", "verify", "--copy", str(self.copy))
        told = self.hem("log", "export", "--format", "jsonl", "--from", str(self.copy), "--name", "soak")
        return sum(_is_use(json.loads(line)) for line in told.splitlines())


#: Events of the log that are uses of keys (CRYPTO_…), by number.
_USES = range(30, 43)


def _is_use(entry: Mapping[str, Any]) -> bool:
    return entry["genuine"] is True and entry["event"] in _USES and entry["raw"].split("|")[3] == "0"


def _openssh(public: Any) -> str:
    form = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    return f"{public.public_bytes(*form).decode()} ed"


def _pem(public: Any) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return str(public.public_bytes(serialization.Encoding.PEM, form).decode())


def _end(process: subprocess.Popen[bytes]) -> None:
    """By SIGTERM, then with all that it started."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(60)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def available(kinds: Sequence[str]) -> Iterator[str]:
    """Those whose programs are here."""
    path = f"{os.environ['PATH']}:/usr/sbin"
    for kind in kinds:
        if all(shutil.which(program, path=path) for program in PROGRAMS[kind][0]):
            yield kind
