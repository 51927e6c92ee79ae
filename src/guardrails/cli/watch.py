"""`guardrails watch`: alarms from outside the guarded process."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from guardrails.cli.usage import UsageError, one_line_errors


def watch(
    log: Annotated[
        Path, typer.Argument(metavar="AUDIT", help="The folder that was given to AuditLog, or the file of a SqliteSink.")
    ],
    canary: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="How often canaries are to come, as in canary_every_seconds; 0 for never."),
    ] = 60.0,
    checkpoint: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="How often checkpoints are to come, as in checkpoint_seconds; 0 for never."),
    ] = 0.0,
    anchor: Annotated[Path | None, typer.Option(metavar="PATH", help="The folder of a DirectoryAnchor.")] = None,
    every: Annotated[float, typer.Option(metavar="SECONDS", help="How often to look.")] = 5.0,
    once: Annotated[bool, typer.Option("--once", help="Look once; exit code 1 if there is an alarm.")] = False,  # noqa: FBT002 - a flag
    until_alarm: Annotated[bool, typer.Option("--until-alarm", help="End with exit code 1 at the first alarm.")] = False,  # noqa: FBT002
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """
    Watch an audit log from another process or host: alarms on canaries or checkpoints that do not come, and on failed ones.

    A line is printed when an alarm begins, and when it ends. An interval that is exceeded 2.5 times is an alarm. A process that
    dies on this host is one at the next look, until another one writes to the folder; one that writes to a database is missed by
    its canaries.
    Exit code 0: ended without an alarm. 1: an alarm (with --once or --until-alarm). 2: wrong usage.
    """
    from guardrails.audit import SqliteSink  # noqa: PLC0415 - `--help` does not need it
    from guardrails.cli.log import POSTGRES, is_database  # noqa: PLC0415
    from guardrails.proof.watch import Alarm, alarms  # noqa: PLC0415
    from guardrails.proof.writers import Writers  # noqa: PLC0415

    with one_line_errors():
        if every <= 0 or canary < 0 or checkpoint < 0:
            raise UsageError("--every is above 0; --canary and --checkpoint are at least 0")
        if str(log).startswith(POSTGRES):
            raise UsageError(
                "records in PostgreSQL are watched by a program: guardrails.proof.watch.alarms(PostgresSink(...), ...) says "
                "what is wrong with them; or give the AuditLog a folder, too, and name that"
            )
        source: Path | SqliteSink = SqliteSink(log) if is_database(log, may_be_missing=True) else log
    known: set[Alarm] = set()
    writers = Writers(log) if source is log else None  # who writes to a database holds no lock that could be seen
    sleeping = threading.Event()
    first = True
    while True:
        at = datetime.now(UTC)
        found = set(
            alarms(
                source,
                canary_seconds=canary or None,
                checkpoint_seconds=checkpoint or None,
                anchor=anchor,
                writers=writers,
                now=at,
            )
        )
        kinds = {one.kind for one in known}
        for one in sorted(found, key=lambda one: one.kind):
            if one.kind not in kinds:
                _say(at, "ALARM", one.kind, one.what, as_json=as_json)
        for kind in sorted(kinds - {one.kind for one in found}):
            _say(at, "over", kind, "", as_json=as_json)
        if first and not found:
            _say(at, "ok", "", "", as_json=as_json)
        known, first = found, False
        if once or (until_alarm and found):
            raise typer.Exit(1 if found else 0)
        sleeping.wait(every)


def _say(at: datetime, state: str, kind: str, what: str, *, as_json: bool) -> None:
    when = at.isoformat(timespec="milliseconds")
    if as_json:
        typer.echo(json.dumps({"at": when, "state": state, "kind": kind, "what": what}))
    else:
        typer.echo(" ".join(part for part in (when, state, kind, what) if part))
