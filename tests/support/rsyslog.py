"""rsyslog as Debian has it, started by a test with a configuration of its own on free ports of 127.0.0.1."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from pathlib import Path

from tools.servers import free_port

__all__ = ["PROGRAM", "Rsyslog", "has_driver"]

PROGRAM = shutil.which("rsyslogd", path="/usr/sbin:/usr/bin")
_MODULES = Path("/usr/lib/x86_64-linux-gnu/rsyslog"), Path("/usr/lib/aarch64-linux-gnu/rsyslog")

#: One JSON document a line: the header's fields, structured data as it came and as rsyslog understood it.
_TEMPLATE = """
template(name="line" type="list") {
    constant(value="{")
    property(outname="pri" name="pri" format="jsonf")
    constant(value=", ")
    property(outname="time" name="timereported" dateFormat="rfc3339" format="jsonf")
    constant(value=", ")
    property(outname="host" name="hostname" format="jsonf")
    constant(value=", ")
    property(outname="app" name="app-name" format="jsonf")
    constant(value=", ")
    property(outname="proc" name="procid" format="jsonf")
    constant(value=", ")
    property(outname="msgid" name="msgid" format="jsonf")
    constant(value=", ")
    property(outname="sd" name="structured-data" format="jsonf")
    constant(value=", ")
    property(outname="msg" name="msg" format="jsonf")
    constant(value=", ")
    constant(value="\\"data\\": ")
    property(name="$!rfc5424-sd")
    constant(value="}\\n")
}
ruleset(name="taken") {
    action(type="mmpstrucdata" sd_name.lowercase="off")
    action(type="omfile" file="%(file)s" template="line" fileCreateMode="0600" asyncWriting="off")
}
"""


def has_driver(name: str) -> bool:
    """Whether its module for TLS is there: ``gtls`` or ``ossl``."""
    return any((folder / f"lmnsd_{name}.so").exists() for folder in _MODULES)


class Rsyslog:
    """A running rsyslog that takes ``kind``: ``udp``, ``tcp``, or ``tls`` with ``driver``, whose certificate
    is ``names``' of ``authority``; ``peer``: the name that a client's certificate has to have."""

    def __init__(self, folder: Path, kind: str, *, driver="", files=None, peer=None):
        self.folder, self.kind = folder, kind
        self.port = free_port()
        self.file = folder / "taken.jsonl"
        lines = [f'global(workDirectory="{folder}" net.enableDNS="off" maxMessageSize="64k")',
                 'module(load="mmpstrucdata")']  # fmt: skip
        module = f'load="im{"udp" if kind == "udp" else "tcp"}"'
        if kind == "tls":
            lines[0] = lines[0][:-1] + (
                f' defaultNetstreamDriverCAFile="{files["ca"]}" defaultNetstreamDriverCertFile='
                f'"{files["certificate"]}" defaultNetstreamDriverKeyFile="{files["key"]}")'
            )
            mode = f'"x509/name" PermittedPeer=["{peer}"]' if peer else '"anon"'
            module += f' StreamDriver.Name="{driver}" StreamDriver.Mode="1" StreamDriver.AuthMode={mode}'
        what = "imudp" if kind == "udp" else "imtcp"
        lines.append(f"module({module})")
        lines.append(_TEMPLATE % {"file": self.file})
        more = ' rcvbufSize="4m"' if kind == "udp" else ""
        lines.append(f'input(type="{what}" address="127.0.0.1" port="{self.port}" ruleset="taken"{more})')
        self.config = folder / "rsyslog.conf"
        self.config.write_text("\n".join(lines) + "\n")
        self.process = None

    @property
    def url(self):
        return f"{self.kind}://127.0.0.1:{self.port}"

    def start(self):
        with (self.folder / "rsyslog.log").open("ab") as log:
            self.process = subprocess.Popen(
                [PROGRAM, "-n", "-f", str(self.config), "-i", str(self.folder / "pid")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        ends = time.monotonic() + 20
        while not self._listens():
            told = (self.folder / "rsyslog.log").read_text()
            assert self.process.poll() is None, told
            assert time.monotonic() < ends, told
            time.sleep(0.05)
        return self

    def _listens(self):
        if self.kind == "udp":
            port = f":{self.port:04X} "
            return any(port in line for line in Path("/proc/net/udp").read_text().splitlines())
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    @property
    def taken(self):
        if not self.file.exists():
            return []
        whole = self.file.read_bytes().rpartition(b"\n")[0]  # the last line may be being written
        return [json.loads(line) for line in whole.decode("utf-8").splitlines()]

    def wait(self, count, seconds=20.0):
        """The lines that were taken, when there are so many."""
        ends = time.monotonic() + seconds
        while len(found := self.taken) < count:
            assert time.monotonic() < ends, f"{len(found)} of {count} came"
            time.sleep(0.05)
        return found

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
