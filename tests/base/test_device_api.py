"""``docs/development/device-api.md``: what cites it, and that it says what emulator and tests say."""

from __future__ import annotations

import re

import pytest
from support.devicepage import PAGE, ROOT, citations, headings, ownerless, sections_of, sources, table_after
from support.documented import STATUSES

from hem_provider.device.auditlog import Event
from hem_provider.emulator.call import Access, Role
from hem_provider.emulator.endpoints import ENDPOINTS
from hem_provider.emulator.keytypes import KEY_TYPES as EMULATED_TYPES
from hem_provider.emulator.quirks import QUIRKS
from hem_provider.emulator.router import Router
from hem_provider.keytypes import KEY_TYPES
from tools import make_reference

TEXT = PAGE.read_text("utf-8")
NUMBERS = [number for number, _ in headings(TEXT)]
EMULATED = {f"{row.method} {row.path}": row for row in ENDPOINTS}
ROWS = {row[0].strip("`"): row[1:] for row in table_after(TEXT, "## 3. ")}
ABSENT = {row[0].strip("`") for row in table_after(TEXT, "Named somewhere, and not emulated")}
#: The sign, kept apart so that the samples below are no citations of this file.
S = "\N{SECTION SIGN}"


def test_each_section_number_stands_once_and_in_order():
    assert len(set(NUMBERS)) == len(NUMBERS)
    assert sorted(NUMBERS, key=_key) == NUMBERS
    chapters = [number for number in NUMBERS if "." not in number]
    assert chapters == [str(number) for number in range(25)]
    assert all(number.partition(".")[0] in chapters for number in NUMBERS)


def _key(number: str) -> list[int]:
    return [int(part) for part in number.split(".")]


def test_every_citation_of_the_device_api_leads_to_a_section():
    nowhere = {
        file: wrong for file, cited in citations().items() if (wrong := sorted(set(cited) - set(NUMBERS)))
    }
    assert not nowhere, f"cited, but not in {PAGE.relative_to(ROOT)}: {nowhere}"


def test_citations_are_found_at_all():
    cited = citations()
    assert sum(map(len, cited.values())) > 180
    assert cited["hem_provider/device/tokens.py"] == ["20.2"]
    assert cited["hem_provider/device/hem.py"][-1] == "13.7"  # written without the page's name
    assert cited["hem_provider/device/watching.py"] == ["6", "7.4", "15", "16", "17.4"]  # a list, wrapped


@pytest.mark.parametrize(
    ("text", "cited"),
    [
        (f"(device API {S}13.6)", ["13.6"]),
        (f"# of the device\n# API {S}2.4", ["2.4"]),
        (f"of the device API\n    {S}2.4, and {S}99.1).", ["2.4", "99.1"]),
        (f"#: (device API {S}1.3,\n#: {S}10.1)", ["1.3", "10.1"]),
        (f"device API {S}13.2–{S}13.99, {S}15–17", ["13.2", "13.99", "15", "17"]),
        (f"/* Device API {S}13 */ … ({S}77)", ["13", "77"]),
        (f"the device API's own; RFC 8032 {S}7.3, SP 800-38A {S}B.1", []),
        (f"RFC 7512 {S}2.3", []),
    ],
)
def test_citations_are_read_in_every_form(text, cited):
    assert sections_of(text) == cited


def test_a_citation_that_leads_nowhere_is_told():
    assert set(sections_of(f"(device API {S}13.6, {S}13.11)")) - set(NUMBERS) == {"13.11"}


def test_no_section_is_cited_of_nothing():
    """A "§" of the package belongs to a document that is named: before it, or the device API in its file."""
    files = [path for path in sources() if path.is_relative_to(ROOT / "hem_provider")]
    assert [str(path.relative_to(ROOT)) for path in files if ownerless(path.read_text("utf-8"))] == []


def test_the_pages_own_references_lead_to_sections():
    assert set(re.findall(r"§(\d+(?:\.\d+)*)", TEXT)) <= set(NUMBERS)


def test_links_into_the_page_meet_its_anchors():
    anchors = make_reference.anchors(TEXT)
    assert list(anchors) == NUMBERS
    assert (anchors["13.6"], anchors["8.2"]) == ("136-ecdh", "82-post-apisystemconfig")
    linked = {
        (path.name, anchor)
        for path in sources()
        for anchor in re.findall(r"device-api\.md#([\w-]+)", path.read_text("utf-8"))
        if path.suffix == ".md"
    }
    assert linked
    assert {anchor for _, anchor in linked} <= set(anchors.values())


def test_the_endpoint_table_is_the_emulators():
    assert set(ROWS) == set(EMULATED)


def test_what_is_marked_as_not_emulated_is_not():
    router = Router((row.method, row.path, row) for row in ENDPOINTS)
    assert ABSENT
    for endpoint in ABSENT:
        method, _, path = endpoint.partition(" ")
        assert router.find(method, path.replace("*", "x/y").replace("{id}", "62310b2b")) is None, endpoint


def test_endpoints_named_anywhere_in_the_page_are_in_one_of_its_two_tables():
    named = set(re.findall(r"`((?:GET|POST|DELETE) /api/[^` ]+)", TEXT))
    assert {endpoint.rstrip(",") for endpoint in named} - set(ROWS) - ABSENT == set()


@pytest.mark.parametrize("endpoint", sorted(EMULATED))
def test_a_row_of_the_endpoint_table_says_what_the_emulator_does(endpoint):
    row = EMULATED[endpoint]
    access, demands, over_http, model, success, errors = ROWS[endpoint]
    marks = {Access.NONE: "–", Access.BEARER: "B", Access.UNLESS_FRESH: r"B\*", Access.OPTIONAL: "opt"}
    assert access == marks[row.access]
    assert re.findall(r"\d+", over_http) == ([str(row.tls)] if row.tls else [])
    assert ("PPA" in model) is row.msc
    statuses = {int(status) for status in re.findall(r"\b\d{3}\b", f"{success} {errors}")} - {500}
    busy = {404, 409} if "/check_" in endpoint else set()  # one row of the tests' table for both of them
    assert statuses | busy == STATUSES[row.method, row.path] | busy
    assert _scopes(endpoint) == {each.replace("{kid}", "<kid>") for each in row.scopes}
    assert ("not M" in _demands(endpoint)) is (Role.MASTER not in row.roles and Role.EXTERNAL in row.roles), (
        demands
    )


def _demands(endpoint: str) -> str:
    """The third column; "the same" is that of the nearest row above which says more."""
    names = list(ROWS)
    for name in reversed(names[: names.index(endpoint) + 1]):
        if not ROWS[name][1].startswith("the same"):
            return ROWS[name][1]
    raise AssertionError(f"{endpoint}: the same as nothing")


def _scopes(endpoint: str) -> set[str]:
    found = set(re.findall(r"=?`[^`]+`", _demands(endpoint)))
    scopes = {each.replace("`", "") for each in found}
    return {"storage:disk" if each.startswith("storage:disk") else each for each in scopes}


def test_every_switch_has_its_row_among_quirks_or_open_questions():
    quirks = {row[0]: row[2] for row in table_after(TEXT, "## 19. ")}
    questions = {row[0]: row[2] for row in table_after(TEXT, "## 21. ")}
    for name, switch in QUIRKS.items():
        words = {True: "on", False: "off"}
        default = words[switch.default] if isinstance(switch.default, bool) else str(switch.default)
        if name.startswith("Q"):
            assert re.match(rf"{re.escape(default)}\b", quirks.pop(name)), name
        else:
            assert "switch" in questions.pop(name), name
    assert not quirks
    assert not [name for name, choice in questions.items() if "switch:" in choice]


def test_quirks_and_questions_are_cited_by_numbers_that_exist():
    known = {row[0] for chapter in ("## 19. ", "## 21. ") for row in table_after(TEXT, chapter)}
    folders = ("hem_provider", "docs", "tests/emulator")
    for path in (*sources(), PAGE):
        if path.relative_to(ROOT).as_posix().startswith(folders):
            cited = set(re.findall(r"(?<![\w.+'\"])[QU]\d{1,2}\b", path.read_text("utf-8")))
            assert cited <= known, path


def test_events_of_the_log_are_the_packages():
    listed = {
        int(number): name.split()[0]
        for row in table_after(TEXT, "### 14.5 ")
        for number, name in zip(row[::2], row[1::2], strict=True)
    }
    assert {each.value: each.name for each in Event}.items() <= listed.items()


def test_sizes_of_key_types_are_the_packages():
    listed = {}
    for row in table_after(TEXT, "## 12. "):
        for name in row[0].split(", "):
            listed[name] = row[1:]
    assert set(listed) == set(KEY_TYPES) == set(EMULATED_TYPES)
    for name, (public, _form, _algorithm, signature, _secret) in listed.items():
        kind = KEY_TYPES[name]
        assert public == str(kind.public_size or "–"), name
        sizes = [int(each) for each in re.findall(r"\d+", signature)]
        if not name.startswith("SECP"):
            assert sizes == [each for each in (kind.signature_size, kind.ciphertext_size) if each], name


@pytest.mark.parametrize(
    "file",
    ["rest/test_vectors.py", "emulator/test_vectors.py", "emulator/test_ext.py", "device/test_auditlog.py"],
)
def test_vectors_that_tests_replay_are_the_pages(file):
    source = (ROOT / "tests" / file).read_text("utf-8")
    joined = re.sub(r"\"\s*\n\s*\"", "", source)
    values = set(re.findall(r"\"([A-Za-z0-9+/=_-]{40,})\"", joined))
    assert values
    assert {value for value in values if value not in TEXT} == set()
