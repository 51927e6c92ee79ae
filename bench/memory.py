"""
How much memory it takes to verify a log, by its size: one stream, written for this, verified by the command, then removed.

    python -m bench.memory 0.2 1 4          sizes in GB

What is shown is the most that the verifying process had in memory at any time (its maximum resident set).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.measure import packages
from bench.verification import new_signer, write

RECORD_BYTES = 625


def verified(folder: Path, *options: str) -> tuple[float, int]:
    """Megabytes at most, and records."""
    command = [sys.executable, "-m", "guardrails", "audit", "verify", str(folder / "log"), "--json", *options]
    with tempfile.TemporaryFile("w+b") as said:
        child = subprocess.Popen(command, stdout=said)  # noqa: S603 - ours
        _, status, usage = os.wait4(child.pid, 0)  # the child's own figures
        child.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        report = json.loads(said.read())
    assert child.returncode == report["exit_code"] == 0, report
    kilobytes = usage.ru_maxrss / (1_024 if sys.platform == "darwin" else 1)
    return kilobytes / 1_024, sum(one["records"] for one in report["streams"])


def measure(gigabytes: float) -> None:
    """One size."""
    with tempfile.TemporaryDirectory(prefix="guardrails-bench-") as home:
        folder = Path(home)
        write(folder, new_signer(folder), int(gigabytes * 1e9 / RECORD_BYTES))
        size = sum(path.stat().st_size for path in (folder / "log").iterdir())
        plain, records = verified(folder)
        anchored, _ = verified(folder, "--anchor", str(folder / "anchor"), "--trust", str(folder / "trust"))
    print(
        f"  {size / 1e9:6.2f} GB   {records:>12,} records   {plain:7.1f} MB   {anchored:7.1f} MB with an anchor", flush=True
    )


def main() -> None:
    """Print the table."""
    print(packages("platform-guardrails"))
    print("Memory of `guardrails audit verify` at its most, one stream")
    for size in sys.argv[1:] or ["0.2", "1", "4"]:
        measure(float(size))


if __name__ == "__main__":
    main()
