"""
Keep what a benchmark printed, and make the page of benchmarks of what was kept.

    python -m bench.record run query -- -m bench.query      run, print, and keep it in bench/results/query.json
    python -m bench.record keep soak FILE                   keep what was printed into a file earlier, today, on this machine
    python -m bench.record page                             write docs/explanation/benchmarks.md

A result says when, on what kind of machine (processors, architecture, system; no name and no path), how busy it was, and with
which versions. The page shows it as it was printed: nothing is chosen, rounded or left out.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parent.parent / "docs" / "explanation" / "benchmarks.md"
PACKAGES = (
    "platform-guardrails",
    "presidio-analyzer",
    "limits",
    "structlog",
    "cryptography",
    "onnxruntime",
    "redis",
    "duckdb",
)
# In the order of the page: title, target of make, what to know before reading.
SHOWN = {
    "core": (
        "A guarded call",
        "make bench",
        "The guard itself, against the bare function; records against structlog and raw writes.",
    ),
    "telemetry": ("Telemetry", "make bench BENCH=telemetry", "Metrics and spans, on top of a send, and by themselves."),
    "limits": ("Limits in memory", "make bench-limits", "Against one bare `limits` hit."),
    "stores": ("Limits in a store", "make bench-limits", "Against one PING of the same server."),
    "policy": (
        "Policy",
        "make bench-policy",
        "Reading a policy of 1,000 tenants, choosing controls by message, and changing it under load.",
    ),
    "pii": ("Detection and masking", "make bench-pii", "Against plain Presidio over the same registry, on unseen texts."),
    "audit": ("Audit log", "make bench-audit", "Writing, verifying, and a disk that stalls."),
    "memory": ("Verifying long logs", "make bench-memory", "How much memory it takes, by the size of the log."),
    "query": (
        "Questions to a log",
        "make bench-query",
        "A million records; column *processor* is what it takes when nobody else is at work.",
    ),
    "sends": (
        "Finding unguarded sends",
        "make bench-sends",
        "Projects from the package index, against a list that was checked by hand (`bench/sends.json`). No timing of interest.",
    ),
    "soak": (
        "An hour of faults",
        "make soak",
        "Refusals while a store, a sink, a disk or a process is lost: [the objective](would-you-know.md#the-service-objective).",
    ),
}
HEAD = """\
# Benchmarks

What was measured, when, and on what. This page is written by `python -m bench.record page` from the results of `make bench*`,
as they were printed. Every figure stands beside a baseline that was measured in the same run: ratios travel to other machines,
microseconds do not. No test depends on a time. A machine that was busy with other work says so: figures that are no ratios are
then several times too high, and budgets may read as missed.

How to measure on a machine of yours: [Measure what a guard costs](../how-to/measure-the-cost.md).
"""


def run(name: str, arguments: list[str]) -> None:
    """Run a benchmark and keep what it prints."""
    _check(name)
    busy = os.getloadavg()[0]
    ran = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)  # noqa: S603 - ours
    print(ran.stdout, end="")
    if ran.returncode:
        raise SystemExit(f"{name} broke, and is not kept:\n{ran.stderr}")
    keep(name, ran.stdout, busy)


def _check(name: str) -> None:
    if name not in SHOWN:
        raise SystemExit(f"one of {', '.join(SHOWN)}")


def keep(name: str, text: str, busy: float | None) -> None:
    """Keep what a benchmark printed; *busy* is the load when it began, if that is known."""
    _check(name)
    result = {
        "schema_version": 1,
        "name": name,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{os.cpu_count()} processors, {platform.machine()}, {platform.system()}",
        "load_before": None if busy is None else round(busy, 1),
        "python": platform.python_version(),
        "versions": _versions(),
        "text": text.strip("\n").rstrip(),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def page(folder: Path = RESULTS) -> str:
    """The page, from what was kept."""
    parts = [HEAD]
    for name, (title, target, text) in SHOWN.items():
        path = folder / f"{name}.json"
        if not path.exists():
            continue
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
        versions = ", ".join(f"{package} {number}" for package, number in found["versions"].items())
        load = found["load_before"]
        busy = "" if load is None else ", nothing else at work" if load < 1 else f", load {load:g} when it began"
        parts.append(
            f"## {title}\n\n{text}\n\n`{target}`, {found['date']}; {found['machine']}{busy}; Python {found['python']}, "
            f"{versions}.\n\n```text\n{found['text']}\n```\n"
        )
    return "\n".join(parts)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["run", name, "--", *arguments]:
            run(name, arguments)
        case ["keep", name, file]:
            keep(name, Path(file).read_text("utf-8"), None)
        case ["page"]:
            PAGE.write_text(page(), encoding="utf-8")
        case _:
            raise SystemExit(__doc__)
