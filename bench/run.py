"""
Run the benchmarks: `make bench`, `make bench BENCH="--quick"`, `make bench BENCH="core guarded"`.

Every figure stands beside a baseline from the same run. A missed budget is printed, and is never an error: how fast a
machine is says nothing about whether the code is right.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import sys
from pathlib import Path

HERE = Path(__file__).parent
# In this order; one whose file is missing is left out. Imports first: fresh processes, before this one is warm.
ALL = ("imports", "core", "telemetry", "guarded", "ratelimit", "audit", "detection")


def main() -> int:
    """Run what was asked for; 1 when a benchmark broke (not when it was slow)."""
    # Benchmarks import their shared file as `measure` or as `bench.measure`; both are to work, from any folder.
    sys.path.append(str(HERE.parent))
    parser = argparse.ArgumentParser(description="Measure what a guard costs, against a baseline in the same run.")
    parser.add_argument("names", nargs="*", help=f"run only those whose name contains one of these ({', '.join(ALL)})")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: a first look, not a figure to quote")
    asked = parser.parse_args()
    there = [name for name in ALL if (HERE / f"{name}.py").is_file()]
    chosen = [name for name in there if not asked.names or any(one in name for one in asked.names)]
    if not chosen:
        parser.error(f"nothing is called {' or '.join(asked.names)}; there are {', '.join(there)}")
    broken = [name for name in chosen if not _run(name, quick=asked.quick)]
    if broken:
        print(f"\nbroken: {', '.join(broken)}", file=sys.stderr)
    return 1 if broken else 0


def _run(name: str, *, quick: bool) -> bool:
    print(f"\n== {name} ==", flush=True)
    try:
        run = importlib.import_module(name).main
        if "quick" in inspect.signature(run).parameters:
            run(quick=quick)
        else:
            run()
    except Exception as error:  # noqa: BLE001 - one broken benchmark must not hide the others
        print(f"{name} broke: {type(error).__name__}: {error}", file=sys.stderr)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
