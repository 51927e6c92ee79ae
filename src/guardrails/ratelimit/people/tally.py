"""
Who was sent something, and when: rows that caps and counts of people ask.

A row is one message to one person, under the keyed digest of a counter. A rule asks for the rows since some instant, or within a
length of time; for all of them, or for how many different people there are. All rows of a message are taken together, or none;
what was taken is given back by its id. Times are microseconds of the store's clock since 1970.

Of a person who is counted, only the newest row matters, and those that may still be given back: the others are dropped, so that
a counter of people holds as many rows as people, and those of the last minutes.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Final, NamedTuple, Protocol, TypeAlias, final

from guardrails.core import forks
from guardrails.core.trial import MOMENT_SECONDS
from guardrails.errors import Unavailable

SECOND: Final = 1_000_000  # microseconds
SETTLED: Final = 600 * SECOND  # rows that are older are not given back any more
_SWEPT: Final = 2  # counters looked at for each one that is made


class Want(NamedTuple):
    """
    A row that a message asks for.

    Args:
        counter: Digest of what is counted.
        member: Digest of the person where people are counted; empty where messages are.
        amount: How many there may be.
        since: Rows from this instant on count; 0 where *length* says it.
        until: The instant at which other rows will count; what is asked at or after it is asked wrongly. 0 with *length*.
        length: Rows of this many microseconds count; 0 where *since* says it.
        kept: Microseconds for which its row is kept; 0 for as long as any rule may ask for it.
    """

    counter: str
    member: str
    amount: int
    since: int
    until: int
    length: int
    kept: int = 0

    def for_rehearsals(self, amount: int) -> Want:
        """The same for canaries: as many as one of them asks for, in a minute, and then forgotten."""
        length = round(MOMENT_SECONDS) * SECOND
        return self._replace(amount=amount, since=0, until=0, length=length, kept=2 * length)


class Full(NamedTuple):
    """A counter has no room: which want, and the microsecond from which it may have (0: never for this message)."""

    number: int
    free_at: int


Ask: TypeAlias = Callable[[int], Sequence[Want]]  # wants, for a time


class Stand(NamedTuple):
    """How a counter stands: the rows (or people) that count, and the microsecond from which one more fits (0: now)."""

    used: int
    free_at: int


class Tally(Protocol):
    """
    What caps and counts ask of a store. Every method may raise `Unavailable`.

    Attributes:
        blocks: Whether a call may wait for a disk or a network.
        is_remote: Whether it asks a server.
        place: What it is kept in; equal places are asked once.
    """

    blocks: bool
    is_remote: bool

    @property
    def place(self) -> Hashable:
        """What it is kept in."""

    def look(self, ask: Ask, now: int, /) -> Full | None:
        """Whether the rows would fit; *now* is the caller's time, which a store with a clock of its own corrects."""

    def take(self, grant: str, ask: Ask, now: int, /) -> Full | None:
        """Take all rows under the id *grant*, or none."""

    def give_back(self, grant: str, ask: Ask, now: int, /) -> None:
        """Undo a taking, whether it happened or not; once, and within `SETTLED`."""

    def stand(self, ask: Ask, now: int, /) -> list[Stand]:
        """How the counter of each want stands; nothing is taken."""

    def forget(self, wants: Sequence[Want], /) -> int:
        """Forget the rows of each want's member, or of its whole counter where it has none; how many had any."""

    def close(self) -> None:
        """Let go of files and connections."""


def begin_of(want: Want, now: int) -> int:
    """The instant after which rows of *want* count."""
    return now - want.length if want.length else want.since - 1


def keep_of(want: Want) -> int:
    """Microseconds for which a row may be asked for."""
    return want.kept or (want.length or want.until - want.since) + 2 * 86_400 * SECOND


class _Rows:
    """One counter in memory."""

    __slots__ = ("_fresh", "_settled", "gone_at", "members", "rows")

    def __init__(self) -> None:
        self.rows: list[tuple[int, str, str]] = []  # time, member, grant; oldest first
        self.members: dict[str, int] = {}
        self.gone_at = 0
        self._fresh: deque[tuple[int, str, str]] = deque()  # rows of people that may still be given back
        self._settled: dict[str, tuple[int, str, str]] = {}  # of each person the newest of the others

    def forget(self, before: int) -> None:
        old = bisect_right(self.rows, (before, "\uffff", ""))
        for _, member, _ in self.rows[:old]:
            self._less(member)
        del self.rows[:old]

    def add(self, now: int, member: str, grant: str, keep: int) -> None:
        row = (now, member, grant)
        insort(self.rows, row)
        self.members[member] = self.members.get(member, 0) + 1
        self.gone_at = max(self.gone_at, now + keep)
        if member:
            self._fresh.append(row)
            while self._fresh[0][0] <= now - SETTLED:
                self._settle(self._fresh.popleft())

    def _settle(self, row: tuple[int, str, str]) -> None:
        """It is not given back any more: of this person's rows it takes the place of the last one that was settled."""
        if not self._holds(row):
            return
        older = self._settled.get(row[1])
        if older is not None and self._holds(older):
            del self.rows[bisect_left(self.rows, older)]
            self._less(row[1])
        self._settled[row[1]] = row

    def _holds(self, row: tuple[int, str, str]) -> bool:
        at = bisect_left(self.rows, row)
        return at < len(self.rows) and self.rows[at] == row

    def remove(self, *, grant: str = "", member: str = "") -> bool:
        gone = [row for row in self.rows if row[2] == grant or (member and row[1] == member)]
        for row in gone:
            self.rows.remove(row)
            self._less(row[1])
        return bool(gone)

    def _less(self, member: str) -> None:
        left = self.members[member] - 1
        if left:
            self.members[member] = left
        else:
            del self.members[member]
            self._settled.pop(member, None)

    def newest(self) -> int:
        return self.rows[-1][0] if self.rows else 0


@final
class MemoryTally:
    """
    Rows of this process, gone with it.

    Args:
        max_keys: Counters kept at once; one that still counts is never dropped.
    """

    blocks: bool = False
    is_remote: bool = False

    def __init__(self, max_keys: int) -> None:
        self._counters: dict[str, _Rows] = {}
        self._max = max_keys
        self._lock = threading.Lock()
        forks.watch(self)

    def before_fork(self) -> None:
        """Stand still."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Go on with the rows as they were."""
        self._lock = threading.Lock()

    @property
    def place(self) -> Hashable:
        """This object."""
        return id(self)

    def look(self, ask: Ask, now: int, /) -> Full | None:
        """Whether the rows would fit."""
        with self._lock:
            return self._judged(ask(now), now)

    def take(self, grant: str, ask: Ask, now: int, /) -> Full | None:
        """Take all rows, or none."""
        wants = ask(now)
        with self._lock:
            full = self._judged(wants, now)
            if full is not None:
                return full
            self._make_room({want.counter for want in wants}, now)
            for want in wants:
                rows = self._counters.setdefault(want.counter, _Rows())
                rows.add(max(now, rows.newest()), want.member, grant, keep_of(want))
            return None

    def give_back(self, grant: str, ask: Ask, now: int, /) -> None:
        """Undo a taking."""
        with self._lock:
            for counter in {want.counter for want in ask(now)}:
                rows = self._counters.get(counter)
                if rows is not None:
                    rows.remove(grant=grant)

    def stand(self, ask: Ask, now: int, /) -> list[Stand]:
        """How each counter stands."""
        with self._lock:
            return [self._stands(want, now) for want in ask(now)]

    def forget(self, wants: Sequence[Want], /) -> int:
        """Forget rows."""
        with self._lock:
            return sum(self._forgotten(want) for want in wants)

    def close(self) -> None:
        """Nothing to let go of."""

    def _stands(self, want: Want, now: int) -> Stand:
        rows = self._counters.get(want.counter) or _Rows()
        begin = begin_of(want, max(now, rows.newest()))
        counted = [member for at, member, _ in rows.rows if at > begin]
        used = len(set(counted)) if want.member else len(counted)
        return Stand(used, _free_at(rows, want, begin, used + 1 - want.amount) if used >= want.amount else 0)

    def _forgotten(self, want: Want) -> bool:
        rows = self._counters.get(want.counter)
        if rows is None or (want.member and not rows.remove(member=want.member)):
            return False
        if not want.member or not rows.rows:
            del self._counters[want.counter]
        return True

    def _judged(self, wants: Sequence[Want], now: int) -> Full | None:
        taken: dict[str, list[str]] = {}
        worst: Full | None = None
        for number, want in enumerate(wants):
            rows = self._counters.get(want.counter) or _Rows()
            at = max(now, rows.newest())  # where the clock stepped back, the newest time counts
            begin = begin_of(want, at)
            mine = taken.setdefault(want.counter, [])
            if want.member:
                rows.forget(begin)
                if want.member in rows.members or want.member in mine:
                    continue
                used, own = len(rows.members), len(mine)
            else:
                used, own = len(rows.rows) - bisect_right(rows.rows, (begin, "\uffff", "")), len(mine)
            mine.append(want.member)
            if used + own < want.amount:
                continue
            free = 0 if own >= want.amount else _free_at(rows, want, begin, used + own + 1 - want.amount)
            if worst is None or free == 0 or (worst.free_at and free > worst.free_at):
                worst = Full(number, free)
        return worst

    def _make_room(self, new: set[str], now: int) -> None:
        missing = len(new - self._counters.keys())
        if not missing:
            return
        for looks in (_SWEPT * missing, len(self._counters)):
            for counter in list(self._counters)[:looks] if looks < len(self._counters) else list(self._counters):
                rows = self._counters.pop(counter)
                if rows.rows and rows.gone_at > now:
                    self._counters[counter] = rows  # to the end, to be looked at last
            if len(self._counters) + missing <= self._max:
                return
        raise Unavailable(
            f"people: {self._max} counters are in use, which is the most this one keeps; nothing was sent; raise max_keys="
        )


def _free_at(rows: _Rows, want: Want, begin: int, need: int) -> int:
    """When *need* rows (or people) less will count."""
    if not want.length:
        return want.until
    if not want.member:
        old = bisect_right(rows.rows, (begin, "\uffff", ""))
        return rows.rows[min(old + need, len(rows.rows)) - 1][0] + want.length
    last = {member: at for at, member, _ in rows.rows if at > begin}  # the newest of each
    return sorted(last.values())[min(need, len(last)) - 1] + want.length
