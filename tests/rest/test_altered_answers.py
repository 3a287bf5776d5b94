"""Whatever an answer holds, an operation's outcome is the true result or an error of ours."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.altering import BODIES, CLAIMS, alterations, altered, paths, value_at
from support.operations import OPERATIONS, Keys
from support.rig import connected
from support.samples import ANSWERS, endpoint_of

from hem_provider.errors import (
    HemAnswerFault,
    HemAuthenticationError,
    HemClockError,
    HemError,
    HemOperationFailed,
    HemOutcomeUnknown,
)

#: In the normal run each field meets one in so many alterations, in turns; all of them in the long one.
SHARE = 17
#: How the addressee of an altered JWT refuses it: that is not ours to see.
REFUSED = (HemAuthenticationError, HemClockError)


@pytest.fixture(scope="module")
def rig(template, tmp_path_factory):
    """One for all tests here, whose answers are altered on the way; ``keys`` are its keys."""
    folder = tmp_path_factory.mktemp("altered")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        with connected(patch, template, folder / "device.hem") as rig:
            with rig.connect() as hem:
                rig.keys = Keys(hem)
                yield rig


@pytest.fixture(scope="module")
def truth(rig, tmp_path_factory):
    """Operation → endpoint → a true answer, of a client that knows nothing yet."""
    found = {}
    for operation in OPERATIONS:
        seen = found[operation.name] = {}

        def note(line, body, seen=seen):
            seen.setdefault(endpoint_of(line), body)
            return body

        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("nothing")))
            with rig.connect() as hem:
                rig.alter = note
                assert operation.true(run(rig, hem, operation), rig.keys), operation.name
    return found


def run(rig, hem, operation):
    """Alterations reach ``hem`` alone: the others' questions are answered truly."""
    try:
        return operation.run(hem, rig.keys)
    finally:
        rig.alter = None


def optional(endpoint, at):
    """Whether the field may be absent, by the table; ``iv`` and ``tag`` only for some modes."""
    shape = ANSWERS.get(endpoint)
    if shape is None or CLAIMS in at or 0 in at or len(at) != 1 or at[0] in ("iv", "tag", "pubkey", "type"):
        return at[-1] in ("descr", "newcrt", "iat", "jti", "aud", "iss") or CLAIMS in at
    return all(each.name != at[0] or not each.needed for each in shape.fields)


def cases(operation, truth, share):
    """Endpoint, place, name of the alteration, and the change of the body."""
    turn = share - 1  # the first one is taken
    for endpoint, body in truth[operation.name].items():
        own = not endpoint.endswith(" /api/auth/token") or operation.name in ("log in", "probe")
        if not own:
            continue
        for name, change in BODIES.items():
            turn += 1
            if turn % share == 0:
                yield endpoint, "body", name, change
        if not body.strip():
            continue
        document = json.loads(body)
        for at in paths(document):
            value = value_at(document, at)
            if at[-1] in operation.skips or CLAIMS in at[-1:]:
                continue
            for name, wrong in alterations(value, at, optional=optional(endpoint, at)).items():
                turn += 1
                if turn % share == 0:
                    yield endpoint, at, name, lambda found, at=at, wrong=wrong: altered(found, at, wrong)


def outcome(rig, operation, endpoint, change, cache):
    """The error, or ``None`` for a true result; fails for anything else. Afterwards all is as it was."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache))
        with rig.connect() as hem:
            rig.alter = lambda line, body: change(body) if endpoint_of(line) == endpoint else body
            try:
                result, error = run(rig, hem, operation), None
            except HemError as raised:
                result, error = None, raised
            if error is None:
                assert operation.true(result, rig.keys), "a wrong result"
                return None
            for client in (hem, rig.connect()):
                with client:
                    assert operation.true(run(rig, client, operation), rig.keys), "wrong afterwards"
    return error


def _in_jwt(at):
    return CLAIMS in at or at[-1] in ("check", "checked")


def _told_otherwise(at, error):
    """Where another error of ours says it: an addressee refuses the JWT; the key has no public half."""
    kind = HemOperationFailed if at == ("pubkey",) else REFUSED if _in_jwt(at) else ()
    return isinstance(error, kind)


#: After these the device is looked at when an answer cannot be true: the look may tell the true result,
#: and where it is altered as well, that nobody can tell.
CHANGES = ("check in", "create", "delete", "derive", "import", "rename")


def check(rig, truth, operation, share, folder):
    """How many alterations were told, or, of operations that change the device, seen through."""
    changes = operation.name.startswith(CHANGES)
    wrong, faults = [], 0
    for number, (endpoint, at, name, change) in enumerate(cases(operation, truth, share)):
        try:
            error = outcome(rig, operation, endpoint, change, folder / str(number))
        except (Exception, pytest.fail.Exception) as unforeseen:
            wrong.append(f"{endpoint} {at} {name}: {type(unforeseen).__name__}: {unforeseen}"[:300])
            continue
        if isinstance(error, HemAnswerFault) or (changes and isinstance(error, HemOutcomeUnknown | None)):
            faults += 1
        elif error is not None and not _told_otherwise(at, error):
            wrong.append(f"{endpoint} {at} {name}: {type(error).__name__}: {error}"[:300])
    assert not wrong, "\n".join(wrong)
    return faults


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_an_operation_on_altered_answers_gives_the_true_result_or_a_fault_of_the_answer(
    rig, truth, operation, tmp_path
):
    assert check(rig, truth, operation, SHARE, tmp_path) > 0


@pytest.mark.long
@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_an_operation_on_every_alteration_gives_the_true_result_or_a_fault(rig, truth, operation, tmp_path):
    assert check(rig, truth, operation, 1, tmp_path) > 10


FUZZED = [each for each in OPERATIONS if each.name in ("log in", "status", "list", "sign with SECP256R1")]


def fuzz(rig, truth, data):
    """Any JSON value in any place: a result or an error of ours. What is plausible may be believed."""
    operation = data.draw(st.sampled_from(FUZZED))
    endpoint = data.draw(st.sampled_from(sorted(truth[operation.name])))
    body = truth[operation.name][endpoint]
    at = data.draw(st.sampled_from([(), *paths(json.loads(body))])) if body.strip() else ()
    value = data.draw(VALUES)
    change = (lambda found: altered(found, at, value)) if at else (lambda _: json.dumps(value).encode())
    rig.alter = lambda line, found: change(found) if endpoint_of(line) == endpoint else found
    with rig.connect() as hem:
        with suppress(HemError):
            run(rig, hem, operation)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=100)
@given(st.data())
def test_no_value_in_any_field_raises_what_is_not_ours(rig, truth, data):
    fuzz(rig, truth, data)


@pytest.mark.long
@given(st.data())
def test_no_value_in_any_field_raises_what_is_not_ours_in_a_long_run(rig, truth, data):
    fuzz(rig, truth, data)


def test_every_field_of_the_table_is_met(truth):
    """Those of the device that the operations read; the tour of all endpoints meets the others."""
    seen = {name for each in truth.values() for name in each}
    asked = {name for name in ANSWERS if name.startswith(("POST /api/crypto/", "GET /api/keymgmt/"))}
    assert asked <= seen
    for name in ("POST /api/keymgmt/create", "POST /api/keymgmt/import", "POST /api/keymgmt/derive"):
        assert name in seen
