"""`Cap` and `UniqueRecipients`, in every storage."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails import AuditLog, Blocked, Cap, Deferred, Denied, Guard, Message, RateLimit, Unavailable, UniqueRecipients
from guardrails.errors import ConfigError, ControlError
from guardrails.keys import Keys
from guardrails.ratelimit import message_class
from guardrails.testing import FakeIo
from tests.ratelimit.passage import Passage, Refused, step
from tests.ratelimit.people.conftest import Storage
from tests.servers import Server

KEYS = Keys(b"k" * 32)
ANN = "+12125550173"
BOB = "bob@example.com"
PEOPLE = [f"person{number}@example.com" for number in range(9)]
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


def kept(storage: Storage) -> dict[str, Any]:
    return {"storage": storage, "keys": KEYS}


def send(*rules: Any, **more: Any) -> Any:
    return Guard(*rules, channel="sms", **more).wrap(sent)


def sent(to: Any, body: str, sender: str | None = None) -> str:
    return "sent"


def passed(call: Any, *people: Any, **more: Any) -> list[bool]:
    found = []
    for one in people:
        try:
            call(one, "hello", **more)
        except Deferred as refused:
            found.append(refused.not_before is None or refused.not_before < datetime.now(UTC))
        else:
            found.append(True)
    return found


def at(control: Any, now: datetime, *to: str, fails: bool = False, **more: Any) -> datetime | None:
    """A send at some time through a rule in memory; when it may be tried again if it was refused."""
    call: Any = Passage(Message("hello", channel="sms", recipients=to, **more), intent_fails=fails)
    call.io = FakeIo(now=now)
    try:
        step(control.guard(call, call.forward, call.io))
    except Deferred as refused:
        return refused.not_before
    return None


def test_so_many_for_each_person_in_whatever_spelling(storage: Storage) -> None:
    cap = send(Cap("3/day", per="recipient", zone="UTC", **kept(storage)))
    assert passed(cap, ANN, "whatsapp:+1 (212) 555-0173", "+12125550173", ANN) == [True, True, True, False]
    assert passed(cap, BOB, "BOB@EXAMPLE.com", "Bob <bob@example.com>", BOB) == [True, True, True, False]


def test_so_many_people_and_as_many_messages_to_them_as_one_likes(storage: Storage) -> None:
    unique = send(UniqueRecipients(3, window="24h", per="sender", **kept(storage)))
    first, second = {"sender": "+12125550100"}, {"sender": "+12125550101"}
    assert passed(unique, *PEOPLE[:3], **first) == [True] * 3
    assert passed(unique, PEOPLE[3], *PEOPLE[:3], **first) == [False, True, True, True]
    assert passed(unique, *PEOPLE[3:7], **second) == [True] * 3 + [False]


def test_g6_a_message_that_is_refused_at_the_door_costs_nothing(storage: Storage, tmp_path: Path) -> None:
    rules = Cap("2/day", zone="UTC", **kept(storage)), UniqueRecipients(2, window="24h", **kept(storage))
    late = RateLimit("4/hour")
    log = AuditLog(tmp_path / "audit", durability="os")
    guard = Guard(log, *rules, late, channel="sms")
    broken = guard.wrap(sent)
    broken(PEOPLE[0], "hello")
    log._writer.close()  # so that no intent can be written
    for person in PEOPLE[:4]:
        for _ in range(3):
            with pytest.raises(Unavailable):
                broken(person, "hello")
    again = send(*rules)
    assert passed(again, PEOPLE[0], PEOPLE[0], PEOPLE[1], PEOPLE[2]) == [True, False, True, False]


def test_one_recipient_too_many_refuses_the_whole_message(storage: Storage) -> None:
    call = send(UniqueRecipients(3, window="24h", **kept(storage)), Cap("1/day", zone="UTC", **kept(storage)))
    with pytest.raises(Blocked, match="never"):
        call(PEOPLE[:4], "hello")
    assert passed(call, PEOPLE[:2]) == [True]
    with pytest.raises(Deferred, match="recipient 2 of 2"):
        call([PEOPLE[5], PEOPLE[0]], "hello")
    assert passed(call, PEOPLE[5]) == [True]
    with pytest.raises(Blocked, match="never"):
        send(Cap("1/day", zone="UTC", name="other", **kept(storage)))([PEOPLE[6], PEOPLE[6]], "hello")  # sent twice


def test_caps_and_counts_of_one_storage_are_asked_together(storage: Storage) -> None:
    first, second = Cap("9/day", zone="UTC", **kept(storage)), UniqueRecipients(9, window="24h", **kept(storage))
    same = first._counting.tally is second._counting.tally
    assert same is (storage != "memory://")


def test_an_exempt_class_is_neither_held_nor_counted_and_the_record_says_so(storage: Storage, tmp_path: Path) -> None:
    cap = Cap("1/day", zone="UTC", exempt=("otp",), **kept(storage))
    with Guard(AuditLog(tmp_path / "audit", durability="os"), cap, channel="sms") as guard:
        call = guard.wrap(sent)
        for _ in range(3):
            with message_class("otp"):
                call(ANN, "your code")
        assert passed(call, ANN, ANN) == [True, False]
    lines = [json.loads(line) for path in (tmp_path / "audit").glob("*.jsonl") for line in path.read_text().splitlines()]
    assert sum('"exempt": "otp"' in json.dumps(line) for line in lines if line["stage"] == "intent") == 3


def test_tenants_count_apart_unless_the_scope_is_global(storage: Storage) -> None:
    from guardrails import context  # noqa: PLC0415

    apart = send(Cap("1/day", zone="UTC", name="apart", **kept(storage)))
    together = send(Cap("1/day", zone="UTC", scope="global", name="together", **kept(storage)))
    for call, expected in ((apart, True), (together, False)):
        with context(tenant="a"):
            assert passed(call, ANN) == [True]
        with context(tenant="b"):
            assert passed(call, ANN) == [expected]


def test_an_async_send_asks_from_a_worker_thread(storage: Storage, run: Any) -> None:
    cap = Cap("5/day", zone="UTC", **kept(storage))

    @Guard(cap, channel="sms")
    async def call(to: str, body: str) -> str:
        return "sent"

    async def main() -> None:
        for _ in range(5):
            await call(ANN, "hello")
        with pytest.raises(Deferred):
            await call(ANN, "hello")

    run(main)


def test_g6_many_at_once_pass_exactly(storage: Storage) -> None:
    cap = Cap("20/day", zone="UTC", **kept(storage))
    count = 0

    @Guard(cap, channel="sms")
    async def call(to: str, body: str) -> str:
        return "sent"

    async def one() -> None:
        nonlocal count
        try:
            await call(ANN, "hello")
        except Deferred:
            return
        count += 1

    async def main() -> None:
        await asyncio.gather(*(one() for _ in range(60)))

    with asyncio.Runner() as runner:
        runner.run(main())
    assert count == 20


@pytest.mark.parametrize("fault", ["kill", "stop"])
def test_g10_nothing_is_sent_within_two_seconds_of_a_store_that_is_dead_or_hangs(server: Server, fault: str) -> None:
    cap = Cap("9/day", zone="UTC", storage=server.url, keys=KEYS)
    call = send(cap)
    until = time.monotonic() + 15
    while True:
        try:
            call(ANN, "hello")
        except Unavailable:
            assert time.monotonic() < until
            continue
        break
    getattr(server, fault)()
    for _ in range(3):
        begun = time.monotonic()
        with pytest.raises(Unavailable):
            call(ANN, "hello")
        assert time.monotonic() - begun < 2
    server.start() if fault == "kill" else server.cont()
    until = time.monotonic() + 15
    while True:  # what the hanging server was asked for was given back: eight are left, or nine of a new one
        try:
            left = sum(passed(call, *[ANN] * 12))
        except Unavailable:
            assert time.monotonic() < until
            time.sleep(0.02)
        else:
            break
    assert left in (8, 9)


def test_g3_no_address_in_a_store_or_a_refusal(storage: Storage, tmp_path: Path) -> None:
    call = send(Cap("1/day", zone="UTC", **kept(storage)), UniqueRecipients(1, window="24h", **kept(storage)))
    call(ANN, "hello")
    with pytest.raises(Deferred) as refused:
        call(ANN, "hello")
    assert "555" not in str(refused.value)
    if storage.startswith("sqlite"):
        raw = b"".join(path.read_bytes() for path in tmp_path.glob("people.db*"))
        assert b"2125550173" not in raw


def test_who_is_no_address_is_refused_unless_ids_are_taken_as_they_are() -> None:
    with pytest.raises(Denied, match="recipient 1 of 1 is neither"):
        send(Cap("1/day", zone="UTC"))("U123", "hello")
    assert passed(send(Cap("1/day", zone="UTC", opaque_ids=True)), "U123", "U123") == [True, False]
    with pytest.raises(ControlError, match="sender"):
        at(UniqueRecipients(1, window="1h", per="sender"), NOON, ANN)


# -- by the calendar, in memory, where time obeys ------------------------------------------------------------------------------


def test_a_day_is_the_persons_day() -> None:
    cap = Cap("1/day")
    evening = datetime(2026, 7, 2, 3, 59, tzinfo=UTC)  # a minute to midnight in New York
    assert at(cap, evening, ANN) is None
    assert at(cap, evening, ANN) == datetime(2026, 7, 2, 4, tzinfo=UTC)
    assert at(cap, evening + timedelta(minutes=1), ANN) is None


def test_who_may_be_anywhere_has_days_of_25_hours() -> None:
    cap = Cap("1/day")
    assert at(cap, NOON, BOB) is None
    assert at(cap, NOON + timedelta(hours=24), BOB) == NOON + timedelta(hours=25)
    assert at(cap, NOON + timedelta(hours=25), BOB) is None


def test_who_may_be_in_one_of_two_zones_has_the_longer_day_of_both() -> None:
    cap = Cap("1/day", unknown=("Pacific/Kiritimati", "Pacific/Honolulu"))
    assert at(cap, NOON, BOB) is None
    assert at(cap, NOON, BOB) == datetime(2026, 7, 2, 10, tzinfo=UTC)  # when it is midnight in Honolulu
    # A new day in Kiritimati (from 10:00) is still the same one in Honolulu; and the other way round.
    assert at(cap, datetime(2026, 7, 2, 9, 59, tzinfo=UTC), BOB) is not None


def test_weeks_begin_on_monday_and_months_on_the_first() -> None:
    week, month = Cap("1/week", zone="UTC"), Cap("1/month", zone="UTC")
    assert at(week, NOON, ANN) is None
    assert at(week, NOON, ANN) == datetime(2026, 7, 6, tzinfo=UTC)
    assert at(month, NOON, ANN) is None
    assert at(month, NOON, ANN) == datetime(2026, 8, 1, tzinfo=UTC)


def test_a_window_moves_and_a_person_counts_from_the_last_message_on() -> None:
    rule = UniqueRecipients(2, window="24h")
    assert at(rule, NOON, PEOPLE[0]) is None
    assert at(rule, NOON + timedelta(hours=5), PEOPLE[1]) is None
    assert at(rule, NOON + timedelta(hours=6), PEOPLE[0]) is None
    assert at(rule, NOON + timedelta(hours=7), PEOPLE[2]) == NOON + timedelta(hours=29)
    assert at(rule, NOON + timedelta(hours=28), PEOPLE[2]) == NOON + timedelta(hours=29)
    assert at(rule, NOON + timedelta(hours=29), PEOPLE[2]) is None


@settings(max_examples=80, deadline=None)
@given(sends=st.lists(st.tuples(st.sampled_from(PEOPLE[:4]), st.integers(0, 40), st.booleans()), max_size=30))
def test_g6_no_stretch_of_the_window_reaches_more_people_and_a_refusal_costs_nothing(
    sends: list[tuple[str, int, bool]],
) -> None:
    rule, now, reached = UniqueRecipients(2, window="24h"), NOON, list[tuple[datetime, str]]()
    for person, hours, fails in sends:
        now += timedelta(hours=hours)
        known = {who for when, who in reached if when > now - timedelta(hours=24)}
        fits = len(known | {person}) <= 2
        try:
            refused = at(rule, now, person, fails=fails) is not None
        except Refused:
            assert fits
            continue
        assert refused is not fits
        if not refused:
            reached.append((now, person))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Cap("3/hour"), "take a Limit"),
        (lambda: Cap("0/day"), "take a Limit"),
        (lambda: Cap("three/day"), "take a Limit"),
        (lambda: Cap("3/day, 9/week"), "take a Limit"),
        (lambda: Cap(3), "take a Limit"),  # type: ignore[arg-type]
        (lambda: Cap("3/day", per="people"), "per is one of"),
        (lambda: Cap("3/day", per=("recipient", "recipient")), "per is one of"),
        (lambda: Cap("3/day", per="sender"), "calendar"),
        (lambda: Cap("3/day", scope="all"), "scope"),
        (lambda: Cap("3/day", zone="Mars/Olympus"), "IANA"),
        (lambda: Cap("3/day", storage="sqlite:people.db", keys=KEYS), "sqlite:///"),
        (lambda: Cap("3/day", storage="redis://people.example.com", keys=KEYS), "not be encrypted"),
        (lambda: Cap("3/day", storage="redis://localhost", keys=KEYS, timeout_seconds=5), "timeout_seconds"),
        (lambda: Cap("3/day", storage="sqlite:///x.db", keys=Keys.ephemeral()), "key that is kept"),
        (lambda: Cap("3/day", storage=5), "storage"),  # type: ignore[arg-type]
        (lambda: Cap("3/day", max_keys=0), "max_keys"),
        (lambda: UniqueRecipients(0, window="24h"), "amount"),
        (lambda: UniqueRecipients(5, window="day"), "window"),
        (lambda: UniqueRecipients(5, window="32d"), "window"),
        (lambda: UniqueRecipients(5, window="0h"), "window"),
        (lambda: UniqueRecipients(5, window=24), "window"),  # type: ignore[arg-type]
        (lambda: UniqueRecipients(5, window="24h", per="recipient"), "for whom"),
        (lambda: UniqueRecipients(5, window="24h", scope="all"), "scope"),
    ],
)
def test_a_wrong_argument_is_told(make: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        make()


def test_they_say_what_they_are() -> None:
    assert repr(Cap("1000/day", per=("sender", "channel"), zone="UTC")) == "Cap(1000/day, per=sender+channel)"
    assert repr(UniqueRecipients(250, window="7 days")) == "UniqueRecipients(250 in 7 days, per=all)"
