"""An adapter whose library is not there names it, and the command that installs it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from hem_provider.installation import LIBRARY_OF

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
#: Adapter → what of it imports the library, where that is not the adapter itself.
USED = {"hem_provider.adapters.djangoca": "HemBackend"}
#: Too much for every developer's environment; its tests are skipped without it.
NOT_FOR_DEVELOPERS = {"django-ca>=3"}
PROGRAM = """
import sys
sys.modules[{blocked!r}] = None
try:
    from {adapter} import {used}
except ModuleNotFoundError as error:
    print(error, "|", error.name)
"""


@pytest.mark.parametrize("adapter", LIBRARY_OF)
def test_an_adapter_names_the_package_that_is_missing_and_how_to_install_it(adapter):
    library, package = LIBRARY_OF[adapter]
    program = PROGRAM.format(blocked=library, adapter=adapter, used=USED.get(adapter, "__all__"))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    said, _, name = done.stdout.strip().partition(" | ")
    assert said.startswith(f"{adapter} needs {package} (")
    assert f"'{package}'" in said.rpartition(" install ")[2]
    assert name.partition(".")[0] == library


def test_every_adapter_for_such_a_library_is_tried_with_the_oldest_or_newer():
    there = {each.partition(";")[0] for each in EXTRAS["dev"]}
    assert {package for _, package in LIBRARY_OF.values()} - there == NOT_FOR_DEVELOPERS


def test_none_of_them_is_needed_at_run_time():
    needed = [*PROJECT["dependencies"], *(line for name in EXTRAS if name != "dev" for line in EXTRAS[name])]
    for _, package in LIBRARY_OF.values():
        assert not any(line.startswith(package.partition(">")[0]) for line in needed)
