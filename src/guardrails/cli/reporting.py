"""`guardrails audit report | export | reconcile`: what leaves the desk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from guardrails.cli.desk import Folder, Reviews, Since, Tables, Until, answering
from guardrails.cli.usage import UsageError

Anchor = Annotated[
    str | None,
    typer.Option(
        metavar="PLACE", help="Where checkpoints are kept: a folder, a file of syslog lines, or the URL of a witness."
    ),
]
Trust = Annotated[Path | None, typer.Option(metavar="FILE", help="Verifier keys that you trust, one a line.")]


def report(
    directory: Folder,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The HTML file to write.")],
    since: Since = None,
    until: Until = None,
    anchor: Anchor = None,
    trust: Trust = None,
    index: Tables = None,
    reviews: Reviews = None,
) -> None:
    """
    One HTML file with figures, verdicts and the query behind each figure; it needs no network and no script.

    Exit code as of `verify`: the file is written whatever it says.
    """
    from guardrails.audit import verify_directory  # noqa: PLC0415 - `--help` does not need it
    from guardrails.reports.report import report_lines, write_report  # noqa: PLC0415
    from guardrails.reports.reviews import record_review  # noqa: PLC0415
    from guardrails.reports.tables import Tables  # noqa: PLC0415

    with answering():
        verified = verify_directory(directory, anchor=anchor, trust=trust)
        if verified.problem is not None:
            raise UsageError(verified.problem)
        asked = {name: value for name, value in (("since", since), ("until", until)) if value is not None}
        record_review(directory, "report", asked, reviews)
        with Tables(directory, index) as tables:
            lines = report_lines(tables, verified, since=since, until=until)
            try:
                write_report(output, lines)
            except OSError as error:
                raise UsageError(f"the report cannot be written to {output.name} ({type(error).__name__})") from None
    typer.echo(f"{output}: {verified.intents:,} intents; {verified.lines()[-1]}")
    raise typer.Exit(verified.exit_code)
