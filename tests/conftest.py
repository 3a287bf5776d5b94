"""What every test shares: one hypothesis profile, no configuration from outside, a device at hand."""

from __future__ import annotations

import gc
import os
import re
import signal
import sys
import tempfile
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from support import blocks
from support.emulator import ServedEmulator, client_of
from support.fake_agent import FakeAgent
from support.once import sitecustomize as once
from support.rig import connected, make_template

from hem_provider.device import connect

# Busy build machines are slow, not wrong. Runs repeat exactly; campaigns (make test-long) search on.
settings.register_profile(
    "fixed", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "search", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow]
)
#: Beginnings of variables that say something to what is tested.
_FROM_OUTSIDE = ("HEM_", "XDG_", "OPENSSL_", "KEYRING_", "PYTHON_KEYRING_")

settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

# Whoever keeps his tree free of bytecode would have every process that tests start compile the package anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# jsonschema would take seconds in each process to prepare the grammar of IRIs, which no schema here asks for.
sys.modules["rfc3987_syntax"] = None

# A shell's background ignores it, and so would every program that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


#: Takes a quarter of all time: two parts of alike length, which share no device.
_HALVED, _SECOND_HALF = "cli", "tests/cli/test_l"
#: Folders in the order of the time that they take, so that the last to be begun are short.
_LONGEST_FIRST = """
    cli agent tools campaign pkcs11 adapters base benchmarks packaging emulator openssl exporter auditlog gpg
    device rest keys symmetric
""".split()  # noqa: SIM905 - as one reads it


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With ``-n`` the tests of a folder go to one process, in order, since they share devices; those of the
    longest folder to two."""
    from xdist.scheduler import LoadScopeScheduling

    config.option.loadscopereorder = False  # by their number, which says little

    class ByFolder(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            _, folder, *_ = nodeid.split("/")
            return f"{folder}/{nodeid > _SECOND_HALF}" if folder == _HALVED else folder

    return ByFolder(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Thousands of tests are no garbage, and looking for some would be a third of what it takes."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config, items):
    """In each of several processes alike: long folders come first. A new one is taken for long."""
    if hasattr(config, "workerinput"):
        place = {folder: number for number, folder in enumerate(_LONGEST_FIRST)}
        items.sort(key=lambda item: place.get(item.nodeid.split("/")[1], -1))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    blocks.begin(item.nodeid.partition("::")[0])


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem):
    """A test that is said to run blocks of the documentation has run them."""
    result = yield
    blocks.check(pyfuncitem)
    return result


@pytest.fixture(scope="session")
def _runtime_folder():
    """For lines and agents of the tests alone; short, since a socket's path is at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="hem-run-") as folder:
        yield folder


@pytest.fixture(scope="session", autouse=True)
def _home_of_nobody(tmp_path_factory):
    """A home without files, for all that the tests start: what is this user's is not met, nor changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        for name in list(os.environ):
            if name.startswith(_FROM_OUTSIDE):
                patch.delenv(name)
        yield


@pytest.fixture(scope="session", autouse=True)
def _keys_are_derived_once(tmp_path_factory):
    """Here and in what the tests start; see ``support/once``."""
    folders = [str(Path(once.__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(once.FOLDER, str(tmp_path_factory.mktemp("derived")))
        patch.setenv("PYTHONPATH", os.pathsep.join(folders))
        once.install()
        yield


@pytest.fixture(scope="session")
def _new_folder(tmp_path_factory):
    """Makes folders of their own for tests. pytest's looks through all others' names for each new one, which
    came to a fifth of all processor time with thousands of tests."""
    numbers, above = count(), tmp_path_factory.mktemp("each", numbered=False)

    def new_folder(name):
        folder = above / f"{name}{next(numbers)}"
        folder.mkdir(mode=0o700)
        return folder

    return new_folder


@pytest.fixture
def tmp_path(request, _new_folder):
    """As pytest's; named after the test, and kept for three runs."""
    return _new_folder(re.sub(r"\W", "_", request.node.name)[:22])


@pytest.fixture(autouse=True)
def _no_configuration_from_outside(monkeypatch, tmp_path_factory, _new_folder, _runtime_folder):
    for name in list(os.environ):
        if name.startswith(_FROM_OUTSIDE) or name in ("NO_COLOR", "TERM", "COLUMNS", "LINES"):
            monkeypatch.delenv(name)
    # A personal file without devices keeps the machine's /etc/hem/config.toml out, in subprocesses too.
    personal = tmp_path_factory.getbasetemp() / "no-config" / "hem" / "config.toml"
    personal.parent.mkdir(parents=True, exist_ok=True)
    personal.touch(mode=0o600)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(personal.parents[1]))
    monkeypatch.setenv("XDG_CACHE_HOME", str(_new_folder("cache")))
    monkeypatch.setenv("XDG_DATA_HOME", str(_new_folder("data")))
    monkeypatch.setenv("XDG_RUNTIME_DIR", _runtime_folder)


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """An initialised device's state file, to copy."""
    with pytest.MonkeyPatch.context() as patch:
        return make_template(tmp_path_factory.mktemp("hem") / "template.hem", patch)


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    """An emulator behind real sockets, shared by all tests that leave it usable."""
    with ServedEmulator(tmp_path_factory.mktemp("served")) as emulator:
        yield emulator


@pytest.fixture
def over_tls(served):
    """The client's side of it, with a login of its own."""
    with client_of(served) as device:
        yield device


@pytest.fixture
def rig(monkeypatch, template, tmp_path):
    """An emulated device in this process, with its knobs."""
    with connected(monkeypatch, template, tmp_path / "device.hem") as device:
        yield device


@pytest.fixture
def hem(rig):
    """The client's side of it."""
    with rig.connect() as device:
        yield device


@pytest.fixture
def https_is_rig(rig, monkeypatch):
    """Whatever ``https`` device a client reaches by its own way is the rig's."""
    from hem_provider.rest.transports import WAYS, way_of

    inside = way_of("emulator:")

    class OnRig(inside):
        network = True

        def __init__(self, config):
            super().__init__(replace(config, url=f"emulator:{rig.path}"))

    monkeypatch.setitem(WAYS, "https", OnRig)


@pytest.fixture
def fake_agent(rig, https_is_rig, _runtime_folder):
    """An unlocked agent for the rig's device, called ``office`` and configured as https://hem.example."""
    with rig.connect() as hem:
        fake = FakeAgent(hem, Path(_runtime_folder, "hem", "agent.sock"))
        yield fake
        fake.stop()


@pytest.fixture
def office(fake_agent):
    """A client as configured by that name, without a login of its own."""
    with connect(fake_agent.url, name="office") as device:
        yield device
