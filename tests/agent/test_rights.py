"""What clients may do is decided by the scope that they want a token for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hem_provider.agent.options import Options
from hem_provider.agent.rights import Right, allows_label, named_keys, needed, used_key

KID = "ab" * 16


@pytest.mark.parametrize(
    ("scope", "right"),
    [
        ("keymgmt:list", Right.USE),
        ("keymgmt:search", Right.USE),
        ("keymgmt:get", Right.USE),
        (f"keymgmt:use:{KID}", Right.USE),
        ("keymgmt:gen", Right.MAKE),
        ("keymgmt:derive", Right.MAKE),
        ("keymgmt:imp", Right.MAKE),
        ("keymgmt:upd", Right.MAKE),
        ("keymgmt:del", Right.DELETE),
        ("system:config", Right.ADMIN),
        ("system:upgrade", Right.ADMIN),
        ("logger:get", Right.ADMIN),
        ("auth:ext:pair", Right.ADMIN),
        ("storage:disk1:rw", Right.ADMIN),
    ],
)
def test_scope_and_right(scope, right):
    assert needed("POST", "/api/whatever", scope) is right


@given(st.text(max_size=60))
def test_what_is_not_known_needs_the_highest_right(text):
    """The device takes a longer scope for a shorter one as well, so that only the whole word counts."""
    for scope in (
        text,
        f"keymgmt:list{text or 'x'}",
        f"keymgmt:use:{KID}{text or '0'}",
        f"x{text}keymgmt:list",
    ):
        if scope not in ("keymgmt:list", "keymgmt:search", "keymgmt:get") and used_key(scope) is None:
            assert needed("GET", "/api/keymgmt/list/0/15", scope) in (Right.ADMIN, Right.MAKE, Right.DELETE)
    assert needed("GET", "/api/keymgmt/list/0/15", f"keymgmt:list{text or 'x'}") is Right.ADMIN
    assert used_key(f"keymgmt:use:{KID}{text or '0'}") is None


@pytest.mark.parametrize(
    ("method", "path", "right"),
    [
        ("GET", "/api/system/status", Right.USE),
        ("POST", "/api/keymgmt/search", Right.USE),
        ("GET", "/api/auth/token", Right.USE),
        ("POST", "/api/auth/token", Right.ADMIN),
        ("POST", "/api/auth/init", Right.ADMIN),
        ("GET", "/api/system/reboot", Right.ADMIN),
        ("GET", "/api/system/status/", Right.ADMIN),
    ],
)
def test_without_a_token_only_what_is_harmless_is_open(method, path, right):
    assert needed(method, path, None) is right


def test_labels():
    assert allows_label("anything", ())
    assert allows_label("web 1", ("mail", "web*"))
    assert not allows_label("Web 1", ("mail", "web*"))


def test_what_to_type_for_a_right_keeps_all_other_options():
    assert Options().command() == "hem agent start"
    started = Options(keys=("web*",), idle=60.0, allowed=frozenset({Right.USE, Right.MAKE}), until_closed=5)
    assert started.command(Right.DELETE) == (
        "hem agent start --allow make --allow delete --keys 'web*' --idle 60"
    )


@pytest.mark.parametrize(
    ("path", "body", "scopes", "named"),
    [
        ("/api/crypto/ecdh", {"kid": KID, "ext_kid": "cd" * 16}, (f"keymgmt:use:{KID}",), {KID, "cd" * 16}),
        (f"/api/keymgmt/delete/{KID}", None, ("keymgmt:del",), {KID}),
        ("/api/keymgmt/update", {"kid": KID, "label": "web"}, ("keymgmt:upd",), {KID}),
        ("/api/keymgmt/list/0/15", None, ("keymgmt:list",), set()),
        (f"/api/keymgmt/delete/{KID.upper()}", None, ("keymgmt:del",), {KID}),
        ("/api/keymgmt/update", {"kid": KID.upper(), "label": "web"}, ("keymgmt:upd",), {KID}),
        ("/api/crypto/hmac/hash", {}, (f"keymgmt:use:{KID}", "keymgmt:gen"), {KID}),
    ],
)
def test_a_key_is_named_by_path_body_or_scope(path, body, scopes, named):
    assert named_keys(path, body, scopes) == named
