"""OpenPGP's packets, certificates, and what ``descr`` says of them, held against gpg."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from hem_provider.adapters.openpgp import (
    FORMS,
    KINDS,
    PgpKey,
    Place,
    Role,
    Subkey,
    armored,
    certificate,
    check_user_id,
    holdings,
    kept_name,
    place_of,
    revocation,
    signatures_of,
)
from hem_provider.adapters.openpgp.packets import mpi, packet, subpacket
from hem_provider.adapters.scdaemon.grips import keygrip
from hem_provider.device.description import Description
from hem_provider.errors import HemOperationFailed

#: Made by gpg 2.2.40: type, public half in device form, time, fingerprint, keygrip.
BY_GPG = [
    (
        "ED25519",
        "f3df2d457bbf4ce0d2513cc3d4203194e11f4500c50d476cc0739878df16b62f",
        1795815517,
        "D87AC84067E9C18D5EE6DB3075E646602D0DFD98",
        "AFFFD19D0F605AAF79AB6F77D44675F265E6EB56",
    ),
    (
        "CURVE25519",
        "c04773ec5279509811be446f56debabd77e9d857459e5d9405244863896ddd48",
        1795815517,
        None,
        "9B562533B613AFAAF4B59FB355A20F438E593F81",
    ),
    (
        "SECP256R1",
        "039e7662a1cc0ceb0ecbe90a0d6a0ae461fd36fa929059e0858c72b3378c7f788f",
        1795815517,
        None,
        "0DE03634D70C0DA73952BEE0D4EABBB0B1EA63FE",
    ),
]
#: The last 8 bytes of the fingerprints of the same.
KEY_IDS = ["75E646602D0DFD98", "26A73C00691BC612", "C8A9DB48F806B1BA"]


@pytest.mark.parametrize(("row", "key_id"), [*zip(BY_GPG, KEY_IDS, strict=True)])
def test_fingerprints_and_keygrips_are_those_that_gpg_has(row, key_id):
    kind, public, created, fingerprint, grip = row
    key = PgpKey(kind, bytes.fromhex(public), created)
    assert key.key_id.hex().upper() == key_id
    assert fingerprint is None or key.fingerprint.hex().upper() == fingerprint
    assert keygrip(kind, bytes.fromhex(public)) == grip


@pytest.mark.parametrize("kind", ["SECP384R1", "SECP256K1", "AES256", "MLDSA44", "CURVE448"])
def test_types_that_openpgp_has_no_use_for_are_refused_in_words(kind):
    with pytest.raises(HemOperationFailed, match=f"{kind}.*ED25519 for signatures.*signs no digests"):
        PgpKey(kind, b"", 1)


@pytest.mark.parametrize("created", [0, -1, 2**32])
def test_times_that_openpgp_does_not_know_are_refused(created):
    with pytest.raises(ValueError, match="created"):
        PgpKey("ED25519", bytes(32), created)


@pytest.mark.parametrize(
    ("size", "head"), [(191, "c2bf"), (192, "c2c000"), (8383, "c2dfff"), (8384, "c2ff000020c0")]
)
def test_lengths_of_packets_are_as_long_as_they_must_be(size, head):
    assert packet(2, bytes(size)) == bytes.fromhex(head) + bytes(size)


def test_subpackets_count_their_kind():
    assert subpacket(2, bytes(4)) == bytes([5, 2, 0, 0, 0, 0])
    assert subpacket(20, bytes(191))[:3] == bytes([192, 0, 20])


@given(st.binary(max_size=66))
def test_numbers_are_written_without_leading_zeros(value):
    written = mpi(value)
    bits = int.from_bytes(written[:2], "big")
    assert len(written) == 2 + (bits + 7) // 8
    assert int.from_bytes(written[2:], "big") == int.from_bytes(value, "big")
    assert bits == int.from_bytes(value, "big").bit_length()


def test_armor_is_that_of_the_standard():
    # The message and checksum of RFC 4880 §6.6.
    text = "yDgBO22WxBHv7O8X7O/jygAEzol56iUKiXmV+XmpCtmpqQUKiQrFqclFqUDBovzSvBSFjNSiVHsuAA=="
    lines = armored(base64.b64decode(text), "MESSAGE").decode().splitlines()
    assert lines == [
        "-----BEGIN PGP MESSAGE-----",
        "",
        text[:64],
        text[64:],
        "=njUN",
        "-----END PGP MESSAGE-----",
    ]


class Local:
    """A certificate's keys in this process."""

    def __init__(self):
        self.private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"primary").digest())
        self.primary = PgpKey("ED25519", self.private.public_key().public_bytes_raw(), 1_700_000_000)
        self.signed = []

    def sign(self, digest):
        self.signed.append(digest)
        return self.private.sign(digest)


@pytest.fixture
def local():
    return Local()


@pytest.fixture
def gpg():
    """Runs gpg in a home of its own."""
    if shutil.which("gpg") is None:
        pytest.skip("not run: gpg is not installed")
    with tempfile.TemporaryDirectory(prefix="hem-gpg-") as home:
        Path(home).chmod(0o700)

        def run(*arguments, data=b""):
            done = subprocess.run(
                ["gpg", "--homedir", home, "--batch", "--no-autostart", *arguments],
                input=data, capture_output=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr.decode()
            return done.stdout.decode()

        yield run


def subkeys_of(*kinds):
    publics = {
        "CURVE25519": bytes.fromhex(BY_GPG[1][1]),
        "SECP256R1": bytes.fromhex(BY_GPG[2][1]),
        "ED25519": bytes.fromhex(BY_GPG[0][1]),
    }
    roles = {"ED25519": Role.AUTHENTICATE}
    return [
        Subkey(PgpKey(kind, publics[kind], 1_700_000_001), roles.get(kind, Role.DECRYPT)) for kind in kinds
    ]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("expires", [None, 1_700_000_000 + 60 * 365 * 86400])
def test_gpg_finds_every_signature_of_a_certificate_good(form, expires, local, gpg):
    subkeys = subkeys_of("CURVE25519", "SECP256R1", "ED25519")
    made = certificate(
        local.primary,
        "Ada Łovelace <ada@example.org>",
        subkeys,
        local.sign,
        form=FORMS[form],
        expires=expires,
    )
    assert len(local.signed) == signatures_of(subkeys)
    gpg("--import", data=armored(made))
    records = [line.split(":") for line in gpg("--with-colons", "--check-signatures").splitlines()]
    assert [each[1] for each in records if each[0] == "sig"] == ["!"] * 4
    assert [each[11] for each in records if each[0] in ("pub", "sub")] == ["scESCA", "e", "e", "a"]
    ends = "" if expires is None else str(expires)
    assert [each[6] for each in records if each[0] == "pub"] == [ends]
    prints = [each[9] for each in records if each[0] == "fpr"]
    assert prints == [each.fingerprint.hex().upper() for each in (local.primary, *(s.key for s in subkeys))]
    assert [each[9] for each in records if each[0] == "uid"] == ["Ada Łovelace <ada@example.org>"]


def test_the_same_keys_give_the_same_certificate(local):
    made = [
        certificate(local.primary, "Ada", subkeys_of("CURVE25519"), local.sign, form=FORMS["hem-provider"])
        for _ in range(2)
    ]
    assert made[0] == made[1]


#: What the vendor's application publishes for the same primary, BY_GPG's key for encryption, the address
#: ada@example.org and the time 1700000000; made by its own code. Expiry → the certificate.
BY_MAIL = {
    None: (
        "c633046553f10016092b06010401da470f010107407d0a6ebf8c5f1161a8e0858962f1c5018c7fa9c889d25b81"
        "ed5e844c69f067c2cd113c616461406578616d706c652e6f72673ec27104131608001905026553f100021b0303"
        "0b09070315080a0416020100021e01000a09104df553a6c99a66da678700f9016f13de30506ddbb58c7c5dd777"
        "85c36fb4e7920bc79d9a140e0c4444a1135c00fe2d6acbb89bdc3365d29c95b7970ca142f09ae4a2db5909b09d"
        "b691adeab7f30fce38046553f100120a2b060104019755010501010740c04773ec5279509811be446f56debabd"
        "77e9d857459e5d9405244863896ddd4803010809c26104181608000905026553f100021b0c000a09104df553a6"
        "c99a66daeaeb00ff618883346fb09b2793a42cdf547fe4ed0841dbfb9760c7f024c5b654186422f500ff47bf00"
        "22989974782e789f7d050aa2ea34042fe792aac91758f5aafe47dba80e"
    ),
    1_800_000_000: (
        "c633046553f10016092b06010401da470f010107407d0a6ebf8c5f1161a8e0858962f1c5018c7fa9c889d25b81"
        "ed5e844c69f067c2cd113c616461406578616d706c652e6f72673ec27704131608001f05026553f100021b0303"
        "0b09070315080a0416020100021e01050905f5e100000a09104df553a6c99a66da932b0100a5ddb9e189bbb334"
        "49e759cfb568e89c2d879025d2790dd1cd86bfc9b228dd9200fb07cbe39683e86256e8f442f41e0998d9d648b7"
        "49b6290372aa92fece70bc7606ce38046553f100120a2b060104019755010501010740c04773ec5279509811be"
        "446f56debabd77e9d857459e5d9405244863896ddd4803010809c26704181608000f05026553f100021b0c0509"
        "05f5e100000a09104df553a6c99a66da890e0100f2157b32917fd5f4b58baffbaa7be84a92592c6c54f70a2a9e"
        "2f04c2913a349b00ff679b00fbe5e25170442ea41d1ce300be131edd34f6b7cb78dd00e36c75f12b0f"
    ),
}


@pytest.mark.parametrize("expires", BY_MAIL)
def test_certificates_of_the_mail_application_are_made_byte_for_byte(expires, local):
    ecdh = PgpKey("CURVE25519", bytes.fromhex(BY_GPG[1][1]), 1_700_000_000, bytes([1, 8, 9]))
    made = certificate(
        local.primary,
        "<ada@example.org>",
        [Subkey(ecdh, Role.DECRYPT)],
        local.sign,
        form=FORMS["mail"],
        expires=expires,
    )
    assert made.hex() == BY_MAIL[expires]
    assert local.primary.fingerprint.hex() == "cda68e4c83a2b1754e5969294df553a6c99a66da"


def test_a_revocation_revokes(local, gpg):
    gpg("--import", data=certificate(local.primary, "Ada", [], local.sign, form=FORMS["hem-provider"]))
    gpg("--import", data=armored(revocation(local.primary, 1_700_000_100, local.sign)))
    assert gpg("--with-colons", "--list-keys").splitlines()[1].startswith("pub:r:")


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=40)


@given(
    st.sampled_from([Role.DECRYPT, Role.AUTHENTICATE]),
    st.integers(1, 2**32 - 1),
    st.binary(min_size=16, max_size=16),
)
def test_the_place_of_a_subkey_is_kept(role, created, kid):
    place = Place(role, created, kid.hex())
    assert place_of(Description(application_id=place.application_id()).pack()) == place


@given(st.integers(1, 2**32 - 1), NAMES)
def test_the_place_of_a_primary_is_kept_with_as_much_of_the_name_as_there_is_room_for(created, name):
    place = Place(Role.SIGN, created, name=name)
    kept = place_of(Description(application_id=place.application_id()).pack())
    assert kept == Place(Role.SIGN, created, name=kept_name(name))


def test_of_a_name_that_is_too_long_the_address_is_kept():
    assert kept_name("Ada <ada@example.org>") == "Ada <ada@example.org>"
    assert kept_name("Augusta Ada King of Lovelace <ada@example.org>") == "<ada@example.org>"
    assert kept_name("Ada <ada@a-domain-that-is-very-long.example.org>") == ""


@pytest.mark.parametrize(
    ("descr", "place"),
    [
        ("ETSPGP:self,ada@example.org,sign,1700000000", (Role.SIGN, None)),
        ("ETSPGP:self,ada@example.org,ecdh,1700000000,1900000000", (Role.DECRYPT, 1900000000)),
    ],
)
def test_keys_of_the_mail_application_are_read(descr, place):
    role, expires = place
    assert place_of(descr.encode()) == Place(
        role, 1700000000, "ada@example.org,1700000000", "<ada@example.org>", "mail", expires
    )


@pytest.mark.parametrize(
    "descr",
    [
        b"",
        b"ETSPGP:peer,ada@example.org,sign",
        b"ETSPGP:self,ada@example.org,sign",
        b"ETSPGP:self,ada@example.org,sign,0",
        b"ETSPGP:self,ada@example.org,sign,99999999999",
        b"ETSPGP:self,ada@example.org,sign,-1",
        b"ETSPGP:self,ada@example.org,auth,1700000000",
        b"ETSPGP:self,,sign,1700000000",
        b"ETSPGP:self,a\x1b[31m@example.org,sign,1700000000",
        b"ETSPGP:self,\xff,sign,1700000000",
        b"PKCS11:h:",
        Description(application_id=b"PGP").pack(),
        Description(application_id=b"PGPs\0\0\0\0Ada").pack(),
        Description(application_id=b"PGPx\0\0\0\1Ada").pack(),
        Description(application_id=b"PGPe\0\0\0\1short").pack(),
        Description(application_id=b"PGPs\0\0\0\1\xff").pack(),
        Description(application_id=b"PGPs\0\0\0\1\x1b[31m").pack(),
        Description(application_id=b"\1").pack(),
    ],
    ids=range(18),  # a packed description has a random mark in it
)
def test_what_is_no_place_is_none(descr):
    assert place_of(descr) is None


@given(st.binary(max_size=64))
def test_any_descr_is_read_without_an_error(descr):
    for each in (descr, b"ETSPGP:self," + descr, b"PKCS11:h:" + descr):
        found = place_of(each)
        assert found is None or found.role in Role


@pytest.mark.parametrize("name", ["", " ", " Ada", "Ada\n", "A\x1b[31m", "A" * 513, "\ud800"])
def test_names_that_no_certificate_can_have_are_refused(name):
    with pytest.raises(ValueError, match="bytes; accepted"):
        check_user_id(name)


def test_the_certificates_of_a_device_are_found(hem):
    def made(kind, *place, **more):
        return hem.keys.create(kind, label="k", application_id=Place(*place, **more).application_id())

    sign = made("ED25519", Role.SIGN, 5, name="Ada")
    other = made("ED25519", Role.SIGN, 6, name="Bob")
    inbox = made("SECP256R1", Role.DECRYPT, 7, sign.kid)
    # None of a certificate: of a type that cannot do it, of a primary that is not there, no place at all.
    made("CURVE25519", Role.AUTHENTICATE, 7, sign.kid)
    made("CURVE25519", Role.DECRYPT, 7, "00" * 16)
    hem.keys.create("ED25519", label="z")
    hem.keys.refresh()
    first, second = holdings(hem.keys)
    assert [each.key.kid for each in first.keys] == [sign.kid, inbox.kid]
    assert first.missing == (Role.AUTHENTICATE,)
    assert (first.name, second.name, second.primary.key.kid) == ("Ada", "Bob", other.kid)
    assert second.missing == (Role.DECRYPT, Role.AUTHENTICATE)


def test_every_role_has_types():
    assert set(KINDS) == set(Role)
