"""What a command needs around it: a package index that wants a password, an nginx, keys in files."""

from __future__ import annotations

import base64
import contextlib
import io
import shutil
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
from tools.servers import free_port, nginx_configuration, served

__all__ = ["gpg_home", "package_index", "served_nginx", "ssh_agent"]

#: Seconds for an agent to listen, and to end.
_PATIENCE = 30
_WHEEL = "example-1.0-py3-none-any.whl"


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
    passed = [name for name in environment if name.startswith(("HEM_", "XDG_", "OPENSSL_"))]
    server = "location / { return 204; }"
    file.write_text(
        nginx_configuration(folder, port, certificate, key, server=server, passed=passed, workers=1)
    )
    context = ssl.create_default_context(cafile=str(certificate))

    def handshake() -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as raw:
            with context.wrap_socket(raw, server_hostname="localhost") as tls:
                tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
                if not tls.recv(4096).startswith(b"HTTP/1.1 204"):
                    raise OSError("nginx does not answer")

    command: list[str | Path] = ["nginx", "-p", folder, "-c", file]
    with served(command, port, environment=environment, folder=folder):
        yield handshake


@contextlib.contextmanager
def ssh_agent(folder: Path, key: Path, environment: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """``environment`` with OpenSSH's own agent, which holds the key of a file."""
    own = {**environment, "SSH_AUTH_SOCK": str(folder / "agent")}
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", own["SSH_AUTH_SOCK"]], env=dict(environment),
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)  # fmt: skip
    try:
        end = time.monotonic() + _PATIENCE
        while not Path(own["SSH_AUTH_SOCK"]).exists() and time.monotonic() < end:
            time.sleep(0.02)
        run_command(["ssh-add", "-q", key], own)
        yield own
    finally:
        agent.terminate()
        agent.wait(_PATIENCE)


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
