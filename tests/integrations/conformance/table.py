"""The suite's results as a file, and the file as the table of docs/reference/integration-guarantees.md."""

from __future__ import annotations

import functools
import json
import platform
from collections.abc import Collection
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from tests.integrations.conformance.contract import POINTS, Host

ROOT: Final = Path(__file__).parents[3]
RESULTS: Final = ROOT / "docs" / "reference" / "integration-guarantees.json"
PAGE: Final = ROOT / "docs" / "reference" / "integration-guarantees.md"
START: Final = "<!-- table: written by `python -m tests.integrations.conformance` -->"
END: Final = "<!-- end of table -->"


is_written_now = False  # by `python -m tests.integrations.conformance`: then there is nothing to compare with yet


def result(kind: type[Host], mode: str, point: int) -> str:
    """What a passing check shows; why there is none, for a point that does not apply."""
    missing = kind.lacks(mode, point)
    if missing is not None:
        return f"-: {missing}"
    return "holds with a filter" if point == 12 and kind.needs_filter else "holds"


@functools.cache
def results() -> dict[str, Any]:
    """The file."""
    found: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return found


def recorded(kind: type[Host], mode: str, point: int) -> str | None:
    """What the file says of one case."""
    if is_written_now:
        return result(kind, mode, point)
    modes = results()["hosts"].get(kind.name, {}).get("modes", {})
    found: str | None = modes.get(mode, {}).get(str(point))
    return found


def as_results(cases: Collection[tuple[type[Host], str, int]], failed: Collection[tuple[str, str, int]]) -> dict[str, Any]:
    """What a run of the suite has shown."""
    hosts: dict[str, Any] = {}
    for kind, mode, point in cases:
        host = hosts.setdefault(kind.name, {"tested with": _tested(kind.package), "modes": {}})
        fails = (kind.name, mode, point) in failed
        host["modes"].setdefault(mode, {})[str(point)] = "FAILS" if fails else result(kind, mode, point)
    return {"schema_version": 1, "points": {str(number): name for number, name in POINTS.items()}, "hosts": hosts}


def _tested(package: str) -> str:
    return f"{package} {platform.python_version() if package == 'python' else version(package)}"


_MARKS: Final = {"holds": "yes", "holds with a filter": "filter", "FAILS": "**no**"}


def as_table(found: dict[str, Any]) -> str:
    """The table and the reasons below it."""
    lines = [
        f"| host | mode | {' | '.join(found['points'])} |",
        f"|---|---|{'---|' * len(found['points'])}",
    ]
    reasons: dict[str, str] = {}
    for name, host in found["hosts"].items():
        for mode, points in host["modes"].items():
            cells = []
            for one in points.values():
                if one.startswith("-: "):
                    one = reasons.setdefault(one[3:], chr(ord("a") + len(reasons)))  # noqa: PLW2901 - its letter
                cells.append(_MARKS.get(one, one))
            lines.append(f"| {name} | {mode} | {' | '.join(cells)} |")
    lines += ["", *[f"- {letter}: {reason}" for reason, letter in reasons.items()]]
    tested = ", ".join(host["tested with"] for host in found["hosts"].values())
    return "\n".join([*lines, "", f"Tested with {tested}."])


def page_with(found: dict[str, Any], page: str) -> str:
    """The page with a new table."""
    before, rest = page.split(START)
    return f"{before}{START}\n\n{as_table(found)}\n\n{END}{rest.split(END)[1]}"
