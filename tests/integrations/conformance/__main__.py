"""Run the suite and write what it shows: the results, and the table in the docs."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from tests.integrations.conformance import table
from tests.integrations.conformance.hosts import CASES, TRIED
from tests.integrations.conformance.table import PAGE, RESULTS, as_results, page_with


class Failures:
    """Collects which cases fail."""

    def __init__(self) -> None:
        self.ran = 0
        self.cases: set[tuple[str, str, int]] = set()
        self.tried = {
            f"{kind.name}-{mode}-{point}".replace(" ", "_"): (kind.name, mode, point) for kind, mode, point in TRIED
        }

    def pytest_runtest_logreport(self, report: Any) -> None:
        case = self.tried.get(report.nodeid.partition("[")[2].removesuffix("]"))
        if case is None:
            return
        self.ran += report.when == "call"
        if report.failed:
            self.cases.add(case)


if __name__ == "__main__":
    found = Failures()
    table.is_written_now = True
    suite = "tests/integrations/conformance"
    pytest.main(
        [
            "-q",
            "-n",
            "0",
            "-p",
            "no:randomly",
            "--tb=short",
            "-W",
            "ignore::pytest.PytestAssertRewriteWarning",
            suite,
            *sys.argv[1:],
        ],
        plugins=[found],
    )
    if found.ran != len(TRIED):
        raise SystemExit(f"{found.ran} of {len(TRIED)} cases ran; nothing is written")
    results = as_results(CASES, found.cases)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page_with(results, PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"{len(TRIED) - len(found.cases)} of {len(TRIED)} cases hold")  # noqa: T201 - it says what it did
    raise SystemExit(bool(found.cases))
