"""Searches that name a key and are answered from what an earlier process listed."""

from __future__ import annotations

from typing import Any

import pytest
from hem_pkcs11.constants import CKA, CKM, CKO, CKR
from hem_pkcs11.values import Mechanism, pack_ulong

ID = b"\x11"


@pytest.fixture
def remembered(core: Any) -> Any:
    """A key that was listed before this process began."""
    core.session()  # the device is there
    core.hem.logged_in = True
    key = core.hem.keys.create("SECP256R1", label="web", application_id=ID)
    core.hem.logged_in = False
    core.hem.keys.recalled = [key]
    return key


def calls_of(core: Any, work: Any) -> tuple[Any, int]:
    before = core.hem.statistics.calls
    return work(), core.hem.statistics.calls - before


@pytest.mark.parametrize("kind", [CKA.ID, CKA.UNIQUE_ID])
def test_a_search_by_id_asks_nothing_and_the_key_signs(core: Any, remembered: Any, kind: int) -> None:
    session = core.user_session()
    value = ID if kind == CKA.ID else remembered.kid.encode()
    template = ((CKA.CLASS, pack_ulong(CKO.PRIVATE_KEY)), (kind, value))
    (handle,), calls = calls_of(core, lambda: core.find(session, *template))
    assert (calls, core.hem.keys.listed) == (0, 0)
    core.sign(session, handle, b"message")
    assert core.hem.signed[0][0] == remembered.kid


def test_a_search_by_label_is_confirmed_by_one_call(core: Any, remembered: Any) -> None:
    session = core.user_session()
    found, calls = calls_of(core, lambda: core.find(session, (CKA.LABEL, b"web")))
    assert (len(found), calls, core.hem.keys.listed) == (2, 1, 0)


def test_a_label_that_moved_to_another_key_is_looked_up_on_the_device(core: Any, remembered: Any) -> None:
    session = core.user_session()
    core.hem.keys.stored.clear()
    successor = core.hem.keys.create("SECP256R1", label="web")
    private, _ = core.find(session, (CKA.LABEL, b"web"))
    assert core.value(session, private, CKA.UNIQUE_ID) == successor.kid.encode()


def test_a_key_that_is_gone_fails_at_its_first_use_and_is_not_found_again(core: Any, remembered: Any) -> None:
    session = core.user_session()
    (handle,) = core.find(session, (CKA.CLASS, pack_ulong(CKO.PRIVATE_KEY)), (CKA.ID, ID))
    core.hem.keys.stored.clear()
    core.ok("C_SignInit", session, Mechanism(CKM.ECDSA_SHA256), handle)
    assert core.rv("C_Sign", session, b"message", 256) == CKR.KEY_HANDLE_INVALID
    core.hem.keys.recalled = []  # as the device layer does when it hears so
    assert core.find(session, (CKA.ID, ID)) == []


def test_before_login_the_public_half_is_shown_and_the_private_one_is_not(core: Any, remembered: Any) -> None:
    session = core.session()
    found, calls = calls_of(core, lambda: core.find(session, (CKA.ID, ID)))
    assert calls == 0
    assert [core.value(session, each, CKA.CLASS) for each in found] == [pack_ulong(CKO.PUBLIC_KEY)]
    private, calls = calls_of(
        core, lambda: core.find(session, (CKA.CLASS, pack_ulong(CKO.PRIVATE_KEY)), (CKA.ID, ID))
    )
    assert private == []


def test_before_login_keys_of_others_are_not_shown(core: Any, remembered: Any) -> None:
    remembered.family_mark = None
    assert core.find(core.session(), (CKA.ID, ID)) == []


def test_open_searches_ask_the_device(core: Any, remembered: Any) -> None:
    session = core.user_session()
    core.find(session, (CKA.ID, ID))
    assert core.hem.keys.listed == 0
    assert len(core.find(session)) == 2
    assert core.hem.keys.listed == 1


def test_an_id_that_is_not_remembered_is_looked_for_on_the_device(core: Any, remembered: Any) -> None:
    session = core.user_session()
    core.hem.keys.create("SECP256R1", label="new", application_id=b"\x22")
    assert len(core.find(session, (CKA.ID, b"\x22"))) == 2


def test_the_key_filter_holds_for_remembered_keys(make_core: Any) -> None:
    core = make_core("first", key_filter=("db-*",))
    core.ok("C_Initialize", None)
    session = core.user_session()
    core.hem.keys.recalled = [core.hem.keys.create("SECP256R1", label="web", application_id=ID)]
    assert core.find(session, (CKA.ID, ID)) == []
    core.ok("C_Finalize", False)


def test_the_login_asks_for_the_scope_that_was_needed_last(core: Any) -> None:
    core.session()
    core.hem.keys.scope = "keymgmt:use:" + "0" * 32
    core.user_session()
    assert core.hem.scopes == [core.hem.keys.scope]
