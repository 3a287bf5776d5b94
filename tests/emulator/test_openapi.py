"""The published document is the endpoint table: what the one says, the other does.

``conftest.py`` holds every answer in this folder's tests to it.
"""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator, meta
from support.contract import Contract, declared
from support.documented import COMMON, STATUSES
from support.emulator import ServedEmulator

from hem_provider.emulator import answers, endpoints
from hem_provider.emulator.encodings import from_b64
from hem_provider.emulator.endpoints import ENDPOINTS
from hem_provider.emulator.fields import PATH, body_schema
from hem_provider.emulator.handlers import init
from hem_provider.emulator.http import Response
from hem_provider.emulator.openapi import PUBLISHED, document, operation_id, statuses
from hem_provider.emulator.quirks import Switches
from hem_provider.emulator.schema import base64_text

NOW = Switches({})
WHOLE = document(NOW)
STRICT = Switches({"Q26": False, "Q27": False, "Q25": False, "Q6": False})


def operations(whole):
    return {each["operationId"]: each for item in whole["paths"].values() for each in item.values()}


def taken(operation):
    """The fields of a body."""
    return operation["requestBody"]["content"]["application/json"]["schema"]["properties"]


def schemas(value):
    """Every schema of a document."""
    if isinstance(value, dict):
        if "schema" in value:
            yield value["schema"]
        for each in value.values():
            yield from schemas(each)
    elif isinstance(value, list):
        for each in value:
            yield from schemas(each)


# --- the document ---------------------------------------------------------------------------------


def test_each_row_is_an_operation_with_a_name_of_its_own():
    told = {(m.upper(), path) for path, item in WHOLE["paths"].items() for m in item}
    assert told == {(row.method, row.path) for row in ENDPOINTS}
    assert set(operations(WHOLE)) == {operation_id(row) for row in ENDPOINTS}
    assert len(operations(WHOLE)) == len(ENDPOINTS)


def test_the_document_is_whole():
    assert json.loads(json.dumps(WHOLE)) == WHOLE
    found = list(schemas(WHOLE))
    assert len(found) > 70
    for schema in found:
        meta.validate(schema)
    for path, item in WHOLE["paths"].items():
        for operation in item.values():
            named = {each["name"] for each in operation.get("parameters", []) if each["in"] == "path"}
            assert named == set(re.findall(r"\{(\w+)\}", path))
            assert all(response["description"] for response in operation["responses"].values())


def test_what_gives_a_key_id_leads_to_what_takes_one():
    made = operations(WHOLE)["POST_keymgmt_create"]["responses"]["200"]["links"]
    assert made["GET_keymgmt_get_kid"] == {
        "operationId": "GET_keymgmt_get_kid", "parameters": {"kid": "$response.body#/kid"}
    }  # fmt: skip
    assert made["POST_crypto_exdsa_sign"]["requestBody"] == {"kid": "$response.body#/kid"}
    assert set(made) <= set(operations(WHOLE))


#: Endpoint → statuses that are known of a device, and the emulator never gives: why.
NEVER = {
    ("GET", "/api/system/upgrade"): ({403}, "U28 is set to 200"),
    ("GET", "/api/system/upgrade/usbmode"): ({406}, "the restart is always made"),
    ("GET", "/api/system/upgrade/check_ui"): ({404}, "nothing staged is 409 there"),
    ("GET", "/api/keymgmt/list"): ({406}, "the repository is always ready"),
    ("POST", "/api/keymgmt/search"): ({410}, "the repository is always ready"),
    ("GET", "/api/logger/list"): ({404, 406}, "the card is never lost, and there is no offset"),
    ("GET", "/api/logger/list/{offset}"): ({404}, "the card is never lost"),
}
#: Statuses that follow from what a row demands, and that no list has.
MORE = {
    ("POST", "/api/system/upgrade/upload_fw"): ({409}, "a fail state, or an installation under way"),
    ("POST", "/api/system/upgrade/upload_ui"): ({409}, "a fail state, or an installation under way"),
}


@pytest.mark.parametrize("row", ENDPOINTS, ids=operation_id)
def test_the_statuses_are_those_that_are_known(row):
    place = (row.method, row.path)
    known = STATUSES[place] | COMMON["ANY"] | COMMON.get(row.method, set())
    never, more = NEVER.get(place, (set(), ""))[0], MORE.get(place, (set(), ""))[0]
    if "{" in row.path:  # of another path, which is in the device's page
        never = never - {404}
        more = more | {404}
    assert statuses(row, NOW) == known - never | more


@pytest.mark.parametrize(
    ("switch", "value", "operation", "comes", "goes"),
    [
        ("Q30", False, "POST_crypto_ecdh", {404}, set()),
        ("Q4", 406, "POST_crypto_pqc_mldsa_verify", {406}, {795}),
        ("Q1", False, "DELETE_keymgmt_delete_kid", {418}, set()),
        ("Q33", "atecc_1", "GET_system_config_attestation", {500}, set()),
        ("Q28", False, "POST_auth_ext_request", {406}, set()),
        ("Q3", False, "GET_system_status", set(), {401}),
        ("Q23", 404, "POST_keymgmt_search", {404}, set()),
    ],
)
def test_a_switch_changes_the_statuses_of_its_endpoints(switch, value, operation, comes, goes):
    before = set(declared(operations(WHOLE)[operation]))
    after = set(declared(operations(document(Switches({switch: value})))[operation]))
    assert (after - before, before - after) == (comes, goes)


@pytest.mark.parametrize("value", [795, 65307, 406, 100])
def test_a_status_that_openapi_has_no_place_for_is_the_default(value):
    """Programs that read such documents refuse other names (OpenAPI 3.1 §4.8.16)."""
    whole = document(Switches({"Q4": value}))
    for operation in operations(whole).values():
        assert all(re.fullmatch(r"[1-5]\d\d|default", key) for key in operation["responses"])
    verify = operations(whole)["POST_crypto_pqc_mldsa_verify"]["responses"]
    assert verify.get("default", {}).get("x-status") == (value if value > 599 else None)
    answer = ("POST", "/api/crypto/pqc/mldsa/verify", value, "application/json", b"")
    assert Contract(whole).problems(*answer) == []
    for other in (599, 796):
        assert Contract(whole).problems(*answer[:2], other, *answer[3:])


def test_errors_have_the_body_that_q2_gives_them():
    loud = operations(document(Switches({"Q2": False})))["POST_keymgmt_create"]["responses"]
    assert loud["406"]["content"]["application/json"]["schema"]["properties"] == {"error": {"const": 406}}
    assert "content" not in operations(WHOLE)["POST_keymgmt_create"]["responses"]["406"]


def test_an_epa_has_less():
    rack = document(NOW, ppa=False)
    assert set(WHOLE["paths"]) - set(rack["paths"]) == {row.path for row in ENDPOINTS if row.msc}
    assert "dnsd" in taken(operations(WHOLE)["POST_system_config"])
    assert "dnsd" not in taken(operations(rack)["POST_system_config"])
    without = document(Switches({"U20": False}), ppa=False)
    assert set(rack["paths"]) - set(without["paths"]) == {"/api/system/shutdown"}


def test_limits_of_the_firmware_are_in_the_fields():
    from hem_provider.emulator.firmware import Limits

    larger = operations(document(Switches({}, Limits(label=40, message=4096))))
    assert taken(larger["POST_keymgmt_create"])["label"]["pattern"] == "^[ -~]{1,40}$"
    assert taken(larger["POST_crypto_hmac_hash"])["msg"]["description"] == "1 to 4096 bytes"


def test_what_an_initialisation_carries_is_in_the_document():
    cfg = taken(operations(WHOLE)["POST_auth_init"])["init"]["contentSchema"]["prefixItems"][1]["properties"][
        "cfg"
    ]
    assert cfg["properties"]["storage_mode"]["enum"] == list(init.STORAGE_MODES)
    assert "masterkey" in cfg["required"]


# --- the fields -----------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    minimum=st.integers(1, 40), more=st.one_of(st.none(), st.integers(0, 40)), lenient=st.booleans(),
    size=st.integers(0, 120), padding=st.integers(0, 3),
)  # fmt: skip
def test_the_pattern_of_base64_counts_bytes(minimum, more, lenient, size, padding):
    maximum = None if more is None else minimum + more
    text = "A" * size + "=" * padding
    try:
        data = from_b64(text)
    except ValueError:
        data = b""
    fits = len(data) >= minimum and (maximum is None or len(data) <= maximum)
    standard = len(text) % 4 == 0 and padding == -size % 4
    pattern = base64_text(minimum, maximum, lenient=lenient)["pattern"]
    assert bool(re.search(pattern, text)) is (fits and (lenient or standard))


FIELDS = (
    {
        f"{operation_id(row)} {field.name}": field.read
        for row in ENDPOINTS
        for field in (*(row.fields or ()), *row.own)
        if not field.dropped
    }
    | {f"cfg {field.name}": field.read for field in init.FIELDS}
    | {f"path {n}": r for n, r in PATH.items()}
)
#: What a schema cannot say, so that reading refuses more.
BEYOND = {"ip": "an address", "scope": "bytes, not characters", "tls": "certificates"}


def accepts(reader, value, switches):
    try:
        reader(value, switches)
    except ValueError:
        return False
    return True


def values(schema):
    """Values of all kinds, many of which fit the schema or nearly do."""
    near = [st.none(), st.booleans(), st.integers(-1, 300), st.text(max_size=70), st.just({}), st.just([])]
    if "pattern" in schema:
        near += [st.from_regex(schema["pattern"], fullmatch=True).map(lambda text: text.rstrip("\n"))] * 6
        near += [st.from_regex(schema["pattern"], fullmatch=True).map(lambda text: text + "A")]
    if "enum" in schema:
        near += [st.sampled_from(schema["enum"])] * 4
    for bound in (schema.get("minLength"), schema.get("maxLength")):
        if bound is not None:
            near += [st.sampled_from([bound - 1, bound, bound + 1]).map(lambda size: "a" * max(0, size))]
    for bound in (schema.get("minimum"), schema.get("maximum")):
        if bound is not None:
            near += [st.sampled_from([bound - 1, bound, bound + 1])]
    return st.one_of(near)


@pytest.mark.parametrize("switches", [NOW, STRICT], ids=["now", "strict"])
@pytest.mark.parametrize("name", FIELDS)
def test_a_field_is_read_as_its_schema_says(name, switches):
    reader, beyond = FIELDS[name], name.split()[1] in BEYOND
    schema = reader.schema(switches)
    validator = Draft202012Validator(schema)

    @settings(max_examples=6, deadline=None, database=None)
    @given(value=values(schema))
    def agree(value):
        declared, read = validator.is_valid(value), accepts(reader, value, switches)
        assert declared or not read, value
        assert read or not declared or beyond, value

    agree()


def test_a_reader_that_is_stricter_than_its_schema_is_found():
    reader = dataclasses.replace(PATH["kid"], schema=lambda _: {"type": "string"})
    assert Draft202012Validator(reader.schema(NOW)).is_valid("no key id")
    assert not accepts(reader, "no key id", NOW)


def test_required_fields_are_those_that_reading_misses():
    rows = [row for row in ENDPOINTS if row.fields]
    update = next(row for row in rows if row.path.endswith("/update"))
    assert body_schema(update.fields, NOW)["required"] == ["kid", "label"]
    assert body_schema(update.fields, STRICT)["required"] == ["kid"]


# --- answers --------------------------------------------------------------------------------------


GOOD = json.dumps({"kid": "0" * 32}).encode()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((200, "application/json", GOOD), ""),
        ((406, "application/json", b""), ""),
        ((500, "application/json", b""), "500 is not declared"),
        ((200, "application/json", b'{"kid":"short"}'), "kid: "),
        ((200, "application/json", b"{}"), '"kid" is a required property'),
        ((200, "application/json", GOOD[:-1] + b',"more":1}'), "'more' was unexpected"),
        ((200, "application/json", b"<html>"), "not JSON"),
        ((200, "application/json", b""), "no body"),
        ((200, "text/plain", GOOD), "content type text/plain"),
        ((406, "application/json", b"why"), "a body, and none is declared"),
    ],
)
def test_an_answer_that_is_not_as_declared_is_told(answer, told):
    found = Contract(WHOLE).problems("POST", "/api/keymgmt/create", *answer)
    assert bool(found) is bool(told)
    assert re.search(told, " ".join(found))


def test_the_answers_of_this_folders_tests_are_looked_at(rig, monkeypatch, undeclared):
    row = next(row for row in ENDPOINTS if row.path == "/api/system/status")
    monkeypatch.setattr(type(row), "handler", property(lambda _: lambda _: Response(204)), raising=False)
    assert rig.call("GET", "/api/system/status").status == 204
    assert undeclared == ["GET_system_status: 204 is not declared"]
    undeclared.clear()


def test_every_answer_stands_by_an_endpoint():
    used = {id(row.answer) for row in ENDPOINTS} | {
        id(each) for row in ENDPOINTS for each in row.bodies.values()
    }
    named = {name for name in answers.__all__ if isinstance(getattr(answers, name), answers.Answer)}
    assert [name for name in named if id(getattr(answers, name)) not in used] == []
    assert endpoints.ENDPOINTS is ENDPOINTS


# --- where it is to be had ------------------------------------------------------------------------


def hem(*words):
    command = [sys.executable, "-m", "hem_provider.cli.main", "emulator", "openapi", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_prints_the_document_of_a_device(make_rig, tmp_path):
    assert json.loads(hem().stdout) == WHOLE
    epa = make_rig(model="epa")
    epa.quirk("Q30", "off")
    told = json.loads(hem("--state", str(epa.path)).stdout)
    assert told == document(Switches({"Q30": False}), ppa=False)
    missing = hem("--state", str(tmp_path / "nowhere"))
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "there is no state file" in missing.stderr


@pytest.mark.parametrize("asked", [True, False])
def test_a_served_device_has_the_document_only_where_it_is_asked_for(tmp_path, asked):
    with ServedEmulator(tmp_path, init=False, arguments=("--openapi",) if asked else ()) as served:
        if asked:
            with urllib.request.urlopen(served.http + PUBLISHED, timeout=10) as answer:
                found = json.loads(answer.read())
            assert found["servers"] == [{"url": "/"}]
            assert found["paths"] == WHOLE["paths"]
        else:
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(served.http + PUBLISHED, timeout=10)
        with urllib.request.urlopen(served.http + "/api/system/status", timeout=10) as answer:
            assert json.loads(answer.read())["inited"] is False


def test_only_a_get_of_that_path_is_the_documents(rig):
    from hem_provider.emulator.wsgiclient import call

    assert call(rig.device.published, "GET", PUBLISHED).json()["openapi"] == "3.1.0"
    assert call(rig.device.published, "POST", PUBLISHED, {}).status == 404
    assert call(rig.device.published, "GET", PUBLISHED + "/").status == 404
    assert call(rig.device.device, "GET", PUBLISHED).status == 404
    assert call(rig.device.published, "POST", "/api/keymgmt/create", b"x" * 7301).status == 413
    chunked = [("Transfer-Encoding", "chunked")]
    assert call(rig.device.published, "POST", "/api/keymgmt/create", {}, headers=chunked).status == 411
