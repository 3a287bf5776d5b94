"""What ``hem doctor`` does."""

from __future__ import annotations

from collections.abc import Mapping

from hem_provider.cli.doctor.checking import Outcome, Patient, State, run_all
from hem_provider.cli.doctor.mending import Mended, mend
from hem_provider.cli.doctor.order import CHECKS
from hem_provider.cli.doctor.report import (
    Waiting,
    document,
    exit_status,
    print_mended,
    print_outcome,
    print_summary,
)
from hem_provider.cli.output import print_json
from hem_provider.cli.shape import Given
from hem_provider.cli.statuses import UsageFault
from hem_provider.config.login_source import can_ask

__all__ = ["diagnose"]


def diagnose(options: Given) -> int:
    """``hem doctor``: its exit status."""
    if options.fix and not options.yes and not options.json and not can_ask():
        raise UsageFault("there is no terminal to ask on before each repair; give --yes")
    patient = Patient(options)
    mended: list[Mended] = []
    try:
        outcomes = _look(patient, options, {})
        if options.fix and (options.yes or can_ask()):  # else the diagnosis alone is told
            mended = mend(outcomes, patient, yes=options.yes)
    finally:
        patient.close()
    calls, logins = patient.costs
    if mended and not options.json:
        print_mended(mended)
    if any(each.done for each in mended):
        before = {each.check.name: each.state for each in outcomes}
        patient = Patient(options)
        try:
            outcomes = _look(patient, options, before)
        finally:
            patient.close()
        calls, logins = calls + patient.costs[0], logins + patient.costs[1]
    if options.json:
        name = None if patient.config is None else patient.config.name
        print_json(document(outcomes, mended, name, calls, logins))
    else:
        print_summary(outcomes, calls, logins)
    return exit_status(outcomes)


def _look(patient: Patient, options: Given, before: Mapping[str, State]) -> list[Outcome]:
    """Run all checks; shown is what is not as it was ``before``, and what is still not right."""
    outcomes = []
    waiting = Waiting(shown=not options.json)
    for outcome in run_all(CHECKS, patient, waiting.begin):
        waiting.end()
        outcomes.append(outcome)
        if not options.json and (outcome.findings or outcome.state is not before.get(outcome.check.name)):
            print_outcome(outcome)
    return outcomes
