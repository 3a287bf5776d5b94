"""Fixtures of the PKCS#11 tests: the module over a device in memory, the built library, an emulator."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hem_pkcs11.constants import CKA, CKF, CKM, CKO, CKR, CKU
from hem_pkcs11.keykinds import KINDS
from hem_pkcs11.module import Module
from hem_pkcs11.templates.rules import RULES, Column
from hem_pkcs11.values import Mechanism, pack_bool, pack_ulong
from support.emulator import ServedEmulator
from support.fake_hem import PIN, FakeHem
from support.hosts import Host, build_host
from support.libraries import module_library
from support.passphrases import ADMIN, PASSPHRASE

from hem_provider import connect
from hem_provider.config import Config, DeviceConfig, Pkcs11Config

ROOT = Path(__file__).parents[2]
RW = int(CKF.SERIAL_SESSION | CKF.RW_SESSION)


class Core:
    """The Python core over devices in memory, with the calls that most tests begin with."""

    def __init__(self, *names: str, login_cache: float = 300.0, **settings: Any) -> None:
        self.hems: dict[str, FakeHem] = {}
        self.config = Config(
            devices=tuple(DeviceConfig(url="https://my.ence.do", name=each, **settings) for each in names),
            pkcs11=Pkcs11Config(login_cache=login_cache),
        )
        self.module = Module(load_config=lambda: self.config, open_device=self._open)

    def _open(self, config: DeviceConfig) -> Any:
        # A device keeps its keys when the host opens it again.
        self.hems.setdefault(config.name, FakeHem(config))
        return self.hems[config.name]

    @property
    def hem(self) -> FakeHem:
        return self.hems["first"]

    def rv(self, name: str, *arguments: Any) -> CKR:
        return self.module.call(name, *arguments)[0]

    def ok(self, name: str, *arguments: Any) -> Any:
        rv, result = self.module.call(name, *arguments)
        assert rv == CKR.OK, f"{name}: {rv!r}"
        return result

    def session(self, flags: int = RW) -> int:
        return self.ok("C_OpenSession", 0, flags, False, False)

    def user_session(self) -> int:
        session = self.session()
        self.ok("C_Login", session, CKU.USER, PIN.encode())
        return session

    def pair(self, session: int, curve: str = "SECP256R1", **attributes: bytes) -> tuple[int, int]:
        """A token key pair; attributes by name go into the templates of the halves that have them."""
        kind = KINDS[curve]
        given = {CKA.TOKEN: pack_bool(True)} | {CKA[name]: value for name, value in attributes.items()}
        public, private = (
            [(each, value) for each, value in given.items() if each in RULES[half]]
            for half in (Column.PUBLIC, Column.PRIVATE)
        )
        return self.ok(
            "C_GenerateKeyPair",
            session,
            Mechanism(kind.generation),
            [*public, (CKA.EC_PARAMS, kind.ec_params)],
            private,
        )

    def find(self, session: int, *template: tuple[int, bytes]) -> list[int]:
        self.ok("C_FindObjectsInit", session, list(template))
        found = self.ok("C_FindObjects", session, 1000)
        self.ok("C_FindObjectsFinal", session)
        return found

    def value(self, session: int, handle: int, kind: int) -> bytes:
        query = self.ok("C_GetAttributeValue", session, handle, [(kind, 10_000)])
        assert query.rv == CKR.OK, f"{kind:#x}: {query.rv!r}"
        return query.values[0]

    def private(self, session: int) -> list[int]:
        return self.find(session, (CKA.CLASS, pack_ulong(CKO.PRIVATE_KEY)))

    def sign(self, session: int, key: int, message: bytes, mechanism: int = CKM.ECDSA_SHA256) -> bytes:
        self.ok("C_SignInit", session, Mechanism(mechanism), key)
        return self.ok("C_Sign", session, message, 256)


@pytest.fixture
def core() -> Iterator[Core]:
    """One device called "first", initialised module."""
    core = Core("first")
    core.ok("C_Initialize", None)
    yield core
    if core.module.initialized_in is not None:
        core.ok("C_Finalize", False)


@pytest.fixture(scope="session")
def make_core() -> type[Core]:
    return Core


@pytest.fixture(scope="session")
def library() -> Path:
    """The library, built in the checkout when it is not current."""
    return module_library()


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedEmulator]:
    with ServedEmulator(tmp_path_factory.mktemp("emulator")) as served:
        yield served


@pytest.fixture
def environment(emulator: ServedEmulator, tmp_path: Path) -> dict[str, str]:
    """What a tool needs to find the emulator, and nothing else of ours."""
    return device_environment(emulator, tmp_path)


def device_environment(emulator: ServedEmulator, home: Path) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HEM_", "PYTHON"))}
    return clean | {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "HEM_URL": emulator.https,
        "HEM_CA_FILE": str(emulator.ca_file),
        "HEM_NAME": "demo",
    }


class DeviceCore(Core):
    """The Python core over real ``Hem`` objects on an emulated device in the process."""

    def __init__(self, state: Path) -> None:
        super().__init__("first")
        self.config = Config(devices=(DeviceConfig(url=f"emulator:{state}", name="first"),))
        self.module = Module(load_config=lambda: self.config)

    def user_session(self) -> int:
        session = self.session()
        rv = self.rv("C_Login", session, CKU.USER, PASSPHRASE.encode())
        assert rv in (CKR.OK, CKR.USER_ALREADY_LOGGED_IN)
        return session


@pytest.fixture(scope="session")
def device_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An initialised device's state file."""
    from hem_provider.emulator import open_device
    from hem_provider.emulator.setup import initialise

    state = tmp_path_factory.mktemp("device") / "device.hem"
    device = open_device(str(state))
    initialise(device, passphrase=PASSPHRASE, admin_passphrase=ADMIN)
    device.close()
    return state


@pytest.fixture(scope="module")
def device_core(device_state: Path) -> Iterator[DeviceCore]:
    """Initialised module over the emulated device."""
    core = DeviceCore(device_state)
    core.ok("C_Initialize", None)
    yield core
    core.ok("C_Finalize", False)


@pytest.fixture(autouse=True, scope="session")
def _own_data_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is read from or written to the directories of who runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def make_device_core() -> type[DeviceCore]:
    return DeviceCore


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The host program in C."""
    return build_host(tmp_path_factory.mktemp("host"))


@pytest.fixture(scope="module")
def key(emulator: ServedEmulator) -> None:
    """A P-256 signing key on the emulator."""
    with connect(emulator.https, passphrase=emulator.passphrase, ca_file=emulator.ca_file) as hem:
        hem.keys.create("SECP256R1", label="hosted", usage={"sign"})


@pytest.fixture
def runs(host: Path, library: Path, environment: dict[str, str]) -> Host:
    return Host(host, library, environment)


@pytest.fixture
def pin(emulator: ServedEmulator) -> str:
    return emulator.passphrase


@pytest.fixture(autouse=True)
def _lines_of_the_log_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest puts a file in the place of standard error, where none are written unasked."""
    from hem_pkcs11.log import log

    monkeypatch.setenv("HEM_PKCS11_LOG", "stderr:error")
    monkeypatch.setattr(log, "_asked", True)
