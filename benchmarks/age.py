"""Files of 1 GiB through ``hem encrypt`` and ``hem decrypt``, beside ``age`` itself.

What is timed is processor time, of user and system, of whole processes whose output goes nowhere: what
disks and other programs do is not among it.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.laboratory import Laboratory, watch
from hem_provider.measuring.figures import Figure, figures_of
from hem_provider.measuring.measure import Case, Result

__all__ = ["AGE", "GROUP", "HEM", "SIZE", "measure_age"]

GROUP = "age"
#: The layers; the former is what the latter is compared with.
AGE, HEM = "age", "hem"
#: Bytes of the file.
SIZE = 1024**3


def measure_age(folder: Path, rounds: int, size: int = SIZE) -> list[Figure]:
    """Encrypting and decrypting, each by both. ``OSError`` where ``age`` is missing, or one of them fails."""
    with Laboratory(folder) as lab:
        with lab.connect() as hem:
            hem.keys.create("CURVE25519", label="box")
        environment = lab.environment(folder / "cache") | {
            "HEM_PASSPHRASE_FILE": str(lab.emulator.passphrase_file)
        }

        def run(command: Sequence[str | Path], output: Path = Path("/dev/null")) -> str:
            with output.open("wb") as stream:
                done = subprocess.run(
                    [*map(str, command)], env=environment, stdin=subprocess.DEVNULL, stdout=stream,
                    stderr=subprocess.PIPE, text=True, timeout=600, check=False,
                )  # fmt: skip
            if done.returncode != 0:
                raise OSError(f"{' '.join(map(str, command))}: exit status {done.returncode}\n{done.stderr}")
            return done.stderr

        ours: list[str | Path] = [sys.executable, "-m", "hem_provider.cli.main"]
        clear, identity, recipient = folder / "clear", folder / "identity", folder / "recipient"
        with clear.open("wb") as file:
            file.truncate(size)
        run(["age-keygen"], identity)
        run(["age-keygen", "-y", identity], recipient)
        run([*ours, "encrypt", "box", "--print-recipients"], folder / "box")
        files = {AGE: folder / "for-age", HEM: folder / "for-hem"}
        run(["age", "-R", recipient, clear], files[AGE])
        run([*ours, "encrypt", "box", clear], files[HEM])
        name = f"{size // 1024**2} MiB"
        cases = [
            Case(f"encrypt {name}", AGE, lambda: run(["age", "-R", recipient, clear])),
            Case(f"encrypt {name}", HEM, lambda: run([*ours, "encrypt", "box", clear])),
            Case(f"decrypt {name}", AGE, lambda: run(["age", "--decrypt", "-i", identity, files[AGE]])),
            Case(f"decrypt {name}", HEM, lambda: run([*ours, "decrypt", files[HEM]])),
        ]
        results = [Result(each) for each in cases]
        for _ in watch(GROUP)(range(rounds), rounds):
            for result in results:
                calls, logins = lab.count()
                before = _processor_time()
                result.case.run()
                result.seconds.append(_processor_time() - before)
                after = lab.count()
                result.calls, result.logins = after[0] - calls, after[1] - logins
    return figures_of(GROUP, results, floor=AGE)


def _processor_time() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
