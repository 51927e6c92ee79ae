"""`guardrails new-control`: a control of one's own to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from guardrails.cli.policy import told


def new_control(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as no_competitors.")],
    folder: Annotated[Path, typer.Option("--dir", metavar="DIR", help="Where.")] = Path(),
) -> None:
    """Write a control with settings of its own, and its tests, to start from."""
    with told():
        from guardrails.policy.skeleton import write_skeleton  # noqa: PLC0415 - `--help` does not need it

        files, how = write_skeleton(name, folder)
    for file in files:
        typer.echo(f"wrote {file}")
    typer.echo(f"\n{how}", nl=False)
