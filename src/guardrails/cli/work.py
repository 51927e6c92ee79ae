"""
Looks at records, here or in several processes; results come in the order of the records.

What is looked for is described by plain values (`Search`), so that a process that is started anew builds the same detection, and
so that a run that goes on can tell whether it is the same run.
"""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from guardrails.cli.records import BadRecordError, Format, Record, format_of
from guardrails.errors import Blocked

if TYPE_CHECKING:
    from guardrails.pii import MaskPII

BATCH: Final = 64  # records
_AHEAD: Final = 3  # batches a process, so that none waits


@dataclass(frozen=True, slots=True)
class Search:
    """
    What to look for, and where in a record.

    Args:
        format: Of the input; None for what its name suggests.
        fields: Selectors or columns.
        delimiter: Of CSV.
        entities: What to look for; empty for the default set.
        names: `"model"` or `"off"`.
        operators: Pairs of entity and operator.
        skip_bad: Leave records out that cannot be read, instead of stopping.
    """

    format: str | None = None
    fields: tuple[str, ...] = ()
    delimiter: str | None = None
    entities: tuple[str, ...] = ()
    names: str = "model"
    operators: tuple[tuple[str, str], ...] = ()
    skip_bad: bool = False

    def mask(self) -> MaskPII:
        """
        The control that does it.

        Raises:
            ConfigError: An entity or operator is not known, or the model is missing.
        """
        from guardrails.pii import MaskPII  # noqa: PLC0415 - a second of imports

        return MaskPII(entities=self.entities or None, names=self.names, operators=dict(self.operators))

    def digest(self) -> str:
        """The same for the same search."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Done:
    """
    One record that was looked at.

    Args:
        line: Its first line.
        next_line: The line after it.
        end: Bytes of the input up to its end.
        out: What to write; None to leave it out.
        characters: How much text was looked at.
        found: Field, entity, start, end and score of everything that was found.
        problem: Why it was left out.
    """

    line: int
    next_line: int
    end: int
    out: str | None = field(repr=False)
    characters: int
    found: tuple[tuple[str, str, int, int, float], ...]
    problem: str = ""

    def counts(self) -> Counter[str]:
        """Entity to number of findings."""
        return Counter(entity for _, entity, *_ in self.found)


class Worker:
    """Looks at records in this process."""

    def __init__(self, search: Search, path: Path | None, header: Record | None) -> None:
        self._search = search
        self._mask = search.mask()
        self.format: Format = format_of(search.format, path, search.fields, search.delimiter)
        if header is not None:
            self.format.header(io.BytesIO(header.raw.encode()))

    def look(self, record: Record) -> Done:
        """
        One record, masked.

        Raises:
            BadRecordError: It cannot be read, or may not be written, and none is to be left out.
        """
        found: list[tuple[str, str, int, int, float]] = []
        news: list[str] = []
        after = record.line + max(1, record.raw.count("\n"))
        try:
            texts = self.format.texts(record)
            for name, text in texts:
                masked, findings = self._mask.mask(text)
                news.append(masked)
                found += [(name, one.type, one.start, one.end, one.score) for one in findings]
            changed = news != [text for _, text in texts]
            out = self.format.rebuilt(record, news) if changed else record.raw
        except BadRecordError as bad:
            problem = str(bad)
        except Blocked as blocked:
            problem = f"line {record.line}: {blocked.reason}"
        else:
            return Done(record.line, after, record.end, out, sum(len(text) for _, text in texts), tuple(found))
        if not self._search.skip_bad:
            raise BadRecordError(problem)
        return Done(record.line, after, record.end, None, 0, (), problem)


_here: list[Worker] = []  # of a process that was started for this


def _begin(search: Search, path: Path | None, header: Record | None) -> None:
    _here.append(Worker(search, path, header))


def _batch(records: list[Record]) -> list[Done]:
    return [_here[0].look(record) for record in records]


def looked_at(
    records: Iterable[Record], search: Search, path: Path | None, header: Record | None, *, workers: int
) -> Iterator[Done]:
    """
    Each record's result, in order.

    Args:
        records: What to look at.
        search: What for.
        path: The file that they are from, for its format.
        header: What stood before them.
        workers: Processes; 1 for this one.

    Raises:
        BadRecordError: A record cannot be read, or a process died.
    """
    if workers == 1:
        worker = Worker(search, path, header)
        yield from map(worker.look, records)
        return
    source = iter(records)
    batches = iter(lambda: list(islice(source, BATCH)), [])
    waiting: deque[Future[list[Done]]] = deque()
    context = multiprocessing.get_context("spawn")  # a fork would share locks that somebody holds
    with ProcessPoolExecutor(workers, context, _begin, (search, path, header)) as pool:
        try:
            for batch in batches:
                waiting.append(pool.submit(_batch, batch))
                if len(waiting) >= workers * _AHEAD:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        except BrokenProcessPool:
            died = True
        else:
            died = False
        finally:
            for one in waiting:
                one.cancel()
    if died:
        raise BadRecordError("a worker process died (perhaps for want of memory); take fewer --workers")
