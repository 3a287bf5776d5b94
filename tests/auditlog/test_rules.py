"""Rules: which events a command is told of, how often, and what is wrong with a file of them."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from hem_provider.auditlog.entry import Entry, OwnEvent
from hem_provider.auditlog.hooks import Hook
from hem_provider.auditlog.rules import EVERY_EVENT, Rule, RuleBook, read_rules
from hem_provider.auditlog.telling import told
from hem_provider.device.auditlog import Event, LogRecord, Result
from hem_provider.errors import HemConfigError

KID = "ab" * 16


def event(kind=Event.CRYPTO_EXDSA_SIGN, result=Result.OK, actor="U", data=KID, names=None):
    record = LogRecord(5, 4, 1_700_000_000, kind, result, actor, data, genuine=True)
    entry = Entry(7, 1_700_000_001, "eid", "", "6553f100", 5, "", record)
    return told(entry, names if names is not None else {KID: "prod-web"})


def own(name):
    return told(Entry(8, 1_700_000_001, "eid", "", "", 0, "", None, OwnEvent(name, "3 follows 1")), {})


@pytest.fixture
def written(tmp_path):
    """A file of rules."""

    def written(text):
        path = tmp_path / "rules.toml"
        path.write_text(text)
        path.chmod(0o600)
        return path

    return written


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        (EVERY_EVENT, [True, True, True]),
        (Rule("a", events=frozenset({"CRYPTO_EXDSA_SIGN"})), [True, False, False]),
        (Rule("a", events=frozenset({"FAILED_SCOPE_CHECK", "gap"})), [False, True, True]),
        (Rule("a", results=frozenset({"failed", "noticed"})), [False, True, True]),
        (Rule("a", who=("adm*",)), [False, True, False]),
        (Rule("a", keys=("prod-*",)), [True, False, False]),
        (Rule("a", keys=("*",)), [True, False, False]),
        (Rule("a", keys=("prod-*",), who=("adm*",)), [False, False, False]),
    ],
)
def test_a_rule_fits_where_all_of_its_conditions_do(rule, fits):
    events = [event(), event(Event.FAILED_SCOPE_CHECK, Result.FAILED, "M", ""), own("gap")]
    assert [rule.fits(each) for each in events] == fits


@pytest.mark.parametrize(
    ("actor", "who"),
    [("U", "user"), ("M", "administrator"), ("", "the device"), (None, "hem"), (KID, "phone *")],
)
def test_whoever_can_have_done_it_is_accepted_and_fits(written, actor, who):
    happened = own("gap") if actor is None else event(actor=actor)
    for pattern in (who, f"{who[:3]}*", f"*{who[-1]}", "?*"):
        (rule,) = read_rules(written(f'[[rule]]\nname = "a"\nwho = "{pattern}"\n'))
        assert rule.fits(happened), pattern


def test_a_key_without_a_label_is_known_by_its_kid():
    assert Rule("a", keys=(f"{KID[:4]}*",)).fits(event(names={}))


def test_a_rule_is_told_so_often_and_then_how_many_were_left_out():
    now = [0.0]
    book = RuleBook([Rule("few", at_most=2, per=10), Rule("all")], lambda: now[0])
    found = []
    for second in (0, 1, 2, 3, 9, 10, 10, 30):
        now[0] = float(second)
        found.append([(rule.name, left_out) for rule, left_out in book.matches(event())])
    few = [each[0] if len(each) == 2 else None for each in found]
    assert few == [("few", 0), ("few", 0), None, None, None, ("few", 3), None, ("few", 1)]
    assert all(("all", 0) in each for each in found)


def test_a_file_of_rules_is_read(written):
    rules = read_rules(
        written(
            """
            [[rule]]
            name = "refused"
            event = ["FAILED_SCOPE_CHECK", 32, "gap", 99]
            result = "failed"
            who = ["user", "phone *"]
            key = "prod-*"
            at_most = 5
            per = 60
            [[rule]]
            name = "all"
            """
        )
    )
    assert rules == [
        Rule(
            "refused",
            frozenset({"FAILED_SCOPE_CHECK", "CRYPTO_EXDSA_SIGN", "gap", "EVENT_99"}),
            frozenset({"failed"}),
            ("user", "phone *"),
            ("prod-*",),
            5,
            60,
        ),
        Rule("all"),
    ]


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        (
            '[[rule]]\nname = "a"\nevents = 3\n',
            3,
            "'events': unknown setting of a rule; accepted: name, event,",
        ),
        ('a = 1\n[[rule]]\nname = "a"\n', 1, "unknown setting 'a'; accepted: [[rule]]"),
        ('[[rule]]\nname = "a"\n[[rule]]\nevent = 3\n', 3, "each rule needs a name"),
        ('[[rule]]\nname = "a"\n\nevent = "FAILD_SCOPE_CHECK"\n', 4, "did you mean FAILED_SCOPE_CHECK"),
        ('[[rule]]\nname = "a"\nevent = -1\n', 3, "-1 is no event; accepted: numbers, names"),
        ('[[rule]]\nname = "a"\nevent = true\n', 3, "True is no event"),
        ('[[rule]]\nname = "a"\nevent = []\n', 3, "an empty list fits nothing"),
        ('[[rule]]\nname = "a"\nresult = "bad"\n', 3, "'bad' is no result; accepted: ok, failed, error"),
        ('[[rule]]\nname = "a"\nkey = 3\n', 3, "3 is no text of one line"),
        ('[[rule]]\nname = "a"\nper = 60\n', 3, "it says nothing without 'at_most'"),
        (
            '[[rule]]\nname = "a"\nwho = "usr"\n',
            3,
            "'usr' fits nobody; did you mean user? accepted: user, adm",
        ),
        ('[[rule]]\nname = "a"\nwho = ["user", "phne *"]\n', 3, "'phne *' fits nobody; "),
        ('[[rule]]\nname = "a"\nwho = "phone"\n', 3, "'phone' fits nobody; "),
        ('[[rule]]\nname = "a"\nat_most = 0\n', 3, "0 is no whole number from 1 to 1000000"),
        ('[[rule]]\nname = "a"\nper = "1h"\n', 3, "'1h' is no whole number from 1 to 604800"),
        ('[[rule]]\nname = "a"\n[[rule]]\nname = "a"\n', 4, "two rules are called 'a'"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_line(written, text, line, told):
    path = written(text)
    with pytest.raises(HemConfigError) as caught:
        read_rules(path)
    assert str(caught.value).startswith(f"{path}, line {line}: ")
    assert told in str(caught.value)


@pytest.mark.parametrize("text", ["", "rule = 3\n", "[rule]\nname = 'a'\n", "[[rule]\n", "\ufeff"])
def test_a_file_without_rules_is_refused(written, text):
    path = written(text)
    with pytest.raises(HemConfigError, match=str(path)):
        read_rules(path)


def test_rules_that_others_may_write_are_not_believed(written):
    path = written('[[rule]]\nname = "a"\n')
    path.chmod(0o666)
    with pytest.raises(HemConfigError, match="may write|others"):
        read_rules(path)


def test_a_command_gets_one_document_on_standard_input(tmp_path):
    out = tmp_path / "out file"
    Hook(f"/bin/cp /dev/stdin '{out}'").run(Rule("mine"), 3, event())
    document = json.loads(out.read_text())
    assert (document["rule"], document["left_out"], document["event"]["key"]) == ("mine", 3, "prod-web")
    assert out.read_text().count("\n") == 1


def test_no_shell_is_between_unless_one_is_asked_for(tmp_path):
    made = tmp_path / "made"
    Hook(f"/bin/echo a; touch {made}").run(EVERY_EVENT, 0, event())
    assert not made.exists()
    Hook(f"touch {made}; exit 0", shell=True).run(EVERY_EVENT, 0, event())  # noqa: S604
    assert made.exists()


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("false", "ended with 1"),
        ("/no/such/command", "cannot be run: No such file or directory"),
        ("sh -c 'kill -9 $$'", "ended with -9"),
        ("sleep 60", "was killed after 0.2 s"),
    ],
)
def test_a_command_that_fails_is_logged_and_counted_and_nothing_else(caplog, command, told):
    hook = Hook(command, seconds=0.2)
    for _ in range(2):
        hook.run(Rule("mine"), 0, event())
    assert (hook.runs, hook.failures) == (2, 2)
    assert caplog.messages[-1] == f"the command of rule 'mine' {told} (2 failures so far)"


def test_what_a_command_has_started_is_killed_with_it(tmp_path):
    alive = tmp_path / "pid"
    Hook(f"sleep 60 & echo $! > {alive}; wait", shell=True, seconds=0.5).run(EVERY_EVENT, 0, event())  # noqa: S604
    child = Path("/proc") / alive.read_text().strip() / "stat"
    ends = time.monotonic() + 20
    while child.exists() and child.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_a_command_that_does_not_read_is_no_failure():
    hook = Hook("true")
    for _ in range(20):
        hook.run(EVERY_EVENT, 0, event())
    assert hook.failures == 0


@pytest.mark.parametrize("command", ["", "  ", "'a"])
def test_a_command_that_is_none_is_refused(command):
    with pytest.raises(HemConfigError, match="--exec"):
        Hook(command)
