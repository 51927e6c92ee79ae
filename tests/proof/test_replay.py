"""Limits, caps, leases and counts of people, judged by a corpus whose messages have times."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from guardrails import ConfigError, Guard, Limit, RateLimit, from_policy, monitor
from guardrails.cli.app import app
from guardrails.keys import Keys
from guardrails.proof.ablation import overlap
from guardrails.proof.corpus import Specimen, read_corpus
from guardrails.proof.judged import Judged
from guardrails.ratelimit import Cap, Concurrency, QuietHours, Suppression, UniqueRecipients
from guardrails.ratelimit.people.optouts import MemoryOptOuts
from tests.servers import running, valkey_binary

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC).timestamp()
PEOPLE = tuple(f"+121255501{number:02}" for number in range(10))
POLICY = """\
version: 1
platform:
  limits: {person: {rate: 3 per minute, per: recipient}}
  person_caps: {daily: {rate: 5/day, per: recipient, zone: Europe/Berlin}}
  concurrency: {lines: {amount: 2, per: tenant}}
  unique_recipients: {people: {amount: 4, window: 24h, per: tenant}}
tenants:
  acme: {limits: {person: {rate: 2 per minute}}}
"""


def judged(guard: Guard, corpus: list[Specimen]) -> dict[str, Judged]:
    found = overlap(guard, corpus)
    assert found.unjudged == {}
    return {one.name: one for one in found.controls}


def figures(one: Judged) -> tuple[int, int, str]:
    return one.fired, one.only, one.verdict


def test_a_cap_by_calendar_is_judged_by_the_times_of_the_corpus() -> None:
    guard = Guard(Cap("2/day", zone="Europe/Berlin"), channel="sms")
    corpus = [
        Specimen("hello", PEOPLE[0], at=NOON + 3_600 * hours) for hours in range(16)
    ]  # midnight is after the eleventh
    assert figures(judged(guard, corpus)["cap"]) == (9 + 3, 12, "needed")


def test_a_count_of_people_is_judged_by_the_times_of_the_corpus() -> None:
    guard = Guard(UniqueRecipients(3, window="24h"), channel="sms")
    corpus = [Specimen("hello", one, at=NOON + number) for number, one in enumerate(PEOPLE)]
    corpus += [Specimen("again", PEOPLE[0], at=NOON + 100), Specimen("a day later", PEOPLE[9], at=NOON + 90_000)]
    assert figures(judged(guard, corpus)["unique_recipients"]) == (7, 7, "needed")


def test_leases_are_judged_by_how_long_sends_took() -> None:
    guard = Guard(Concurrency(2, per="tenant"), channel="sms")
    corpus = [Specimen("hello", at=NOON + number, seconds=2.5) for number in range(9)]
    assert figures(judged(guard, corpus)["concurrency"]) == (3, 3, "needed")
    short = [Specimen("hello", at=NOON + number, seconds=1.0) for number in range(9)]
    assert judged(guard, short)["concurrency"].verdict == "dead"


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 9), st.integers(0, 1)), max_size=25))
def test_leases_are_those_of_a_naive_model(sends: list[tuple[int, int, int]]) -> None:
    ends: dict[str, list[int]] = defaultdict(list)
    refused = 0
    for at, seconds, tenant in sorted(sends, key=lambda one: one[0]):
        running_now = ends[str(tenant)] = [end for end in ends[str(tenant)] if end > at]
        if len(running_now) >= 2:
            refused += 1
        else:
            running_now.append(at + seconds)
    corpus = [Specimen("hello", None, f"t{tenant}", NOON + at, float(seconds)) for at, seconds, tenant in sends]
    found = overlap(Guard(Concurrency(2, per="tenant"), channel="sms"), corpus).controls
    assert [one.fired for one in found] == ([refused] if sends else [])


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 2)), max_size=40))
def test_limits_are_those_of_a_naive_model(sends: list[tuple[int, int]]) -> None:
    sent: dict[int, list[int]] = defaultdict(list)
    refused = 0
    for at, person in sorted(sends, key=lambda one: one[0]):
        recent = sent[person] = [before for before in sent[person] if before > at - 60]
        if len(recent) >= 3:
            refused += 1
        else:
            recent.append(at)
    corpus = [Specimen("hello", PEOPLE[person], at=NOON + at) for at, person in sends]
    found = overlap(Guard(RateLimit("3/minute", per="recipient"), channel="sms"), corpus).controls
    assert [one.fired for one in found] == ([refused] if sends else [])


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "guardrails.yaml"
    path.write_text(POLICY)
    return path


def rush(count: int = 60) -> list[Specimen]:
    return [
        Specimen("hello", PEOPLE[number % 5], "acme" if number % 2 else "shop", NOON + number, 20.0)
        for number in range(count)
    ]


@pytest.mark.filterwarnings("ignore:.*has no examples")
def test_everything_that_a_policy_adds_is_judged(policy: Path) -> None:
    found = overlap(from_policy(policy, channel="sms"), rush())
    assert found.unjudged == {}
    told = {(one.name, tuple(one.tenants)): one for one in found.controls}
    assert set(told) == {
        ("daily", ()),
        ("people", ()),
        ("lines", ()),
        ("rate_limit", ("acme",)),
        ("rate_limit", ("shop",)),
    }
    assert all(one.fired for one in told.values())
    # Each of ten (person, tenant) pairs has six messages in a minute.
    assert told["rate_limit", ("shop",)].fired == 5 * 3
    assert told["rate_limit", ("acme",)].fired == 5 * 4
    assert told["daily", ()].fired == 10
    assert told["people", ()].fired == 2 * 6
    assert told["lines", ()].fired == 60 - 2 * 2 * 3
    assert told["rate_limit", ("acme",)].sentence(60).startswith("`rate_limit` of tenant acme caught 20 messages, ")


@pytest.mark.filterwarnings("ignore:.*has no examples")
def test_the_command_judges_a_policy(policy: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.jsonl"
    lines = [
        {"text": one.text, "to": one.recipient, "tenant": one.tenant, "seconds": 20, "at": f"2026-11-27T12:00:{number:02}Z"}
        for number, one in enumerate(rush())
    ]
    corpus.write_text("\n".join(map(json.dumps, lines)))
    done = CliRunner().invoke(app, ["overlap", str(corpus), "--guard", str(policy), "--json"])
    assert done.exit_code == 0, done.output
    (found,) = json.loads(done.stdout)
    assert found["unjudged"] == {}
    assert {(one["name"], *one["tenants"]): one["fired"] for one in found["controls"]} == {
        ("daily",): 10,
        ("people",): 12,
        ("lines",): 48,
        ("rate_limit", "acme"): 20,
        ("rate_limit", "shop"): 15,
    }


@pytest.mark.filterwarnings("ignore:.*has no examples")
def test_limits_of_a_policy_that_count_together_are_replayed_together(tmp_path: Path) -> None:
    path = tmp_path / "guardrails.yaml"
    path.write_text("""\
version: 1
platform:
  limits: {everybody: {rate: 6 per minute, scope: global}}
tenants:
  acme: {limits: {everybody: {rate: 2 per minute}}}
""")
    guard = from_policy(path, channel="sms")
    corpus = [Specimen("hello", PEOPLE[0], "shop" if number < 4 else "acme", NOON + number) for number in range(6)]
    told = {tuple(one.tenants): one for one in overlap(guard, corpus).controls}
    assert (told["acme",].fired, told["acme",].acted, told["acme",].verdict) == (0, 2, "needed")  # four count already


def test_nobody_s_counter_moves_and_no_server_is_asked(tmp_path: Path) -> None:
    keys = Keys(b"k" * 32)
    with running(valkey_binary(), tmp_path) as server:
        stored: dict[str, Any] = {"storage": server.url, "keys": keys}
        guard = Guard(
            RateLimit(Limit("2/minute", per="recipient"), **stored),
            Cap("2/day", zone="UTC", **stored),
            UniqueRecipients(2, window="24h", **stored),
            Concurrency(2, per="tenant", **stored),
            channel="sms",
        )
        send = guard(lambda to, body, org: to + body + org)
        server.kill()
        corpus = [Specimen("hello", PEOPLE[0], at=NOON + number, seconds=5.0) for number in range(6)]
        told = judged(guard, corpus)
        assert {name: one.fired for name, one in told.items()} == {
            "rate_limit": 4,
            "cap": 4,
            "unique_recipients": 0,
            "concurrency": 3,  # the sixth comes when the first has ended
        }
        server.start()
        assert send(PEOPLE[0], "hello", "acme")
        guard.close()


def test_a_team_that_counts_under_the_same_name_in_the_same_store_counts_apart(tmp_path: Path) -> None:
    with running(valkey_binary(), tmp_path) as server:
        stored: dict[str, Any] = {"storage": server.url, "keys": Keys(b"k" * 32)}
        platform = Guard(RateLimit("4/minute", per="recipient", **stored), channel="sms")
        team = platform.extend(RateLimit("2/minute", per="recipient", name="ours", **stored))
        corpus = [Specimen("hello", PEOPLE[0], at=NOON + number) for number in range(6)]
        told = judged(team, corpus)
        assert (told["rate_limit"].fired, told["ours"].fired) == (2, 4)


def test_a_limit_that_only_watches_refuses_nothing_and_is_judged_as_if_it_did() -> None:
    watching = monitor(RateLimit("1/minute", per="recipient", name="watching"))
    guard = Guard(RateLimit("3/minute", per="recipient"), watching, channel="sms")
    corpus = [Specimen("hello", PEOPLE[0], at=NOON + number) for number in range(6)]
    told = judged(guard, corpus)
    assert figures(told["rate_limit"]) == (3, 3, "needed")
    assert (told["watching"].fired, told["watching"].acted, told["watching"].only) == (5, 0, 2)


class Counts:
    """A limit of somebody's own."""

    kind = "limit"
    name = "counts"

    async def guard(self, call: Any, forward: Any, _io: Any, /) -> object:
        return await forward(call)


@pytest.mark.parametrize(
    ("control", "more", "lacks"),
    [
        (RateLimit("1/minute", per="recipient"), {"recipient": PEOPLE[0]}, '"at"'),
        (RateLimit("1/minute", per="recipient"), {"at": NOON}, '"to"'),
        (RateLimit("1/minute", per="sender"), {"at": NOON}, '"sender"'),
        (RateLimit("1/minute", per="conversation"), {"at": NOON}, '"conversation"'),
        (Concurrency(1), {"at": NOON}, '"seconds"'),
        (Counts(), {"at": NOON}, "`replayed`"),
    ],
)
def test_what_a_corpus_does_not_say_is_named(control: Any, more: dict[str, Any], lacks: str) -> None:
    found = overlap(Guard(control, channel="sms"), [Specimen("hello", **more)])
    assert lacks in found.unjudged[control.name]
    assert found.controls == ()


def test_a_corpus_can_name_whom_limits_count_by(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_text('{"text": "a", "sender": "shop", "actor": "bot", "conversation": "c-1", "seconds": 2}\n')
    (one,) = read_corpus(path)
    assert (one.sender, one.actor, one.conversation, one.seconds, one.recipient) == ("shop", "bot", "c-1", 2.0, None)
    for wrong in ("true", '"2"', "-1", "1e999"):
        path.write_text(f'{{"text": "a", "seconds": {wrong}}}')
        with pytest.raises(ConfigError, match='"seconds" is how long'):
            read_corpus(path)
    corpus = [Specimen("hello", at=NOON + number, sender="shop" if number % 2 else "bank") for number in range(6)]
    assert figures(judged(Guard(RateLimit("2/minute", per="sender"), channel="sms"), corpus)["rate_limit"]) == (
        2,
        2,
        "needed",
    )


def test_quiet_hours_are_those_of_the_corpus() -> None:
    guard = Guard(QuietHours("22:00", "08:00", zone="UTC"), channel="sms")
    corpus = [Specimen("hello", PEOPLE[0], at=NOON + 3_600 * hours) for hours in range(24)]
    assert figures(judged(guard, corpus)["quiet_hours"]) == (10, 10, "needed")


def test_a_list_of_opt_outs_is_asked_as_it_is_and_not_changed(tmp_path: Path) -> None:
    listed = Suppression("memory://")
    listed.add(PEOPLE[0], tenant="acme")
    rows = list(listed.rows())
    guard = Guard(listed, channel="sms")

    found = overlap(guard, [Specimen("hello", one, "acme") for one in PEOPLE[:3]])

    (one,) = found.controls
    assert (one.name, one.fired, one.only, one.verdict) == ("suppression", 1, 1, "needed")
    assert (found.unjudged, list(listed.rows())) == ({}, rows)
    assert listed.has(PEOPLE[0], tenant="acme", channel="sms")


def test_a_list_of_opt_outs_needs_recipients_and_no_times() -> None:
    found = overlap(Guard(Suppression("memory://"), channel="sms"), [Specimen("hello", at=NOON)])

    assert '"to"' in found.unjudged["suppression"]


def test_a_limit_that_cannot_decide_is_failing_and_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_: object) -> object:
        raise OSError("down")

    monkeypatch.setattr(MemoryOptOuts, "opted_out", down)
    found = overlap(Guard(Suppression("memory://"), channel="sms"), [Specimen("hello", one) for one in PEOPLE[:3]])

    (one,) = found.controls
    assert (one.failed, one.fired, one.verdict) == (3, 0, "failing")


@pytest.mark.filterwarnings("ignore:.*has no examples")
def test_switches_are_named_as_what_no_corpus_says(tmp_path: Path) -> None:
    key = "wV0x7eDcyJkpQvCUZCVM1yLxMVJFe7mnXhBf9dIEgbs="
    path = tmp_path / "guardrails.yaml"
    path.write_text(f"version: 1\nplatform:\n  switches: {{file: switches.jsonl, operators: {{ann: '{key}'}}}}\n")

    found = overlap(from_policy(path, channel="sms"), [Specimen("hello")])

    assert "guardrails switch status" in found.unjudged["switches"]
