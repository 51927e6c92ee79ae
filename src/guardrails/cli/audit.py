"""`guardrails audit`: looking at audit logs."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from guardrails.cli import desk

app: typer.Typer = typer.Typer(name="audit", help="Look at audit logs.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """A group stays a group with one command in it."""


@app.command()
def verify(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The folder that was given to AuditLog.")],
    anchor: Annotated[Path | None, typer.Option(metavar="PATH", help="The folder of a DirectoryAnchor.")] = None,
    trust: Annotated[Path | None, typer.Option(metavar="FILE", help="Verifier keys that you trust, one a line.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The report as one JSON object.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """
    Verify an audit log: its chain, its records, and what is missing.

    Exit code 0: all verdicts hold. 1: something was changed, removed, inserted or contradicts itself.
    2: wrong usage, unreadable, or no audit stream at all. 3: intact, but a stream is still open, was cut short,
    or goes on after its newest checkpoint.
    """
    from guardrails.audit import verify_directory  # noqa: PLC0415 - `--help` does not need it

    report = verify_directory(directory, anchor=anchor, trust=trust)
    if as_json:
        typer.echo(json.dumps(asdict(report) | {"exit_code": report.exit_code, "integrity": report.integrity}, indent=2))
    else:
        for line in report.lines():
            typer.echo(line)
    raise typer.Exit(report.exit_code)


app.command()(desk.query)
app.command()(desk.tail)
app.command()(desk.stats)
