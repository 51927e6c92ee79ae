"""One run of `guardrails mask` or `scan` over its inputs: progress and summary on standard error, text on standard output."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from guardrails.cli.output import one_line, unescaped
from guardrails.cli.records import BadRecordError, format_of
from guardrails.cli.target import Output, Tally, identity
from guardrails.cli.usage import UsageError, is_folder
from guardrails.cli.work import Done, Search, looked_at
from guardrails.errors import GuardrailsError

INTERRUPTED: Final = 130  # exit code
_SHOWN: Final = 20  # places in the table of `scan`
_HEAD: Final = 8_192  # bytes in which a zero says that a file is no text


class Run:
    """
    One run.

    Args:
        search: What to look for.
        workers: Processes.
        quiet: Say nothing on standard error but errors.
    """

    def __init__(self, search: Search, workers: int, *, quiet: bool) -> None:
        self._search = search
        self._workers = workers
        self._quiet = quiet
        self._console = Console(file=unescaped(sys.stderr), highlight=False)
        self._began = time.monotonic()

    def mask(self, files: Sequence[Path], output: Path | None, *, resume: bool, force: bool) -> int:
        """
        Mask every input. Returns how many records were left out.

        Raises:
            UsageError: The arguments do not fit together, or a record cannot be read.
        """
        sources = _sources(files)
        if (resume or force) and (output is None or sources == [None]):
            raise UsageError("--resume and --force need files and --output")
        if len(sources) > 1 and (output is None or not is_folder(output)):
            raise UsageError("several files need --output FOLDER, and the folder has to be there")
        total = Tally()
        for source in sources:
            target = None if output is None else self._target(source, output, resume=resume, force=force)
            if target is not None and target.resumed and not self._quiet:
                self._console.print(f"going on after {target.tally.records:,} records")
            _add(total, self._masked(source, target))
        self._summary(total, "masked")
        return total.left_out

    def scan(self, files: Sequence[Path], *, as_json: bool) -> int:
        """
        Search every input. Returns how much was found.

        Raises:
            UsageError: A file cannot be read.
        """
        total, skipped = Tally(), 0
        places: list[tuple[str, str, str, str]] = []
        for source in _sources(files):
            for path in _below(source):
                if path is not None and path != source and _is_binary(path):
                    skipped += 1
                    continue
                tally = Tally()
                name = str(path or "-")
                with self._interruptible(tally, None):
                    for done in self._looked_at(path, tally, None, lambda _: None):
                        for field, entity, start, end, score in done.found:
                            if as_json:
                                where = {"file": name, "line": done.line, "field": field, "type": entity}
                                _say(json.dumps({**where, "start": start, "end": end, "score": round(score, 3)}))
                            elif len(places) < _SHOWN:
                                places.append((f"{name}:{done.line}", field, entity, f"{start}-{end}"))
                _add(total, tally)
        if not as_json and places:
            _show_places(places, sum(total.found.values()))
        self._summary(total, "searched", skipped=skipped)
        return sum(total.found.values())

    def _target(self, source: Path | None, output: Path, *, resume: bool, force: bool) -> Output:
        if source is None:
            return Output(output, "pipe", resume=False, force=force)
        path = output / source.name if is_folder(output) else output
        if path.exists() and source.exists() and path.samefile(source):
            raise UsageError(f"{source} would be written over while it is read; take another --output")
        try:
            run = identity(source, self._search.digest())
        except OSError as error:
            raise UsageError(f"cannot read {source}: {error.strerror or type(error).__name__}") from None
        return Output(path, run, resume=resume, force=force)

    def _masked(self, source: Path | None, target: Output | None) -> Tally:
        tally = Tally() if target is None else target.tally
        write = _to_stdout if target is None else target.write
        with self._interruptible(tally, None if source is None else target):
            for done in self._looked_at(source, tally, target, write):
                if done.out is not None:
                    write(done.out)
        if target is not None:
            target.finish()
        return tally

    def _looked_at(
        self, source: Path | None, tally: Tally, target: Output | None, write: Callable[[str], None]
    ) -> Iterator[Done]:
        """Every record of one input, counted once it was dealt with; *write* gets the header as it is."""
        with _read(source) as stream, self._progress(source, tally) as moved:
            kind = format_of(self._search.format, source, self._search.fields, self._search.delimiter)
            header = kind.header(stream)
            if header is not None and tally.place[0] == 0:
                write(header.raw)
                tally.place = (header.end, 1 + header.raw.count("\n"), 0 if target is None else target.written)
            offset, line, _ = tally.place
            if source is not None:
                stream.seek(offset)
            records = kind.records(stream, line, offset)
            for done in looked_at(records, self._search, source, header, workers=self._workers):
                yield done
                tally.place = (done.end, done.next_line, 0 if target is None else target.written)
                _count(tally, done)
                if target is not None and source is not None:
                    target.save()
                moved()

    @contextmanager
    def _interruptible(self, tally: Tally, target: Output | None) -> Iterator[None]:
        """What was done is kept when somebody interrupts, or a record cannot be read."""
        before = signal.signal(signal.SIGTERM, _interrupt)
        try:
            yield
        except BrokenPipeError:
            _leave_the_pipe()
        except KeyboardInterrupt:
            if target is not None:
                target.close()
            self._console.print(f"interrupted after {tally.records:,} records{'; go on with --resume' if target else ''}")
            raise typer.Exit(INTERRUPTED) from None
        except UsageError:
            if target is not None:
                target.close()
            raise
        finally:
            signal.signal(signal.SIGTERM, before)

    @contextmanager
    def _progress(self, source: Path | None, tally: Tally) -> Iterator[Callable[[], None]]:
        if self._quiet or not self._console.is_terminal:
            yield lambda: None
            return
        columns: list[Any] = [TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn()]
        with Progress(*columns, TimeRemainingColumn(), console=self._console, transient=True) as progress:
            size = None if source is None else source.stat().st_size
            task = progress.add_task("standard input" if source is None else escape(one_line(source.name)), total=size)
            yield lambda: progress.update(task, completed=tally.place[0])

    def _summary(self, total: Tally, what: str, *, skipped: int = 0) -> None:
        if self._quiet:
            return
        seconds = max(time.monotonic() - self._began, 0.001)
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(justify="right")
        table.add_column()
        table.add_row(f"{total.records:,}", f"records {what} in {seconds:,.1f} s ({total.records / seconds:,.0f} a second)")
        table.add_row(f"{total.characters:,}", "characters")
        table.add_row(f"{total.hit:,}", "records with findings")
        for entity, number in sorted(total.found.items(), key=lambda one: (-one[1], one[0])):
            table.add_row(f"{number:,}", f"  {entity}")
        if total.left_out:
            table.add_row(f"{total.left_out:,}", "records left out: they cannot be read, or may not be written")
        if skipped:
            table.add_row(f"{skipped:,}", "files left out: no text")
        self._console.print(table)


def _sources(files: Sequence[Path]) -> list[Path | None]:
    sources: list[Path | None] = [None if str(file) == "-" else file for file in files] or [None]
    if None in sources and len(sources) > 1:
        raise UsageError("standard input cannot be mixed with files")
    return sources


def _below(source: Path | None) -> Iterator[Path | None]:
    """*source* itself, or every file in the folder that it is; hidden ones are left out."""
    if source is None or not is_folder(source):
        yield source
        return
    for path in sorted(source.rglob("*")):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(source).parts):
            yield path


def _is_binary(path: Path) -> bool:
    try:
        with path.open("rb") as opened:
            return b"\0" in opened.read(_HEAD)
    except OSError as error:
        problem = error.strerror or type(error).__name__
    raise UsageError(f"cannot read {path}: {problem}")


@contextmanager
def _read(source: Path | None) -> Iterator[BinaryIO]:
    """An input; what goes wrong with it is told in one line."""
    name = "standard input" if source is None else str(source)
    try:
        if source is None:
            yield sys.stdin.buffer
            return
        with source.open("rb") as stream:
            yield stream
            return
    except BadRecordError as bad:
        problem = f"{name}: {bad}"
    except GuardrailsError as error:
        problem = str(error)
    except BrokenPipeError:
        raise
    except OSError as error:
        problem = f"cannot read {name}: {error.strerror or type(error).__name__}"
    raise UsageError(problem)


def _count(tally: Tally, done: Done) -> None:
    tally.records += 1
    tally.characters += done.characters
    tally.hit += bool(done.found)
    tally.left_out += done.out is None
    tally.found += done.counts()


def _add(total: Tally, tally: Tally) -> None:
    total.records += tally.records
    total.characters += tally.characters
    total.hit += tally.hit
    total.left_out += tally.left_out
    total.found += tally.found


def _show_places(places: Sequence[tuple[str, str, str, str]], found: int) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("where", "field", "type", "characters"):
        table.add_column(name, overflow="fold")
    for row in places:
        table.add_row(*(Text(one_line(cell)) for cell in row))  # names of files may look like markup
    console = Console(file=unescaped(sys.stdout), highlight=False)
    console.print(table)
    if found > len(places):
        console.print(f"and {found - len(places):,} more; --json shows all")


def _to_stdout(text: str) -> None:
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()


def _say(line: str) -> None:
    _to_stdout(f"{line}\n")


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _leave_the_pipe() -> NoReturn:
    """Whoever read the other end has gone; Python must not try to flush into it again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise typer.Exit(0)
