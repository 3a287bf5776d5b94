"""One name for keys on several devices: who signs, and what happens when a device does not."""

from __future__ import annotations

import json
import os
import pickle
import threading
import time
from base64 import urlsafe_b64decode
from contextlib import contextmanager

import jwt
import pytest
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from support.rigs import several
from support.traffic import LostRequest

import hem_provider
from hem_provider.device import recoveries
from hem_provider.errors import (
    HemAnswerFault,
    HemConfigError,
    HemConnectionError,
    HemKeyNotFound,
    HemKeySetFailed,
    HemLoginRequired,
    HemOperationFailed,
    HemTimeout,
    MessageTooLong,
)
from hem_provider.keys import KeySet
from hem_provider.keys.publicforms import thumbprint

#: Of the sets here; seconds. Calls of these devices take some milliseconds.
PATIENCE = 0.3


@pytest.fixture
def rigs(monkeypatch, tmp_path):
    monkeypatch.setattr(recoveries, "_BREATH", 0.01)
    with several(monkeypatch, tmp_path, 3) as found:
        yield found


@pytest.fixture
def hems(rigs):
    return [each.connect(name=f"d{number}") for number, each in enumerate(rigs, 1)]


def make(hems, kind="ED25519", **options):
    options = {"timeout": 10, "patience": PATIENCE, "away": 0.2} | options
    return KeySet([each.keys.create(kind, label="tokens", usage={"sign"}) for each in hems], **options)


@contextmanager
def dead(rig):
    """It does not answer at all."""

    def refuse():
        raise LostRequest("dead")

    rig.before_each = refuse
    try:
        yield
    finally:
        rig.before_each = None


@contextmanager
def hanging(rig):
    """It takes a request and says nothing until this is over."""
    over = threading.Event()
    rig.before_each = lambda: over.wait(30)
    try:
        yield
    finally:
        rig.before_each = None
        over.set()


def in_threads(count, work):
    results = [None] * count

    def one(number):
        try:
            results[number] = work()
        except Exception as error:
            results[number] = error

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    return results


def settled(keys):
    """Wait until no device is at anything."""
    ends = time.monotonic() + 10
    while any(each.busy for each in keys.standing()):
        assert time.monotonic() < ends, keys.standing()
        time.sleep(0.005)


@pytest.mark.parametrize("kind", ["SECP256R1", "SECP521R1", "SECP256K1", "ED25519", "ED448"])
def test_any_member_signs_and_any_verifies(hems, kind):
    keys = make(hems, kind)
    makers = set()
    for number in range(6):
        message = b"message %d" % number
        signature, key = keys.sign(message)
        assert keys.verify(signature, message) == key
        settled(keys)
        makers.add(key.kid)
    assert makers == {each.kid for each in keys.members}  # each in turn
    with pytest.raises(InvalidSignature):
        keys.verify(signature, b"another message")


def test_the_digest_may_be_chosen_and_is_the_curve_s_own_else(hems):
    keys = make(hems, "SECP256R1")
    signature, key = keys.sign(b"message", ec.ECDSA(hashes.SHA512()))
    key.public_key().verify(signature, b"message", ec.ECDSA(hashes.SHA512()))
    assert keys.verify(signature, b"message", ec.ECDSA(hashes.SHA512())) == key
    with pytest.raises(InvalidSignature):
        keys.verify(signature, b"message")
    for wrong in (ec.ECDSA(hashes.SHA1()), ec.ECDSA(hashes.SHA256(), deterministic_signing=True)):  # noqa: S303
        with pytest.raises(UnsupportedAlgorithm):
            keys.sign(b"message", wrong)
    with pytest.raises(TypeError, match="ED25519 keys have one"):
        make(hems[:1], "ED25519").sign(b"message", ec.ECDSA(hashes.SHA256()))


def test_devices_work_at_once_and_each_by_itself(rigs, hems):
    """Three signatures of 0.2 s on three devices take no longer than one."""
    keys = make(hems)
    for _ in hems:  # log in
        keys.sign(b"message")
        settled(keys)
    at_work, most = [], []
    for rig in rigs:

        def slowly():
            at_work.append(1)
            most.append(len(at_work))
            time.sleep(0.2)
            at_work.pop()

        rig.before_each = slowly
    results = in_threads(9, lambda: keys.sign(b"message"))
    assert max(most) == 3
    assert sorted(results.count(each) and 1 for each in results) == [1] * 9
    counts = [sum(key == each for _, key in results) for each in keys.members]
    assert counts == [3, 3, 3]


def test_a_dead_device_costs_nobody_a_failure_and_comes_back_by_itself(rigs, hems):
    keys = make(hems)
    for _ in hems:
        keys.sign(b"message")
        settled(keys)
    with dead(rigs[1]):
        makers = {keys.sign(b"message %d" % number)[1] for number in range(6)}
        assert makers == {keys.members[0], keys.members[2]}
        standing = keys.standing()[1]
        assert standing.failures >= 1
        assert isinstance(standing.error, HemConnectionError)
        asked = len(rigs[1].requests)
        keys.sign(b"message")
        settled(keys)
        assert len(rigs[1].requests) <= asked + 2  # it is left alone for a while
    ends = time.monotonic() + 10
    while keys.sign(b"message")[1] != keys.members[1]:
        assert time.monotonic() < ends
    settled(keys)
    assert keys.standing()[1].failures == 0


def test_a_device_that_hangs_keeps_its_own_call_and_no_other(rigs, hems):
    keys = make(hems)
    for _ in hems:
        keys.sign(b"message")
        settled(keys)
    with hanging(rigs[0]):
        began = time.monotonic()
        assert keys.sign(b"message")[1] != keys.members[0]
        assert PATIENCE <= time.monotonic() - began < 5
        asked = len(rigs[0].requests)
        began = time.monotonic()
        assert {keys.sign(b"message")[1] for _ in range(8)} == set(keys.members[1:])
        assert time.monotonic() - began < PATIENCE  # nobody waits for it again
        assert keys.standing()[0].busy > PATIENCE
        assert len(rigs[0].requests) == asked
    settled(keys)
    assert keys.standing()[0].failures == 1  # it was slow
    ends = time.monotonic() + 10
    while keys.sign(b"message")[1] != keys.members[0]:
        assert time.monotonic() < ends


def test_a_call_with_less_time_than_patience_is_made_by_another_device_too(rigs, hems):
    keys = make(hems[:2], timeout=2, patience=60)
    for _ in range(2):
        keys.sign(b"message")
        settled(keys)
    with hanging(rigs[0]):
        assert [keys.sign(b"message")[1] for _ in range(3)] == [keys.members[1]] * 3
        with hanging(rigs[1]), pytest.raises(HemKeySetFailed):
            keys.sign(b"message")


def test_one_that_was_left_out_is_asked_before_the_time_is_over(rigs, hems):
    keys = make(hems[:2], timeout=2, patience=60, away=60)
    for _ in range(2):
        keys.sign(b"message")
        settled(keys)
    with dead(rigs[1]):
        keys.sign(b"message")
        while not keys.standing()[1].failures:
            keys.sign(b"message")
            settled(keys)
    with hanging(rigs[0]):
        assert keys.sign(b"message")[1] == keys.members[1]


def test_devices_that_are_all_slow_are_not_asked_for_everything_twice(rigs, hems):
    keys = make(hems, patience=0.05)
    for _ in hems:
        keys.sign(b"message")
        settled(keys)
    for rig in rigs:
        rig.before_each = lambda: time.sleep(0.15)
    before = sum(rig.count("POST /api/crypto/exdsa/sign") for rig in rigs)
    results = in_threads(18, lambda: keys.sign(b"message"))
    assert all(isinstance(each, tuple) for each in results)
    settled(keys)
    assert sum(rig.count("POST /api/crypto/exdsa/sign") for rig in rigs) - before <= 18 + 6
    assert any(not each.failures for each in keys.standing())


def test_a_call_ends_in_time_though_all_devices_hang(rigs, hems):
    keys = make(hems, timeout=1.2)
    for _ in hems:
        keys.sign(b"message")
        settled(keys)
    with hanging(rigs[0]), hanging(rigs[1]), hanging(rigs[2]):
        began = time.monotonic()
        with pytest.raises(HemKeySetFailed, match=r"d1 .*busy.*d2 .*busy.*d3 .*busy") as told:
            keys.sign(b"message")
        assert 1.1 < time.monotonic() - began < 5
        assert len(told.value.reasons) == 3
        assert all(isinstance(each, HemTimeout) for each in told.value.reasons.values())


def test_the_error_names_each_device_and_why(rigs, hems):
    keys = make(hems)
    hems[2].keys.delete(keys.members[2])
    with dead(rigs[0]):
        hems[1].logout()
        hems[1].session._reliance.forget()
        with pytest.raises(HemKeySetFailed) as told:
            keys.sign(b"message")
    kinds = [type(each) for each in told.value.reasons.values()]
    assert issubclass(kinds[0], HemConnectionError)
    assert kinds[1:] == [HemLoginRequired, HemKeyNotFound]
    for number, rig in enumerate(rigs, 1):
        assert f"d{number} (emulator:{rig.path})" in str(told.value)
    again = pickle.loads(pickle.dumps(told.value))  # noqa: S301
    assert str(again) == str(told.value)
    assert list(again.reasons) == list(told.value.reasons)


def test_a_wrong_signature_is_never_handed_out(rigs, hems):
    keys = make(hems)
    keys.public_keys()

    def spoil(line, body):
        if not line.endswith("exdsa/sign"):
            return body
        told = json.loads(body)
        told["sign"] = "A" + told["sign"][1:] if told["sign"][0] != "A" else "B" + told["sign"][1:]
        return json.dumps(told).encode()

    rigs[0].alter = spoil
    for _ in range(6):
        signature, key = keys.sign(b"message")
        key.public_key().verify(signature, b"message")
        assert key != keys.members[0]
        settled(keys)
    assert isinstance(keys.standing()[0].error, HemAnswerFault)
    rigs[1].alter = rigs[2].alter = spoil
    with pytest.raises(HemKeySetFailed, match="does not verify"):
        keys.sign(b"message")


def test_what_was_asked_wrongly_is_no_fault_of_a_device(rigs, hems):
    keys = make(hems)
    with pytest.raises(MessageTooLong):
        keys.sign(bytes(2049))
    with pytest.raises(ValueError, match="0 bytes|empty|1"):
        keys.sign(b"")
    with pytest.raises(TypeError):
        keys.sign("text")
    with pytest.raises(ZeroDivisionError):
        keys.run(lambda _: 1 // 0)
    settled(keys)
    assert [each.failures for each in keys.standing()] == [0, 0, 0]


def test_what_the_devices_of_a_set_take_need_not_be_the_same(rigs, hems):
    keys = [each.keys.create("ED25519", label="tokens") for each in hems[1:]]
    small = rigs[0].connect(name="small", firmware_limits={"message": 100})
    keys.append(small.keys.create("ED25519", label="tokens"))
    made = KeySet(keys, timeout=10)
    for _ in range(4):
        assert made.sign(bytes(1000))[1] != keys[2]
        settled(made)
    with pytest.raises(MessageTooLong) as told:
        made.sign(bytes(3000))
    assert told.value.limit == 2048
    assert made.sign(bytes(100))


@pytest.mark.parametrize("kind", ["SECP256R1", "SECP384R1", "SECP521R1", "SECP256K1", "ED448", "ED25519"])
def test_a_token_verifies_by_the_published_set(hems, kind):
    keys = make(hems, kind)
    algorithm = keys.jwks()["keys"][0]["alg"]
    token, key = keys.run(
        lambda key: jwt.encode(
            {"sub": "ada"}, key.private_key(), algorithm=algorithm, headers={"kid": keys.kid(key)}
        )
    )
    published = jwt.PyJWKSet.from_dict(json.loads(json.dumps(keys.jwks())))
    found = published[jwt.get_unverified_header(token)["kid"]]
    assert jwt.decode(token, found.key, algorithms=[algorithm]) == {"sub": "ada"}
    assert keys.public_keys()[keys.kid(key)] == key.public_key()
    assert len({each["kid"] for each in keys.jwks()["keys"]}) == 3
    assert {each["use"] for each in keys.jwks()["keys"]} == {"sig"}


def test_the_thumbprint_is_that_of_rfc_8037():
    class Known:
        class type:  # noqa: N801
            name = "ED25519"

        kid = "0" * 32

        @staticmethod
        def public_bytes():
            return urlsafe_b64decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=")

    assert thumbprint(Known) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_members_of_other_types_or_twice_are_refused(hems):
    first, second = (each.keys.create("ED25519", label="a") for each in hems[:2])
    other = hems[1].keys.create("SECP256R1", label="b")
    with pytest.raises(ValueError, match="SECP256R1.*ED25519.*one type"):
        KeySet([first, other])
    with pytest.raises(ValueError, match="several of one device"):
        KeySet([second, other])
    with pytest.raises(ValueError, match="none"):
        KeySet([])
    with pytest.raises(TypeError, match="int; accepted: keys of devices"):
        KeySet([first, 1])
    for kind in ("CURVE25519", "AES256", "SHA2-256", "MLDSA44", "MLKEM768"):
        with pytest.raises(UnsupportedAlgorithm, match=kind):
            KeySet([hems[0].keys.create(kind, label="c")])
    agreeing = hems[0].keys.create("SECP256R1", label="agree", usage={"derive"})
    with pytest.raises(UnsupportedAlgorithm, match="not made for 'sign'"):
        KeySet([agreeing, other])
    with pytest.raises(UnsupportedAlgorithm, match="not made for 'sign'"):
        KeySet.find(label="agree", devices=hems[:1])
    with pytest.raises(ValueError, match="patience: 0"):
        KeySet([first], patience=0)
    for endless in (float("inf"), float("nan"), 1e10, 10**400):
        with pytest.raises(ValueError, match="timeout: .*at most"):
            KeySet([first], timeout=endless)
    assert KeySet([first], timeout=86400 * 365, patience=86400 * 365).sign(b"message")
    with pytest.raises(TypeError, match="timeout: str"):
        KeySet([first], timeout="30")
    assert KeySet([first.private_key(), second]).members == (first, second)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(KeySet([first]))


def test_keys_are_found_by_their_label_on_all_devices(rigs, hems, monkeypatch, tmp_path):
    made = [each.keys.create("SECP256R1", label="tokens", usage={"sign"}) for each in hems]
    with hem_provider.KeySet.find(label="tokens", devices=hems) as keys:
        assert list(keys.members) == made
        assert len(keys) == 3
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    from support.passphrases import PASSPHRASE

    secret.write_text(PASSPHRASE)
    config = tmp_path / "config.toml"
    config.touch(mode=0o600)
    config.write_text(
        "".join(
            f'[[device]]\nname = "d{number}"\nurl = "emulator:{rig.path}"\npassphrase_file = "{secret}"\n'
            for number, rig in enumerate(rigs, 1)
        )
    )
    monkeypatch.setenv("HEM_CONFIG", str(config))
    with KeySet.find(label="tokens") as keys:
        assert {each.kid for each in keys.members} == {each.kid for each in made}
        assert keys.sign(b"message")
    with pytest.raises(TypeError, match="at least one of label"):
        KeySet.find(devices=hems)
    monkeypatch.setenv("HEM_CONFIG", "/nowhere")
    with pytest.raises(HemConfigError):
        KeySet.find(label="tokens")


def test_a_device_that_has_no_such_key_is_told_before_anything_is_signed(hems):
    for each in hems[:2]:
        each.keys.create("ED25519", label="tokens")
    with pytest.raises(HemKeySetFailed, match=r"d3 .*no key with label 'tokens'") as told:
        KeySet.find(label="tokens", devices=hems)
    assert [type(each) for each in told.value.reasons.values()] == [HemKeyNotFound]


def test_a_device_that_is_away_at_the_start_is_met_when_it_is_back(rigs, hems):
    made = [each.keys.create("ED25519", label="tokens") for each in hems]
    with dead(rigs[2]):
        keys = KeySet.find(label="tokens", devices=[*hems[:2], rigs[2].connect(name="fresh")], away=0.2)
        assert keys.members == tuple(made[:2])
        assert len(keys.jwks()["keys"]) == 2
        signature, _ = keys.sign(b"message")
        assert keys.verify(signature, b"message")
        with pytest.raises(HemKeySetFailed, match="say its public key"):
            keys.verify(bytes(64), b"message")
    ends = time.monotonic() + 10
    while keys.sign(b"message")[1] != made[2]:
        assert time.monotonic() < ends
    assert len(keys.jwks()["keys"]) == 3
    with pytest.raises(InvalidSignature):
        keys.verify(bytes(64), b"message")


def test_a_device_that_is_away_at_the_start_is_remembered(rigs, hems):
    made = [each.keys.create("ED25519", label="tokens") for each in hems]
    KeySet.find(label="tokens", devices=[each.connect() for each in rigs])
    with dead(rigs[2]):
        later = [each.connect(name=f"d{number}") for number, each in enumerate(rigs, 1)]
        keys = KeySet.find(label="tokens", devices=later, away=0.2)
        assert {each.kid for each in keys.members} == {each.kid for each in made}
        assert len(keys.jwks()["keys"]) == 3
        assert keys.standing()[2].failures == 1


def test_a_key_of_another_type_that_comes_late_is_not_used(rigs, hems):
    made = [each.keys.create("ED25519", label="tokens") for each in hems[:2]]
    hems[2].keys.create("SECP256R1", label="tokens")
    fresh = rigs[2].connect(name="fresh")
    fresh.keys.refresh()
    with dead(rigs[2]):
        keys = KeySet.find(label="tokens", devices=[*hems[:2], fresh], away=0.05)
    ends = time.monotonic() + 10
    while not isinstance(keys.standing()[2].error, HemOperationFailed):
        assert keys.sign(b"message")[1] in made
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_a_key_that_was_replaced_under_its_label_is_found_anew(rigs, hems):
    made = [each.keys.create("ED25519", label="tokens") for each in hems]
    keys = KeySet.find(label="tokens", devices=hems)
    for _ in range(3):
        keys.sign(b"message")  # each is logged in
    other = rigs[0].connect(name="other")
    other.keys.delete(made[0].kid)
    new = other.keys.create("ED25519", label="tokens")
    makers = {keys.sign(b"message")[1].kid for _ in range(6)}
    assert makers == {new.kid, made[1].kid, made[2].kid}
    assert [each.failures for each in keys.standing()] == [0, 0, 0]
    signature, key = keys.sign(b"again")
    assert keys.verify(signature, b"again") == key
    assert {each["kid"] for each in keys.jwks()["keys"]} == {KeySet.kid(each) for each in (new, *made[1:])}


def test_a_key_that_is_gone_for_good_is_told_and_the_others_sign(rigs, hems):
    made = [each.keys.create("ED25519", label="tokens") for each in hems]
    keys = KeySet.find(label="tokens", devices=hems, away=0.2)
    rigs[0].connect(name="other").keys.delete(made[0].kid)
    assert {keys.sign(b"message")[1] for _ in range(6)} == set(made[1:])
    assert isinstance(keys.standing()[0].error, HemKeyNotFound)
    given = KeySet([made[0]], timeout=5)  # made of keys, not of a label: there is nothing to look for
    rigs[0].connect(name="other").keys.create("ED25519", label="tokens")
    with pytest.raises(HemKeySetFailed) as told:
        given.sign(b"message")
    assert [type(each) for each in told.value.reasons.values()] == [HemKeyNotFound]


def test_a_set_is_not_asked_from_within_its_own_work(hems):
    keys, other = make(hems[:1]), make(hems[1:])
    with pytest.raises(RuntimeError, match="from within its own work"):
        keys.run(lambda _: keys.sign(b"message"))
    (signature, _), key = keys.run(lambda _: other.sign(b"message"))
    assert other.verify(signature, b"message") != key


def test_a_child_goes_on_by_itself(rigs, hems):
    keys = make(hems)
    keys.sign(b"message")
    with hanging(rigs[0]):
        keys.sign(b"message")  # perhaps a thread of this process is kept
        child = os.fork()
        if child == 0:
            try:
                rigs[0].before_each = None
                for _ in range(4):
                    signature, _ = keys.sign(b"in the child")
                    keys.verify(signature, b"in the child")
                os._exit(0 if not any(each.failures for each in keys.standing()) else 2)
            except BaseException:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
    signature, _ = keys.sign(b"message")
    assert keys.verify(signature, b"message")


def test_threads_that_cannot_be_had_are_told_and_keep_no_device(hems, monkeypatch):
    keys = make(hems)

    def none_left(self):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none_left)
        with pytest.raises(RuntimeError, match="no thread can be started"):
            keys.sign(b"message")
    assert [each.busy for each in keys.standing()] == [0, 0, 0]
    assert keys.sign(b"message")
