"""The agent's listening sockets: its own, the service manager's, or those it had before it started itself
anew."""

from __future__ import annotations

import errno
import os
import shlex
import socket
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from hem_provider.config.agentplace import SSH_SOCKET, agent_socket, ssh_socket_of
from hem_provider.errors import HemConfigError
from hem_provider.files import make_private, runtime_place, take_lock
from hem_provider.records import frozen

__all__ = ["KEPT", "MOST_PATH", "Listeners", "open_listeners", "own_socket", "remove_dead"]

#: Bytes of a Unix socket's path (unix(7)).
MOST_PATH = 107
#: Connections that wait to be accepted; the system cuts it to what it allows.
_BACKLOG = 4096
#: Where a started-anew agent finds what it had: descriptors of ``rest``, ``ssh`` (or -1) and the lock.
KEPT = "HEM_AGENTKEPT"
#: Of the service manager (sd_listen_fds(3)).
_FIRST_HANDLE = 3


@frozen
class Listeners:
    """``rest`` and ``ssh`` listen. ``lock``: the descriptor that keeps a second agent away; ``None`` where
    the service manager does. ``own``: their files are ours to remove."""

    rest: socket.socket
    ssh: socket.socket | None
    lock: int | None
    own: bool

    @property
    def rest_path(self) -> str:
        """Of the socket for the device's API."""
        return str(self.rest.getsockname())

    @property
    def ssh_path(self) -> str | None:
        """Of the ssh-agent's."""
        return None if self.ssh is None else str(self.ssh.getsockname())

    def _has_lock(self) -> bool:
        """Whether the files are still this agent's: where the folder was removed meanwhile, another agent
        may have made its own in its place."""
        if self.lock is None:
            return False
        with suppress(OSError):
            return os.path.samestat(os.fstat(self.lock), _lock_of(Path(self.rest_path)).lstat())
        return False

    def keep(self) -> dict[str, str]:
        """What the environment of a program needs that this process becomes, to have them."""
        kept = [
            self.rest.fileno(),
            -1 if self.ssh is None else self.ssh.fileno(),
            -1 if self.lock is None else self.lock,
        ]
        for each in kept:
            if each >= 0:
                os.set_inheritable(each, True)
        return {KEPT: " ".join(map(str, [*kept, int(self.own)]))}

    def close(self, *, for_one_command: bool = False) -> None:
        """Listen no more; our own files go. ``for_one_command``: the folder, too, was made for this agent,
        and who made it may be gone."""
        folder = Path(self.rest_path).parent
        own = self.own and self._has_lock()
        for each in filter(None, (self.rest, self.ssh)):
            path = each.getsockname()
            each.close()
            if own:
                with suppress(OSError):
                    os.unlink(path)  # noqa: PTH108
        if self.lock is not None:
            os.close(self.lock)
        if for_one_command and own:
            with suppress(OSError):
                for left in folder.glob("agent.*"):
                    left.unlink()
                folder.rmdir()


def open_listeners(environment: Mapping[str, str], *, ssh: bool) -> Listeners:
    """The sockets to listen on. ``HemConfigError`` when another agent has them, or no folder is safe."""
    if KEPT in environment:
        return _kept(environment[KEPT])
    if environment.get("LISTEN_PID") == str(os.getpid()):
        return _handed_over(int(environment.get("LISTEN_FDS", "0")), ssh=ssh)
    path = own_socket()
    try:
        lock = take_lock(_lock_of(path), "the agent's lock", 0.0)
    except TimeoutError:
        raise HemConfigError(f"another agent is there already ({path}): hem agent status") from None
    try:
        rest = _bound(path)
        other = _bound(ssh_socket_of(path)) if ssh else None
    except BaseException:
        os.close(lock)
        raise
    return Listeners(rest, other, lock, own=True)


def _lock_of(path: Path) -> Path:
    return path.with_suffix(".lock")


def own_socket() -> Path:
    """Where the agent is to listen, in a folder that nobody else may write. ``HemConfigError`` if there is
    none."""
    path = agent_socket()
    folder = Path(runtime_place()) if path is None else path.parent
    try:
        make_private(folder)
    except OSError as error:
        raise HemConfigError(
            f"{folder}: {error.strerror}; the agent's sockets need a folder that you alone may write "
            f"(chmod 700 {shlex.quote(str(folder))}, or another XDG_RUNTIME_DIR)"
        ) from None
    if path is None:
        raise HemConfigError("no agent is started by a process with raised privileges")
    return path


def _bound(path: Path) -> socket.socket:
    if len(os.fsencode(path)) > MOST_PATH:
        raise HemConfigError(
            f"{path}: {len(os.fsencode(path))} bytes; a socket's path has at most {MOST_PATH}: "
            "choose a shorter XDG_RUNTIME_DIR or HEM_AGENT_SOCK"
        )
    remove_dead(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise HemConfigError(f"{path}: {error.strerror}") from None
    finally:
        os.umask(before)
    return listener


def remove_dead(path: Path, advice: str = "hem agent status") -> None:
    """Remove a socket that a dead process of this user left.

    ``HemConfigError`` for what somebody listens on, with ``advice``, for what is no socket, and for a socket
    of another user.
    """
    try:
        seen = path.lstat()
        if not stat.S_ISSOCK(seen.st_mode):
            raise HemConfigError(f"{path} is there and is no socket; it is not ours to remove")
        if seen.st_uid != os.geteuid():
            raise HemConfigError(
                f"{path} is a socket of another user ({seen.st_uid}); it is not ours to remove"
            )
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        result = probe.connect_ex(str(path))
    if result in (0, errno.EAGAIN):
        raise HemConfigError(f"somebody listens on {path} already: {advice}")
    with suppress(FileNotFoundError):
        path.unlink()


def _handed_over(count: int, *, ssh: bool) -> Listeners:
    """Told apart by the names of their files: the ssh-agent's has its own."""
    found: dict[bool, socket.socket] = {}
    for handle in range(_FIRST_HANDLE, _FIRST_HANDLE + count):
        os.set_inheritable(handle, False)
        listener = socket.socket(fileno=handle)
        if listener.family != socket.AF_UNIX or listener.type != socket.SOCK_STREAM:
            raise HemConfigError(f"descriptor {handle} of the service manager is no Unix stream socket")
        found[Path(str(listener.getsockname())).name == SSH_SOCKET] = listener
    if False not in found:
        raise HemConfigError(f"the service manager hands over {count} sockets, and none for the device's API")
    if True in found and not ssh:
        found[True].close()
    return Listeners(found[False], found.get(True) if ssh else None, None, own=False)


def _kept(text: str) -> Listeners:
    rest, ssh, lock, own = map(int, text.split())
    for each in (rest, ssh, lock):
        if each >= 0:
            os.set_inheritable(each, False)
    return Listeners(
        socket.socket(fileno=rest),
        socket.socket(fileno=ssh) if ssh >= 0 else None,
        lock if lock >= 0 else None,
        own=bool(own),
    )
