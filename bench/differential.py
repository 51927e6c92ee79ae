"""
Our phone recognizer against Presidio's, text by text, on all processors: prints the number of differences.

Texts are seeded: messages, mutations of them, and fuzz over alphabets that numbers are made of.

    python -m bench.differential [TEXTS] [SEED]
"""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Final

from guardrails.pii.phones import SharedPhone
from tests.pii.differing import compare, texts

TEXTS: Final = 1_000_000
BATCH: Final = 5_000


def batch(seed: str) -> list[str]:
    """The texts of one batch that differ, as seed and number."""
    return [f"{seed}#{number}" for number in compare(texts(seed, BATCH))]


def main(count: int = TEXTS, seed: str = "2026-11") -> int:
    """Print the number of differences; 1 if there are any."""
    assert SharedPhone()._scanner is not None, "the installed phonenumbers is not known: nothing fast to compare"  # noqa: SLF001
    begun = time.monotonic()
    seeds = [f"{seed}/{number}" for number in range(-(-count // BATCH))]
    differences: list[str] = []
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for found in pool.map(batch, seeds):
            differences += found
    print(f"{len(seeds) * BATCH:,} texts, {len(differences)} differences, {time.monotonic() - begun:.0f} s")
    print(*differences[:20], sep="\n")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else TEXTS, *sys.argv[2:3]))
