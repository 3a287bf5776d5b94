"""Each contract of ``pyproject.toml`` would see the import that it forbids: tried on a copy of the source."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

from hem_provider._moved import MOVED

ROOT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]

CLIENT = "Layers, from the command line down to the base"
MODULE = "Layers of the PKCS#11 module, from C memory down to the numbers of the standard"
COMMAND = "Only the command line knows the PKCS#11 module"
STANDS = "The PKCS#11 module stands on the device layer"
APART = "The emulator shares no code with the client"
STARTS = "Only the command line and the benchmarks start the emulator"
REQUESTS = "Only the device layer and the measuring make requests"
ADAPTERS = "Adapters do not know each other"

#: The contract, the file that is added to or made, and what it imports there.
FORBIDDEN = [
    (CLIENT, "hem_provider/rest/agreements.py", "hem_provider.device.login"),
    (CLIENT, "hem_provider/device/login.py", "hem_provider.keys.public"),
    (CLIENT, "hem_provider/keys/public.py", "hem_provider.symmetric"),
    (CLIENT, "hem_provider/adapters/nacl/__init__.py", "hem_provider.cli.steps"),
    (CLIENT, "hem_provider/adapters/nacl/__init__.py", "hem_provider.agent.ssh.wire"),
    (CLIENT, "hem_provider/agent/ssh/wire.py", "hem_provider.cli.steps"),
    (CLIENT, "hem_provider/agent/ssh/wire.py", "hem_provider.exporter.metrics"),
    (CLIENT, "hem_provider/exporter/metrics.py", "hem_provider.cli.steps"),
    (CLIENT, "hem_provider/exporter/metrics.py", "hem_provider.measuring.figures"),
    (CLIENT, "hem_provider/files/reading.py", "hem_provider.config"),
    (CLIENT, "hem_provider/newcomer.py", "hem_provider.errors"),
    (CLIENT, "hem_provider/newcomers/__init__.py", "hem_provider.errors"),
    (MODULE, "shim/hem_pkcs11/slots.py", "hem_pkcs11.sessions"),
    (MODULE, "shim/hem_pkcs11/sessions.py", "hem_pkcs11.module"),
    (MODULE, "shim/hem_pkcs11/objects/object.py", "hem_pkcs11.templates.rules"),
    (MODULE, "shim/hem_pkcs11/templates/rules.py", "hem_pkcs11.operations"),
    (MODULE, "shim/hem_pkcs11/operations/sign.py", "hem_pkcs11.functions.signatures"),
    (MODULE, "shim/hem_pkcs11/module.py", "hem_pkcs11.bridge.memory"),
    (MODULE, "shim/hem_pkcs11/newcomer.py", "hem_pkcs11.constants"),
    (COMMAND, "hem_provider/device/login.py", "hem_pkcs11.names"),
    (COMMAND, "hem_provider/measuring/__init__.py", "hem_pkcs11.names"),
    (STANDS, "shim/hem_pkcs11/slots.py", "hem_provider.cli.steps"),
    (STANDS, "shim/hem_pkcs11/library.py", "hem_provider.measuring.figures"),
    (APART, "hem_provider/emulator/audit.py", "hem_provider.secret"),
    (APART, "hem_provider/emulator/audit.py", "hem_provider.keytypes"),
    (STARTS, "hem_provider/keys/public.py", "hem_provider.emulator.audit"),
    (STARTS, "shim/hem_pkcs11/library.py", "hem_provider.emulator.audit"),
    (STARTS, "hem_provider/measuring/subject.py", "hem_provider.emulator.audit"),
    (REQUESTS, "hem_provider/keys/public.py", "hem_provider.rest.agreements"),
    (REQUESTS, "hem_provider/symmetric/__init__.py", "hem_provider.rest.agreements"),
    (REQUESTS, "hem_provider/adapters/nacl/__init__.py", "hem_provider.rest.agreements"),
    (REQUESTS, "hem_provider/agent/ssh/wire.py", "hem_provider.rest.agreements"),
    (REQUESTS, "hem_provider/cli/root.py", "hem_provider.rest.agreements"),
    (REQUESTS, "hem_provider/exporter/metrics.py", "hem_provider.rest.agreements"),
    (REQUESTS, "shim/hem_pkcs11/slots.py", "hem_provider.rest.agreements"),
    (ADAPTERS, "hem_provider/adapters/nacl/__init__.py", "hem_provider.adapters.keyring"),
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source and the contracts, and nothing else."""
    place = tmp_path_factory.mktemp("copy")
    for package in ("hem_provider", "shim/hem_pkcs11"):
        shutil.copytree(ROOT / package, place / package, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    shutil.copy(ROOT / "pyproject.toml", place)
    return place


#: Looks at all contracts each time that a line is read, and says the status last.
LINTER = """\
import sys
from importlinter.cli import lint_imports
for _ in sys.stdin:
    print("status", lint_imports(no_cache=True), flush=True)
"""


@pytest.fixture(scope="module")
def broken(copy: Path) -> Iterator[Callable[[], list[str]]]:
    """Gives the names of the contracts that the copy, as it is then, does not keep: by one process, since to
    start it takes as long as to look."""
    paths = os.pathsep.join(map(str, (copy, copy / "shim")))
    with subprocess.Popen(
        [sys.executable, "-c", LINTER],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": paths, "NO_COLOR": "1", "COLUMNS": "200"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asked, said = process.stdin, process.stdout

        def broken() -> list[str]:
            asked.write("\n")
            asked.flush()
            lines = []
            for line in said:
                lines.append(line)
                if line.startswith("status "):
                    break
            output = "".join(lines)
            verdicts = dict(re.findall(r"^(.+?) (KEPT|BROKEN)\b", output, re.MULTILINE))
            assert set(verdicts) == {each["name"] for each in CONTRACTS}, output
            assert (lines[-1] == "status 0\n") == ("BROKEN" not in verdicts.values())
            return [name for name, verdict in verdicts.items() if verdict == "BROKEN"]

        yield broken
        asked.close()


@pytest.fixture
def added(copy: Path, request: pytest.FixtureRequest) -> Iterator[None]:
    """One import more in the copy."""
    _, name, imported = request.param
    path = copy / name
    before = path.read_text() if path.exists() else None
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{before or ''}\nimport {imported}  # forbidden\n")
    yield
    if before is not None:
        path.write_text(before)
    elif path.name == "__init__.py":
        shutil.rmtree(path.parent)
    else:
        path.unlink()


def test_the_source_as_it_is_keeps_every_contract(broken: Callable[[], list[str]]) -> None:
    assert broken() == []


def test_every_contract_is_tried() -> None:
    assert {contract for contract, _, _ in FORBIDDEN} == {each["name"] for each in CONTRACTS}


@pytest.mark.parametrize(
    ("added", "contract"),
    [(each, each[0]) for each in FORBIDDEN],
    ids=[f"{name}-{imported}" for _, name, imported in FORBIDDEN],
    indirect=["added"],
)
def test_a_forbidden_import_breaks_its_contract_and_no_other(
    added: None, contract: str, broken: Callable[[], list[str]]
) -> None:
    assert broken() == [contract]


@pytest.mark.parametrize("package", ["hem_provider", "hem_pkcs11"])
def test_no_module_comes_back_to_itself(package: str) -> None:
    graph = grimp.build_graph(package, cache_dir=None)
    order = TopologicalSorter({each: graph.find_modules_directly_imported_by(each) for each in graph.modules})
    try:
        order.prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


#: Who imports by a name made at run time, which no contract sees, and what.
BY_NAME = {
    "hem_provider/_moved/__init__.py",  # modules by their former names
    "hem_provider/cli/root.py",  # its commands
    "hem_provider/keys/__init__.py",  # its own modules
    "hem_provider/publickeys.py",  # modules of cryptography
    "shim/hem_pkcs11/kept_code.py",  # whatever is kept
}


def test_no_other_module_imports_by_a_name_that_is_made_at_run_time() -> None:
    found = {
        str(path.relative_to(ROOT))
        for package in (ROOT / "hem_provider", ROOT / "shim" / "hem_pkcs11")
        for path in package.rglob("*.py")
        if re.search(r"\b(import_module|__import__)\b", path.read_text("utf-8"))
    }
    assert found == BY_NAME


def test_nothing_of_ours_uses_a_former_name() -> None:
    graph = grimp.build_graph("hem_provider", "hem_pkcs11", cache_dir=None)
    former = {each for each in graph.modules if each in MOVED or each.startswith("hem_provider._moved")}
    users = {user for each in former for user in graph.find_modules_that_directly_import(each)}
    assert users <= former


#: What reaches into C memory: no module imports it, since the library hands it to the bridge.
C_MEMORY = frozenset({"_cffi_backend", "_hem_pkcs11", "cffi", "ctypes"})


def touches_memory(source: str) -> bool:
    """Whether a module has the library's ``ffi`` under any name of ours, or other ways into C memory."""
    for node in ast.walk(ast.parse(source)):
        names: Iterable[str] = ()
        match node:
            case ast.Import():
                names = (each.name.split(".")[0] for each in node.names)
            case ast.ImportFrom():
                names = ((node.module or "").split(".")[0],)
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                if name.strip("_") == "ffi":
                    return True
        if not C_MEMORY.isdisjoint(names):
            return True
    return False


def test_the_bridge_alone_touches_c_memory() -> None:
    shim = ROOT / "shim" / "hem_pkcs11"
    found = {
        path.relative_to(shim).parts[0] for path in shim.rglob("*.py") if touches_memory(path.read_text())
    }
    assert found == {"bridge"}


@pytest.mark.parametrize(
    "line",
    [
        "import ctypes",
        "from _hem_pkcs11 import ffi as memory",
        "def read(ffi): ...",
        "self._ffi.buffer(address, 8)",
        "import cffi.api",
    ],
)
def test_another_way_into_c_memory_would_be_seen(line: str) -> None:
    assert touches_memory(line)
