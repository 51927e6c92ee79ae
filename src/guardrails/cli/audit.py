"""`guardrails audit`: looking at audit logs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from guardrails.cli import desk, evidence, reporting
from guardrails.cli.log import Where, opened
from guardrails.cli.usage import one_line_errors

app: typer.Typer = typer.Typer(name="audit", help="Look at audit logs.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """A group stays a group with one command in it."""


@app.command()
def verify(
    where: Where,
    anchor: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE", help="Where checkpoints are kept: a folder, a file of syslog lines, or the URL of a witness."
        ),
    ] = None,
    trust: Annotated[Path | None, typer.Option(metavar="FILE", help="Verifier keys that you trust, one a line.")] = None,
    retain_days: Annotated[
        int | None, typer.Option(metavar="DAYS", help="How long streams must have been kept before they may expire.")
    ] = None,
    jobs: Annotated[int, typer.Option(metavar="N", help="Processes that read streams side by side.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="The report as one JSON object.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """
    Verify an audit log: its chain, its records, and what is missing.

    Exit code 0: all verdicts hold. 1: something was changed, removed, inserted or contradicts itself.
    2: wrong usage, unreadable, or no audit stream at all. 3: intact, but a stream is still open, was cut short,
    or goes on after its newest checkpoint.
    """
    from guardrails.audit import verify_directory  # noqa: PLC0415 - `--help` does not need it

    with one_line_errors(), opened(where, may_be_empty=True) as log:
        report = verify_directory(log.folder, anchor=anchor, trust=trust, retain_days=retain_days, jobs=jobs)
    report = replace(report, folder=str(where))
    if as_json:
        typer.echo(json.dumps(report.as_dict(), indent=2))
    else:
        for line in report.lines():
            typer.echo(line)
    raise typer.Exit(report.exit_code)


app.command()(evidence.prove)
app.command()(evidence.check_proof)
app.command("hash")(evidence.digests)
app.command()(evidence.schema)
app.command()(desk.query)
app.command()(desk.tail)
app.command()(desk.stats)
app.command()(reporting.report)
app.command()(reporting.export)
app.command()(reporting.reconcile)
