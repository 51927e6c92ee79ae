"""Sends and refusals as one thing each: an intent with what became of it, or a decision."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from guardrails.reports.query import text

UNKNOWN = "unknown"  # nobody can say whether it was sent


@dataclass(frozen=True, slots=True)
class Ended:
    """
    What came to a guard, and what became of it.

    Args:
        first: The intent, or the decision.
        outcome: Of the intent; None for a decision, and for a send whose outcome is not on record.
    """

    first: Mapping[str, Any]
    outcome: Mapping[str, Any] | None = None

    @property
    def was_refused(self) -> bool:
        """Whether it was never to be sent."""
        return self.first.get("stage") == "decision"

    @property
    def result(self) -> str:
        """The outcome's result, the decision, or "unknown"."""
        if self.was_refused:
            return text(self.first, "decision") or "deny"
        return (text(self.outcome, "result") if self.outcome is not None else None) or UNKNOWN


def ended(records: Iterable[Mapping[str, Any]]) -> Iterator[Ended]:
    """
    Each send once its outcome comes, each decision at once, and at the end the sends that have none.

    What is held is as much as is under way at one time.
    """
    under_way: dict[str, Mapping[str, Any]] = {}
    for record in records:
        match record.get("stage"):
            case "intent":
                under_way[str(record.get("send_id"))] = record
            case "outcome":
                intent = under_way.pop(str(record.get("send_id")), None)
                if intent is not None:
                    yield Ended(intent, record)
            case "decision":
                yield Ended(record)
            case _:
                continue
    yield from map(Ended, under_way.values())
