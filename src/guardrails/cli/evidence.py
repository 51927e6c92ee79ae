"""`guardrails audit prove | check-proof | hash | schema`: what others can check, and find, in an audit log."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from guardrails.cli.desk import Reviews, answering
from guardrails.cli.log import Where, opened
from guardrails.cli.usage import UsageError

_INPUT_CHARACTERS: Final = 4_194_304


def prove(
    where: Where,
    wanted: Annotated[str, typer.Argument(metavar="ID", help="The event_id of a record, or the send_id of a send.")],
    anchor: Annotated[
        str,
        typer.Option(metavar="PLACE", help="Where checkpoints are kept: a folder, a file of syslog lines, or a witness."),
    ],
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Where the proof goes. Without it: to stdout.")] = None,
    reviews: Reviews = None,
) -> None:
    """Prove that a record is in the log, to somebody who has nothing but the public key."""
    from guardrails.audit.proof import prove as proof_of  # noqa: PLC0415 - `--help` does not need it
    from guardrails.reports.reviews import record_review  # noqa: PLC0415

    with answering(), opened(where) as log:
        proof = proof_of(log.folder, wanted, anchor=anchor)
        record_review(where, "prove", {"id": wanted}, reviews)
        if out is None:
            typer.echo(proof.decode("utf-8", "backslashreplace"), nl=False)
        else:
            out.write_bytes(proof)


def check_proof(
    proof: Annotated[Path, typer.Argument(metavar="FILE", help="From `guardrails audit prove`.")],
    trust: Annotated[Path, typer.Option(metavar="FILE", help="Verifier keys that you trust, one a line.")],
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A checkpoint of your own, which the proof must be under.")
    ] = None,
) -> None:
    """
    Check a proof, without the log, and show the record that it proves.

    Exit code 0: it holds. 1: it proves nothing. 2: wrong usage, or unreadable.
    """
    from guardrails.audit.note import Trust  # noqa: PLC0415 - `--help` does not need it
    from guardrails.audit.proof import WrongProofError, as_json, read_proof  # noqa: PLC0415
    from guardrails.audit.proof import check_proof as checked  # noqa: PLC0415

    with answering():
        own = None if checkpoint is None else read_proof(checkpoint)
        try:
            record = checked(read_proof(proof), Trust(trust), checkpoint=own)
        except WrongProofError as error:
            typer.echo(f"NOT PROVEN: {error}")
            raise typer.Exit(1) from None
    typer.echo(as_json(record))


def digests(
    tenant: Annotated[str | None, typer.Option(help="Whose records. Without it: those that name no tenant.")] = None,
    kind: Annotated[str, typer.Option(help="recipient, id, content (text as it was sent) or reply.")] = "recipient",
    keys: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="From `guardrails keys export`. Without it: the key of this machine."),
    ] = None,
    reviews: Reviews = None,
) -> None:
    """
    Read values from stdin, one a line (text: all of it), and print every digest under which they stand in records.

    Values are never an argument, which other users of the machine could see, and are not printed.
    """
    from guardrails.audit.lookup import KINDS, Lookup  # noqa: PLC0415 - `--help` does not need it
    from guardrails.keys import Keys  # noqa: PLC0415
    from guardrails.reports.reviews import record_review  # noqa: PLC0415

    with answering():
        if kind not in KINDS:
            raise UsageError(f"--kind must be one of {', '.join(KINDS)}")
        lookup = Lookup.of(Keys.default(), tenant) if keys is None else Lookup.read(keys)
        if keys is not None and tenant is not None and tenant != lookup.tenant:
            raise UsageError("these keys are another tenant's")
        record_review("any", "hash", {"kind": kind, "tenant": lookup.tenant or "none"}, reviews)
        text = sys.stdin.read(_INPUT_CHARACTERS)
        values = [text] if kind in {"content", "reply"} else [one.strip() for one in text.splitlines() if one.strip()]
        for value in values:
            for label in lookup.labels(kind, value):
                typer.echo(label)


def schema() -> None:
    """Print the JSON Schema of a record."""
    from guardrails.audit.stages import json_schema  # noqa: PLC0415 - `--help` does not need it

    typer.echo(json.dumps(json_schema(), indent=2))
