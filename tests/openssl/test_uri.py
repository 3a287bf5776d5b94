"""Names of keys (RFC 7512 and ours) as the engine parses them, in C, under AddressSanitizer."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hem_provider.device.keyuri import parse_uri

HERE = Path(__file__).parent
ENGINE = HERE.parents[1] / "shim" / "openssl"
PATH = (
    "token", "manufacturer", "model", "serial", "slot-description", "slot-manufacturer",
    "library-description", "library-manufacturer", "library-version", "object", "id",
)  # fmt: skip
QUERY = ("pin-value", "module-name", "module-path")
UNESCAPED = set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:[]@!$'()*+,=/")
URI, KID, LABEL = range(3)


class Parser:
    """The C parser in a process of its own, which the sanitizer ends at the first mistake."""

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen(
            [program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="latin-1",
        )

    def answer(self, text: bytes) -> str:
        self._process.stdin.write(text.hex() + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, self._process.stderr.read()
        return line.rstrip("\n")

    def parse(self, text: bytes) -> tuple[int, dict[str, bytes]]:
        words = self.answer(text).split()
        assert words[0] == "kind", words
        pairs = (word.split("=", 1) for word in words[2:])
        return int(words[1]), {name: bytes.fromhex(value) for name, value in pairs}

    def problem(self, text: bytes) -> str:
        answer = self.answer(text)
        assert answer.startswith("problem "), answer
        return answer.removeprefix("problem ")

    def close(self) -> None:
        self._process.stdin.close()
        assert self._process.wait(10) == 0, self._process.stderr.read()
        self._process.stdout.close()
        self._process.stderr.close()


@pytest.fixture(scope="module")
def parser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parser]:
    program = tmp_path_factory.mktemp("uri") / "harness"
    subprocess.run(
        ["gcc", "-std=gnu11", "-g", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined",
         "-fno-sanitize-recover=all", f"-I{ENGINE}", HERE / "uri_harness.c", ENGINE / "uri.c",
         "-o", program],
        check=True,
    )  # fmt: skip
    parser = Parser(program)
    yield parser
    parser.close()


def escaped(value: bytes, every: bool) -> bytes:
    return b"".join(bytes([byte]) if byte in UNESCAPED and not every else b"%%%02x" % byte for byte in value)


values = st.binary(max_size=40).map(lambda value: value.replace(b"\0", b"\1"))


@given(
    path=st.dictionaries(st.sampled_from(PATH), values),
    query=st.dictionaries(st.sampled_from(QUERY), values),
    every=st.booleans(),
)
def test_what_is_written_into_a_uri_is_read_from_it(parser, path, query, every):
    pairs = [f"{name}=".encode() + escaped(value, every) for name, value in path.items()]
    questions = [f"{name}=".encode() + escaped(value, every) for name, value in query.items()]
    text = b"pkcs11:" + b";".join(pairs) + (b"?" + b"&".join(questions) if questions else b"")
    assert parser.parse(text) == (URI, path | query)


@given(st.binary(max_size=300).map(lambda text: text.replace(b"\0", b"")))
def test_no_text_makes_the_parser_stumble(parser, text):
    assert parser.answer(text)
    assert parser.answer(b"pkcs11:" + text)


def test_an_id_may_hold_any_byte(parser):
    assert parser.parse(b"pkcs11:id=%00%ff%0A") == (URI, {"id": b"\x00\xff\x0a"})


def test_the_scheme_is_read_in_any_case(parser):
    assert parser.parse(b"PKCS11:object=x") == (URI, {"object": b"x"})


def test_32_hexadecimal_digits_are_a_kid(parser):
    kid = b"00112233445566778899aAbBcCdDeEfF"
    assert parser.parse(kid) == (KID, {"object": kid})


@pytest.mark.parametrize(
    "text", [b"web", b"00112233445566778899aabbccddeef", b"g" * 32, b"%41 & more", b"pkcs1:"]
)
def test_anything_else_is_a_label_as_it_stands(parser, text):
    assert parser.parse(text) == (LABEL, {"object": text})


def test_what_a_query_says_beyond_our_knowledge_is_ignored(parser):
    assert parser.parse(b"pkcs11:object=a?x-vendor=%zz") == (URI, {"object": b"a"})


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (b"pkcs11:token=my token;object=a b", {"token": b"my token", "object": b"a b"}),
        ("pkcs11:object=Schlüssel".encode(), {"object": "Schlüssel".encode()}),
        (b"pkcs11:object=<a>\"b\"#^`{}|\\", {"object": b"<a>\"b\"#^`{}|\\"}),
        (b"pkcs11:object=a;pin-value=1 2", {"object": b"a", "pin-value": b"1 2"}),
        (b"pkcs11:object=a;pin-source=/x;", {"object": b"a", "pin-source": b"/x"}),
        (b"pkcs11:?object=a&pin-value=1;type=cert", {"object": b"a", "pin-value": b"1", "type": b"cert"}),
        (b"pkcs11:object=a;object-type=private;", {"object": b"a", "type": b"private"}),
        (b"pkcs11:object=a&b", {"object": b"a&b"}),
        (b"slot_3", {"slot-id": b"3"}),
        (b"slot_3-id_01aB", {"slot-id": b"3", "id": b"\x01\xab"}),
        (b"slot_12-label_my key", {"slot-id": b"12", "object": b"my key"}),
        (b"id_0102", {"id": b"\1\2"}),
        (b"id_010", {"id": b"\1\0"}),
        (b"label_web", {"object": b"web"}),
        (b"0:ff", {"slot-id": b"0", "id": b"\xff"}),
    ],
)  # fmt: skip
def test_what_the_engine_of_libp11_accepts_is_accepted(parser, text, parts):
    assert parser.parse(text) == (URI, parts)


@pytest.mark.parametrize(
    "text", [b"slot_", b"slot_x", b"slot_1-", b"slot_1-web", b"id_", b"id_g", b"label_", b"1:g"]
)
def test_what_only_begins_like_an_old_name_is_a_label(parser, text):
    assert parser.parse(text) == (LABEL, {"object": text})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "it is empty"),
        (b"pkcs11:" + b"a" * 4096, "longer than 4096 bytes"),
        (b"pkcs11:objekt=a", "'objekt' is no attribute of a URI's path"),
        (b"pkcs11:object", "at character 8, name=value is wanted"),
        (b"pkcs11:object=a;;", "at character 17, name=value is wanted"),
        (b"pkcs11:;", "at character 8, name=value is wanted"),
        (b"pkcs11:object=a;object=b", "'object' is given twice"),
        (b"pkcs11:object=a%4", "of 'object' has .* at character 16"),
        (b"pkcs11:id=%g0", "of 'id' has .* at character 11"),
        (b"pkcs11:id=%\x100", "of 'id' has .* at character 11"),
        (b"pkcs11:object=a%00", "'object' has a NUL"),
        (b"pkcs11:type=key", "'type' must be public, private, cert, secret-key or data"),
        (b"pkcs11:slot-id=0x1", "'slot-id' must be a decimal number"),
        (b"pkcs11:slot-id=", "'slot-id' must be a decimal number"),
        (b"pkcs11:pin-value=1?pin-value=1", "'pin-value' is given twice"),
        (b"pkcs11:type=cert;object-type=cert", "'object-type' is given twice"),
        (b"pkcs11:?pin-value=1&pin-source=/x", "'pin-value' and 'pin-source' cannot both be given"),
    ],
)  # fmt: skip
def test_a_wrong_name_is_refused_with_attribute_and_place(parser, text, problem):
    assert re.search(problem, parser.problem(text))


@pytest.mark.parametrize(
    "text",
    [
        b"pkcs11:?pin-value=hidden%4",
        b"pkcs11:pin-value=hidden;colour=hidden",
        b"pkcs11:?pin-value=hidden%00",
        b"pkcs11:?pin-value=hidden&pin-value=hidden",
        b"pkcs11:?pin-value=hidden&pin-source=/hidden",
        b"pkcs11:pin-value=hidden%4",
    ],
)
def test_no_problem_shows_the_pin(parser, text):
    assert "hidden" not in parser.problem(text)


PIECES = st.sampled_from(
    (
        "object", "id", "token", "serial", "type", "object-type", "label", "x-v", "module-path", "=", "=",
        ";", ";", "?", "&", "a", "b", " ", "%41", "%c3%b3", "%4", "private", "public", "cert",
    )
)  # fmt: skip


@given(st.lists(PIECES, max_size=12).map("".join))
def test_commands_read_what_the_engine_reads_and_refuse_what_it_refuses(parser, text):
    text = f"pkcs11:{text}"
    answer = parser.answer(text.encode())
    try:
        read = asdict(parse_uri(text))
    except ValueError:
        assert answer.startswith("problem "), (text, answer)
        return
    parts = parser.parse(text.encode())[1]
    parts.pop("module-path", None)
    given = {name: value for name, value in read.items() if value is not None}
    assert {
        name: value.encode() if isinstance(value, str) else value for name, value in given.items()
    } == parts
