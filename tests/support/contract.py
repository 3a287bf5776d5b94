"""Answers held against the OpenAPI document of the device that gave them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from jsonschema_rs import Draft202012Validator

__all__ = ["Contract", "declared"]

_JSON = "application/json"


def declared(operation: Mapping[str, Any]) -> dict[int, Mapping[str, Any]]:
    """Status → what is said of its answer. One that OpenAPI has no place for is under ``default``."""
    return {int(each.get("x-status", key)): each for key, each in operation["responses"].items()}


class Contract:
    """One document. ``seen``: (operation, status) of every answer that was looked at."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.seen: set[tuple[str, int]] = set()
        self._operations: list[tuple[str, re.Pattern[str], Mapping[str, Any]]] = []
        self._validators: dict[int, Draft202012Validator] = {}
        for path, item in sorted(document["paths"].items(), key=lambda each: each[0].count("{")):
            pattern = re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)))
            self._operations += [(method.upper(), pattern, each) for method, each in item.items()]

    def operation(self, method: str, path: str) -> Mapping[str, Any] | None:
        """What answers this; a path without parameters goes first."""
        fitting = (
            each for verb, pattern, each in self._operations if verb == method and pattern.fullmatch(path)
        )
        return next(fitting, None)

    def problems(self, method: str, path: str, status: int, content_type: str, body: bytes) -> list[str]:
        """What the document does not say of this answer; nothing of paths that it does not have."""
        operation = self.operation(method, path)
        if operation is None:
            return []
        name = operation["operationId"]
        self.seen.add((name, status))
        response = declared(operation).get(status)
        if response is None:
            return [f"{name}: {status} is not declared"]
        return [f"{name} {status}: {each}" for each in self._faults(response, content_type, body)]

    def _faults(self, response: Mapping[str, Any], content_type: str, body: bytes) -> list[str]:
        content = response.get("content")
        if content is None:
            wrong = ["a body, and none is declared"] if body else []
            return wrong + ([] if content_type == _JSON else [f"content type {content_type}"])
        if not body:
            return [] if response.get("x-may-be-empty") else ["no body"]
        if content_type not in content:
            return [f"content type {content_type}"]
        schema = content[content_type]["schema"]
        try:
            value = json.loads(body) if content_type == _JSON else body.decode("utf-8")
        except ValueError:
            value = body.decode("latin-1")
            if schema["type"] == "object":
                return ["not JSON"]
        faults = self._validator(schema).iter_errors(value)
        return [f"{'/'.join(map(str, each.instance_path)) or 'all'}: {each.message}" for each in faults]

    def _validator(self, schema: Mapping[str, Any]) -> Draft202012Validator:
        if id(schema) not in self._validators:
            self._validators[id(schema)] = Draft202012Validator(schema)
        return self._validators[id(schema)]
