"""
A file that is written once, whole, and can be gone on with after an interruption.

While it is being written it is `NAME.part`, and `NAME.progress` says how far it is: bytes of the input that are done, bytes of
the output that belong to them, and of which run that is. What a killed run wrote beyond that is cut off.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from guardrails.cli.usage import UsageError

_SCHEMA: Final = 1
_EVERY_SECONDS: Final = 1.0
_HEAD: Final = 65_536  # bytes that tell one input from another


@dataclass(slots=True)
class Tally:
    """
    What has been done so far.

    Args:
        place: Bytes of the input, the next line (from 1), and bytes of the output: changed together, at once, because somebody
            may interrupt between any two steps.
        records: Records.
        characters: Of text.
        hit: Records in which something was found.
        left_out: Records that could not be read.
        found: Entity to number.
    """

    place: tuple[int, int, int] = (0, 1, 0)
    records: int = 0
    characters: int = 0
    hit: int = 0
    left_out: int = 0
    found: Counter[str] = field(default_factory=Counter)


def identity(source: Path, digest: str) -> str:
    """Tells one run from another: the input's beginning, size and time, and what is looked for."""
    state = source.stat()
    with source.open("rb") as opened:
        head = hashlib.sha256(opened.read(_HEAD)).hexdigest()
    return hashlib.sha256(json.dumps([digest, head, state.st_size, state.st_mtime_ns]).encode()).hexdigest()


class Output:
    """
    One file on its way.

    Args:
        path: Where it is to be.
        run: Of which run it is; see `identity`.
        resume: Go on with what an interrupted run of the same kind left.
        force: Replace what is there.

    Attributes:
        tally: What is done.

    Raises:
        UsageError: It is there already, or cannot be gone on with.
    """

    def __init__(self, path: Path, run: str, *, resume: bool, force: bool) -> None:
        self._path = path
        self._part = path.with_name(f"{path.name}.part")
        self._progress = path.with_name(f"{path.name}.progress")
        self._run = run
        self._saved = 0.0
        self.tally: Tally = Tally()
        self.resumed: bool = False
        if path.exists() and not force:
            raise UsageError(f"{path} is there already; take another --output, or --force to replace it")
        written = 0
        if resume and self._progress.exists():
            written = self._read()
            self.resumed = True
        elif self._part.exists() and not force:
            raise UsageError(f"{self._part} is left of an interrupted run; go on with --resume, or start anew with --force")
        try:
            self._stream: BinaryIO = self._part.open("r+b" if self.resumed else "wb")
            self._stream.truncate(written)
            self._stream.seek(written)
        except OSError as error:
            problem = error.strerror or type(error).__name__
        else:
            return
        raise UsageError(f"cannot write {self._part}: {problem}")

    def write(self, text: str) -> None:
        """Add *text*; it counts once the tally's place is after it."""
        self._stream.write(text.encode("utf-8", "surrogateescape"))

    @property
    def written(self) -> int:
        """Bytes, with what does not count yet."""
        return self._stream.tell()

    def save(self, *, now: bool = False) -> None:
        """Say how far it is; at most once a second, unless *now*."""
        clock = time.monotonic()
        if not now and clock - self._saved < _EVERY_SECONDS:
            return
        self._saved = clock
        self._stream.flush()
        os.fsync(self._stream.fileno())
        offset, line, written = self.tally.place
        state = {
            "schema_version": _SCHEMA,
            "run": self._run,
            "written": written,
            "offset": offset,
            "line": line,
            "records": self.tally.records,
            "characters": self.tally.characters,
            "hit": self.tally.hit,
            "left_out": self.tally.left_out,
            "found": dict(self.tally.found),
        }
        fresh = self._progress.with_name(f"{self._progress.name}.new")
        fresh.write_text(json.dumps(state), encoding="utf-8")
        fresh.replace(self._progress)

    def finish(self) -> None:
        """It is whole: give it its name."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        self._part.replace(self._path)
        self._progress.unlink(missing_ok=True)

    def close(self) -> None:
        """Leave it, to be gone on with."""
        self.save(now=True)
        self._stream.close()

    def _read(self) -> int:
        try:
            state = json.loads(self._progress.read_text(encoding="utf-8"))
            run, written = state["run"], int(state["written"])
            self.tally = Tally(
                place=(int(state["offset"]), int(state["line"]), written),
                records=int(state["records"]),
                characters=int(state["characters"]),
                hit=int(state["hit"]),
                left_out=int(state["left_out"]),
                found=Counter({str(entity): int(number) for entity, number in state["found"].items()}),
            )
            enough = self._part.stat().st_size >= written
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            run, written, enough = None, 0, False
        if run != self._run or not enough:
            raise UsageError(
                f"{self._progress} is of another run: the input or the options changed; start anew with --force"
            )
        return written
