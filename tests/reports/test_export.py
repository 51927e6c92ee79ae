"""What leaves the desk keeps the schema's rules, and nothing of it can act in another program."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from guardrails.audit import read_records
from guardrails.cli.app import app
from guardrails.reports.export import exported
from guardrails.reports.ocsf import event
from guardrails.reports.query import Filters
from guardrails.reports.sends import Ended, ended

FACTS: dict[str, Any] = json.loads((Path(__file__).parent / "ocsf_facts.json").read_text("utf-8"))


def run(*words: str) -> Any:
    return CliRunner().invoke(app, ["audit", "export", *words])


@pytest.fixture
def events(everything: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run(str(everything), "--format", "ocsf").stdout.splitlines()]


def test_every_event_keeps_the_rules_of_the_schema(events: list[dict[str, Any]]) -> None:
    for one in events:
        assert set(FACTS["required"]) <= one.keys() <= set(FACTS["attributes"])
        assert (one["class_uid"], one["category_uid"]) == (FACTS["class_uid"], FACTS["category_uid"])
        assert one["type_uid"] == 100 * one["class_uid"] + one["activity_id"]
        for name in ("activity_id", "severity_id", "status_id", "action_id"):
            assert one[name] in FACTS[name]
        assert FACTS["disposition_id"].get(str(one["disposition_id"]), one["disposition"]) == one["disposition"]
        assert one["disposition_id"] in {*map(int, FACTS["disposition_id"]), 99}
        for name, rules in FACTS["objects"].items():
            if name in one:
                assert set(rules["required"]) <= one[name].keys() <= set(rules["attributes"]), name
                assert not one[name].keys().isdisjoint(rules["at_least_one"]), name
        assert one["metadata"]["profiles"] == ["security_control"]
        assert type(one["time"]) is int
        assert one["time"] > 1_700_000_000_000


def test_each_send_and_refusal_is_one_event_with_its_own_disposition(
    events: list[dict[str, Any]], everything: Path
) -> None:
    first = [one for one in read_records(everything) if one["stage"] in {"intent", "decision"}]
    assert len(events) == len(first)
    said = [(one["disposition"], one["action"], one["status"]) for one in events]
    assert said[:8] == [
        ("Allowed", "Allowed", "Success"),
        ("Corrected", "Allowed", "Success"),
        ("Blocked", "Denied", "Failure"),
        ("Error", "Denied", "Failure"),
        ("Corrected", "Allowed", "Success"),
        ("Logged", "Allowed", "Success"),
        ("Allowed", "Allowed", "Unknown"),
        ("Allowed", "Allowed", "Failure"),
    ]
    limited = events[-1]
    assert (limited["disposition"], limited["firewall_rule"]["type"]) == ("Rejected", "rate_limit")
    assert [one["is_alert"] for one in events[:8]] == [False, False, False, True, False, False, True, False]


def test_a_send_without_outcome_is_an_event_of_unknown_status(everything: Path) -> None:
    (intent, *_) = (one for one in read_records(everything) if one["stage"] == "intent")
    one = event(Ended(intent))
    assert (one["status"], one["severity"], "duration" in one) == ("Unknown", "Medium", False)
    assert [each.outcome for each in ended([intent])] == [None]


def test_refusals_that_were_counted_together_are_one_event_with_their_number() -> None:
    counted = [{"channel": "sms", "control": "x", "count": 3, "decision": "deny", "deny_code": "Denied"}]
    record = {"stage": "decision", "decision": "counted", "counted": counted, "ts": "2026-01-01T00:00:00.000000Z"}
    one = event(Ended(record | {"since": "2026-01-01T00:00:00.000000Z", "stream": "s", "seq": 1, "event_id": "e"}))
    assert (one["count"], one["disposition"], one["start_time"]) == (3, "Count", one["time"])


def test_csv_has_one_row_each_that_no_spreadsheet_runs(everything: Path) -> None:
    rows = list(csv.DictReader(run(str(everything), "--format", "csv").stdout.splitlines()))
    assert [row["result"] for row in rows[:4]] == ["sent", "sent", "deny", "error"]
    evil = {"stage": "decision", "decision": "deny", "channel": "=1+1", "control": "@x", "limit": {"name": "-1"}, "ts": ""}
    (line,) = list(exported([evil], "csv", Filters()))[1:]
    assert not any(cell.startswith(tuple("=+-@\t\r")) for cell in next(csv.reader([line])))


def test_a_time_is_asked_of_the_intent_and_its_outcome_comes_along(everything: Path) -> None:
    intents = [one for one in read_records(everything) if one["stage"] == "intent"]
    lines = run(str(everything), "--format", "ocsf", "--since", intents[0]["ts"], "--until", intents[1]["ts"]).stdout
    assert [json.loads(line)["status"] for line in lines.splitlines()] == ["Success"]


def test_no_address_and_no_text_leaves_the_desk(everything: Path) -> None:
    for form in ("ocsf", "csv"):
        said = run(str(everything), "--format", form).stdout
        assert not any(word in said for word in ("2125550173", "ann@example.com", "Dear customer"))


def test_another_format_is_a_mistake(everything: Path) -> None:
    assert run(str(everything), "--format", "xml").exit_code == 2
