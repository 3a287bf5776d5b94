"""``make fuzz``: every target for a share of ``--seconds``; ``--repeat TARGET FILE``: one input again.

``--renew``: minimise what this run reached and the corpora into ``tests/campaign/corpora``. Status 1:
a target found something.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from campaign.fuzzing.build import HARNESSES, build_harness, fuzzing_compiler
from campaign.fuzzing.running import (
    BUILD,
    CORPORA,
    NAMES,
    Ran,
    command_of,
    merge,
    repeat_command,
    run_all,
    seed_folder,
)
from tools.options import more_than_zero, one_of

#: Of a corpus in the repository: files, bytes.
_FILES, _MOST = 32, 4 * 1024


def main() -> int:
    """Run, tell, keep."""
    options = _options()
    if options.repeat:
        return _repeat(*options.repeat)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended by it
    BUILD.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=BUILD))
    try:
        ran = run_all(options.seconds, folder, options.targets or NAMES, seed=options.seed, tell=_tell)
        print(f"{sum(each.executions for each in ran)} executions")
        if options.renew:
            _renew(ran)
    except KeyboardInterrupt:
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if any(each.crashes for each in ran) else 0


def _tell(ran: Ran) -> None:
    """As soon as it has ended, so that what was found is kept whatever happens to the rest."""
    reached = f", {ran.coverage[-1][1]:.0f} edges" if ran.coverage else ""
    print(
        f"  {ran.name}: {ran.skipped or f'{ran.executions} executions in {ran.seconds:.0f} s{reached}'}",
        flush=True,
    )
    for path, what in ran.crashes:
        kept = BUILD / "found" / ran.name / path.name
        kept.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            shutil.copy(path, kept)
        print(f"problem: {ran.name}: {what}\n  {repeat_command(ran.name, kept)}", flush=True)


def _renew(ran: list[Ran]) -> None:
    for each in ran:
        if each.corpus is None or each.crashes:
            continue
        kept = merge(
            each.name, [seed_folder(each.name, each.corpus.parent), each.corpus], files=_FILES, most=_MOST
        )
        place = CORPORA / each.name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for text in kept:
            (place / hashlib.sha256(text).hexdigest()[:16]).write_bytes(text)


def _repeat(name: str, file: str) -> int:
    path = Path(file).resolve()
    compiler = fuzzing_compiler()
    if name in HARNESSES:
        if compiler is None:
            print("no clang with libFuzzer", file=sys.stderr)
            return 2
        build_harness(name, BUILD, compiler=compiler, way="fuzz")
    with tempfile.TemporaryDirectory() as temporary:
        command, environment = command_of(name, Path(temporary))
        return subprocess.run([*command, str(path)], env=environment, check=False).returncode


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument(
        "targets", nargs="*", type=one_of("target", NAMES), metavar="TARGET", help=", ".join(NAMES)
    )
    parser.add_argument(
        "--seconds", type=more_than_zero, default=900.0, help="for all of them together (900)"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--renew", action="store_true", help="renew the corpora in the repository")
    parser.add_argument("--repeat", nargs=2, metavar=("TARGET", "FILE"))
    options = parser.parse_args()
    if options.repeat:
        name, file = options.repeat
        if name not in NAMES:
            parser.error(f"no target {name}; there are: {', '.join(NAMES)}")
        if not Path(file).is_file():
            parser.error(f"there is no file {file}")
    return options


if __name__ == "__main__":
    sys.exit(main())
