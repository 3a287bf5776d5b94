"""The few calls to an agent that are no device's: its state, locking, stopping, and unlocking it."""

from __future__ import annotations

import array
import base64
import hmac
import json
import os
import socket
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hem_provider import errors
from hem_provider.agent.streams import peer_of
from hem_provider.config.agentplace import DEVICES, agent_socket
from hem_provider.config.passphrase import doubt
from hem_provider.device.relay import Kdf, credential_seed
from hem_provider.errors import HemAuthenticationError, HemDeviceFault, HemError, HemUnreachable

__all__ = ["AgentCalls", "kdf_called"]

#: Seconds for an answer: a login of real hardware takes 2.5, and others may be before it.
_PATIENCE = 90.0
#: Seconds for what it answers of itself.
_SOON = 5.0


class AgentCalls:
    """``path`` of its socket, by default where this user's agent listens."""

    def __init__(self, path: Path | None = None, *, patience: float = _PATIENCE) -> None:
        self.path = agent_socket() if path is None else path
        self._patience = patience

    def status(self) -> dict[str, Any]:
        """What the agent says of itself. ``HemUnreachable`` where none runs or answers within 5 s."""
        patience = min(self._patience, _SOON)
        try:
            return self._call("GET", "/status", patience=patience)
        except _CutError:  # it has just been locked, and starts anew with the same socket
            return self._call("GET", "/status", patience=patience)

    def lock(self) -> None:
        """Make it forget everything until it is unlocked."""
        self._call("POST", "/lock")

    def stop(self) -> None:
        """End it."""
        self._call("POST", "/stop")

    def eid(self, device: str) -> str:
        """The identity of a device that a passphrase is to be derived for. One call to the device."""
        return str(self._call("GET", f"{DEVICES}{quote(device, safe='')}/unlock")["eid"])

    def unlock(self, device: str, passphrase: str, kdf: Kdf = Kdf.PBKDF2) -> None:
        """Derive here what the passphrase is for the device, and hand it over in a memory file: the
        passphrase stays in this process. ``HemAuthenticationError`` when the device does not accept it."""
        eid = self.eid(device)
        key = os.urandom(32)
        told = {
            "eid": eid,
            "doubt": doubt(passphrase),
            "pin_key": base64.b64encode(key).decode(),
            "pin_mac": base64.b64encode(hmac.digest(key, passphrase.encode(), "sha256")).decode(),
        }
        handle = os.memfd_create("hem-credential", os.MFD_CLOEXEC)
        try:
            os.write(handle, credential_seed(passphrase, eid, kdf))
            self._call("POST", f"{DEVICES}{quote(device, safe='')}/unlock", told, handle)
        finally:
            os.close(handle)

    def unlock_by_phone(self, device: str) -> None:
        """Have the agent ask on the phone. ``HemAuthenticationError`` when that is refused."""
        self._call("POST", f"{DEVICES}{quote(device, safe='')}/unlock", {"by": "phone"})

    def unlock_by_source(self, device: str) -> None:
        """Have the agent unlock it from the configured file or command. ``HemAuthenticationError`` with the
        reason when that fails."""
        self._call("POST", f"{DEVICES}{quote(device, safe='')}/unlock", {"by": "source"})

    def _call(
        self,
        method: str,
        path: str,
        content: dict[str, Any] | None = None,
        handle: int | None = None,
        patience: float | None = None,
    ) -> dict[str, Any]:
        if self.path is None:
            raise HemUnreachable(
                "no agent can be looked for: there is no folder for its socket", code="E-AGENT-NONE"
            )
        patience = self._patience if patience is None else patience
        with closing(_UnixConnection(str(self.path), patience, handle)) as connection:
            try:
                connection.request(method, path, json.dumps(content or {}).encode())
                response = connection.getresponse()
                answer = json.loads(response.read() or b"{}")
            except (FileNotFoundError, ConnectionRefusedError):  # nobody listens
                told = f"no agent runs ({self.path}): hem agent start"
                raise HemUnreachable(told, code="E-AGENT-NONE") from None
            except ConnectionError as error:  # RemoteDisconnected, too
                raise _CutError(f"the agent at {self.path} ended the connection: {error}") from None
            except TimeoutError:
                raise HemUnreachable(
                    f"the agent at {self.path} gives no answer within {patience:g} s"
                ) from None
            except (OSError, HTTPException, ValueError) as error:
                reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
                raise HemUnreachable(f"the agent at {self.path} gives no answer: {reason}") from None
        if response.status == 200 and isinstance(answer, dict):
            return answer
        raise _error(response.status, answer)


_ERRORS: dict[int, type[HemError]] = {
    401: HemAuthenticationError,
    403: HemAuthenticationError,
    503: HemUnreachable,
}


def _error(status: int, answer: Any) -> HemError:
    if not isinstance(answer, dict):
        return HemDeviceFault(f"the agent answers with status {status}")
    kind = getattr(errors, str(answer.get("error")), None) or _ERRORS.get(status, HemDeviceFault)
    fits = isinstance(kind, type) and issubclass(kind, HemError)
    told: HemError = (kind if fits else HemDeviceFault)(str(answer.get("message", answer)))
    code = answer.get("code")
    return told if not isinstance(code, str) else told.like(HemError(code=code))


class _CutError(HemUnreachable):
    """The agent ended the connection without an answer."""


def kdf_called(name: str) -> Kdf:
    """The key derivation of this name."""
    return Kdf(name)


class _UnixConnection(HTTPConnection):
    """``handle`` goes with the first bytes that are sent."""

    def __init__(self, path: str, timeout: float, handle: int | None) -> None:
        super().__init__("agent", timeout=timeout)
        self._path = path
        self._handle = handle

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
        _, uid = peer_of(self.sock)
        if uid != os.geteuid():
            raise HemUnreachable(
                f"{self._path} is another user's ({uid}), and not for this one", code="E-AGENT-SOCKET"
            )

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        handle, self._handle = self._handle, None
        if handle is not None:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [handle]))]
            sent = self.sock.sendmsg([data], rights)
            data = data[sent:]
        self.sock.sendall(data)
