"""Which controls matter: left out in turn; and what a log says about each."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from guardrails import AuditLog, Call, ConfigError, Deny, Guard, MaskPII, Message, RateLimit, Rewrite, check
from guardrails.audit import read_records
from guardrails.cli.app import app
from guardrails.proof.ablation import overlap
from guardrails.proof.corpus import Specimen, read_corpus
from guardrails.proof.inventory import inventory
from guardrails.proof.judged import Overlap
from guardrails.proof.page import page
from guardrails.proof.recorded import recorded
from guardrails.proof.told import from_audit, stream_lines
from guardrails.proof.watch import alarms


@check
def no_emails(message: Message) -> Rewrite | None:
    return Rewrite(message.text.replace("ann@example.com", "[e-mail]")) if "ann@example.com" in message.text else None


@check
def no_acme(message: Message) -> Deny | None:
    return Deny("a competitor") if "Acme" in message.text else None


@check
def also_no_acme(message: Message) -> Deny | None:
    return Deny("a competitor") if "Acme" in message.text else None


@check
def never(message: Message) -> Deny | None:
    return Deny("never") if "zzz" in message.text else None


@check
def crashes(message: Message) -> None:
    if "Acme" in message.text:
        raise ValueError(message.text)


CORPUS = [
    Specimen("hello"),
    Specimen("write to ann@example.com"),
    Specimen("buy from Acme"),
    Specimen("Acme: ann@example.com"),
]


def judged(guard: Guard, corpus: list[Specimen] | None = None) -> dict[str, Any]:
    found = overlap(guard, corpus or CORPUS)
    return {one.name: one for one in found.controls}


def test_each_control_is_needed_redundant_or_dead() -> None:
    platform = Guard(RateLimit("1/hour", per="recipient"), MaskPII(names="off"), channel="sms")
    told = judged(platform.extend(no_emails, no_acme, never, owner="shop"))
    assert {name: one.verdict for name, one in told.items()} == {
        "mask_pii": "needed",
        "no_emails": "redundant",
        "no_acme": "needed",
        "never": "dead",
    }
    assert (told["no_emails"].fired, told["no_emails"].only, told["no_emails"].by_platform) == (2, 0, 2)
    assert (told["no_acme"].fired, told["no_acme"].only) == (2, 2)
    assert told["mask_pii"].only == 1  # of the two with an address, one is refused anyway
    assert (
        told["no_emails"].sentence(4).startswith("`no_emails` caught 2 messages, the platform catches all 2 too; it adds ")
    )
    assert told["never"].sentence(4).startswith("`never` never fired on 4 messages; it adds ")
    assert told["no_acme"].owner == "shop"
    assert told["no_acme"].types == {"EMAIL_ADDRESS": (1, 1), "nothing found": (1, 1)}


def test_two_controls_that_do_the_same_are_both_redundant() -> None:
    told = judged(Guard(channel="sms").extend(no_acme, also_no_acme))
    assert {one.verdict for one in told.values()} == {"redundant"}


def test_a_control_that_fails_is_said_to_fail() -> None:
    told = judged(Guard(crashes, channel="sms"))
    assert told["crashes"].verdict == "failing"
    assert told["crashes"].failed == 2


class Slow:
    name = "slow"

    async def guard(self, call: Call, forward: Any, io: Any, /) -> object:
        await io.sleep(0.01)
        return await forward(call)


def test_what_a_control_costs_is_its_own_time() -> None:
    told = judged(Guard(Slow(), no_acme, channel="sms"))
    assert told["slow"].milliseconds >= 10
    assert told["no_acme"].milliseconds < 10


def test_nothing_is_sent_recorded_or_used_up(tmp_path: Path) -> None:
    guard = Guard(AuditLog(tmp_path / "audit", durability="os"), RateLimit("1/hour"), MaskPII(names="off"), channel="sms")
    found = overlap(guard, CORPUS)
    assert list(found.unjudged) == ["audit_log", "rate_limit"]
    assert 'needs "at" on every message' in found.unjudged["rate_limit"]
    assert guard(lambda to, body: to + body)("+12125550173", "hello")
    guard.close()
    assert [record["stage"] for record in read_records(tmp_path / "audit")] == ["genesis", "intent", "outcome", "close"]


def minutes(count: int, every: float = 10.0) -> list[Specimen]:
    return [Specimen("hello", "+12125550173", at=1_700_000_000.0 + every * number) for number in range(count)]


def test_limits_are_judged_by_a_replay_where_messages_have_times() -> None:
    platform = Guard(RateLimit("2/minute", per="recipient"), channel="sms", owner="platform")
    looser = platform.extend(RateLimit("5/minute", per="recipient", name="looser"), owner="shop")
    stricter = platform.extend(RateLimit("3/hour", per="recipient", name="stricter"), owner="bank")
    idle = platform.extend(RateLimit("1000/hour", name="idle"))
    sends = platform(lambda to, body: to + body)

    found = overlap(looser, minutes(12))
    assert found.unjudged == {}
    ours, theirs = found.controls
    assert (ours.name, ours.verdict, ours.fired, ours.only) == ("rate_limit", "needed", 8, 6)
    assert (theirs.verdict, theirs.owner, theirs.fired, theirs.by_platform) == ("redundant", "shop", 2, 2)
    said = theirs.sentence(found.messages)
    assert said == "`looser` caught 2 messages, the platform catches all 2 too; its cost was not measured"
    ours, theirs = overlap(stricter, minutes(12)).controls
    assert (ours.fired, ours.only, theirs.verdict, theirs.fired, theirs.only) == (8, 1, "needed", 9, 1)
    assert [one.verdict for one in overlap(idle, minutes(12)).controls] == ["needed", "dead"]
    assert sends("+12125550173", "nothing was used up") == "+12125550173nothing was used up"


def test_a_corpus_with_a_message_without_a_time_says_nothing_about_limits() -> None:
    guard = Guard(RateLimit("2/minute", per="recipient"), channel="sms")
    assert list(overlap(guard, [*minutes(2), Specimen("hello")]).unjudged) == ["rate_limit"]


def test_a_corpus_is_read_strictly(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_text('"a text"\n{"body": "b", "to": "+12125550173", "tenant": "t", "at": "2023-11-14T22:13:20Z"}\n\n')
    assert read_corpus(path) == [Specimen("a text"), Specimen("b", "+12125550173", "t", 1_700_000_000.0)]
    for wrong, problem in (
        ("nonsense", "corpus.jsonl:1: not JSON"),
        ('{"x": 1}', "neither a text"),
        ("", "is empty"),
        ('{"text": "x", "at": "2023-11-14T22:13:20"}', "a time with its zone"),
        ('{"text": "x", "at": 5}', "a time with its zone"),
    ):
        path.write_text(wrong)
        with pytest.raises(ConfigError, match=problem):
            read_corpus(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_corpus(tmp_path / "nothing")


def test_g3_the_page_holds_no_text_of_a_message_and_escapes_names() -> None:
    @check(name="<script>alert(1)</script>")
    def nasty(message: Message) -> Deny | None:
        return Deny("x") if "Acme" in message.text else None

    found: list[Overlap] = [overlap(Guard(MaskPII(names="off"), nasty, channel="sms", owner="<b>"), CORPUS)]
    html = page(found)
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    everything = html + json.dumps([one.as_dict() for one in found]) + repr(CORPUS)
    assert "ann@" not in everything


# -- logs -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def log(tmp_path: Path) -> Path:
    folder = tmp_path / "audit"
    with Guard(AuditLog(folder, durability="os"), MaskPII(names="off"), no_acme, never, channel="sms") as guard:
        send = guard(lambda to, body: to + body)
        send("+12125550173", "write to ann@example.com")
        send("+12125550173", "hello")
    return folder


def test_a_log_says_what_fired_and_what_it_cost(log: Path) -> None:
    told = {one.name: one for one in recorded(read_records(log))}
    assert (told["mask_pii"].asked, told["mask_pii"].acted, told["mask_pii"].types) == (2, 1, {"EMAIL_ADDRESS": 1})
    assert told["never"].sentence.startswith("`never` never fired on 2 messages")
    assert told["mask_pii"].sentence.startswith("`mask_pii` acted on 1 of 2 messages (EMAIL_ADDRESS 1); it adds")


def test_a_log_is_an_inventory_too(log: Path) -> None:
    (entry,) = from_audit(log)
    assert entry.controls == {"platform mask_pii": 2, "platform never": 2, "platform no_acme": 2}
    assert list(entry.operations.values()) == [2]
    assert entry.config["durability"] == "os"


def test_the_commands_read_logs(log: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    assert "`never` never fired" in runner.invoke(app, ["overlap", str(log)]).output
    assert runner.invoke(app, ["overlap", str(log), "--fail"]).exit_code == 1
    assert json.loads(runner.invoke(app, ["overlap", str(log), "--json"]).output)[0]["asked"] == 2
    assert "platform mask_pii: 2 times" in runner.invoke(app, ["inventory", str(log)]).output
    assert json.loads(runner.invoke(app, ["inventory", str(log), "--json"]).output)[0]["host"]
    empty = tmp_path / "empty"
    empty.mkdir()
    for wrong in (
        ["overlap", str(empty)],
        ["inventory", str(empty)],
        ["overlap", "corpus.jsonl"],
        ["inventory", "nothing"],
    ):
        assert runner.invoke(app, wrong).exit_code == 2


def test_limits_and_masks_that_differ_from_most_drift() -> None:
    guards = [
        Guard(
            RateLimit("5/minute", per="recipient"),
            MaskPII(names="off", entities=entities),
            channel=channel,
            owner="platform",
        )
        for channel, entities in (("sms", None), ("email", None), ("chat", ["EMAIL_ADDRESS"]))
    ]
    odd = Guard(RateLimit("9/minute", per="recipient"), channel="voice", owner="support")
    found = inventory([*guards, odd])
    assert [(one.what, one.odd, one.owner) for one in found.drifts] == [
        ("entities of the mask", "EMAIL_ADDRESS", "platform"),
        ("platform limit recipient/minute", "9/minute", "support"),
    ]
    assert inventory(guards[:2]).drifts == []
    assert found.as_dict()["drifts"][0]["others"] == 2


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NOTES = st.lists(
    st.fixed_dictionaries({}, optional=dict.fromkeys(("name", "layer", "verdict", "findings", "duration_us"), VALUES))
)
RECORDS = st.fixed_dictionaries(
    {"stage": st.sampled_from(("genesis", "intent", "decision", "canary")) | VALUES},
    optional={
        "guards": VALUES | NOTES,
        **dict.fromkeys(
            ("stream", "ts", "host", "pid", "library", "config", "policy", "operation", "passed", "failed"), VALUES
        ),
    },
)


@settings(max_examples=150, deadline=None)
@given(records=st.lists(RECORDS, max_size=4))
def test_whatever_records_say_they_are_read_without_a_crash(
    records: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("log")
    lines = (json.dumps(one) for one in records)
    (folder / "20261127T120000.000000Z-x.jsonl").write_text("".join(f"{line}\n" for line in lines))

    told = list(stream_lines(from_audit(folder)))
    fired = [one.sentence for one in recorded(read_records(folder))]
    alarmed = alarms(folder, canary_seconds=60, checkpoint_seconds=60, now=datetime.now(UTC))

    assert all(isinstance(one, str) for one in (*told, *fired, *(one.what for one in alarmed)))
