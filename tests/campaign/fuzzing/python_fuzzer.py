"""One Python target: ``python -m campaign.fuzzing.python_fuzzer TARGET [libFuzzer's arguments]``.

Needs atheris, of which ``ATHERIS`` says where ``make fuzz`` puts it. Files in place of a folder are run
once, as by libFuzzer's programs; for that atheris need not be there.
"""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

from campaign.fuzzing.targets import TARGETS, ready

__all__ = ["ATHERIS", "main"]

ROOT = Path(__file__).parents[3]
#: Wheels of it exist for few versions of Python, and have 30 MB: it is no part of the "dev" extra.
ATHERIS = ROOT / "build" / "fuzz" / f"atheris-{sys.implementation.cache_tag}-{sysconfig.get_platform()}"


def main(arguments: list[str]) -> int:
    """Run until libFuzzer ends the process, or over files."""
    target = TARGETS[arguments[0]]
    files = [each for each in arguments[1:] if not each.startswith("-") and Path(each).is_file()]
    if files:
        run = ready(target)
        for each in files:
            run(Path(each).read_bytes())
            print(f"Executed {each}", file=sys.stderr)
        return 0
    sys.path.append(str(ATHERIS))
    import atheris

    with atheris.instrument_imports(include=["hem_provider", "hem_pkcs11"]):
        run = ready(target)
    atheris.Setup([sys.argv[0], *arguments[1:]], run)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
