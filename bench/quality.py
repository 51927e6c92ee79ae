"""
How well personal data is found: `make eval`.

What is counted stands in `guardrails.reports.quality.scoring`.

Sets are JSON lines, `{"text": ..., "spans": [[start, end, TYPE], ...]}`; NEUTRAL spans count neither way. Those of
`--data FOLDER` (`../shared/data` if it is there) are third-party texts that the project does not contain; without them a
small set is generated, which says that everything works and nothing about quality.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from guardrails.pii import MaskPII
from guardrails.reports.quality.gold import Row
from guardrails.reports.quality.scoring import NAMES, Score, share

ROOT = Path(__file__).parent.parent
CASE_ROWS = 600
STABLE_ROWS = 300


def line(score: Score, name: str) -> str:
    """One row of the table."""
    return (
        f"{name:<26}{score.rows:>6}{column(score.leaked, score.gold)}{column(score.over, score.other)}"
        f"{column(score.whole, score.entities)}{column(score.flagged, score.rows)}"
        f"{column(score.flagged_beside_names, score.rows)}"
    )


def types(score: Score) -> Iterator[str]:
    """Recall and leak of each gold type, precision of each of ours."""
    for kind, count in score.of_gold.most_common():
        leak = column(score.leaked_of[kind], score.characters_of[kind])
        yield f"    gold {kind:<16}{count:>6}  recall{column(score.recalled[kind], count)}  leak{leak}"
    for kind, count in score.found.most_common():
        yield f"    found {kind:<15}{count:>6}  precision{column(score.right[kind], count)}"


def column(part: int, whole: int) -> str:
    """A share as a column; a dash where there is nothing to share."""
    value = share(part, whole)
    return f"{'-':>9}" if value is None else f"{value:>9.4f}"


def judged(control: MaskPII, rows: Iterable[Row], change: Callable[[str], str] = str) -> Score:
    """*control* on *rows*, with each character changed by *change* where that keeps positions."""
    score = Score()
    for row in rows:
        text = "".join(new if len(new := change(character)) == 1 else character for character in row.text)
        score.add(row._replace(text=text), [(one.start, one.end, one.type) for one in control.find(text)])
    return score


def load(path: Path) -> list[Row]:
    """The rows of a file; of messages with a label, the ham."""
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [
        Row(number, row["text"], tuple(map(tuple, row["spans"])))
        for number, row in enumerate(rows, start=1)
        if row.get("label", "ham") == "ham"
    ]


_VALUES = {
    "PERSON": ("Ann Smith", "Bob", "Alice Jones", "Carol"),
    "LOCATION": ("1600 Pennsylvania Avenue NW, Washington, DC 20500", "Paris", "10 Downing Street, London", "Canada"),
    "PHONE": ("+1 212 555 0173", "(212) 555-0173", "+44 20 7946 0958"),
    "EMAIL": ("ann@example.com", "bob.smith+news@mail.example.org"),
    "CREDIT_CARD": ("4242 4242 4242 4242", "378282246310005"),
    "IBAN": ("GB82 WEST 1234 5698 7654 32",),
    "SSN": ("078-05-1120",),
}
_TEMPLATES = (
    "Hi {PERSON}, your parcel is on its way to {LOCATION}.",
    "You can reach me on {PHONE} or at {EMAIL}, ask for {PERSON}",
    "my card is {CREDIT_CARD}, please send the invoice to {LOCATION}",
    "Transfer it to {IBAN}. The holder is {PERSON}.",
    "{PERSON} moved to {LOCATION} last year, the number is {SSN}",
    "Ok see you at seven then, bring the blue one",
    "Your order has shipped and should arrive on Tuesday.",
)


def generated(count: int = 300) -> list[Row]:
    """A small seeded set of our own; reserved and public examples only."""
    rows = []
    for number in range(count):
        dice = hashlib.sha256(f"eval/{number}".encode()).digest()
        text, spans = "", []
        for position, piece in enumerate(_TEMPLATES[dice[0] % len(_TEMPLATES)].split("{")):
            kind, closed, rest = piece.partition("}")
            if closed:
                value = _VALUES[kind][dice[position + 1] % len(_VALUES[kind])]
                spans.append((len(text), len(text) + len(value), kind))
                text += value + rest
            else:
                text += piece
        rows.append(Row(number + 1, text, tuple(spans)))
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Leak, over-mask, precision and recall.")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of *.jsonl")
    parser.add_argument("--names", default="model", help='"model", "off", ...')
    parser.add_argument("--threshold", type=float, help="least probability of a word of a name or an address")
    parser.add_argument("--only", default="", help="only sets whose name contains this")
    parser.add_argument("--rows", type=int, help="only so many of each set")
    asked = parser.parse_args()
    dial = None if asked.threshold is None else dict.fromkeys(sorted(NAMES), asked.threshold)
    control = MaskPII(names=asked.names, thresholds=dial)
    files = sorted(asked.data.glob("*.jsonl")) if asked.data.is_dir() else []
    sets = {path.stem: load(path) for path in files if asked.only in path.stem} or {"generated": generated()}
    print(f"names={asked.names!r}, thresholds={dial}")
    print(f"{'set':<26}{'rows':>6}{'leak':>9}{'over':>9}{'whole':>9}{'flagged':>9}{'no names':>9}")
    for name, every in sets.items():
        rows = every[: asked.rows]
        begun = time.perf_counter()
        score = judged(control, rows)
        milliseconds = (time.perf_counter() - begun) / len(rows) * 1_000
        print(line(score, name), f"  {milliseconds:.2f} ms a message", flush=True)
        if score.gold:
            for case in (str, str.lower, str.upper):
                print(line(judged(control, rows[:CASE_ROWS], case), f"  {case.__name__}, first {CASE_ROWS}"), flush=True)
            print(*types(score), sep="\n")
        masked = [control.mask(row.text)[0] for row in rows[:STABLE_ROWS]]
        moved = sum(control.mask(text)[0] != text for text in masked)
        print(f"    masked texts that change when masked again:{column(moved, len(masked))}", flush=True)


if __name__ == "__main__":
    main()
