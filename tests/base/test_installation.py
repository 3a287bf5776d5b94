"""How an installation came, and the command that adds a missing part to it."""

from __future__ import annotations

import ast
import shlex
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from support.pages import taken

from hem_provider.installation import (
    EXTRA_OF,
    LIBRARY_OF,
    Way,
    explained,
    extra_of,
    install_command,
    missing,
    outdated,
    update_command,
    way,
)

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
METADATA = """Metadata-Version: 2.4
Name: hem-provider
Version: 1
Requires-Dist: click>=8.1
Requires-Dist: h11>=0.14; extra == "agent"
Requires-Dist: pycryptodome>=3.21; extra == 'emulator'
Requires-Dist: hem-provider[emulator]; extra == "demo"
Requires-Dist: keyring>=25; extra == "keyring"
Requires-Dist: python-pkcs11>=0.9.3 ; extra == "demo"
Requires-Dist: hem-provider[agent,demo]; extra == "all"
"""


@pytest.fixture
def site(tmp_path):
    """A virtual environment's packages, ours among them."""
    folder = tmp_path / "my env" / "lib" / "python3.11" / "site-packages"
    (folder / "hem_provider-1.dist-info").mkdir(parents=True)
    (folder / "hem_provider-1.dist-info" / "METADATA").write_text(METADATA)
    (tmp_path / "my env" / "pyvenv.cfg").touch()
    (tmp_path / "my env" / "bin").mkdir()
    (tmp_path / "my env" / "bin" / "python").touch()
    return folder


def installed_by(folder: Path, installer: str) -> None:
    (folder / "hem_provider-1.dist-info" / "INSTALLER").write_text(f"{installer}\n")


def test_a_checkout_is_installed_in_place_again():
    assert way() is Way.CHECKOUT
    words = shlex.split(install_command("agent"))
    assert words[1:] == ["-m", "pip", "install", "-e", f"{ROOT}[agent]"]
    assert Path(words[0]).samefile(ROOT / ".venv" / "bin" / "python")


def test_pip_adds_the_packages_of_an_extra_to_its_environment(site, tmp_path):
    installed_by(site, "pip")
    assert way(site) is Way.PIP
    python = shlex.quote(f"{tmp_path}/my env/bin/python")
    assert install_command("agent", site) == f"{python} -m pip install 'h11>=0.14'"


def test_extras_of_extras_are_among_them(site):
    installed_by(site, "pip")
    wanted = ["h11>=0.14", "pycryptodome>=3.21", "python-pkcs11>=0.9.3"]
    assert shlex.split(install_command("all", site))[4:] == wanted


def test_pipx_injects_into_the_environment_it_made(site, tmp_path):
    installed_by(site, "pip")
    (tmp_path / "my env" / "pipx_metadata.json").touch()
    assert install_command("agent", site) == "pipx inject my env 'h11>=0.14'"


def test_uv_is_told_the_environment(site, tmp_path):
    installed_by(site, "uv")
    assert install_command("agent", site) == f"uv pip install --python '{tmp_path}/my env' 'h11>=0.14'"


def test_debians_package_brings_everything_itself(site):
    installed_by(site, "dpkg")
    assert install_command("agent", site) == "apt-get install --reinstall hem-provider"


def test_packages_of_a_folder_of_their_own_go_there(site, tmp_path):
    folder = site.rename(tmp_path / "target")
    installed_by(folder, "pip")
    told = shlex.split(install_command("agent", folder))
    assert told == [sys.executable, "-m", "pip", "install", "--target", str(folder), "h11>=0.14"]


def test_without_metadata_the_extra_itself_is_named(tmp_path):
    folder = tmp_path / "lib" / "python3.11" / "site-packages"
    folder.mkdir(parents=True)
    assert install_command("agent", folder) == f"{sys.executable} -m pip install 'hem-provider[agent]'"


def test_the_line_names_extra_package_and_command():
    told = explained(ModuleNotFoundError("x", name="kyber_py.ml_kem"), "'hem emulator'")
    assert told == (
        "'hem emulator' needs the extra 'emulator', which is not installed (no package 'kyber_py.ml_kem'): "
        + install_command("emulator")
    )
    assert missing("agent") == f"needs the extra 'agent', which is not installed: {install_command('agent')}"
    assert explained(ModuleNotFoundError("x", name="elsewhere"), "hem") is None
    assert explained(ModuleNotFoundError("x"), "hem") is None


def test_the_guide_shows_the_line_as_it_is(site, tmp_path, monkeypatch):
    installed_by(site, "pip")
    monkeypatch.setattr("hem_provider.installation._folder", lambda: site)
    told = explained(ModuleNotFoundError("x", name="keyring"), "'hem keyring'")
    [shown] = taken(ROOT / "docs" / "install.md", "text")
    python = shlex.quote(f"{tmp_path}/my env/bin/python")
    assert shown == f"hem: {told}\n".replace(python, "/home/ada/venv/bin/python")


def test_a_package_beside_us_that_is_too_old_is_told(site, monkeypatch):
    installed_by(site, "pip")
    versions = {"click": "8.0.4"}
    monkeypatch.setattr("importlib.metadata.version", versions.__getitem__)
    assert list(outdated(site)) == [("click", "8.0.4", "8.1")]
    for good in ("8.1", "8.1.0", "8.10", "10.0rc1", "8.1+local.9"):
        versions["click"] = good
        assert list(outdated(site)) == [], good
    assert update_command(["click>=8.1"], site).endswith("my env/bin/python' -m pip install 'click>=8.1'")


def test_no_package_here_is_too_old():
    assert list(outdated()) == []


def test_every_package_of_an_extra_is_known_by_the_name_it_is_imported_by():
    """Those that the client always needs may be asked for in a newer version by an extra."""
    always = {"cryptography"}
    imported = {}
    for module, distributions in packages_distributions().items():
        for each in distributions:
            imported.setdefault(each.lower().replace("_", "-"), set()).add(module)
    for extra in set(EXTRAS) - {"dev", "all"}:
        for line in EXTRAS[extra]:
            name = line.partition(">")[0].partition("[")[0]
            if name in always | {"hem-provider"}:
                continue
            assert any(extra_of(each) == extra for each in imported[name]), name


def test_an_extra_is_declared_for_each_and_all_has_all():
    assert set(EXTRA_OF.values()) < set(EXTRAS)
    (line,) = EXTRAS["all"]
    assert set(line.partition("[")[2].rstrip("]").split(",")) == set(EXTRAS) - {"dev", "all"}


def test_nothing_else_than_extras_and_dependencies_is_imported():
    """Whatever the product imports, an installation brings; adapters may import the library they are for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {line.partition(">")[0].lower() for line in project["dependencies"]}
    distributions = packages_distributions()
    ours = {"hem_pkcs11", "hem_provider", "_hem_code", "_hem_pkcs11"}
    unknown = set()
    for folder in (ROOT / "hem_provider", ROOT / "shim" / "hem_pkcs11"):
        for path in folder.rglob("*.py"):
            library, _ = LIBRARY_OF.get(".".join(path.relative_to(ROOT).with_suffix("").parts), ("", ""))
            for module in _imported(ast.parse(path.read_text("utf-8"))):
                top = module.partition(".")[0]
                if top == library:
                    continue
                brought = {each.lower() for each in distributions.get(top, ())}
                if top in sys.stdlib_module_names or top in ours or extra_of(top) or brought & needed:
                    continue
                unknown.add(top)
    assert unknown <= {"urllib3", "certifi"}  # which come with requests


def _imported(tree):
    if isinstance(tree, ast.If) and getattr(tree.test, "id", "") == "TYPE_CHECKING":
        return
    if isinstance(tree, ast.Import):
        yield from (each.name for each in tree.names)
    elif isinstance(tree, ast.ImportFrom) and not tree.level:
        yield tree.module or ""
    for node in ast.iter_child_nodes(tree):
        yield from _imported(node)


def test_a_command_whose_package_is_missing_says_so_in_a_line():
    program = (
        "import sys; sys.modules['kyber_py'] = sys.modules['Crypto'] = None\n"
        "from hem_provider.cli.main import main\n"
        "sys.exit(main(['emulator', 'init', '--state', '/nowhere/x', '--passphrase-file', '/x',"
        " '--admin-passphrase-file', '/x']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("hem: 'hem emulator' needs the extra 'emulator'")
    assert done.stderr.count("\n") == 1


def test_a_python_that_is_too_old_is_told_which_will_do():
    """Where neither pip nor a wheel's name has refused it: ``PYTHONPATH``, or a folder of packages."""
    old = "import sys; sys.version_info = (3, 10, 13, 'final', 0); sys.version = '3.10.13 (main)'"
    program = f"{old}; import hem_provider"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last == f"ImportError: hem_provider needs Python 3.11 or newer; {sys.executable} is 3.10.13"
