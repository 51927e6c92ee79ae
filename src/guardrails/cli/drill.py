"""`guardrails drill`: how many seconds until somebody would know."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from guardrails.cli.usage import UsageError, one_line_errors


def drill(
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="A policy file, module:guard, or a module that makes guards.")
    ],
    every: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="How often canaries come; else what the guard says, else 60.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """
    Break each control in a rehearsal, and print the seconds until its canary raises the alarm. Nothing is sent.

    Each control is made to let everything pass, to be unable to decide, and to crash, one fault at a time.
    Exit code 0: every fault is found. 1: one is not, or a control fails as it is. 2: wrong usage.
    """
    from guardrails.errors import ConfigError  # noqa: PLC0415 - `--help` does not need it
    from guardrails.proof.drill import NONE  # noqa: PLC0415
    from guardrails.proof.drill import drill as run  # noqa: PLC0415
    from guardrails.proof.target import load  # noqa: PLC0415

    with one_line_errors():
        if every is not None and every <= 0:
            raise UsageError("--every is a number of seconds above 0")
        try:
            guards = load(target)
        except ConfigError as error:
            raise UsageError(str(error)) from None
    missed = False
    for guard in guards:
        for one in run(guard, every_seconds=every):
            fails_now = one.fault == NONE
            missed |= fails_now or not one.found
            if as_json:
                typer.echo(json.dumps(asdict(one)))
                continue
            found = f"alarm within {one.alarm_seconds:.2f} s" if one.found else "NOT FOUND"
            state = "FAILS NOW" if fails_now else found
            typer.echo(f"{state:24} {one.layer:8} {one.control}: {one.fault}: {one.why}")
        guard.close()
    raise typer.Exit(1 if missed else 0)
