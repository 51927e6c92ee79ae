"""What an audit log says about each control: what fired and what it cost, and nothing that would need a text."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Recorded:
    """
    What an audit log says about one control. Records hold no text, so that nothing can be left out and tried again.

    Args:
        name: The control's.
        layer: "platform" or "team".
        asked: Messages that it saw.
        acted: Those that it masked, rewrote or refused.
        refused: Those that it refused.
        failed: Those on which it failed.
        types: Entity type to findings.
        milliseconds: Its own time, median.
    """

    name: str
    layer: str
    asked: int
    acted: int
    refused: int
    failed: int
    types: Mapping[str, int]
    milliseconds: float

    @property
    def sentence(self) -> str:
        """In plain words."""
        cost = f"it adds {self.milliseconds:.2g} ms"
        if not self.acted:
            return f"`{self.name}` never fired on {self.asked} messages; {cost}"
        found = ", ".join(f"{kind} {count}" for kind, count in sorted(self.types.items()))
        return f"`{self.name}` acted on {self.acted} of {self.asked} messages{f' ({found})' if found else ''}; {cost}"


_LONGEST_US: Final = 10**12  # of one control; more is no duration


def recorded(records: Iterable[Mapping[str, Any]]) -> list[Recorded]:
    """What the intents and decisions of a log say about each control."""
    asked: Counter[tuple[str, str]] = Counter()
    acted: Counter[tuple[str, str]] = Counter()
    refused: Counter[tuple[str, str]] = Counter()
    failed: Counter[tuple[str, str]] = Counter()
    types: dict[tuple[str, str], Counter[str]] = {}
    took: dict[tuple[str, str], list[int]] = {}
    for record in records:
        if record.get("stage") not in ("intent", "decision"):
            continue
        seen: set[tuple[str, str]] = set()
        for note in _notes(record):
            key = (str(note.get("layer")), str(note.get("name")))
            if key not in seen:
                seen.add(key)
                asked[key] += 1
            verdict = note.get("verdict")
            acted[key] += verdict in ("mask", "rewrite", "deny", "defer", "shadow_deny")
            refused[key] += verdict in ("deny", "defer")
            failed[key] += verdict in ("error", "shadow_error")
            types.setdefault(key, Counter()).update(_found(note))
            if isinstance(duration := note.get("duration_us"), int) and 0 <= duration < _LONGEST_US:
                took.setdefault(key, []).append(duration)
    return [
        Recorded(
            name,
            layer,
            count,
            acted[layer, name],
            refused[layer, name],
            failed[layer, name],
            dict(types.get((layer, name), {})),
            statistics.median(took.get((layer, name), [0])) / 1e3,
        )
        for (layer, name), count in sorted(asked.items())
    ]


def _notes(record: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    notes = record.get("guards")
    yield from (note for note in notes if isinstance(note, dict)) if isinstance(notes, list) else ()


def _found(note: Mapping[str, Any]) -> dict[str, int]:
    found = note.get("findings")
    return {kind: count for kind, count in found.items() if isinstance(count, int)} if isinstance(found, dict) else {}
