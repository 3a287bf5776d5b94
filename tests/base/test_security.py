"""``docs/security.md``: whole, about what there is, and honest about what does not hold."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "security.md"
TEXT = PAGE.read_text("utf-8")
TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(test_\w+))?`")
ATTACKERS = (
    "Network", "Another user of the machine", "The same user", "A stolen laptop", "A hostile device",
    "A hostile cloud", "A hostile host program", "A hostile peer",
)  # fmt: skip
INTERFACES = (
    "REST to the device", "check-in with the cloud", "phone", "C functions of the module", "OpenSSL engine",
    "agent's socket, REST", "ssh-agent socket", "scdaemon, Assuan", "age plugin", "KMS by gRPC",
    "exporter over HTTP", "configuration files", "vault of passwords", "store of PKCS#11 objects", "caches",
    "copies of the audit log", "emulator",
)  # fmt: skip


def rows(heading):
    """The cells of the table under a heading."""
    _, _, after = TEXT.partition(f"\n{heading}\n")
    assert after, heading
    table = re.split(r"^#", after, maxsplit=1, flags=re.MULTILINE)[0]
    lines = [line for line in table.splitlines() if line.startswith("| ") and not line.startswith("| ---")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


def test_every_test_that_is_named_is_there():
    named = TEST.findall(TEXT)
    assert len(named) > 100
    for file, function in named:
        assert (ROOT / file).is_file(), file
        if function:
            assert re.search(rf"^def {function}\(", (ROOT / file).read_text("utf-8"), re.MULTILINE), function


@pytest.mark.parametrize("attacker", ATTACKERS)
def test_each_claim_holds_or_does_not_and_what_holds_has_a_test(attacker):
    claims = rows(f"### {attacker}")
    assert len(claims) >= 6
    for claim, holds, tests in claims:
        assert holds.startswith(("yes", "partly", "**no**")), claim
        assert TEST.search(tests) or holds.startswith("**no**"), claim
    assert any(not holds.startswith("yes") for _, holds, _ in claims), "nothing is said of what does not hold"


@pytest.mark.parametrize("interface", INTERFACES)
def test_each_interface_has_a_word_on_each_kind_of_threat(interface):
    [row] = [row for row in rows("## Each interface") if row[0] == interface]
    assert len(row) == 8
    assert all(row)
    assert TEST.search(row[-1])


def test_no_interface_is_listed_that_is_not_known_here():
    assert [row[0] for row in rows("## Each interface")] == list(INTERFACES)


def packages(heading):
    return [name for row in rows(heading) for name in re.findall(r"`([\w.-]+)`", row[0])]


def test_each_package_that_is_needed_is_told_with_what_it_is_trusted_with():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wanted = {Requirement(each).name for each in project["project"]["dependencies"]}
    assert sorted(packages("### Always")) == sorted(wanted)
    extras = {
        extra: {Requirement(each).name for each in each_extra} - {"hem-provider", "cryptography"}
        for extra, each_extra in project["project"]["optional-dependencies"].items()
    }
    tests = extras.pop("dev") | {Requirement(each).name for each in project["dependency-groups"]["look"]}
    told = {(name, row[1]) for row in rows("### By extras") for name in re.findall(r"`([\w.-]+)`", row[0])}
    assert told == {(name, extra) for extra, names in extras.items() for name in names}
    build = {Requirement(each).name for each in project["build-system"]["requires"]} - wanted
    assert sorted(packages("### To build and to test")) == sorted(tests | build)


def test_the_short_page_leads_to_it():
    assert "(docs/security.md)" in (ROOT / "SECURITY.md").read_text("utf-8")
    assert "(../SECURITY.md)" in TEXT


def test_a_claim_without_a_test_is_found(monkeypatch):
    head = "### Network\n\n| claim | holds | tests |\n|---|---|---|\n"
    bare = TEXT.replace(head, f"{head}| x | yes | – |\n")
    monkeypatch.setitem(globals(), "TEXT", bare)
    with pytest.raises(AssertionError, match="^x"):
        test_each_claim_holds_or_does_not_and_what_holds_has_a_test("Network")
