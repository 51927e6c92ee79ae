"""`QuietHours`: nothing at night, by the recipient's clock; the strictest of what is not known."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from guardrails import AuditLog, Blocked, Deferred, Guard, Message, QuietHours
from guardrails.errors import ConfigError, ControlError
from guardrails.ratelimit import message_class, time_zone
from guardrails.testing import FakeIo, try_control

NEW_YORK = "+12125550173"
LONDON = "+442079460123"
SYDNEY = "+61255501234"
FREE_OF_CHARGE = "+18005550123"  # somewhere in North America
ANN = "ann@example.com"
NOON = datetime(2026, 7, 1, 16, tzinfo=UTC)  # in New York


def until(rule: QuietHours, now: datetime, *to: str, **more: Any) -> datetime | None:
    """When it may be sent: now, or the time that a refusal names."""
    try:
        rule.check(Message("hello", channel="sms", recipients=to, **more), now)
    except Deferred as deferred:
        return deferred.not_before
    return now


@pytest.mark.parametrize(
    ("hour", "expected"),
    [(0, 12), (6, 12), (11, 12), (12, 12), (18, 18), (24, 24), (25, 36)],  # UTC; New York is four hours behind
)
def test_it_is_quiet_from_nine_to_eight_where_the_number_is(hour: int, expected: int) -> None:
    midnight = datetime(2026, 7, 1, tzinfo=UTC)
    rule = QuietHours("20:00" if hour < 12 else "21:00", "08:00")
    assert until(rule, midnight + timedelta(hours=hour), NEW_YORK) == midnight + timedelta(hours=expected)


def test_the_end_is_outside_and_the_beginning_inside() -> None:
    rule = QuietHours("21:00", "08:00", zone="UTC")
    day = datetime(2026, 7, 1, tzinfo=UTC)
    second = timedelta(seconds=1)
    assert until(rule, day.replace(hour=8), ANN) == day.replace(hour=8)
    assert until(rule, day.replace(hour=8) - second, ANN) == day.replace(hour=8)
    assert until(rule, day.replace(hour=21) - second, ANN) == day.replace(hour=21) - second
    assert until(rule, day.replace(hour=21), ANN) == day.replace(hour=8) + timedelta(days=1)


def test_of_several_recipients_the_last_to_wake_decides() -> None:
    rule = QuietHours("21:00", "08:00")
    assert until(rule, NOON, NEW_YORK) == NOON
    assert until(rule, NOON, NEW_YORK, SYDNEY) == datetime(2026, 7, 1, 22, tzinfo=UTC)


def test_a_number_that_may_be_in_several_zones_is_in_all_of_them() -> None:
    rule = QuietHours("21:00", "08:00")
    now = datetime(2026, 7, 1, 23, tzinfo=UTC)
    assert until(rule, now, NEW_YORK) == now
    # From Newfoundland to Guam there is an hour and a half a day in which nobody sleeps.
    assert until(rule, now, FREE_OF_CHARGE) == now
    assert until(rule, NOON, FREE_OF_CHARGE) == datetime(2026, 7, 1, 22, tzinfo=UTC)
    with pytest.raises(Blocked, match="any time"):
        until(QuietHours("19:00", "08:00"), now, FREE_OF_CHARGE)


def test_who_may_be_anywhere_is_blocked_unless_somebody_says_where_that_may_be() -> None:
    with pytest.raises(Blocked, match="time zone is not known"):
        until(QuietHours("21:00", "08:00"), NOON, ANN)
    rule = QuietHours("21:00", "08:00", unknown=("America/New_York", "America/Los_Angeles"))
    assert until(rule, NOON, ANN) == NOON
    assert until(rule, NOON - timedelta(hours=3), ANN) == NOON - timedelta(hours=1)  # awake in New York, not in Los Angeles


def test_a_resolver_a_caller_and_a_block_say_where_somebody_is() -> None:
    homes = {ANN: "Asia/Tokyo"}
    rule = QuietHours("21:00", "08:00", zone=homes.get)
    assert until(rule, NOON, ANN) == datetime(2026, 7, 1, 23, tzinfo=UTC)
    assert until(rule, NOON, LONDON) == NOON  # the resolver does not know: the number hints
    assert until(rule, NOON, ANN, metadata={"time_zone": "America/New_York"}) == NOON
    with time_zone("Europe/Berlin"):
        assert until(rule, NOON, ANN) == NOON
        assert until(rule, NOON + timedelta(hours=4), ANN) == datetime(2026, 7, 2, 6, tzinfo=UTC)
    fixed = QuietHours("21:00", "08:00", zone="Asia/Tokyo")
    assert until(fixed, NOON, ANN, metadata={"time_zone": "America/New_York"}) == datetime(2026, 7, 1, 23, tzinfo=UTC)


@pytest.mark.parametrize("said", ["Mars/Olympus", "../../etc/passwd", "/etc/localtime", 5, ""])
def test_g10_a_zone_that_is_none_refuses(said: Any) -> None:
    rule = QuietHours("21:00", "08:00", zone=lambda _: said)
    with pytest.raises(ControlError, match="IANA"):
        until(rule, NOON, ANN)
    with pytest.raises(ConfigError, match="IANA"):
        QuietHours("21:00", "08:00", unknown=(said,))


def test_a_class_that_is_exempt_goes_out_and_the_record_says_so(tmp_path: Path) -> None:
    with AuditLogged(tmp_path, QuietHours("00:00", "23:59", zone="UTC", exempt=("otp",))) as (send, records):
        with pytest.raises(Deferred):
            send(ANN, "hello")
        with message_class("otp"):
            send(ANN, "hello")
    exempt = [guard for record in records() for guard in record.get("guards", ()) if "exempt" in json.dumps(guard)]
    assert exempt


class AuditLogged:
    """A guard with an audit log around some rules."""

    def __init__(self, folder: Path, *rules: Any) -> None:
        self.folder = folder / "audit"
        self.guard = Guard(AuditLog(self.folder, durability="os"), *rules, channel="sms")

    def __enter__(self) -> tuple[Any, Any]:
        @self.guard
        def send(to: str, body: str) -> str:
            return "sent"

        return send, self.records

    def __exit__(self, *_: object) -> None:
        self.guard.close()

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for path in self.folder.glob("*.jsonl") for line in path.read_text().splitlines()]


def test_a_rule_for_some_classes_holds_for_them_and_for_what_has_none() -> None:
    rule = QuietHours("00:00", "23:59", zone="UTC", classes=("marketing",))
    now = {"io": FakeIo(now=NOON)}
    for kind, passes in (("marketing", False), (None, False), ("transactional", True)):
        message = Message("hello", channel="sms", recipients=ANN, metadata={} if kind is None else {"message_class": kind})
        assert (try_control(rule, message, **now).error is None) is passes


def test_g2_quiet_hours_that_begin_on_the_way_hold_a_message_back_at_the_door() -> None:
    rule = QuietHours("21:00", "08:00", zone="UTC")
    io = FakeIo(now=datetime(2026, 7, 1, 20, 59, 59, tzinfo=UTC))
    trial = try_control(rule, Message("hello", channel="sms", recipients=ANN), io=io)
    assert trial.error is None
    io.advance(1)
    from guardrails.ratelimit.people.quiet import LookAgain  # noqa: PLC0415

    again: Any = LookAgain(rule, Message("hello", channel="sms", recipients=ANN))
    with pytest.raises(Deferred):
        again.commit(None, (), io).send(None)


def test_days_are_those_of_the_evening() -> None:
    rule = QuietHours("21:00", "12:00", zone="UTC", days=("sat",))
    sunday = datetime(2026, 7, 5, tzinfo=UTC)
    assert until(rule, sunday, ANN) == sunday.replace(hour=12)
    assert until(rule, sunday.replace(hour=22), ANN) == sunday.replace(hour=22)


def test_a_message_that_comes_in_or_has_nobody() -> None:
    rule = QuietHours("00:00", "23:59", zone="UTC")
    inbound = Message("hello", channel="sms", recipients=ANN, direction="inbound")
    assert try_control(rule, inbound, io=FakeIo(now=NOON)).error is None
    with pytest.raises(ControlError, match="no recipient"):
        until(rule, NOON)


def test_g3_a_refusal_names_a_place_and_no_address() -> None:
    with pytest.raises(Deferred) as refused:
        QuietHours("00:00", "23:59", zone="UTC").check(Message("hello", channel="sms", recipients=(ANN,)), NOON)
    assert str(refused.value) == "denied: quiet hours (00:00 to 23:59) of recipient 1 of 1"


@pytest.mark.parametrize(
    ("arguments", "more", "says"),
    [
        (("9pm", "08:00"), {}, "time of day"),
        (("21:00", "8"), {}, "time of day"),
        (("25:00", "08:00"), {}, "time of day"),
        ((21, 8), {}, "time of day"),
        (("08:00", "08:00"), {}, "the same"),
        (("00:00", "24:00"), {}, "the same"),
        (("21:00", "08:00"), {"days": "sat"}, "several of"),
        (("21:00", "08:00"), {"days": ("saturday",)}, "several of"),
        (("21:00", "08:00"), {"days": ()}, "several of"),
        (("21:00", "08:00"), {"zone": "Mars/Olympus"}, "IANA"),
        (("21:00", "08:00"), {"zone": 5}, "zone="),
        (("21:00", "08:00"), {"unknown": "Europe/Berlin"}, "several"),
        (("21:00", "08:00"), {"exempt": "otp"}, "several"),
        (("21:00", "08:00"), {"exempt": ("otp",), "classes": ("otp",)}, "stands in"),
        (("21:00", "08:00"), {"exempt": ("One Time",)}, "message class"),
    ],
)
def test_a_wrong_argument_is_told(arguments: Any, more: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        QuietHours(*arguments, **more)


def test_times_may_be_times() -> None:
    assert repr(QuietHours(time(21), time(8, 30), zone="UTC")) == "QuietHours(21:00 to 08:30)"
    assert repr(QuietHours("21:00", "24:00", zone="UTC")) == "QuietHours(21:00 to 00:00)"
