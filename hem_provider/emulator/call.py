"""What a handler receives, and the row type of the endpoint table."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hem_provider.emulator.answers import EMPTY, Answer
from hem_provider.emulator.audit import Event
from hem_provider.emulator.device import Device
from hem_provider.emulator.fields import Field
from hem_provider.emulator.http import Request, Response
from hem_provider.emulator.quirks import Q, Switches

__all__ = ["ALL_FLS", "Access", "Bearer", "Call", "Endpoint", "Handler", "Life", "Role", "Rtc", "Status"]

T = TypeVar("T")

ALL_FLS = 0xFF
"""Every bit of the fail state latch (device API §17.1)."""


class Access(enum.Enum):
    """Whether a bearer is needed."""

    NONE = enum.auto()
    BEARER = enum.auto()
    UNLESS_FRESH = enum.auto()
    OPTIONAL = enum.auto()


class Life(enum.Enum):
    """The life-cycle state an endpoint needs."""

    ANY = enum.auto()
    INITIALISED = enum.auto()
    FRESH = enum.auto()


class Rtc(enum.Enum):
    """When an unset clock is refused with 403."""

    NEVER = enum.auto()
    IF_TRUSTED = enum.auto()
    ALWAYS = enum.auto()


class Role(enum.Enum):
    """Who holds a bearer (device API §4.3)."""

    USER = "U"
    MASTER = "M"
    EXTERNAL = "X"


@dataclass(frozen=True, slots=True)
class Bearer:
    """The claims of a verified bearer that matter here."""

    scope: str
    sub: str

    @property
    def role(self) -> Role:
        """Whose it is, by its ``sub``: ``U``, ``M``, or that of a paired authenticator (device API §4.3)."""
        return {"U": Role.USER, "M": Role.MASTER}.get(self.sub, Role.EXTERNAL)


@dataclass(slots=True)
class Call:
    """A request that has passed all checks: its decoded fields, path parameters and bearer."""

    device: Device
    request: Request
    bearer: Bearer | None = None
    path: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def actor(self) -> str:
        """The ``sub`` of the bearer, for the log; empty without one."""
        return self.bearer.sub if self.bearer else ""

    def get(self, name: str, kind: type[T]) -> T:
        """A field that the endpoint requires."""
        value = self.fields[name]
        if not isinstance(value, kind):
            raise TypeError(f"field {name} is not {kind.__name__}")
        return value

    def find(self, name: str, kind: type[T]) -> T | None:
        """A field that may be absent."""
        return self.get(name, kind) if name in self.fields else None


Handler = Callable[[Call], Response]
Status = int | Q | Callable[[Switches], int]
"""A status, the switch that has it, or how the switches give it (0: not at all)."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One row of device API §3. ``{name}`` in the path is one segment; scopes match by prefix, by equality
    after ``=``."""

    method: str
    path: str
    handler: Handler
    access: Access = Access.NONE
    scopes: tuple[str, ...] = ()
    roles: frozenset[Role] = frozenset(Role)
    tls: int = 0
    """Status over plain HTTP, 0 when it is allowed."""
    msc: bool = False
    epa_switch: Q | None = None
    """Switch that says whether an EPA has it; ``None``: it has."""
    life: Life = Life.ANY
    initialised_status: int = 406
    """Status on an initialised device of what only a fresh one does."""
    rtc: Rtc = Rtc.NEVER
    tolerates: int = ALL_FLS
    """Fail state bits that do not block it."""
    busy: tuple[str, ...] = ()
    """Background tasks that block it."""
    fields: tuple[Field, ...] | None = None
    """Body fields; ``None`` when the body is not JSON or there is none."""
    own: tuple[Field, ...] = ()
    """Further body fields, none of them needed, of which a malformed one is not the whole body's fault: the
    handler reads them."""
    auth_first: bool = False
    """Bearer, role and scope are checked before the body."""
    event: Event | None = None
    results: Mapping[int, int] = field(default_factory=dict)
    """Log results that differ from 200 → 0, 406 → 1, 400 → 2."""
    answer: Answer = EMPTY
    """Of a 200."""
    statuses: tuple[Status, ...] = ()
    """What else the handler itself answers, beside what the checks before it do."""
    bodies: Mapping[int, Answer] = field(default_factory=dict)
    """Of those that have one."""
    upload: int = 0
    """Largest raw body in bytes; 0 for JSON bodies."""
