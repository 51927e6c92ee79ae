"""Rows of caps and counts in a SQLite file, for the processes of one machine; the clock is the machine's."""

from __future__ import annotations

import sqlite3
from collections.abc import Hashable, Sequence
from typing import Final, final

from guardrails.errors import Unavailable
from guardrails.keys import Digester
from guardrails.ratelimit.people.tally import SETTLED, Ask, Full, Stand, Want, begin_of, keep_of
from guardrails.server.file import SqliteFile

_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS tally (counter TEXT, member TEXT, at INTEGER NOT NULL, taken TEXT, gone INTEGER NOT NULL)",
    "CREATE INDEX IF NOT EXISTS tally_by_time ON tally (counter, at, member)",
    "CREATE INDEX IF NOT EXISTS tally_by_member ON tally (counter, member, at)",
    "CREATE INDEX IF NOT EXISTS tally_by_grant ON tally (taken)",
    "CREATE INDEX IF NOT EXISTS tally_by_end ON tally (gone)",
    "CREATE TABLE IF NOT EXISTS tally_keys (label TEXT PRIMARY KEY) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS about_tally (schema_version INTEGER NOT NULL)",
    "INSERT INTO about_tally SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM about_tally)",
)
OTHER_KEY: Final = (
    "the store was filled under another master key, and everybody would be counted anew; use that key, "
    "or list it as an older one"
)
GIVEN_BACK: Final = "people: given back before it was taken; nothing was sent"
_SWEPT: Final = 64  # rows that are over, deleted with each taking
_REMEMBERED: Final = 10_000  # takings that were given back, for those that come later than their undoing
_MERGE: Final = (  # of a person's rows that are not given back any more, all but the newest
    "DELETE FROM tally WHERE counter = :counter AND member = :member AND at < "
    "(SELECT MAX(at) FROM tally WHERE counter = :counter AND member = :member AND at <= :settled)"
)


@final
class SqliteTally:
    """
    Rows in one file.

    Args:
        path: The file.
        digester: Whose key the digests are made with.
    """

    blocks: bool = True
    is_remote: bool = False

    def __init__(self, path: str, digester: Digester) -> None:
        self._file = SqliteFile(path, _SCHEMA, asked_by="people", called="people: the store")
        self._path = path
        self._labels = digester.all_labels("tally")
        self._owed: dict[str, None] = {}  # to be given back when the file answers
        self._returned: dict[
            str, None
        ] = {}  # whoever was cancelled gives back while its taking may still wait for the file

    @property
    def place(self) -> Hashable:
        """The file."""
        return ("sqlite", self._path)

    def look(self, ask: Ask, now: int, /) -> Full | None:
        """Whether the rows would fit."""
        with self._file.asked() as table:
            self._check_key(table)
            return _judged(table, ask(now), now)

    def take(self, grant: str, ask: Ask, now: int, /) -> Full | None:
        """Take all rows, or none."""
        wants = ask(now)
        with self._file.asked(writes=True) as table:
            self._check_key(table)
            table.execute("INSERT OR IGNORE INTO tally_keys VALUES (?)", (self._labels[0],))
            if grant in self._returned:
                raise Unavailable(GIVEN_BACK)
            owed = list(self._owed)
            table.executemany("DELETE FROM tally WHERE taken = ?", [(one,) for one in owed])
            full = _judged(table, wants, now)
            if full is None:
                for want in wants:
                    at = max(now, _newest(table, want.counter))
                    row = (want.counter, want.member, at, grant, at + keep_of(want))
                    table.execute("INSERT INTO tally VALUES (?, ?, ?, ?, ?)", row)
                    if want.member:
                        table.execute(_MERGE, {"counter": want.counter, "member": want.member, "settled": at - SETTLED})
            table.execute(
                "DELETE FROM tally WHERE rowid IN (SELECT rowid FROM tally WHERE gone <= ? LIMIT ?)", (now, _SWEPT)
            )
        for one in owed:
            self._owed.pop(one, None)
        return full

    def give_back(self, grant: str, ask: Ask, now: int, /) -> None:  # noqa: ARG002 - the grant is enough
        """Undo a taking, also one that is still to come; where the file does not answer, with the next one."""
        self._returned[grant] = None
        if len(self._returned) > _REMEMBERED:
            self._returned.pop(next(iter(self._returned)), None)
        try:
            with self._file.asked(writes=True) as table:
                table.execute("DELETE FROM tally WHERE taken = ?", (grant,))
        except Unavailable:
            self._owed[grant] = None

    def stand(self, ask: Ask, now: int, /) -> list[Stand]:
        """How each counter stands."""
        with self._file.asked() as table:
            self._check_key(table)
            return [_stands(table, want, now) for want in ask(now)]

    def forget(self, wants: Sequence[Want], /) -> int:
        """Forget rows."""
        with self._file.asked(writes=True) as table:
            self._check_key(table)
            return sum(
                table.execute(
                    "DELETE FROM tally WHERE counter = ? AND (? = '' OR member = ?)",
                    (want.counter, want.member, want.member),
                ).rowcount
                > 0
                for want in wants
            )

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _check_key(self, table: sqlite3.Connection) -> None:
        known = {label for (label,) in table.execute("SELECT label FROM tally_keys")}
        if known and known.isdisjoint(self._labels):
            raise Unavailable(f"people: {OTHER_KEY}")


def _judged(table: sqlite3.Connection, wants: Sequence[Want], now: int) -> Full | None:
    taken: dict[str, list[str]] = {}
    worst: Full | None = None
    for number, want in enumerate(wants):
        at = max(now, _newest(table, want.counter))
        begin = begin_of(want, at)
        mine = taken.setdefault(want.counter, [])
        if want.member and (want.member in mine or _is_known(table, want, begin)):
            continue
        used = _used(table, want, begin)
        own = len(mine)
        mine.append(want.member)
        if used + own < want.amount:
            continue
        free = 0 if own >= want.amount else _free_at(table, want, begin, used + own + 1 - want.amount)
        if worst is None or free == 0 or (worst.free_at and free > worst.free_at):
            worst = Full(number, free)
    return worst


def _stands(table: sqlite3.Connection, want: Want, now: int) -> Stand:
    begin = begin_of(want, max(now, _newest(table, want.counter)))
    used = _used(table, want, begin)
    return Stand(used, _free_at(table, want, begin, used + 1 - want.amount) if used >= want.amount else 0)


def _newest(table: sqlite3.Connection, counter: str) -> int:
    (newest,) = table.execute("SELECT MAX(at) FROM tally WHERE counter = ?", (counter,)).fetchone()
    return newest or 0


def _is_known(table: sqlite3.Connection, want: Want, begin: int) -> bool:
    query = "SELECT 1 FROM tally WHERE counter = ? AND member = ? AND at > ? LIMIT 1"
    return table.execute(query, (want.counter, want.member, begin)).fetchone() is not None


def _used(table: sqlite3.Connection, want: Want, begin: int) -> int:
    what = "DISTINCT member" if want.member else "*"
    query = f"SELECT COUNT({what}) FROM tally WHERE counter = ? AND at > ?"  # noqa: S608 - one of two words of ours
    (used,) = table.execute(query, (want.counter, begin)).fetchone()
    return int(used)


def _free_at(table: sqlite3.Connection, want: Want, begin: int, need: int) -> int:
    """When *need* rows (or people) less will count."""
    if not want.length:
        return want.until
    if want.member:
        query = (
            "SELECT MAX(at) AS last FROM tally WHERE counter = ? AND at > ? GROUP BY member ORDER BY last LIMIT 1 OFFSET ?"
        )
    else:
        query = "SELECT at FROM tally WHERE counter = ? AND at > ? ORDER BY at LIMIT 1 OFFSET ?"
    found = table.execute(query, (want.counter, begin, need - 1)).fetchone()
    return (found[0] if found else begin + want.length) + want.length
