"""``hem checkin``: at once, and in three parts on two computers."""

from __future__ import annotations

import io
import json
from pathlib import Path

import jsonschema
import pytest

from hem_provider.cli import checkin_actions
from hem_provider.cli import main as cli
from hem_provider.device.hem import CheckInResult
from hem_provider.emulator.encodings import from_b64url, to_b64url

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "checkin.json").read_text())


@pytest.fixture
def run(rig, monkeypatch, capsys):
    monkeypatch.setenv("HEM_URL", f"emulator:{rig.path}")

    def run(*arguments, stdin=""):
        capsys.readouterr()
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        status = cli.main(["checkin", *map(str, arguments)])
        return status, *capsys.readouterr()

    return run


def clock(rig):
    with rig.connect(None) as hem:
        return hem.status().time


def test_a_device_without_a_time_gets_one(rig, run):
    rig.reboot()
    assert clock(rig) is None
    assert run() == (0, "hem: checked in; its clock is set, it had no time.\n", "")
    assert clock(rig) is not None
    status, out, _ = run()
    assert (status, out) == (0, "hem: checked in; its clock is set, it was right.\n")


@pytest.mark.parametrize(("offset", "told"), [(500, "500 s ahead"), (-500, "500 s behind")])
def test_how_wrong_the_clock_was_is_told(rig, run, offset, told):
    rig.set_clock(offset)
    assert told in run()[1].replace("499", "500").replace("501", "500")


def test_it_costs_four_calls_and_no_login(rig, run):
    rig.requests.clear()
    run()
    assert rig.requests == [
        "GET /api/system/status",
        "GET /api/system/checkin",
        "CLOUD POST /checkin",
        "POST /api/system/checkin",
    ]


@pytest.mark.parametrize(
    ("action", "status", "told"),
    [
        ("L", 1, "The cloud has LOCKED the device"),
        ("B", 1, "The cloud has STOPPED the device"),
        ("W", 1, "The cloud has WIPED the device"),
        ("R", 0, "The cloud wants a report"),
        ("U", 0, "The cloud wants the firmware"),
        ("???", 0, "The cloud has ordered what the device does not know."),
    ],
)
def test_what_the_cloud_orders_is_told(rig, run, action, status, told):
    rig.backend(checkin_action=action)
    found, out, _ = run()
    assert found == status
    assert told in out


def test_an_offer_is_told_with_the_command_that_takes_it():
    result = CheckInResult("OK", "OK", firmware_offered=True, dashboard_offered=True, new_certificate=b"x")
    lines = list(checkin_actions.told(result))
    assert [each.partition(":")[0] for each in lines] == [
        "The cloud offers a new certificate",
        "The cloud offers newer firmware",
        "The cloud offers a newer dashboard.",
    ]


def test_a_check_in_as_json_is_as_the_schema_says(rig, run):
    for before in (lambda: None, rig.reboot):
        before()
        document = json.loads(run("--json")[1])
        jsonschema.validate(document, SCHEMA)
    assert document["was_ahead"] is None


def test_another_computer_carries_the_message(rig, run, tmp_path):
    rig.reboot()
    challenge, answer = tmp_path / "challenge", tmp_path / "answer"
    rig.requests.clear()
    status, out, said = run("--challenge")
    assert (status, said) == (0, "")
    challenge.write_text(out)
    assert len(rig.requests) == 1
    status, out, _ = run("--relay", challenge)
    assert status == 0
    answer.write_text(out)
    assert clock(rig) is None
    assert run("--answer", answer) == (0, "hem: checked in; its clock is set, it had no time.\n", "")
    assert clock(rig) is not None


def test_the_message_may_go_through_a_pipe(rig, run):
    rig.reboot()
    challenge = run("--challenge")[1]
    answer = run("--relay", "-", stdin=challenge)[1]
    document = json.loads(run("--answer", "-", "--json", stdin=answer)[1])
    jsonschema.validate(document, SCHEMA)
    assert clock(rig) is not None


def test_an_answer_counts_once_and_for_a_minute_and_for_this_challenge(rig, run):
    rig.reboot()
    first, second = run("--challenge")[1], run("--challenge")[1]
    answers = [run("--relay", "-", stdin=each)[1] for each in (first, second)]
    rig.reboot()
    status, out, said = run("--answer", "-", stdin=answers[0])
    assert (status, out) == (1, "")
    assert "over a minute old; begin again: hem checkin --challenge" in said
    assert clock(rig) is None


def test_a_wrong_file_is_told(rig, run, tmp_path):
    challenge = run("--challenge")[1]
    answer = run("--relay", "-", stdin=challenge)[1]
    rig.requests.clear()
    for option, text, told in (
        ("--relay", "", "this is not a challenge of a check-in: 0 bytes that are not JSON"),
        ("--relay", answer, "this is not a challenge of a check-in: 'check': missing"),
        ("--answer", challenge, "this is not an answer of a check-in: 'checked': missing"),
        ("--answer", "[]", "no JSON object"),
        ("--answer", '{"checked": "a.b.c"}', "'checked': 5 characters that are no JWT"),
        ("--answer", '{"checked": 3}', "'checked'"),
        ("--relay", "x" * 70_000, "it has over 65536 bytes"),
        ("--relay", "\x00\xff", "are not JSON"),
    ):
        status, out, said = run(option, "-", stdin=text)
        assert (status, out) == (1, "")
        assert told in said
        assert said.count("\n") == 1
    assert [each for each in map(str, rig.requests) if "POST" in each] == []
    for place in (tmp_path, tmp_path / "nowhere"):
        status, _, said = run("--relay", place)
        assert status == 1
        assert said.startswith(f"hem: {place}: cannot read the challenge: ")


def test_an_answer_of_the_cloud_to_another_challenge_is_found_out(rig, run):
    def alter(line, body):
        if line != "CLOUD POST /checkin":
            return body
        token = json.loads(body)["checked"].split(".")
        claims = json.loads(from_b64url(token[1]))
        claims["jti"] = "A" * 43 + "="
        token[1] = to_b64url(json.dumps(claims).encode())
        return json.dumps({"checked": ".".join(token)}).encode()

    challenge = run("--challenge")[1]
    rig.alter = alter
    status, out, said = run("--relay", "-", stdin=challenge)
    assert (status, out) == (1, "")
    assert "the answer is to another challenge" in said


@pytest.mark.parametrize("option", [["--relay", "-"], []])
def test_a_cloud_that_refuses_is_named(rig, run, option):
    challenge = run("--challenge")[1]
    rig.fault("CLOUD POST /checkin", 503)
    status, out, said = run(*option, stdin=challenge)
    assert (status, out) == (1, "")
    assert "the cloud service https://api.encedo.com answers HTTP 503" in said


def test_who_carries_needs_no_device(run, monkeypatch):
    monkeypatch.delenv("HEM_URL")
    monkeypatch.setenv("HEM_CLOUD_URL", "https://127.0.0.1:1")
    status, _, said = run("--relay", "-", stdin='{"check":"e30.eyJqdGkiOiJ4In0.eA"}')
    assert status == 3
    assert "127.0.0.1:1" in said


def test_parts_do_not_go_together(run):
    status, _, said = run("--challenge", "--relay", "-")
    assert status == 2
    assert "--challenge and --relay do not go together" in said


def test_a_device_that_is_away_is_told(run, monkeypatch):
    monkeypatch.setenv("HEM_URL", "https://127.0.0.1:1")
    assert [run(*each)[0] for each in ((), ("--challenge",))] == [3, 3]


def test_a_cloud_that_is_away_is_told_as_the_cloud_in_words(served, monkeypatch, capsys):
    for name, value in {
        "URL": served.https,
        "CA_FILE": served.ca_file,
        "CLOUD_URL": "https://127.0.0.1:1",
        "CLOUD_CA_FILE": served.ca_file,
    }.items():
        monkeypatch.setenv(f"HEM_{name}", str(value))
    assert cli.main(["checkin"]) == 3
    assert capsys.readouterr().err == (
        "hem: check-in needs the cloud service: https://127.0.0.1:1: cannot reach the cloud service: "
        "Connection refused\n"
    )
