"""The catalogue of errors has everything that can be told, found from the code, and nothing else."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import click
import pytest
from hem_pkcs11.constants import CKR
from support.exceptions import our_exceptions

from hem_provider import errors
from hem_provider.cli import statuses
from hem_provider.cli.helping import catalogue
from hem_provider.cli.helping.classes import CLASSES, OTHERS
from hem_provider.cli.helping.entries import written
from hem_provider.cli.helping.kinds import KINDS
from hem_provider.cli.helping.numbers import AGENT, DEVICE, EXITS
from hem_provider.cli.helping.returns import RETURNS
from hem_provider.cli.root import ROOT as COMMANDS
from hem_provider.emulator import openapi
from hem_provider.emulator.endpoints import ENDPOINTS
from hem_provider.emulator.quirks import Switches
from hem_provider.rest import status

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "hem_provider"
ALL = [each for those in catalogue.GROUPS.values() for each in those]


def names(entries):
    return {each.name for each in entries}


def public_errors():
    """The classes of errors of ours that have a name outside of their modules."""
    return {
        each
        for each in our_exceptions()
        if issubclass(each, errors.HemError) and not each.__name__.startswith("_")
    }


def test_every_public_exception_has_an_entry_and_is_explained_by_it():
    found = public_errors()
    assert names(CLASSES) == set(errors.__all__)
    assert names(OTHERS) == {each.__name__ for each in found} - set(errors.__all__)
    for each in found:
        assert each.code == each.__name__


def test_classes_of_programs_are_explained_as_what_they_are_derived_from():
    class Mine(errors.HemTimeout):
        pass

    assert Mine("so").code == "HemTimeout"
    assert errors.HemTLSError("so", code="E-TLS-PIN").code == "E-TLS-PIN"
    assert str(errors.HemTLSError("so", code="E-TLS-PIN")) == "so"


def test_every_return_value_of_the_module_has_an_entry():
    returned = set()
    for path in (ROOT / "shim" / "hem_pkcs11").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id == "CKR"
            ):
                returned.add(f"CKR_{node.attr}")
    for path in (ROOT / "shim" / "src").glob("*.[ch]"):
        code = re.sub(r"/\*.*?\*/|//[^\n]*", "", path.read_text("utf-8"), flags=re.DOTALL)
        returned |= set(re.findall(r"\bCKR_\w+", code))
    assert len(returned) > 50
    assert names(RETURNS) == returned - {"CKR_OK"}
    assert {each.removeprefix("CKR_") for each in names(RETURNS)} <= set(CKR.__members__)


def test_every_status_of_the_device_has_an_entry():
    switches = Switches({})
    told = {each for row in ENDPOINTS for each in openapi.statuses(row, switches)}
    known = told | set(status._MEANINGS) | set(openapi._MEANINGS)
    assert len(told) > 12
    assert names(DEVICE) == {f"HTTP-{each}" for each in known}


def test_every_status_of_the_agent_has_an_entry():
    """Those that its code names, and what its parser of HTTP asks for by itself."""
    told = {431, 501}
    for path in (PACKAGE / "agent").glob("*.py"):
        text = path.read_text("utf-8")
        told |= {int(each) for each in re.findall(r"(?:own_answer|_?refused?)\(\s*(\d{3})\b", text)}
        told |= {int(each) for each in re.findall(r"\bstatus = (\d{3})\b", text)}
        told |= {int(each) for each in re.findall(r"\bstatus = \d{3} if .* else (\d{3})\b", text)}
    assert names(AGENT) == {f"AGENT-{each}" for each in told}
    page = (ROOT / "docs" / "agent.md").read_text("utf-8")
    table = page[page.index("| `Hem-Agent` | status") :].partition("\n\n")[0]
    assert {f"AGENT-{each}" for each in re.findall(r"\b[45]\d\d\b", table)} == names(AGENT) - {"AGENT-200"}


def test_every_exit_status_has_an_entry():
    assert names(EXITS) == {f"EXIT-{each}" for each in statuses.MEANINGS}


def test_every_kind_is_raised_somewhere_and_no_other():
    raised = set()
    for path in PACKAGE.rglob("*.py"):
        if "helping" not in path.parts:
            raised |= set(re.findall(r'"(E-[A-Z0-9-]+)"', path.read_text("utf-8")))
    assert names(KINDS) == raised


def test_names_are_unique_and_so_are_their_anchors():
    assert len(catalogue.NAMES) == len(ALL)
    assert len({each.anchor for each in ALL}) == len(ALL)


@pytest.mark.parametrize("entry", ALL, ids=lambda entry: entry.name)
def test_an_entry_names_pages_commands_and_entries_that_are_there(entry):
    text = f"{entry.what} {entry.cause} {entry.cure}"
    assert min(map(len, (entry.what, entry.cause, entry.cure))) > 4
    for page in re.findall(r"docs/[\w/-]+\.md", text):
        assert (ROOT / page).is_file(), page
    for each in re.findall(r"`hem ([a-z][a-z0-9 ]*)", text):
        command, words = COMMANDS, each.split()
        while words and isinstance(command, click.Group):
            command = command.get_command(click.Context(command), words.pop(0))
        assert command is not None, each
    for each in re.findall(r"\b(?:(?:E|HTTP|AGENT|EXIT)-[A-Z0-9-]+|CKR_\w+|Hem[A-Z]\w+)", text):
        assert each.upper() in catalogue.NAMES, each


@pytest.mark.parametrize(
    "text",
    ["E-A: it is.\n  do: that.", "E-A: it is.\n  because: so.", "E-A: it is.\n  do: x.\n  because: so."],
)
def test_an_entry_without_cause_or_cure_is_refused(text):
    with pytest.raises(ValueError, match="E-A"):
        written(text)
