"""A time stamp authority (RFC 3161) of a test: OpenSSL answers, a server on 127.0.0.1 hands over."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

__all__ = ["time_stamps"]

_CONFIGURATION = """
[tsa]
default_tsa = here
[here]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
ess_cert_id_chain = no
ess_cert_id_alg = sha256
[req]
distinguished_name = name
prompt = no
x509_extensions = extensions
[name]
CN = Time stamps of a test
[extensions]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
subjectKeyIdentifier = hash
"""


def _run(*command: str | Path) -> bytes:
    return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout


@contextlib.contextmanager
def time_stamps(folder: Path) -> Iterator[tuple[str, bytes, list[bytes]]]:
    """While the block lasts: its URL, its certificate in PEM, and the requests that came in so far."""
    configuration = folder / "tsa.cnf"
    configuration.write_text(_CONFIGURATION.format(folder=folder))
    (folder / "serial").write_text("01\n")
    _run(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc",
        "-days", "30", "-config", configuration, "-keyout", folder / "tsa.key", "-out", folder / "tsa.pem",
    )  # fmt: skip
    came: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = folder / f"{len(came)}.tsq"
            came.append(self.rfile.read(int(self.headers["Content-Length"])))
            query.write_bytes(came[-1])
            answer = _run("openssl", "ts", "-reply", "-config", configuration, "-queryfile", query)
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", (folder / "tsa.pem").read_bytes(), came
        finally:
            server.shutdown()
            thread.join()
