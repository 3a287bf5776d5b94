"""The device's API as an OpenAPI 3.1 document, made from the endpoint table.

Nothing is stated here that the rows, their fields and their answers state: which status an endpoint may
answer follows from what its row demands (device API §1.8), for the model, firmware and switches in force.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from hem_provider.emulator.answers import Answer
from hem_provider.emulator.call import ALL_FLS, Access, Endpoint, Life, Role, Rtc, Status
from hem_provider.emulator.device import Device
from hem_provider.emulator.encodings import compact_json
from hem_provider.emulator.endpoints import ENDPOINTS
from hem_provider.emulator.fields import PATH, body_schema
from hem_provider.emulator.http import JSON, Refusal, Request, Response
from hem_provider.emulator.quirks import Q, Switches
from hem_provider.emulator.schema import Schema
from hem_provider.emulator.wsgi import Service

__all__ = ["PUBLISHED", "Published", "document", "document_of", "operation_id", "statuses"]

#: Where ``hem emulator serve --openapi`` has it; no device has anything there.
PUBLISHED: Final = "/openapi.json"
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_UPLOAD: Final = "application/octet-stream"
#: The last status that OpenAPI has a place for; one beyond is under ``default``, and says its number.
_LAST: Final = 599
_FILE_NAME: Final = {
    "name": "Content-Disposition",
    "in": "header",
    "required": True,
    "schema": {"type": "string", "pattern": 'filename="?[^";]+'},
}
_ROLES: Final = {Role.USER: "user", Role.MASTER: "master", Role.EXTERNAL: "paired phone"}
_INFORMATION: Final = """\
What the emulated device takes and answers. Every answer is sent as `application/json`, those without a body
too; an error has none unless one is described. Any operation answers 412 to an `Origin` that is not on the
allow-list. A token has one scope; those of an operation are alternatives, which fit as a prefix of the
token's, a `keymgmt:use:…` as a whole.
"""
_MEANINGS: Final = {
    200: "done",
    201: "begun",
    202: "not finished yet",
    400: "malformed: the body, one of its fields, or the key id in the path",
    401: "a token is needed, or this one or the proof is not good",
    403: "not with this scope or role, or not in this state",
    404: "there is no such thing, or an empty part made it another path",
    406: "it did not work: unknown key, wrong kind of key, failed verification, out of range, already done",
    409: "not in a state for it: fail state, not initialised, busy; or plain HTTP",
    411: "without Content-Length",
    412: "the origin is not allowed",
    413: "the body is too large, or an upload has no file name",
    418: "over plain HTTP",
    500: "the secure element failed",
}


def operation_id(row: Endpoint) -> str:
    """Such as ``POST_keymgmt_create``."""
    parts = row.path.removeprefix("/api/").replace("{", "").replace("}", "").split("/")
    return "_".join((row.method, *parts))


def statuses(row: Endpoint, switches: Switches) -> set[int]:
    """All that this endpoint may answer."""
    return {200, 412, *_checks(row, switches), *(_number(each, switches) for each in row.statuses)} - {0}


def _number(status: Status, switches: Switches) -> int:
    if isinstance(status, Q):
        return switches.number(status)
    return status if isinstance(status, int) else status(switches)


def _checks(row: Endpoint, switches: Switches) -> Iterator[int]:
    """The refusals of the checks before the handler, in their order."""
    if row.method == "POST":
        yield from (411, 413)
    if row.access is not Access.NONE or switches.on(Q.BEARER_CHECKED_FIRST):
        yield 401
    if "{" in row.path:
        yield 404
    if row.rtc is not Rtc.NEVER or (row.access is not Access.NONE and _is_limited(row)):
        yield 403
    if row.life is Life.INITIALISED or row.tolerates != ALL_FLS or row.busy:
        yield 409
    if row.life is Life.FRESH:
        yield row.initialised_status
    if row.tls:
        yield row.tls if switches.on(Q.PLAIN_HTTP_409) else 418
    if row.fields is not None or "{kid}" in row.path:
        yield 400


def _is_limited(row: Endpoint) -> bool:
    """Whether there is a token that does not do."""
    return bool(row.scopes) or row.roles != frozenset(Role)


def document(switches: Switches, *, ppa: bool = True, url: str = "https://my.ence.do") -> dict[str, Any]:
    """The document of a device of this model under these switches. ``url``: where it is."""
    rows = [row for row in ENDPOINTS if ppa or not _is_absent(row, switches)]
    paths: dict[str, dict[str, Any]] = {}
    for row in rows:
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row, rows, switches, ppa=ppa)
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": _DIALECT,
        "info": {"title": "Encedo HEM, emulated", "version": _version(), "description": _INFORMATION},
        "servers": [{"url": url}],
        "paths": paths,
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
        },
    }


def _version() -> str:
    from hem_provider._version import __version__

    return __version__


def _is_absent(row: Endpoint, switches: Switches) -> bool:
    """What an EPA does not have."""
    return row.msc or (row.epa_switch is not None and not switches.on(row.epa_switch))


def _operation(row: Endpoint, rows: list[Endpoint], switches: Switches, *, ppa: bool) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": operation_id(row),
        "summary": (row.handler.__doc__ or "").strip().partition("\n")[0],
        "tags": [row.path.split("/")[2]],
        "security": _security(row),
        "responses": {
            str(status) if status <= _LAST else "default": _response(row, status, rows, switches)
            for status in sorted(statuses(row, switches))
        },
    }
    parameters = [_parameter(name, switches) for name in PATH if f"{{{name}}}" in row.path]
    if row.upload:
        parameters.append(_FILE_NAME)
        operation["requestBody"] = {"required": True, "content": {_UPLOAD: {"schema": {}}}}
    elif row.fields is not None:
        schema = body_schema((*row.fields, *row.own), switches, msc=ppa)
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": schema}}}
    if parameters:
        operation["parameters"] = parameters
    if row.access is not Access.NONE and row.roles != frozenset(Role):
        operation["x-roles"] = [name for role, name in _ROLES.items() if role in row.roles]
    return operation


def _parameter(name: str, switches: Switches) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": PATH[name].schema(switches)}


def _security(row: Endpoint) -> list[dict[str, list[str]]]:
    """Alternatives: a token of any of the scopes; none at all, where one is not always needed."""
    if row.access is Access.NONE:
        return []
    with_scope = [{"bearer": [scope.removeprefix("=")]} for scope in row.scopes] or [{"bearer": []}]
    return with_scope if row.access is Access.BEARER else [*with_scope, {}]


def _response(row: Endpoint, status: int, rows: list[Endpoint], switches: Switches) -> dict[str, Any]:
    meaning = _MEANINGS.get(status, "it did not work; an internal number (Q4)")
    response: dict[str, Any] = {"description": meaning}
    if status > _LAST:
        response["x-status"] = status
    answer = _answer(row, status, switches)
    if answer.schema is not None:
        response["content"] = {answer.content_type: {"schema": answer.schema}}
        if answer.maybe_empty:
            response["description"] += "; there may be no body"
            response["x-may-be-empty"] = True
    if status == 200 and (links := _links(row, rows)):
        response["links"] = links
    return response


def _answer(row: Endpoint, status: int, switches: Switches) -> Answer:
    """The body of a status. An error without one of its own has the number where Q2 is off."""
    own = row.answer if status == 200 else row.bodies.get(status, Answer())
    if status < 400 or switches.on(Q.EMPTY_ERRORS):
        return own
    small: Schema = {
        "type": "object",
        "properties": {"error": {"const": status}},
        "required": ["error"],
        "additionalProperties": False,
    }
    return Answer(small if own.schema is None else {"anyOf": [small, own.schema]})


def _links(row: Endpoint, rows: list[Endpoint]) -> dict[str, Any]:
    """From what gives a key id to what takes one."""
    if "kid" not in ((row.answer.schema or {}).get("properties") or {}):
        return {}
    given = "$response.body#/kid"
    links: dict[str, Any] = {}
    for other in rows:
        target: Mapping[str, Any] = {}
        if "{kid}" in other.path:
            target = {"parameters": {"kid": given}}
        elif other.fields and any(field.name == "kid" for field in other.fields):
            target = {"requestBody": {"kid": given}}
        if target:
            links[operation_id(other)] = {"operationId": operation_id(other), **target}
    return links


def document_of(device: Device, *, url: str = "https://my.ence.do") -> dict[str, Any]:
    """The document of this device; inside a transaction."""
    return document(device.switches, ppa=device.is_ppa, url=url)


class Published:
    """A device that has its document at ``PUBLISHED``, and is as it is everywhere else."""

    def __init__(self, service: Service, device: Device) -> None:
        self._service = service
        self._device = device

    def respond(self, request: Request, *, framing: Refusal | None = None) -> Response:
        """The document, or the device's answer."""
        if (request.method, request.path) != ("GET", PUBLISHED):
            return self._service.respond(request, framing=framing)
        with self._device.transaction():
            return Response(body=compact_json(document_of(self._device, url="/")).encode())

    def body_limit(self, method: str, path: str) -> int:
        """The device's."""
        return self._service.body_limit(method, path)

    def chunked_allowed(self) -> bool:
        """Whether the device takes chunked bodies."""
        return self._service.chunked_allowed()
