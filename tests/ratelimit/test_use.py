"""What is used of a limit: for people who look (`guardrails limits`), and as header fields."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from guardrails import Cap, Concurrency, Deferred, Guard, Message, RateLimited, UniqueRecipients
from guardrails.audit import read_records, verify_directory
from guardrails.cli.app import app
from guardrails.ratelimit import Limit, RateLimit, rate_limit_fields
from tests.ratelimit.conftest import KEYS
from tests.servers import Server

ANN = "+12125550173"
STRATEGIES = ("fixed-window", "moving-window", "sliding-window-counter")

MODULE = """
from guardrails import Cap, Concurrency, Guard, Limit, RateLimit, UniqueRecipients
from guardrails.keys import Keys

keys = Keys(b"k" * 32)
limits = RateLimit(Limit("4/hour", per="recipient"), Limit("100/day", per="tenant", name="daily"), storage={url!r}, keys=keys)
guard = Guard(limits, Concurrency(2, per="recipient", storage={url!r}, keys=keys), channel="sms")
team = guard.extend(RateLimit(Limit("9/hour", per="recipient", name="team"), storage={url!r}, keys=keys, name="own"))
people = Guard(
    Cap("2/day", zone="Europe/Berlin", storage={url!r}, keys=keys),
    UniqueRecipients(10, window="24h", storage={url!r}, keys=keys),
    channel="sms",
)
in_memory = Guard(RateLimit("4/hour", per="recipient"), channel="sms")
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of somebody's, made for an address; its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    def made(url: str) -> str:
        name = f"shop_{next(numbers)}"
        (tmp_path / f"{name}.py").write_text(MODULE.format(url=url))
        return name

    return made


numbers = itertools.count()


class Refusing(Exception):
    """A provider that took nothing."""


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("kind", ["memory", "store"])
def test_g6_a_refund_of_what_was_taken_before_a_reset_gives_nothing_to_the_window_after_it(
    kind: str, strategy: str, server: Server
) -> None:
    where: dict[str, Any] = {"storage": server.url, "keys": KEYS} if kind == "store" else {}
    control = RateLimit(Limit("2/hour", per="recipient", strategy=strategy), refund_on=(Refusing,), **where)
    message = Message({"body": "hello"}, channel="sms", recipients=ANN)
    sent: list[str] = []

    @Guard(control, channel="sms")
    def send(to: str, body: str) -> None:
        if body == "fails":  # everything happens while it is under way
            assert control.reset(message) == 1
            send(ANN, "one")
            send(ANN, "two")
            raise Refusing
        sent.append(body)

    with pytest.raises(Refusing):
        send(ANN, "fails")
    control.close()  # tells the store what is owed
    assert [one.used for one in control.usage(message)] == [2]
    with pytest.raises(RateLimited):
        send(ANN, "three")
    assert sent == ["one", "two"]


def command(*arguments: str, said: str) -> Result:
    return CliRunner().invoke(app, ["limits", *arguments], input=said)


def message(**more: Any) -> Message:
    return Message("hello", channel="sms", recipients=more.pop("to", ANN), **more)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("shared", [False, True])
def test_use_is_what_was_sent_and_looking_takes_nothing(server: Server, strategy: str, shared: bool) -> None:  # noqa: FBT001
    storage: dict[str, Any] = {"storage": server.url, "keys": KEYS} if shared else {}
    limit = RateLimit(Limit("3/hour", per="recipient", strategy=strategy), Limit("9/hour", per="tenant"), **storage)
    for expected in range(4):
        for _ in range(2):
            (use,) = limit.usage(message())  # no tenant: that limit is left out
            assert (use.used, use.remaining, use.limit) == (expected, 3 - expected, "recipient/hour")
            assert (use.retry_after > 0) is (expected == 3)
        if expected < 3:
            send_one(limit)
    assert limit.reset(message()) == 1
    assert limit.usage(message())[0].used == 0
    assert limit.reset(message(), limit="another") == 0
    limit.close()


def send_one(limit: RateLimit) -> None:
    """Through the first limit alone, over the same counters: the other one needs a tenant."""
    Guard(limit.with_limits(limit.limits[0]), channel="sms").run(message(), lambda _: "sent")


def test_leases_are_shown_too(server: Server) -> None:
    control = Concurrency(2, storage=server.url, keys=KEYS)
    guard = Guard(control, channel="sms")

    @guard
    def send(to: str, body: str) -> int:
        return control.usage(message())[0].used

    assert send(ANN, "hello") == 1
    assert Concurrency(2).usage(message())[0].used == 0


@pytest.fixture(params=["memory", "file", "server"])
def people(request: pytest.FixtureRequest, server: Server, tmp_path: Path) -> dict[str, Any]:
    """Storages of rules for people."""
    urls = {"memory": "memory://", "file": f"sqlite:///{tmp_path}/people.db", "server": server.url}
    return {"storage": urls[request.param], "keys": KEYS}


def test_what_is_used_of_a_cap_is_shown_and_forgotten(people: dict[str, Any]) -> None:
    cap = Cap("2/day", zone="Europe/Berlin", **people)
    send = Guard(cap, channel="sms").wrap(lambda to, body: "sent")  # noqa: ARG005
    for expected in range(3):
        (use,) = cap.usage(message())
        assert (use.limit, use.scope, use.used, use.remaining, use.position) == (
            "cap",
            "recipient",
            expected,
            2 - expected,
            1,
        )
        assert (use.retry_after > 0) is (expected == 2)
        if expected < 2:
            send(ANN, "hello")
    with pytest.raises(Deferred):
        send(ANN, "hello")
    assert cap.usage(Message("x", channel="sms")) == []
    assert cap.reset(message(), limit="another") == cap.reset(Message("x", channel="sms")) == 0
    assert cap.reset(message()) == 1
    assert cap.reset(message()) == 0
    assert send(ANN, "hello") == "sent"
    cap.close()


def test_how_many_people_were_reached_is_shown_and_one_of_them_or_all_are_forgotten(people: dict[str, Any]) -> None:
    rule = UniqueRecipients(2, window="24h", per="sender", **people)
    send = Guard(rule, channel="sms").wrap(lambda to, body, sender: "sent", sender="sender")  # noqa: ARG005
    shop = Message("", channel="sms", sender="+12125550100")

    def reaching(to: str) -> Message:
        return Message("", channel="sms", sender="+12125550100", recipients=to)

    def used() -> tuple[int, bool]:
        (use,) = rule.usage(shop)
        return use.used, use.retry_after > 0

    assert used() == (0, False)
    for to in (ANN, ANN, "+12125550174"):
        send(to, "hello", sender="+12125550100")
    assert used() == (2, True)
    assert rule.usage(Message("x", channel="sms")) == []
    with pytest.raises(Deferred):
        send("+12125550175", "hello", sender="+12125550100")
    assert rule.reset(reaching("+12125550176")) == rule.reset(shop, limit="another") == 0
    assert rule.reset(reaching(ANN)) == 1
    assert used() == (1, False)
    assert send("+12125550175", "hello", sender="+12125550100") == "sent"
    assert rule.reset(shop) == 1
    assert used() == (0, False)
    rule.close()


def test_rules_for_people_count_in_the_rows_of_another_one(people: dict[str, Any]) -> None:
    one = Cap("2/day", zone="Europe/Berlin", **people)
    other = Cap("1/day", zone="Europe/Berlin", storage=one.kept)
    Guard(one, channel="sms").run(message(), lambda _: "sent")
    assert [use.remaining for use in other.usage(message())] == [0]
    with pytest.raises(Deferred):
        Guard(other, channel="sms").run(message(), lambda _: "sent")


def test_fields_say_what_is_left_and_when_to_come_back() -> None:
    limit = RateLimit(Limit("2/minute", per="recipient"), Limit("100/day"))
    send = Guard(limit, channel="sms").wrap(lambda to, body: "sent")  # noqa: ARG005
    send(ANN, "hello")
    assert rate_limit_fields(limit.usage(message())) == {
        "RateLimit-Policy": '"recipient/minute";q=2;w=60, "all/day";q=100;w=86400',
        "RateLimit": '"recipient/minute";r=1;t=0, "all/day";r=99;t=0',
    }
    send(ANN, "hello")
    with pytest.raises(RateLimited) as refused:
        send(ANN, "hello")
    assert rate_limit_fields(refused.value) == {
        "RateLimit-Policy": '"recipient/minute";q=2;w=60',
        "RateLimit": '"recipient/minute";r=0;t=60',
        "Retry-After": "60",
    }


def test_fields_of_what_never_fits_or_is_not_known() -> None:
    assert rate_limit_fields(RateLimited(limit="a", amount=1, window_seconds=1)) == {"RateLimit-Policy": '"a";q=1;w=1'}
    assert rate_limit_fields(RateLimited(retry_after=0.01)) == {"Retry-After": "1"}
    assert rate_limit_fields([]) == {}


def test_the_command_shows_a_bar_for_each_limit_and_resets_when_told(server: Server, shop: Any) -> None:
    name = shop(server.url)
    limit = RateLimit(Limit("4/hour", per="recipient"), storage=server.url, keys=KEYS)
    send = Guard(limit, channel="sms").wrap(lambda to, body: "sent")  # noqa: ARG005
    for _ in range(3):
        send(ANN, "hello")

    shown = command("show", f"{name}:guard", said="whatsapp:+1 212 555-0173\n")
    assert (shown.exit_code, shown.stderr) == (0, "")
    lines = shown.stdout.splitlines()
    assert lines[0].split() == "platform recipient/hour [###############.....] 3 of 4 in 3600 s, room now".split()  # noqa: SIM905
    assert lines[1].split() == "platform concurrency [....................] 0 of 2 at once, room now".split()  # noqa: SIM905
    assert "555" not in shown.stdout

    as_json = command("show", f"{name}:guard", "--json", said=f"recipient={ANN}\ntenant=acme\n")
    found = [json.loads(line) for line in as_json.stdout.splitlines()]
    assert {one["limit"]: one["used"] for one in found}["daily"] == 0

    asked = command("reset", f"{name}:guard", said=ANN)
    assert asked.stdout == "1 counters would be reset; add --yes to do it\n"
    done = command("reset", f"{name}:guard", "--yes", "--limit", "recipient/hour", said=ANN)
    assert (done.exit_code, done.stdout) == (0, "1 counters reset\n")
    assert limit.usage(message())[0].used == 0


def test_g3_a_reset_is_on_the_audit_log_before_it_is_done_by_digest(server: Server, shop: Any, tmp_path: Path) -> None:
    name = shop(server.url)
    with (tmp_path / f"{name}.py").open("a") as module:
        module.write(f"from guardrails import AuditLog\nlog = AuditLog({str(tmp_path / 'log')!r}, keys=keys)\n")
        module.write("guard = Guard(log, limits, channel='sms')\n")
    assert command("reset", f"{name}:guard", said=ANN).exit_code == 0
    assert not (tmp_path / "log").exists()

    assert command("reset", f"{name}:guard", "--yes", said=ANN).exit_code == 0
    (record,) = [one for one in read_records(tmp_path / "log") if one["stage"] == "config"]
    assert record["change"] == "limits reset"
    digest = next(iter(KEYS.labels("audit/recipient", None, ANN))).removeprefix("hmac-sha256:")
    assert record["facts"] | {"user": ""} == {"limit": "all", "recipient": digest, "roles": "recipient", "user": ""}
    assert verify_directory(tmp_path / "log").exit_code == 0

    for path in (tmp_path / "log").iterdir():
        path.unlink()
    (tmp_path / "log").rmdir()
    (tmp_path / "log").write_text("in the way")
    refused = command("reset", f"{name}:guard", "--yes", said=ANN)
    assert (refused.exit_code, refused.stdout) == (1, "")


def test_the_command_shows_and_resets_rules_for_people(server: Server, shop: Any) -> None:
    name = shop(server.url)
    cap = Cap("2/day", zone="Europe/Berlin", storage=server.url, keys=KEYS)
    Guard(cap, UniqueRecipients(10, window="24h", storage=server.url, keys=KEYS), channel="sms").run(
        message(), lambda _: "sent"
    )
    shown = command("show", f"{name}:people", said=ANN)
    assert [line.split() for line in shown.stdout.splitlines()] == [
        "platform cap [##########..........] 1 of 2 on a day, room now".split(),  # noqa: SIM905
        "platform unique_recipients [##..................] 1 of 10 people in 86400 s, room now".split(),  # noqa: SIM905
    ]
    for more in ([], ["--yes"]):
        mistaken = command("reset", f"{name}:people", "--limit", "cup", *more, said=ANN)
        assert (mistaken.exit_code, "there are cap, unique_recipients" in mistaken.stderr) == (2, True)
    assert command("reset", f"{name}:people", said=ANN).stdout == "2 counters would be reset; add --yes to do it\n"
    assert command("reset", f"{name}:people", "--yes", said=ANN).stdout == "2 counters reset\n"
    assert cap.usage(message())[0].used == 0
    refused = command("show", f"{name}:people", said="somebody")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "neither a phone number" in refused.stderr


@pytest.mark.parametrize(
    ("target", "said", "code", "says"),
    [
        (":guard", "", 2, "who is meant"),
        (":guard", "phone=+12125550173", 2, "line 1"),
        (":guard", "tenant=a\ntenant=b", 2, "line 2"),
        (":in_memory", ANN, 2, "in memory"),
        (":nothing", ANN, 2, "not a guard"),
        (".yaml", ANN, 2, "no such file"),
        (":guard", ANN, 1, "does not answer"),
    ],
)
def test_a_wrong_command_is_one_line(shop: Any, target: str, said: str, code: int, says: str) -> None:
    ran = command("show", shop("redis://127.0.0.1:1/0") + target, said=said)
    assert (ran.exit_code, ran.stdout) == (code, "")
    assert says in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert "555" not in ran.stderr
