"""What is struck: operations of each layer as rows. Those of the Python interface are of
``support.operations``, those that change the device of ``device.test_outcomes``."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from device.test_outcomes import OPERATIONS as CHANGES
from device.test_outcomes import World as Changing
from device.test_outcomes import prepared
from support import operations
from support.clocks import quick_clock

from campaign.faults.world import World
from hem_provider import errors
from hem_provider.device.auditlog import verify_log
from hem_provider.errors import HemError, HemOutcomeUnknown

__all__ = ["PYTHON", "Operation", "Told", "client"]

_SYMMETRIC = frozenset(
    {"wrap", "unwrap", "AES-GCM", "seal", "CMAC", "HMAC with SHA2-256", "HMAC with SHA3-384"}
)
_KEYS = ("sign with ", "exchange", "decapsulate", "public key of ")
_BY_CLIENT = ("sign with Ed25519ph", "sign with Ed448")
#: Name → how many keys more there are.
_MORE = {"derive": 1, "import": 1, "create SECP256R1": 1, "create AES128": 1, "delete": -1}
_numbers = itertools.count()


class Told(Exception):
    """An error as a layer tells it that raises none of ours. ``may_be_made``: of what it was to change."""

    def __init__(self, name: str, *, may_be_made: bool = False) -> None:
        super().__init__(name)
        self.name, self.may_be_made = name, may_be_made


@dataclass(frozen=True, slots=True)
class Operation:
    """``opened``: what uses the device, new and in its block. ``prepare`` gives what ``do`` and ``true`` get
    besides; nothing strikes it, and it asks by a client of its own. ``change``: of the number of keys.
    ``made``: whether the change was made, read behind everybody's back, where the keys do not tell.
    ``again``: with the same client afterwards, in place of ``do``; it is not to be wrong.
    ``warm``: before a mishap that comes while a login is held. ``early``: ``true`` looks at the device as
    the mishap left it, before it is brought back.
    """

    layer: str
    name: str
    opened: Callable[[World], AbstractContextManager[Any]]
    do: Callable[[Any, World, Any], Any]
    true: Callable[[Any, World, Any], bool]
    prepare: Callable[[World, Any], Any] = lambda _world, _user: None
    change: int = 0
    made: Callable[[World, Any], bool] | None = None
    again: Callable[[Any, World], bool] | None = None
    warm: Callable[[Any, World], None] | None = None
    early: bool = False
    ours: tuple[type[Exception], ...] = (HemError, Told)

    def __str__(self) -> str:
        return f"{self.layer}: {self.name}"

    def name_of(self, error: BaseException) -> str | None:
        """How an error of ours is called; ``None`` for any other."""
        if isinstance(error, Told):
            return error.name
        if not isinstance(error, self.ours):
            return None
        return next(
            each.__name__
            for each in type(error).__mro__
            if not issubclass(each, HemError) or each.__name__ in errors.__all__
        )


def may_be_made(error: BaseException) -> bool:
    """Whether an error leaves open if the change was made."""
    return error.may_be_made if isinstance(error, Told) else isinstance(error, HemOutcomeUnknown)


@contextmanager
def client(world: World) -> Iterator[Any]:
    """A client that knows nothing yet."""
    with world.rig.connect() as hem:
        yield hem


def _layer(name: str) -> str:
    if name in _SYMMETRIC:
        return "symmetric"
    return "keys" if name.startswith(_KEYS) and not name.startswith(_BY_CLIENT) else "REST client"


def _status(hem: Any, _: World, __: Any) -> Any:
    found = hem.status()
    return found.fls_state, found.initialized


def _tells_state(found: Any, world: World, _: Any) -> bool:
    return found in ((world.fails, world.initialised), (0, True))


def _checked_in(hem: Any, world: World) -> bool:
    """As it says that it needs, where a clock is not set."""
    hem.check_in()
    return bool(hem.probe().eid == world.keys.hem.identity.eid)


#: Whose truth depends on what befell the device: name → do, true.
_STATES: dict[str, tuple[Any, Any]] = {
    "status": (_status, _tells_state),
    "self-test": (
        lambda hem, _, __: hem.admin.selftest().fls_state, lambda state, world, _: state in (world.fails, 0)
    ),
    "version": (
        lambda hem, _, __: hem.version(), lambda found, world, _: world.other or found == world.keys.version
    ),
    "probe": (
        lambda hem, _, __: hem.probe().eid,
        lambda eid, world, _: world.other or eid == world.keys.hem.identity.eid,
    ),
}  # fmt: skip


def _of_python(row: operations.Operation) -> Operation:
    do, true = _STATES.get(row.name) or (
        lambda hem, world, _: row.run(hem, world.keys),
        lambda result, world, _: row.true(result, world.keys),
    )
    return Operation(
        _layer(row.name), row.name, client, do, true,
        change=_MORE.get(row.name, 0), again=_checked_in if row.name == "probe" else None,
    )  # fmt: skip


def _short_lived(world: World, _: Any) -> str:
    return str(world.keys.hem.keys.create("AES128", label=f"short-lived {next(_numbers)}").kid)


def _deleted(hem: Any, _: World, kid: str) -> str:
    hem.keys.delete(kid)
    return kid


def _is_gone(kid: str, world: World, _: str) -> bool:
    return kid not in world.kids()


_DELETE = Operation("REST client", "delete", client, _deleted, _is_gone, _short_lived, change=-1)


def _verified(algorithm: str, name: str) -> Operation:
    message = operations.MESSAGE

    def prepare(world: World, _: Any) -> bytes:
        return bytes(world.keys.hem.sign(world.keys.kids[name], message, algorithm))

    return Operation(
        "REST client", f"verify {algorithm}", client,
        lambda hem, world, signature: hem.verify(world.keys.kids[name], message, signature, algorithm),
        lambda result, _, __: result is True,
        prepare,
    )  # fmt: skip


def _compared(hem: Any, world: World, _: Any) -> bool:
    name = "SHA2-256"
    return bool(hem.hmac_verify(world.keys.kids[name], operations.MESSAGE, world.keys.mac[name]))


def _cleared(hem: Any, world: World, token: bytes) -> bytes:
    return bytes(operations.open(hem.keys.get(world.keys.kids["AES256"]), token))


def _sealed(world: World, _: Any) -> bytes:
    return bytes(operations.seal(world.keys.hem.keys.get(world.keys.kids["AES256"]), operations.CLEAR))


def _finished_file(world: World, _: Any) -> str:
    """Of the log: a restart begins another."""
    world.rig.reboot()
    return str(world.keys.hem.audit.files()[-2])


def _log_row(name: str, do: Any, true: Any) -> Operation:
    """``do`` with a client's log and a file's id; ``true`` of its result, the file and the log's key."""
    return Operation(
        "REST client", name, client,
        lambda hem, _, file: do(hem.audit, file),
        lambda found, world, file: bool(
            true(found, world.keys.hem.audit.read(file), world.keys.config.log_key)
        ),
        _finished_file,
        warm=lambda hem, _: hem.audit.key() and None,
    )  # fmt: skip


def _by_hem(name: str, run: Any, truth: Any) -> Operation:
    return Operation(
        "REST client", name, client, lambda hem, world, _: run(hem, world.keys),
        lambda result, world, _: bool(result == truth(world.keys)),
    )  # fmt: skip


_MORE_ROWS = (
    _by_hem(
        "ecdh",
        lambda hem, keys: hem.ecdh(keys.kids["CURVE25519"], keys.peer.public_bytes_raw()),
        lambda keys: keys.secret,
    ),
    _by_hem(
        "wrap by KID",
        lambda hem, keys: hem.wrap(keys.kids["AES256"], operations.CLEAR, "AES256"),
        lambda keys: keys.wrapped,
    ),
    _by_hem(
        "unwrap by KID",
        lambda hem, keys: hem.unwrap(keys.kids["AES256"], keys.wrapped, "AES256"),
        lambda _: operations.CLEAR,
    ),
    _DELETE,
    _verified("Ed25519", "ED25519"),
    _verified("Ed448", "ED448"),
    _log_row("read the log", lambda log, file: log.read(file), lambda found, content, _: found == content),
    _log_row(
        "verify the log",
        lambda log, file: log.verify(file),
        lambda report, content, key: report == verify_log(content, key) and not report.problems,
    ),
    Operation("REST client", "compare a MAC", client, _compared, lambda result, _, __: result is True),
    Operation(
        "symmetric", "open", client, _cleared, lambda result, _, __: bool(result == operations.CLEAR), _sealed
    ),
)


# --- what changes the device itself ---


@contextmanager
def _changing(world: World) -> Iterator[Any]:
    made = Changing(world.rig)
    with made.hem as hem:
        clock = quick_clock()
        hem.admin._clock = hem.certificate._clock = hem.phones.clock = hem.session.mobile._clock = clock
        made.world = world
        yield made


#: What tells whether these happened is a login.
_BY_LOGIN = frozenset({"pair", "unpair"})


def _of_changes(row: Any) -> Operation:
    def prepare(_: World, user: Any) -> Any:
        prepared(user, row)
        return user

    def again(user: Any, _: World) -> bool:
        return bool(user.hem.status().fls_state == 0)

    return Operation(
        "administration", row.name, _changing,
        lambda user, _, __: row.act(user),
        lambda _, __, user: bool(row.happened(user)),
        prepare,
        made=lambda _, user: bool(row.happened(user)),
        again=again,
        early=row.name not in _BY_LOGIN,
        warm=lambda user, _: again(user, _) and None,
    )  # fmt: skip


#: These are tried as operations of the client, or are requests of "install a dashboard".
_AMONG_OTHERS = frozenset({
    "create", "create a secret key", "derive", "import", "update", "delete", "check in", "upload",
    "check of an upload",
})  # fmt: skip

PYTHON = (
    *(_of_python(each) for each in operations.OPERATIONS if each.name != "delete"),
    *_MORE_ROWS,
    *(_of_changes(each) for each in CHANGES if each.name not in _AMONG_OTHERS),
)
