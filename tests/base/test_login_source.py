"""Where a login comes from: one order, the same for library, keyring, module and commands."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hem_pkcs11.constants import CKF, CKU
from hem_pkcs11.module import Module
from support.passphrases import PASSPHRASE

from hem_provider.adapters.keyring.vault.opening import Opener
from hem_provider.cli import main as cli
from hem_provider.cli import pkcs11_selftest
from hem_provider.config import DeviceConfig, load_config, login_source, passphrase
from hem_provider.config.login_source import CONFIGURABLE, LoginSource, ask_hidden
from hem_provider.device import Hem
from hem_provider.device.mobile import MobileLogin
from hem_provider.errors import HemApprovalDenied, HemConfigError, HemError, HemLoginRequired

GIVEN, AGENT, PHONE, FILE, COMMAND, PROMPT = LoginSource

FILE_SET = {"passphrase_file": Path("/secret")}
COMMAND_SET = {"passphrase_command": ("printf", "secret")}
#: What is configured, and the source of a login where nothing is given and nobody may be asked.
CONFIGURED = [
    ({}, None),
    (FILE_SET, FILE),
    (COMMAND_SET, COMMAND),
    ({"auth": "mobile"}, PHONE),
    ({"auth": "mobile", **FILE_SET}, PHONE),
    ({"auth": "mobile", **COMMAND_SET}, PHONE),
]
each_configuration = pytest.mark.parametrize(("settings", "source"), CONFIGURED, ids=str)


@pytest.fixture
def terminal(request, monkeypatch):
    there = getattr(request, "param", True)
    monkeypatch.setattr(login_source, "can_ask", lambda: there)
    return there


@pytest.fixture
def touched(monkeypatch):
    """The sources that were used; the phone refuses, the others give the passphrase."""
    used = set()

    def giving(source):
        return lambda *_: used.add(source) or PASSPHRASE

    def refusing(*_):
        used.add(PHONE)
        raise HemApprovalDenied("by the test")

    for module in (login_source, passphrase):
        monkeypatch.setattr(module, "passphrase_from_file", giving(FILE))
        monkeypatch.setattr(module, "passphrase_from_command", giving(COMMAND))
    monkeypatch.setattr("getpass.getpass", giving(PROMPT))
    monkeypatch.setattr(MobileLogin, "obtain", refusing)
    return used


@pytest.fixture
def configured(rig, monkeypatch, settings):
    """The emulated device in this process, configured by the environment."""
    monkeypatch.setenv("HEM_URL", f"emulator:{rig.path}")
    for name, value in settings.items():
        text = " ".join(value) if isinstance(value, tuple) else str(value)
        monkeypatch.setenv(f"HEM_{name.upper()}", text)
    return load_config().device()


@each_configuration
@pytest.mark.parametrize("may_ask", [True, False], ids=["may ask", "may not ask"])
@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "none"], indirect=True)
def test_the_order(settings, source, may_ask, terminal):
    device = DeviceConfig(url="https://h", **settings)
    asked = PROMPT if may_ask and terminal else None
    assert login_source.login_source(device, may_ask=may_ask) is (source or asked)
    assert login_source.login_source(device, agent=True, may_ask=may_ask) is AGENT
    assert login_source.login_source(device, given=True, agent=True, may_ask=may_ask) is GIVEN


def test_the_documented_order_is_the_one_that_is_looked_for():
    assert list(LoginSource) == [GIVEN, AGENT, PHONE, FILE, COMMAND, PROMPT]
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    section = page.partition("### Where a login comes from\n")[2].partition("\n### ")[0]
    words = ("1. what the caller", "2. the agent", '3. with `auth = "mobile"`', "4. `passphrase_file`",
             "5. `passphrase_command`", "6. a person")  # fmt: skip
    places = [section.index(each) for each in words]
    assert places == sorted(places)


@each_configuration
def test_a_program_uses_the_configured_source_and_never_asks(configured, touched, terminal, source):
    with Hem(configured) as hem:
        assert hem.session.has_any_login == (source is not None)
        with suppress(HemError):
            hem.login()
    assert touched == ({source} - {None})


@each_configuration
def test_a_passphrase_that_a_program_gives_is_used_alone(configured, touched, terminal, source):
    with Hem(configured, passphrase=PASSPHRASE) as hem:
        assert hem.session.has_any_login
        list(hem.keys)
        assert hem.statistics.logins == 1
    with Hem(configured) as hem:
        hem.login(PASSPHRASE)
        list(hem.keys)
    assert touched == set()


@each_configuration
@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "none"], indirect=True)
def test_the_keyring_asks_only_where_nothing_is_configured(configured, touched, terminal, source):
    opener = Opener()
    with suppress(HemError):
        opener.device(None, None).login()
    opener.close()
    assert touched == ({source or (PROMPT if terminal else None)} - {None})


@pytest.fixture
def module(configured):
    module = Module(load_config=load_config, open_device=Hem)
    assert module.call("C_Initialize", None)[0] == 0
    yield module
    module.call("C_Finalize", False)


def log_in(module, pin):
    session = module.call("C_OpenSession", 0, int(CKF.SERIAL_SESSION), False, False)[1]
    return module.call("C_Login", session, CKU.USER, pin)[0]


@each_configuration
def test_the_module_uses_the_configured_source_and_says_so_in_a_flag(module, touched, terminal, source):
    rv, info = module.call("C_GetTokenInfo", 0)
    assert rv == 0
    assert bool(info.flags & CKF.PROTECTED_AUTHENTICATION_PATH) == (source is not None)
    assert info.flags & CKF.LOGIN_REQUIRED
    accepted = log_in(module, None) == 0
    assert touched == ({source} - {None})
    assert accepted == (source in {FILE, COMMAND})


@each_configuration
def test_a_pin_is_used_alone(module, touched, terminal, source):
    assert log_in(module, PASSPHRASE.encode()) == 0
    assert touched == set()


@pytest.mark.parametrize(
    ("settings", "read_ahead"), [(FILE_SET, {FILE}), ({"auth": "mobile", **FILE_SET}, set())]
)
def test_a_module_reads_no_file_ahead_that_it_will_not_use(
    configured, touched, settings, read_ahead, monkeypatch
):
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("hem_pkcs11.functions.general.keep", lambda path, read: read(path))
    module = Module(load_config=load_config, open_device=Hem)
    assert module.call("C_Initialize", None)[0] == 0
    module.call("C_Finalize", False)
    assert touched == read_ahead


@each_configuration
@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "none"], indirect=True)
def test_the_self_test_lets_the_module_log_in_and_asks_where_it_cannot(
    configured, touched, terminal, source, monkeypatch
):
    pins = []
    monkeypatch.setattr(pkcs11_selftest, "_with_module", lambda *arguments: pins.append(arguments[-1]))
    if source is None and not terminal:
        with pytest.raises(HemLoginRequired) as told:
            pkcs11_selftest.self_test(Path("library.so"), None)
        assert CONFIGURABLE in str(told.value)
    else:
        assert pkcs11_selftest.self_test(Path("library.so"), None) == 0
        assert pins == [None if source else PASSPHRASE]
    assert touched == (set() if source or not terminal else {PROMPT})


@each_configuration
@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "none"], indirect=True)
def test_bench_asks_only_where_nothing_is_configured(configured, touched, terminal, source, capsys):
    status = cli.main(["bench", "--rounds", "1"])
    said = capsys.readouterr().err
    assert touched == ({source or (PROMPT if terminal else None)} - {None})
    assert (status == 0) == (touched != {PHONE} and touched != set()), said
    if not touched:
        assert CONFIGURABLE in said


@pytest.mark.parametrize("typed", [None, "\udce9"])
def test_what_is_typed_and_is_no_text_is_refused_without_telling_it(monkeypatch, typed):
    def get(_):
        return b"\xe9".decode("utf-8") if typed is None else typed

    monkeypatch.setattr("getpass.getpass", get)
    with pytest.raises(HemConfigError, match="no text in the encoding of this terminal") as refused:
        ask_hidden("Passphrase: ")
    assert "e9" not in str(refused.value)
    assert refused.value.__suppress_context__


def test_there_is_one_place_that_asks_without_echo():
    package = Path(passphrase.__file__).parents[1]
    found = {
        str(each.relative_to(package))
        for each in package.rglob("*.py")
        if "getpass.getpass" in each.read_text()
    }
    assert found == {"config/login_source.py"}
