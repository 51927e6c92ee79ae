"""
Our findings against Presidio's, text by text, on all processors: prints the number of differences.

Three engines are repeated: what Presidio registers for English; every pattern recognizer that it ships for any country, with
ours; and the first again with spaCy's tokens, so that context words count. Compared are type, start, end and score.

It takes about an hour of two processors, says on stderr how far it is, and what it has compared so far when it is interrupted.

Texts are seeded: messages, mutations of them, and fuzz over alphabets that personal data is made of. Rows of `*.jsonl` in
`../shared/data`, if there are any, and mutations of those come on top.

    python -m bench.differential [TEXTS] [SEED]
"""

from __future__ import annotations

import json
import os
import random  # noqa: TID251 - seeded texts, nothing secret
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Final

from guardrails.pii.fast.gate import has_re2
from guardrails.pii.fast.known import knows_phones, knows_presidio
from tests.pii.differing import ENGINES, differing, mutated, texts

TEXTS: Final = 1_000_000
BATCH: Final = 2_500
SAID: Final = 20  # batches between two words about how far it is
DATA: Final = Path(__file__).parent.parent.parent / "shared" / "data"
# Of ten batches: the whole set of recognizers is the slowest, and shares its loop with the others.
TURNS: Final = ("plain",) * 6 + ("everything",) * 2 + ("in context",) * 2
LONGEST: Final = 600  # characters of a row


@cache
def engine(name: str) -> object:
    """One engine a process."""
    return ENGINES[name]()


@cache
def rows() -> tuple[str, ...]:
    """Texts of the corpora, if they are there."""
    files = sorted(DATA.glob("*.jsonl")) if DATA.is_dir() else []
    return tuple(json.loads(line)["text"][:LONGEST] for path in files for line in path.read_text("utf-8").splitlines())


def corpora(seed: str, count: int) -> Iterator[str]:
    """Rows of the corpora, every second one mutated."""
    dice = random.Random(seed)  # noqa: S311 - texts for a comparison
    for number in range(count if rows() else 0):
        row = dice.choice(rows())
        yield mutated(dice, row) if number % 2 and row else row


def batch(job: tuple[str, str, str]) -> tuple[str, str, int, list[str]]:
    """The texts of one batch that differ, as seed and number."""
    name, kind, seed = job
    made = list((texts if kind == "made" else corpora)(seed, BATCH))
    return name, kind, len(made), [f"{name} {kind} {seed}#{number}" for number in differing(engine(name), made)]  # type: ignore[arg-type]


def main(count: int = TEXTS, seed: str = "2026-11") -> int:
    """Print the number of differences; 1 if there are any."""
    assert knows_presidio(), "the installed presidio-analyzer is not known: nothing fast to compare"
    assert knows_phones(), "the installed phonenumbers is not known: nothing fast to compare"
    print(f"gate: {'google-re2' if has_re2() else 'none (google-re2 is not installed)'}", flush=True)
    begun = time.monotonic()
    jobs = []
    for number in range(-(-count // BATCH)):
        kind = "rows" if number // 10 % 5 == 1 and rows() else "made"
        jobs.append((TURNS[number % 10], kind, f"{seed}/{number}"))
    differences: list[str] = []
    compared: Counter[tuple[str, str]] = Counter()
    try:
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            for number, (name, kind, size, found) in enumerate(pool.map(batch, jobs), 1):
                compared[name, kind] += size
                differences += found
                if number % SAID == 0:
                    print(
                        f"  {number:>4} of {len(jobs)} batches, {len(differences)} differences", file=sys.stderr, flush=True
                    )
    except KeyboardInterrupt:
        print("interrupted; so far:")
    for (name, kind), size in sorted(compared.items()):
        print(f"  {size:>9,} {kind} texts, {name}")
    print(f"{sum(compared.values()):,} texts, {len(differences)} differences, {time.monotonic() - begun:.0f} s")
    print(*differences[:20], sep="\n")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else TEXTS, *sys.argv[2:3]))
