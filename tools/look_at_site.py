"""Look at the documentation site as a reader does, in headless Chromium: ``make docs-look``.

    python -m tools.look_at_site [--site build/site] [--output build/look] [PAGE…]

Takes a picture of a page of each kind, at the width of a desktop and of a phone, light and dark, and looks
for what no reader should meet: lines in the browser's console, requests to anybody else, findings of axe-core
that are serious or critical, pages wider than a phone. Then it uses the site: search from a server and from
files, the chooser of versions, a copy button, and light and dark where the system has the other one. The
status is 1 where anything was found. Pictures are to be looked at by a person: nothing else here sees ugly.

Needs Debian's ``chromium`` and the group ``look`` of ``pyproject.toml``.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import http.server
import shutil
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from tools.make_site import ROOT, versions

__all__ = ["main"]

CHROMIUM = "/usr/bin/chromium"
#: One page of each kind.
KINDS = (
    "index", "start/index", "install", "owner", "use/index", "recipes/index", "recipes/nginx", "tools",
    "python", "pkcs11", "performance", "performance-figures", "reliability", "security", "configuration",
    "reference/index", "reference/commands/index", "reference/commands/keys", "reference/keys",
    "reference/rest", "schemas/index", "development/architecture", "development/device-api",
    "development/changing", "project/CHANGELOG", "project/index",
)  # fmt: skip
WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}
SCHEMES = ("light", "dark")
#: What axe-core looks at, which takes long: each width and each scheme once.
JUDGED = {("desktop", "dark"), ("phone", "light")}
#: Pages whose pictures are looked at where the reader's choice is not the system's.
PICTURES = ("owner", "performance", "development/architecture")
_TALLEST = 3000
_GRAVE = ("serious", "critical")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextlib.contextmanager
def _served(folder: Path) -> Iterator[str]:
    """Its address while it is served."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()


class _Look:
    def __init__(self, browser: Any, address: str, output: Path) -> None:
        self.browser, self.address, self.output = browser, address, output
        self.found: list[str] = []
        self.pictures = 0

    @contextlib.contextmanager
    def page(self, width: str, scheme: str, *, own: str = "") -> Iterator[Any]:
        """A page of a browser at that width on a system with that scheme, watched for lines and requests."""
        size = dict(zip(("width", "height"), WIDTHS[width], strict=True))
        context = self.browser.new_context(viewport=size, color_scheme=scheme, reduced_motion="reduce")
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        try:
            page = context.new_page()
            page.on("console", lambda line: self._line(page, line))
            page.on("pageerror", lambda error: self.find(f"{page.url}: {error}"))
            page.on("request", lambda request: self._request(page, request.url, own or self.address))
            yield page
        finally:
            context.close()

    def find(self, what: str) -> None:
        """Tell it, once."""
        if what not in self.found:
            self.found.append(what)
            print(what, flush=True)

    def _line(self, page: Any, line: Any) -> None:
        if line.type in ("error", "warning"):
            self.find(f"{page.url}: console: {line.text}")

    def _request(self, page: Any, url: str, own: str) -> None:
        if not url.startswith((own, "data:", "blob:")):
            self.find(f"{page.url}: asks {url}")

    def picture(self, page: Any, name: str) -> None:
        """Take one, of as much as a person looks at."""
        height = min(page.evaluate("document.documentElement.scrollHeight"), _TALLEST)
        width = page.viewport_size["width"]
        page.screenshot(
            path=self.output / f"{name.replace('/', '-')}.png",
            full_page=True, clip={"x": 0, "y": 0, "width": width, "height": height},
        )  # fmt: skip
        self.pictures += 1

    def kinds(self, version: str, kinds: Sequence[str]) -> None:
        """Pictures of a page of each kind, and what axe-core says of them."""
        axe = Axe()
        for width in WIDTHS:
            for scheme in SCHEMES:
                with self.page(width, scheme) as page:
                    for kind in kinds:
                        page.goto(f"{self.address}{version}/{kind}.html")
                        self.picture(page, f"{kind}.{width}.{scheme}")
                        if (width, scheme) not in JUDGED:
                            continue
                        for each in axe.run(page).response["violations"]:
                            if each["impact"] in _GRAVE:
                                nodes = "; ".join(
                                    " ".join(node["html"].split())[:90] for node in each["nodes"][:3]
                                )
                                self.find(
                                    f"{kind} ({width}, {scheme}): {each['impact']}: {each['id']}, "
                                    f"{len(each['nodes'])} times: {nodes}"
                                )

    def widths(self, version: str, pages: Sequence[str]) -> None:
        """No page is wider than a phone, and each is there without a line or a request."""
        with self.page("phone", "light") as page:
            for name in pages:
                page.goto(f"{self.address}{version}/{name}")
                wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
                if wide > 0:
                    self.find(f"{name}: {wide} pixels wider than a phone")

    def other_scheme(self, version: str) -> None:
        """Pictures where the reader has chosen another scheme than the system's."""
        for scheme, presses in zip(SCHEMES, (2, 1), strict=True):
            chosen = "slate" if scheme == "light" else "default"
            with self.page("desktop", scheme) as page:
                page.goto(f"{self.address}{version}/index.html")
                for _ in range(presses):
                    page.locator("[data-md-component=palette] label:visible").click()
                for kind in PICTURES:
                    page.goto(f"{self.address}{version}/{kind}.html")
                    if page.evaluate("document.body.dataset.mdColorScheme") != chosen:
                        self.find(f"{kind}: {chosen} was chosen, and it is not")
                    self.picture(page, f"{kind}.system-{scheme}.chosen-{chosen}")

    def search(self, address: str, how: str) -> None:
        """A word is found."""
        own = "file:" if address.startswith("file:") else self.address
        with self.page("desktop", "light", own=own) as page:
            page.goto(f"{address}/index.html")
            page.locator(".md-search__input").click()
            page.locator(".md-search__input").press_sequentially("prehashed", delay=20)
            try:
                page.locator(".md-search-result__item").first.wait_for(timeout=10000)
            except Exception as error:
                self.find(f"search {how}: {error}")
            self.picture(page, f"search.{how}")

    def chooser(self, newest: str, count: int) -> None:
        """The chooser has all versions."""
        with self.page("desktop", "light") as page:
            page.goto(f"{self.address}index.html")
            page.wait_for_url(f"**/{newest}/index.html")
            page.locator(".md-version__link").first.wait_for(state="attached", timeout=10000)
            there = page.locator(".md-version__link").count()
            if there != count:
                self.find(f"the chooser has {there} versions of {count}")
            page.locator(".md-version__current").focus()
            self.picture(page, "versions")

    def copying(self, version: str) -> None:
        """A copy button gives commands, without prompts and what they print."""
        with self.page("desktop", "light") as page:
            page.goto(f"{self.address}{version}/owner.html")
            block = page.locator(".language-console", has_text="hem keys create P-256").first
            block.hover()
            block.locator("[data-md-type=copy]").click()
            copied = page.evaluate("navigator.clipboard.readText()")
            if not copied.startswith("hem keys create P-256") or "KID" in copied or "$ " in copied:
                self.find(f"copied: {copied!r}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Look; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--site", type=Path, default=ROOT / "build" / "site", metavar="FOLDER")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "look", metavar="FOLDER")
    parser.add_argument("pages", nargs="*", help="take pictures of these alone, such as recipes/nginx")
    options = parser.parse_args(arguments)
    there = versions(options.site)
    newest = options.site.resolve() / there[0]
    shutil.rmtree(options.output, ignore_errors=True)
    options.output.mkdir(parents=True)
    pages = sorted(str(each.relative_to(newest)) for each in newest.rglob("*.html"))
    with _served(options.site) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        look = _Look(browser, address, options.output)
        look.kinds(there[0], options.pages or KINDS)
        look.widths(there[0], pages)
        look.other_scheme(there[0])
        look.search(f"{address}{there[0]}", "from-a-server")
        look.search(newest.as_uri(), "from-files")
        look.chooser(there[0], len(there))
        look.copying(there[0])
        browser.close()
    print(f"{len(look.found)} found; {look.pictures} pictures in {options.output}")
    return 1 if look.found else 0


if __name__ == "__main__":
    sys.exit(main())
