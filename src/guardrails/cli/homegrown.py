"""`guardrails homegrown`: what a team maintains by hand, and the platform already does."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from guardrails.cli.output import one_line
from guardrails.cli.usage import UsageError, one_line_errors


def homegrown(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A folder of Python code, or one file.")],
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="Leave out paths such as 'migrations/*'.")
    ] = None,
    tests: Annotated[bool, typer.Option("--tests", help="Look into tests too.")] = False,  # noqa: FBT002 - a flag
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """
    Find hand-written masking, limiting and send logging: lines, age from git, and what the platform has for it.

    Reads the code and runs none of it. Signs, not proofs: each finding says what gave it away. Needs the extra `scan`.
    Exit code 0: done, whatever was found. 2: wrong usage.
    """
    from guardrails.errors import ConfigError  # noqa: PLC0415 - `--help` does not need it

    with one_line_errors():
        try:
            from guardrails.proof.homegrown import find_homegrown, totals  # noqa: PLC0415
            from guardrails.proof.reading import read_project  # noqa: PLC0415

            project = read_project(path, tests=tests, exclude=exclude or ())
            found = find_homegrown(project)
        except ConfigError as error:
            raise UsageError(str(error)) from None
    lines = totals(found)
    if as_json:
        listed = [{**asdict(one), "equivalent": one.equivalent} for one in found]
        unreadable = [{"file": file, "why": why} for file, why in project.unreadable]
        typer.echo(json.dumps({"lines": lines, "found": listed, "unreadable": unreadable}, indent=2, default=str))
        return
    for one in found:
        age = (
            ""
            if one.written is None or one.changed is None
            else f", since {one.written:%Y-%m}, changed {one.changed:%Y-%m}"
        )
        typer.echo(f"{one_line(one.file)}:{one.line}: {one.kind}: {one.function} ({one.lines} lines{age}): {one.sign}")
    for kind, count in lines.items():
        if count:
            equivalent = next(one.equivalent for one in found if one.kind == kind)
            typer.echo(f"{count} lines of {kind} -> {equivalent}")
    for file, why in project.unreadable:
        typer.echo(f"{one_line(file)}: could not be read ({why})")
    typer.echo(f"{len(found)} findings")
