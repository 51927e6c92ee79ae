"""
A log of any size, for whoever measures readers of logs: `python -m bench.synthetic FOLDER [RECORDS]`.

A few hundred real messages go through a real guard into memory. Their records are the patterns: written again and again,
with other ids, times, people and tenants, and with a chain of their own that verifies. So a log of a million records takes
seconds instead of minutes, and every field is one that the library writes. The same seed gives the same log.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from math import pi, sin
from pathlib import Path
from random import Random  # noqa: TID251 - the same log for the same seed
from typing import Any

from guardrails import AuditLog, Denied, Guard, Limit, MaskPII, Message, RateLimit, check, context
from guardrails.errors import GuardrailsError
from guardrails.keys import Keys

SEED = 7
PEOPLE, TENANTS, CHANNELS = 20_000, 12, ("sms", "whatsapp", "email", "llm")
TEXTS = (
    "Your parcel arrives on Tuesday.",
    "Call me on +1 212 555 0173 or write to ann@example.com.",
    "Card 4111 1111 1111 1111 was charged.",
    "Our competitor is cheaper.",
)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 30
STREAMS = 8
STORE_DOWN = 12  # the day on which limits were kept without their store
REFUSED = 0.08  # of all messages

Record = dict[str, Any]


class Memory:
    """A sink that keeps lines."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def open(self, stream: str, /) -> None:
        """Nothing to open."""

    def write(self, lines: Sequence[bytes], /, *, durable: bool) -> None:  # noqa: ARG002 - a sink's method
        """Keep them."""
        self.lines += lines

    def close(self) -> None:
        """Nothing to close."""


@check
def no_competitors(message: Message) -> str | None:
    """A team's own rule."""
    if "competitor" in message.text:
        raise Denied("names a competitor")
    return None


def patterns() -> tuple[Record, list[list[Record]]]:
    """A genesis record, and episodes: the records of one send each."""
    memory = Memory()
    log = AuditLog(memory, keys=Keys(b"k" * 32), durability="os")
    limits = RateLimit(Limit("3/hour", per=("recipient", "channel")))
    mask = MaskPII(names="off")
    turn = itertools.count()

    def deliver(to: str, body: str) -> str:
        del to
        if next(turn) % 25 == 24:  # a provider that times out now and then
            raise TimeoutError
        return body

    for channel in CHANNELS:
        send = Guard(log, limits, mask, channel=channel).extend(no_competitors)(deliver)
        for number in range(80):
            with context(tenant="t", conversation=f"conversation-{number}"):
                try:
                    send(f"+1212555{100 + number % 25:04d}", TEXTS[number % 7 % len(TEXTS)])
                except (GuardrailsError, TimeoutError):
                    continue
    log.close()
    genesis: Record = {}
    sends: dict[str, list[Record]] = {}
    for record in map(json.loads, memory.lines):
        if record["stage"] == "genesis":
            genesis = record
        elif "send_id" in record:
            sends.setdefault(record["send_id"], []).append(record)
    return genesis, list(sends.values())


@dataclass(slots=True)
class Stream:
    """One file that grows."""

    name: str
    lines: list[bytes]
    seq: int = 0
    prev: str = "0" * 64

    def add(self, record: Record) -> None:
        """Link and render one record."""
        record = record | {"stream": self.name, "seq": self.seq, "prev": self.prev}
        line = json.dumps(record, sort_keys=True, separators=(",", ":")).encode("ascii")
        self.prev, self.seq = sha256(line).hexdigest(), self.seq + 1
        self.lines.append(line + b"\n")


def episodes(count: int, seed: int) -> Iterator[list[Record]]:
    """So many records, send by send, in the order of time, with people, tenants, ids and times of their own."""
    dice = Random(seed)  # noqa: S311 - a pattern, not a secret
    people = [f"hmac-sha256:0123456789ab:{dice.randbytes(32).hex()[:43]}" for _ in range(PEOPLE)]
    _, found = patterns()
    sent, refused = ([one for one in found if (one[0]["stage"] == "decision") is wanted] for wanted in (False, True))
    written = 0
    while written < count:
        day = BEGIN + timedelta(days=_busy(DAYS * written / count))
        kind = refused if dice.random() < REFUSED else sent
        chosen = kind[dice.randrange(len(kind))]
        send, person = dice.randbytes(16).hex(), people[int(PEOPLE * dice.random() ** 2)]
        made = []
        for place, record in enumerate(chosen):
            ts = day + timedelta(milliseconds=40 * place)
            new = record | {"send_id": send, "event_id": dice.randbytes(16).hex(), "ts": f"{ts:%Y-%m-%dT%H:%M:%S.%f}Z"}
            if "recipients" in new:
                new["recipients"] = [one | {"digest": person} for one in new["recipients"]]
                new["tenant"] = f"tenant-{int(TENANTS * dice.random() ** 2)}"
                new["policy"] = f"sha256:{sha256(b'policy' + bytes([(day - BEGIN).days // 11])).hexdigest()}"
                if (day - BEGIN).days == STORE_DOWN:
                    new["guards"] = [_degraded(guard) for guard in new["guards"]]
                new["conversation"] = f"conversation-{dice.randrange(count // 8 + 1)}"
            made.append(new)
        if len(made) == 2 and dice.random() < 0.0005:  # a process that was killed in between
            made.pop()
        yield made
        written += len(made)


def _busy(days: float) -> float:
    """When so much of the time has passed in messages: more by day than by night, fewer at the end of a week."""
    return days + 0.7 * sin(2 * pi * days) / (2 * pi) + 0.4 * 7 * sin(2 * pi * days / 7) / (2 * pi)


def _degraded(guard: Record) -> Record:
    return guard | {"detail": guard.get("detail", {}) | {"degraded": True}} if guard["name"] == "rate_limit" else guard


def write(folder: Path, records: int, seed: int = SEED) -> None:
    """Write a closed log of about *records* records in several streams."""
    folder.mkdir(parents=True)
    genesis, _ = patterns()
    dice = Random(seed + 1)  # noqa: S311
    streams = [Stream(dice.randbytes(16).hex(), []) for _ in range(STREAMS)]
    begin = f"{BEGIN:%Y%m%dT%H%M%S.%fZ}"
    paths = [folder / f"{begin}-{stream.name}.jsonl" for stream in streams]
    stamp = {"ts": f"{BEGIN:%Y-%m-%dT%H:%M:%S.%f}Z"}
    for stream in streams:
        stream.add(genesis | stamp | {"event_id": dice.randbytes(16).hex()})
    for number, made in enumerate(episodes(records - 2 * STREAMS, seed)):
        stream = streams[number % STREAMS]
        for record in made:
            stream.add(record)
            stamp = {"ts": record["ts"]}
        if number % 50_000 == 0:
            _flush(streams, paths)
    for stream in streams:
        linked = {"schema_version": genesis["schema_version"], "durability": genesis["durability"]}
        stream.add(
            {"stage": "close", "why": "close", "records": stream.seq + 1, "event_id": dice.randbytes(16).hex()}
            | stamp
            | linked
        )
    _flush(streams, paths)


def _flush(streams: Sequence[Stream], paths: Sequence[Path]) -> None:
    for stream, path in zip(streams, paths, strict=True):
        with path.open("ab") as file:
            file.writelines(stream.lines)
        stream.lines.clear()


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000)
