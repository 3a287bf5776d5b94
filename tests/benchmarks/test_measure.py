"""The benchmark's own arithmetic, and one short run of the real thing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.measure import Case, Result, interleave

ROOT = Path(__file__).parents[2]


def test_cases_are_run_in_turn_and_prepared_outside_the_timing():
    order: list[str] = []
    cases = [
        Case("op", "a", lambda: order.append("a"), prepare=lambda: order.append("prepare a")),
        Case("op", "b", lambda: order.append("b")),
    ]
    results = interleave(cases, 2, lambda: (0, 0), warm_up=1)
    assert order == ["prepare a", "a", "b"] * 3
    assert [len(each.seconds) for each in results] == [2, 2]


def test_calls_and_logins_are_those_of_one_round():
    totals = [0, 0]

    def login() -> None:
        totals[0] += 2
        totals[1] += 1

    (result,) = interleave([Case("login", "x", login)], 5, lambda: (totals[0], totals[1]))
    assert (result.calls, result.logins) == (2, 1)


@pytest.mark.parametrize(("seconds", "median", "p95"), [([3.0, 1.0, 2.0], 2.0, 3.0), (list(map(float, range(1, 101))), 50.5, 95.0)])  # fmt: skip  # noqa: E501
def test_median_and_p95(seconds, median, p95):
    result = Result(Case("op", "x", lambda: None), list(seconds))
    assert (result.median, result.p95) == (median, p95)


def test_a_short_run_gives_a_table_with_every_layer():
    command = [sys.executable, "-m", "benchmarks", "--rounds", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    for layer in ("bare HTTPS", "Hem", "cryptography", "C_Sign", "python-pkcs11"):
        (row,) = [
            line
            for line in done.stdout.splitlines()
            if line.startswith("sign SECP256R1") and f"  {layer} " in line
        ]
        assert row.split()[-2:] == ["1", "0"], row  # one device call, no login


def test_rounds_are_checked():
    command = [sys.executable, "-m", "benchmarks", "--rounds", "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "1 to 10000" in done.stderr
