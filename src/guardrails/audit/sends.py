"""
What the streams together say about each send, in memory that does not grow with the log.

A send whose outcome follows in its own stream, which is nearly every one, is its id; of many, only numbers of eight bytes are
kept, in files until they are compared. What remains open is kept whole: the sends of processes that died.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

PRIME: Final = 0xFFFF_FFFF_FFFF_FFC5  # the largest below 2^64
_PARTS: Final = 64
_HELD: Final = 262_144  # numbers in memory for each file that is read
MOST_LOOSE: Final = 100_000  # sends without their other half; more are only counted


class Place(NamedTuple):
    """Where a record is."""

    file: str
    stream: str
    seq: int
    line: int


class Loose(NamedTuple):
    """An outcome whose intent is not before it in its stream."""

    send: str
    result: str
    event_id: str
    place: Place
    began: float  # the send, in seconds since 1970, by the writer's clock


@dataclass(slots=True)
class Sends:
    """
    The sends of one file.

    Args:
        spill: A folder for numbers that are too many; None where they cannot be.
        name: Of the files there.
    """

    spill: Path | None
    name: str
    waiting: dict[bytes, int] = field(default_factory=dict)  # intents without outcome so far, and their lines
    loose: list[Loose] = field(default_factory=list)
    refused: dict[bytes, Place] = field(default_factory=dict)
    results: Counter[str] = field(default_factory=Counter)
    settled: list[bytes] = field(default_factory=list)  # ids whose two halves have been seen, in their order
    intents: int = 0
    decisions: int = 0
    omitted: int = 0

    def trim(self) -> None:
        """Hold no more than so many ids; called now and then."""
        if len(self.settled) >= _HELD and self.spill is not None:
            self.flush(self.spill)

    def flush(self, spill: Path) -> None:
        """Write numbers to files, by their last bits."""
        parts = [array("Q") for _ in range(_PARTS)]
        for send in self.settled:
            number = number_of(send)
            parts[number % _PARTS].append(number)
        for index, part in enumerate(parts):
            with (spill / f"{self.name}-{index:02}").open("ab") as file:
                part.tofile(file)
        self.settled.clear()


def number_of(send: bytes | str) -> int:
    """What stands for a send: its id, as far as it fits into eight bytes."""
    return int(send, 16) % PRIME


def repeated(all_sends: Iterable[Sends], spill: Path | None) -> set[int]:
    """The numbers of sends that were settled more than once."""
    every = list(all_sends)
    if spill is None or not any(spill.iterdir()):
        count = sum(len(sends.settled) for sends in every)
        if len(set().union(*(sends.settled for sends in every))) == count:  # nearly always
            return set()
        return _twice(number_of(send) for sends in every for send in sends.settled)
    for sends in every:
        sends.flush(spill)
    found: set[int] = set()
    for index in range(_PARTS):
        numbers = array("Q")
        for path in sorted(spill.glob(f"*-{index:02}")):
            numbers.frombytes(path.read_bytes())
        found |= _twice(numbers)
    return found


def _twice(numbers: Iterable[int]) -> set[int]:
    seen: set[int] = set()
    again: set[int] = set()
    for number in numbers:
        if number in seen:
            again.add(number)
        seen.add(number)
    return again
