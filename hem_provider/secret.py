"""Secret bytes that several users may hold, overwritten when the last of them lets go.

Each user has a ``Lease``. Whoever made the secret, and every operation that works with it, ends its
own lease; nobody can take the bytes from under another. A lease that has ended reads nothing: it
raises, and never gives bytes that are half overwritten.

There is no lock, so that a process that was forked in the middle of anything can go on: the buffer
is first taken out of reach, then overwritten, and a reader looks after copying whether it still is
the one in reach. Copies that Python or a library makes of what was read cannot be overwritten.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Lease", "SecretGone", "hold", "hold_in"]


class SecretGone(Exception):
    """The secret was overwritten, or this user has let go of it."""


class _Secret:
    """The buffer and its users."""

    __slots__ = ("buffer", "users")

    def __init__(self, buffer: bytearray | memoryview) -> None:
        self.buffer: bytearray | memoryview | None = buffer
        self.users: set[int] = set()  # identities of leases: holding those would keep them alive

    def overwrite(self) -> None:
        buffer, self.buffer = self.buffer, None
        if buffer is not None:
            buffer[:] = bytes(len(buffer))

    def __del__(self) -> None:
        self.overwrite()


class Lease:
    """One user's hold on a secret; made by ``hold`` and ``share``. ``size``: in bytes."""

    __slots__ = ("_ended", "_secret", "size")

    def __init__(self, secret: _Secret, size: int) -> None:
        self._secret = secret
        self._ended = False
        self.size = size
        secret.users.add(id(self))

    def read(self) -> bytes:
        """A copy of the secret. Raises ``SecretGone``."""
        secret = self._secret
        buffer = secret.buffer
        if buffer is None or self._ended:
            raise SecretGone
        value = bytes(buffer)
        if secret.buffer is not buffer:  # overwritten meanwhile, perhaps while it was copied
            raise SecretGone
        return value

    @contextmanager
    def lent(self) -> Iterator[bytearray | memoryview]:
        """The secret itself for a moment, where even a copy would stay about; not to be changed.
        Raises ``SecretGone``, also at the end when it was overwritten meanwhile: what was made of it
        is worthless then."""
        buffer = self._secret.buffer
        if buffer is None or self._ended:
            raise SecretGone
        yield buffer
        if self._secret.buffer is not buffer:
            raise SecretGone

    def share(self) -> Lease:
        """A lease for another user. Raises ``SecretGone``."""
        if self._ended:
            raise SecretGone
        other = Lease(self._secret, self.size)
        if self._secret.buffer is None:  # the last user let go before the new one was counted
            raise SecretGone
        return other

    @property
    def ended(self) -> bool:
        """Whether there is nothing to be read any more."""
        return self._ended or self._secret.buffer is None

    def end(self) -> None:
        """Let go. The last user's end overwrites the secret; ending twice is harmless."""
        self._ended = True
        users = self._secret.users
        users.discard(id(self))
        if not users:
            self._secret.overwrite()

    def overwrite(self) -> None:
        """Overwrite the secret now, whoever holds it: their leases have ended as well."""
        self._ended = True
        self._secret.overwrite()

    def __del__(self) -> None:
        self.end()

    def __repr__(self) -> str:
        return f"<Lease of {self.size} secret bytes{', ended' if self.ended else ''}>"

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled or copied")


def hold(value: bytes) -> Lease:
    """Keep a copy of ``value``: the lease of its first user."""
    return Lease(_Secret(bytearray(value)), len(value))


def hold_in(memory: memoryview) -> Lease:
    """Keep what stands in ``memory``, which is of the caller's choice: the lease of its first user."""
    return Lease(_Secret(memory), len(memory))
