"""A package index on 127.0.0.1 that wants a password: what pip reads and twine uploads to."""

from __future__ import annotations

import base64
import io
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["WHEEL", "PackageIndex", "wheel"]

WHEEL = "hem_test_package-1.0-py3-none-any.whl"


def wheel() -> bytes:
    """The smallest wheel there is."""
    data = io.BytesIO()
    info = "hem_test_package-1.0.dist-info"
    files = {
        "hem_test_package.py": "answer = 42\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: hem-test-package\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(data, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return data.getvalue()


class PackageIndex:
    """Serves ``WHEEL`` to, and takes uploads from, whoever has the password; as context manager."""

    def __init__(self, user: str, password: str) -> None:
        expected = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self.uploads: list[bytes] = []
        index = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def answer(self, status, data=b"", kind="text/html", **headers):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(data)

            def allowed(self):
                if self.headers.get("Authorization") == expected:
                    return True
                self.answer(401, WWW_Authenticate='Basic realm="packages"')
                return False

            def do_GET(self):
                if self.allowed():
                    if self.path.endswith(".whl"):
                        self.answer(200, wheel(), "application/octet-stream")
                    else:
                        self.answer(200, f'<a href="/files/{WHEEL}">{WHEEL}</a>'.encode())

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.allowed():
                    index.uploads.append(body)
                    self.answer(200)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
