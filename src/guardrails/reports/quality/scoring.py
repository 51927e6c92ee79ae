"""
Counting what was found of gold. Pure; no text is kept.

leak: share of gold letters and digits that stay visible. over-mask: share of all other letters and digits that are masked.
whole: share of gold entities of which nothing stays visible. precision and recall: findings of a type that touch gold of the
type, and gold of a type that a finding of the type touches. flagged: share of messages with any finding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from guardrails.reports.quality.gold import NEUTRAL, Row

Found = tuple[int, int, str]  # start, end, entity

# Which gold types answer for our entities, where the names differ.
ANSWERS: Final[Mapping[str, frozenset[str]]] = {
    "PHONE_NUMBER": frozenset({"PHONE"}),
    "EMAIL_ADDRESS": frozenset({"EMAIL"}),
    "IBAN_CODE": frozenset({"IBAN"}),
    "US_SSN": frozenset({"SSN"}),
    "IP_ADDRESS": frozenset({"IP"}),
    "MAC_ADDRESS": frozenset({"MAC"}),
    "MEDICAL_RECORD_NUMBER": frozenset({"MRN"}),
    "LOCATION": frozenset({"ADDRESS", "ZIP"}),
    "ID": frozenset({"DRIVER_LICENSE", "BANK", "MRN", "NATIONAL_ID", "PASSPORT", "SSN"}),
}
NAMES: Final = frozenset({"PERSON", "LOCATION"})


def answers(entity: str) -> frozenset[str]:
    """The gold types for which a finding of *entity* is right; its own name always is."""
    return ANSWERS.get(entity, frozenset()) | {entity}


class Judged(NamedTuple):
    """
    One message.

    Args:
        gold: Letters and digits of gold.
        leaked: Those of them that stay visible.
        other: All other letters and digits, without neutral ones.
        over: Those of them that are masked.
    """

    gold: int
    leaked: int
    other: int
    over: int

    @property
    def leak(self) -> float:
        """Share of gold that stays visible, 0 to 1; 0 where there is no gold."""
        return self.leaked / self.gold if self.gold else 0.0


class Score:
    """Counts of one set."""

    def __init__(self) -> None:
        self.rows: int = 0
        self.gold: int = 0  # letters and digits
        self.leaked: int = 0
        self.other: int = 0
        self.over: int = 0
        self.entities: int = 0
        self.whole: int = 0
        self.flagged: int = 0  # messages
        self.flagged_beside_names: int = 0
        self.of_gold: Counter[str] = Counter()
        self.recalled: Counter[str] = Counter()
        self.whole_of: Counter[str] = Counter()
        self.leaked_of: Counter[str] = Counter()
        self.characters_of: Counter[str] = Counter()
        self.found: Counter[str] = Counter()
        self.right: Counter[str] = Counter()

    def add(self, row: Row, findings: Sequence[Found]) -> Judged:
        """Count one message."""
        self.rows += 1
        self.flagged += bool(findings)
        self.flagged_beside_names += any(entity not in NAMES for _, _, entity in findings)
        masked = {place for start, end, _ in findings for place in range(start, end)}
        gold: set[int] = set()
        neutral: set[int] = set()
        for start, end, kind in row.spans:
            places = {place for place in range(start, end) if row.text[place].isalnum()}
            if kind == NEUTRAL:
                neutral |= places
                continue
            gold |= places
            self._count(kind, places, masked, _touches(findings, start, end, kind))
        other = {place for place, character in enumerate(row.text) if character.isalnum()} - gold - neutral
        for start, end, entity in findings:
            self.found[entity] += 1
            touched = {kind for begin, close, kind in row.spans if begin < end and start < close}
            self.right[entity] += bool(touched & (answers(entity) | {NEUTRAL}))
        judged = Judged(len(gold), len(gold - masked), len(other), len(other & masked))
        self.gold += judged.gold
        self.leaked += judged.leaked
        self.other += judged.other
        self.over += judged.over
        return judged

    def _count(self, kind: str, places: set[int], masked: set[int], is_recalled: bool) -> None:  # noqa: FBT001 - a count
        self.entities += 1
        self.whole += places <= masked
        self.of_gold[kind] += 1
        self.recalled[kind] += is_recalled
        self.whole_of[kind] += places <= masked
        self.leaked_of[kind] += len(places - masked)
        self.characters_of[kind] += len(places)


def _touches(findings: Sequence[Found], start: int, end: int, kind: str) -> bool:
    return any(begin < end and start < close and kind in answers(entity) for begin, close, entity in findings)


def share(part: int, whole: int) -> float | None:
    """A share, 0 to 1; None where there is nothing to share."""
    return part / whole if whole else None
