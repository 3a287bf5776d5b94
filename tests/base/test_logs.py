"""What is said reaches ``logging`` as ever, and loads it only when somebody could hear."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from hem_provider import logs

PROGRAM = """
import sys
sys.path[:0] = {path!r}
from hem_provider.logs import INFO, WARNING, Logger
said = Logger("hem_provider.test")
said.log(INFO, "%s", "quiet")
print("logging" in sys.modules)
said.log(WARNING, "%s of %d", "loud", 1)
print("logging" in sys.modules)
said.log(INFO, "quiet still")
"""


@pytest.fixture
def said():
    yield logs.Logger("hem_provider.test")
    logs.send_to(None)


def test_messages_are_records_of_logging_and_name_who_says_them(said, caplog):
    with caplog.at_level(logging.INFO, "hem_provider"):
        said.log(logs.INFO, "%s of %d", "all", 3)
        said.log(logs.WARNING, "100 %")
    told = [(each.name, each.levelno, each.getMessage(), each.filename) for each in caplog.records]
    assert told == [
        ("hem_provider.test", logging.INFO, "all of 3", "test_logs.py"),
        ("hem_provider.test", logging.WARNING, "100 %", "test_logs.py"),
    ]


def test_a_level_that_is_not_wanted_is_not_said(said, caplog):
    with caplog.at_level(logging.WARNING, "hem_provider"):
        said.log(logs.INFO, "no")
    assert caplog.records == []


def test_somebody_may_take_them_all(said, caplog):
    taken = []
    logs.send_to(lambda level, text: taken.append((level, text)), logs.INFO)
    with caplog.at_level(logging.DEBUG, "hem_provider"):
        said.log(logs.DEBUG, "no")
        said.log(logs.INFO, "%s", "yes")
        said.log(logs.WARNING, "100 %")
        logs.send_to(None)
        said.log(logs.INFO, "again")
    assert taken == [(logs.INFO, "yes"), (logs.WARNING, "100 %")]
    assert [each.getMessage() for each in caplog.records] == ["again"]


def test_logging_is_loaded_for_a_warning_alone():
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", PROGRAM.format(path=sys.path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["False", "True"]
    assert done.stderr == "loud of 1\n"
