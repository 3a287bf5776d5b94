"""The emulator with network ports: device over HTTPS and HTTP, cloud over HTTPS, until it is told to stop."""

from __future__ import annotations

import errno
import functools
import glob
import json
import os
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from hem_provider.emulator import lifecycle, tls
from hem_provider.emulator.inprocess import EmulatedDevice
from hem_provider.emulator.listener import Listener, WsgiApplication
from hem_provider.emulator.quirks import Q
from hem_provider.emulator.state import Tls
from hem_provider.emulator.wsgi import Environ, StartResponse

__all__ = ["AccessLog", "EmulatorServer", "Ports", "load_context"]

#: Age in seconds from which a temporary file has no writer any more.
_LEFT_BEHIND_AFTER = 60.0


@dataclass(frozen=True, slots=True)
class Ports:
    """TCP ports on 127.0.0.1; 0 takes a free one, ``None`` the one that the state file remembers, as long as
    nobody else has it."""

    https: int | None = None
    http: int | None = None
    cloud: int | None = None


def load_context(material: Tls, minimum: ssl.TLSVersion) -> ssl.SSLContext:
    """A server context for a key and chain."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = minimum
    with _readable(material.key + material.chain) as name:
        context.load_cert_chain(name)
    return context


@contextmanager
def _readable(text: str) -> Iterator[str]:
    """A name by which this process can read the text: of memory, where the system can (memfd_create(2)), so
    that no key is left on a disk when it is killed; else of a temporary file (0600)."""
    if hasattr(os, "memfd_create"):
        handle = os.memfd_create("tls")
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            if Path(name := f"/proc/self/fd/{handle}").exists():  # not in some containers
                yield name
                return
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(text)
        file.flush()
        yield file.name


class AccessLog:
    """One JSON line per request, written and flushed before the answer leaves: ``t`` (Unix seconds of its
    beginning), ``port``, ``method``, ``path``, ``status`` and ``ms`` (what it took)."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._lock = threading.Lock()

    def wrap(self, application: WsgiApplication, port: str) -> WsgiApplication:
        """The application with its requests logged under the name ``port``."""

        def logged(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            started = time.time()
            status = 0

            def note(line: str, headers: list[tuple[str, str]], *rest: object) -> object:
                nonlocal status
                status = int(line.split(" ")[0])
                return start_response(line, headers, *rest)

            try:
                return application(environ, note)
            finally:
                entry = {
                    "t": round(started, 6),
                    "port": port,
                    "method": environ["REQUEST_METHOD"],
                    "path": environ["PATH_INFO"],
                    "status": status,
                    "ms": round((time.time() - started) * 1000, 3),
                }
                with self._lock:
                    self._file.write(json.dumps(entry) + "\n")
                    self._file.flush()

        return logged


class EmulatorServer:
    """A device with listening ports. ``start`` returns once they accept connections."""

    def __init__(
        self,
        device: EmulatedDevice,
        *,
        ports: Ports,
        names: Sequence[str] = tls.DEFAULT_NAMES,
        access_log: IO[str] | None = None,
        host: str = "127.0.0.1",
        called: str = "",
        openapi: bool = False,
    ) -> None:
        """``names``: of the device's certificate; the cloud's has them too, beside its own. ``called``: the
        device's host name where it is one of several, which log and ready line tell then. ``openapi``: the
        device's ports have its document as well."""
        self.called = called
        self.device = device
        self.ca_file = Path(f"{device.store.path}.ca.pem")
        self._contexts: tuple[tuple[Tls, bool], ssl.SSLContext] | None = None
        self._prepare(names)
        log = AccessLog(access_log).wrap if access_log else _unlogged
        of = f"{called} " if called else ""
        application = device.published if openapi else device.device
        device_port = functools.partial(Listener, host=host, admission=self._admission)
        cloud_port = functools.partial(Listener, host=host, context=self._cloud_context)
        openers = {
            "https": functools.partial(
                device_port, log(application, f"{of}https"), context=self._device_context
            ),
            "http": functools.partial(device_port, log(application, f"{of}http")),
            "cloud": functools.partial(cloud_port, log(device.cloud, f"{of}cloud")),
        }
        self._listeners = [
            self._opened(name, opener, getattr(ports, name)) for name, opener in openers.items()
        ]
        self.https, self.http, self.cloud = (
            f"{scheme}://{host}:{listener.port}"
            for scheme, listener in zip(("https", "http", "https"), self._listeners, strict=True)
        )

    def _opened(self, name: str, opener: Callable[..., Listener], told: int | None) -> Listener:
        """The listener of this name; the state file remembers its first port, and any that was told."""
        model = self.device.model
        with model.transaction():
            kept = model.state.knobs.ports.get(name)
        try:
            listener = opener(port=(kept or 0) if told is None else told)
        except OSError as error:
            if told is not None or kept is None or error.errno != errno.EADDRINUSE:
                raise
            return opener(port=0)
        if told or (told is None and kept is None):
            with model.transaction():
                knobs = model.state.knobs
                ports = {**knobs.ports, name: listener.port}
                model.state = replace(model.state, knobs=replace(knobs, ports=ports))
        return listener

    def _prepare(self, names: Sequence[str]) -> None:
        """Write the CA file and give the factory certificate these names."""
        model = self.device.model
        with model.transaction():
            authority = model.state.knobs.ca
            if authority is None:
                authority = tls.make_authority()
                model.state = replace(model.state, knobs=replace(model.state.knobs, ca=authority))
            current = model.state.tls
            if current is not None and not tls.serves(current.chain, authority.chain, names):
                renewed = tls.issue(authority, names, key=current.key)
                lifecycle.install_tls(model, renewed)
                model.change_boot(tls=renewed)
        self._cloud = load_context(
            tls.issue(authority, tuple(dict.fromkeys((*names, *tls.DEFAULT_NAMES)))), ssl.TLSVersion.TLSv1_2
        )
        _replace(Path(self.ca_file), authority.chain)

    def _admission(self) -> float | None:
        """The device's limit for a request (``http_option_dosprot_mode``, units of half a second); ``None``
        when it is off."""
        model = self.device.model
        with model.transaction():
            if not model.answers:
                return None
            return 0.5 * model.config.dosprot if model.config is not None else 0.0

    def _device_context(self) -> ssl.SSLContext | None:
        """The context for what the device loaded at its last start; ``None`` when it has no certificate."""
        model = self.device.model
        with model.transaction():
            loaded, old_tls = model.boot.tls, model.switches.on(Q.TLS_1_2)
        if loaded is None:
            return None
        if self._contexts is None or self._contexts[0] != (loaded, old_tls):
            minimum = ssl.TLSVersion.TLSv1_2 if old_tls else ssl.TLSVersion.TLSv1_3
            self._contexts = ((loaded, old_tls), load_context(loaded, minimum))
        return self._contexts[1]

    def _cloud_context(self) -> ssl.SSLContext:
        return self._cloud

    @property
    def ready_line(self) -> str:
        """The line for programs on standard output."""
        state = self.device.store.path
        name = f"name={self.called} " if self.called else ""
        places = f"https={self.https} http={self.http} cloud={self.cloud} ca={self.ca_file} state={state}"
        return f"ready {name}{places}"

    def start(self) -> None:
        """Begin to accept connections on every port."""
        for listener in self._listeners:
            listener.start()

    def stop(self) -> None:
        """Close all ports, then the device."""
        for listener in self._listeners:
            listener.stop()
        self.device.close()


def _replace(path: Path, text: str) -> None:
    """Put the text in the place of the file, whole: clients may be reading it."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):  # by processes that were killed
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _LEFT_BEHIND_AFTER:
                left.unlink()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(temporary, flags, 0o644), "w") as file:
            file.write(text)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _unlogged(application: WsgiApplication, _port: str) -> WsgiApplication:
    return application
