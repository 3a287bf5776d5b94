"""Servers of tests and benchmarks: on a free port of 127.0.0.1, waited for, stopped by their process id."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

__all__ = ["free_port", "nginx_configuration", "served", "wait_for_port"]

SECONDS = 30.0
_NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
worker_processes {workers};
{main}
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_session_cache off;
        ssl_session_tickets off;
        {server}
    }}
}}
"""


def nginx_configuration(
    folder: Path,
    port: int,
    certificate: Path,
    key: object,
    *,
    server: str,
    passed: Iterable[str] = (),
    workers: int = 2,
    user: str = "root",
    main: str = "",
) -> str:
    """Of an nginx all of whose files are in ``folder``, and of whose handshakes none is a resumption.
    ``passed``: variables that workers keep; ``user``: whose the workers are, where this process may choose;
    ``main``, ``server``: lines of these places."""
    chosen = [f"user {user};"] if os.geteuid() == 0 else []
    lines = [*chosen, main, *(f"env {name};" for name in passed)]
    return _NGINX.format(
        folder=folder, port=port, certificate=certificate, key=key, server=server, workers=workers,
        main="\n".join(lines),
    )  # fmt: skip


def free_port() -> int:
    """A port that was free a moment ago, for servers that cannot choose one themselves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when something listens; raises ``RuntimeError`` with the log when the process ends before."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"ended with {process.returncode}: {log.read_text()}")
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens on port {port}: {log.read_text()}")


@contextlib.contextmanager
def served(
    command: Sequence[str | Path], port: int, *, environment: Mapping[str, str], folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server in the foreground; standard output and error go to ``server.log`` in ``folder``."""
    log = folder / "server.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            list(map(str, command)),
            env=dict(environment), cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
    try:
        wait_for_port(port, process, log)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            # Its children too: they are in the session that we made.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
