"""The reviewer's desk: filters find what they name, and no field gets out of its cell."""

from __future__ import annotations

import csv
import gzip
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from guardrails.audit import AuditLog, Bounds, read_records, verify_directory
from guardrails.audit.scribe import decided
from guardrails.audit.stages import DECISIONS
from guardrails.cli.app import app
from guardrails.core.guard import Guard
from guardrails.errors import ConfigError, Deferred, Denied, Unavailable
from guardrails.keys import Keys
from guardrails.reports import Filters, select, source, tail
from guardrails.reports.query import in_frame, matches
from guardrails.reports.rendering import csv_line, rendered
from guardrails.reports.reviews import record_review
from guardrails.reports.stats import stats
from guardrails.reports.tail import Follower, newest

ANN, BOB = "+12125550173", "+12125550174"


class NoSecond:
    async def guard(self, call: Any, forward: Any, _io: Any, /) -> Any:
        if call.message.text == "second":
            raise Denied("no second")
        return await forward(call)


def deliver(to: str, body: str, conversation_id: str = "c-1") -> tuple[str, str]:
    return to, body


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two messages by SMS, one of them refused, and one by e-mail."""
    folder = tmp_path_factory.mktemp("desk") / "log"
    log = AuditLog(folder, keys=Keys(b"k" * 32), durability="os")
    for channel in ("sms", "email"):
        guard = Guard(log, NoSecond(), channel=channel)
        send = guard(deliver)
        send(ANN if channel == "sms" else BOB, "first")
        if channel == "sms":
            with pytest.raises(Denied):
                send(BOB, "second")
    log.close()
    return folder


def run(*words: str, stdin: str | None = None) -> Any:
    return CliRunner().invoke(app, ["audit", *words], input=stdin)


def by_reading_all(folder: Path, filters: Filters) -> list[dict[str, Any]]:
    """The same question, asked of every record in turn."""
    sends: set[str] = set()
    found = []
    for record in read_records(folder):
        wanted = record["stage"] != "outcome" and matches(record, filters)
        if wanted and record["stage"] == "intent":
            sends.add(record["send_id"])
        with_intent = record["stage"] == "outcome" and record["send_id"] in sends
        if (wanted or with_intent or not filters.about_messages) and in_frame(record, filters):
            found.append(record)
    return found


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


@pytest.mark.parametrize("block_bytes", [1, 1_000, 1_000_000])
def test_a_search_through_the_bytes_finds_what_reading_every_record_finds(
    folder: Path, block_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "BLOCK_BYTES", block_bytes)
    records = list(read_records(folder))
    intent = next(one for one in records if one["stage"] == "intent")
    asked: list[dict[str, Any]] = [
        {},
        {"stage": "outcome"},
        {"stage": "outcome", "channel": "sms"},
        {"send": intent["send_id"]},
        {"send": intent["send_id"], "channel": "email"},
        {"since": records[3]["ts"]},
        {"until": records[3]["ts"], "channel": "sms"},
        {"decision": "deny"},
        {"decision": "deny", "since": records[3]["ts"]},
        {"decision": "deny", "until": records[-2]["ts"]},
        {"control": "NoSecond"},
        {"control": "no such", "channel": "sms"},
        {"tenant": "shop"},
        {"conversation": "c-1"},
        {"recipient": [one["digest"] for one in intent["recipients"]] + ["another"]},
        {"entity": "EMAIL_ADDRESS"},
        {"policy": "none"},
    ]
    for words in asked:
        filters = Filters(**words)
        assert by_reading_all(folder, filters) == list(select(folder, filters)), words


def test_what_a_control_notes_does_not_hide_the_send(tmp_path: Path) -> None:
    class Sly:
        async def guard(self, call: Any, forward: Any, _io: Any, /) -> Any:
            call.note("allow", detail={"send_id": "f" * 32, "stage": "outcome", "channel": "email"})
            return await forward(call)

    log = AuditLog(tmp_path / "log", keys=Keys(b"k" * 32), durability="os")
    with Guard(log, Sly(), channel="sms") as guard:
        guard(lambda to, body: (to, body))(ANN, "first")
    assert [one["stage"] for one in select(tmp_path / "log", Filters(channel="sms"))] == ["intent", "outcome"]
    assert list(select(tmp_path / "log", Filters(channel="email"))) == []


def test_refusals_that_were_counted_together_are_found_by_what_was_counted(tmp_path: Path) -> None:
    log = AuditLog(
        tmp_path / "log", keys=Keys(b"k" * 32), durability="os", bounds=Bounds(decisions_burst=1, decisions_per_second=1)
    )
    with Guard(log, NoSecond(), channel="sms") as guard:
        send = guard(lambda to, body: (to, body))
        for _ in range(3):
            with pytest.raises(Denied):
                send(ANN, "second")
    (record,) = select(tmp_path / "log", Filters(decision="counted", control="NoSecond", channel="sms"))
    assert record["counted"][0]["count"] >= 1
    assert list(select(tmp_path / "log", Filters(decision="counted", channel="email"))) == []


def test_a_person_is_found_by_an_address_from_stdin_in_the_records_of_every_tenant(folder: Path, home: Path) -> None:
    said = run("query", str(folder), "--recipient", "-", "--format", "jsonl", stdin="+1 (212) 555-0174\n")
    assert sorted(json.loads(line)["stage"] for line in said.stdout.splitlines()) == ["decision", "intent", "outcome"]
    (path,) = (home / "reviews").glob("*.jsonl")
    assert "2125550174" not in path.read_text()
    tenant = run("query", str(folder), "--recipient", "-", "--tenant", "other", "--format", "jsonl", stdin="+12125550174\n")
    assert (tenant.exit_code, tenant.stdout) == (0, "")


def test_an_exported_key_finds_a_person_without_the_master_key(
    everything: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported = tmp_path / "keys.json"
    words = ["keys", "export", "--purpose", "audit-lookup", "--tenant", "shop", "--out", str(exported)]
    assert CliRunner().invoke(app, words).exit_code == 0
    monkeypatch.setenv("GUARDRAILS_KEY", "00" * 32)
    asked = ("query", str(everything), "--recipient", "-", "--stage", "intent", "--format", "jsonl")
    assert run(*asked, stdin=ANN).stdout == ""
    assert len(run(*asked, "--keys", str(exported), stdin=ANN).stdout.splitlines()) == 9


def test_who_looks_at_the_reviews_is_recorded_there_too(folder: Path, home: Path) -> None:
    run("stats", str(folder))
    said = run("query", str(home / "reviews"), "--stage", "review", "--format", "jsonl")
    assert [json.loads(line)["command"] for line in said.stdout.splitlines()] == ["stats", "query"]


@pytest.mark.parametrize(("words", "stdin"), [(("--recipient", "+12125550174"), None), (("--recipient", "-"), "")])
def test_an_address_is_never_an_argument(folder: Path, words: tuple[str, ...], stdin: str | None) -> None:
    said = run("query", str(folder), *words, stdin=stdin)
    assert (said.exit_code, "stdin" in said.stderr, "0174" in said.stderr) == (2, True, False)


def test_that_somebody_looked_is_on_a_record_that_verifies(folder: Path, home: Path) -> None:
    run("query", str(folder), "--channel", "email", "--conversation", "+1 212 555 0174")
    run("query", str(folder), "--sql", "SELECT count(*) FROM records WHERE tenant = 'ann@example.com' OR seq = 12125550174")
    run("tail", str(folder))
    *_, first, second, third = read_records(home / "reviews")
    assert [one["command"] for one in (first, second, third)] == ["query", "query", "tail"]
    assert first["asked"] == {"channel": "email", "conversation": "(given)", "log": "log"}
    assert second["asked"]["sql"] == "SELECT count(*) FROM records WHERE tenant = ? OR seq = ?"
    (path,) = (home / "reviews").glob("*.jsonl")
    assert path.stat().st_mode & 0o777 == 0o600
    assert verify_directory(home / "reviews").integrity == ()
    lines = path.read_bytes().splitlines()
    assert [json.loads(line)["prev"] for line in lines[1:]] == [sha256(line).hexdigest() for line in lines[:-1]]
    assert [json.loads(line)["seq"] for line in lines] == list(range(4))


def test_what_cannot_be_recorded_is_not_answered(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for where in (tmp_path / "file", folder, folder / "inside"):
        said = run("stats", str(folder), "--reviews", str(where))
        assert (said.exit_code, said.stdout, "--reviews" in said.stderr) == (2, "", True)


def test_a_review_log_that_was_cut_short_goes_on_in_a_new_stream(tmp_path: Path) -> None:
    record_review("log", "query", {}, tmp_path)
    (path,) = tmp_path.glob("*.jsonl")
    with path.open("ab") as file:
        file.write(b'{"torn')
    record_review("log", "query", {}, tmp_path)
    assert len(list(tmp_path.glob("*.jsonl"))) == 2


def test_compressed_streams_are_searched_and_their_newest_shown(folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        (tmp_path / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert list(select(tmp_path, Filters(channel="email"))) == list(select(folder, Filters(channel="email")))
    assert newest(tmp_path, 3) == newest(folder, 3)
    (path,) = tmp_path.glob("*.gz")
    path.write_bytes(path.read_bytes()[:-100])
    assert run("query", str(tmp_path), "--channel", "email").exit_code == 2
    assert Follower(tmp_path).new() == []


def test_tail_shows_the_newest_of_all_streams(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = sorted(read_records(folder), key=lambda one: str(one["ts"]))
    monkeypatch.setattr(tail, "_STEP_BYTES", 100)
    assert newest(folder, 3) == records[-3:]
    assert newest(folder, 100) == records


def test_a_log_is_followed_while_it_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    log = AuditLog(folder, keys=Keys(b"k" * 32), durability="os")
    send = Guard(log, channel="sms")(lambda to, body: (to, body))
    send(ANN, "first")
    follower = Follower(folder)
    assert follower.new() == []
    send(ANN, "second")
    assert [one["stage"] for one in follower.new()] == ["intent", "outcome"]
    other = AuditLog(folder, keys=Keys(b"k" * 32), durability="os")  # a second writer
    other.open()
    coming = follower.follow(lambda: None)
    assert next(coming)["stage"] == "genesis"
    other.close()
    assert next(coming)["stage"] == "close"
    log.close()


def test_times_are_read_in_any_zone_and_a_wrong_one_is_named(folder: Path) -> None:
    assert list(select(folder, Filters(until="2020-01-01"))) == []
    assert len(list(select(folder, Filters(since="2020-01-01T00:00:00+02:00")))) == len(list(read_records(folder)))
    with pytest.raises(ConfigError, match="since must be a date"):
        Filters(since="yesterday")


def test_a_question_that_no_record_can_answer_is_a_mistake_and_no_empty_answer() -> None:
    for wrong, named in (({"decision": "denied"}, "deny, defer"), ({"stage": "intents"}, "intent, ")):
        with pytest.raises(ConfigError, match=f"{next(iter(wrong))} must be one of .*{named}"):
            Filters(**wrong)


def test_every_decision_that_is_recorded_may_be_asked_for() -> None:
    for error in (None, Deferred(), Denied(), Unavailable(), KeyboardInterrupt()):
        assert Filters(decision=decided(error)).decision in DECISIONS


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
