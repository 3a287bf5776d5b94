"""The files for Prometheus and Grafana say what the tables say, and what ``promtool`` takes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from hem_provider.device import tally
from hem_provider.device.findings import FAIL_STATES, Level
from hem_provider.device.thresholds import THRESHOLDS
from hem_provider.exporter.collecting import Reading
from hem_provider.exporter.metrics import ALL, METRICS, Kind
from hem_provider.exporter.page import page
from hem_provider.exporter.samples import of_traffic
from tools import make_monitoring

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool")
RULES = make_monitoring.RULES
#: Of minutes and of days: each is looked at as often as its alerts need, since each look takes its time.
TESTS = [Path(__file__).with_name(f"hem.rules{of}.test.yml") for of in (".days", "")]
#: What Prometheus makes of metrics: by the name in a query, that of the table.
_SUFFIX = re.compile("_(count|sum|bucket)$")


def promtool(*arguments, **options):
    return subprocess.run(
        ["promtool", *map(str, arguments)], capture_output=True, text=True, check=False, **options
    )


def test_the_files_are_what_the_tables_say():
    stale = [path for path, text in make_monitoring.made().items() if path.read_text("utf-8") != text]
    assert stale == [], "python tools/make_monitoring.py"


def test_every_threshold_is_measured_and_every_metric_of_a_rule_is_there():
    assert set(make_monitoring.WATCHED) == set(THRESHOLDS)
    for each in make_monitoring.alerts():
        assert names_in(each.expression), each
        assert names_in(each.expression) <= set(METRICS)


def names_in(expression):
    found = set(re.findall(r"\bhem_\w+", expression))
    return {_SUFFIX.sub("", name) if name not in METRICS else name for name in found}


@needs_promtool
def test_promtool_takes_the_rules():
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)
    assert done.returncode == 0, done.stderr
    assert f"{len(make_monitoring.alerts())} rules found" in done.stdout


#: Row of the thresholds → the series that has a value, as promtool writes it.
SERIES = {
    "temperature": lambda value: ('hem_temperature_celsius{device="k"}', value),
    "humidity": lambda value: ('hem_humidity_ratio{device="k"}', value / 100),
    "certificate": lambda value: (
        'hem_certificate_expiry_timestamp_seconds{device="k"}', value * 86_400 + LOOKED
    ),
    "drift": lambda value: ('hem_clock_drift_seconds{device="k"}', -value),
    "answer": lambda value: ('hem_status_duration_seconds{device="k"}', value),
    "free-slots": lambda value: ('hem_key_slots{device="k",state="free"}', value),
    "damaged-records": lambda value: ('hem_key_slots{device="k",state="damaged"}', value),
    "fail-state": lambda value: ('hem_fail_state{device="k",state="out-of-memory"}', value),
    "entropy": lambda value: ('hem_fail_state{device="k",state="entropy-failed"}', value),
    "self-test": lambda value: ('hem_selftest_failures{device="k"}', value),
    "log-gap": lambda value: ('hem_log_gaps{device="k"}', value),
    "log-event": lambda value: ('hem_log_events{device="k",event="log-key-changed"}', value),
    "log-age": lambda value: (
        'hem_log_collected_timestamp_seconds{device="k"}', LOOKED - value * 86_400
    ),
}  # fmt: skip
#: Seconds after which it is looked: all alerts have waited for as long as they do.
LOOKED = 900


def values_around(row):
    """On each bound, and on either side of it."""
    bounds = {row.fault_below, row.warning_below, row.warning_above, row.fault_above} - {None}
    return sorted(
        {bound + step for bound in bounds for step in (-1, -0.25, 0, 0.25, 1)} | {sum(bounds) / len(bounds)}
    )


def test_no_alert_waits_for_longer_than_that():
    waits = re.findall(r"^ +for: (\d+)([sm])$", RULES.read_text(), re.MULTILINE)
    assert len(waits) == len(make_monitoring.alerts())
    assert max(int(number) * {"s": 1, "m": 60}[unit] for number, unit in waits) < LOOKED


@needs_promtool
@pytest.mark.parametrize("name", THRESHOLDS)
def test_rules_and_table_judge_each_value_alike(name, tmp_path):
    """Prometheus fires just the alert that the table says, for values on, below and above every bound."""
    row = THRESHOLDS[name]
    title = make_monitoring.WATCHED[name].title
    firing = f'ALERTS{{alertname="{title}",alertstate="firing"'
    tests = []
    for value in values_around(row):
        if name == "drift" and value < 0:
            continue  # as far ahead as behind
        series, number = SERIES[name](value)
        level = row.level(value)
        labels = dict(re.findall(r'(\w+)="([^"]*)"', series))
        expected = [] if level is Level.OK else [labels | {"severity": make_monitoring.SEVERITIES[level]}]
        told = [
            each
            for each in make_monitoring.of_threshold(row)
            if expected and each.severity == expected[0]["severity"]
        ]
        tests.append(
            {
                "name": f"{name} {value}",
                "interval": "1m",
                "input_series": [{"series": series, "values": f"{number!r}x{LOOKED // 60}"}],
                "promql_expr_test": [
                    {
                        "expr": f'count({firing},severity="{severity}"}})',
                        "eval_time": f"{LOOKED}s",
                        "exp_samples": [{"labels": "{}", "value": 1}] if severity in str(expected) else [],
                    }
                    for severity in make_monitoring.SEVERITIES.values()
                ],
            }
        )
        assert len(told) == len(expected)
    place = tmp_path / "alike.yml"
    place.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
    done = promtool("test", "rules", place)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
@pytest.mark.parametrize("place", TESTS, ids=lambda place: place.name)
def test_the_tests_of_the_rules_pass(place):
    done = promtool("test", "rules", place)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_a_rule_with_another_bound_would_fail(tmp_path):
    """The test above sees a rule that is not as the table has it."""
    text = RULES.read_text()
    (tmp_path / "hem.rules.yml").write_text(
        text.replace("hem_temperature_celsius > 85", "hem_temperature_celsius > 88")
    )
    told = TESTS[-1].read_text()
    (tmp_path / "test.yml").write_text(told.replace("../../packaging/monitoring/", ""))
    done = promtool("test", "rules", tmp_path / "test.yml")
    assert done.returncode != 0
    assert "HemTemperature" in done.stdout + done.stderr


# --- metrics ----------------------------------------------------------------------------------------


def every_sample():
    """A value of each metric."""
    from hem_provider.exporter.metrics import Sample

    for each in ALL:
        buckets = (("1.0", 1), ("+Inf", 1)) if each.kind is Kind.HISTOGRAM else ()
        yield Sample(each.name, tuple("x" for _ in each.labels), 1, buckets)


@needs_promtool
@pytest.mark.parametrize("accepted", ["", "text/plain;version=0.0.4"])
def test_promtool_finds_no_fault_with_the_metrics(accepted):
    kind, content = page(every_sample(), accepted)
    assert kind.startswith("text/plain; version=0.0.4")
    done = promtool("check", "metrics", input=content.decode())
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    for each in ALL:
        assert f"# HELP {each.name} {each.help}\n# TYPE {each.name} {each.kind.value}\n" in content.decode()


def test_openmetrics_is_given_where_it_is_accepted_and_nonsense_is_text():
    from prometheus_client.openmetrics.parser import text_string_to_metric_families

    kind, content = page(every_sample(), "application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert kind.startswith("application/openmetrics-text")
    families = list(text_string_to_metric_families(content.decode()))
    assert len(families) == len(ALL)
    for nonsense in (
        "application/openmetrics-text;version=x.y",
        ";;;",
        "application/openmetrics-text;version=",
    ):
        assert page(every_sample(), nonsense)[1]


def test_every_metric_has_its_unit_in_its_name_and_a_sentence():
    for each in ALL:
        assert each.help.endswith("."), each
        assert (each.name.endswith("_total")) == (each.kind is Kind.COUNTER)
        assert "secret" not in each.help
        assert "passphrase" not in " ".join(each.labels)
    assert [each.name for each in ALL if "label" in each.labels] == ["hem_key_info"]


def test_kinds_of_failures_are_all_told_from_the_start():
    empty = tally.Tally().document()
    kinds = [
        each.labels[-1] for each in of_traffic("k", "agent", empty, 0) if each.name == "hem_failures_total"
    ]
    assert kinds == list(tally.KINDS)


def test_a_fresh_reading_tells_of_nothing_but_that_it_is_not_up():
    from hem_provider.exporter.samples import of_reading

    values = {each.name: each.value for each in of_reading("k", Reading(5.0), labels=True)}
    assert values["hem_up"] == 0
    assert not set(values) - {
        "hem_up", "hem_collection_timestamp_seconds", "hem_collection_duration_seconds",
        "hem_login_available",
    }  # fmt: skip


def test_names_of_findings_that_have_an_alert_of_their_own_are_those_of_the_findings():
    covered = [name for each in make_monitoring.WATCHED.values() for name in each.findings]
    assert len(covered) == len(set(covered))
    assert {name for name, _ in FAIL_STATES.values()} <= set(covered)


# --- dashboard --------------------------------------------------------------------------------------

DASHBOARD = json.loads(make_monitoring.DASHBOARD.read_text())
QUERIES = [each["expr"] for panel in DASHBOARD["panels"] for each in panel["targets"]]
QUERIES += [
    each["query"]["query"] for each in DASHBOARD["templating"]["list"] if isinstance(each["query"], dict)
]


def test_the_dashboard_has_the_shape_of_one():
    assert {"uid", "title", "schemaVersion", "templating", "panels", "time"} <= set(DASHBOARD)
    places = []
    for panel in DASHBOARD["panels"]:
        assert panel["type"] in {"stat", "table", "timeseries"}
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["targets"]
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        places += [(at["x"], at["y"])]
        references = [each["refId"] for each in panel["targets"]]
        assert len(references) == len(set(references))
        for step in panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [])[1:]:
            assert isinstance(step["value"], int | float)
    assert len(places) == len(set(places))
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_every_metric_of_the_dashboard_is_there():
    for query in QUERIES:
        assert names_in(query), query
        assert names_in(query) <= set(METRICS), query


def test_its_colours_are_those_of_the_thresholds():
    steps = next(
        panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        for panel in DASHBOARD["panels"]
        if panel["title"] == "Temperature"
    )
    assert [(each["color"], each["value"]) for each in steps] == [
        ("red", None), ("green", 0), ("yellow", 75), ("red", 85),
    ]  # fmt: skip


@needs_promtool
def test_promtool_reads_every_query_of_the_dashboard(tmp_path):
    expressions = [each for each in QUERIES if not each.startswith("label_values")]
    filled = [each.replace("$__rate_interval", "5m").replace("$device", ".+") for each in expressions]
    rules = [{"record": f"panel:{number}", "expr": each} for number, each in enumerate(filled)]
    place = tmp_path / "queries.yml"
    place.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    done = promtool("check", "rules", place)
    assert done.returncode == 0, done.stderr
    assert f"{len(rules)} rules found" in done.stdout
