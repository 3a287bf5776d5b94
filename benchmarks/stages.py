"""What a command needs around it: a package index that wants a password, an nginx, keys in files."""

from __future__ import annotations

import base64
import contextlib
import io
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from benchmarks.commands import run_command

__all__ = ["PATIENCE", "free_port", "gpg_home", "package_index", "served_nginx", "ssh_agent", "wait_for"]

#: Seconds for a server to listen, and to end.
PATIENCE = 30
_WHEEL = "example-1.0-py3-none-any.whl"
_NGINX = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes 1; {user}
{environment}
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    server {{
        listen 127.0.0.1:{port} ssl; ssl_certificate {certificate}; ssl_certificate_key {key};
        ssl_session_cache off; ssl_session_tickets off;
        location / {{ return 204; }}
    }}
}}
"""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    """Until somebody listens there; ``OSError`` when nobody does."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return


@contextlib.contextmanager
def package_index(user: str, password: str) -> Iterator[str]:
    """The URL of an index with one package, ``example``, for whoever has the password."""
    expected = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    package = _wheel()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            allowed = self.headers.get("Authorization") == expected
            page = f'<a href="/files/{_WHEEL}">{_WHEEL}</a>'.encode()
            body = (package if self.path.endswith(".whl") else page) if allowed else b""
            self.send_response(200 if allowed else 401)
            if not allowed:
                self.send_header("WWW-Authenticate", 'Basic realm="packages"')
            self.send_header("Content-Type", "text/html" if body == page else "application/octet-stream")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/simple/"
    finally:
        server.shutdown()
        server.server_close()


def _wheel() -> bytes:
    data, info = io.BytesIO(), "example-1.0.dist-info"
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("example.py", "")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: example\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return data.getvalue()


@contextlib.contextmanager
def served_nginx(
    folder: Path, certificate: Path, key: str, environment: Mapping[str, str]
) -> Iterator[Callable[[], None]]:
    """A full TLS handshake, and a request, with an nginx whose key is ``key``."""
    folder.mkdir(parents=True)
    port, file = free_port(), folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    passed = "\n".join(
        f"env {name};" for name in environment if name.startswith(("HEM_", "XDG_", "OPENSSL_"))
    )
    file.write_text(
        _NGINX.format(
            folder=folder, user=user, environment=passed, port=port, certificate=certificate, key=key
        )
    )
    context = ssl.create_default_context(cafile=str(certificate))

    def handshake() -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as raw:
            with context.wrap_socket(raw, server_hostname="localhost") as tls:
                tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
                if not tls.recv(4096).startswith(b"HTTP/1.1 204"):
                    raise OSError("nginx does not answer")

    with _served(["nginx", "-p", str(folder), "-c", str(file)], folder / "log", environment):
        wait_for(port)
        yield handshake


@contextlib.contextmanager
def ssh_agent(folder: Path, key: Path, environment: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """``environment`` with OpenSSH's own agent, which holds the key of a file."""
    own = {**environment, "SSH_AUTH_SOCK": str(folder / "agent")}
    with _served(["ssh-agent", "-D", "-a", own["SSH_AUTH_SOCK"]], folder / "ssh-agent.log", environment):
        end = time.monotonic() + PATIENCE
        while not Path(own["SSH_AUTH_SOCK"]).exists() and time.monotonic() < end:
            time.sleep(0.02)
        run_command(["ssh-add", "-q", key], own)
        yield own


@contextlib.contextmanager
def gpg_home(folder: Path, environment: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """``environment`` with a GnuPG of its own, which has a key called ``ada`` in a file."""
    folder.mkdir(mode=0o700)
    own = {**environment, "GNUPGHOME": str(folder)}
    gpg = ["gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]
    run_command([*gpg, "--quick-generate-key", "ada", "ed25519", "sign"], own)
    try:
        yield own
    finally:
        run_command(["gpgconf", "--kill", "all"], own)
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _served(command: list[str], log: Path, environment: Mapping[str, str]) -> Iterator[None]:
    with log.open("wb") as stream:
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env=dict(environment)
        )
        try:
            yield
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(PATIENCE)
