"""openssl's own commands with HEM keys: each result is checked with the public key alone."""

from __future__ import annotations

import pytest
from support.engine import Run

from hem_provider.cli.openssl_files import key_file

ENGINE = "-engine hem -keyform engine"
DIGESTS = ("sha256", "sha384", "sha512")
CONFIG = """
[ca]
default_ca = own
[own]
database = index.txt
serial = serial
crlnumber = crlnumber
new_certs_dir = .
default_md = sha256
default_days = 30
default_crl_days = 7
policy = any
unique_subject = no
[any]
commonName = supplied
[tsa]
default_tsa = own_tsa
[own_tsa]
serial = serial
default_policy = 1.2.3.4
digests = sha256
signer_digest = sha256
ess_cert_id_alg = sha256
"""


@pytest.fixture
def message(tmp_path):
    (tmp_path / "message").write_bytes(b"to be signed\n")
    return tmp_path / "message"


@pytest.fixture
def authority(openssl, tmp_path):
    """A certification authority with a HEM key, and a request to it from a software key."""
    openssl(f"req -x509 {ENGINE} -key pkcs11:object=ca -subj /CN=CA -days 30 -out ca.crt"
            " -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature")  # fmt: skip
    openssl("genpkey -algorithm ED25519 -out user.key")
    openssl("req -new -key user.key -subj /CN=user -out user.csr")
    (tmp_path / "ca.cnf").write_text(CONFIG)
    (tmp_path / "index.txt").touch()
    (tmp_path / "serial").write_text("01\n")
    (tmp_path / "crlnumber").write_text("01\n")
    return tmp_path


@pytest.fixture
def signer(openssl, tmp_path):
    """A certificate for the key "web", for signing, encrypting and time stamps."""

    def issue(*extensions: str) -> None:
        words = " ".join(f"-addext {each}" for each in extensions)
        openssl(f"req -x509 {ENGINE} -key web -subj /CN=signer -days 30 -out signer.crt {words}")

    return issue


@pytest.mark.parametrize("label", ["web", "ca", "p521", "k256"])
def test_dgst_signs_with_each_curve_and_each_digest(openssl: Run, message, label):
    openssl(f"pkey -engine hem -inform engine -in {label} -pubout -out public.pem")
    for digest in DIGESTS if label == "web" else DIGESTS[:1]:
        openssl(f"dgst {ENGINE} -{digest} -sign {label} -out signature message")
        assert (
            "Verified OK" in openssl(f"dgst -{digest} -verify public.pem -signature signature message").stdout
        )
    message.write_bytes(b"something else")
    openssl(f"dgst -{digest} -verify public.pem -signature signature message", check=False)


@pytest.mark.parametrize("label", ["ed", "ed448"])
def test_pkeyutl_signs_messages_with_edwards_keys(openssl: Run, message, label):
    openssl(f"pkey -engine hem -inform engine -in {label} -pubout -out public.pem")
    openssl(f"pkeyutl -sign -rawin {ENGINE} -inkey {label} -in message -out signature")
    openssl("pkeyutl -verify -rawin -pubin -inkey public.pem -in message -sigfile signature")
    openssl(f"pkeyutl -verify -rawin {ENGINE} -inkey {label} -in message -sigfile signature")


def test_pkeyutl_signs_messages_with_ec_keys_when_told_rawin(openssl: Run, message):
    openssl(f"pkeyutl -sign -rawin -digest sha256 {ENGINE} -inkey web -in message -out signature")
    openssl("pkey -engine hem -inform engine -in web -pubout -out public.pem")
    openssl("dgst -sha256 -verify public.pem -signature signature message")
    said = openssl(f"pkeyutl -sign {ENGINE} -inkey web -in message -out signature", check=False).stderr
    assert "cannot sign a ready-made digest" in said
    assert "pkeyutl -sign -rawin" in said


@pytest.mark.parametrize(("label", "curve"), [("web", "P-256"), ("k256", "secp256k1"), ("x", None)])
def test_pkeyutl_derives_the_same_secret_on_both_sides(openssl: Run, tmp_path, label, curve):
    kind = f"EC -pkeyopt ec_paramgen_curve:{curve}" if curve else "X25519"
    openssl(f"genpkey -algorithm {kind} -out peer.key")
    openssl("pkey -in peer.key -pubout -out peer.pub")
    openssl(f"pkey -engine hem -inform engine -in {label} -pubout -out public.pem")
    openssl(f"pkeyutl -derive {ENGINE} -inkey {label} -peerkey peer.pub -out ours")
    openssl("pkeyutl -derive -inkey peer.key -peerkey public.pem -out theirs")
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    assert (tmp_path / "ours").stat().st_size == 32


def test_a_peer_on_another_curve_is_refused(openssl: Run):
    openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out peer.key")
    openssl("pkey -in peer.key -pubout -out peer.pub")
    assert openssl(f"pkeyutl -derive {ENGINE} -inkey web -peerkey peer.pub", check=False).stderr


@pytest.mark.parametrize("label", ["web", "ed"])
def test_req_makes_requests_and_certificates(openssl: Run, label):
    openssl(f"req -new {ENGINE} -key {label} -subj /CN=request -out request.pem")
    openssl("req -in request.pem -noout -verify")
    openssl(f"req -x509 {ENGINE} -key {label} -subj /CN=self -days 30 -out self.pem")
    openssl("verify -CAfile self.pem -check_ss_sig self.pem")


def test_x509_ca_and_crl(openssl: Run, authority):
    openssl("x509 -req -in user.csr -CA ca.crt -CAkey ca -CAkeyform engine -engine hem -out user.crt")
    openssl("verify -CAfile ca.crt user.crt")
    ca = f"ca -batch -config ca.cnf {ENGINE} -keyfile pkcs11:object=ca -cert ca.crt"
    openssl(f"{ca} -in user.csr -out issued.crt")
    openssl("verify -CAfile ca.crt issued.crt")
    openssl(f"{ca} -revoke issued.crt")
    openssl(f"{ca} -gencrl -out list.crl")
    openssl("crl -in list.crl -CAfile ca.crt -noout")
    said = openssl("verify -crl_check -CRLfile list.crl -CAfile ca.crt issued.crt", check=False).stderr
    assert "certificate revoked" in said


def test_cms_and_smime_sign_large_files_by_signed_attributes(openssl: Run, signer, tmp_path):
    (tmp_path / "large").write_bytes(bytes(range(256)) * 2000)
    signer("keyUsage=digitalSignature", "extendedKeyUsage=emailProtection")
    for command in ("cms", "smime"):
        sign = f"{command} -sign -binary -nodetach -signer signer.crt {ENGINE} -inkey web"
        openssl(f"{sign} -in large -outform DER -out s")
        openssl(f"{command} -verify -binary -inform DER -in s -CAfile signer.crt -out content")
        assert (tmp_path / "content").read_bytes() == (tmp_path / "large").read_bytes()


def test_cms_without_attributes_is_refused_with_what_to_do(openssl: Run, signer, message):
    signer("keyUsage=digitalSignature")
    said = openssl(
        f"cms -sign -noattr -in message -signer signer.crt {ENGINE} -inkey web", check=False
    ).stderr
    assert "CMS with signed attributes" in said


def test_cms_decrypts_with_an_ec_key(openssl: Run, signer, message):
    signer("keyUsage=keyAgreement")
    openssl("cms -encrypt -aes256 -in message -outform DER -out sealed signer.crt")
    said = openssl(f"cms -decrypt -inform DER -in sealed -recip signer.crt {ENGINE} -inkey web").stdout
    assert "to be signed" in said


def test_ts_answers_time_stamp_queries(openssl: Run, authority, signer, message):
    signer("extendedKeyUsage=critical,timeStamping")
    (authority / "tsa.key").write_text(key_file("pkcs11:object=web"))
    openssl("ts -query -data message -sha256 -cert -out query")
    openssl("ts -reply -config ca.cnf -queryfile query -signer signer.crt -inkey tsa.key -out reply")
    assert "Verification: OK" in openssl("ts -verify -queryfile query -in reply -CAfile signer.crt").stdout


def test_ocsp_answers_with_an_engine_key_and_with_a_key_file(openssl: Run, authority):
    (authority / "ca.key").write_text(key_file("ca"))
    openssl("x509 -req -in user.csr -CA ca.crt -CAkey ca.key -set_serial 7 -out user.crt")
    (authority / "index.txt").write_text("V\t350101000000Z\t\t07\tunknown\t/CN=user\n")
    openssl("ocsp -issuer ca.crt -cert user.crt -no_nonce -reqout question")
    for key in ("ca.key", "org.openssl.engine:hem:pkcs11:object=ca"):
        openssl(
            f"ocsp -index index.txt -CA ca.crt -rsigner ca.crt -rkey {key} -reqin question -respout answer"
        )
        said = openssl("ocsp -respin answer -CAfile ca.crt -issuer ca.crt -cert user.crt").stdout
        assert "user.crt: good" in said


def test_a_configuration_file_loads_the_engine_for_every_command(openssl: Run):
    assert "Keys in an Encedo HEM" in openssl("engine -c hem").stdout


@pytest.mark.parametrize("name", ["web", "pkcs11:object=web;token=office%20%28EMULATOR%29", "KID"])
def test_a_key_has_three_kinds_of_names(openssl: Run, message, kids, name):
    name = kids["web"] if name == "KID" else name
    openssl(f"dgst {ENGINE} -sha256 -out signature -sign", name, message)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("twin", "'twin' is the private key of several objects"),
        ("nobody", "no private key 'nobody' on token 'office (EMULATOR)'"),
        ("agree", "the key was not made for this use"),
        ("pkcs11:objekt=web", "'objekt' is no attribute of a URI's path"),
        ("pkcs11:object=web?pin-value=wrong", "PIN not accepted"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_key_is_said(openssl: Run, message, name, words):
    said = openssl(f"dgst {ENGINE} -sha256 -out signature -sign", name, message, check=False).stderr
    assert words in said


def test_a_longer_message_is_refused_with_both_lengths(openssl: Run, message):
    message.write_bytes(bytes(2049))
    said = openssl(f"dgst {ENGINE} -sha256 -sign web -out signature message", check=False).stderr
    assert "2049 bytes; the device hashes by itself and signs messages of 1 to 2048 bytes" in said


def test_the_pin_is_asked_for_or_given_by_passin(openssl: Run, keyed, message):
    sign = f"dgst {ENGINE} -sha256 -sign web -out signature -passin"
    openssl(sign, f"file:{keyed.passphrase_file}", message, HEM_PASSPHRASE_FILE="")
    said = openssl(sign, "pass:wrong", message, check=False, HEM_PASSPHRASE_FILE="").stderr
    assert "PIN not accepted" in said


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("ed", "key type not supported: files can name EC keys only"),
        ("x", "key type not supported: files can name EC keys only"),
        ("nobody", "no such object: no private key 'nobody'"),
        ("pkcs11:%", "wrong key or certificate name: at character 8"),
    ],
)
def test_a_key_file_that_cannot_be_a_key_is_refused(openssl: Run, message, tmp_path, environment, key, words):
    (tmp_path / "key.pem").write_text(key_file(key))
    config = tmp_path / "openssl.cnf"
    config.write_text(config.read_text().replace("init = 1", "VERBOSE = EMPTY\ninit = 1"))
    assert words in openssl("dgst -sha256 -sign key.pem -out signature message", check=False).stderr


def test_a_key_file_is_no_key_without_the_engine(openssl: Run, message, tmp_path):
    (tmp_path / "key.pem").write_text(key_file("web"))
    openssl("dgst -sha256 -sign key.pem -out signature message", check=False, OPENSSL_CONF="/dev/null")


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_settings_with_umlauts_work_in_every_locale(openssl: Run, keyed, message, tmp_path, locale):
    folder = tmp_path / "Schlüssel für Käthe"
    folder.mkdir()
    secret = folder / "Paßwort"
    secret.write_text(keyed.passphrase)
    secret.chmod(0o600)
    authority = folder / "Zertifikät.pem"
    authority.write_bytes(keyed.ca_file.read_bytes())
    settings = {"HEM_CA_FILE": str(authority), "HEM_PASSPHRASE_FILE": str(secret), "LC_ALL": locale}
    openssl(f"dgst {ENGINE} -sha256 -sign web -out signature message", **settings)
