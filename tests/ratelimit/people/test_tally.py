"""Rows of caps and counts, in every storage, against a list."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guardrails.errors import Unavailable
from guardrails.keys import Keys
from guardrails.ratelimit.people import tally_file, tally_server
from guardrails.ratelimit.people.counted import kept_in
from guardrails.ratelimit.people.tally import SECOND, SETTLED, Full, MemoryTally, Tally, Want
from tests.ratelimit.people.conftest import Storage
from tests.servers import Server

KEYS = Keys(b"k" * 32)
HOUR = 3_600 * SECOND
NOON = 1_780_000_000 * SECOND


def tally_in(storage: Storage, keys: Keys = KEYS, **more: Any) -> Tally:
    arguments: dict[str, Any] = {
        "rule": "test", "max_keys": 1_000, "timeout_seconds": 0.9, "max_connections": 4, "plaintext_hosts": (), **more,
    }  # fmt: skip
    return kept_in(storage, keys, **arguments).tally


def of_messages(counter: str, amount: int, length: int = HOUR) -> Want:
    return Want(counter, "", amount, 0, 0, length)


def of_people(counter: str, member: str, amount: int, length: int = HOUR) -> Want:
    return Want(counter, member, amount, 0, 0, length)


class Row(NamedTuple):
    at: int
    counter: str
    member: str
    grant: str


class Model:
    """A list of rows, and nothing clever."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def take(self, grant: str, wants: list[Want], now: int) -> bool:
        new: list[Row] = []
        for want in wants:
            live = [row for row in self.rows if row.counter == want.counter and row.at > now - want.length]
            live += [row for row in new if row.counter == want.counter]
            seen = {row.member for row in live}
            used = len(seen - {want.member}) if want.member else len(live)
            if used + 1 > want.amount:
                return False
            new.append(Row(now, want.counter, want.member, grant))
        self.rows += new
        return True

    def give_back(self, grant: str) -> None:
        self.rows = [row for row in self.rows if row.grant != grant]


takes = st.lists(
    st.one_of(
        st.builds(of_messages, st.sampled_from(["a", "b"]), st.just(3)),
        st.builds(of_people, st.just("c"), st.sampled_from("xyz"), st.just(2)),
    ),
    min_size=1,
    max_size=3,
)
operations = st.lists(
    st.one_of(
        takes,
        st.integers(0, 6),
        st.timedeltas(min_value=timedelta(0), max_value=timedelta(hours=2)),
        st.timedeltas(min_value=timedelta(minutes=5), max_value=timedelta(minutes=15)),
    ),
    max_size=25,
)
numbers: Iterator[int] = itertools.count()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(done=operations)
def test_g6_what_is_taken_is_what_a_list_says(storage: Storage, done: list[Any]) -> None:
    """A server's time cannot be moved: there everything happens at once."""
    tally, model, now, taken = tally_in(storage), Model(), NOON, []
    own = f"{next(numbers)}:"  # counters of this example alone
    for step in done:
        if isinstance(step, list):
            grant = f"g{next(numbers)}"
            wants = [want._replace(counter=own + want.counter) for want in step]
            full = tally.take(grant, lambda _, wants=wants: wants, now)  # type: ignore[misc]  # bound now
            assert (full is None) == model.take(grant, wants, now)
            if full is None:
                taken.append((grant, wants, now))
            elif full.free_at:
                assert full.free_at > now
        elif isinstance(step, int):
            if taken:
                grant, wants, at = taken.pop(step % len(taken))
                if at <= now - SETTLED:
                    continue
                tally.give_back(grant, lambda _, wants=wants: wants, now)  # type: ignore[misc]  # bound now
                tally.give_back(grant, lambda _, wants=wants: wants, now)  # type: ignore[misc]  # bound now
                model.give_back(grant)
        elif not storage.startswith("redis"):
            now += step // timedelta(microseconds=1)
    if not isinstance(tally, MemoryTally):
        tally.close()


def test_a_taking_that_was_asked_for_twice_is_taken_once_and_one_given_back_is_not_taken_later(
    storage: Storage,
) -> None:
    tally = tally_in(storage)
    if isinstance(tally, MemoryTally):
        return
    wants = [of_messages("a", 2)]
    tally.take("one", lambda _: wants, NOON)
    if storage.startswith("redis"):  # asked again after an answer that was lost
        tally.take("one", lambda _: wants, NOON)
    tally.give_back("early", lambda _: wants, NOON)
    with pytest.raises(Unavailable):
        tally.take("early", lambda _: wants, NOON)
    assert tally.take("two", lambda _: wants, NOON) is None
    full = tally.take("three", lambda _: wants, NOON)
    assert full is not None
    assert tally.look(lambda _: wants, NOON) == tally.look(lambda _: wants, NOON) != None  # noqa: E711 - a Full


def test_g11_of_a_person_who_is_written_to_often_few_rows_are_kept(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    tally, people = tally_in(storage), [of_people("c", "x", 2)]
    server = next((one for one in request.getfixturevalue("started").values() if one.url == storage), None)
    if server is not None:
        monkeypatch.setattr(tally_server, "_GRANT_MS", 1)  # a server's time cannot be moved
    for number in range(50):
        assert tally.take(f"g{number}", lambda _: people, NOON + number * SETTLED) is None

    if isinstance(tally, MemoryTally):
        rows = len(tally._counters["c"].rows)
    elif isinstance(tally, tally_file.SqliteTally):
        with tally._file.asked() as table:
            (rows,) = table.execute("SELECT COUNT(*) FROM tally").fetchone()
    else:
        assert server is not None
        with server.client() as client:
            rows = client.zcard("guardrails:people:t:c")
    assert rows < 25
    assert [one.used for one in tally.stand(lambda _: people, NOON + 49 * SETTLED)] == [1]
    tally.give_back("g49", lambda _: people, NOON + 49 * SETTLED)
    assert [one.used for one in tally.stand(lambda _: people, NOON + 49 * SETTLED)] == [1]  # those before still count


def test_when_there_will_be_room_is_told(storage: Storage) -> None:
    tally = tally_in(storage)
    people = [of_people("c", one, 2) for one in "xy"]
    assert tally.take("one", lambda _: people, NOON) is None
    assert tally.take("again", lambda _: people, NOON) is None
    newcomer = [of_people("c", "z", 2)]
    looked = tally.look(lambda _: newcomer, NOON)
    full = tally.take("two", lambda _: newcomer, NOON)
    assert isinstance(full, Full)
    assert looked == full
    if not storage.startswith("redis"):
        assert full.free_at == NOON + HOUR
        assert tally.take("two", lambda _: newcomer, NOON + HOUR - 1) is not None
        assert tally.take("two", lambda _: newcomer, NOON + HOUR) is None
    three = [of_people("d", one, 2) for one in "xyz"]
    assert tally.take("three", lambda _: three, NOON) == Full(2, 0)  # never: too many at once


def test_g6_threads_take_exactly_what_there_is(storage: Storage) -> None:
    tally = tally_in(storage)
    barrier = threading.Barrier(8)
    passed: list[None] = []

    def one(number: int) -> None:
        barrier.wait()
        results = [tally.take(f"{number}-{turn}", lambda _: [of_messages("a", 20)], NOON) for turn in range(10)]
        passed.extend(result for result in results if result is None)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(passed) == 20


def test_another_master_key_is_refused_and_an_older_one_that_is_listed_is_not(storage: Storage) -> None:
    if storage == "memory://":
        return
    tally_in(storage).take("one", lambda _: [of_messages("a", 2)], NOON)
    with pytest.raises(Unavailable, match="another master key"):
        tally_in(storage, Keys(b"n" * 32)).take("two", lambda _: [of_messages("a", 2)], NOON)
    with pytest.raises(Unavailable, match="another master key"):
        tally_in(storage, Keys(b"n" * 32)).look(lambda _: [of_messages("a", 2)], NOON)
    rotated = Keys([b"n" * 32, b"k" * 32])
    assert tally_in(storage, rotated).take("three", lambda _: [of_messages("a", 2)], NOON) is None


def test_g11_memory_is_bounded_and_what_counts_is_never_dropped() -> None:
    tally = MemoryTally(10)
    for number in range(10):
        assert tally.take(f"g{number}", lambda _, n=number: [of_messages(str(n), 1)], NOON) is None  # type: ignore[misc]
    with pytest.raises(Unavailable, match="max_keys"):
        tally.take("more", lambda _: [of_messages("more", 1)], NOON)
    assert all(tally.look(lambda _, n=number: [of_messages(str(n), 1)], NOON) for number in range(10))  # type: ignore[misc]
    later = NOON + 3 * 24 * HOUR
    assert tally.take("more", lambda _: [of_messages("more", 1)], later) is None
    assert len(tally._counters) < 10


def test_a_clock_that_steps_back_frees_nothing(storage: Storage) -> None:
    if storage.startswith("redis"):
        return  # its server's clock: see the test of times
    tally = tally_in(storage)
    tally.take("one", lambda _: [of_messages("a", 1)], NOON)
    assert tally.take("two", lambda _: [of_messages("a", 1)], NOON - 5 * HOUR) is not None
    assert tally.take("three", lambda _: [of_messages("a", 1)], NOON + HOUR) is None


def test_a_server_has_the_last_word_on_what_day_it_is(started: dict[str, Server]) -> None:
    day = 24 * HOUR

    def ask(now: int) -> list[Want]:
        begin = now // day * day
        return [Want("a", "", 1, begin, begin + day, 0)]

    for server in started.values():
        with server.client() as client:
            client.flushall()
            seconds, _ = client.time()
        today = int(seconds) * SECOND // day * day
        tally = tally_in(server.url)
        wrong = today - 400 * day  # a machine whose clock is wrong by a year
        assert tally.take("one", ask, wrong) is None
        full = tally.take("two", ask, today + 3 * day)
        assert full is not None
        assert full.free_at in (today + day, today + 2 * day)


def test_a_file_that_does_not_answer_gives_back_with_the_next_taking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tally = tally_in(f"sqlite:///{tmp_path}/people.db")
    assert isinstance(tally, tally_file.SqliteTally)
    wants = [of_messages("a", 1)]
    assert tally.take("one", lambda _: wants, NOON) is None
    with monkeypatch.context() as broken:
        broken.setattr("guardrails.server.file._WAIT_SECONDS", 0.01)
        tally._file._lock.acquire()
        tally.give_back("one", lambda _: wants, NOON)
        tally._file._lock.release()
    assert tally.take("two", lambda _: wants, NOON) is None
