"""Base64, answers, tokens in memory, status codes: the pure parts of the REST layer."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.samples import ANSWERS

from hem_provider import errors
from hem_provider.device.tokens import TokenCache
from hem_provider.perprocess import PerProcess
from hem_provider.rest import fields
from hem_provider.rest.answer import Answer, Values
from hem_provider.rest.auth import Bearer
from hem_provider.rest.encoding import b64, b64url, parse_json, unb64
from hem_provider.rest.keyfields import check_kid, check_label
from hem_provider.rest.status import error_for
from hem_provider.rest.wire import Reply


@given(st.binary())
def test_both_alphabets_padded_or_not_are_read(data):
    assert b64(data) == base64.b64encode(data).decode()
    for text in (b64(data), b64url(data), b64(data).rstrip("="), b64url(data) + "=" * (-len(data) % 3)):
        assert unb64(text) == data


@given(st.text(alphabet="AZaz09+/-_= \n!ż", max_size=12))
def test_what_is_not_base64_is_a_value_error_never_something_else(text):
    try:
        data = unb64(text)
    except ValueError:
        return
    assert b64(data).rstrip("=")[:-1] == text.translate(str.maketrans("-_", "+/")).rstrip("=")[:-1]


@given(st.binary(max_size=200))
def test_any_body_is_an_answer_or_a_protocol_error(body):
    try:
        answer = Answer.from_reply(Reply(200, {}, body), "test")
    except errors.HemProtocolError:
        return
    assert isinstance(answer.raw, dict)


@given(st.dictionaries(st.sampled_from(["a", "b"]), st.none() | st.booleans() | st.integers() | st.text()))
def test_any_field_has_its_type_or_is_a_protocol_error(value):
    reply = Reply(200, {}, json.dumps(value).encode())
    for read, needed, reader, kind in (
        (Answer.text, True, fields.text(0, 10), str),
        (Answer.integer, True, fields.integer(-10, 10), int),
        (Answer.data, True, fields.data(most=10), bytes),
        (Answer.jwt, True, fields.jwt(), fields.Jwt),
        (Answer.optional_flag, False, fields.flag, bool | None),
        (Answer.optional_number, False, fields.number(-10, 10), float | None),
        (Answer.texts, False, fields.list_of(fields.text(0, 10), 5), tuple),
        (Answer.objects, False, fields.objects(fields.Shape(), 5), list),
        (Answer.inner, False, fields.object_of(fields.Shape()), Values | None),
    ):
        shape = fields.Shape((fields.Field("a", reader, needed),))
        try:
            assert isinstance(read(Answer.from_reply(reply, "test", shape), "a"), kind)
        except errors.HemAnswerFault as error:
            message = str(error)
        else:
            continue
        assert "'a'" in message


#: Values of any JSON type, those that come near the truth among them.
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=()))
    | st.sampled_from([b64(bytes(size)) for size in (0, 1, 16, 32, 33, 64)])
    | st.sampled_from(["a.b.c", "eyJhIjoxfQ.eyJleHAiOjFlOTl9.AA", "00" * 16, "1:rw", 10**20, -1]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("endpoint", ANSWERS)
@settings(max_examples=25)
@given(data=st.data())
def test_any_values_in_the_fields_of_any_endpoint_are_read_or_are_a_fault_that_names_it(endpoint, data):
    shape = ANSWERS[endpoint]
    value = {each.name: data.draw(VALUES, each.name) for each in shape.fields}
    asked = fields.Asked(algorithm="AES256-CBC", size=32, kid="00" * 16, scope="x", until=10**9, echo="x")
    reply = Reply(200, {}, json.dumps(value).encode())
    try:
        answer = Answer.from_reply(reply, endpoint, shape, asked)
    except errors.HemAnswerFault as error:
        assert str(error).startswith(endpoint)  # noqa: PT017
        assert len(str(error)) < 400  # noqa: PT017
    else:
        assert answer.raw == value


def test_a_field_that_is_not_in_the_table_cannot_be_read():
    answer = Answer.from_reply(Reply(200, {}, b'{"a": 1}'), "test", fields.Shape())
    for read in (answer.text, answer.integer, answer.data, answer.optional_flag, answer.objects, answer.jwt):
        with pytest.raises(KeyError):
            read("a")


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": NaN}', b'{"a": -Infinity}', b'{"a": 1e999}', b'{"a": 1' + b"0" * 5000 + b"}",
        b'{"a": 1, "a": 2}', b'{"a": "\\ud800"}', b'{"\\udfff": 1}', b'{"a": "\xff"}', b"\xef\xbb\xbf{}",
        '{"a": 1}'.encode("utf-16"), b"[" * 100_000, b'{"a": ' + b"[" * 20 + b"]" * 20 + b"}",
        b'{"a": "\x00"}', b"[]", b"null", b'"text"', b"1", b"{} {}", b'{"a": "' + b"x" * 2**20 + b'"}',
    ],
    ids=lambda body: repr(body[:20]),
)  # fmt: skip
def test_json_that_each_reader_takes_otherwise_is_a_fault_of_the_answer(body):
    with pytest.raises(errors.HemAnswerFault) as raised:
        Answer.from_reply(Reply(200, {}, body), "office: GET /x")
    assert str(raised.value).startswith("office: GET /x: ")
    assert len(str(raised.value)) < 200


LEVELS = st.recursive(
    st.integers() | st.text(alphabet='a["{}\\]é', max_size=9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(alphabet='"[{\\', max_size=3), inner),
)


def levels(value):
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(levels, inner), default=0)


@given(LEVELS, st.integers(0, 20), st.booleans())
def test_json_of_up_to_16_levels_is_read_whatever_its_texts_are(value, more, objects):
    for _ in range(more):
        value = {"{[": value} if objects else [value, "[" * 20]
    data = json.dumps(value, ensure_ascii=False).encode()
    if levels(value) <= 16:
        assert parse_json(data) == value
    else:
        with pytest.raises(ValueError, match="too many levels"):
            parse_json(data)


@pytest.mark.parametrize(
    "unit", ["[", '{"a":', '"', '"a', '"\\\\', '"\\"', "[]", '{"[', "]"], ids=lambda unit: unit.strip("\\")
)
def test_json_takes_no_more_stack_and_little_time_whatever_comes(unit):
    """On a thread with 128 KiB of stack, in a process that would go down with it."""
    script = (
        "import sys, threading\nfrom hem_provider.rest.encoding import parse_json\n"
        "def read():\n"
        "    try: parse_json((sys.argv[1] * 300_000).encode())\n"
        "    except ValueError: print('refused')\n"
        "threading.stack_size(128 * 1024); threading.Thread(target=read).start()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, unit], cwd=Path(__file__).parents[2],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "refused\n"), done.stderr


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.HemRequestRefused),
        (401, errors.HemAuthenticationError),
        (403, errors.HemScopeDenied),
        (404, errors.HemRequestRefused),
        (406, errors.HemOperationFailed),
        (409, errors.HemDeviceFault),
        (411, errors.HemRequestRefused),
        (413, errors.HemRequestRefused),
        (418, errors.HemRequestRefused),
        (500, errors.HemDeviceFault),
        (302, errors.HemProtocolError),
        (795, errors.HemProtocolError),
    ],
)
def test_each_status_is_one_error_that_names_the_place(status, kind):
    error = error_for(status, "office: GET /x")
    assert type(error) is kind
    assert str(error).startswith("office: GET /x: ")
    assert f"HTTP {status}" in str(error)


def test_a_refused_operation_is_never_called_a_missing_key():
    assert not isinstance(error_for(406, "x"), errors.HemKeyNotFound)


def test_tokens_are_found_by_exact_scope_in_the_order_asked():
    cache = TokenCache()
    for scope in ("a", "b"):
        cache.add(Bearer(scope, scope, "U", 1000 + 3600), 1000)
    assert cache.find(["c", "b", "a"]).scope == "b"
    assert cache.find(["ab"]) is None


def test_tokens_expire_a_minute_early_in_device_time():
    cache = TokenCache()
    # The device's clock says 1000 + 3541 now: 59 s are left.
    cache.add(Bearer("t", "a", "U", 1000 + 3600), 1000)
    assert cache.find(["a"])
    entry = cache._entries["a"]
    import time

    assert 3539 < entry.deadline - time.monotonic() <= 3540
    cache.add(Bearer("t", "b", "U", 1000 - 1), 1000)
    assert cache.find(["b"]) is None


def test_a_short_token_is_used_for_most_of_its_life():
    import time

    cache = TokenCache()
    cache.add(Bearer("t", "a", "U", 1000 + 60), 1000)
    assert 40 < cache._entries["a"].deadline - time.monotonic() <= 45


def test_tokens_of_an_earlier_boot_are_dropped():
    cache = TokenCache()
    cache.seen_boot("boot")
    cache.add(Bearer("t", "a", "U", 5000), 1000)
    cache.seen_boot("boot")
    assert cache.find(["a"])
    cache.seen_boot("next boot")
    assert cache.find(["a"]) is None


def test_dropping_a_token_leaves_its_successor():
    cache = TokenCache()
    old, new = (Bearer(text, "a", "U", 5000) for text in ("old", "new"))
    cache.add(old, 1000)
    cache.add(new, 1000)
    cache.drop(old)
    assert cache.find(["a"]) is new
    cache.drop(new)
    assert cache.find(["a"]) is None


def test_a_bearers_repr_does_not_show_it():
    assert "secret" not in repr(Bearer("secret", "a", "U", 1))


@given(st.text(alphabet="0123456789abcdefABCDEFg", max_size=40))
def test_kids_are_32_hex_digits(text):
    good = len(text) == 32 and "g" not in text
    if good:
        assert check_kid(text) == text.lower()
    else:
        with pytest.raises(ValueError, match="32 hex digits"):
            check_kid(text)


@given(st.text(max_size=40))
def test_labels_are_1_to_32_printable_ascii(text):
    good = 1 <= len(text) <= 32 and all(32 <= ord(each) < 127 for each in text)
    if good:
        assert check_label(text) == text
    else:
        with pytest.raises(ValueError, match="1 to 32 printable ASCII"):
            check_label(text)


def test_a_per_process_value_is_one_for_all_threads():
    made = []
    value = PerProcess(lambda: made.append(1) or object())
    seen = []
    threads = [threading.Thread(target=lambda: seen.append(value.get())) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(set(map(id, seen))) == 1
    assert value.discard() is seen[0]
    assert value.discard() is None
    assert value.get() is not seen[0]
