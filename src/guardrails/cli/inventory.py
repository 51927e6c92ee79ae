"""`guardrails inventory`: every guard, its owner, its controls and settings, and what it guards."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from guardrails.cli.log import holds_log, opened
from guardrails.cli.usage import UsageError, one_line_errors


def inventory(
    target: Annotated[
        str,
        typer.Argument(metavar="TARGET", help="A module that makes guards, module:guard, a policy file, or an audit log."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """
    List every guard: layer, owner, channel, controls with settings, sends, policy digest; and settings that drift apart.

    A module is imported, so that its guards are there; of an audit log (its folder, or the file of a SqliteSink) the
    records are read.
    Exit code 0: nothing drifts. 1: something does. 2: wrong usage.
    """
    from guardrails.errors import ConfigError  # noqa: PLC0415 - `--help` does not need it
    from guardrails.proof.inventory import inventory as listed  # noqa: PLC0415
    from guardrails.proof.target import load  # noqa: PLC0415
    from guardrails.proof.told import from_audit, stream_lines  # noqa: PLC0415

    with one_line_errors():
        if holds_log(Path(target)):
            try:
                with opened(Path(target), may_be_empty=True) as log:
                    entries = from_audit(log.folder)
            except OSError as error:
                raise UsageError(f"the audit folder cannot be read ({type(error).__name__})") from None
            if not entries:
                raise UsageError(f"{target}: no audit stream in it begins; name a module to import it")
            lines = [json.dumps([asdict(entry) for entry in entries], indent=2)] if as_json else list(stream_lines(entries))
            for line in lines:
                typer.echo(line)
            return
        try:
            found = listed(load(target))
        except ConfigError as error:
            raise UsageError(str(error)) from None
    if as_json:
        typer.echo(json.dumps(found.as_dict(), indent=2))
    else:
        for line in found.lines():
            typer.echo(line)
    raise typer.Exit(1 if found.drifts else 0)
