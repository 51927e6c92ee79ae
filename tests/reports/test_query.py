"""The reviewer's desk: filters find what they name, and no field gets out of its cell."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from guardrails.audit import AuditLog, read_records
from guardrails.cli.app import app
from guardrails.core.guard import Guard
from guardrails.errors import ConfigError, Denied
from guardrails.keys import Keys
from guardrails.reports import Filters, select
from guardrails.reports.rendering import csv_line, rendered
from guardrails.reports.stats import stats

ANN, BOB = "+12125550173", "+12125550174"


class NoSecond:
    async def guard(self, call: Any, forward: Any, _io: Any, /) -> Any:
        if call.message.text == "second":
            raise Denied("no second")
        return await forward(call)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two messages by SMS, one of them refused, and one by e-mail."""
    folder = tmp_path_factory.mktemp("desk") / "log"
    log = AuditLog(folder, keys=Keys(b"k" * 32), durability="os")
    for channel in ("sms", "email"):
        send = Guard(log, NoSecond(), channel=channel)(lambda to, body: (to, body))
        send(ANN if channel == "sms" else BOB, "first")
        if channel == "sms":
            with pytest.raises(Denied):
                send(BOB, "second")
    log.close()
    return folder


def run(*words: str) -> Any:
    return CliRunner().invoke(app, ["audit", *words])


def test_a_filter_on_the_message_brings_the_outcome_of_the_intent_too(folder: Path) -> None:
    assert [one["stage"] for one in select(folder, Filters(channel="email"))] == ["intent", "outcome"]
    assert [one["stage"] for one in select(folder, Filters(channel="sms"))] == ["intent", "outcome", "decision"]


def test_recipient_decision_control_stage_and_send_narrow(folder: Path) -> None:
    intent = next(one for one in read_records(folder) if one["stage"] == "intent")
    digest = intent["recipients"][0]["digest"]
    assert [one["send_id"] for one in select(folder, Filters(recipient=digest, stage="intent"))] == [intent["send_id"]]
    assert [one["stage"] for one in select(folder, Filters(decision="deny"))] == ["decision"]
    assert [one["stage"] for one in select(folder, Filters(control="NoSecond", stage="decision"))] == ["decision"]
    assert len(list(select(folder, Filters(send=intent["send_id"])))) == 2
    assert list(select(folder, Filters(entity="EMAIL_ADDRESS"))) == []


def test_times_are_read_in_any_zone_and_a_wrong_one_is_named(folder: Path) -> None:
    assert list(select(folder, Filters(until="2020-01-01"))) == []
    assert len(list(select(folder, Filters(since="2020-01-01T00:00:00+02:00")))) == len(list(read_records(folder)))
    with pytest.raises(ConfigError, match="since must be a date"):
        Filters(since="yesterday")


@pytest.mark.parametrize("evil", ["=1+1", "+1", "-1", "@x", "\t=1", " =1", "\x1b[31mred", "a\nb", "\u202eabc", '",=1'])
def test_no_field_gets_out_of_its_cell(evil: str) -> None:
    record = {"ts": evil, "stage": evil, "channel": evil, "findings": {evil: 1}, "send_id": evil}
    (_, table), (_, sheet), (line,) = (list(rendered([record], form)) for form in ("table", "csv", "jsonl"))
    assert all(text.isascii() and text.isprintable() for text in (table, sheet, line))
    (cells,) = csv.reader([sheet])
    assert not any(cell.lstrip().startswith(tuple("=+-@\t\r")) for cell in cells)
    assert json.loads(line) == record


def test_quotes_and_commas_stay_in_their_cell() -> None:
    assert next(csv.reader([csv_line(['a"b', "c,d", 3])])) == ['a"b', "c,d", "3"]


def test_stats_count_what_happened(folder: Path) -> None:
    counted = stats(folder)
    assert counted["stages"] == {"close": 1, "decision": 1, "genesis": 1, "intent": 2, "outcome": 2}
    assert (counted["channels"], counted["results"]) == ({"email": 1, "sms": 1}, {"sent": 2})
    assert (counted["decisions"], counted["refused_by"]) == ({"deny": 1}, {"NoSecond": 1})


def test_the_commands_answer(folder: Path) -> None:
    said = run("query", str(folder), "--channel", "email", "--format", "jsonl", "--limit", "1")
    assert json.loads(said.stdout)["stage"] == "intent"
    assert run("tail", str(folder), "-n", "1", "--format", "csv").stdout.splitlines()[1].split(",")[1] == "close"
    assert json.loads(run("stats", str(folder)).stdout)["results"] == {"sent": 2}
    report = json.loads(run("verify", str(folder), "--json").stdout)
    assert (report["exit_code"], report["intents"], report["integrity"]) == (0, 2, [])


@pytest.mark.parametrize("words", [("query", "missing"), ("query", ".", "--since", "x"), ("query", ".", "--format", "x")])
def test_a_mistake_is_one_line_and_exit_2(words: tuple[str, ...]) -> None:
    said = run(*words)
    assert (said.exit_code, said.stderr.count("\n")) == (2, 1)
