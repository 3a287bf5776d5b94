"""Bringing a device into use and looking after it."""

from __future__ import annotations

import pytest
from support.clocks import quick_clock
from support.passphrases import ADMIN, PASSPHRASE
from support.traffic import LostReply

from hem_provider.device import Kdf, Role
from hem_provider.errors import (
    HemAuthenticationError,
    HemDeviceFault,
    HemNotInitialized,
    HemOperationFailed,
    HemRequestRefused,
    HemScopeDenied,
    HemTimeout,
    HemUnreachable,
    MessageTooLong,
)
from hem_provider.rest import keymgmt, logger, upgrade
from hem_provider.rest.initialisation import NewDevice
from hem_provider.rest.upgrade import Image

NEW = NewDevice(user="Ada", hostname="ada.ence.do", email="ada@example.org")
IMAGE = b"hem-provider emulator image 1.2.3\n" + bytes(100_000)
MNEMONIC = "abandon " * 23 + "art"


@pytest.fixture
def fresh(rig):
    from hem_provider.emulator import lifecycle

    with rig.device.model.transaction():
        lifecycle.wipe(rig.device.model)
    return rig.connect(None)


def test_a_fresh_device_is_brought_into_use_clock_and_all(fresh, rig):
    with pytest.raises(HemNotInitialized):
        fresh.probe()
    done = fresh.admin.initialize(NEW, passphrase="secret", master="owner")
    assert done.instance_id
    assert done.token not in repr(done)
    settings = fresh.admin.configuration()  # with the token of the initialisation
    assert fresh.statistics.logins == 0
    assert (settings.user, settings.hostname, settings.email) == ("Ada", "ada.ence.do", "ada@example.org")
    fresh.keys.create("ED25519", label="first")
    other = rig.connect("secret")
    assert [each.label for each in other.keys] == ["first"]
    assert other.identity.label == "Ada"
    master = rig.connect(None)
    master.login("owner", role=Role.MASTER, scope="system:config")


def test_a_device_is_initialised_once(hem):
    with pytest.raises(HemOperationFailed, match="initialised already"):
        hem.admin.initialize(NEW, passphrase="x", master="y")


def test_a_master_mnemonic_works_as_the_vendors_manager_makes_it(fresh, rig):
    fresh.admin.initialize(NEW, passphrase="secret", master=MNEMONIC, master_kdf=Kdf.BIP39)
    master = rig.connect(None)
    master.login(MNEMONIC.upper(), role=Role.MASTER, scope="system:config", kdf=Kdf.BIP39)
    assert master.admin.configuration().user == "Ada"
    with pytest.raises(HemScopeDenied):
        master.session.run(keymgmt.list_keys())


def test_an_argon2d_device_takes_argon2d_and_nothing_else(rig):
    from hem_provider.emulator import lifecycle

    with rig.device.model.transaction():
        lifecycle.wipe(rig.device.model)
    from hem_provider.device import connect

    maker = connect(f"emulator:{rig.path}", kdf=Kdf.ARGON2D)
    maker.admin.initialize(NEW, passphrase="secret", master="owner")
    connect(f"emulator:{rig.path}", passphrase="secret", kdf=Kdf.ARGON2D).login()
    with pytest.raises(HemAuthenticationError):
        connect(f"emulator:{rig.path}", passphrase="secret").login()


@pytest.mark.parametrize("words", ["", "abandon", "abandon " * 25])
def test_a_mnemonic_of_another_length_is_refused(fresh, words):
    with pytest.raises(ValueError, match="accepted: 24"):
        fresh.admin.initialize(NEW, passphrase="x", master=words, master_kdf=Kdf.BIP39)


def test_an_unacceptable_setting_writes_nothing(fresh):
    with pytest.raises(HemRequestRefused, match="nothing was written"):
        fresh.admin.initialize(NewDevice(user="u" * 75, hostname="a.ence.do"), passphrase="x", master="y")
    assert not fresh.status().initialized


def test_settings_change_one_by_one(hem):
    before = hem.admin.configuration()
    change = hem.admin.configure(user="Grace", anonymous_search=False)
    assert change.updated
    after = hem.admin.configuration()
    assert (after.user, after.anonymous_search, after.email) == ("Grace", False, before.email)
    assert not hem.admin.configure(user="Grace").updated
    with pytest.raises(TypeError, match="unknown setting 'hostname'"):
        hem.admin.configure(hostname="x")
    with pytest.raises(HemRequestRefused, match="nothing was changed"):
        hem.admin.configure(request_deadline=9)


def test_a_new_passphrase_replaces_the_old_one_and_keeps_the_keys(hem, rig):
    key = hem.keys.create("ED25519", label="k")
    hem.admin.change_passphrase("new passphrase")
    hem.sign(key.kid, b"data", "Ed25519")  # this object knows the new one
    rig.connect("new passphrase").login()
    with pytest.raises(HemAuthenticationError):
        rig.connect(PASSPHRASE).login()


def test_the_master_can_reset_a_forgotten_passphrase(rig):
    master = rig.connect(None)
    master.login(ADMIN, role=Role.MASTER, scope="system:config")
    master.admin.change_passphrase("fresh start")
    rig.connect("fresh start").login()


def test_wiping_takes_the_identity_of_the_device_meant(hem, rig):
    hem.keys.create("ED25519", label="k")
    with pytest.raises(ValueError, match="is not the eid"):
        hem.admin.wipe(confirm="my.ence.do")
    assert len(hem.keys) == 1
    hem.admin.wipe(confirm=hem.admin.configuration().eid)
    assert not hem.logged_in
    assert not hem.status().initialized


def test_what_was_listed_of_a_wiped_device_is_not_remembered(rig):
    hem = rig.connect()
    hem.keys.create("ED25519", label="k")
    assert [each.label for each in hem.keys] == ["k"]
    assert [each.label for each in rig.connect().keys.recalled()] == ["k"]
    hem.admin.wipe(confirm=hem.admin.configuration().eid)
    assert rig.connect().keys.recalled() == []


def test_reboot_ends_logins_and_work_goes_on(hem, rig):
    key = hem.keys.create("ED25519", label="k")
    status = hem.admin.reboot(wait=5)
    assert status.time is None
    hem.sign(key.kid, b"data", "Ed25519")


def test_a_dropped_connection_is_the_success_of_a_reboot(hem, rig):
    rig.fault("GET /api/system/reboot", LostReply)
    hem.admin.reboot()
    assert rig.count("GET /api/system/reboot") == 1


def test_a_device_that_only_says_yes_to_a_reboot_is_not_back(hem, rig, monkeypatch):
    """It acts 2 s after its answer, and answers until then: that is the boot that was."""
    monkeypatch.setattr(hem.admin, "_clock", quick_clock())
    seen = []
    rig.fault("GET /api/system/reboot", 200)
    with pytest.raises(HemOperationFailed, match="has not restarted within 6 s"):
        hem.admin.reboot(wait=60, looked=seen.append)
    assert seen == [0, 1, 2, 3, 4, 5, 6]


def test_a_wipe_is_seen_or_said_not_to_be(hem, rig, monkeypatch):
    monkeypatch.setattr(hem.admin, "_clock", quick_clock())
    eid = hem.admin.configuration().eid
    rig.fault("POST /api/system/config", 200)
    with pytest.raises(HemOperationFailed, match="said yes, but was not wiped"):
        hem.admin.wipe(confirm=eid, wait=60)
    other = rig.connect()
    monkeypatch.setattr(other.admin, "_clock", quick_clock())
    assert other.admin.wipe(confirm=eid) is False  # nobody has looked
    with rig.connect(None) as fresh:
        assert not fresh.status().initialized


def test_a_wiped_device_that_lost_its_certificate_is_away(hem, monkeypatch):
    monkeypatch.setattr(hem.admin, "_clock", quick_clock())
    eid = hem.admin.configuration().eid
    run = hem.session.run

    def without_tls(call, change=None):
        if call.path.endswith("/status"):
            raise HemUnreachable("no TLS any more")
        return run(call, change)

    monkeypatch.setattr(hem.session, "run", without_tls)
    assert hem.admin.wipe(confirm=eid, wait=60) is False


def test_what_is_staged_waits_until_it_is_installed(hem, rig, monkeypatch):
    monkeypatch.setattr(hem.admin, "_clock", quick_clock())
    seen = []
    hem.admin.stage(Image.FIRMWARE, IMAGE, looked=seen.append)
    assert seen
    assert hem.version().firmware.endswith("v1.2.2")
    status = hem.admin.install(Image.FIRMWARE, wait=60)
    assert status.upgraded
    assert hem.version().firmware.endswith("v1.2.3")


def test_waiting_for_a_device_that_stays_away_ends(hem, rig, monkeypatch):
    def away(_):
        raise HemUnreachable("the cable")

    monkeypatch.setattr(hem.admin, "_clock", quick_clock())
    monkeypatch.setattr(hem.session, "run", away)
    with pytest.raises(HemTimeout, match="not back after 0.01 s: the cable"):
        hem.admin.await_device(0.01)


def test_selftest_and_attestation(hem):
    report = hem.admin.selftest()
    assert report.fls_state == 0
    assert report.repository is not None
    assert hem.admin.attestation().genuine


def test_a_fresh_device_answers_without_a_login(fresh):
    assert fresh.admin.selftest().fls_state == 0
    assert fresh.statistics.logins == 0


def test_disks_are_shown_and_taken_away(hem):
    hem.admin.unlock_disk(1, writable=True)
    assert hem.status().storage[1].endswith(":rw")
    hem.admin.lock_disk(1)
    assert hem.status().storage[1].endswith(":-")
    with pytest.raises(ValueError, match="disk: 2"):
        hem.admin.unlock_disk(2)


def test_an_upgrade_uploads_with_progress_and_installs(hem, rig, monkeypatch):
    monkeypatch.setattr(hem.admin, "_clock", quick_clock())
    seen = []
    hem.admin.upgrade(Image.DASHBOARD, IMAGE, progress=lambda sent, whole: seen.append((sent, whole)))
    assert seen[-1] == (len(IMAGE), len(IMAGE))
    assert rig.count("GET /api/system/upgrade/install_ui") == 1


def test_an_image_that_is_too_large_or_empty_is_not_sent():
    with pytest.raises(MessageTooLong, match="at most 3145728"):
        upgrade.upload(Image.FIRMWARE, bytes(3 * 1024 * 1024 + 1))
    with pytest.raises(ValueError, match="0 bytes"):
        upgrade.upload(Image.FIRMWARE, b"")
    with pytest.raises(ValueError, match="filename"):
        upgrade.upload(Image.FIRMWARE, b"x", filename='a"b')


def test_an_image_that_is_not_accepted_says_so(hem, rig, monkeypatch):
    monkeypatch.setattr(hem.admin, "_clock", quick_clock())
    rig.fault("GET /api/system/upgrade/check_fw", 406)
    with pytest.raises(HemDeviceFault, match="does not accept the image"):
        hem.admin.upgrade(Image.FIRMWARE, bytes(1000))


def test_the_audit_log_is_read_and_its_key_is_proven(hem, rig):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    rig.reboot()  # closes the present file

    run = hem.session.run
    key, (ids, total) = run(logger.key()), run(logger.list_files())
    text = run(logger.read(ids[0]))
    Ed25519PublicKey.from_public_bytes(key.key).verify(key.signature, key.nonce)
    assert total == len(ids) >= 1
    assert text.startswith(b"# ")
    with pytest.raises(ValueError, match="8 hex digits"):
        logger.read("../../etc")
    with pytest.raises(HemRequestRefused, match="no such log file"):
        run(logger.read("00000000"))
