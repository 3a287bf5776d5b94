"""Whose login a session uses: the user's agent's, or its own; and the secret that its caller gave, if one.

The agent is the login where nobody gave a secret, or the very one that it was unlocked by. A session that has
logged in by itself for another reason goes on by itself until it is logged out.
"""

from __future__ import annotations

import threading

from hem_provider.config.login_source import CONFIGURABLE
from hem_provider.config.model import DeviceConfig
from hem_provider.errors import HemError, HemLoginRequired
from hem_provider.perprocess import PerProcess
from hem_provider.rest.agentlink import Agent, AgentAside
from hem_provider.rest.call import Call
from hem_provider.rest.settle import UnsentError
from hem_provider.secret import Lease, hold

__all__ = ["Reliance", "login_needed"]


class Reliance:
    """Of one session. Safe for threads. ``own``, wherever it is asked for: whether the session has derived
    a credential, of whatever secret."""

    def __init__(self, agent: Agent | None, passphrase: str | None) -> None:
        self.agent = agent
        self.given: Lease | None = None  #: until the first challenge tells the eid that it is for
        self.relied = False  #: on the agent, since the last logout
        self.explicit = False  #: whether the credential is of a secret that the caller gave
        self.rejected = False  #: whether such a one was not accepted, and nothing was said since
        self._same: bool | None = None  # whether what was given is what the agent was unlocked by
        self._lock = PerProcess(threading.Lock)
        self.give(passphrase)

    def give(self, passphrase: str | None, *, same: bool | None = None) -> None:
        """Keep what the caller gives, in memory that is overwritten when it is forgotten."""
        self.given = None if passphrase is None else hold(passphrase.encode("utf-8"))
        self.explicit = self.given is not None
        self._same = same

    def look(self) -> str | None:
        """What was given, if a challenge has not told yet what it is for."""
        return None if self.given is None else self.given.read().decode("utf-8")

    def take(self) -> str | None:
        """What was given, which is not kept beside the credential that it becomes."""
        lease, self.given = self.given, None
        if lease is None:
            return None
        text = lease.read().decode("utf-8")
        lease.end()
        return text

    def forget(self) -> None:
        """Nothing was given, and nothing relied on."""
        lease, self.given = self.given, None
        self._same, self.relied, self.explicit, self.rejected = None, False, False, False
        if lease is not None:
            lease.end()

    def refuse(self) -> None:
        """The session goes by itself, until it is logged out."""
        self._same = False

    def reject(self, *, explicit: bool) -> None:
        """A credential was not accepted. ``explicit``: that of what the caller gave; nothing else takes its
        place unless that is asked for."""
        self.rejected = explicit
        if explicit:
            self.refuse()

    def check(self, config: DeviceConfig) -> None:
        """``HemLoginRequired`` where what the caller gave was not accepted."""
        if self.rejected:
            raise HemLoginRequired(
                f"{config.name}: the passphrase that was given was not accepted: login(…) with another one, "
                "or login() with what is configured"
            )

    def begin(self, passphrase: str | None) -> None:
        """A login is asked for, which may be by what is configured (``None``)."""
        if passphrase is None and self.rejected:
            self.forget()

    def share(self, other: Reliance) -> None:
        """Let another session of the same caller have what was given to this one, and no agent."""
        other.agent, other.explicit = None, self.explicit
        if self.given is not None:
            other.given = self.given.share()

    def covers(self, call: Call[object], *, own: bool) -> bool:
        """Whether ``call`` goes through the agent; where it does not although it might, the log says so, or
        an error that is an ``UnsentError`` here. Asks the agent about a secret that was given, once."""
        try:
            return self.leaves(call, own=own)
        except AgentAside as aside:
            try:
                self.aside(aside)
            except HemError as error:
                raise UnsentError(error) from None
            return False

    def leaves(self, call: Call[object], *, own: bool) -> bool:
        """As ``covers``; raises ``AgentAside``."""
        agent = self.agent
        if agent is None or not agent.carries(call) or self._same is False:
            return False
        if call.scopes:
            return self._agrees(agent, own=own)
        return self._same is True or not own

    def aside(self, aside: AgentAside, *, own: bool = False) -> None:
        """Return where the session may go on by itself; otherwise raise why it may not."""
        if self.agent is not None:
            self.agent.aside(aside, given=own or self.given is not None)

    def proves(self, passphrase: str | None, *, own: bool) -> bool:
        """Whether the agent is a login now: unlocked, by ``passphrase`` where one is given."""
        agent = self.agent
        if agent is None:
            return False
        try:
            if not (self._agrees(agent, own=own) if passphrase is None else agent.accepts(passphrase)):
                return False
            agent.require()
        except AgentAside as aside:
            self.aside(aside)
            return False
        return True

    def _agrees(self, agent: Agent, *, own: bool) -> bool:
        with self._lock.get():
            if self._same is None and self.given is not None:
                self._same = agent.accepts(self.given.read().decode("utf-8"))
            return self._same is True or not (own or self.given is not None)


def login_needed(config: DeviceConfig, agent: Agent | None, *, changed: bool) -> HemLoginRequired:
    """What to raise where nothing is at hand to log in with. ``changed``: there was a credential, but the
    device is another one now."""
    wanted = (
        "the device's identity has changed (wiped or replaced): log in again"
        if changed
        else "a login is needed: give passphrase=, call login(), set HEM_PASSPHRASE_FILE, "
        f"or configure {CONFIGURABLE}"
    )
    reason = f" ({agent.reason})" if agent is not None and agent.reason else ""
    return HemLoginRequired(f"{config.name} ({config.url}): {wanted}{reason}")
