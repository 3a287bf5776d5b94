"""A tour through every endpoint of the device, by the typed functions."""

from __future__ import annotations

import json
import re

import pytest
from support.clocks import quick_clock
from support.passphrases import ADMIN, PASSPHRASE

from hem_provider.emulator.endpoints import ENDPOINTS
from hem_provider.errors import HemError, HemOperationFailed, HemScopeDenied
from hem_provider.rest import configuration, external, keymgmt, logger, storage, upgrade
from hem_provider.rest.call import Call, done
from hem_provider.rest.initialisation import NewDevice
from hem_provider.rest.upgrade import Image, UpgradeState

IMAGE = b"hem-provider emulator image 1.2.3\n" + bytes(100)


def keys(hem):
    own = hem.keys.create("CURVE25519", label="own")
    signer = hem.keys.create("ED25519", label="signer")
    mac = hem.keys.create("SHA2-256", label="mac")
    aes = hem.keys.create("AES256", label="aes")
    kem = hem.keys.create("MLKEM768", label="kem")
    dsa = hem.keys.create("MLDSA44", label="dsa")
    hem.keys.import_public(("CURVE25519", bytes(range(32))), label="peer")
    hem.keys.derive(own, own, type="AES128", label="derived")
    hem.keys.update(own, label="renamed")
    hem.session.run(keymgmt.list_keys(1, 2))
    hem.keys.search_anonymous()
    signer.public_key()
    signature = hem.sign(signer.kid, b"x", "Ed25519")
    assert hem.verify(signer.kid, b"x", signature, "Ed25519")
    hem.ecdh(own.kid, own.kid)
    ciphertext, secret = hem.operations.mlkem_encapsulate(kem.kid)
    assert hem.operations.mlkem_decapsulate(kem.kid, ciphertext) == secret
    assert hem.operations.mldsa_verify(dsa.kid, b"x", hem.operations.mldsa_sign(dsa.kid, b"x"))
    code = hem.hmac(mac.kid, b"x")
    assert hem.hmac_verify(mac.kid, b"x", code)
    sealed = hem.encrypt(aes.kid, b"x", "AES256-GCM")
    assert hem.decrypt(aes.kid, sealed.ciphertext, "AES256-GCM", iv=sealed.iv, tag=sealed.tag) == b"x"
    wrapped = hem.wrap(aes.kid, bytes(16), "AES256")
    assert hem.unwrap(aes.kid, wrapped, "AES256") == bytes(16)
    hem.keys.delete(own)


def phones(hem, rig):
    pairing = hem.phones.begin()
    with pytest.raises(HemError):
        pairing.wait(0)
    with rig.phone() as phone:
        phone.pair(json.loads(pairing.qr_text)["link"])
    kid = pairing.wait(5)
    mobile = rig.connect(None, auth="mobile")
    mobile.session.mobile.poll = 0
    mobile.login()
    rig.phone_answers("ignore")
    mobile.session.mobile.wait = 0.02
    with pytest.raises(HemError):
        mobile.login(scope="keymgmt:search")
    epk = hem.rest.broker.session(hem.admin.configuration().eid)
    proof = hem.session.run(external.prove(epk))
    assert hem.rest.broker.subscribers(proof.raw, epk)
    hem.phones.remove(kid)


def system(hem, rig):
    hem.status()
    hem.version()
    hem.check_in()
    hem.admin.configuration()
    hem.admin.configure(user="Tour")
    hem.admin.selftest()
    genuine = hem.admin.attestation().genuine
    with pytest.raises(HemScopeDenied):  # once initialised
        hem.session.run(configuration.provision(genuine=genuine, certificate="AAAA"))
    for disk in (0, 1):
        hem.admin.unlock_disk(disk, writable=True)
        for read_only in (True, False):
            hem.session.run(storage.unlock(disk, writable=True, read_only=read_only))
        hem.admin.lock_disk(disk)
    rig.reboot()
    newest = hem.audit.files()[-2]
    assert hem.audit.verify(newest).problems == ()
    hem.session.run(logger.list_files())


def upgrades(hem):
    run = hem.session.run
    # Nobody has told what this one answers, so there is no function for it.
    run(Call("GET", "/api/system/upgrade", done, scopes=("system:upgrade",)))
    for image in Image:
        assert run(upgrade.check(image)) is UpgradeState.NOTHING
        run(upgrade.upload(image, IMAGE))
        assert run(upgrade.check(image)) is UpgradeState.STARTED
        assert run(upgrade.check(image)) is UpgradeState.VERIFIED
    run(upgrade.install(Image.DASHBOARD))
    with pytest.raises(HemOperationFailed, match="no verified image"):
        run(upgrade.install(Image.DASHBOARD))
    run(upgrade.install(Image.FIRMWARE))
    assert hem.status().upgraded
    run(upgrade.usb_mode())


def certificates(hem):
    hem.certificate.obtain_default(reboot=False)
    hem.rest.domain.is_free("tour")
    hem.certificate._clock = quick_clock()
    hem.certificate.obtain("tour", address="192.168.7.1", reboot=False)


def life(hem):
    hem.admin.change_passphrase("new")
    hem.admin.reboot()
    hem.admin.wipe(confirm=hem.admin.configuration().eid)
    hem.admin.initialize(NewDevice(user="T", hostname="t.ence.do"), passphrase=PASSPHRASE, master=ADMIN)
    hem.admin.shutdown()


def unvisited(rows, seen):
    """Rows (method, path pattern) that no request matches."""
    left = []
    for method, path in rows:
        pattern = re.compile(f"{method} " + re.sub(r"\{\w+\}", "[^/]+", path) + r"\Z")
        if not any(pattern.match(each) for each in seen):
            left.append(f"{method} {path}")
    return left


#: Forms of an endpoint that a client has no need of: shorter paths of the same listing.
SHORTER = {
    "GET /api/keymgmt/list",
    "GET /api/keymgmt/list/{offset}",
    "GET /api/logger/list",
}


def test_every_endpoint_of_the_device_is_reached_by_a_typed_function(hem, rig):
    keys(hem)
    phones(hem, rig)
    system(hem, rig)
    upgrades(hem)
    rig.power_cycle()
    certificates(hem)
    life(hem)
    rows = [(row.method, row.path) for row in ENDPOINTS]
    assert len(rows) > 50
    assert set(unvisited(rows, rig.requests)) <= SHORTER


def test_an_older_firmwares_404_for_no_hit_is_an_empty_page(hem, rig):
    rig.fault("POST /api/keymgmt/search", 404)
    assert hem.keys.search_anonymous() == []
