"""Every call of the client, held against the emulator's endpoint table."""

from __future__ import annotations

import importlib
import inspect
import re

import pytest
from support.samples import ASKS, CALLS, KID

from hem_provider.emulator.call import Access
from hem_provider.emulator.endpoints import ENDPOINTS
from hem_provider.rest import crypto
from hem_provider.rest.broker import BrokerApi
from hem_provider.rest.domain import DomainApi
from hem_provider.rest.encoding import b64

EVERY = [
    pytest.param(call, id=f"{made.__module__.rpartition('.')[2]}.{made.__name__}-{number}")
    for made, calls in CALLS.items()
    for number, call in enumerate(calls)
]

#: Endpoints that the client does not call, and why.
NOT_CALLED = {
    "GET /api/keymgmt/list": "the same listing by a shorter path",
    "GET /api/keymgmt/list/{offset}": "the same listing by a shorter path",
    "GET /api/logger/list": "the same listing by a shorter path",
    "GET /api/system/upgrade": "nobody has told what it answers",
}
#: Scopes that would do and that the client does not ask for, and why.
NOT_ASKED = {
    ("POST /api/keymgmt/search", "auth:ext:pair"): "asked for by who looks for phones alone",
    **{
        (f"GET /api/system/upgrade/{name}", "system:config"): "uploading takes system:upgrade anyway"
        for name in ("check_fw", "check_ui", "install_fw", "install_ui", "usbmode")
    },
}
#: What acts: twice is more than once.
ACTS = {
    "POST /api/auth/token",
    "POST /api/auth/init",
    "POST /api/auth/ext/init",
    "POST /api/auth/ext/validate",
    "POST /api/auth/ext/mac",
    "POST /api/auth/ext/request",
    "POST /api/auth/ext/token",
    "POST /api/system/checkin",
    "POST /api/system/config",
    "POST /api/system/config/provisioning",
    "GET /api/system/reboot",
    "GET /api/system/shutdown",
    *(
        f"{method} /api/system/upgrade/{name}"
        for method, names in (
            ("POST", ("upload_fw", "upload_ui")),
            ("GET", ("check_fw", "check_ui", "install_fw", "install_ui", "usbmode")),
        )
        for name in names
    ),
    "POST /api/keymgmt/create",
    "POST /api/keymgmt/derive",
    "POST /api/keymgmt/import",
    "DELETE /api/keymgmt/delete/{kid}",
}


def rows(call):
    """The rows of the endpoint table that a call reaches; one of a path without parameters goes first."""
    found = [
        row
        for row in ENDPOINTS
        if row.method == call.method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", row.path), call.path)
    ]
    return sorted(found, key=lambda row: row.path.count("{"))


def name(row):
    return f"{row.method} {row.path}"


def opens(wanted, scope):
    """Whether a token with ``scope`` is one that a row wants."""
    wanted = wanted.replace("{kid}", KID)
    return scope == wanted[1:] if wanted.startswith("=") else scope.startswith(wanted)


def makers():
    """The public functions of ``rest`` that give a call."""
    for module in sorted({made.__module__ for made in CALLS}):
        content = importlib.import_module(module)
        for each in content.__all__:
            value = getattr(content, each)
            if inspect.isfunction(value) and str(inspect.signature(value).return_annotation).startswith(
                "Call["
            ):
                yield value


def test_every_function_that_gives_a_call_is_among_the_samples():
    shared = {crypto.operation}  # what all operations are made by
    assert set(makers()) - shared == set(CALLS)


def test_every_method_that_asks_the_cloud_is_among_the_samples():
    methods = {name for group in (BrokerApi, DomainApi) for name in vars(group) if not name.startswith("_")}
    assert methods <= {name for ask in ASKS for name in ask.__code__.co_names}


@pytest.mark.parametrize("call", EVERY)
def test_a_call_reaches_an_endpoint_with_the_scopes_and_the_tls_rule_of_its_row(call):
    row = rows(call)[0]
    assert call.tls_only is (row.tls != 0)
    if row.access is Access.NONE:
        assert call.scopes == ()
    elif row.access is not Access.OPTIONAL:
        assert call.scopes
    for scope in call.scopes:
        assert not row.scopes or any(opens(wanted, scope) for wanted in row.scopes), scope
    if call.scopes:
        for wanted in row.scopes:
            asked = any(opens(wanted, scope) for scope in call.scopes)
            assert asked is ((name(row), wanted) not in NOT_ASKED), wanted


@pytest.mark.parametrize("call", EVERY)
def test_only_what_does_no_more_when_sent_twice_is_sent_again(call):
    assert call.repeatable is (name(rows(call)[0]) not in ACTS)


def test_every_endpoint_is_called_or_it_is_said_why_not():
    called = {name(rows(call)[0]) for calls in CALLS.values() for call in calls}
    assert {name(row) for row in ENDPOINTS} - called == set(NOT_CALLED)


def test_every_exception_named_here_is_one():
    called = {name(rows(call)[0]): rows(call)[0] for calls in CALLS.values() for call in calls}
    assert set(called) >= ACTS
    for endpoint, scope in NOT_ASKED:
        assert scope in called[endpoint].scopes


def test_a_call_shows_neither_what_it_sends_nor_what_it_asks_for():
    shown = repr(crypto.sign(KID, b"a secret message", "Ed25519"))
    assert KID in shown
    assert b64(b"a secret message") not in shown
    assert "Ed25519" not in shown


def test_no_function_of_rest_takes_a_token():
    for made in CALLS:
        assert "token" not in inspect.signature(made).parameters
