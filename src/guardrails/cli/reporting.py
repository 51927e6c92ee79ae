"""`guardrails audit report | export | reconcile`: what leaves the desk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from guardrails.cli.desk import Exported, Form, Reviews, Since, Tables, Until, answering, check_form
from guardrails.cli.log import Where, opened
from guardrails.cli.output import show
from guardrails.cli.usage import UsageError

Anchor = Annotated[
    str | None,
    typer.Option(
        metavar="PLACE", help="Where checkpoints are kept: a folder, a file of syslog lines, or the URL of a witness."
    ),
]
Trust = Annotated[Path | None, typer.Option(metavar="FILE", help="Verifier keys that you trust, one a line.")]


def report(
    where: Where,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The HTML file to write; audit-report.html otherwise.")
    ] = Path("audit-report.html"),
    since: Since = None,
    until: Until = None,
    anchor: Anchor = None,
    trust: Trust = None,
    index: Tables = None,
    reviews: Reviews = None,
) -> None:
    """
    One HTML file with figures, verdicts and the query behind each figure; it needs no network and no script.

    Exit code as of `verify`: the file is written whatever it says.
    """
    from guardrails.audit import verify_directory  # noqa: PLC0415 - `--help` does not need it
    from guardrails.reports.report import report_lines, write_report  # noqa: PLC0415
    from guardrails.reports.reviews import record_review  # noqa: PLC0415
    from guardrails.reports.tables import Tables  # noqa: PLC0415

    with answering(), opened(where) as log:
        verified = verify_directory(log.folder, anchor=anchor, trust=trust)
        if verified.problem is not None:
            raise UsageError(verified.problem)
        asked = {name: value for name, value in (("since", since), ("until", until)) if value is not None}
        record_review(where, "report", asked, reviews)
        with Tables(log.folder, log.tables(index)) as tables:
            lines = report_lines(tables, verified, since=since, until=until)
            try:
                write_report(output, lines)
            except OSError as error:
                raise UsageError(f"the report cannot be written to {output.name} ({type(error).__name__})") from None
    typer.echo(f"{output}: {verified.intents:,} intents; {verified.lines()[-1]}")
    raise typer.Exit(verified.exit_code)


def export(
    where: Where,
    form: Annotated[str, typer.Option("--format", metavar="FORMAT", help="ocsf (JSON Lines) or csv.")],
    since: Since = None,
    until: Until = None,
    reviews: Reviews = None,
) -> None:
    """Sends and refusals for other programs: OCSF API Activity events, or one row of CSV each."""
    from guardrails.reports.export import FORMATS, exported  # noqa: PLC0415 - `--help` does not need it
    from guardrails.reports.query import Filters  # noqa: PLC0415
    from guardrails.reports.reviews import record_review  # noqa: PLC0415
    from guardrails.reports.scan import select  # noqa: PLC0415

    with answering(), opened(where) as log:
        if form not in FORMATS:
            raise UsageError("--format is ocsf or csv")
        asked = Filters(since=since, until=until)
        record_review(where, "export", asked.said() | {"format": form}, reviews)
        show(exported(select(log.folder, Filters()), form, asked))


def reconcile(
    where: Where,
    provider: Annotated[Path, typer.Argument(metavar="PROVIDER.csv", help="The provider's own log of messages.")],
    preset: Annotated[str | None, typer.Option(metavar="NAME", help="Whose columns: twilio or sinch.")] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="ROLE=NAME", help="A column: recipient, time, id, status, reference or direction."),
    ] = None,
    channel: Annotated[str | None, typer.Option(help="The channel of the log that the provider serves.")] = None,
    window_seconds: Annotated[
        int, typer.Option(min=0, max=86_400, help="How far apart a message and its intent may lie.")
    ] = 600,
    matched: Annotated[bool, typer.Option("--matched", help="Show what matches, too.")] = False,  # noqa: FBT002 - a flag
    form: Form = "table",
    keys: Exported = None,
    reviews: Reviews = None,
) -> None:
    """
    Hold the log against the provider's own: sends that no guard saw, and sends that the provider does not know.

    It also says what became of sends whose outcome is unknown.

    Exit code 0: all of it matches. 1: the provider sent what has no intent, was refused, or is recorded as not sent.
    3: the provider does not know of some intents. 2: wrong usage.
    """
    from collections import Counter  # noqa: PLC0415 - `--help` does not need any of this
    from datetime import timedelta  # noqa: PLC0415

    from guardrails.reports import reconcile as desk  # noqa: PLC0415
    from guardrails.reports.people import lookups  # noqa: PLC0415
    from guardrails.reports.provider import deliveries  # noqa: PLC0415
    from guardrails.reports.query import Filters  # noqa: PLC0415
    from guardrails.reports.rendering import table  # noqa: PLC0415
    from guardrails.reports.reviews import record_review  # noqa: PLC0415
    from guardrails.reports.scan import select  # noqa: PLC0415

    with answering(), opened(where) as log:
        check_form(form)
        columns = dict(_pair(one) for one in column or ())
        try:
            theirs = list(deliveries(provider, preset, columns))
        except OSError as error:
            raise UsageError(f"{provider.name} cannot be read ({type(error).__name__})") from None
        record_review(where, "reconcile", {"provider_messages": len(theirs)}, reviews)
        known, window = lookups(log.folder, exported=keys), timedelta(seconds=window_seconds)
        found = desk.reconcile(select(log.folder, Filters()), theirs, known, window=window, channel=channel)
        counted = Counter(one.kind for one in found)
        rows = [one.row() for one in found if matched or one.kind != desk.MATCHED]
        if rows:
            show(table(list(rows[0]), [list(row.values()) for row in rows], form))
        for kind in desk.KINDS:
            if counted[kind]:
                typer.echo(f"{counted[kind]:,} {kind}", err=True)
        if not found:
            typer.echo("nothing to reconcile: the provider's file holds no outgoing message", err=True)
    broken, still_open = desk.BROKEN & counted.keys(), desk.OPEN & counted.keys()
    raise typer.Exit(1 if broken else 3 if still_open else 0)


def _pair(given: str) -> tuple[str, str]:
    role, equals, name = given.partition("=")
    if not equals or not name:
        raise UsageError("--column takes ROLE=NAME, such as recipient=To")
    return role, name
