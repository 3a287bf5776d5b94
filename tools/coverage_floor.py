"""A plugin of pytest: which lines and branches of the product the tests pass, and a floor under it.

``python -m pytest -p tools.coverage_floor`` traces this process while modules are imported and while tests
of the folders below run, and fails the run below ``fail_under`` of ``[tool.coverage.report]`` in
``pyproject.toml``. Tracing doubles the time of Python code: other folders test processes of their own, or
the emulator, which is not the product. With ``-n`` (pytest-xdist) each worker traces its own tests, and what
they passed is put together.
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from coverage import Coverage

ROOT = Path(__file__).parents[1]
_NAMES = ("adapters", "agent", "base", "cli", "device", "keys", "rest", "symmetric")
FOLDERS = tuple(ROOT / "tests" / each for each in _NAMES)

#: Variable that tells workers in which folder their data is gathered, and the name of such a process.
_GATHERED, _WORKER = "COVERAGE_FLOOR_DATA", os.environ.get("PYTEST_XDIST_WORKER", "")


def _data_file() -> str:
    """Of this process; whoever comes first makes the folder."""
    folder = os.environ.setdefault(_GATHERED, "") or tempfile.mkdtemp(prefix="hem-coverage-")
    os.environ[_GATHERED] = folder
    return f"{folder}/{_WORKER or 'main'}.data"


_coverage = Coverage(config_file=str(ROOT / "pyproject.toml"), data_file=_data_file())
_coverage.start()  # at once: the lines of a module itself run when it is imported


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """From here on the tests of some folders alone."""
    _coverage.stop()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Trace one test with its fixtures."""
    if not any(item.path.is_relative_to(each) for each in FOLDERS):
        return (yield)
    _coverage.start()
    try:
        return (yield)
    finally:
        _coverage.stop()


@pytest.hookimpl(wrapper=True, trylast=True)  # after the workers' end, before the summary
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """Fail a run that passed otherwise."""
    result = yield
    if _WORKER:
        _coverage.save()
        return result
    _gather()
    share, least, _ = _measured()
    if session.exitstatus == pytest.ExitCode.OK and share < least:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    return result


def _gather() -> None:
    """Put together what workers passed with what this process did."""
    others = [str(each) for each in Path(os.environ[_GATHERED]).iterdir() if each.name != "main.data"]
    if others:
        _coverage.combine(others)


def pytest_unconfigure() -> None:
    """Leave nothing."""
    if not _WORKER:
        shutil.rmtree(os.environ[_GATHERED], ignore_errors=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say the share, and when it is too small the modules with most that no test has passed."""
    if _WORKER:
        return
    share, least, report = _measured()
    terminalreporter.write_line(
        f"coverage of lines and branches: {share:.2f} %; at least {least:g} % is wanted"
    )
    if share < least:
        terminalreporter.write_line("".join(report.splitlines(keepends=True)[:32]))


@cache
def _measured() -> tuple[float, float, str]:
    """Share and floor in percent, and the report on each module; once, since it reads every module anew."""
    report = io.StringIO()
    share = _coverage.report(file=report, skip_covered=True, sort="-miss")
    return share, float(str(_coverage.get_option("report:fail_under"))), report.getvalue()
