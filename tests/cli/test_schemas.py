"""What is printed with ``--json`` is as a schema in ``docs/schemas`` says: of every action that has it."""

from __future__ import annotations

import json
import subprocess
from contextlib import nullcontext
from pathlib import Path

import jsonschema
import pytest
from cli.test_closed_streams import EVERY, HEM, device, places
from support.agent import RunningAgent
from support.commands import LEAVES, command_of

from hem_provider.cli import statuses
from hem_provider.cli.options import JsonFlag

__all__ = ["device", "places"]  # fixtures

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"
TELLING = [words for words in LEAVES if any(isinstance(each, JsonFlag) for each in command_of(words).params)]
#: Prints a document a line.
BY_LINES = {("keyring", "list")}
AGENT = ("agent", "ssh")


def schema_of(name):
    schema = json.loads((SCHEMAS / f"{name}.json").read_text("utf-8"))
    jsonschema.validators.validator_for(schema).check_schema(schema)
    return schema


def called(words):
    """What the schema of an action is called."""
    return "-".join(words)


def test_every_action_with_json_has_a_schema_and_no_schema_is_of_none():
    names = {each.stem for each in SCHEMAS.glob("*.json")}
    assert names == {"error", *map(called, TELLING)}


@pytest.mark.parametrize("words", TELLING, ids=" ".join)
def test_a_schema_says_what_it_is_of_and_knows_every_field(words):
    schema = schema_of(called(words))
    assert schema["title"].startswith(f"hem {' '.join(words)} ")
    assert "--json" in schema["title"]

    def closed(part):
        if isinstance(part, dict):
            if part.get("type") == "object" or "properties" in part:
                assert part.get("additionalProperties") is not None
            for each in part.values():
                closed(each)
        elif isinstance(part, list):
            for each in part:
                closed(each)

    closed(schema)


@pytest.mark.parametrize("words", TELLING, ids=" ".join)
def test_what_an_action_prints_is_as_its_schema_says(words, device, places, tmp_path):
    found, environment = places
    arguments = [each.format(**found | {"folder": tmp_path}) for each in EVERY[words][0]]
    with RunningAgent(device) if words[0] in AGENT else nullcontext() as agent:
        done = subprocess.run(
            [*HEM, *words, *arguments, *([] if "--json" in arguments else ["--json"])],
            env=agent.environment if agent else environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == statuses.DONE, done.stdout + done.stderr
    documents = done.stdout.splitlines() if words in BY_LINES else [done.stdout]
    assert documents
    for each in documents:
        jsonschema.validate(json.loads(each), schema_of(called(words)))


@pytest.mark.parametrize("words", TELLING, ids=" ".join)
def test_an_error_of_an_action_is_as_the_schema_of_errors_says(words, tmp_path):
    done = subprocess.run(
        [*HEM, *words, "--json", "--no-such-option"],
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    document = json.loads(done.stdout)
    jsonschema.validate(document, schema_of("error"))
    assert (done.returncode, document["status"], done.stderr) == (statuses.USAGE, statuses.USAGE, "")


def test_where_no_agent_runs_its_state_is_a_document_too(places, tmp_path):
    environment = places[1] | {"HEM_AGENT_SOCK": str(tmp_path / "none.sock")}
    done = subprocess.run(
        [*HEM, "agent", "status", "--json"], env=environment, capture_output=True, text=True, check=False
    )
    document = json.loads(done.stdout)
    jsonschema.validate(document, schema_of("agent-status"))
    assert (document["running"], done.returncode) == (False, statuses.NOT_REACHED)


def test_the_statuses_of_an_error_are_those_there_are():
    known = set(statuses.MEANINGS) - {statuses.DONE, statuses.INTERRUPTED}
    assert set(schema_of("error")["properties"]["status"]["enum"]) == known
