"""A report about a log: asked, drawn and written."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from guardrails import __version__
from guardrails.audit.report import Report
from guardrails.errors import ConfigError
from guardrails.reports.charts import Spec, with_rules
from guardrails.reports.figures import FIGURES, POLICIES, SUMMARY, VOLUME, Answered, Frame, answered, frame_of
from guardrails.reports.page import page
from guardrails.reports.query import moment
from guardrails.reports.tables import Tables

_DIGEST_CHARACTERS = 8


def report_lines(
    tables: Tables, report: Report, *, since: str | None = None, until: str | None = None, name: str | None = None
) -> Iterator[str]:
    """
    The lines of a report in HTML.

    Args:
        tables: Of the log.
        report: What verification said about the same folder.
        since: From this moment on.
        until: Before this moment.
        name: What to call the log; None: the name of its folder.

    Raises:
        ConfigError: The extra is missing, a time is none, or there is no record in that time.
    """
    frame = frame_of(tables, moment("since", since), moment("until", until))
    if frame is None:
        raise ConfigError("there is no record in that time: nothing to report")
    (row,) = answered(tables, SUMMARY, frame).rows
    figures = [(one, _plot(one, frame)) for one in (answered(tables, figure, frame) for figure in FIGURES)]
    volume = answered(tables, VOLUME, frame)
    drawn = _plot(volume, frame)
    if drawn is not None:
        drawn = with_rules(drawn, _policies(tables, frame), x="ts", label="policy", unit=frame.unit)
    folder = tables.folder.resolve().name
    return page(
        log=folder if name is None else name,
        command=f"guardrails audit query {shlex.quote(folder)}",
        report=report,
        frame=frame,
        summary=dict(row),
        figures=[(volume, drawn), *figures],
        made=datetime.now(UTC),
        version=__version__,
    )


def write_report(path: str | os.PathLike[str], lines: Iterator[str]) -> None:
    """
    Write a report to a file that only its owner can read; it is there whole or not at all.

    Raises:
        OSError: It cannot be written.
    """
    target = Path(path)
    descriptor, name = tempfile.mkstemp(prefix=".report-", dir=target.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{line}\n" for line in lines)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _plot(one: Answered, frame: Frame) -> Spec | None:
    plot = one.figure.plot
    return None if plot is None or not one.rows else plot(one.rows, frame)


def _policies(tables: Tables, frame: Frame) -> list[dict[str, object]]:
    """When policies came into force within the frame, the one that it began with left out."""
    rows = answered(tables, POLICIES, frame).rows
    return [{"ts": row["ts"], "policy": f"policy {_short(str(row['policy']))}"} for row in rows[1:]]


def _short(digest: str) -> str:
    return digest.rpartition(":")[2][:_DIGEST_CHARACTERS]
