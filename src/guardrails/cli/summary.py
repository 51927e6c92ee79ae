"""
What the demo shows on the terminal.

Texts of a user's own file are shown with everything that was found covered by its type and length, before and after;
only the sample conversation, which we wrote, is shown as it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from guardrails.audit import Report
from guardrails.cli.proof import Proof
from guardrails.cli.senders import Attempt
from guardrails.pii import MaskPII

PAIRS: Final = 5
SHOWN_CHARACTERS: Final = 130
RESULTS: Final = ("sent", "limited", "denied", "failed", "unavailable")


def show(console: Console, attempts: Sequence[Attempt], proof: Proof) -> None:
    """What happened, by channel; what was masked; why the rest did not go out."""
    by_channel = Counter((attempt.line.channel, attempt.result) for attempt in attempts)
    seen = [result for result in RESULTS if any(attempt.result == result for attempt in attempts)]
    table = Table(title="Messages", title_justify="left", title_style="bold", box=None, padding=(0, 2))
    table.add_column("channel")
    for result in seen:
        table.add_column(result, justify="right")
    for channel in sorted({attempt.line.channel for attempt in attempts}):
        table.add_row(channel, *(str(by_channel[channel, result] or "-") for result in seen))
    totals = Counter(attempt.result for attempt in attempts)
    table.add_row("all", *(str(totals[result]) for result in seen), style="bold")
    console.print(table)
    console.print()
    if proof.masked:
        _list(console, "Masked, by type", proof.masked)
    whys = Counter(f"{attempt.result}: {attempt.why}" for attempt in attempts if attempt.result != "sent")
    if whys:
        _list(console, "Not sent, and why", dict(whys.most_common(8)))


def _list(console: Console, title: str, counted: Mapping[str, int]) -> None:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, show_header=False, padding=(0, 2))
    for name, count in counted.items():
        table.add_row(Text(_printable(name)), str(count))
    console.print(table)
    console.print()


def show_pairs(
    console: Console,
    attempts: Sequence[Attempt],
    received: Sequence[Mapping[str, Any]],
    *,
    cover: MaskPII | None,
) -> None:
    """
    Some messages before and after the guard.

    Args:
        console: Where to.
        attempts: What was tried.
        received: What the gateway received.
        cover: Finds what to cover before a text is shown; None only for texts that we wrote ourselves.
    """
    bodies = {message.get("id"): str(message.get("body")) for message in received}
    changed = [attempt for attempt in attempts if bodies.get(attempt.key, attempt.line.text) != attempt.line.text]
    shown = {attempt.line.channel: attempt for attempt in reversed(changed)}
    if not shown:
        return
    console.print(Text("Before and after", style="bold"))
    for attempt in list(shown.values())[:PAIRS]:
        before = attempt.line.text if cover is None else covered(attempt.line.text, cover)
        after = bodies[attempt.key]
        start = _excerpt_start(before, after)
        _say(console, _line(f"  {attempt.line.channel:<9} ", before, "dim", start))
        _say(console, _line(f"  {'':<7}-> ", after, "green", start))
    reply = next((attempt.reply for attempt in attempts if attempt.reply), "")
    if reply:
        _say(console, _line(f"  {'llm reply':<9} ", reply, "green"))
    console.print()


def covered(text: str, masker: MaskPII) -> str:
    """*text* with every finding covered by its type and length."""
    pieces: list[str] = []
    at = 0
    for finding in sorted(masker.find(text), key=lambda finding: finding.start):
        if finding.start >= at:
            pieces += [text[at : finding.start], f"[{finding.type}, {finding.end - finding.start} characters]"]
        at = max(at, finding.end)
    return "".join([*pieces, text[at:]])


def show_proof(console: Console, proof: Proof, report: Report, audit: Path) -> None:
    """What was proven, and where the log lies."""
    console.print(Text("Proof", style="bold"))
    _check(
        console,
        not proof.without_intent,
        f"every message that the gateway received has an intent record ({proof.received} of {proof.received})",
        f"{len(proof.without_intent)} of {proof.received} received messages have no intent record",
    )
    _check(
        console,
        not proof.refused_received,
        f"none of the {proof.refused} refused messages reached the gateway",
        f"{len(proof.refused_received)} of {proof.refused} refused messages reached the gateway",
    )
    places = ", ".join(f"{place} ({count} times)" for place, count in proof.leaks.items())
    _check(
        console,
        not proof.leaks,
        f"none of the {proof.planted} planted personal values reached the gateway, the log or a reply",
        f"planted personal data reached {places}",
    )
    outcomes = ", ".join(f"{count} {result}" for result, count in report.outcomes)
    _check(
        console,
        report.exit_code == 0,
        f"the audit log verifies: {report.intents} intents ({outcomes}), {report.decisions} refusals",
        "the audit log does not verify; its verdicts follow",
    )
    if report.exit_code:
        for line in report.lines():
            _say(console, Text(f"          {_printable(line)}"))
    console.print()
    _say(console, Text(f"The audit log lies in {audit}"))
    _say(console, Text(f"Verify it again with: guardrails audit verify {audit}"))


def _check(console: Console, holds: bool, yes: str, no: str) -> None:  # noqa: FBT001 - a private line of output
    _say(console, Text(f"  ok      {yes}", style="green") if holds else Text(f"  BROKEN  {no}", style="bold red"))


def _say(console: Console, text: Text) -> None:
    # The terminal folds it, not we: paths and commands are copied.
    console.print(text, soft_wrap=True)


def _excerpt_start(before: str, after: str) -> int:
    if len(before) <= SHOWN_CHARACTERS:
        return 0
    same = next((at for at, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]), len(after))
    return max(0, same - SHOWN_CHARACTERS // 3)


def _line(label: str, text: str, style: str, start: int = 0) -> Text:
    end = start + SHOWN_CHARACTERS
    cut = f"{'...' if start else ''}{_printable(text[start:end])}{'...' if len(text) > end else ''}"
    return Text.assemble(label, (cut, style))


def _printable(text: str) -> str:
    # A message must not move the cursor of whoever looks at it.
    return "".join(one if one.isprintable() else " " for one in text)
