"""How long a passphrase that was typed for gpg is good for."""

from __future__ import annotations

import threading

import pytest

from hem_provider.cli.gpg.term import Limits, Term, limits_of


class Kept:
    """A term over a clock that stands still unless it is moved."""

    def __init__(self, limits=None):
        self.now, self.forgotten = 1000.0, 0
        self.term = Term(self.forget, lambda: self.now)
        if limits is not None:
            self.term.begin(limits)

    def forget(self):
        self.forgotten += 1

    def after(self, seconds):
        """How often it was forgotten, so much later."""
        self.now += seconds
        self.term.look()
        return self.forgotten

    def use(self):
        with self.term.used():
            pass


@pytest.fixture
def kept():
    made = []

    def make(limits=None):
        made.append(Kept(limits))
        return made[-1]

    yield make
    for each in made:
        each.term.end()


def test_it_ends_some_time_after_its_last_use(kept):
    login = kept(Limits(600, 7200))
    assert login.after(599) == 0
    login.use()
    assert login.after(599) == 0
    assert login.after(2) == 1
    assert login.after(9999) == 1  # there is none any more


def test_it_ends_however_often_it_is_used(kept):
    login = kept(Limits(600, 7200))
    for _ in range(14):
        assert login.after(500) == 0
        login.use()
    assert login.after(200) == 1


def test_it_does_not_end_while_it_is_used(kept):
    login = kept(Limits(600, 7200))
    with login.term.used():
        assert login.after(10_000) == 0
    assert login.forgotten == 1


def test_one_that_is_not_to_be_kept_serves_what_it_was_made_for(kept):
    login = kept(Limits(0, 0))
    assert login.after(5) == 0
    login.use()
    assert login.forgotten == 1
    assert kept(Limits(0, 0)).after(11) == 1


def test_what_was_not_typed_is_not_forgotten(kept):
    login = kept()
    login.use()
    assert login.after(10_000) == 0
    login.term.begin(Limits())
    login.term.end()
    assert login.after(10_000) == 0


def test_it_ends_by_itself():
    ended = threading.Event()
    term = Term(ended.set)
    with term.used():
        term.begin(Limits(0.05, 60))
    assert ended.wait(60)


def test_limits_are_those_of_gpg_agent(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    assert limits_of(home) == Limits(600, 7200)
    program = folder / "gpgconf"
    program.write_text(
        f"""#!/bin/sh
[ "$*" = "--homedir {home} --list-options gpg-agent" ] || exit 1
echo 'default-cache-ttl:24:0:expire cached PINs after N seconds:3:3:N:600::30'
echo 'max-cache-ttl:24:2:set maximum PIN cache lifetime to N seconds:3:3:N:7200::'
echo 'odd'
"""
    )
    program.chmod(0o755)
    assert limits_of(home) == Limits(30, 7200)
