"""
What `import guardrails` costs: fresh processes, against one that imports nothing. Milliseconds.

Byte code is compiled before the first round; the files are in the page cache after the warm-up. What is measured is what
a service pays at every start.
"""

from __future__ import annotations

import subprocess
import sys
import time

from measure import Subject, effort, headline, interleaved, judged, packages, row

BUDGET_MS, GOAL_MS = 50.0, 20.0
HEAVY = ("presidio_analyzer", "spacy", "pydantic", "limits", "structlog", "onnxruntime", "typer", "cryptography")


def _fresh(program: str) -> Subject:
    def measure() -> float:
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603 - our own one-liners
        return time.perf_counter() - begun

    return measure


def _loaded(program: str) -> list[str]:
    """Which heavy packages *program* pulls in."""
    tell = f"{program}; import sys; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", tell], check=True, capture_output=True, text=True)  # noqa: S603
    return ran.stdout.split()


def main(*, quick: bool = False) -> None:
    """Print the table."""
    work = effort(quick=quick)
    subjects = {
        "pass": _fresh("pass"),
        "import guardrails": _fresh("import guardrails"),
        "from guardrails import Guard": _fresh("from guardrails import Guard"),
        "from guardrails import Guard, AuditLog, ...": _fresh("from guardrails import Guard, AuditLog, MaskPII, RateLimit"),
    }
    found = interleaved(subjects, work.rounds)
    print(f"{packages('platform-guardrails')}; median of {work.rounds} interleaved rounds")
    headline("Import, fresh process: ms")
    bare = found["pass"]
    for name, timed in found.items():
        judge = name == "import guardrails"
        verdict = judged(timed.above(bare).median * 1e3, BUDGET_MS, GOAL_MS, "ms") if judge else ""
        row(name, timed, None if timed is bare else bare, verdict, unit=1e3)
    print(f"  loaded by `import guardrails`, of {', '.join(HEAVY)}: {', '.join(_loaded('import guardrails')) or 'none'}")


if __name__ == "__main__":
    main()
