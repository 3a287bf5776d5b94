"""What people run: pkcs11-tool and python-pkcs11 over the emulator, checked with openssl."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from support.emulator import ServedEmulator

from hem_provider import connect

Tool = Callable[..., subprocess.CompletedProcess[str]]

KEYS = {
    "EC:prime256v1": ("11", "ECDSA-SHA256"),
    "EC:secp384r1": ("12", "ECDSA-SHA384"),
    "EC:edwards25519": ("13", "EDDSA"),
}


@pytest.fixture
def tool(library: Path, environment: dict[str, str], emulator: ServedEmulator) -> Tool:
    def run(*arguments: str, login: bool = True, check: bool = True) -> subprocess.CompletedProcess[str]:
        pin = ("--login", "--pin", emulator.passphrase) if login else ()
        done = subprocess.run(
            ["pkcs11-tool", "--module", str(library), *pin, *arguments],
            env=environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0 or not check, done.stderr + done.stdout
        return done

    return run


@pytest.fixture
def made(tool: Tool, emulator: ServedEmulator, tmp_path: Path) -> dict[str, Path]:
    """Key pairs made by pkcs11-tool (once), and their public keys as the device layer reads them."""
    with connect(emulator.https, passphrase=emulator.passphrase, ca_file=emulator.ca_file) as hem:
        known = {each.application_id for each in hem.keys}
        for curve, (identifier, _) in KEYS.items():
            if bytes.fromhex(identifier) not in known:
                tool("--keypairgen", "--key-type", curve, "--label", f"tool {curve}", "--id", identifier)
        hem.keys.refresh()
        files = {}
        for identifier, _ in KEYS.values():
            native = hem.keys.find(application_id=bytes.fromhex(identifier)).public_key()
            files[identifier] = tmp_path / f"{identifier}.pem"
            files[identifier].write_bytes(
                native.public_bytes(
                    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
                )
            )
        return files


def openssl_verifies(public: Path, data: Path, signature: Path, digest: str | None) -> bool:
    if digest is None:
        command = [
            "pkeyutl",
            "-verify",
            "-rawin",
            "-pubin",
            "-inkey",
            public,
            "-in",
            data,
            "-sigfile",
            signature,
        ]
    else:
        command = ["dgst", f"-{digest}", "-verify", public, "-signature", signature, data]
    return subprocess.run(["openssl", *map(str, command)], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(("identifier", "mechanism"), KEYS.values())
@pytest.mark.parametrize("size", [1, 1024, 1025, 2048])
def test_openssl_verifies_what_pkcs11_tool_signs(
    tool: Tool, made: dict[str, Path], tmp_path: Path, identifier: str, mechanism: str, size: int
) -> None:
    data, signature = tmp_path / "data", tmp_path / "signature"
    data.write_bytes(b"x" * size)
    form = ("--signature-format", "openssl") if mechanism != "EDDSA" else ()
    tool("--sign", "-m", mechanism, "--id", identifier, "-i", str(data), "-o", str(signature), *form)
    digest = {"ECDSA-SHA256": "sha256", "ECDSA-SHA384": "sha384"}.get(mechanism)
    assert openssl_verifies(made[identifier], data, signature, digest)
    data.write_bytes(b"y" * size)
    assert not openssl_verifies(made[identifier], data, signature, digest)


def test_pkcs11_tool_verifies_by_itself(tool: Tool, made: dict[str, Path], tmp_path: Path) -> None:
    data, signature = tmp_path / "data", tmp_path / "signature"
    data.write_bytes(b"text")
    for identifier, mechanism in KEYS.values():
        tool("--sign", "-m", mechanism, "--id", identifier, "-i", str(data), "-o", str(signature))
        verify = ("--verify", "-m", mechanism, "--id", identifier, "-i", str(data))
        assert "Signature is valid" in tool(*verify, "--signature-file", str(signature)).stdout


def test_without_a_mechanism_the_tool_takes_hashed_ecdsa(
    tool: Tool, made: dict[str, Path], tmp_path: Path
) -> None:
    data, signature = tmp_path / "data", tmp_path / "signature"
    data.write_bytes(b"text")
    arguments = ("--sign", "--id", "11", "-i", str(data), "-o", str(signature))
    assert "ECDSA-SHA256" in tool(*arguments, "--signature-format", "openssl").stderr
    assert openssl_verifies(made["11"], data, signature, "sha256")


def test_signing_without_any_cache_takes_six_calls_and_two_logins(
    tool: Tool, made: dict[str, Path], emulator: ServedEmulator, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.write_bytes(b"text")
    before = len(emulator.calls())
    tool("--sign", "-m", "ECDSA-SHA256", "--id", "11", "-i", str(data), "-o", str(tmp_path / "signature"))
    assert len(emulator.calls(before)) <= 6
    assert emulator.logins(before) <= 2


def test_listing_slots_costs_one_call_and_objects_two(
    tool: Tool, made: dict[str, Path], emulator: ServedEmulator
) -> None:
    before = len(emulator.calls())
    assert "demo (EMULATOR)" in tool("-L", login=False).stdout
    assert [each["path"] for each in emulator.calls(before)] == ["/api/auth/token"]
    before = len(emulator.calls())
    assert "tool EC:prime256v1" in tool("-O", login=False).stdout
    assert len(emulator.calls(before)) == 2
    assert emulator.logins(before) == 0


def test_listing_mechanisms_asks_for_the_token_only(tool: Tool, emulator: ServedEmulator) -> None:
    before = len(emulator.calls())
    said = tool("-M", login=False).stdout
    assert "ECDSA-SHA256, keySize={256,521}, hw, sign, verify" in said
    assert "ECDSA," not in said
    assert len(emulator.calls(before)) <= 1


def points(said: str) -> list[str]:
    """How the public points of a listing begin: OpenSC 0.27 writes "EC Point", older ones "EC_POINT"."""
    return re.findall(r"^ *EC[_ ]POINT: +([0-9a-f]+)", said, re.MULTILINE | re.IGNORECASE)


def test_objects_show_label_id_and_usage_after_login(tool: Tool, made: dict[str, Path]) -> None:
    said = tool("-O").stdout
    assert said.count("Private Key Object") >= 3
    assert "tool EC:edwards25519" in said
    assert "sensitive, always sensitive, never extractable, local" in said
    assert any(each.startswith("0420") for each in points(said))


def test_public_halves_of_many_pairs_take_one_login_for_one_key_and_one_for_all_others(
    tool: Tool,
    made: dict[str, Path],
    environment: dict[str, str],
    emulator: ServedEmulator,
    tmp_path: Path,
) -> None:
    environment["XDG_CACHE_HOME"] = str(tmp_path / "empty")
    before = len(emulator.calls())
    said = tool("-O").stdout
    assert len(points(said)) >= 3
    asked = {each["path"] for each in emulator.calls(before) if "/keymgmt/get/" in each["path"]}
    assert len(asked) >= 3
    assert emulator.logins(before) <= 3  # one that the tool asks for, two more for the points


@pytest.mark.parametrize("size", [0, 2049])
def test_a_message_of_wrong_size_is_refused_in_words(
    tool: Tool, made: dict[str, Path], tmp_path: Path, size: int
) -> None:
    data = tmp_path / "data"
    data.write_bytes(b"x" * size)
    done = tool("--sign", "-m", "ECDSA-SHA256", "--id", "11", "-i", str(data), check=False)
    assert done.returncode != 0
    assert "CKR_DATA_LEN_RANGE" in done.stderr
    assert "the device takes" in done.stderr


def test_a_wrong_passphrase_is_an_incorrect_pin(tool: Tool) -> None:
    done = tool("--login", "--pin", "wrong", "-O", login=False, check=False)
    assert "CKR_PIN_INCORRECT" in done.stderr


def test_an_unknown_key_is_not_found(tool: Tool, tmp_path: Path) -> None:
    done = tool("--sign", "-m", "ECDSA-SHA256", "--id", "ff", "-i", __file__, check=False)
    assert done.returncode != 0
    assert "not found" in done.stderr


def test_a_key_is_deleted(tool: Tool, emulator: ServedEmulator) -> None:
    tool("--keypairgen", "--key-type", "EC:secp521r1", "--label", "short-lived", "--id", "77")
    tool("--delete-object", "--type", "privkey", "--id", "77")
    assert "short-lived" not in tool("-O").stdout


def test_the_tools_own_tests_pass(tool: Tool, made: dict[str, Path]) -> None:
    assert "No errors" in tool("--test").stdout
    done = tool("--test-fork", "-O")
    assert "C_Initialize in forked child" in done.stdout + done.stderr
    assert "Private Key Object" in done.stdout


def test_the_tools_threads_are_served_side_by_side(tool: Tool, made: dict[str, Path]) -> None:
    """Each thread initialises, asks for information, slots and the token; so does the tool itself."""
    commands = ("IL:GI:SL:T0:GI:T0", "IN:SL:GI:T0:SL", "IL:SL:T0:T0")
    # The tool's own test outlasts the threads; it waits 30 s for any that is not done before itself.
    done = tool("--test", *(word for each in commands for word in ("--test-threads", each)))
    initialised = [line for line in done.stderr.splitlines() if "C_Initialize" in line and "CKR_" in line]
    told = [line.split()[-1].removeprefix("rv:") for line in initialised]
    assert sorted(told) == ["CKR_CRYPTOKI_ALREADY_INITIALIZED"] * 3 + ["CKR_OK"], done.stderr
    # 0.23 prints the number of a return value, 0.26 its name.
    ended = re.findall(r"^Test thread (\d) returning rv(?: = 0|:CKR_OK)$", done.stderr, re.MULTILINE)
    assert sorted(ended) == ["0", "1", "2"], done.stderr


def test_the_configured_passphrase_serves_hosts_that_give_no_pin(
    library: Path, environment: dict[str, str], emulator: ServedEmulator, made: dict[str, Path]
) -> None:
    done = subprocess.run(
        ["pkcs11-tool", "--module", str(library), "--login", "-O"],
        env=environment | {"HEM_PASSPHRASE_FILE": str(emulator.passphrase_file)},
        capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert "Private Key Object" in done.stdout, done.stderr


PYTHON_PKCS11 = """
import json, sys
import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.util.ec import encode_ec_public_key, encode_ecdsa_signature, encode_named_curve_parameters
library, pin = sys.argv[1:]
token = pkcs11.lib(library).get_token(token_label="demo (EMULATOR)")
with token.open(rw=True, user_pin=pin) as session:
    curve = encode_named_curve_parameters("secp256r1")
    parameters = session.create_domain_parameters(KeyType.EC, {Attribute.EC_PARAMS: curve}, local=True)
    public, private = parameters.generate_keypair(store=True, label="from python")
    signature = private.sign(b"data", mechanism=Mechanism.ECDSA_SHA256)
    result = {
        "verified": public.verify(b"data", signature, mechanism=Mechanism.ECDSA_SHA256),
        "refused": public.verify(b"date", signature, mechanism=Mechanism.ECDSA_SHA256),
        "public": encode_ec_public_key(public).hex(),
        "signature": encode_ecdsa_signature(signature).hex(),
        "found": len(list(session.get_objects({Attribute.LABEL: "from python"}))),
        "digest": session.digest(b"data", mechanism=Mechanism.SHA256).hex(),
        "random": len(session.generate_random(128)),
    }
    private.destroy()
    result["left"] = len(list(session.get_objects({Attribute.LABEL: "from python"})))
print(json.dumps(result))
"""


def test_python_pkcs11_makes_signs_verifies_and_destroys(
    library: Path, environment: dict[str, str], emulator: ServedEmulator
) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    done = subprocess.run(
        [sys.executable, "-c", PYTHON_PKCS11, str(library), emulator.passphrase],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    public = serialization.load_der_public_key(bytes.fromhex(result["public"]))
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(bytes.fromhex(result["signature"]), b"data", ec.ECDSA(hashes.SHA256()))
    assert result["verified"]
    assert not result["refused"]
    assert (result["found"], result["left"], result["random"]) == (2, 0, 16)
