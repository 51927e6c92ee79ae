"""`guardrails subject`: what is kept of one person, and its removal."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from guardrails.cli.policy import read, told

if TYPE_CHECKING:
    from guardrails.policy.subject import Subject

app: typer.Typer = typer.Typer(
    name="subject",
    help="What is kept of one person, and its removal. Addresses are read from standard input.",
    no_args_is_help=True,
)

SubjectOption = Annotated[
    str | None, typer.Option("--subject", metavar="ID", help="Your id of the person, as in vault.link.")
]
TenantOption = Annotated[str | None, typer.Option(help="Of this tenant.")]
PolicyOption = Annotated[Path, typer.Option("--policy", metavar="FILE", help="The policy that names the stores.")]
POLICY = Path("guardrails.yaml")
_MOST_CHARACTERS = 65_536


@app.command()
def export(subject: SubjectOption = None, tenant: TenantOption = None, policy: PolicyOption = POLICY) -> None:
    """
    Print all that is kept of a person as JSON: values in the vault, opt-outs, use of limits, records of their messages.

    Their phone numbers and e-mail addresses are read from standard input, one a line, so that they stand in no history. Without
    --subject it is whoever their verified addresses are linked to.
    """
    with told():
        found = _subject(policy, subject, tenant).export()
    typer.echo(json.dumps(found, indent=2, ensure_ascii=False))


@app.command()
def forget(
    subject: SubjectOption = None,
    tenant: TenantOption = None,
    policy: PolicyOption = POLICY,
    opt_outs: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--opt-outs", help="Also take them off the list of people who want no messages.")
    ] = False,
) -> None:
    """
    Remove what is kept of a person, and say what stays.

    Removed are the key and values in the vault, links, what they have used of limits and, if asked for, opt-outs. Tokens of
    theirs stay unresolved in every text. Records stay: they hold keyed digests, and no text.
    """
    with told():
        done = _subject(policy, subject, tenant).forget(opt_outs=opt_outs)
    typer.echo(json.dumps(done, indent=2))


def _subject(policy: Path, subject: str | None, tenant: str | None) -> Subject:
    from guardrails.policy.subject import Subject  # noqa: PLC0415 - `--help` does not need it

    version = read(policy)
    text = "" if sys.stdin.isatty() else sys.stdin.read(_MOST_CHARACTERS)
    addresses = [line.strip() for line in text.splitlines() if line.strip()]
    return Subject(version, subject=subject, addresses=addresses, tenant=tenant)
