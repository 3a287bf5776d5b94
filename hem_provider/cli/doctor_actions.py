"""What ``hem doctor`` does."""

from __future__ import annotations

from hem_provider.cli.doctor.checking import Outcome, Patient, run_all
from hem_provider.cli.doctor.mending import Mended, mend
from hem_provider.cli.doctor.order import CHECKS
from hem_provider.cli.doctor.report import (
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
    if options.fix and not options.yes and not can_ask():
        raise UsageFault("there is no terminal to ask on before each repair; give --yes")
    patient = Patient(options)
    mended: list[Mended] = []
    try:
        outcomes = _look(patient, options)
        if options.fix:
            mended = mend(outcomes, patient, yes=options.yes)
    finally:
        patient.close()
    calls, logins = patient.costs
    if any(each.done for each in mended):
        if not options.json:
            print()
            print_mended(mended)
            print()
        patient = Patient(options)
        try:
            outcomes = _look(patient, options)
        finally:
            patient.close()
        calls, logins = calls + patient.costs[0], logins + patient.costs[1]
    elif mended and not options.json:
        print()
        print_mended(mended)
    if options.json:
        name = None if patient.config is None else patient.config.name
        print_json(document(outcomes, mended, name, calls, logins))
    else:
        print_summary(outcomes, calls, logins)
    return exit_status(outcomes)


def _look(patient: Patient, options: Given) -> list[Outcome]:
    outcomes = []
    for outcome in run_all(CHECKS, patient):
        outcomes.append(outcome)
        if not options.json:
            print_outcome(outcome)
    return outcomes
