"""A device whose firmware takes more than 1.2.2, and a client that is told so: nothing refuses at 2048."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import modes
from support.emulator import ServedEmulator
from support.engine import SHIM, Run

from hem_provider import Hem, connect
from hem_provider.errors import HemRequestRefused, MessageTooLong
from hem_provider.symmetric import AESGCM, HMAC, Agreement, Cipher, aes_key_unwrap, aes_key_wrap, seal
from hem_provider.symmetric import open as unseal

FIRMWARE = 'version = "1.7.0"\n[limits]\nmessage = 65536\ndescr = 128\nbody = 131072\n'
LIMITS = {"message": 65536, "descr": 128}
LONG = bytes(range(256)) * 156 + bytes(64)  # 40 000 bytes
KEYS = {
    "web": ("SECP256R1", {"sign", "derive"}), "ed": ("ED25519", {"sign"}), "lattice": ("MLDSA65", {"sign"}),
    "aead": ("AES256", {"aead"}), "cipher": ("AES256", {"cipher"}), "wrap": ("AES256", {"wrap"}),
    "mac": ("SHA2-256", {"mac"}),
}  # fmt: skip


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedEmulator]:
    folder = tmp_path_factory.mktemp("wide")
    (folder / "firmware.toml").write_text(FIRMWARE)
    with ServedEmulator(folder, arguments=("--firmware", str(folder / "firmware.toml"))) as served:
        with connect(served.https, passphrase=served.passphrase, ca_file=served.ca_file) as hem:
            for label, (kind, usage) in KEYS.items():
                hem.keys.create(kind, label=label, usage=usage)
        yield served


@pytest.fixture(scope="module")
def hem(keyed: ServedEmulator) -> Iterator[Hem]:
    with connect(
        keyed.https, passphrase=keyed.passphrase, ca_file=keyed.ca_file, firmware_limits=LIMITS
    ) as told:
        yield told


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return environment | {"HEM_FIRMWARE_LIMITS": "message=65536,descr=128"}


@pytest.fixture
def calls(keyed: ServedEmulator, hem: Hem) -> Callable[[Callable[[], object]], int]:
    """The calls of cryptography that something makes, the login apart."""

    def count(action: Callable[[], object]) -> int:
        before = len(keyed.calls())
        action()
        return sum(each["path"].startswith("/api/crypto/") for each in keyed.calls(before))

    return count


def test_the_client_says_what_it_was_told(hem):
    assert (hem.limits.message, hem.limits.descr, hem.limits.context) == (65536, 128, 255)
    assert hem.limits.body >= 87384


def test_key_objects_sign_what_the_firmware_takes_and_no_byte_more(hem):
    key = hem.keys.find(label="web").private_key()
    key.public_key().verify(key.sign(LONG, ec.ECDSA(hashes.SHA256())), LONG, ec.ECDSA(hashes.SHA256()))
    edwards = hem.keys.find(label="ed").private_key()
    edwards.public_key().verify(edwards.sign(bytes(65536)), bytes(65536))
    lattice = hem.keys.find(label="lattice").private_key()
    lattice.public_key().verify(lattice.sign(LONG), LONG)
    with pytest.raises(MessageTooLong, match="65537 bytes; the device takes at most 65536") as refused:
        edwards.sign(bytes(65537))
    assert refused.value.limit == 65536


def test_bulk_data_take_fewer_calls(hem, calls):
    aead, cipher, nonce = hem.keys.find(label="aead"), hem.keys.find(label="cipher"), bytes(12)
    sealed = []
    assert calls(lambda: sealed.append(AESGCM(aead).encrypt(nonce, LONG, b"aad"))) == 1
    assert calls(lambda: sealed.append(AESGCM(aead).decrypt(nonce, sealed[0], b"aad"))) == 1
    assert sealed[1] == LONG
    context = Cipher(cipher, modes.CTR(bytes(16))).encryptor()
    assert calls(lambda: context.update(bytes(65536))) == 1
    context = Cipher(cipher, modes.CBC(bytes(16))).decryptor()
    assert calls(lambda: context.update(bytes(131072))) == 2


def test_what_goes_in_one_call_may_be_longer(hem):
    aead, wrap, mac = (hem.keys.find(label=label) for label in ("aead", "wrap", "mac"))
    assert unseal(aead, seal(aead, LONG, b"aad" * 9), b"aad" * 9) == LONG
    assert aes_key_unwrap(wrap, aes_key_wrap(wrap, LONG)) == LONG
    made = HMAC(mac, hashes.SHA256())
    made.update(LONG)
    copied = made.copy()
    copied.verify(made.finalize())
    with pytest.raises(MessageTooLong, match="at most 65536"):
        HMAC(mac, hashes.SHA256()).update(bytes(65537))
    agreed = Agreement(hem.keys.find(label="web"), hem.keys.find(label="web").public_key())
    assert unseal(agreed, seal(agreed, LONG)) == LONG


def test_c_sign_takes_it_whole_and_in_parts(environment, keyed, engine, openssl, tmp_path):
    program = (
        "import pkcs11, sys\n"
        "from pkcs11.util.ec import encode_ecdsa_signature\n"
        "token = next(iter(pkcs11.lib(sys.argv[1]).get_tokens()))\n"
        "data = open('message', 'rb').read()\n"
        "with token.open(user_pin=sys.argv[2]) as session:\n"
        "    key = session.get_key(pkcs11.ObjectClass.PRIVATE_KEY, label='web')\n"
        "    sha256 = pkcs11.Mechanism.ECDSA_SHA256\n"
        "    whole = key.sign(data, mechanism=sha256)\n"
        "    parts = key.sign((data[at:at + 999] for at in range(0, len(data), 999)), mechanism=sha256)\n"
        "    mac = session.get_key(pkcs11.ObjectClass.SECRET_KEY, label='mac')\n"
        "    assert len(mac.sign(data, mechanism=pkcs11.Mechanism.SHA256_HMAC)) == 32\n"
        "for name, raw in (('whole', whole), ('parts', parts)):\n"
        "    open(name, 'wb').write(encode_ecdsa_signature(raw))\n"
    )
    (tmp_path / "message").write_bytes(LONG)
    module = SHIM / "hem_pkcs11" / "libhem_pkcs11.so"
    subprocess.run(
        [sys.executable, "-c", program, module, keyed.passphrase],
        env=environment, cwd=tmp_path, check=True, timeout=120,
    )  # fmt: skip
    public_key(keyed, tmp_path)
    for name in ("whole", "parts"):
        openssl(f"dgst -sha256 -verify public.pem -signature {name} message")


@pytest.mark.parametrize("size", [2049, 40_000, 65_536])
def test_the_engine_signs_it(openssl: Run, keyed, tmp_path, size):
    (tmp_path / "message").write_bytes(bytes(size))
    openssl("dgst -engine hem -keyform engine -sha256 -out signature -sign web message")
    public_key(keyed, tmp_path)
    openssl("dgst -sha256 -verify public.pem -signature signature message")


def test_the_engine_refuses_what_the_firmware_does_not_take(openssl: Run, tmp_path):
    (tmp_path / "message").write_bytes(bytes(65_537))
    said = openssl("dgst -engine hem -keyform engine -sha256 -sign web -out signature message", check=False)
    assert "65537 bytes; the device hashes by itself" in said.stderr


def test_a_client_that_claims_more_than_the_firmware_takes_is_refused_by_the_device(keyed):
    claim = {"message": 2**18}
    with (
        connect(
            keyed.https, passphrase=keyed.passphrase, ca_file=keyed.ca_file, firmware_limits=claim
        ) as hem,
        pytest.raises(HemRequestRefused),
    ):
        hem.keys.find(label="ed").private_key().sign(bytes(70_000))


def test_a_client_that_is_not_told_keeps_to_1_2_2(keyed):
    with connect(keyed.https, passphrase=keyed.passphrase, ca_file=keyed.ca_file) as hem:
        with pytest.raises(MessageTooLong, match="at most 2048"):
            hem.keys.find(label="ed").private_key().sign(bytes(2049))


def public_key(keyed: ServedEmulator, folder: Path) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    with connect(keyed.https, passphrase=keyed.passphrase, ca_file=keyed.ca_file) as hem:
        public = hem.keys.find(label="web").public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "public.pem").write_bytes(pem)
