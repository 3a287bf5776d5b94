"""``tools.compare_openapi`` finds each kind of difference, and holds the page's table to what it finds."""

from __future__ import annotations

import copy
import json

import pytest

from tools import compare_openapi
from tools.compare_openapi import Difference, Reason, compare, load, main, reasons, unexplained


def answered(properties=None, required=()):
    """A 200, with a body where there are properties."""
    if properties is None:
        return {"description": "done"}
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return {"description": "done", "content": {"application/json": {"schema": schema}}}


#: A device of two calls, in words of our own.
OURS = {
    "paths": {
        "/api/shelf/{place}": {
            "get": {"security": [], "responses": {"200": answered({"book": {"type": "string"}})}}
        },
        "/api/shelf": {
            "post": {
                "security": [{"bearer": ["shelf:fill"]}],
                "requestBody": {
                    "content": {
                        "application/json": {
                            "schema": {
                                "type": "object",
                                "required": ["title"],
                                "properties": {
                                    "title": {"type": "string", "maxLength": 32},
                                    "kind": {"type": "string", "enum": ["map", "tale"]},
                                    "inside": {
                                        "type": "array",
                                        "items": {"$ref": "#/components/schemas/Page"},
                                    },
                                },
                            }
                        }
                    }
                },
                "responses": {"200": answered(), "406": {"description": "full"}},
            }
        },
    },
    "components": {"schemas": {"Page": {"type": "object", "properties": {"text": {"type": "string"}}}}},
}


def changed(change):
    theirs = copy.deepcopy(OURS)
    change(theirs["paths"])
    return theirs


def fields(paths):
    body = paths["/api/shelf"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    return body["properties"]


def test_a_document_is_not_other_than_itself():
    assert compare(OURS, copy.deepcopy(OURS)) == []


GET, POST = "GET /api/shelf/{place}", "POST /api/shelf"
CHANGES = {
    "a call less": (lambda paths: paths.pop("/api/shelf"), POST, "operation here"),
    "a call more": (
        lambda paths: paths["/api/shelf"].update(delete={"responses": {"200": answered()}}),
        "DELETE /api/shelf",
        "operation there",
    ),
    "another name in a path": (
        lambda paths: paths.update({"/api/shelf/{spot}": paths.pop("/api/shelf/{place}")}),
        GET,
        "parameters place here, spot there",
    ),
    "a token": (
        lambda paths: paths["/api/shelf/{place}"]["get"].update(security=[{"b": []}]),
        GET,
        "token none here, needed there",
    ),
    "a token that is not always needed": (
        lambda paths: paths["/api/shelf"]["post"].update(security=[{"b": []}, {}]),
        POST,
        "token needed here, optional there",
    ),
    "a field less": (lambda paths: fields(paths).pop("kind"), POST, "field kind here"),
    "a field more": (lambda paths: fields(paths).update(note={}), POST, "field note there"),
    "a field inside of another": (
        lambda paths: fields(paths)["inside"].update(items={}),
        POST,
        "field inside[].text here",
    ),
    "a field that is not needed": (
        lambda paths: paths["/api/shelf"]["post"]["requestBody"]["content"]["application/json"]["schema"].pop(
            "required"
        ),
        POST,
        "field title needed here",
    ),
    "another type": (
        lambda paths: fields(paths)["title"].update(type="integer"),
        POST,
        "field title string here, integer there",
    ),
    "another size": (
        lambda paths: fields(paths)["title"].update(maxLength=64),
        POST,
        "field title at most 32 here, 64 there",
    ),
    "a choice more": (
        lambda paths: fields(paths)["kind"]["enum"].append("atlas"),
        POST,
        'field kind values "atlas" there',
    ),
    "a choice less": (
        lambda paths: fields(paths)["kind"].update(enum=["map"]),
        POST,
        'field kind values "tale" here',
    ),
    "no choices": (lambda paths: fields(paths)["kind"].pop("enum"), POST, "field kind choices here alone"),
    "a status less": (
        lambda paths: paths["/api/shelf"]["post"]["responses"].pop("406"),
        POST,
        "status 406 here",
    ),
    "a status more": (
        lambda paths: paths["/api/shelf"]["post"]["responses"].update({"410": {}}),
        POST,
        "status 410 there",
    ),
    "a field of an answer": (
        lambda paths: paths["/api/shelf"]["post"]["responses"].update({"200": answered({"page": {}})}),
        POST,
        "answer page there",
    ),
    "a field that an answer always has": (
        lambda paths: paths["/api/shelf/{place}"]["get"]["responses"].update(
            {"200": answered({"book": {"type": "string"}}, ["book"])}
        ),
        GET,
        "answer book always there",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_kind_of_difference_is_found_and_no_other(name):
    change, where, what = CHANGES[name]
    assert compare(OURS, changed(change)) == [Difference(where, what)]


PAGE = """
| where | difference | reason |
|---|---|---|
| `POST /api/*` | `status 406 here`, `field kind *` | shelves here may be full |
| `GET /api/*` | `status 500 there` | nothing ever fails |
"""


def test_what_stands_in_the_page_has_a_reason_and_a_row_about_nothing_is_told():
    rows = reasons(PAGE)
    assert rows[0] == Reason(
        ("POST /api/*",), ("status 406 here", "field kind *"), "shelves here may be full"
    )
    known, unknown = Difference(POST, "field kind here"), Difference(GET, "status 406 here")
    assert unexplained([known, unknown], rows) == ([unknown], [rows[1]])


def test_every_row_of_the_page_has_a_reason():
    rows = reasons(compare_openapi.PAGE.read_text("utf-8"))
    assert len(rows) > 15
    assert all(row.where and row.what and row.why for row in rows)


def test_json_and_yaml_are_read_and_other_files_refused(tmp_path):
    path = tmp_path / "api"
    path.write_text(json.dumps(OURS))
    assert load(path) == OURS
    path.write_text(
        "openapi: 3.0.3\npaths:\n  /api/shelf: {get: {responses: {'200': {description: done}}}}\n"
    )
    assert list(load(path)["paths"]) == ["/api/shelf"]
    for text in ("a: [", "[1, 2]", "{}"):
        path.write_text(text)
        with pytest.raises(ValueError, match=str(path)):
            load(path)


def test_the_command_tells_all_differences_and_ends_by_them(tmp_path, capsys):
    from hem_provider.emulator.openapi import document
    from hem_provider.emulator.quirks import Switches

    path = tmp_path / "theirs.json"
    theirs = document(Switches({}))
    theirs["paths"]["/api/system/status"]["get"]["responses"]["299"] = {"description": "odd"}
    path.write_text(json.dumps(theirs))
    assert main([str(path)]) == 1
    told = capsys.readouterr().out
    assert "? GET /api/system/status: status 299 there\n" in told
    assert "! a row about nothing: " in told
    assert "1 differences, 1 without a reason" in told
    assert main([str(tmp_path / "missing")]) == 2
