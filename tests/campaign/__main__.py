"""``make campaign``: all parts, or those that are named; ``--publish`` renews ``docs/reliability.md``.

Ends with status 1 when anything failed or a promise does not hold; what tells of it is kept in the folder
that is named.
"""

from __future__ import annotations

import argparse
import signal
import sys

from campaign.outcome import is_fuller, write_outcome
from campaign.parts import PARTS, run_part
from campaign.report import FOLDER, PAGE, draw, outcomes, page
from tools.options import more_than_zero, one_of


def main() -> int:
    """Run, print, publish."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what a part has started is ended by it
    problems = []
    for name in options.parts or PARTS:
        print(f"{name} …", flush=True)
        try:
            outcome = run_part(name, share=options.share, seed=options.seed)
        except KeyboardInterrupt:
            return 130
        for figure in outcome.figures:
            mark = {True: "kept", False: "BROKEN", None: ""}[figure.kept]
            print(f"  {figure.name}: {figure.value:g} {figure.unit}  {figure.promise}  {mark}".rstrip())
        problems += [f"{name}: {each}" for each in outcome.problems()]
        if options.publish and is_fuller(outcome, FOLDER):
            write_outcome(outcome, FOLDER)
        elif options.publish:
            print(f"  not published: {name} stands there by more effort than {options.share:g}")
    if options.publish:
        found = outcomes()
        draw(found)
        PAGE.write_text(page(found), encoding="utf-8")
    for each in problems:
        print(f"problem: {each}")
    return 1 if problems else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="campaign", description=__doc__)
    parser.add_argument("parts", nargs="*", type=one_of("part", PARTS), metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--share", type=more_than_zero, default=1.0, help="of the whole effort (1)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--publish", action="store_true", help="renew docs/reliability.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
