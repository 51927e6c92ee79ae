"""The provider's log against ours: what no guard saw is found, and what is unknown is closed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from guardrails.audit import read_records
from guardrails.cli.app import app
from guardrails.errors import ConfigError
from guardrails.reports.provider import Delivery, deliveries

ANN, BOB = "+12125550173", "+12125550174"
HEADER = "From,To,Body,Status,DateSent,Sid,Direction"


def run(*words: str) -> Any:
    return CliRunner().invoke(app, ["audit", "reconcile", *words])


def row(at: datetime, *, sid: str, to: str = ANN, status: str = "delivered", direction: str = "outbound-api") -> str:
    return f'+12125550100,{to},"text, of a message",{status},"{format_datetime(at)}",{sid},{direction}'


def intents(folder: Path) -> list[tuple[datetime, str]]:
    return [(datetime.fromisoformat(one["ts"]), one["send_id"]) for one in read_records(folder) if one["stage"] == "intent"]


def results(folder: Path) -> dict[str, str]:
    return {one["send_id"]: one["result"] for one in read_records(folder) if one["stage"] == "outcome"}


def write(path: Path, *rows: str) -> Path:
    path.write_text("\n".join((HEADER, *rows)) + "\n", encoding="utf-8")
    return path


def faithful(folder: Path) -> list[str]:
    """What a provider shows that was asked for exactly what the log says."""
    known = results(folder)
    sids = iter(["SMplain", "SMwrite to <EMAIL_ADDRESS>", "SMDear customer", "SMloud", *["SMflood"] * 3])
    return [row(at, sid=next(sids)) for at, send in intents(folder) if known[send] == "sent"]


def kinds(said: Any) -> list[str]:
    return [json.loads(line)["kind"] for line in said.stdout.splitlines()]


def test_a_provider_that_got_what_is_on_record_reconciles(everything: Path, tmp_path: Path) -> None:
    (timeout,) = (at for at, send in intents(everything) if results(everything)[send] == "unknown")
    path = write(tmp_path / "provider.csv", *faithful(everything), row(timeout, sid="SMlate", status="delivered"))
    said = run(str(everything), str(path), "--preset", "twilio", "--format", "jsonl")
    assert (said.exit_code, kinds(said)) == (0, ["unknown closed: sent"])
    assert "7 matched" in said.stderr
    assert "2125550173" not in said.stdout + said.stderr


def test_a_message_that_no_guard_saw_is_found(everything: Path, tmp_path: Path) -> None:
    (first, _), *_ = intents(everything)
    path = write(tmp_path / "provider.csv", *faithful(everything), row(first, sid="SMbypass", to=BOB))
    said = run(str(everything), str(path), "--preset", "twilio", "--format", "jsonl")
    assert said.exit_code == 1
    (found,) = (json.loads(line) for line in said.stdout.splitlines() if "without intent" in line)
    assert (found["provider_id"], found["send_id"], found["provider_line"]) == (
        "SMbypass",
        "",
        2 + len(faithful(everything)),
    )


def test_a_message_that_was_refused_and_sent_all_the_same_is_found(everything: Path, tmp_path: Path) -> None:
    sends = faithful(everything)
    (timeout,) = (at for at, send in intents(everything) if results(everything)[send] == "unknown")
    (fails,) = (at for at, send in intents(everything) if results(everything)[send] == "failed")
    others = (row(timeout, sid="SM-a"), row(fails, sid="SM-b", status="failed"), row(timeout, sid="SM-c"))
    said = run(str(everything), str(write(tmp_path / "p.csv", *sends, *others)), "--preset", "twilio", "--format", "jsonl")
    assert (said.exit_code, "sent though refused" in kinds(said)) == (1, True)


def test_what_the_provider_does_not_know_is_shown_and_unknowns_are_closed(everything: Path, tmp_path: Path) -> None:
    sends = faithful(everything)
    path = write(tmp_path / "provider.csv", *sends[:-1])
    said = run(str(everything), str(path), "--preset", "twilio", "--format", "jsonl")
    assert (said.exit_code, sorted(kinds(said))) == (3, ["intent without delivery", "unknown closed: not at the provider"])


def test_a_send_that_is_recorded_as_failed_and_was_delivered_is_found(everything: Path, tmp_path: Path) -> None:
    unsure = [at for at, send in intents(everything) if results(everything)[send] in {"failed", "unknown"}]
    path = write(tmp_path / "provider.csv", *faithful(everything), *(row(at, sid="SMx") for at in unsure))
    said = run(str(everything), str(path), "--preset", "twilio", "--format", "jsonl")
    assert (said.exit_code, sorted(kinds(said))) == (1, ["sent though recorded as not", "unknown closed: sent"])
    path = write(tmp_path / "provider.csv", *faithful(everything), *(row(at, sid="SMx", status="failed") for at in unsure))
    said = run(str(everything), str(path), "--preset", "twilio", "--format", "jsonl")
    assert (said.exit_code, kinds(said)) == (0, ["unknown closed: not delivered"])


def test_the_providers_own_id_finds_its_send_whatever_the_time(everything: Path, tmp_path: Path) -> None:
    (first, send), *_ = intents(everything)
    path = write(tmp_path / "provider.csv", row(first, sid="x", to=BOB), row(first + timedelta(days=2), sid="SMplain"))
    said = run(str(everything), str(path), "--preset", "twilio", "--format", "jsonl", "--matched", "--window-seconds", "0")
    (found,) = (json.loads(line) for line in said.stdout.splitlines() if '"matched"' in line)
    assert (found["send_id"], found["provider_id"]) == (send, "SMplain")


def test_the_callers_reference_finds_its_send(everything: Path, tmp_path: Path) -> None:
    (first, send), *_ = intents(everything)
    path = tmp_path / "sinch.csv"
    path.write_text(f"batch_id,recipient,at,status,client_reference\nb,12125550199,{first.isoformat()},Delivered,plain\n")
    said = run(str(everything), str(path), "--preset", "sinch", "--format", "jsonl", "--matched", "--window-seconds", "0")
    (found,) = (json.loads(line) for line in said.stdout.splitlines() if '"matched"' in line)
    assert found["send_id"] == send


def test_messages_that_came_in_and_other_channels_are_left_out(everything: Path, tmp_path: Path) -> None:
    (first, _), *_ = intents(everything)
    path = write(tmp_path / "provider.csv", row(first, sid="x", to=BOB, direction="inbound"))
    said = run(str(everything), str(path), "--preset", "twilio")
    assert (said.exit_code, "nothing to reconcile" in said.stderr) == (0, True)
    path = write(tmp_path / "provider.csv", row(first, sid="SMplain"))
    assert kinds(run(str(everything), str(path), "--preset", "twilio", "--channel", "voice", "--format", "jsonl")) == [
        "sent without intent"
    ]


@pytest.mark.parametrize(
    ("text", "words", "says"),
    [
        ("a,b\n1,2\n", (), "no column for the recipient"),
        ("a,b\n1,2\n", ("--preset", "nobody"), "--preset takes"),
        ("a,b\n1,2\n", ("--column", "x"), "ROLE=NAME"),
        ("a,b\n1,2\n", ("--column", "x=y"), "--column takes"),
        ("a,b\n1,2\n", ("--column", "recipient=a", "--column", "time=b"), "line 2: the time"),
        ("a,b\n1,2\n", ("--column", "recipient=a", "--column", "time=c"), "no column for the time"),
        ("", (), "no column for the recipient"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_mistake_in_one_line(
    everything: Path, tmp_path: Path, text: str, words: tuple[str, ...], says: str
) -> None:
    (tmp_path / "provider.csv").write_text(text)
    said = run(str(everything), str(tmp_path / "provider.csv"), *words)
    assert (said.exit_code, said.stderr.count("\n"), says in said.stderr) == (2, 1, True)
    assert run(str(everything), str(tmp_path / "missing.csv")).exit_code == 2


@pytest.mark.parametrize(
    "time", ["2026-01-31T08:00:00Z", "2026-01-31 08:00:00", "2026-01-31 08:00:00 UTC", "Sat, 31 Jan 2026 08:00:00 +0000",
             "1769846400", "1769846400000", "2026-01-31T10:00:00+02:00"]
)  # fmt: skip
def test_times_are_read_in_the_forms_that_providers_use(tmp_path: Path, time: str) -> None:
    (tmp_path / "provider.csv").write_text(f'To,Date Sent,SID\n{ANN},"{time}",x\n\n', encoding="utf-8-sig")
    (one,) = deliveries(tmp_path / "provider.csv", "twilio", {})
    assert (one.at, one.line, one.status) == (datetime(2026, 1, 31, 8, tzinfo=UTC), 2, "")
    assert ANN not in repr(one)


def test_statuses_say_whether_it_was_delivered() -> None:
    def delivered(status: str) -> bool:
        return Delivery(1, datetime.now(UTC), ANN, "", "", status).was_delivered

    assert [delivered(one) for one in ("delivered", "sent", "Dispatched", "")] == [True] * 4
    assert [delivered(one) for one in ("failed", "Undelivered", "Rejected", "Expired")] == [False] * 4


def test_a_null_in_a_file_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "provider.csv").write_bytes(b"To,DateSent\n" + b'"' + b"x" * 1_100_000 + b'",1\n')
    with pytest.raises(ConfigError, match="is no CSV"):
        list(deliveries(tmp_path / "provider.csv", "twilio", {}))
