"""Whole processes as people start them, and by which way they are measured."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = [
    "CLIENT",
    "COLD",
    "MANY",
    "PLAIN_REQUESTS",
    "SCRIPT",
    "THROUGH",
    "WARM",
    "Command",
    "run_command",
    "run_quietly",
]

#: The layers of a command: in its first run, in a later one, and in a later one with a running agent.
COLD, WARM, THROUGH = "nothing remembered", "keys remembered", "through the agent"
_SECONDS = 600

Command = Sequence[str | Path]


def run_command(command: Command, environment: Mapping[str, str]) -> str:
    """Run to the end; what it printed. ``OSError`` with its words when it fails."""
    return _run(command, environment, subprocess.PIPE)


def run_quietly(command: Command, environment: Mapping[str, str]) -> None:
    """The same where what it prints is of no use, or is long."""
    _run(command, environment, subprocess.DEVNULL)


def _run(command: Command, environment: Mapping[str, str], output: int) -> str:
    done = subprocess.run(
        [*map(str, command)], env=dict(environment), stdin=subprocess.DEVNULL, stdout=output,
        stderr=subprocess.PIPE, text=True, timeout=_SECONDS, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise OSError(f"{' '.join(map(str, command))}: exit status {done.returncode}\n{done.stderr}")
    return done.stdout or ""


#: A program in Python.
SCRIPT = """
import hem_provider
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
with hem_provider.connect() as hem:
    hem.keys.find(label="web").private_key().sign(b"a message to sign", ec.ECDSA(hashes.SHA256()))
"""
#: One that makes as many signatures as it is told, and prints the seconds of each.
MANY = """
import json, sys, time
import hem_provider
seconds = []
with hem_provider.connect() as hem:
    key = hem.keys.find(label="web")
    for _ in range(int(sys.argv[1])):
        start = time.perf_counter()
        hem.sign(key.kid, b"a message to sign", "SHA256WithECDSA")
        seconds.append(time.perf_counter() - start)
print(json.dumps(seconds))
"""
#: A token is at hand; what a script of one's own has to do for that is not among it.
PLAIN_REQUESTS = """
import base64, requests, sys
url, ca_file, kid, token = sys.argv[1:]
body = {"kid": kid, "msg": base64.b64encode(b"a message to sign").decode(), "alg": "SHA256WithECDSA"}
head = {"Authorization": "Bearer " + token}
answer = requests.post(url + "/api/crypto/exdsa/sign", json=body, headers=head, verify=ca_file, timeout=30)
answer.raise_for_status()
"""
#: One with another client of the device, by its ``signer_of``.
CLIENT = """
import pathlib, sys
from benchmarks.requests_script import signer_of
signer_of(pathlib.Path(sys.argv[1]))(*sys.argv[2:])(b"a message to sign")
"""
