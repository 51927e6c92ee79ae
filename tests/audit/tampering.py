"""
Every way to change an anchored log that we could think of, at random places; and which verdicts must then not hold.

`python -m tests.audit.tampering COUNT SEED` runs as many as you like; the suite runs ten thousand.
"""

# ruff: noqa: T201, S311 - a campaign prints what it did; its chance is repeatable, not secret

from __future__ import annotations

import random  # noqa: TID251 - repeatable tampering
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Final

from guardrails.audit import Report, verify_directory
from guardrails.audit.merkle import Tree
from guardrails.audit.note import Ed25519Signer, signed_checkpoint
from tests.audit.test_anchors import new_signer, trusted, written

Lines = list[bytes]


class Original:
    """An honest log of two streams with its anchor, kept in memory, and written out again for each attempt."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.signer = new_signer(folder)
        (folder / "thief").mkdir()
        self.thief = new_signer(folder / "thief")  # the same name, another key
        written(folder, self.signer, sends=4, streams=2, every=6)
        self.trust = trusted(folder, self.signer)
        self.log = {path.name: path.read_bytes() for path in sorted((folder / "log").iterdir())}
        self.anchor = {path.name: path.read_bytes() for path in sorted((folder / "anchor").iterdir())}
        self._dirty: set[Path] = set()

    def restore(self) -> None:
        """As it was, as far as it was changed."""
        for name, files in (("log", self.log), ("anchor", self.anchor)):
            for path in (self.folder / name).iterdir():
                if path.name not in files:
                    path.unlink()
            for file, data in files.items():
                if self.folder / name / file in self._dirty:
                    (self.folder / name / file).write_bytes(data)
        self._dirty.clear()

    def write(self, place: str, name: str, data: bytes) -> None:
        path = self.folder / place / name
        self._dirty.add(path)
        path.write_bytes(data)

    def remove(self, place: str, name: str) -> None:
        path = self.folder / place / name
        self._dirty.add(path)
        path.unlink()

    def verify(self) -> Report:
        return verify_directory(self.folder / "log", anchor=self.folder / "anchor", trust=self.trust)


def _chosen(original: Original, chance: random.Random) -> tuple[str, Lines]:
    name = chance.choice(list(original.log))
    return name, original.log[name].splitlines(keepends=True)


def flip(original: Original, chance: random.Random) -> None:
    name, _ = _chosen(original, chance)
    data = bytearray(original.log[name])
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    original.write("log", name, bytes(data))


def delete(original: Original, chance: random.Random) -> None:
    name, lines = _chosen(original, chance)
    first = chance.randrange(len(lines))
    del lines[first : first + chance.randint(1, 3)]
    original.write("log", name, b"".join(lines))


def insert(original: Original, chance: random.Random) -> None:
    name, lines = _chosen(original, chance)
    lines.insert(chance.randrange(len(lines) + 1), chance.choice(lines))
    original.write("log", name, b"".join(lines))


def swap(original: Original, chance: random.Random) -> None:
    name, lines = _chosen(original, chance)
    one, other = chance.sample(range(len(lines)), 2)
    lines[one], lines[other] = lines[other], lines[one]
    original.write("log", name, b"".join(lines))


def truncate(original: Original, chance: random.Random) -> None:
    name, _ = _chosen(original, chance)
    data = original.log[name]
    original.write("log", name, data[: chance.randrange(len(data))])


def roll_back(original: Original, chance: random.Random) -> None:
    """To what it was after some record, as an older backup would have it."""
    name, lines = _chosen(original, chance)
    original.write("log", name, b"".join(lines[: chance.randrange(len(lines))]))


def _relinked(lines: Lines) -> Lines:
    prev, out = "0" * 64, []
    for number, line in enumerate(lines):
        changed = re.sub(rb'"prev":"[0-9a-f]{64}"', b'"prev":"' + prev.encode() + b'"', line)
        changed = re.sub(rb'"seq":\d+', b'"seq":%d' % number, changed)
        changed = re.sub(rb'"records":\d+,("schema|"seq|"stage)', b'"records":%d,\\1' % len(lines), changed)
        prev = sha256(changed[:-1]).hexdigest()
        out.append(changed)
    return out


def rewrite(original: Original, chance: random.Random) -> None:
    """With a perfect chain: one record changed, or removed, and all after it linked anew."""
    name, lines = _chosen(original, chance)
    at = chance.randrange(1, len(lines) - 1)
    if chance.random() < 0.5:
        del lines[at]
    else:
        lines[at] = re.sub(rb'"ts":"....', b'"ts":"%d' % chance.randrange(1_970, 2_025), lines[at])
    original.write("log", name, b"".join(_relinked(lines)))


def forge(original: Original, chance: random.Random) -> None:
    """Rewritten with a perfect chain, and its checkpoints replaced by ones with another key of the same name."""
    name, lines = _chosen(original, chance)
    at = chance.randrange(1, len(lines) - 1)
    lines[at] = re.sub(rb'"ts":"....', b'"ts":"%d' % chance.randrange(1_970, 2_025), lines[at])
    lines = _relinked(lines)
    original.write("log", name, b"".join(lines))
    stream = name.removesuffix(".jsonl").rpartition("-")[2]
    for note in [note for note in original.anchor if note.startswith(stream)]:
        original.write("anchor", note, _signed(stream, lines, int(note[33:49]), original.thief))


def _signed(stream: str, lines: Lines, size: int, signer: Ed25519Signer) -> bytes:
    tree = Tree()
    tree.extend(line[:-1] for line in lines[:size])
    return signed_checkpoint(stream, tree.size, tree.root(), signer)


def splice(original: Original, chance: random.Random) -> None:
    """The beginning of one stream, and the end of the other."""
    one, other = chance.sample(list(original.log), 2)
    lines, more = (original.log[name].splitlines(keepends=True) for name in (one, other))
    at = chance.randrange(1, len(lines))
    original.write("log", one, b"".join([*lines[:at], *more[at:]]))


def drop(original: Original, chance: random.Random) -> None:
    original.remove("log", chance.choice(list(original.log)))


def exchange(original: Original, chance: random.Random) -> None:
    """Two streams under each other's names."""
    one, other = chance.sample(list(original.log), 2)
    original.write("log", one, original.log[other])
    original.write("log", other, original.log[one])


def edit_checkpoint(original: Original, chance: random.Random) -> None:
    note = chance.choice(list(original.anchor))
    data = bytearray(original.anchor[note])
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    original.write("anchor", note, bytes(data))


def replay_checkpoint(original: Original, chance: random.Random) -> None:
    """An older or another stream's note under a newer one's name, to let a rolled-back log look whole."""
    one, other = chance.sample(list(original.anchor), 2)
    original.write("anchor", one, original.anchor[other])


def remove_checkpoint(original: Original, chance: random.Random) -> None:
    """One that is not the last of its stream: a later one names it."""
    last = {name[:32]: name for name in sorted(original.anchor)}
    original.remove("anchor", chance.choice([name for name in original.anchor if name not in last.values()]))


Tamper = Callable[[Original, random.Random], None]
LOG: Final = frozenset(("integrity", "completeness"))
# What was done, and the verdicts of which at least one must say so.
EXPECTED: Final[dict[Tamper, frozenset[str]]] = {
    flip: LOG,
    delete: LOG,
    insert: frozenset(("integrity",)),
    swap: frozenset(("integrity",)),
    truncate: frozenset(("completeness",)),
    roll_back: frozenset(("completeness",)),
    rewrite: LOG,  # without one of the last records, it is only too short
    forge: frozenset(("authenticity",)),
    splice: frozenset(("integrity",)),
    drop: frozenset(("completeness",)),
    exchange: frozenset(("integrity",)),
    edit_checkpoint: frozenset(("authenticity",)),
    replay_checkpoint: frozenset(("authenticity",)),
    remove_checkpoint: frozenset(("completeness",)),
}


def campaign(original: Original, tamper: Tamper, count: int, seed: int) -> Counter[str]:
    """
    Tamper so many times; which verdicts found how many.

    Raises:
        AssertionError: One was not found, or by no verdict that should.
    """
    chance = random.Random(f"{tamper.__name__}-{seed}")
    found: Counter[str] = Counter()
    for number in range(count):
        tamper(original, chance)
        report = original.verify()
        verdicts = {name for name in ("integrity", "authenticity", "completeness", "semantics") if getattr(report, name)}
        assert report.exit_code == 1, (tamper.__name__, number, report.lines())
        assert verdicts & EXPECTED[tamper], (tamper.__name__, number, report.lines())
        found.update(verdicts)
        original.restore()
    assert original.verify().exit_code == 0
    return found


def main() -> None:
    """Run a campaign of each kind."""
    count, seed = (int(one) for one in [*sys.argv[1:], "1000", "0"][:2])
    for tamper in EXPECTED:
        folder = Path(tempfile.mkdtemp(prefix="guardrails-tampering-"))
        try:
            found = campaign(Original(folder), tamper, -(-count // len(EXPECTED)), seed)
        finally:
            shutil.rmtree(folder)
        print(f"{tamper.__name__:<18} {-(-count // len(EXPECTED)):>7} tried, all found: {dict(found)}")


if __name__ == "__main__":
    main()
