"""A call to a device as a value: everything that an endpoint demands and what its answer means.

The modules of the endpoint groups make such values and check their arguments on the way (``TypeError``,
``ValueError``, ``MessageTooLong``); ``LoginSession.run`` runs them. A call holds no token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import methodcaller
from typing import IO, Any, Generic, TypeVar

from hem_provider.keytypes import KeyType
from hem_provider.records import field, frozen, replace
from hem_provider.rest.answer import Answer
from hem_provider.rest.fields import EMPTY, NOTHING, Asked, Shape
from hem_provider.rest.needs import ANY_KEY, Need
from hem_provider.rest.status import Meanings
from hem_provider.rest.wire import Limit

__all__ = ["Call", "accepted", "done", "the_data", "the_text"]

T_co = TypeVar("T_co", covariant=True)
ValueT = TypeVar("ValueT")


@frozen
class Call(Generic[T_co]):
    """One request to one endpoint. ``path`` is whole; ``body`` becomes JSON.

    ``answer``: the fields of the answer and what they must agree with; what is not there cannot be read.
    ``read``: how the answer, already held against ``answer`` and ``asked``, becomes the value.
    ``form``: the path with ``{}`` for what was asked for, as faults of the answer name it; empty: the path.
    ``scopes``: a token for any of them will do, the first is logged in for; none: no token is sent.
    ``tls_only``: never over plain HTTP (device API §1.2). ``repeatable``: sent twice it does no more than
    once, so that it may be sent again when the answer was lost (§20.4). ``limit``: seconds for all of it,
    or the name of the setting that has them. ``meanings``: of statuses that are errors here;
    ``verdicts``: of statuses that are answers; ``lost``: what an answer that cannot be read means, from
    a device that then tells its status. ``upload`` makes the stream that is sent in place of a body.
    ``is_json``: otherwise ``read`` finds the body as it came. ``is_login``: counted as one. ``kid``: of
    the key that is used; ``needs``: what that must be. ``is_relayed``: the reply itself is the value,
    whatever its status, but for a token that is refused. ``own_way``: never through an agent;
    ``may_be_kept``: what an agent was answered some seconds ago will do.
    """

    method: str
    path: str
    read: Callable[[Answer], T_co]
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    scopes: tuple[str, ...] = ()
    answer: Shape = field(default=EMPTY, repr=False)
    form: str = field(default="", repr=False)
    asked: Asked = field(default=NOTHING, repr=False)
    kid: str = ""
    needs: Need = field(default=ANY_KEY, repr=False)
    tls_only: bool = False
    repeatable: bool = False
    limit: Limit | str = "timeout"
    meanings: Meanings | None = field(default=None, repr=False)
    verdicts: Mapping[int, T_co] | None = field(default=None, repr=False)
    lost: T_co | None = field(default=None, repr=False)
    upload: Callable[[], IO[bytes]] | None = field(default=None, repr=False)
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    is_json: bool = True
    is_login: bool = False
    is_relayed: bool = False
    own_way: bool = False
    may_be_kept: bool = False

    def by(self, *scopes: str) -> Call[T_co]:
        """The same with a token for one of these scopes; with none, without a token, as a
        factory-fresh device takes it."""
        return replace(self, scopes=scopes)

    def of(self, kind: KeyType | None) -> Call[T_co]:
        """The same with a key of this type: the answer must fit it."""
        return self if kind is None else replace(self, asked=replace(self.asked, type=kind))

    def kept(self, will_do: bool = True) -> Call[T_co]:
        """The same, for which an answer from an agent's memory will do, or will not."""
        return replace(self, may_be_kept=will_do)


def the_data(name: str) -> Callable[[Answer], bytes]:
    """A reading of an answer: one field of bytes."""
    return methodcaller("data", name)


def the_text(name: str) -> Callable[[Answer], str]:
    """A reading of an answer: one field of text."""
    return methodcaller("text", name)


def accepted(_: Answer) -> bool:
    """The reading of an answer that says that something verifies."""
    return True


def done(_: Answer) -> None:
    """The reading of an answer that only says that it was done."""
