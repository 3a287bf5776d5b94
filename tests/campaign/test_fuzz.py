"""The fuzzers in their short form: every corpus again, inputs by chance, and what a defect looks like."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from campaign import fuzz
from campaign.fuzzing.build import ENGINE, HARNESSES, build_harness, replay_compiler
from campaign.fuzzing.module import device_for
from campaign.fuzzing.running import CORPORA, Ran, repeat_command, run_one, seed_folder
from campaign.fuzzing.seeds import SEEDS
from campaign.fuzzing.tables import FUNCTIONS, tables
from campaign.fuzzing.targets import TARGETS, ForeignError, corpus_of, held, ready
from campaign.fuzzing.varied import varied
from campaign.outcome import Effort


@pytest.fixture(autouse=True)
def _logs():
    """Targets say nothing; the tests after them do."""
    import logging

    before = logging.root.manager.disable
    yield
    logging.disable(before)


# --- Python ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TARGETS)
def test_a_parser_answers_or_refuses_whatever_it_reads(name):
    target = TARGETS[name]
    run = ready(target)
    for data in varied([*target.seeds(), *corpus_of(CORPORA / name)], 40 if name == "ssh-agent" else 150):
        run(data)


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_reach_what_a_good_input_reaches(name):
    """A target that refuses everything at once would find nothing."""
    target = TARGETS[name]
    run, good = target.make(), 0
    for data in target.seeds():
        try:
            run(data)
        except Exception:  # noqa: S112 - counted by what is left
            continue
        good += 1
    assert good > 0


def _endless(_: bytes) -> None:
    until = time.process_time() + 1.1
    while time.process_time() < until:
        pass


@pytest.mark.parametrize(
    ("broken", "kind"),
    [
        (lambda data: {}[data], KeyError),
        (lambda data: data.decode("ascii"), UnicodeDecodeError),
        (_endless, ForeignError),
        (lambda _: bytearray(300 * 2**20).count(1), ForeignError),
    ],
    ids=["another-exception", "an-exception-of-python", "slow", "large"],
)
def test_a_broken_parser_is_found(broken, kind):
    from hem_provider.errors import HemError

    with pytest.raises(kind):
        held(broken, (HemError,))(b"\xff")


# --- C --------------------------------------------------------------------------------------------

#: Built and replayed in ``make test``; the others take longer to build.
QUICK = ("entry", "places", "uri")


@pytest.fixture(scope="module")
def compiler():
    found = replay_compiler()
    if found is None:
        pytest.skip("no compiler with AddressSanitizer")
    return found


def replay(program: Path, paths: list[Path], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, *paths], env=environment, capture_output=True, text=True, timeout=170, check=False
    )


@pytest.mark.parametrize(
    "name", [each if each in QUICK else pytest.param(each, marks=pytest.mark.long) for each in HARNESSES]
)
def test_a_harness_is_clean_over_its_corpus(name, compiler, tmp_path):
    program = build_harness(name, tmp_path, compiler=compiler, way="replay")
    environment = os.environ | {"ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1"}
    if HARNESSES[name].module:
        environment = device_for(tmp_path / "device")
    inputs = seed_folder(name, tmp_path)
    done = replay(program, [inputs], environment)
    assert done.stdout == f"done {len(list(inputs.iterdir()))}\n", done.stderr[-3000:]
    assert len(list(inputs.iterdir())) > len(set(SEEDS[name]())) * 0.9


@pytest.mark.parametrize(
    ("was", "broken", "said"),
    [
        (
            "text->data = malloc(length + 1);",
            "text->data = malloc(length > 3 ? length : 4);",
            "heap-buffer-overflow",
        ),
        ("text->data = NULL; /* two attributes may be one text */", "", "AddressSanitizer: "),
    ],
)
def test_a_broken_c_source_is_found(was, broken, said, compiler, tmp_path):
    text = (ENGINE / "uri.c").read_text(encoding="utf-8")
    assert text.count(was) == 1
    (tmp_path / "uri.c").write_text(text.replace(was, broken), encoding="utf-8")
    program = build_harness("uri", tmp_path, compiler=compiler, way="replay", sources=[tmp_path / "uri.c"])
    done = replay(program, [seed_folder("uri", tmp_path)], dict(os.environ))
    assert done.returncode != 0
    assert said in done.stderr


def test_every_function_has_its_kinds_of_arguments():
    """What calls.c tries is what the bridge reads: no function is left out by a slip of a name."""
    from hem_pkcs11.calls import CALLS

    text = tables()
    names = re.findall(r"FORWARD\((C_\w+)", FUNCTIONS.read_text(encoding="utf-8"))
    assert set(CALLS) <= set(names)
    assert {name for name in names if f'KINDS_{name} "?"' in text} == set(names) - set(CALLS)


# --- the part -------------------------------------------------------------------------------------


def test_what_cannot_run_is_told_with_the_way_to_it(tmp_path):
    ran = run_one("entry", 1, tmp_path, compiler=None)
    assert "apt-get install clang" in ran.skipped
    outcome = fuzz.told([ran], "no clang", Effort(tmp_path))
    assert any("entry: not run" in each for each in outcome.problems())
    assert any("coverage of lines: not measured" in each for each in outcome.problems())


def test_a_find_too_few_executions_and_missed_lines_are_problems(tmp_path):
    crash = tmp_path / "crash-1"
    good = Ran("entry", executions=20_000_000, seconds=10, coverage=[(0.1, 5), (3.0, 9)])
    lines = {"entry.c": (100, (7, 8, 9)), "python.c": (100, tuple(range(50)))}
    assert fuzz.told([good], lines, Effort(tmp_path)).problems() == []
    bad = Ran("vault", executions=5, seconds=1, crashes=[(crash, "KeyError: 'x'")])
    problems = fuzz.told([bad], {"entry.c": (100, tuple(range(6)))}, Effort(tmp_path)).problems()
    assert problems[0] == f"vault: KeyError: 'x' ({repeat_command('vault', crash)})"
    assert [each.partition(":")[0] for each in problems[1:]] == [
        "executions", "inputs that crash, hang or bring another error", "lines of the entry layer reached",
    ]  # fmt: skip
    idle = fuzz.told([Ran("uri")], lines, Effort(tmp_path)).problems()
    assert "uri: made no execution" in idle
