"""What tests of an owner's commands share: schemas, and a person at the terminal."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import jsonschema

__all__ = ["SCHEMAS", "types_at_terminal", "valid"]

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"


def valid(text: Any, name: str) -> Any:
    """The document, or what its text says, which is as the schema in ``docs/schemas`` says."""
    document = json.loads(text) if isinstance(text, str | bytes) else text
    schema = json.loads((SCHEMAS / f"{name}.json").read_text())
    jsonschema.validators.validator_for(schema).check_schema(schema)
    jsonschema.validate(document, schema)
    return document


def types_at_terminal(monkeypatch: Any, text: str) -> None:
    """A person is at the terminal, and types this."""
    typed = io.StringIO(text)
    for stream in (typed, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stdin", typed)
