"""`guardrails audit query | tail | stats`: answers from an audit log."""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from guardrails.cli.log import Where, opened
from guardrails.cli.output import FULL, show
from guardrails.cli.usage import UsageError, one_line_errors
from guardrails.errors import ConfigError, Unavailable

Form = Annotated[str, typer.Option("--format", metavar="FORMAT", help="table, jsonl or csv.")]
Tables = Annotated[
    Path | None,
    typer.Option("--index", metavar="FILE", help="Where the tables for SQL are kept. Without it: in your cache folder."),
]
Reviews = Annotated[
    Path | None,
    typer.Option(
        "--reviews",
        metavar="DIR",
        help="Where it is recorded that you looked. Without it: beside the key of this machine.",
    ),
]
Exported = Annotated[
    Path | None,
    typer.Option("--keys", metavar="FILE", help="From `guardrails keys export`. Without it: the key of this machine."),
]
Since = Annotated[str | None, typer.Option(metavar="TIME", help="From this moment on (RFC 3339, or a date).")]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Before this moment.")]
_STDIN = "-"
_LOOK_SECONDS = 0.25
_ADDRESS_CHARACTERS = 1_024


@contextmanager
def answering() -> Iterator[None]:
    """Turn what may be wrong with a log or a question into one line and exit code 2."""
    with one_line_errors():
        try:
            yield
        except (ConfigError, Unavailable) as error:
            raise UsageError(str(error)) from None
        except OSError as error:
            if error.errno in FULL:
                raise  # it is the output that cannot be written
            named = type(error).__name__
            if isinstance(error.filename, str):
                named = f"{Path(error.filename).name}: {error.strerror}"
            raise UsageError(f"the log cannot be read ({named})") from None


def query(
    where: Where,
    since: Since = None,
    until: Until = None,
    stage: Annotated[str | None, typer.Option(help="intent, outcome, decision, config, genesis, close, ...")] = None,
    channel: Annotated[str | None, typer.Option(help="As in the record.")] = None,
    tenant: Annotated[str | None, typer.Option(help="The id, or its digest.")] = None,
    decision: Annotated[str | None, typer.Option(help="deny, defer, error, cancel, reply or counted.")] = None,
    control: Annotated[str | None, typer.Option(help="A control that refused or was asked.")] = None,
    entity: Annotated[str | None, typer.Option(help="An entity type that was found.")] = None,
    recipient: Annotated[
        str | None,
        typer.Option(metavar="DIGEST", help='A recipient\'s digest; "-": an address from stdin, digested with the key.'),
    ] = None,
    conversation: Annotated[str | None, typer.Option(help="The id, or its digest.")] = None,
    send: Annotated[str | None, typer.Option(metavar="ID", help="One send.")] = None,
    policy: Annotated[str | None, typer.Option(metavar="DIGEST", help="The policy that was in force.")] = None,
    sql: Annotated[
        str | None,
        typer.Option(metavar="SELECT", help="A question in SQL instead of filters: over records, sends, refusals, ..."),
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="At most so many; 0 for all.")] = 0,
    form: Form = "table",
    keys: Exported = None,
    index: Tables = None,
    reviews: Reviews = None,
) -> None:
    """
    Records that match all filters; the outcome of a matching intent comes with it.

    With --sql: the rows of one SELECT over the tables records, guards, findings, refusals and sends.
    """
    from guardrails.reports.query import Filters  # noqa: PLC0415 - `--help` does not need it
    from guardrails.reports.rendering import rendered, table  # noqa: PLC0415
    from guardrails.reports.reviews import record_review  # noqa: PLC0415
    from guardrails.reports.scan import select  # noqa: PLC0415

    with answering(), opened(where) as log:
        check_form(form)
        people = _digests(log.folder, recipient, tenant, keys)
        asked = Filters(
            since=since, until=until, stage=stage, channel=channel, tenant=tenant, decision=decision, control=control,
            entity=entity, recipient=people, conversation=conversation, send=send, policy=policy,
        )  # fmt: skip
        if sql is None:
            record_review(where, "query", asked.said(), reviews)
            show(rendered(itertools.islice(select(log.folder, asked), limit or None), form))
            return
        if asked != Filters():
            raise UsageError("--sql asks everything by itself: put the filters into its WHERE")
        from guardrails.reports.tables import Tables  # noqa: PLC0415 - an extra

        record_review(where, "query", {"sql": sql}, reviews)
        with Tables(log.folder, log.tables(index)) as tables:
            names, rows = tables.ask(sql)
        show(table(names, rows[: limit or None], form))


def tail(
    where: Where,
    count: Annotated[int, typer.Option("--lines", "-n", min=0, max=100_000, help="So many.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new records until interrupted.")] = False,  # noqa: FBT002 - a flag
    form: Form = "table",
    reviews: Reviews = None,
) -> None:
    """The newest records of all streams, by time."""
    from guardrails.reports.rendering import rendered  # noqa: PLC0415 - `--help` does not need it
    from guardrails.reports.reviews import record_review  # noqa: PLC0415
    from guardrails.reports.tail import Follower, newest  # noqa: PLC0415

    with answering(), opened(where, may_be_empty=follow) as log:
        check_form(form)
        if follow and log.is_copy:
            raise UsageError("--follow watches files: a database is read once")
        record_review(where, "tail", {"lines": count, "follow": follow}, reviews)
        follower = Follower(log.folder) if follow else None  # first, so that nothing falls between the two
        show(rendered(newest(log.folder, count) if count else (), form))
        if follower is not None:
            lines = rendered(follower.follow(lambda: time.sleep(_LOOK_SECONDS)), form)
            if form != "jsonl":
                next(lines)  # the header has been shown
            try:
                show(lines, at_once=1)
            except KeyboardInterrupt:
                raise typer.Exit(0) from None


def stats(where: Where, reviews: Reviews = None) -> None:
    """Counts by stage, channel, result, refusal, control and entity type, as JSON."""
    from guardrails.reports.reviews import record_review  # noqa: PLC0415 - `--help` does not need it
    from guardrails.reports.stats import stats as counted  # noqa: PLC0415

    with answering(), opened(where) as log:
        record_review(where, "stats", {}, reviews)
        typer.echo(json.dumps(counted(log.folder), indent=2))


def check_form(form: str) -> None:
    """Refuse a form of output that there is not."""
    if form not in {"table", "jsonl", "csv"}:
        raise UsageError("--format is table, jsonl or csv")


def _digests(directory: Path, recipient: str | None, tenant: str | None, keys: Path | None) -> str | frozenset[str] | None:
    """What `--recipient` asks for; an address comes from stdin, because arguments are seen by every user of a machine."""
    if recipient is None or recipient.startswith("hmac-sha256:"):
        return recipient
    if recipient != _STDIN:
        raise UsageError("--recipient is a digest (hmac-sha256:...), or - to read the address from stdin")
    value = sys.stdin.readline(_ADDRESS_CHARACTERS).strip()
    if not value:
        raise UsageError("--recipient - reads an address from stdin, and there was none")
    from guardrails.reports.people import lookups  # noqa: PLC0415 - needed here only

    asked = lookups(directory, tenant=tenant, exported=keys)
    return frozenset(label for one in asked for label in one.labels("recipient", value))
