"""Ways by which people install: the module signs in a program that is not Python, by each; the demo works.

Packages of others come from the package index, so that all of this is ``long``.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from support.emulator import ServedEmulator

from tools import try_wheels

ROOT = Path(__file__).parents[2]
BASE = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
pytestmark = pytest.mark.long
#: What the Python says that is too old for us, if there is one and it runs.
OLD = subprocess.run(
    ["sh", "-c", "python3.10 --version 2>/dev/null || true"], capture_output=True, text=True, check=True
).stdout  # fmt: skip


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> tuple[Path, Path]:
    """Source release and wheel."""
    folder = tmp_path_factory.mktemp("release")
    told = run([sys.executable, "tools/make_wheels.py", "--output", folder, sys.executable], cwd=ROOT)
    source, wheel = map(Path, told.splitlines())
    return source, wheel


@pytest.fixture(scope="module")
def device(tmp_path_factory) -> Iterator[ServedEmulator]:
    with ServedEmulator(tmp_path_factory.mktemp("device")) as served:
        yield served


def run(command: Sequence[str | Path], **options) -> str:
    """What it printed; it ends well."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, **options)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def made(folder: Path) -> Path:
    """A virtual environment."""
    run([BASE, "-m", "venv", folder])
    return folder


def pip(python: Path | str, *words: str | Path) -> None:
    run([python, "-m", "pip", "--disable-pip-version-check", "install", "-q", *words])


def signs(module: Path, device: ServedEmulator, folder: Path) -> None:
    """With a key of its own, by pkcs11-tool."""
    environment = {**os.environ, "HEM_URL": device.https, "HEM_CA_FILE": str(device.ca_file)}
    environment |= {"PYTHONPATH": "/nowhere", "PYTHONHOME": "/nowhere"}  # which have no say
    tool = ["pkcs11-tool", "--module", module, "--login", "--pin", device.passphrase]
    number = os.urandom(4).hex()
    run([*tool, "--keypairgen", "--key-type", "EC:edwards25519", "--label", number, "--id", number],
        env=environment)  # fmt: skip
    (folder / "letter").write_text("Dear Ada")
    run([*tool, "--sign", "-m", "EDDSA", "--id", number, "-i", folder / "letter", "-o", folder / "sig"],
        env=environment)  # fmt: skip
    assert (folder / "sig").stat().st_size == 64


def module_of(hem: Sequence[str | Path], **environment: str) -> Path:
    return Path(run([*hem, "pkcs11", "path"], env={**os.environ, **environment}).strip())


def test_a_wheel_in_a_virtual_environment_signs_and_goes_on_when_that_is_moved(release, device, tmp_path):
    venv = made(tmp_path / "venv")
    pip(venv / "bin" / "python", release[1])
    module = module_of([venv / "bin" / "hem"])
    signs(module, device, tmp_path)
    moved = venv.rename(tmp_path / "elsewhere")
    signs(moved / module.relative_to(venv), device, tmp_path)
    # its scripts name the old place; the interpreter starts the command all the same
    assert module_of([moved / "bin" / "python", "-m", "hem_provider.cli.main"]).is_relative_to(moved)


def test_from_a_wheel_to_the_first_signature_is_half_a_minute_at_most(release, device, tmp_path, monkeypatch):
    """Of the processor's time, which does not tell of what else runs here; nothing is compiled."""
    monkeypatch.setenv("CC", "/nowhere/cc")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    venv = made(tmp_path / "venv")
    pip(venv / "bin" / "python", f"{release[1]}[emulator]")
    signs(module_of([venv / "bin" / "hem"]), device, tmp_path)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 30


def test_the_source_release_builds_module_and_engine_in_isolation(release, device, tmp_path):
    venv = made(tmp_path / "venv")
    pip(venv / "bin" / "python", "--no-cache-dir", release[0])
    module = module_of([venv / "bin" / "hem"])
    signs(module, device, tmp_path)
    assert module.with_name("libhem_engine.so").is_file()


def test_a_checkout_is_installed_in_place(device, tmp_path):
    source = tmp_path / "source"
    run(["git", "clone", "-q", ROOT, source])
    venv = made(tmp_path / "venv")
    pip(venv / "bin" / "python", "-e", source)
    module = module_of([venv / "bin" / "hem"])
    assert module.is_relative_to(source)
    signs(module, device, tmp_path)


def test_a_folder_of_packages_serves_where_debians_python_is_the_same(release, device, tmp_path):
    folder = tmp_path / "target"
    pip(BASE, "--target", folder, release[1])
    module = folder / "hem_pkcs11" / "libhem_pkcs11.so"
    told = run([BASE, "-m", "hem_provider.cli.main", "pkcs11", "path"],
               env={**os.environ, "PYTHONPATH": str(folder)})  # fmt: skip
    assert Path(told.strip()) == module
    version = f"3.{sys.version_info.minor}"
    if Path(f"/usr/lib/python{version}/os.py").exists():
        signs(module, device, tmp_path)
    home = f"home = {BASE.parent}\n"  # as docs/install.md says
    (module.parent / "search-path").write_text(home)
    (module.parent / "search-path").chmod(0o644)
    module.parent.chmod(0o755)
    signs(module, device, tmp_path)


@pytest.mark.skipif(shutil.which("uv") is None and not (ROOT / ".venv/bin/uv").exists(), reason="no uv")
def test_uv_installs_into_an_environment_that_it_makes(release, device, tmp_path):
    uv = shutil.which("uv") or ROOT / ".venv" / "bin" / "uv"
    run([uv, "venv", "-q", "--python", BASE, tmp_path / "venv"])
    run([uv, "pip", "install", "-q", "--python", tmp_path / "venv", release[1]])
    signs(module_of([tmp_path / "venv" / "bin" / "hem"]), device, tmp_path)
    told = subprocess.run(
        [tmp_path / "venv" / "bin" / "hem", "demo"], capture_output=True, text=True, check=False
    )
    wanted = f"uv pip install --python {tmp_path}/venv 'cryptography>=48' 'kyber-py>=1.0'"
    assert wanted in told.stderr


@pytest.mark.skipif(shutil.which("pipx") is None and not (ROOT / ".venv/bin/pipx").exists(), reason="no pipx")
def test_pipx_makes_the_command_and_what_it_names_adds_an_extra(release, tmp_path):
    pipx = shutil.which("pipx") or ROOT / ".venv" / "bin" / "pipx"
    environment = {
        **os.environ, "PIPX_HOME": str(tmp_path / "pipx"), "PIPX_BIN_DIR": str(tmp_path / "bin"),
        "PIPX_DEFAULT_BACKEND": "pip", "PATH": f"{Path(pipx).parent}:{os.environ['PATH']}",
    }  # fmt: skip
    run([pipx, "install", "--python", BASE, release[1]], env=environment)
    hem = tmp_path / "bin" / "hem"
    done = subprocess.run([hem, "demo"], capture_output=True, text=True, check=False)
    command = done.stderr.rstrip().rpartition(": ")[2]
    assert command.startswith("pipx inject hem-provider "), done.stderr
    run(["sh", "-c", command], env=environment)
    assert "✘" not in run([hem, "demo"], env={**os.environ, "PYTHONIOENCODING": "utf-8"})


def test_what_the_demo_names_is_enough_for_it(release, tmp_path):
    venv = made(tmp_path / "venv")
    pip(venv / "bin" / "python", release[1])
    hem = venv / "bin" / "hem"
    done = subprocess.run([hem, "demo"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "needs the extra 'demo'" in done.stderr
    run(["sh", "-c", done.stderr.rstrip().rpartition(": ")[2]])
    told = run([hem, "demo"], env={**os.environ, "PYTHONIOENCODING": "utf-8"})
    assert len(re.findall("^✔ ", told, re.MULTILINE)) > 12
    assert "✘" not in told


def test_packages_that_nobody_may_write_serve(release, device, tmp_path):
    venv = made(tmp_path / "venv")
    pip(venv / "bin" / "python", "--no-compile", release[1])
    for path in [venv, *venv.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o555)
    try:
        signs(module_of([venv / "bin" / "hem"]), device, tmp_path)
    finally:
        for path in [venv, *(each for each in venv.rglob("*") if each.is_dir() and not each.is_symlink())]:
            path.chmod(0o755)


def test_without_a_compiler_the_source_release_says_what_to_install(release, tmp_path):
    venv = made(tmp_path / "venv")
    environment = {**os.environ, "CC": "/nowhere/cc"}
    command = [venv / "bin" / "python", "-m", "pip", "install", "--no-cache-dir", release[0]]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "error: there is no C compiler '/nowhere/cc': install gcc, or set CC" in done.stdout + done.stderr


def test_an_old_cryptography_beside_us_signs_and_is_told_of(release, device, tmp_path):
    """The oldest that a Debian of ours has, which nobody gets but by force."""
    venv = made(tmp_path / "venv")
    python, hem = venv / "bin" / "python", venv / "bin" / "hem"
    pip(python, release[1])
    pip(python, "--no-deps", "cryptography==38.0.4")
    signs(module_of([hem]), device, tmp_path)
    environment = {
        **os.environ, "HEM_URL": device.https, "HEM_CA_FILE": str(device.ca_file), "HEM_AGENT": "never",
        "HEM_PASSPHRASE_FILE": str(device.passphrase_file),
    }  # fmt: skip
    run([hem, "keys", "create", "P-256", "--label", "old", "--use", "sign"], env=environment)
    run([hem, "sign", tmp_path / "letter", "--key", "old"], env=environment)
    run([hem, "keys", "public", "old", "-o", tmp_path / "old.pem"], env=environment)
    done = subprocess.run([hem, "doctor"], env=environment, capture_output=True, text=True, check=False)
    told = " ".join((done.stdout + done.stderr).split())
    assert "cryptography 38.0.4 is installed, and hem-provider needs 45 or newer" in told
    done = subprocess.run([hem, "demo"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "needs the extra" in done.stderr


@pytest.mark.skipif(not OLD.startswith("Python 3.10."), reason="not run: no Python 3.10")
def test_a_python_that_is_too_old_is_refused_by_pip(release, tmp_path):
    run(["python3.10", "-m", "venv", tmp_path / "venv"])
    for file, told in zip(
        release, ("requires a different Python: 3.10", "is not a supported wheel"), strict=True
    ):
        command = [tmp_path / "venv" / "bin" / "python", "-m", "pip", "install", file]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 1
        assert told in done.stderr


@pytest.mark.timeout(3600)
@pytest.mark.skipif(os.geteuid() != 0, reason="not run: only root can make bare roots")
@pytest.mark.skipif(shutil.which("debootstrap") is None, reason="not run: no debootstrap")
@pytest.mark.parametrize("name", try_wheels.RELEASES)
def test_wheel_and_source_release_are_used_in_a_bare_root(name):
    """What is committed is built; the root has the network that this machine has."""
    for file in try_wheels.build(name):
        said = try_wheels.try_it(name, file)
        assert len(re.findall(r"^tried: ", said, re.MULTILINE)) >= 6
