"""What is printed with ``--json`` is as a schema in ``docs/schemas`` says: of every action that has it."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from contextlib import nullcontext
from pathlib import Path

import jsonschema
import pytest
from cli.test_closed_streams import EVERY, HEM, device, gnupg, places
from support.agent import RunningAgent
from support.commands import LEAVES, command_of

from hem_provider.cli import statuses
from hem_provider.cli.options import JsonFlag

__all__ = ["device", "places"]  # fixtures

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "docs" / "schemas"
TELLING = [words for words in LEAVES if any(isinstance(each, JsonFlag) for each in command_of(words).params)]
#: Prints a document a line.
BY_LINES = {("keyring", "list"), ("log", "follow")}
#: Prints what another action does.
AS_ANOTHER = {("keys", "search"): ("keys", "list")}
#: Actions that only look: their output is taken from a run here, that of others in the tests of their own.
LOOKING = {
    "agent status", "certificate show", "config path", "config show", "device config show", "gpg status",
    "keyring list", "keys list", "keys search", "keys show", "openssl uri", "phones list", "ssh keys",
    "status",
}  # fmt: skip
SEEN = [words for words in TELLING if " ".join(words) in LOOKING]
AGENT = ("agent", "ssh")


def read(path):
    return json.loads(path.read_text("utf-8"))


def schema_of(name):
    schema = read(SCHEMAS / f"{name}.json")
    jsonschema.validators.validator_for(schema).check_schema(schema)
    return schema


def told_in(title):
    """The actions that the title of a schema names: ``hem keys rename|delete KEY --json``."""
    words = list(itertools.takewhile(str.islower, title.partition("--json")[0].replace("-", "_").split()[1:]))
    return [(*words[:-1], each.replace("_", "-")) for each in words[-1].split("|")]


#: Action → the name of its schema.
NAMES = {
    words: path.stem
    for path in SCHEMAS.glob("*.json")
    if path.stem != "error"
    for words in told_in(read(path)["title"])
}


def name_of(words):
    return NAMES[AS_ANOTHER.get(words, words)]


def test_every_action_with_json_has_a_schema_and_no_schema_is_of_none():
    assert {AS_ANOTHER.get(words, words) for words in TELLING} == set(NAMES)


@pytest.mark.parametrize("name", sorted(set(NAMES.values())))
def test_a_schema_says_what_it_is_of_and_knows_every_field(name):
    schema = schema_of(name)
    assert re.match(r"hem [a-z0-9|-]+ .*--json", schema["title"])
    for each in schema.get("oneOf", [schema]):
        assert each["type"] == "array" or each["additionalProperties"] is False


def test_the_output_of_an_action_that_changes_something_is_held_against_its_schema():
    """In the tests of its own, which name the schema."""
    texts = [path.read_text("utf-8") for path in (ROOT / "tests" / "cli").glob("test_*.py")]
    tests = "".join(text for text in texts if "jsonschema" in text or "valid(" in text)
    names = {name_of(words) for words in TELLING if words not in SEEN}
    assert [name for name in names if not re.search(rf"""["']{name}(\.json)?["']""", tests)] == []


@pytest.mark.parametrize("words", SEEN, ids=" ".join)
def test_what_an_action_prints_is_as_its_schema_says(words, device, places, tmp_path):
    found, environment = places
    arguments = [each.format(**found | {"folder": tmp_path}) for each in EVERY.get(words, ([],))[0]]
    agents = RunningAgent(device) if words[0] in AGENT else nullcontext()
    with gnupg(words, tmp_path), agents as agent:
        done = subprocess.run(
            [*HEM, *words, *arguments, *([] if "--json" in arguments else ["--json"])],
            env=agent.environment if agent else environment | {"XDG_CONFIG_HOME": str(tmp_path)},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == statuses.DONE, done.stdout + done.stderr
    documents = done.stdout.splitlines() if words in BY_LINES else [done.stdout]
    assert documents
    for each in documents:
        jsonschema.validate(json.loads(each), schema_of(name_of(words)))


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
