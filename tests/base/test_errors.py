"""Every error of ours survives the way to another process, and is where users look for it."""

from __future__ import annotations

import copy
import inspect
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from support.exceptions import our_exceptions

import hem_provider
from hem_provider import errors


def made(kind):
    """One of the class, with the arguments that its constructor wants."""
    wanted = inspect.signature(kind.__init__).parameters
    given = {"size": 3000, "limit": 2048, "status": 500, "rv": 5, "function": "C_Sign", "reason": "what"}
    named = {name: given[name] for name in wanted if name in given}
    if any(each.kind is each.VAR_POSITIONAL for each in wanted.values()) or "message" in wanted:
        return kind("what happened", **named)
    return kind(**named) if named else kind("what happened")


@pytest.mark.parametrize("kind", our_exceptions(), ids=lambda each: each.__qualname__)
@pytest.mark.parametrize("way", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy])  # noqa: S301
def test_every_exception_can_be_pickled_and_copied(kind, way):
    error = made(kind)
    error.add_note("seen in a worker")
    again = way(error)
    assert type(again) is kind
    assert str(again) == str(error)
    assert again.__dict__ == error.__dict__
    assert again.args == error.args


def too_long():
    raise errors.MessageTooLong("3000 bytes", size=3000, limit=2048)


def test_a_worker_that_raises_does_not_break_its_pool():
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        for _ in range(2):
            with pytest.raises(errors.MessageTooLong, match="3000 bytes") as caught:
                pool.submit(too_long).result(timeout=60)
            assert (caught.value.size, caught.value.limit) == (3000, 2048)


def test_errors_are_importable_from_the_top():
    for name in errors.__all__:
        assert getattr(hem_provider, name) is getattr(errors, name)
        assert name in hem_provider.__all__
    assert {"connect", "Hem", "Key"} <= set(dir(hem_provider))
    assert hem_provider.Key.__name__ == "Key"
