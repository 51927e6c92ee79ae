"""
The records of a log as tables of DuckDB, for questions in SQL: the report's, and a reviewer's own.

Rules. The tables lie in one file, where the reviewer says or in the user's cache folder, never in the log's folder, and
only their owner can read them. Each use brings them up to date: a file of the log that is not as it was is loaded anew.
They hold columns of records, so no text of a message and no address. A line that is no JSON is left out, and nothing here
checks a chain: `guardrails audit verify` does. No extension is loaded and no socket opened.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import tempfile
import time
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from guardrails.audit.reading import files
from guardrails.errors import ConfigError
from guardrails.reports.source import blocks, record_of

if TYPE_CHECKING:
    import duckdb

_VERSION: Final = 1
_WAIT_SECONDS: Final = 30.0  # for another process that has the tables open
_LOOK_SECONDS: Final = 0.1
_LINE_BYTES: Final = 1_048_576 + 2
_CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "threads": str(min(4, os.cpu_count() or 1)),
}
_GUARD: Final = (
    "STRUCT(name VARCHAR, layer VARCHAR, verdict VARCHAR, monitored BOOLEAN, duration_us BIGINT,"
    " findings MAP(VARCHAR, BIGINT), detail STRUCT(degraded BOOLEAN))[]"
)
_COUNTED: Final = "STRUCT(channel VARCHAR, control VARCHAR, decision VARCHAR, deny_code VARCHAR, count BIGINT)[]"
_WORDS: Final = (
    "ts", "stage", "stream", "channel", "tenant", "conversation", "operation", "send_id", "policy", "result", "error_type",
    "decision", "control", "deny_code", "why", "change",
)  # fmt: skip
_COLUMNS: Final = {
    **dict.fromkeys(_WORDS, "VARCHAR"),
    "seq": "BIGINT",
    "duration_us": "BIGINT",
    "findings": "MAP(VARCHAR, BIGINT)",
    "limit": "STRUCT(name VARCHAR)",
    "recipients": "STRUCT(digest VARCHAR)[]",
    "guards": _GUARD,
    "counted": _COUNTED,
}
_TYPES: Final = {**_COLUMNS, "ts": "TIMESTAMP"}
# What a question may be asked of. `records` holds one row a record; the views say it in other words.
VIEWS: Final = {
    "guards": (
        "SELECT ts, stage, channel, tenant, send_id, g.name AS control, g.layer, g.verdict, g.monitored, g.duration_us,"
        " coalesce(g.detail.degraded, false) AS degraded"
        " FROM (SELECT ts, stage, channel, tenant, send_id, unnest(guards) AS g FROM records)"
    ),
    "findings": (
        "SELECT ts, stage, channel, tenant, send_id, control, entity, found[entity] AS count FROM"
        " (SELECT ts, stage, channel, tenant, send_id, control, found, unnest(map_keys(found)) AS entity FROM"
        " (SELECT ts, stage, channel, tenant, send_id, control, findings AS found FROM records WHERE findings IS NOT NULL"
        " UNION ALL SELECT ts, stage, channel, tenant, send_id, g.name, g.findings FROM"
        " (SELECT ts, stage, channel, tenant, send_id, unnest(guards) AS g FROM records) WHERE g.findings IS NOT NULL))"
    ),
    "refusals": (
        "SELECT ts, tenant, c.channel, c.control, c.decision, c.deny_code, limit_name, c.count FROM"
        ' (SELECT ts, tenant, "limit".name AS limit_name, unnest(CASE WHEN len(counted) > 0 THEN counted ELSE'
        " [struct_pack(channel := channel, control := control, decision := decision, deny_code := deny_code,"
        " count := 1::BIGINT)] END) AS c FROM records WHERE stage = 'decision')"
    ),
    "sends": (
        "SELECT i.ts, i.channel, i.tenant, i.conversation, i.operation, i.send_id, i.policy, i.recipients, i.stream, i.seq,"
        " list_sum(list_transform(i.guards, lambda g: g.duration_us)) AS guard_us,"
        " o.result, o.error_type, o.duration_us AS send_us"
        " FROM (SELECT * FROM records WHERE stage = 'intent') i LEFT JOIN"
        " (SELECT send_id, any_value(result) AS result, any_value(error_type) AS error_type, max(duration_us) AS duration_us"
        " FROM records WHERE stage = 'outcome' GROUP BY send_id) o ON o.send_id = i.send_id"
    ),
}


def default_path(folder: str | os.PathLike[str]) -> Path:
    """Where the tables of *folder* lie unless somebody says otherwise: in the user's cache folder."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    cache = Path(named) if Path(named).is_absolute() else Path("~/.cache").expanduser()
    name = sha256(os.fsencode(Path(folder).resolve())).hexdigest()[:24]
    return cache / "guardrails" / "desk" / f"{name}.duckdb"


class Tables:
    """
    The tables of one log, up to date as of their opening.

    Args:
        folder: The log.
        path: Their file; created when it is missing. None: `default_path`.

    Raises:
        ConfigError: The extra is missing, the file would lie in the log's folder, or it cannot be used.
        OSError: The log cannot be read.
    """

    def __init__(self, folder: str | os.PathLike[str], path: str | os.PathLike[str] | None = None) -> None:
        try:
            import duckdb  # noqa: PLC0415 - an extra
        except ImportError:
            raise ConfigError('SQL over a log needs an extra: pip install "platform-guardrails[desk]"') from None
        self.folder: Path = Path(folder)
        self.path: Path = default_path(folder) if path is None else Path(path)
        if self.folder.resolve() in self.path.resolve().parents:
            raise ConfigError("the tables must not lie in the log's folder: name another file with --index FILE")
        found = [(one, _identity(one)) for one in files(folder)]
        self._duckdb = duckdb
        try:
            self._db = self._opened()
            self._refresh(found)
            # From here on only questions: nothing outside of the tables can be read or written.
            self._db.execute("SET enable_external_access = false")
            self._db.execute("SET lock_configuration = true")
        except duckdb.Error as error:
            raise ConfigError(
                f"the tables {self.path.name} cannot be used ({type(error).__name__}): name another file with --index FILE"
            ) from None

    def ask(self, sql: str, values: Sequence[object] | dict[str, object] = ()) -> tuple[list[str], list[tuple[Any, ...]]]:
        """
        Column names and rows of one SELECT.

        Raises:
            ConfigError: It is no single SELECT, or does not fit the tables.
        """
        try:
            statements = self._db.extract_statements(sql)
            if len(statements) != 1 or statements[0].type is not self._duckdb.StatementType.SELECT:
                raise ConfigError("ask one question: a single SELECT")
            asked = self._db.execute(statements[0], values or None)
            return [str(column[0]) for column in asked.description or ()], asked.fetchall()
        except self._duckdb.Error as error:
            raise ConfigError(f"the question cannot be answered: {str(error).splitlines()[0]}") from None

    def close(self) -> None:
        """Let go of the tables."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _opened(self) -> duckdb.DuckDBPyConnection:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self.path.exists():
                _create(self.path, self._duckdb)
        except OSError as error:
            raise ConfigError(
                f"the tables {self.path.name} cannot be made ({type(error).__name__}): name another file with --index FILE"
            ) from None
        until = time.monotonic() + _WAIT_SECONDS
        while True:
            try:
                return self._duckdb.connect(str(self.path), config=_CONFIG)
            except self._duckdb.IOException:
                if time.monotonic() > until:
                    raise
                time.sleep(_LOOK_SECONDS)

    def _refresh(self, found: Iterable[tuple[Path, str]]) -> None:
        db = self._db
        db.execute("BEGIN")
        db.execute("CREATE TABLE IF NOT EXISTS desk (version INTEGER)")
        if db.execute("SELECT version FROM desk").fetchall() != [(_VERSION,)]:
            db.execute("DROP TABLE IF EXISTS records")
            db.execute("DROP TABLE IF EXISTS files")
            db.execute("DELETE FROM desk")
            db.execute("INSERT INTO desk VALUES (?)", [_VERSION])
            columns = ", ".join(f'"{name}" {kind}' for name, kind in _TYPES.items())
            db.execute(f"CREATE TABLE records (file VARCHAR, {columns})")
            db.execute("CREATE TABLE files (name VARCHAR, identity VARCHAR)")
            for name, query in VIEWS.items():
                db.execute(f"CREATE OR REPLACE VIEW {name} AS {query}")
        known = dict(db.execute("SELECT name, identity FROM files").fetchall())
        for path, identity in found:
            before = known.pop(path.name, None)
            if before == identity:
                continue
            if before is not None:
                self._forget(path.name)
            self._load(path)
            db.execute("INSERT INTO files VALUES (?, ?)", [path.name, identity])
        for name in known:
            self._forget(name)
        db.execute("COMMIT")

    def _forget(self, name: str) -> None:
        self._db.execute("DELETE FROM records WHERE file = ?", [name])
        self._db.execute("DELETE FROM files WHERE name = ?", [name])

    def _load(self, path: Path) -> None:
        try:
            self._insert(path.name, path)
        except self._duckdb.Error:  # bytes that are no text, or lines without an end: only what is a record is shown to it
            with tempfile.TemporaryDirectory(prefix="guardrails-desk-") as folder:
                clean = Path(folder) / "clean.jsonl"
                with clean.open("wb") as file:
                    for block in blocks(path):
                        file.writelines(line for line in block.splitlines(keepends=True) if record_of(line) is not None)
                self._insert(path.name, clean)

    def _insert(self, name: str, path: Path) -> None:
        if not path.stat().st_size:
            return
        columns = ", ".join(f'"{one}": {json.dumps(kind)}'.replace('"', "'") for one, kind in _COLUMNS.items())
        values = ", ".join("try_cast(ts AS TIMESTAMP)" if one == "ts" else f'"{one}"' for one in _COLUMNS)
        self._db.execute(
            f"INSERT INTO records SELECT ?, {values} FROM read_json(?, format = 'newline_delimited',"  # noqa: S608 - our own names
            f" columns = {{{columns}}}, ignore_errors = true, maximum_object_size = {_LINE_BYTES}, compression = ?)"
            " WHERE stage IS NOT NULL",
            [name, str(path), "gzip" if path.name.endswith(".gz") else "none"],
        )


def _create(path: Path, duckdb: Any) -> None:
    """An empty file of tables that only its owner can read, under its name at once."""
    with tempfile.TemporaryDirectory(prefix=".desk-", dir=path.parent) as folder:
        new = Path(folder) / "new.duckdb"
        duckdb.connect(str(new), config=_CONFIG).close()
        new.chmod(0o600)
        try:
            os.link(new, path)
        except FileExistsError:  # another process was faster
            return


def _identity(path: Path) -> str:
    """What changes when a file of the log changes."""
    status = path.stat(follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", path.name)
    return f"{status.st_dev}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"
