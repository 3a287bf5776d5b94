"""Write the alert rules and the dashboard for Prometheus and Grafana, and the tables of the page on them,
from the tables of thresholds and of metrics.

python tools/make_monitoring.py            write them
python tools/make_monitoring.py --check    fail where they are not what the tables say
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from hem_provider.auditlog.facts import ALERTS  # noqa: E402
from hem_provider.device.findings import FAIL_STATES, Level  # noqa: E402
from hem_provider.device.thresholds import THRESHOLDS, Threshold  # noqa: E402
from hem_provider.exporter.metrics import ALL, Kind  # noqa: E402
from tools.options import only_checks  # noqa: E402

FOLDER = ROOT / "packaging" / "monitoring"
RULES, DASHBOARD = FOLDER / "hem.rules.yml", FOLDER / "hem-dashboard.json"
PAGE = ROOT / "docs" / "monitoring.md"
#: Level → what an alert of it is called for whoever is called by it.
SEVERITIES = {Level.FAULT: "critical", Level.WARNING: "warning"}


@dataclass(frozen=True)
class Watched:
    """How a row of the thresholds is measured by metrics. ``title``: of its alerts; ``what``: in words;
    ``holds``: for how long it has to be so; ``findings``: the names under which ``hem status`` and ``hem
    doctor`` tell it."""

    title: str
    expression: str
    what: str
    findings: tuple[str, ...]
    holds: str = "0s"


_ENTROPY, _KNOWN = FAIL_STATES[0x02][0], FAIL_STATES[0x01][0]
_OTHER_STATES = tuple(name for name, _ in FAIL_STATES.values() if name not in (_ENTROPY, _KNOWN))
#: Row of the thresholds → how it is measured. Each row has one: a test looks.
WATCHED: Mapping[str, Watched] = {
    "temperature": Watched(
        "HemTemperature", "hem_temperature_celsius", "temperature", ("temperature-out-of-range",)
    ),
    "humidity": Watched(
        "HemHumidity", "hem_humidity_ratio * 100", "humidity of the air", ("humidity-out-of-range",), "10m"
    ),
    "certificate": Watched(
        "HemCertificateEnds",
        "(hem_certificate_expiry_timestamp_seconds - time()) / 86400",
        "time left of the certificate",
        ("certificate-ends-soon",),
    ),
    "drift": Watched(
        "HemClockDrift",
        "abs(hem_clock_drift_seconds)",
        "drift of the clock",
        ("clock-ahead", "clock-behind"),
        "5m",
    ),
    "answer": Watched(
        "HemSlow", "hem_status_duration_seconds", "time of a bare call", ("answers-slowly",), "10m"
    ),
    "free-slots": Watched(
        "HemSlots",
        'hem_key_slots{state="free"}',
        "room for keys",
        ("repository-nearly-full", "repository-full"),
    ),
    "damaged-records": Watched(
        "HemRecordsDamaged", 'hem_key_slots{state="damaged"}', "damage of the keys", ("repository-damaged",)
    ),
    "fail-state": Watched(
        "HemFailState",
        f'hem_fail_state{{state!="{_ENTROPY}"}}',
        "fail state {{ $labels.state }}",
        (*_OTHER_STATES, _KNOWN, "fail-state-unknown"),
    ),
    "entropy": Watched(
        "HemEntropy", f'hem_fail_state{{state="{_ENTROPY}"}}', "random number source", (_ENTROPY,)
    ),
    "self-test": Watched(
        "HemSelfTest", "hem_selftest_failures", "last self-test", ("secure-element-failed",)
    ),
    "log-gap": Watched("HemLogGap", "hem_log_gaps", "gaps of the log", ("log-gap",)),
    "log-event": Watched(
        "HemLogEvent",
        f'hem_log_events{{event=~"{"|".join(sorted(ALERTS))}"}}',
        "the log tells of {{ $labels.event }}",
        tuple(sorted(ALERTS)),
    ),
    "log-age": Watched(
        "HemLogNotCollected",
        "(time() - hem_log_collected_timestamp_seconds) / 86400",
        "time since the log was collected",
        ("log-not-collected",),
    ),
}


@dataclass(frozen=True)
class Alert:
    """A rule. ``severity`` may be a template."""

    name: str
    expression: str
    severity: str
    summary: str
    description: str
    holds: str = "0s"


def beyond(expression: str, least: float | None, most: float | None) -> str:
    """What is true of a value outside of these bounds."""
    parts = [f"{expression} < {least:g}"] if least is not None else []
    parts += [f"{expression} > {most:g}"] if most is not None else []
    return " or ".join(parts)


def of_threshold(row: Threshold) -> Iterator[Alert]:
    """The alerts of a row: one for each level that has bounds; a fault is no warning."""
    watched = WATCHED[row.name]
    fault = beyond(watched.expression, row.fault_below, row.fault_above)
    warning = beyond(watched.expression, row.warning_below, row.warning_above)
    told = f'{{{{ $labels.device }}}}: {watched.what}: {{{{ $value | printf "%.4g" }}}} {row.unit}'
    why = f"{told}. {row.source}"
    if fault:
        yield Alert(watched.title, fault, "critical", told, why, watched.holds)
    if warning:
        only = f"({warning}) unless ({fault})" if fault else warning
        yield Alert(watched.title, only, "warning", told, why, watched.holds)


def others() -> Iterator[Alert]:
    """What no threshold is about."""
    device = "{{ $labels.device }}"
    covered = "|".join(name for each in WATCHED.values() for name in each.findings)
    yield Alert(
        "HemDown", "hem_up == 0", "critical", f"{device} does not answer as a HEM does",
        "hem doctor tells where the way to it ends; hem_finding tells what was met.", "5m",
    )  # fmt: skip
    yield Alert(
        "HemExporterDown", "absent(hem_build_info)", "critical", "no exporter of HEMs is read",
        "Nothing is known of any device: is hem exporter running, and does Prometheus read it?", "10m",
    )  # fmt: skip
    for level, severity in SEVERITIES.items():
        yield Alert(
            "HemFinding", f'hem_finding{{level="{level}",name!~"{covered}"}} * on(device, instance) '
            "group_left() hem_up == 1",
            severity, f"{device}: {{{{ $labels.name }}}}",
            "hem status and hem doctor tell more, and what to do (docs/owner/status.md).", "5m",
        )  # fmt: skip
    yield Alert(
        "HemRefusals", 'sum by (device, instance) (increase(hem_failures_total{kind="status-401"}[15m])) > 5',
        "warning", f"{device} refuses logins",
        "A wrong passphrase, or somebody who tries some; a restart of the device refuses one a program.",
    )  # fmt: skip
    yield Alert(
        "HemQueue", "hem_agent_waiting_requests > 10", "warning", f"programs wait for {device}",
        "More is asked of the device than it does: hem_call_duration_seconds tells what.", "5m",
    )  # fmt: skip
    yield Alert(
        "HemLogAltered", "hem_log_problems > 0", "critical", f"the log of {device} is not as it was written",
        "hem log verify names the first line that was changed, moved or taken away.",
    )  # fmt: skip


def alerts() -> list[Alert]:
    """All rules."""
    return [*(each for row in THRESHOLDS.values() for each in of_threshold(row)), *others()]


def rules() -> str:
    """The file of rules."""
    lines = [
        "# Alerts for devices that hem exporter watches. Made by tools/make_monitoring.py with the bounds of",
        "# hem_provider/device/thresholds.py, by which hem status and hem doctor judge as well.",
        "groups:",
        "  - name: hem",
        "    rules:",
    ]
    for each in alerts():
        quoted = {name: json.dumps(getattr(each, name), ensure_ascii=False) for name in
                  ("expression", "summary", "description")}  # fmt: skip
        lines += [
            f"      - alert: {each.name}",
            f"        expr: {quoted['expression']}",
            f"        for: {each.holds}",
            "        labels:",
            f"          severity: {each.severity}",
            "        annotations:",
            f"          summary: {quoted['summary']}",
            f"          description: {quoted['description']}",
        ]
    return "\n".join([*lines, ""])


#: Title of a panel, its unit in Grafana, its kind, and its queries with what each line is called.
PANELS: tuple[tuple[str, str, str, tuple[tuple[str, str], ...]], ...] = (
    ("Answers", "bool_yes_no", "stat", (("hem_up{%}", "{{device}}"),)),
    (
        "Findings", "none", "table",
        (("hem_finding{%} == 1", "{{device}} {{name}}"),),
    ),
    ("Fail states", "none", "table", (("hem_fail_state{%} == 1", "{{device}} {{state}}"),)),
    (
        "Certificate ends in", "s", "stat",
        (("hem_certificate_expiry_timestamp_seconds{%} - time()", "{{device}}"),),
    ),
    ("Temperature", "celsius", "timeseries", (("hem_temperature_celsius{%}", "{{device}}"),)),
    ("Humidity", "percentunit", "timeseries", (("hem_humidity_ratio{%}", "{{device}}"),)),
    ("Drift of the clock", "s", "timeseries", (("hem_clock_drift_seconds{%}", "{{device}}"),)),
    (
        "Calls a second, by endpoint", "reqps", "timeseries",
        (
            (
                "sum by (method, endpoint) (rate(hem_call_duration_seconds_count{%}[$__rate_interval]))",
                "{{method}} {{endpoint}}",
            ),
        ),
    ),
    (
        "Time of a call", "s", "timeseries",
        tuple(
            (
                f"histogram_quantile({part}, sum by (le) "
                "(rate(hem_call_duration_seconds_bucket{%}[$__rate_interval])))",
                f"{float(part):.0%}",
            )
            for part in ("0.5", "0.95")
        ),
    ),
    (
        "Logins and refusals an hour", "none", "timeseries",
        (
            ("sum by (by) (increase(hem_logins_total{%}[1h]))", "logins of the {{by}}"),
            ('sum(increase(hem_failures_total{%,kind="status-401"}[1h]))', "refused (401)"),
        ),
    ),
    (
        "Failures an hour, by kind", "none", "timeseries",
        (("sum by (kind) (increase(hem_failures_total{%}[1h])) > 0", "{{kind}}"),),
    ),
    ("Waiting in the agent", "none", "timeseries", (("hem_agent_waiting_requests{%}", "{{device}}"),)),
    ("Keys by type", "none", "timeseries", (("sum by (type) (hem_keys{%})", "{{type}}"),)),
    ("Slots for keys", "none", "timeseries", (("hem_key_slots{%}", "{{device}} {{state}}"),)),
    ("Self-test failures", "none", "stat", (("hem_selftest_failures{%}", "{{device}}"),)),
    (
        "Since the last check-in from here", "s", "stat",
        (("time() - hem_last_check_in_timestamp_seconds{%}", "{{device}}"),),
    ),
    (
        "Log verified until", "dateTimeAsIso", "stat",
        (("hem_log_verified_until_timestamp_seconds{%} * 1000", "{{device}}"),),
    ),
    ("Gaps in the log", "none", "stat", (("hem_log_gaps{%}", "{{device}}"),)),
    ("Noticed in the log", "none", "table", (("hem_log_events{%} > 0", "{{device}} {{event}}"),)),
    (
        "Since the log was collected", "s", "stat",
        (("time() - hem_log_collected_timestamp_seconds{%}", "{{device}}"),),
    ),
    ("Login at hand", "bool_yes_no", "stat", (("hem_login_available{%}", "{{device}}"),)),
    ("Uptime", "s", "stat", (("hem_uptime_seconds{%}", "{{device}}"),)),
)  # fmt: skip
#: Columns of Grafana's grid, and the size of a panel in it.
_GRID, _WIDE, _HIGH = 24, 8, 7
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
#: Title of a panel → the row of thresholds that colours it, and by what its values are multiplied for that.
_COLOURED = {"Temperature": ("temperature", 1.0), "Humidity": ("humidity", 0.01)}


def dashboard() -> str:
    """The dashboard as JSON."""
    document: dict[str, Any] = {
        "uid": "hem",
        "title": "HEM: remote hardware keys",
        "tags": ["hem"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "1m",
        "time": {"from": "now-24h", "to": "now"},
        "templating": {"list": _variables()},
        "panels": [_panel(number, *each) for number, each in enumerate(PANELS)],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _variables() -> list[dict[str, Any]]:
    device: dict[str, Any] = {
        "name": "device",
        "type": "query",
        "label": "device",
        "datasource": _SOURCE,
        "query": {"query": "label_values(hem_up, device)", "refId": "devices"},
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
    }
    return [{"name": "datasource", "type": "datasource", "query": "prometheus"}, device]


def _panel(
    number: int, title: str, unit: str, kind: str, queries: tuple[tuple[str, str], ...]
) -> dict[str, Any]:
    across = _GRID // _WIDE
    defaults: dict[str, Any] = {"unit": unit}
    if title in _COLOURED:
        defaults["thresholds"] = {"mode": "absolute", "steps": _steps(*_COLOURED[title])}
    return {
        "id": number + 1,
        "title": title,
        "type": kind,
        "datasource": _SOURCE,
        "gridPos": {
            "x": number % across * _WIDE,
            "y": number // across * _HIGH,
            "w": _WIDE,
            "h": _HIGH,
        },
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {},
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": _SOURCE,
                "expr": expression.replace("{%", '{device=~"$device"'),
                "legendFormat": legend,
                **({"instant": True, "format": "table"} if kind == "table" else {}),
            }
            for place, (expression, legend) in enumerate(queries)
        ],
    }


def _steps(name: str, scale: float) -> list[dict[str, Any]]:
    """A row of the thresholds as the colours of a panel, from below to above."""
    row = THRESHOLDS[name]
    bounds = [
        (row.fault_below, "yellow" if row.warning_below is not None else "green"),
        (row.warning_below, "green"),
        (row.warning_above, "yellow"),
        (row.fault_above, "red"),
    ]
    least = "red" if row.fault_below is not None else "yellow" if row.warning_below is not None else "green"
    steps: list[dict[str, Any]] = [{"color": least, "value": None}]
    steps += [
        {"color": colour, "value": round(bound * scale, 6)} for bound, colour in bounds if bound is not None
    ]
    return steps


def metrics_table() -> list[str]:
    """All metrics, for the page."""
    rows = ["| metric | kind | labels | what it is | costs the device |", "|---|---|---|---|---|"]
    for each in ALL:
        labels = ", ".join(f"`{name}`" for name in each.labels)
        kind = each.kind.value if each.kind is not Kind.GAUGE else ""
        rows.append(f"| `{each.name}` | {kind} | {labels} | {each.help} | {each.source.value} |")
    return rows


def thresholds_table() -> list[str]:
    """All thresholds with their alerts, for the page."""
    rows = ["| measured | well | warning | fault | alert | why there |", "|---|---|---|---|---|---|"]
    for row in THRESHOLDS.values():
        cells = (
            f"`{row.name}`",
            _span(row),
            _outside(row.warning_below, row.warning_above, row.unit),
            _outside(row.fault_below, row.fault_above, row.unit),
            f"`{WATCHED[row.name].title}`",
            row.source,
        )
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def _span(row: Threshold) -> str:
    least = row.fault_below if row.warning_below is None else row.warning_below
    most = row.fault_above if row.warning_above is None else row.warning_above
    if least is None:
        return f"up to {most:g} {row.unit}"
    return f"from {least:g} {row.unit}" if most is None else f"{least:g} to {most:g} {row.unit}"


def _outside(least: float | None, most: float | None, unit: str) -> str:
    parts = [f"below {least:g} {unit}"] if least is not None else []
    parts += [f"above {most:g} {unit}"] if most is not None else []
    return ", ".join(parts) or "–"


#: Marker → the table below it.
TABLES = {"metrics": metrics_table, "thresholds": thresholds_table}


def page(text: str) -> str:
    """The page with its tables as they are."""
    for name, table in TABLES.items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        pattern = re.compile(f"{re.escape(begin)}\n.*?{re.escape(end)}", re.DOTALL)
        if not pattern.search(text):
            raise SystemExit(f"{PAGE}: it lacks the marks {begin} and {end}")
        made = "\n".join([begin, "", *table(), "", end])
        text = pattern.sub(lambda _, made=made: made, text)  # type: ignore[misc]
    return text


def made() -> dict[Path, str]:
    """File → what it has to be."""
    return {RULES: rules(), DASHBOARD: dashboard(), PAGE: page(PAGE.read_text("utf-8"))}


def main(arguments: Sequence[str]) -> int:
    """0 when all is as it is to be."""
    check = only_checks(arguments, "Write alert rules, dashboard and the tables of docs/monitoring.md.")
    files = made()
    if check:
        stale = [path for path, text in files.items() if not path.exists() or path.read_text("utf-8") != text]
        for path in stale:
            print(f"{path.relative_to(ROOT)} is stale: python tools/make_monitoring.py")
        return len(stale)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
