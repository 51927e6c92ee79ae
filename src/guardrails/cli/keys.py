"""`guardrails keys`: giving a reviewer what can look up and no more, and destroying what must be forgotten."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from guardrails.cli.desk import answering
from guardrails.cli.usage import UsageError

if TYPE_CHECKING:
    from guardrails.keys.epochs import Epochs

app: typer.Typer = typer.Typer(name="keys", help="Keys of the audit log's digests.", no_args_is_help=True)

Tenant = Annotated[str | None, typer.Option(help="Whose. Without it: of records that name no tenant.")]
Folder = Annotated[
    Path | None, typer.Option("--epochs", metavar="DIR", help="Their folder. Without it: as GUARDRAILS_EPOCHS says.")
]


@app.callback()
def _group() -> None:
    """A group stays a group with few commands in it."""


@app.command()
def export(
    purpose: Annotated[
        str, typer.Option(metavar="PURPOSE", help="audit-lookup: find a tenant's records by address or id.")
    ],
    tenant: Tenant = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A new file, for its owner only. Without it: stdout.")
    ] = None,
) -> None:
    """Write the keys that can look up one tenant's records, and can neither sign nor open the vault."""
    from guardrails.audit.lookup import PURPOSE, exported  # noqa: PLC0415 - `--help` does not need it
    from guardrails.keys import Keys  # noqa: PLC0415

    with answering():
        if purpose != PURPOSE:
            raise UsageError(f"--purpose must be {PURPOSE}")
        text = json.dumps(exported(Keys.default(), tenant), indent=2) + "\n"
        if out is None:
            sys.stdout.write(text)
            return
        try:
            handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
        except OSError as error:
            raise UsageError(f"the file cannot be made ({type(error).__name__}); name a new one") from None
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text)


@app.command()
def epochs(tenant: Tenant = None, folder: Folder = None) -> None:
    """List the epochs of a tenant whose secrets are still there."""
    with answering():
        for salt in _epochs(folder).all(tenant):
            typer.echo(salt.epoch)


@app.command()
def destroy(
    tenant: Tenant = None,
    epoch: Annotated[str | None, typer.Option(metavar="DATE", help="One epoch. Without it: all of this tenant.")] = None,
    folder: Folder = None,
    sure: Annotated[bool, typer.Option("--yes", help="There is no way back.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Destroy a tenant's secrets: nobody can say any more whose its digests are. The log's chain stays as it is."""
    with answering():
        if not sure:
            raise UsageError("there is no way back: add --yes")
        typer.echo(f"{_epochs(folder).destroy(tenant, epoch)} destroyed")


def _epochs(folder: Path | None) -> Epochs:
    from guardrails.keys.epochs import Epochs, epochs_from_environment  # noqa: PLC0415 - `--help` does not need it

    found = epochs_from_environment() if folder is None else Epochs(folder)
    if found is None:
        raise UsageError("name the folder with --epochs DIR, or set GUARDRAILS_EPOCHS")
    return found
