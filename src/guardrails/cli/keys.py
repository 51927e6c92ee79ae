"""`guardrails keys`: make, rotate and list keys; give a reviewer what can look up and no more; destroy what must be forgotten."""

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
    from guardrails.keys import Keys
    from guardrails.keys.epochs import Epochs

app: typer.Typer = typer.Typer(name="keys", help="Make, rotate, list, export and destroy keys.", no_args_is_help=True)

Tenant = Annotated[str | None, typer.Option(help="Whose. Without it: of records that name no tenant.")]
KeyFile = Annotated[Path, typer.Argument(metavar="FILE", help="Master keys, newest first, one a line.")]
_KINDS = ("master", "operator", "signing")
Folder = Annotated[
    Path | None, typer.Option("--epochs", metavar="DIR", help="Their folder. Without it: as GUARDRAILS_EPOCHS says.")
]


@app.callback()
def _group() -> None:
    """A group stays a group with few commands in it."""


@app.command()
def new(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="master, operator (switches) or signing (checkpoints).")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="A new file, which only you can read.")],
    name: Annotated[str, typer.Option("--name", help="Of a signing key, as it stands in signature lines.")] = "",
) -> None:
    """
    Make a key. The secret goes into FILE and nowhere else.

    For an operator the public key is printed, for the policy's platform.switches.operators; for signing the verifier key, for
    the reviewer's file of trusted keys.
    """
    with answering():
        from guardrails.errors import ConfigError  # noqa: PLC0415 - `--help` does not need it
        from guardrails.keys.operator import new_private_key, write_secret  # noqa: PLC0415
        from guardrails.keys.several import new_key  # noqa: PLC0415

        if kind not in _KINDS:
            raise ConfigError(f"KIND is {', '.join(_KINDS)}; not {kind!r}")
        if (kind == "signing") is not bool(name):
            raise ConfigError("--name goes with signing keys, and only with them")
        if kind == "master":
            write_secret(out, f"{new_key()}\n".encode("ascii"))
            return
        public = new_private_key(out)
        if kind == "signing":
            from guardrails.audit import Ed25519Signer, verifier_key  # noqa: PLC0415

            public = verifier_key(Ed25519Signer(out, name=name))
    typer.echo(public)


@app.command()
def rotate(
    file: KeyFile,
    keep: Annotated[int | None, typer.Option(min=1, help="Keys that stay, the new one included; else all.")] = None,
) -> None:
    """
    Put a new key before those in FILE.

    Older keys still read what they made. Take one away when nothing that it made is needed any more: --keep.
    """
    with answering():
        from guardrails.keys.several import rotate as put_before  # noqa: PLC0415 - `--help` does not need it

        put_before(file, keep=keep)
    _show(file)


@app.command("list")
def list_keys(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Without it the key of this machine.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Of this tenant's sub-keys.")] = None,
) -> None:
    """Show the ids of keys, as they stand in records and stores. No secret is shown."""
    _show(file, tenant)


@app.command()
def export(
    purpose: Annotated[
        str, typer.Option(metavar="PURPOSE", help="audit-lookup: find a tenant's records by address or id.")
    ],
    tenant: Tenant = None,
    keys: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Of master keys. Without it: the key of this machine.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A new file, for its owner only. Without it: stdout.")
    ] = None,
) -> None:
    """Write the keys that can look up one tenant's records, and can neither sign nor open the vault."""
    from guardrails.audit.lookup import PURPOSE, exported  # noqa: PLC0415 - `--help` does not need it

    with answering():
        if purpose != PURPOSE:
            raise UsageError(f"--purpose must be {PURPOSE}")
        text = json.dumps(exported(_keys(keys), tenant), indent=2) + "\n"
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


def _keys(file: Path | None) -> Keys:
    from guardrails.keys import Keys  # noqa: PLC0415 - `--help` does not need it
    from guardrails.keys.several import keys_in  # noqa: PLC0415

    return Keys.default() if file is None else Keys(keys_in(file))


def _show(file: Path | None, tenant: str | None = None) -> None:
    with answering():
        from guardrails.keys.several import ids_of  # noqa: PLC0415 - `--help` does not need it

        purposes = ("audit/recipient", "audit/id", "audit/content", "ratelimit", "suppression")
        ids = [ids_of(_keys(file), purpose, tenant) for purpose in purposes]
    typer.echo("        " + "  ".join(f"{purpose:<15}" for purpose in purposes).rstrip())
    for number, row in enumerate(zip(*ids, strict=True)):
        typer.echo(f"{'newest' if number == 0 else f'older {number}':<8}" + "  ".join(f"{one:<15}" for one in row).rstrip())
