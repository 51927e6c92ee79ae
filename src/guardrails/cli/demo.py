"""`guardrails demo`: real messages through a guarded send, and proof of what happened to them."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from guardrails.cli.output import unescaped
from guardrails.cli.usage import UsageError, one_line_errors

if TYPE_CHECKING:
    from rich.console import Console

    from guardrails.cli.conversation import Line
    from guardrails.cli.senders import Attempt, Senders


def demo(
    messages: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Your own messages: one a line, or CSV or JSONL with a field 'text'. Without it: a sample conversation.",
        ),
    ] = None,
    count: Annotated[int | None, typer.Option(metavar="N", help="Send at most so many messages.")] = None,
    gateway: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help='Where to POST {"channel", "to", "body"} as JSON. Without it: a gateway on loopback, started for the demo.',
        ),
    ] = None,
    audit: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the audit log. Without it: a new one under audit/.")
    ] = None,
) -> None:
    """
    Send messages through guarded senders, and prove what happened to them.

    A message gateway runs beside it and remembers what it receives. Exit code 0: every message that it received has an
    intent record, and nothing personal that was planted reached the gateway or the log. 1: one of them fails.
    2: an argument is wrong.
    """
    with one_line_errors():
        holds = _run(messages, count, gateway, audit)
    raise typer.Exit(0 if holds else 1)


def _run(messages: Path | None, count: int | None, gateway: str | None, audit: Path | None) -> bool:
    from rich.console import Console  # noqa: PLC0415 - `--help` does not need any of this
    from rich.text import Text  # noqa: PLC0415

    from guardrails.audit import verify_directory  # noqa: PLC0415
    from guardrails.cli.client import Client  # noqa: PLC0415
    from guardrails.cli.proof import prove  # noqa: PLC0415
    from guardrails.cli.senders import Senders  # noqa: PLC0415
    from guardrails.cli.summary import show, show_pairs, show_proof  # noqa: PLC0415
    from guardrails.errors import GuardrailsError  # noqa: PLC0415

    lines = _lines(messages, count)
    console = Console(file=unescaped(sys.stdout), highlight=False)
    with _gateway(gateway) as url:
        client = Client(url)
        client.check_reachable()
        folder = _audit_folder(audit)
        origin = "the sample conversation" if messages is None else str(messages)
        where = f"the gateway at {url}" if gateway else "a gateway on loopback"
        console.print(Text(f"Sending {len(lines)} messages of {origin} to {where}\n"))
        try:
            with Senders(client, folder, run=_run_id()) as senders:
                attempts = _send(console, senders, lines)
        except GuardrailsError as error:  # before any message: the log cannot be opened, a key cannot be read
            raise UsageError(str(error)) from None
        # An unknown gateway may tell nothing, or show what others sent: then what was put on the wire is compared.
        told = client.received() if gateway is None else None
        received: Sequence[dict[str, Any]] = client.posted if told is None else told
        proof = prove(attempts, received, folder)
        report = verify_directory(folder)
        show(console, attempts, proof)
        show_pairs(console, attempts, received, cover=None if messages is None else senders.masker)
        show_proof(console, proof, report, folder)
    if all(attempt.result in {"failed", "unavailable"} for attempt in attempts):
        raise UsageError(f"no message went out ({attempts[0].why}); see the table above")
    return proof.holds and report.exit_code == 0


def _run_id() -> str:
    # Consonants: no number for a detector to find, and no word.
    return "demo-" + "".join(secrets.choice("bcdfghjkmnpqrstvwxz") for _ in range(8))


def _lines(messages: Path | None, count: int | None) -> list[Line]:
    from guardrails.cli.conversation import MAX_COUNT, from_file, sample  # noqa: PLC0415

    if count is not None and not 1 <= count <= MAX_COUNT:
        raise UsageError(f"--count must be between 1 and {MAX_COUNT}")
    if messages is None:
        return sample(count)
    return from_file(messages, MAX_COUNT if count is None else count)


@contextmanager
def _gateway(url: str | None) -> Iterator[str]:
    if url is not None:
        yield url
        return
    from guardrails.cli.gateway import separate_process  # noqa: PLC0415

    with separate_process() as own:
        yield own


def _audit_folder(chosen: Path | None) -> Path:
    folder = chosen or Path("audit") / f"demo-{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = error.strerror or type(error).__name__
        raise UsageError(f"cannot make the audit folder {folder}: {problem}; name another with --audit DIR") from None
    return folder


def _send(console: Console, senders: Senders, lines: Sequence[Line]) -> list[Attempt]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    from guardrails.cli.senders import SHAPES  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        tasks = {}
        for shape, channels in SHAPES.items():
            total = sum(line.channel in channels for line in lines)
            tasks[shape] = progress.add_task(f"{shape:<9} {', '.join(channels):<17}", total=total, visible=total > 0)
        attempts = senders.send_all(lines, lambda shape: progress.advance(tasks[shape]))
    console.print()
    return attempts
