"""
What the demo proves when it has finished, from the outside: the gateway's memory and the bytes of the audit log.

1. Every message that the gateway received has a record of its intent, found by the id that both know.
2. No message that a control refused was received.
3. None of the personal data that was planted reached the gateway, the log, or the caller of a stream.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from guardrails.audit import read_records
from guardrails.cli.gateway import ANSWER_PERSONAL
from guardrails.cli.senders import Attempt

# Short numbers without separators could turn up in a digest by chance.
COMPACT_CHARACTERS: Final = 11


@dataclass(frozen=True, slots=True)
class Proof:
    """
    What was found.

    Args:
        received: Messages that the gateway received.
        without_intent: Ids of received messages that have no intent record.
        refused: Messages that a control refused.
        refused_received: Ids of those that the gateway received all the same.
        planted: Different planted values that were looked for.
        leaks: Where a planted value was found, and how often: places, never the value.
        masked: Entity type to count, of everything that was sent.
    """

    received: int
    without_intent: Sequence[str]
    refused: int
    refused_received: Sequence[str]
    planted: int
    leaks: Mapping[str, int]
    masked: Mapping[str, int]

    @property
    def holds(self) -> bool:
        """Whether all of it holds; a run in which nothing arrived proves nothing, and holds too."""
        return not self.without_intent and not self.refused_received and not self.leaks


def prove(attempts: Sequence[Attempt], received: Sequence[Mapping[str, Any]], audit: Path) -> Proof:
    """
    Compare what was received with what is on record, and search both for what was planted.

    Args:
        attempts: What the senders tried.
        received: What the gateway says that it received.
        audit: Folder of the audit log.

    Raises:
        OSError: The log cannot be read.
    """
    ours = {attempt.key for attempt in attempts}
    logs = [path.read_bytes() for path in sorted(audit.iterdir()) if path.is_file()]
    records = list(read_records(audit))
    intents = {
        record["conversation"]: record["send_id"]
        for record in records
        if record.get("stage") == "intent" and record.get("conversation") in ours
    }
    arrived = [message for message in received if message.get("id") in ours]
    refused = {attempt.key for attempt in attempts if attempt.result in {"limited", "denied", "unavailable"}}
    planted = {value for attempt in attempts for value in attempt.line.planted}
    needles = _spellings(planted)
    addresses = _spellings({attempt.line.to for attempt in attempts if _is_address(attempt.line.to)})
    leaks = {
        "the gateway": _count(needles, (str(message.get("body")).encode() for message in arrived)),
        "the audit log": _count(needles | addresses, logs),
        "a reply": _count(_spellings(ANSWER_PERSONAL), (attempt.reply.encode() for attempt in attempts)),
    }
    return Proof(
        received=len(arrived),
        without_intent=[str(message["id"]) for message in arrived if message["id"] not in intents],
        refused=len(refused),
        refused_received=[str(message["id"]) for message in arrived if message["id"] in refused],
        planted=len(planted) + (len(ANSWER_PERSONAL) if any(attempt.reply for attempt in attempts) else 0),
        leaks={place: count for place, count in leaks.items() if count},
        masked=_masked(records, set(intents.values())),
    )


def _masked(records: Iterable[Mapping[str, Any]], sends: set[str]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for record in records:
        if record.get("send_id") not in sends:
            continue
        for note in record.get("guards", ()):
            if note.get("verdict") == "mask":
                total.update(note.get("findings", {}))
    return dict(total.most_common())


def _is_address(recipient: str) -> bool:
    return "@" in recipient or recipient.startswith("+")


def _spellings(values: Iterable[str]) -> set[bytes]:
    spellings = set()
    for value in values:
        spellings.add(value.encode())
        compact = "".join(value.split()).removeprefix("+")
        if len(compact) >= COMPACT_CHARACTERS:
            spellings.add(compact.encode())
    return spellings


def _count(needles: Iterable[bytes], haystacks: Iterable[bytes]) -> int:
    wanted = tuple(needles)
    return sum(needle in haystack for haystack in haystacks for needle in wanted)
