"""`guardrails eval`: how well personal data is found in texts of yours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from guardrails.cli.usage import UsageError, one_line_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guardrails.pii import MaskPII
    from guardrails.reports.quality.examples import Example, Worst
    from guardrails.reports.quality.scoring import Score


def evaluate(
    gold: Annotated[
        Path,
        typer.Argument(metavar="GOLD.jsonl", help='JSON lines: {"text": "...", "spans": [[start, end, "TYPE"], ...]}.'),
    ],
    page: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page with plots.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,  # noqa: FBT002 - a flag
    names: Annotated[str, typer.Option(metavar="KIND", help="model, off, or spacy:<installed package>.")] = "model",
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Least score of everything; without it, the defaults.")
    ] = None,
    language: Annotated[
        list[str] | None, typer.Option(metavar="CODE", help="Language of the texts; may be repeated.")
    ] = None,
    country: Annotated[
        list[str] | None, typer.Option(metavar="CODE", help="Country whose numbers are looked for too; may be repeated.")
    ] = None,
    worst: Annotated[int, typer.Option(min=0, max=100, metavar="N", help="How many of the worst messages to show.")] = 5,
    fail_above: Annotated[
        float | None, typer.Option(min=0, max=1, metavar="LEAK", help="Exit with 1 where the leak is above this share.")
    ] = None,
) -> None:
    """
    Measure leak, over-mask, precision and recall on texts whose personal data is known.

    leak is the share of the letters and digits of personal data that stay visible; over-mask the share of all others that are
    masked. Spans of the type NEUTRAL count neither way. The worst messages are shown with personal data as shapes only.
    Exit code 0: measured. 1: the leak is above --fail-above. 2: the file or an argument cannot be used.
    """
    with one_line_errors():
        control = _control(names, threshold, language, country)
        score, examples = _judged(control, gold, worst)
        facts = [
            ("messages", f"{score.rows:,}"),
            ("names", names),
            ("threshold", "default" if threshold is None else f"{threshold:g}"),
        ]
        if page is not None:
            _write(page, score, gold, facts, examples)
    if as_json:
        typer.echo(json.dumps(_counts(score), indent=2))
    else:
        _print(score, examples)
    if fail_above is not None and score.leaked > fail_above * score.gold:
        raise typer.Exit(1)


def _control(names: str, threshold: float | None, languages: list[str] | None, countries: list[str] | None) -> MaskPII:
    from guardrails.errors import ConfigError  # noqa: PLC0415 - `--help` does not need it
    from guardrails.pii import MaskPII  # noqa: PLC0415

    try:
        return MaskPII(names=names, thresholds=threshold, languages=languages or None, countries=countries or ())
    except ConfigError as error:
        raise UsageError(str(error)) from None


def _judged(control: MaskPII, gold: Path, worst: int) -> tuple[Score, Worst]:
    from guardrails.errors import GuardrailsError  # noqa: PLC0415
    from guardrails.reports.quality.examples import Worst  # noqa: PLC0415
    from guardrails.reports.quality.gold import GoldError, rows  # noqa: PLC0415
    from guardrails.reports.quality.scoring import Score  # noqa: PLC0415

    score, examples = Score(), Worst(worst)
    line = 0
    try:
        for row in rows(gold):
            line = row.line
            findings = [(one.start, one.end, one.type) for one in control.find(row.text)]
            examples.add(row, findings, score.add(row, findings))
    except GoldError as error:
        raise UsageError(str(error)) from None
    except GuardrailsError as error:
        raise UsageError(f"line {line}: {error}") from None
    if not score.rows:
        raise UsageError(f"{gold} holds no message")
    return score, examples


def _write(page: Path, score: Score, gold: Path, facts: Sequence[tuple[str, str]], examples: Worst) -> None:
    from guardrails.reports.quality import page as pages  # noqa: PLC0415

    html = pages.page(score, f"Personal data found in {gold.name}", facts, examples.leaked, examples.over)
    try:
        page.write_text(html, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{page} cannot be written: {error.strerror}") from None


def _counts(score: Score) -> dict[str, Any]:
    from guardrails.reports.quality.scoring import share  # noqa: PLC0415

    return {
        "schema_version": 1,
        "messages": score.rows,
        "leak": share(score.leaked, score.gold),
        "over_mask": share(score.over, score.other),
        "whole": share(score.whole, score.entities),
        "flagged": share(score.flagged, score.rows),
        "flagged_beside_names": share(score.flagged_beside_names, score.rows),
        "gold": {
            kind: {
                "count": count,
                "recall": share(score.recalled[kind], count),
                "whole": share(score.whole_of[kind], count),
                "leak": share(score.leaked_of[kind], score.characters_of[kind]),
            }
            for kind, count in score.of_gold.most_common()
        },
        "found": {
            entity: {"count": count, "precision": share(score.right[entity], count)}
            for entity, count in score.found.most_common()
        },
    }


def _print(score: Score, examples: Worst) -> None:
    from guardrails.reports.quality.scoring import share  # noqa: PLC0415

    typer.echo(
        f"{score.rows:,} messages: leak {_number(share(score.leaked, score.gold))}, "
        f"over-mask {_number(share(score.over, score.other))}, wholly masked {_number(share(score.whole, score.entities))}, "
        f"flagged {_number(share(score.flagged, score.rows))}"
    )
    if score.of_gold:
        typer.echo(f"\n{'gold':<24}{'count':>8}{'recall':>9}{'whole':>9}{'leak':>9}")
    for kind, count in score.of_gold.most_common():
        recall, whole = share(score.recalled[kind], count), share(score.whole_of[kind], count)
        leak = share(score.leaked_of[kind], score.characters_of[kind])
        typer.echo(f"{kind:<24}{count:>8,}{_number(recall):>9}{_number(whole):>9}{_number(leak):>9}")
    if score.found:
        typer.echo(f"\n{'found':<24}{'count':>8}{'precision':>11}")
    for entity, count in score.found.most_common():
        typer.echo(f"{entity:<24}{count:>8,}{_number(share(score.right[entity], count)):>11}")
    _print_examples("leaked most; shapes only, what leaked in [ ]", examples.leaked, "leaked")
    _print_examples("masked in vain; shapes only, what was masked in [ ]", examples.over, "over")


def _print_examples(title: str, examples: Sequence[Example], kind: str) -> None:
    if examples:
        typer.echo(f"\n{title}:")
    for one in examples:
        text = "".join(f"[{part.entity} {part.text}]" if part.kind == kind else part.text for part in one.parts)
        typer.echo(f"  line {one.line}: {' '.join(text.split())}")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
