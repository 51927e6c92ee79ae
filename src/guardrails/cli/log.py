"""The log that a command is asked about: a folder, or a SQLite file whose streams are files for as long as the command runs."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from guardrails.audit.folder import log_files
from guardrails.audit.reading import lines
from guardrails.cli.usage import UsageError

Where = Annotated[
    Path, typer.Argument(metavar="LOG", help="The folder that was given to AuditLog, or the file of a SqliteSink.")
]
_SQLITE: Final = b"SQLite format 3\0"  # source: https://www.sqlite.org/fileformat.html, section 1.3
_RECORD: Final = b'"schema_version":'
POSTGRES: Final = ("postgres:", "postgresql:")


@dataclass(frozen=True, slots=True)
class Log:
    """
    Where a log can be read.

    Args:
        folder: Its streams, as files.
        is_copy: Whether they came out of a database, and go when the command ends.
    """

    folder: Path
    is_copy: bool = False

    def tables(self, chosen: Path | None) -> Path | None:
        """Where its tables for SQL are kept: those of a copy go with it."""
        return self.folder.with_name("tables.duckdb") if self.is_copy and chosen is None else chosen


@contextmanager
def opened(where: Path, *, may_be_empty: bool = False) -> Iterator[Log]:
    """
    The log at *where*.

    Args:
        where: A folder or a file.
        may_be_empty: Whether a folder without any stream will do. Otherwise it is a mistake: an answer from nothing would read
            like an answer from a log in which nothing happened.

    Raises:
        UsageError: There is none, and what to name instead.
        OSError: The folder cannot be read.
    """
    if not is_database(where):
        if not may_be_empty:
            _must_be_log(where)
        yield Log(where)
        return
    from guardrails.audit import SqliteSink, write_streams  # noqa: PLC0415 - `--help` does not need it

    with tempfile.TemporaryDirectory(prefix="guardrails-log-") as folder:
        log = Log(Path(folder) / where.name, is_copy=True)
        try:
            write_streams(SqliteSink(where), log.folder)
        except sqlite3.Error as error:
            raise UsageError(
                f"{where.name} cannot be read as the file of a SqliteSink ({error}). If it is one: copy it, and what lies beside "
                "it with -wal and -shm behind the same name, to a folder that you can write, and name the copy"
            ) from None
        yield log


def _must_be_log(folder: Path) -> None:
    """Refuse what would be answered from nothing."""
    found = log_files(folder)
    if not found:
        raise UsageError(f"no audit stream in {folder} (*.jsonl): name the folder that was given to AuditLog")
    if not any(map(_may_be_stream, found)):
        raise UsageError(f"no file in {folder} begins with an audit record; `guardrails audit verify` says what is wrong")


def _may_be_stream(path: Path) -> bool:
    try:
        first = next(lines(path), b"")
    except OSError:  # named by whoever reads on
        return True
    return not first or _RECORD in first


def is_database(where: Path, *, may_be_missing: bool = False) -> bool:
    """
    Whether *where* is the file of a `SqliteSink`; otherwise it is a folder, or with *may_be_missing* nothing yet.

    Raises:
        UsageError: It is neither, and what to name instead.
    """
    if str(where).startswith(POSTGRES):
        raise UsageError(
            "records in PostgreSQL are brought back to files first, with "
            "guardrails.audit.write_streams(PostgresSink(...), FOLDER): then name that folder"
        )
    try:
        if where.is_dir() or (may_be_missing and not where.exists()):
            return False
        if not where.is_file():
            raise UsageError(f"{where} is not there: name the folder that was given to AuditLog")
        begins = _begins_as_database(where)
    except OSError as error:
        raise UsageError(f"{where} cannot be read ({type(error).__name__})") from None
    if not begins:
        raise UsageError(f"{where} is a file, and no SQLite database: name the folder that was given to AuditLog")
    return True


def holds_log(where: Path) -> bool:
    """
    Whether *where* is a folder or a SQLite file, for commands that also take something else.

    Raises:
        UsageError: Nobody can tell.
    """
    try:
        return where.is_dir() or (where.is_file() and _begins_as_database(where))
    except OSError as error:
        problem = error.strerror or type(error).__name__
    raise UsageError(f"{where}: {problem}")


def _begins_as_database(where: Path) -> bool:
    with where.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE
