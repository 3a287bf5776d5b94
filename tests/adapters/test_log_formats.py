"""Entries of the log in the formats of other programs, each read again by the rules of its specification."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema
from support.logcopies import BEGAN, KID, ODD, entries, filled, line_entry, own_entry

from hem_provider.adapters import cef, journal, jsonlines, ocsf, syslog
from hem_provider.auditlog import facts as module
from hem_provider.auditlog.entry import OWN_EVENTS
from hem_provider.auditlog.facts import COMMENT, LINE, SHORT, Severity, facts_of
from hem_provider.device.auditlog import Event
from hem_provider.printable import printable

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"
#: Of RFC 5424 §6, in its own words.
SYSLOG = re.compile(
    r"<(?P<pri>[1-9]\d{0,2})>1 (?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)) "
    r"(?P<host>[\x21-\x7e]{1,255}) (?P<app>[\x21-\x7e]{1,48}) (?P<proc>[\x21-\x7e]{1,128}) "
    r"(?P<msgid>[\x21-\x7e]{1,32}) "
    r"\[(?P<id>[\x21\x23-\x3c\x3e-\x5c\x5e-\x7e]{1,32})"
    r'(?P<params>(?: [\x21\x23-\x3c\x3e-\x5c\x5e-\x7e]{1,32}="(?:[^"\\\]]|\\["\\\]])*")*)\]'
    "(?: \ufeff(?P<msg>.*))?",
    re.DOTALL,
)
PARAM = re.compile(r' ([^=]+)="((?:[^"\\\]]|\\.)*)"')


@pytest.fixture(scope="module")
def all_facts(tmp_path_factory):
    copy = filled(tmp_path_factory.mktemp("copy") / "device")
    return [facts_of(each, "office", SHORT) for each in copy.entries()]


ALL = entries()


def parsed(message):
    """The parts of a syslog message, and its parameters."""
    found = SYSLOG.fullmatch(message.decode("utf-8"))
    assert found, message
    assert "".join(f' {name}="{value}"' for name, value in PARAM.findall(found["params"])) == found["params"]
    return found, {
        name: re.sub(r'\\(["\\\]])', r"\1", value) for name, value in PARAM.findall(found["params"])
    }


def test_every_entry_is_a_syslog_message(all_facts):
    for facts in all_facts:
        found, params = parsed(syslog.message(facts))
        assert int(found["pri"]) == 13 * 8 + facts.severity
        assert (found["host"], found["app"], found["proc"]) == ("office", "hem", "-")
        assert (found["msgid"], found["id"]) == (facts.name, "hem@32473")
        assert (params["entry"], params["device"]) == (str(facts.entry), facts.device)
        assert found["msg"] == facts.text
        assert found["msg"].isprintable()
        assert b"\n" not in syslog.message(facts)


def test_a_record_in_structured_data():
    record = line_entry(f"2a|{BEGAN:x}|20|1|U|{KID}|mac".encode(), 7)
    found, params = parsed(syslog.message(facts_of(record, "office"), 4711))
    assert found["id"] == "hem@4711"
    assert found["time"] == "2022-03-15T21:56:53Z"
    assert found["msgid"] == "CRYPTO_EXDSA_SIGN"
    assert int(found["pri"]) % 8 == Severity.WARNING  # it failed
    assert params == {
        "entry": "0",
        "device": record.device,
        "file": "62310ba5",
        "line": "7",
        "number": "42",
        "event": "32",
        "result": "failed",
        "actor": "U",
        "kid": KID,
        "data": KID,
        "genuine": "yes",
        "clock": "device",
        "collected": "2022-03-15T22:13:33Z",
        "raw": f"2a|{BEGAN:x}|20|1|U|{KID}|mac",
    }
    assert found["msg"] == f"user: signed {KID}: failed"


def test_what_ends_a_value_of_structured_data_is_escaped():
    told = facts_of(line_entry(b'"quoted" back\\slash [bracket]', 1), "office")
    assert rb'raw="\"quoted\" back\\slash [bracket\]"' in syslog.message(told)
    assert parsed(syslog.message(told))[1]["raw"] == '"quoted" back\\slash [bracket]'


@pytest.mark.parametrize(
    ("name", "shown"),
    [("Büro 1", "B_ro_1"), ("", "-"), ("x" * 300, "x" * 255), ("a\nb", "a_b"), ("hem.local", "hem.local")],
)
def test_a_name_that_is_no_host_name_of_syslog_is_made_one(name, shown):
    assert parsed(syslog.message(facts_of(ALL[0], name)))[0]["host"] == shown


def extension_of(line):
    """The header's fields, and the extension's values, as CEF has them."""
    parts = re.split(r"(?<!\\)(?:\\\\)*\|", line, maxsplit=7)
    assert len(parts) == 8, line
    head = [re.sub(r"\\([\\|])", r"\1", each) for each in parts[:7]]
    found = {}
    pattern = r"(\w+)=((?:\\.|[^\\=])*?)(?= \w+=|$)"
    whole = " ".join(f"{key}={value}" for key, value in re.findall(pattern, parts[7]))
    assert whole == parts[7]
    for key, value in re.findall(pattern, parts[7]):
        found[key] = re.sub(r"\\([\\=])", r"\1", value)
    return head, found


def test_every_entry_is_a_cef_event(all_facts):
    for facts in all_facts:
        line = cef.line(facts)
        assert line.isprintable()
        head, found = extension_of(line)
        assert head[:4] == ["CEF:0", "Encedo", "HEM", cef.VERSION]
        assert head[4] == facts.name
        assert 0 <= int(head[6]) <= 10
        assert (found["externalId"], found["rt"]) == (str(facts.entry), str(facts.time * 1000))
        assert found["deviceExternalId"] == facts.device
        labels = {found[key] for key in found if key.endswith("Label")}
        assert len(labels) == sum(key.endswith("Label") for key in found)


def test_what_separates_in_cef_is_escaped():
    told = facts_of(own_entry("gap", "a|b=c\\d\ne"), "office")
    line = cef.line(told)
    assert r"|a\|b=c\\d\\ne|" in line
    assert r"msg=a|b\=c\\d\\ne " in line
    assert extension_of(line)[1]["msg"] == r"a|b=c\d\ne"  # a line break is shown, not made


def test_every_entry_is_a_line_of_json_as_the_schema_says(all_facts):
    schema = json.loads((SCHEMAS / "lines" / "log-event.json").read_text("utf-8"))
    jsonschema.validators.validator_for(schema).check_schema(schema)
    check = jsonschema.Draft202012Validator(schema)
    for facts in all_facts:
        line = jsonlines.line(facts)
        assert b"\n" not in line
        document = json.loads(line)
        check.validate(document)
        assert document["entry"] == facts.entry


def test_json_lines_have_each_line_of_the_device_byte_by_byte():
    for raw in ODD:
        document = json.loads(jsonlines.line(facts_of(line_entry(raw), "office")))
        again = base64.b64decode(document["raw_base64"] or "") or (document["raw"] or "").encode()
        assert again == raw
        assert document["cut"] is False


def test_every_entry_is_an_event_of_the_published_ocsf_schema(all_facts):
    published = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=ocsf.SCHEMA))
    checks = {}
    for facts in all_facts:
        event = json.loads(ocsf.line(facts))
        uid = event["class_uid"]
        if uid not in checks:
            schema = published.get_class_schema(published.lookup_class_name_from_uid(uid), ["host"])
            assert schema["additionalProperties"] is False
            assert "metadata" in schema["required"]
            checks[uid] = jsonschema.Draft202012Validator(schema)
        checks[uid].validate(event)
        assert event["type_uid"] == uid * 100 + event["activity_id"]
        assert event["metadata"]["sequence"] == facts.entry
    assert set(checks) == {0, *(each for each, _ in ocsf.CLASSES.values())}


def test_ocsf_knows_only_events_that_there_are():
    names = {each.name for each in Event} | set(OWN_EVENTS)
    assert set(ocsf.CLASSES) <= names


def rows_of_the_page():
    """The table of events in the page on exporting: name → its other columns."""
    text = (SCHEMAS.parents[0] / "log-export.md").read_text("utf-8")
    return {
        name: (code, severity, int(uid), int(activity))
        for name, code, severity, uid, activity in re.findall(
            r"^\| `([A-Za-z_-]+)` \| (\d*) \| ([a-z]+) \| [A-Za-z ]+ \((\d+)\): (\d+) \|$", text, re.M
        )
    }


def test_the_page_tells_of_every_event_as_it_is():
    found = {}
    for event in Event:
        told = facts_of(line_entry(f"1|{BEGAN:x}|{event:x}|0|||mac".encode()), "office")
        found[told.name] = (str(int(event)), told)
    for name, raw in ((COMMENT, b"# firmware"), (LINE, b"x")):
        found[name] = ("", facts_of(line_entry(raw), "office"))
    for name in OWN_EVENTS:
        found[name] = ("", facts_of(own_entry(name), "office"))
    assert rows_of_the_page() == {
        name: (code, told.severity.name.lower(), *ocsf.CLASSES.get(name, (0, 99)))
        for name, (code, told) in found.items()
    }
    assert all(told.name == name for name, (_, told) in found.items())


def columns_of_the_page():
    """Format → what it calls things, as the page tells."""
    text = (SCHEMAS.parents[0] / "log-export.md").read_text("utf-8")
    (table,) = re.findall(r"^\| \| `jsonl` \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.M)
    rows = [[each.strip() for each in row.strip("|").split("|")] for row in table.splitlines()]
    assert {len(row) for row in rows} == {6}
    names = [set(re.findall(r"`([^`]+)`", " ".join(column))) for column in zip(*rows, strict=True)]
    return dict(zip(("what", "jsonl", "syslog", "cef", "ocsf", "journal"), names, strict=True))


def test_the_page_tells_of_every_field_of_every_format(all_facts):
    told = columns_of_the_page()
    documents = [json.loads(jsonlines.line(each)) for each in all_facts]
    assert told["jsonl"] == set().union(*documents)
    assert told["syslog"] == set().union(*(parsed(syslog.message(each))[1] for each in all_facts))
    cef_keys = set().union(*(extension_of(cef.line(each))[1] for each in all_facts))
    assert told["cef"] == {key for key in cef_keys if not key.endswith("Label")} - {"deviceFacility"}
    fields = {name for each in all_facts for name, _ in journal._fields(each)}
    assert told["journal"] == fields - {"MESSAGE_ID", "SYSLOG_FACILITY", "SYSLOG_IDENTIFIER"}
    events = [json.loads(ocsf.line(each)) for each in all_facts]
    for name in told["ocsf"]:
        path = name.split(".")
        assert any(has(each, path) for each in events), name


def has(document, path):
    return path[0] in document and (len(path) == 1 or has(document[path[0]], path[1:]))


@given(text=st.text(max_size=40))
def test_whatever_a_line_says_can_be_read_again(text):
    """In each format the value is found as it was, what is not printable escaped."""
    raw = text.replace("\n", "").encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")
    told = facts_of(line_entry(raw.encode("utf-8", "surrogateescape")), "office")
    assert parsed(syslog.message(told))[1].get("raw", "") == printable(raw)
    assert extension_of(cef.line(told))[1].get("cs3", "").rstrip() == printable(raw).rstrip()
    assert printable(raw) == json.loads(ocsf.line(told)).get("raw_data", "")


def test_every_event_of_our_own_has_a_severity_of_its_own():
    assert set(OWN_EVENTS) <= set(module._SEVERITIES)


def test_an_entry_of_the_journal_has_its_length_where_it_is_no_text():
    raw = b"\xff\x00|x"
    told = journal.native(facts_of(line_entry(raw), "office"))
    assert b"HEM_RAW\n" + len(raw).to_bytes(8, "little") + raw + b"\n" in told
    assert told.endswith(b"\nHEM_ENTRY=0\n")
    # In a file it is escaped, since a length may look like the end of an entry.
    ten = b"\x01" + b"a" * 9
    exported = journal.exported(facts_of(line_entry(ten), "office"))
    assert b"\nHEM_RAW=\\x01aaaaaaaaa\n" in exported
    assert b"\n\n" not in exported


def test_the_severity_of_an_event_is_its_own_and_that_of_what_went_wrong():
    def severity(event, result=0, *, genuine=True):
        raw = f"1|{BEGAN:x}|{event:x}|{result:x}|U||mac".encode()
        return facts_of(line_entry(raw, genuine=genuine), "office").severity

    assert severity(Event.CRYPTO_ECDH) == Severity.INFORMATIONAL
    assert severity(Event.CRYPTO_ECDH, 1) == Severity.WARNING
    assert severity(Event.CRYPTO_ECDH, 2) == Severity.ERROR
    assert severity(Event.CRYPTO_ECDH, genuine=False) == Severity.ERROR
    assert severity(Event.TRNG_FAILED, 1) == Severity.CRITICAL
    assert severity(Event.KEY_INTEGRITY_ERROR) == Severity.INFORMATIONAL  # a check that went well
    assert severity(Event.KEY_INTEGRITY_ERROR, 1) == Severity.CRITICAL
    assert severity(0x77) == Severity.INFORMATIONAL
    assert {facts_of(own_entry(name), "office").severity for name in OWN_EVENTS} >= {
        Severity.ALERT, Severity.ERROR, Severity.WARNING, Severity.NOTICE,
    }  # fmt: skip


def test_long_values_are_shortened_with_a_hash_of_the_whole():
    told = facts_of(line_entry(b"x" * 5000), "office", SHORT)
    assert told.cut
    assert told.raw.startswith("x" * SHORT + "… sha256:")
    assert len(syslog.message(told)) < 2048
    assert facts_of(line_entry(b"x" * 5000), "office").raw == "x" * 5000
