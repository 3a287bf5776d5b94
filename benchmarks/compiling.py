"""Compiling the C that stands beside the benchmarks."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

__all__ = ["compiled"]


def compiled(source: str, target: Path, *options: str) -> Path:
    """``target``, made from ``source`` of this folder; ``OSError`` with the compiler's words."""
    compiler = os.environ.get("CC", "cc").split()
    path = Path(__file__).with_name(source)
    command = [*compiler, "-O2", "-o", str(target), str(path), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(f"{source}: {done.stderr}")
    return target
