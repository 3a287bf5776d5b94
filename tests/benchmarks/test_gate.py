"""The regression gate, and the report that shows what it judges."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from benchmarks.agent import MEMORY
from benchmarks.gate import ALLOWANCE, LIMITS, MOST_GROWN, Limit, Measure, below, broken, counted, grown
from benchmarks.laboratory import GROWN, Fact
from benchmarks.report import (
    BEGIN,
    END,
    LEAST_ROUNDS,
    MOST_LOAD,
    Run,
    read_run,
    replace_section,
    summary,
    tables,
    unfit,
    write_run,
)
from hem_provider.measuring.figures import Figure

RATIO = Limit("operations", "sign P-256", "Hem", Measure.RATIO, 1.5)
CALLS = Limit("operations", "sign*", None, Measure.CALLS, 1)


def figure(operation="sign P-256", layer="Hem", ratio=1.2, calls=1, group="operations", logins=0):
    return Figure(group, operation, layer, 0.002, 0.003, 0.004, ratio, calls, logins, (0.002, 0.003))


def test_figures_within_their_limits_pass():
    assert broken([figure(), figure(layer="C_Sign", ratio=9.0)], [RATIO, CALLS]) == []


def test_a_ratio_may_be_worse_by_the_allowance_and_no_more():
    assert broken([figure(ratio=1.5 * ALLOWANCE - 0.001)], [RATIO]) == []
    (said,) = broken([figure(ratio=1.5 * ALLOWANCE + 0.001)], [RATIO])
    assert "sign P-256, Hem: ratio 1.651, at most 1.5 (and 10% for noise)" in said


@pytest.mark.parametrize("calls", [2, 3])
def test_one_call_too_many_is_a_regression(calls):
    (said,) = broken([figure(calls=calls)], [CALLS])
    assert said.endswith(f"calls {calls}, at most 1")


def test_a_limit_is_about_its_own_group_and_layer():
    assert broken([figure(group="hardware", ratio=9.0), figure(layer="REST", ratio=9.0)], [RATIO]) == []


def test_a_short_run_is_judged_by_its_calls_and_logins_alone():
    slow = figure("sign SECP256R1", "REST", ratio=99.0)
    assert broken([slow]) != []
    assert counted([slow]) == []
    (said,) = counted([figure("sign SECP256R1", "REST", ratio=99.0, calls=2)])
    assert said.endswith("calls 2, at most 1")


def timed(layer: str, *milliseconds: float, ratio: float = 1.0) -> Figure:
    samples = tuple(each / 1000 for each in milliseconds)
    return Figure("operations", "sign", layer, samples[0], 0.1, 0.1, ratio, 1, 0, samples)


def test_a_layer_that_is_surely_below_its_floor_shows_that_the_floor_is_none():
    floor = timed("bare HTTPS", 5, 6, 7, 8, 9, 10)
    assert below([floor, timed("Hem", 4.9, 4, 4, 4, 4, 5.1)]) == []
    (said,) = below([floor, timed("Hem", 4, 4, 4, 4, 4, 4.9, ratio=0.6)])
    assert said == "operations: sign, Hem: 0.600 of its floor"
    assert below([floor, timed("Hem", 1, 1, 1)]) == []  # too few to be sure
    assert below([floor, replace(timed("SoftHSM2", 1, 1, 1, 1, 1, 1), ratio=None)]) == []


def test_every_limit_of_the_project_names_one_thing_once():
    assert len({(each.group, each.operation, each.layer, each.measure) for each in LIMITS}) == len(LIMITS)


def run():
    figures = [figure("sign SECP256R1", "REST", 1.3), figure("sign SECP256R1", "C_Sign", 9.0)]
    return Run(
        "2026-01-01",
        {"Python": "3.11"},
        (0.1, 0.2),
        5,
        figures,
        [Fact("memory", 1234.0, "KiB"), Fact("longer by", 12.3, "µs")],
    )


def test_a_run_is_read_back_as_it_was_written(tmp_path):
    write_run(run(), tmp_path / "results.json")
    assert read_run(tmp_path / "results.json") == run()


def test_another_document_is_no_run(tmp_path):
    (tmp_path / "other.json").write_text("[]")
    with pytest.raises(ValueError, match="not the results"):
        read_run(tmp_path / "other.json")


def test_the_report_tells_load_promises_and_memory():
    text = tables(run())
    assert "load average 0.1 at the start and 0.2 at the end" in text
    signing = ("operations", "sign SECP256R1")
    most = {each.layer: each.most for each in LIMITS if (each.group, each.operation) == signing}
    assert f"| operations: sign SECP256R1, REST: ratio | {most['REST']:g} | 1.300 | ✔ |" in text
    assert f"| operations: sign SECP256R1, C_Sign: ratio | {most['C_Sign']:g} | 9.000 | ✘ |" in text
    assert "### Memory\n\n- memory: 1,234 KiB" in text
    assert "### Differences\n\n- longer by: 12 µs" in text


def waited(layer: str, seconds: float, calls: int = 0) -> Figure:
    return Figure("waits", "ssh login", layer, seconds, seconds, seconds, 1.0, calls, 0)


def test_the_page_tells_seconds_and_calls_by_each_way_and_what_does_not_hold():
    figures = [
        waited("bare HTTPS", 0.2),
        waited("through the agent", 0.574, 1),
        waited("key in a file", 0.25),
    ]
    text = summary(replace(run(), figures=[*figures, *run().figures]))
    assert "| ssh login | – | – | 0.57 s, 1 call | key in a file: 0.25 s |" in text
    assert "bare HTTPS" not in text
    assert "- **operations: sign SECP256R1, C_Sign: ratio** is 9, at most" in text


def test_what_holds_but_is_not_good_enough_is_told_on_the_page():
    kept = figure("sign SECP256R1", "REST, connection kept", 1.5)
    text = summary(replace(run(), figures=[kept]))
    assert "- operations: sign SECP256R1, REST, connection kept: ratio is 1.5; 1.25 is wanted" in text


def test_a_run_is_unfit_on_a_busy_machine_and_of_few_rounds():
    assert unfit(MOST_LOAD, LEAST_ROUNDS) == []
    assert len(unfit(MOST_LOAD + 0.01, LEAST_ROUNDS)) == len(unfit(0.0, LEAST_ROUNDS - 1)) == 1
    assert len(unfit(9.0, 1)) == 2
    said = "**Provisional.** Of ratios and seconds this run tells little: 5 rounds, at least 100."
    assert said in summary(run())
    assert "Provisional" not in summary(replace(run(), rounds=100))


def test_results_that_told_no_floors_are_still_read(tmp_path):
    path = tmp_path / "results.json"
    write_run(run(), path)
    document = json.loads(path.read_text())
    document["format"] = 1
    for each in document["figures"]:
        del each["floor"]
    path.write_text(json.dumps(document))
    assert read_run(path) == run()


def test_only_the_generated_part_of_the_document_is_replaced():
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert replace_section(text, "new") == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    with pytest.raises(ValueError, match="lacks the marks"):
        replace_section("no marks", "new")


def test_memory_that_grows_is_a_regression_and_its_size_is_not():
    facts = [Fact("memory added to the host", 1e6, "KiB"), Fact(f"{GROWN} 10 operations", MOST_GROWN, "KiB")]
    assert grown(facts) == []
    (said,) = grown([Fact(f"{GROWN} 10 operations", 5000.0, "KiB")])
    assert said.endswith("10 operations: 5,000 KiB, at most 4,096")


def test_an_agent_larger_than_60_mib_is_a_regression():
    assert grown([Fact(MEMORY, 60 * 1024.0, "KiB")]) == []
    (said,) = grown([Fact(MEMORY, 60 * 1024 + 1.0, "KiB")])
    assert said.endswith("61,441 KiB, at most 61,440")


def test_a_crowd_of_which_some_wait_much_longer_is_a_regression():
    limit = Limit("agent", "by many", None, Measure.SPREAD, 20.0)
    even, uneven = (
        Figure("agent", "by many", "16 processes", 0.002, p99, p99, 1.0, 1, 0) for p99 in (0.04, 0.041)
    )
    assert broken([even], [limit]) == []
    (said,) = broken([uneven], [limit])
    assert said.endswith("spread 20.5, at most 20")
