"""The third-party pkcs11-provider for OpenSSL 3 over our module, where it is installed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.pages import run_page
from tools.test_nginx import handshakes_through_a_reload, nginx

from hem_provider.cli.openssl_files import provider_configuration, provider_key_file

PAGE = Path(__file__).parents[2] / "docs" / "recipes" / "openssl-provider.md"
#: Where the pages have it.
PLACE = "/usr/lib/x86_64-linux-gnu/ossl-modules/pkcs11.so"


def installed() -> Path | None:
    given = os.environ.get("HEM_TEST_PKCS11_PROVIDER")
    if given:
        return Path(given)
    places = ("lib*/ossl-modules/pkcs11.so", "lib*/*/ossl-modules/pkcs11.so")
    return next((found for place in places for found in Path("/usr").glob(place)), None)


PROVIDER = installed()  # before the tests' environment is emptied
pytestmark = pytest.mark.skipif(
    PROVIDER is None, reason="not run: pkcs11-provider is not installed (HEM_TEST_PKCS11_PROVIDER=pkcs11.so)"
)


def test_the_commands_of_the_page_work_as_printed(bare_environment, module, tmp_path):
    run_page(
        PAGE, environment=bare_environment, folder=tmp_path, newer=True, replacements={PLACE: str(PROVIDER)}
    )


@pytest.fixture
def with_provider(device_environment, module, tmp_path):
    (tmp_path / "web.key").write_text(provider_key_file("pkcs11:object=web;type=private"))
    (tmp_path / "openssl.cnf").write_text(provider_configuration(PROVIDER, module))
    return device_environment | {"OPENSSL_CONF": str(tmp_path / "openssl.cnf")}


def test_nginx_takes_a_key_file_through_a_reload(certificates, with_provider, tmp_path):
    with nginx(certificates, with_provider, tmp_path, f"{tmp_path}/web.key") as server:
        handshakes_through_a_reload(server, 60)


@pytest.mark.long
def test_five_hundred_handshakes_of_nginx_through_a_reload(certificates, with_provider, tmp_path):
    with nginx(certificates, with_provider, tmp_path, f"{tmp_path}/web.key") as server:
        handshakes_through_a_reload(server, 500)
