"""`guardrails doctor`: what is wrong with this installation, this machine, these guards, and what to do."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from guardrails.cli.usage import UsageError, one_line_errors


def doctor(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[TARGET]",
            help="A policy file, module:guard, or a module that makes guards. Without it: the installation.",
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="Processes that run side by side; else the number of processors.")
    ] = None,
    deadline: Annotated[float, typer.Option(metavar="SECONDS", help="A guard that takes longer to open is late.")] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """
    Check the installation, the machine, and a guard end to end; for each problem, what to do.

    A guard is opened, tried with canaries through its own sends, with the sends replaced so that nothing is sent, and closed.
    Exit code 0: nothing fails (warnings are for you to judge). 1: something fails. 2: wrong usage.
    """
    from guardrails.proof.doctor import diagnose  # noqa: PLC0415 - `--help` does not need it

    with one_line_errors():
        if deadline <= 0:
            raise UsageError("--deadline is a number of seconds above 0")
    found = diagnose(target, workers=workers, deadline_seconds=deadline)
    if as_json:
        typer.echo(json.dumps(found.as_dict(), indent=2))
    else:
        for line in found.lines():
            typer.echo(line)
    raise typer.Exit(found.exit_code)
