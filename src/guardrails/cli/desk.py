"""`guardrails audit query | tail | stats`: answers from an audit log."""

from __future__ import annotations

import heapq
import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from guardrails.cli.usage import UsageError, one_line_errors
from guardrails.errors import ConfigError

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder that was given to AuditLog.")]
Form = Annotated[str, typer.Option("--format", metavar="FORMAT", help="table, jsonl or csv.")]


@contextmanager
def _usage() -> Iterator[None]:
    with one_line_errors():
        try:
            yield
        except ConfigError as error:
            raise UsageError(str(error)) from None
        except OSError as error:
            raise UsageError(f"the audit folder cannot be read ({type(error).__name__})") from None


def _checked(form: str) -> str:
    if form not in {"table", "jsonl", "csv"}:
        raise UsageError("--format is table, jsonl or csv")
    return form


def query(
    directory: Folder,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="From this moment on (RFC 3339, or a date).")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Before this moment.")] = None,
    stage: Annotated[str | None, typer.Option(help="intent, outcome, decision, genesis or close.")] = None,
    channel: Annotated[str | None, typer.Option(help="As in the record.")] = None,
    tenant: Annotated[str | None, typer.Option(help="The id, or its digest.")] = None,
    decision: Annotated[str | None, typer.Option(help="deny, defer, error, cancel, reply or counted.")] = None,
    control: Annotated[str | None, typer.Option(help="A control that refused or was asked.")] = None,
    entity: Annotated[str | None, typer.Option(help="An entity type that was found.")] = None,
    recipient: Annotated[str | None, typer.Option(metavar="DIGEST", help="A recipient's digest.")] = None,
    conversation: Annotated[str | None, typer.Option(help="The id, or its digest.")] = None,
    send: Annotated[str | None, typer.Option(metavar="ID", help="One send.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="At most so many; 0 for all.")] = 0,
    form: Form = "table",
) -> None:
    """Records that match all filters; the outcome of a matching intent comes with it."""
    from guardrails.reports.query import Filters, select  # noqa: PLC0415 - `--help` does not need it
    from guardrails.reports.rendering import rendered  # noqa: PLC0415

    with _usage():
        asked = Filters(
            since=since, until=until, stage=stage, channel=channel, tenant=tenant, decision=decision, control=control,
            entity=entity, recipient=recipient, conversation=conversation, send=send,
        )  # fmt: skip
        for line in rendered(itertools.islice(select(directory, asked), limit or None), _checked(form)):
            typer.echo(line)


def tail(
    directory: Folder,
    count: Annotated[int, typer.Option("--lines", "-n", min=1, max=100_000, help="So many.")] = 20,
    form: Form = "table",
) -> None:
    """The newest records of all streams, by time."""
    from guardrails.audit import read_records  # noqa: PLC0415 - `--help` does not need it
    from guardrails.reports.rendering import rendered  # noqa: PLC0415

    with _usage():
        newest = heapq.nlargest(count, read_records(directory), key=lambda record: str(record.get("ts", "")))
        for line in rendered(reversed(newest), _checked(form)):
            typer.echo(line)


def stats(directory: Folder) -> None:
    """Counts by stage, channel, result, refusal, control and entity type, as JSON."""
    from guardrails.reports.stats import stats as counted  # noqa: PLC0415 - `--help` does not need it

    with _usage():
        typer.echo(json.dumps(counted(directory), indent=2))
