"""Puts atheris where the fuzzers look for it; says why not, where there is no wheel for this Python."""

from __future__ import annotations

import subprocess
import sys

from campaign.fuzzing.python_fuzzer import ATHERIS

__all__ = ["install"]


def install() -> int:
    """Status 1 where it cannot be had; nothing is done where it is there."""
    if ATHERIS.is_dir():
        return 0
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--only-binary=:all:",
               "--target", str(ATHERIS), "atheris>=3,<4"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(
            f"fuzz: no atheris for Python {sys.version.split()[0]}: {done.stderr.strip()[-300:]}",
            file=sys.stderr,
        )
    return 1 if done.returncode else 0


if __name__ == "__main__":
    sys.exit(install())
