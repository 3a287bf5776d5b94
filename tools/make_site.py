"""Build the documentation site, from ``docs/`` by ``tools/site/mkdocs.yml``.

    python -m tools.make_site [--output build/site] [--archive FOLDER]
    python -m tools.make_site --versions FOLDER

Each version is a folder of its own, ``build/site/VERSION``, whole by itself. Beside these folders lie
``versions.json``, which the chooser on each page reads, and ``index.html``, which leads to the newest one.
``--archive`` packs the version's folder as a release brings it; whoever publishes unpacks it beside those of
other versions and has the two files made anew by ``--versions``.

Nothing is fetched, neither here nor by a page. A warning (a link that leads nowhere, a page that is not in
the navigation) is an error, and what was there before stays then.
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

os.environ["NO_MKDOCS_2_WARNING"] = "1"  # Material's word on its future, at each import

from mkdocs.commands.build import build as build_site
from mkdocs.config import load_config
from mkdocs.exceptions import MkDocsException
from packaging.version import InvalidVersion, Version

from hem_provider._version import __version__

__all__ = ["SiteError", "archive", "build", "main", "versions", "write_versions"]

ROOT = Path(__file__).parents[1]
CONFIGURATION = ROOT / "tools" / "site" / "mkdocs.yml"
_HOME = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>hem-provider</title>
<link rel="icon" href="{newest}/assets/key.svg">
<meta http-equiv="refresh" content="0; url={newest}/index.html">
<p><a href="{newest}/index.html">hem-provider {newest}</a></p>
</html>
"""


class SiteError(RuntimeError):
    """The site cannot be built; the text says why, a line a reason."""


class _Heard(logging.Handler):
    """What was warned of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


def build(folder: Path, *, version: str = __version__, configuration: Path = CONFIGURATION) -> Path:
    """Build the site of a version into ``folder/VERSION``, in place of what is there, and tell the chooser of
    it; where it is. Raises ``SiteError`` with every warning there is."""
    target = folder.resolve() / version
    folder.mkdir(parents=True, exist_ok=True)
    heard = _Heard()
    log = logging.getLogger("mkdocs")
    log.addHandler(heard)
    with tempfile.TemporaryDirectory(prefix=".site-", dir=folder) as place:
        made = Path(place) / version
        try:
            config = load_config(str(configuration), site_dir=str(made))
            config.copyright = f"{config.site_name} {version}, {config.copyright}"
            build_site(config)
        except MkDocsException as error:
            raise SiteError("\n".join([*heard.said, str(error)])) from error
        finally:
            log.removeHandler(heard)
        if heard.said:
            raise SiteError("\n".join(heard.said))
        _tidy(made)
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)
    write_versions(folder)
    return target


def _tidy(made: Path) -> None:
    """Without what no page uses: sources of Material's scripts, what searches in other languages, and a page
    for errors, which would have to know where on a server it lies."""
    for each in (*made.rglob("*.map"), *(made / "assets").rglob("lunr"), *made.glob("404.html")):
        shutil.rmtree(each) if each.is_dir() else each.unlink()


def versions(folder: Path) -> list[str]:
    """The versions whose sites lie there, the newest first."""

    def numbered() -> Iterator[tuple[Version, str]]:
        for each in folder.iterdir():
            try:
                number = Version(each.name)
            except InvalidVersion:
                continue
            if (each / "index.html").is_file():
                yield number, each.name

    return [name for _, name in sorted(numbered(), reverse=True)]


def write_versions(folder: Path) -> None:
    """Write what the chooser reads, in the form of the program ``mike``, which Material knows, and the page
    that leads to the newest version."""
    there = versions(folder)
    if not there:
        raise SiteError(f"{folder}: no version is there, such as {folder / __version__}")
    told = [
        {"version": each, "title": each, "aliases": ["latest"] if each == there[0] else []} for each in there
    ]
    (folder / "versions.json").write_text(json.dumps(told, indent=2) + "\n", "utf-8")
    (folder / "index.html").write_text(_HOME.format(newest=there[0]), "utf-8")


def archive(folder: Path, *, version: str = __version__, configuration: Path = CONFIGURATION) -> Path:
    """Build the site of a version and pack it into ``folder``; where it is. The moment in it is that of
    ``SOURCE_DATE_EPOCH``, and two builds of one commit are the same bytes."""
    target = folder / f"hem-provider-{version}-docs.tar.gz"
    moment = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    with tempfile.TemporaryDirectory(prefix="hem-site-") as place:
        built = build(Path(place), version=version, configuration=configuration)
        with (
            target.open("wb") as file,
            gzip.GzipFile("", "wb", fileobj=file, mtime=moment) as packed,
            tarfile.open(fileobj=packed, mode="w") as tar,
        ):
            for each in (built, *sorted(built.rglob("*"))):
                entry = tar.gettarinfo(each, arcname=str(each.relative_to(place)))
                entry.mtime, entry.mode = moment, 0o755 if each.is_dir() else 0o644
                entry.uid = entry.gid = 0
                entry.uname = entry.gname = "root"
                if each.is_file():
                    with each.open("rb") as content:
                        tar.addfile(entry, content)
                else:
                    tar.addfile(entry)
    return target


def main(arguments: Sequence[str] | None = None) -> int:
    """Build it; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "site", metavar="FOLDER")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--archive", type=Path, metavar="FOLDER", help="pack it, and put the file there")
    only.add_argument(
        "--versions", type=Path, metavar="FOLDER", help="build nothing: tell of the versions that lie there"
    )
    options = parser.parse_args(arguments)
    try:
        if options.versions:
            write_versions(options.versions)
            print(f"{options.versions}: {', '.join(versions(options.versions))}")
        else:
            print(archive(options.archive) if options.archive else build(options.output))
    except SiteError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
