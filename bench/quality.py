"""
How well personal data is found: `make eval`.

leak: share of gold letters and digits that stay visible. over-mask: share of all other letters and digits that are masked.
whole: share of gold entities of which nothing stays visible. precision and recall: findings of a type that touch gold of the
type, and gold of a type that a finding of the type touches. flagged: share of messages with any finding.

Sets are JSON lines, `{"text": ..., "spans": [[start, end, TYPE], ...]}`; NEUTRAL spans count neither way. Those of
`--data FOLDER` (`../shared/data` if it is there) are third-party texts that the project does not contain; without them a
small set is generated, which says that everything works and nothing about quality.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from guardrails.pii import MaskPII

ROOT = Path(__file__).parent.parent
NEUTRAL = "NEUTRAL"
# Which of our entities answer for a gold type, where the names differ.
ANSWERS = {
    "PHONE_NUMBER": {"PHONE"},
    "EMAIL_ADDRESS": {"EMAIL"},
    "IBAN_CODE": {"IBAN"},
    "US_SSN": {"SSN"},
    "IP_ADDRESS": {"IP"},
    "MAC_ADDRESS": {"MAC"},
    "ID": {"DRIVER_LICENSE", "BANK", "MRN", "NATIONAL_ID", "PASSPORT", "SSN"},
}
NAMES = {"PERSON", "LOCATION"}
CASE_ROWS = 600
STABLE_ROWS = 300


class Row(NamedTuple):
    """A text and its gold."""

    text: str
    spans: tuple[tuple[int, int, str], ...]


class Score:
    """Counts of one set."""

    def __init__(self) -> None:
        self.gold = self.leaked = self.other = self.over = 0
        self.entities = self.whole = self.rows = self.flagged = self.flagged_beside_names = 0
        self.of_gold: Counter[str] = Counter()
        self.recalled: Counter[str] = Counter()
        self.leaked_of: Counter[str] = Counter()
        self.characters_of: Counter[str] = Counter()
        self.found: Counter[str] = Counter()
        self.right: Counter[str] = Counter()

    def add(self, row: Row, findings: Sequence[tuple[int, int, str]]) -> None:
        """Count one message."""
        self.rows += 1
        self.flagged += bool(findings)
        self.flagged_beside_names += any(kind not in NAMES for _, _, kind in findings)
        masked = {place for start, end, _ in findings for place in range(start, end)}
        gold: set[int] = set()
        neutral: set[int] = set()
        for start, end, kind in row.spans:
            places = {place for place in range(start, end) if row.text[place].isalnum()}
            if kind == NEUTRAL:
                neutral |= places
                continue
            gold |= places
            self.entities += 1
            self.whole += places <= masked
            self.of_gold[kind] += 1
            self.recalled[kind] += any(s < end and start < e and kind in answers(ours) for s, e, ours in findings)
            self.leaked_of[kind] += len(places - masked)
            self.characters_of[kind] += len(places)
        other = {place for place, character in enumerate(row.text) if character.isalnum()} - gold - neutral
        self.gold += len(gold)
        self.leaked += len(gold - masked)
        self.other += len(other)
        self.over += len(other & masked)
        for start, end, ours in findings:
            self.found[ours] += 1
            touched = {kind for s, e, kind in row.spans if s < end and start < e}
            self.right[ours] += bool(touched & (answers(ours) | {NEUTRAL}))

    def line(self, name: str) -> str:
        """One row of the table."""
        return (
            f"{name:<26}{self.rows:>6}{share(self.leaked, self.gold)}{share(self.over, self.other)}"
            f"{share(self.whole, self.entities)}{share(self.flagged, self.rows)}{share(self.flagged_beside_names, self.rows)}"
        )

    def types(self) -> Iterator[str]:
        """Recall and leak of each gold type, precision of each of ours."""
        for kind, count in self.of_gold.most_common():
            leak = share(self.leaked_of[kind], self.characters_of[kind])
            yield f"    gold {kind:<16}{count:>6}  recall{share(self.recalled[kind], count)}  leak{leak}"
        for kind, count in self.found.most_common():
            yield f"    found {kind:<15}{count:>6}  precision{share(self.right[kind], count)}"


def answers(ours: str) -> set[str]:
    """The gold types for which a finding of *ours* is right."""
    return ANSWERS.get(ours, {ours})


def share(part: int, whole: int) -> str:
    """A share as a column; a dash where there is nothing to share."""
    return f"{part / whole:>9.4f}" if whole else f"{'-':>9}"


def judged(control: MaskPII, rows: Iterable[Row], change: Callable[[str], str] = str) -> Score:
    """*control* on *rows*, with each character changed by *change* where that keeps positions."""
    score = Score()
    for row in rows:
        text = "".join(new if len(new := change(character)) == 1 else character for character in row.text)
        score.add(Row(text, row.spans), [(one.start, one.end, one.type) for one in control.find(text)])
    return score


def load(path: Path) -> list[Row]:
    """The rows of a file; of messages with a label, the ham."""
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [Row(row["text"], tuple(map(tuple, row["spans"]))) for row in rows if row.get("label", "ham") == "ham"]


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
        rows.append(Row(text, tuple(spans)))
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
    dial = None if asked.threshold is None else dict.fromkeys(NAMES, asked.threshold)
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
        print(score.line(name), f"  {milliseconds:.2f} ms a message", flush=True)
        if score.gold:
            for case in (str, str.lower, str.upper):
                print(judged(control, rows[:CASE_ROWS], case).line(f"  {case.__name__}, first {CASE_ROWS}"), flush=True)
            print(*score.types(), sep="\n")
        masked = [control.mask(row.text)[0] for row in rows[:STABLE_ROWS]]
        moved = sum(control.mask(text)[0] != text for text in masked)
        print(f"    masked texts that change when masked again:{share(moved, len(masked))}", flush=True)


if __name__ == "__main__":
    main()
