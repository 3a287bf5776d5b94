"""What the agent remembers, for how long, and what makes it forget."""

from __future__ import annotations

from hem_provider.agent.answers import GOOD_FOR, Answers
from hem_provider.device.relay import Reply

LIST = ("GET", "/api/keymgmt/list/0/15", None, ("keymgmt:list",))


class Time:
    now = 1000.0

    def __call__(self):
        return self.now


def kept(answers, what=LIST, body=b"{}", status=200, changes=None):
    answers.keep(*what, Reply(status, {}, body), answers.changes if changes is None else changes)
    return answers.find(*what)


def test_an_answer_is_given_again_with_its_age_until_it_is_old():
    time = Time()
    answers = Answers(time)
    assert answers.find(*LIST) is None
    assert kept(answers)[1] == 0
    time.now += GOOD_FOR - 1
    assert answers.find(*LIST)[1] == 29
    time.now += 1
    assert answers.find(*LIST) is None


def test_only_lists_searches_and_the_identity_are_kept():
    answers = Answers()
    for method, path in (
        ("GET", "/api/keymgmt/get/ab"),
        ("GET", "/api/system/status"),
        ("POST", "/api/crypto/exdsa/sign"),
        ("POST", "/api/auth/token"),
    ):
        assert kept(answers, (method, path, None, ())) is None
    assert kept(answers, ("POST", "/api/keymgmt/search", {"descr": "x"}, ()))
    assert answers.find("POST", "/api/keymgmt/search", {"descr": "y"}, ()) is None
    assert kept(answers, ("GET", "/api/auth/token", None, ()))


def test_refusals_are_not_kept_and_scopes_are_apart():
    answers = Answers()
    assert kept(answers, status=403) is None
    assert kept(answers)
    assert answers.find(*LIST[:3], ()) is None


def test_a_change_forgets_all_and_what_was_asked_before_it():
    answers = Answers()
    before = answers.changes
    assert kept(answers)
    answers.forget()
    assert answers.find(*LIST) is None
    assert kept(answers, changes=before) is None


def test_it_does_not_grow_without_end():
    answers, page = Answers(), b"x" * 1024 * 1024
    for number in range(40):
        kept(answers, ("GET", f"/api/keymgmt/list/{number}/15", None, ()), page)
    there = [n for n in range(40) if answers.find("GET", f"/api/keymgmt/list/{n}/15", None, ())]
    assert there == [36, 37, 38, 39]
    answers.keep(*LIST, Reply(200, {}, page), answers.changes)
    answers.keep(*LIST, Reply(200, {}, page), answers.changes)
    assert answers._size == 4 * 1024 * 1024
